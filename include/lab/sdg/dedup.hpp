// Exact and near duplicates among millions of texts: near means ROUGE-L F1 >= threshold over loose words. Every pair is
// found: F1 >= t asks for at least t (n + m) / 2 common words, lengths and signatures (signatures.hpp) bound those from
// above, and what they leave is compared. First come, first kept: the result depends on order alone, not on threads.
// Signatures tell little below about 0.6, where minhash.hpp is the tool.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/thread_pool.hpp"
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
    explicit duplicate_index(double threshold) : threshold_(threshold) {
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
    static constexpr double slack = 1e-9;
    static constexpr std::size_t block_size = 256, group_size = 32;

    struct query : signature_query {
        std::vector<std::uint64_t> hashes;
        std::vector<word_store::word> words;
        prepared_sequence sequence;
        std::optional<match> best;
        std::size_t compared = 0;
    };

    /// How many words a pair that has `both` words must have in common to reach `similarity`, or one less.
    [[nodiscard]] static std::size_t least_common(double similarity, std::size_t both) {
        return static_cast<std::size_t>(
            std::max(1.0, std::ceil((similarity - 2 * slack) * static_cast<double>(both) / 2)));
    }
    void set_limits(query& q) const {
        const std::size_t n = q.hashes.size();
        const double ratio = (threshold_ - 2 * slack) / (2 - threshold_), length = static_cast<double>(n);
        q.shortest = static_cast<std::size_t>(std::max(1.0, std::ceil(length * ratio)));
        const auto longest = static_cast<std::size_t>(std::min(length / ratio, static_cast<double>(longest_)));
        q.limits.clear();
        for (std::size_t m = q.shortest; n > 0 && m <= longest; ++m) {
            const std::size_t common = 2 * least_common(threshold_, n + m);
            q.limits.push_back(n + m > common ? static_cast<std::uint32_t>(n + m - common) : 0);
        }
        q.signature = text_signature(q.hashes);
        q.near.clear();
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
                least_common(q.best ? std::max(q.best->similarity, threshold_) : threshold_, both);
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
        longest_ = std::max(longest_, hashes.size());
        table_.add(text_signature(hashes), hashes.size(), item);
        wholes_.insert(hash_of_words(hashes), item);
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
        query q;
        for (auto& o : outcomes) {
            q.hashes = std::move(o.hashes);
            q.best = o.best;
            if (const auto item = equal_to(q)) {
                q.best = match{*item, 1.0};
            } else {
                set_limits(q);
                table_.find_later(q);
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
    signature_table table_;
    hash_table wholes_;  // the earliest text with these words
    std::size_t longest_ = 0;
    mutable query query_;
    mutable std::size_t compared_ = 0;
};

}  // namespace lab::sdg
