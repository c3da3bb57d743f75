// Exact and near duplicates among millions of texts: near means ROUGE-L F1 >= threshold over loose words. Every pair is
// found: F1 >= t asks for at least t (n + m) / 2 common words. Lengths and signatures (signatures.hpp) bound those from
// above, and what they leave is compared. Signatures are read at memory's speed, for many texts at once; where texts
// come one by one and are many, those whose parts are few others' are listed by them instead (overlap_index.hpp), from
// a threshold of 0.8 on: below it such parts are single words. First come, first kept: the result depends on order
// alone, not on threads. Signatures tell little below about 0.6, where minhash.hpp is the tool.
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

    /// @param most_read texts found by their signatures before others are listed by parts: as long as they are few,
    /// reading is faster. What is found does not depend on it.
    /// @throws config_error unless 0 < threshold <= 1
    explicit duplicate_index(double threshold, std::size_t most_read = 30'000)
        : threshold_(threshold), most_read_(most_read), parts_(threshold) {
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
        return add_words(query_.hashes, threshold_ >= least_by_parts && table_.size() >= most_read_);
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
        overlap_index::room room;  // a group's first lends its own to the others
        prepared_sequence sequence;
        std::optional<match> best;
        std::size_t compared = 0;
    };

    /// A text that parts_ finds.
    struct listed {
        text_signature signature;
        std::uint32_t words, item;
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
    /// Adds to `near` the listed texts that can be near.
    void find_listed(query& q, overlap_index::room& room) const {
        const auto numbers = parts_.find(q.hashes, room);
        constexpr std::size_t ahead = 8;
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            if (i + ahead < numbers.size()) __builtin_prefetch(&listed_[numbers[i + ahead]]);
            const listed& other = listed_[numbers[i]];
            const std::size_t longer = other.words - q.shortest;  // wraps where it is shorter
            if (longer >= q.limits.size()) continue;
            const std::size_t difference = q.signature.difference(other.signature);
            if (difference <= q.limits[longer]) q.near.emplace_back(static_cast<std::uint32_t>(difference), other.item);
        }
    }
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
                continue;
            }
            set_limits(q);
            find_listed(q, queries.front().room);
            open.push_back(&q);
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

    std::size_t add_words(std::span<const std::uint64_t> hashes, bool by_parts) {
        const std::uint32_t item = store_.add(hashes);
        if (hashes.empty()) return item;
        if (wholes_.insert(hash_of_words(hashes), item) != item) return item;  // the earlier one is always named
        longest_ = std::max(longest_, hashes.size());
        const text_signature signature(hashes);
        if (by_parts && parts_.add(hashes))
            listed_.push_back({signature, static_cast<std::uint32_t>(hashes.size()), item});
        else
            table_.add(signature, hashes.size(), item);
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
        signature_table added;  // of this block
        query q;
        for (auto& o : outcomes) {
            q.hashes = std::move(o.hashes);
            q.best = o.best;
            if (const auto item = equal_to(q)) {
                q.best = match{*item, 1.0};
            } else {
                set_limits(q);
                signature_query* const one = &q;
                added.find({&one, 1});
                compare(q);
            }
            if (!q.best) {
                const auto item = static_cast<std::uint32_t>(add_words(q.hashes, false));
                if (!q.hashes.empty()) added.add(q.signature, q.hashes.size(), item);
            }
            found.push_back(q.best);
        }
        compared_ += q.compared;
        for (auto& room : rooms)
            for (query& one : room) compared_ += std::exchange(one.compared, 0);
    }

    double threshold_;
    std::size_t most_read_;
    word_store store_;
    overlap_index parts_;  // of the texts in listed_
    std::vector<listed> listed_;
    signature_table table_;  // of the others
    hash_table wholes_;      // the earliest text with these words
    std::size_t longest_ = 0;
    mutable query query_;
    mutable std::size_t compared_ = 0;
};

}  // namespace lab::sdg
