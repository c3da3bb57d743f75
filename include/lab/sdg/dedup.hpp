// Exact and near duplicates among millions of texts: near means ROUGE-L F1 >= threshold over loose words. Every pair is
// found: F1 >= t asks for at least t (n + m) / 2 common words, so near texts have parts in common (overlap_index.hpp),
// and what has is compared. Below 0.8, where such parts are single words, signatures are read instead (signatures.hpp);
// they tell little below about 0.6, where minhash.hpp is the tool. First come, first kept: the result depends on order
// alone, not on threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/sdg/overlap_index.hpp"
#include "lab/sdg/signatures.hpp"
#include "lab/sdg/word_store.hpp"

namespace lab::sdg {

/// Not for several threads at once: `find`, too, uses room of the object. `keep_new` shares its work out itself.
class duplicate_index {
public:
    struct match {
        std::size_t item = 0;   // index in order of `add`
        double similarity = 0;  // 1 for equal words
    };

    /// @throws config_error unless 0 < threshold <= 1
    explicit duplicate_index(double threshold) : threshold_(threshold), parts_(threshold) {
        if (!(threshold > 0 && threshold <= 1)) throw config_error(explain("dedup threshold", "must lie in (0, 1]"));
    }

    /// The most similar item at or above the threshold; the earliest among equals.
    [[nodiscard]] std::optional<match> find(std::string_view text) const {
        loose_word_hashes(text, query_.hashes);
        search({&query_, 1});
        compared_ += std::exchange(query_.compared, 0);
        return query_.best;
    }
    /// The earliest item with the same words in the same order.
    [[nodiscard]] std::optional<std::size_t> find_equal(std::string_view text) const {
        loose_word_hashes(text, query_.hashes);
        return equal_to(query_);
    }
    /// Whether the item has a word of `text` among its own from the one of number `first` on.
    [[nodiscard]] bool has_word_of(std::string_view text, std::size_t item, std::size_t first) const {
        loose_word_hashes(text, query_.hashes);
        store_.known(query_.hashes, query_.words);
        const auto words = store_[item].subspan(first);
        return std::any_of(query_.words.begin(), query_.words.end(), [&](word_store::word w) {
            return w != word_store::unknown && std::find(words.begin(), words.end(), w) != words.end();
        });
    }
    /// Takes the text in, whatever it resembles; returns its index.
    std::size_t add(std::string_view text) {
        loose_word_hashes(text, query_.hashes);
        return add_words(query_.hashes);
    }
    /// For one text after the other: `find` and, where there is nothing, `add`. @return what was found, for each text
    std::vector<std::optional<match>> keep_new(std::span<const std::string_view> texts, thread_pool& pool) {
        std::vector<std::optional<match>> found;
        found.reserve(texts.size());
        std::vector<std::vector<query>> rooms(pool.size(), std::vector<query>(group_size));
        while (!texts.empty()) {
            const auto block = texts.first(std::min(block_size, texts.size()));
            keep_block(block, pool, rooms, found);
            texts = texts.subspan(block.size());
        }
        return found;
    }

    [[nodiscard]] std::size_t size() const noexcept { return store_.size(); }
    /// Pairs that went through the full comparison so far: what the filters left.
    [[nodiscard]] std::size_t compared() const noexcept { return compared_; }

private:
    static constexpr double slack = 1e-9, least_by_parts = 0.8;
    static constexpr std::size_t block_size = 256, group_size = 32;

    struct query : signature_query {
        std::vector<std::uint64_t> hashes;
        std::vector<word_store::word> words;
        overlap_index::room room;
        std::vector<std::uint32_t> items;
        prepared_sequence sequence;
        std::optional<match> best;
        std::size_t compared = 0;
    };

    void set_limits(query& q) const {
        const overlap_bounds bounds{threshold_};
        const std::size_t n = q.hashes.size();
        q.limits.clear();
        q.near.clear();
        if (n == 0) return;
        q.shortest = bounds.shortest(n);
        for (std::size_t m = q.shortest; m <= std::min(bounds.longest(n), longest_); ++m)
            q.limits.push_back(static_cast<std::uint32_t>(bounds.most_different(n + m)));
        q.signature = text_signature(q.hashes);
    }
    /// Sets `near` to what can be near and came from number `first` on.
    void find_by_parts(query& q, std::uint32_t first) const {
        parts_.find(q.hashes, first, q.room, q.items);
        q.near.clear();
        for (const std::uint32_t item : q.items) q.near.emplace_back(0, item);
    }
    [[nodiscard]] bool by_parts() const noexcept { return threshold_ >= least_by_parts; }
    [[nodiscard]] std::optional<std::size_t> equal_to(query& q) const {
        const std::uint32_t item = q.hashes.empty() ? hash_table::none : wholes_.find(hash_of_words(q.hashes));
        if (item == hash_table::none) return std::nullopt;
        store_.known(q.hashes, q.words);
        return std::ranges::equal(store_[item], q.words) ? std::optional<std::size_t>(item) : std::nullopt;
    }
    /// Sets `best` of queries whose hashes are set.
    void search(std::span<query> queries) const {
        std::vector<signature_query*> open;
        for (query& q : queries) {
            q.best.reset();
            if (const auto item = equal_to(q)) {
                q.best = match{*item, 1.0};
            } else if (by_parts()) {
                find_by_parts(q, 0);
            } else {
                set_limits(q);
                open.push_back(&q);
            }
        }
        table_.find(open);
        for (query& q : queries)
            if (!q.best) compare(q);
    }
    /// Goes through `near`, the closest first; sets `best` to the best of it and of what it was.
    void compare(query& q) const {
        if (q.near.empty()) return;
        std::sort(q.near.begin(), q.near.end());
        store_.known(q.hashes, q.words);
        q.sequence.assign(q.words);
        for (const auto& [difference, item] : q.near) {
            const auto other = store_[item];
            const std::size_t both = other.size() + q.words.size();
            const std::size_t least =
                overlap_bounds{q.best ? std::max(q.best->similarity, threshold_) : threshold_}.least_common(both);
            if (both < difference + 2 * least) continue;
            ++q.compared;
            const double f1 = rouge_from(q.sequence.common(other, least), other.size(), q.words.size()).f1;
            if (f1 + slack < threshold_) continue;
            if (!q.best || f1 > q.best->similarity || (f1 == q.best->similarity && item < q.best->item))
                q.best = match{item, f1};
        }
        q.near.clear();
    }

    std::size_t add_words(std::span<const std::uint64_t> hashes) {
        const std::uint32_t item = store_.add(hashes);
        if (hashes.empty()) return item;
        if (wholes_.insert(hash_of_words(hashes), item) != item) return item;  // the earlier one is always named
        longest_ = std::max(longest_, hashes.size());
        if (by_parts())
            parts_.add(hashes, item);
        else
            table_.add(text_signature(hashes), hashes.size(), item);
        return item;
    }

    /// All at once against what was there before, then one after the other among themselves.
    void keep_block(std::span<const std::string_view> texts, thread_pool& pool, std::vector<std::vector<query>>& rooms,
                    std::vector<std::optional<match>>& found) {
        struct outcome {
            std::vector<std::uint64_t> hashes;
            std::optional<match> best;
        };
        std::vector<outcome> outcomes(texts.size());
        pool.share_out(texts.size(), group_size, [&](std::size_t begin, std::size_t end, std::size_t worker) {
            for (; begin < end; begin += group_size) {
                const auto queries = std::span(rooms[worker]).first(std::min(group_size, end - begin));
                for (std::size_t i = 0; i < queries.size(); ++i) loose_word_hashes(texts[begin + i], queries[i].hashes);
                search(queries);
                for (std::size_t i = 0; i < queries.size(); ++i)
                    outcomes[begin + i] = {std::move(queries[i].hashes), queries[i].best};
            }
        });
        table_.set_mark();
        const auto first = static_cast<std::uint32_t>(store_.size());
        query q;
        for (auto& o : outcomes) {
            q.hashes = std::move(o.hashes);
            q.best = o.best;
            if (const auto item = equal_to(q)) {
                q.best = match{*item, 1.0};
            } else {
                if (by_parts()) {
                    find_by_parts(q, first);
                } else {
                    set_limits(q);
                    table_.find_later(q);
                }
                compare(q);
            }
            if (!q.best) add_words(q.hashes);
            found.push_back(q.best);
        }
        compared_ += q.compared;
        for (auto& room : rooms)
            for (query& one : room) compared_ += std::exchange(one.compared, 0);
    }

    double threshold_;
    word_store store_;
    overlap_index parts_;    // of all texts, or
    signature_table table_;  // this
    hash_table wholes_;      // the earliest text with these words
    std::size_t longest_ = 0;
    mutable query query_;
    mutable std::size_t compared_ = 0;
};

}  // namespace lab::sdg
