// Choosing few items that stand for all: facility location, f(S) = sum over items of the largest similarity to one of
// S, is monotone and submodular, so taking the largest gain each time comes within 1 - 1/e of the best S (Nemhauser,
// Wolsey and Fisher 1978). Lazily: a gain only shrinks, so an old one is a bound (Minoux 1978). Similarities are rows
// from the caller; two kinds are here, cosines of vectors and cosines of tf-idf weights of words.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <span>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/tensor.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/sdg/word_store.hpp"

namespace lab::sdg {

/// A model: `struct same { void operator()(std::size_t item, std::span<float> row) const; };` fills in the item's
/// similarity to every item; what is below zero counts as zero. Called from several threads at once.
template <class R>
concept similarity_rows = requires(const R& rows, std::size_t item, std::span<float> row) {
    rows(item, row);
};

struct selection {
    std::vector<std::size_t> items;  // in the order in which they were chosen
    std::vector<double> gains;       // what each added to f
    [[nodiscard]] double value() const {
        double sum = 0;
        for (const double g : gains) sum += g;
        return sum;
    }
};

/// Chooses `count` of `items` items (all where there are no more); of equal gains, the lowest item. The result does not
/// depend on the pool. O(items) rows to begin with, then few for each choice. @param tick called with rows done
template <similarity_rows Rows>
[[nodiscard]] selection facility_location(std::size_t items, std::size_t count, const Rows& rows, thread_pool& pool,
                                          const std::function<void(std::size_t)>& tick = {}) {
    struct bound {
        double gain;
        std::size_t item, round;  // the gain is exact in this round
        bool operator<(const bound& other) const { return gain != other.gain ? gain < other.gain : item > other.item; }
    };
    std::vector<float> covered(items, 0.0f);  // similarity to the nearest of the chosen
    std::vector<bound> first(items);
    const auto gain_of = [&](std::span<const float> row) {
        double gain = 0;
        for (std::size_t i = 0; i < items; ++i) gain += static_cast<double>(std::max(row[i] - covered[i], 0.0f));
        return gain;
    };
    constexpr std::size_t slice = 1024;
    for (std::size_t begin = 0; begin < items; begin += slice) {
        const std::size_t n = std::min(slice, items - begin);
        pool.share_out(n, 8, [&](std::size_t from, std::size_t to, std::size_t) {
            std::vector<float> row(items);
            for (std::size_t i = begin + from; i < begin + to; ++i) {
                rows(i, std::span(row));
                first[i] = {gain_of(row), i, 0};
            }
        });
        if (tick) tick(begin + n);
    }
    std::priority_queue<bound> queue(std::less<bound>{}, std::move(first));
    selection chosen;
    std::vector<float> row(items);
    while (chosen.items.size() < std::min(count, items)) {
        bound top = queue.top();
        queue.pop();
        rows(top.item, std::span(row));
        if (top.round != chosen.items.size()) {
            top = {gain_of(row), top.item, chosen.items.size()};
            if (!queue.empty() && top < queue.top()) {
                queue.push(top);
                continue;
            }
        }
        for (std::size_t i = 0; i < items; ++i) covered[i] = std::max(covered[i], row[i]);
        chosen.items.push_back(top.item);
        chosen.gains.push_back(top.gain);
    }
    return chosen;
}

/// Rows of a matrix that somebody else computed.
struct matrix_rows {
    view<const float> similarity;  // [items, items]
    void operator()(std::size_t item, std::span<float> row) const {
        std::ranges::copy(similarity.row(item), row.begin());
    }
};

/// Cosines of vectors, around their mean where asked: hidden states of a language model all point much the same way.
class cosine_rows {
public:
    explicit cosine_rows(view<const float> vectors, bool centred = true)  // [items, dim]
        : items_(vectors.extent(0)), dim_(vectors.extent(1)), units_(vectors.flat().begin(), vectors.flat().end()) {
        std::vector<double> mean(dim_, 0.0);
        for (std::size_t i = 0; centred && i < items_; ++i)
            for (std::size_t k = 0; k < dim_; ++k)
                mean[k] += static_cast<double>(units_[i * dim_ + k]) / static_cast<double>(items_);
        for (std::size_t i = 0; i < items_; ++i) {
            double square = 0;
            for (std::size_t k = 0; k < dim_; ++k) {
                float& x = units_[i * dim_ + k];
                x = static_cast<float>(static_cast<double>(x) - mean[k]);
                square += static_cast<double>(x) * static_cast<double>(x);
            }
            const float scale = square > 0 ? static_cast<float>(1 / std::sqrt(square)) : 0.0f;
            for (std::size_t k = 0; k < dim_; ++k) units_[i * dim_ + k] *= scale;
        }
    }
    void operator()(std::size_t item, std::span<float> row) const {
        const float* const own = units_.data() + item * dim_;
        for (std::size_t i = 0; i < items_; ++i) {
            const float* const other = units_.data() + i * dim_;
            float lanes[16] = {};  // a fixed order of addition that the compiler can still do 16 at a time
            std::size_t k = 0;
            for (; k + 16 <= dim_; k += 16)
                for (std::size_t l = 0; l < 16; ++l) lanes[l] += own[k + l] * other[k + l];
            for (std::size_t l = 0; k < dim_; ++k, ++l) lanes[l] += own[k] * other[k];
            float sum = 0;
            for (const float lane : lanes) sum += lane;
            row[i] = sum;
        }
    }

private:
    std::size_t items_, dim_;
    std::vector<float> units_;
};

/// Cosines of texts as bags of words, weighted (1 + ln count) ln(1 + texts / texts with the word).
class word_rows {
public:
    explicit word_rows(std::span<const std::vector<std::uint64_t>> texts) {
        hash_table numbers;
        std::vector<std::vector<entry>> counts(texts.size());  // (word, times)
        for (std::size_t t = 0; t < texts.size(); ++t) {
            std::vector<std::uint64_t> words = texts[t];
            std::sort(words.begin(), words.end());
            for (std::size_t i = 0, end = 0; i < words.size(); i = end) {
                while (end < words.size() && words[end] == words[i]) ++end;
                const auto word = numbers.insert(words[i], static_cast<std::uint32_t>(numbers.size()));
                counts[t].push_back({word, 1 + std::log(static_cast<float>(end - i))});
            }
        }
        std::vector<float> rarity(numbers.size(), 0.0f);  // first the texts that have the word
        for (const auto& text : counts)
            for (const entry& e : text) ++rarity[e.number];
        for (float& r : rarity) r = std::log(1 + static_cast<float>(texts.size()) / r);
        holders_.resize(numbers.size());
        for (std::size_t t = 0; t < texts.size(); ++t) {
            double square = 0;
            for (auto& [word, weight] : counts[t]) {
                weight *= rarity[word];
                square += static_cast<double>(weight) * static_cast<double>(weight);
            }
            for (auto& [word, weight] : counts[t]) {
                weight /= static_cast<float>(std::sqrt(square));
                holders_[word].push_back({static_cast<std::uint32_t>(t), weight});
            }
        }
        texts_ = std::move(counts);
    }
    void operator()(std::size_t item, std::span<float> row) const {
        std::fill(row.begin(), row.end(), 0.0f);
        for (const auto& [word, weight] : texts_[item])
            for (const auto& [text, other] : holders_[word]) row[text] += weight * other;
    }

private:
    struct entry {
        std::uint32_t number;  // of the word, or of the text
        float weight;
    };
    std::vector<std::vector<entry>> texts_, holders_;
};

}  // namespace lab::sdg
