// How varied texts are: distinct-n (Li et al., "A diversity-promoting objective function", NAACL 2016), self-BLEU (Zhu
// et al., "Texygen", SIGIR 2018: each text's BLEU-4 against all others, as nltk's sentence_bleu computes it with
// smoothing method1 of Chen and Cherry 2014), the mean ROUGE-L to the nearest other text, and the mean cosine distance
// of vectors that somebody else computed. Words are loose words (rouge.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lab/core/tensor.hpp"
#include "lab/formats/json.hpp"
#include "lab/sdg/signatures.hpp"
#include "lab/sdg/word_store.hpp"

namespace lab::sdg {

using hashed_text = std::vector<std::uint64_t>;  // the words' hashes

/// Different runs of n words per run of n words, over all texts; 0 where there is none.
[[nodiscard]] inline double distinct_n(std::span<const hashed_text> texts, std::size_t n) {
    hash_table runs;
    std::size_t all = 0;
    for (const auto& text : texts)
        for (std::size_t i = 0; i + n <= text.size(); ++i, ++all)
            runs.insert(hash_of_words(std::span(text).subspan(i, n)), 0);
    return all == 0 ? 0 : static_cast<double>(runs.size()) / static_cast<double>(all);
}

namespace detail {

/// Times that each run of n words stands in a text.
[[nodiscard]] inline std::vector<std::pair<std::uint64_t, std::uint32_t>> run_counts(const hashed_text& text,
                                                                                     std::size_t n) {
    std::vector<std::uint64_t> runs;
    for (std::size_t i = 0; i + n <= text.size(); ++i) runs.push_back(hash_of_words(std::span(text).subspan(i, n)));
    std::sort(runs.begin(), runs.end());
    std::vector<std::pair<std::uint64_t, std::uint32_t>> counts;
    for (const auto run : runs)
        if (counts.empty() || counts.back().first != run)
            counts.emplace_back(run, 1);
        else
            ++counts.back().second;
    return counts;
}

}  // namespace detail

/// Each text's BLEU-4 against all the others; no numbers for fewer than two texts. Linear in the words: for each run
/// the largest count of any text is kept, and the second largest for the text that has it.
[[nodiscard]] inline std::vector<double> self_bleu(std::span<const hashed_text> texts) {
    constexpr std::size_t orders = 4;
    constexpr double smallest = 0.1;  // method1: what stands for no match
    if (texts.size() < 2) return {};
    struct most {
        std::uint32_t first = 0, second = 0;
        std::size_t text = 0;  // that has `first`
    };
    std::vector<std::array<std::size_t, orders>> matches(texts.size());
    for (std::size_t n = 1; n <= orders; ++n) {
        std::unordered_map<std::uint64_t, most> largest;
        for (std::size_t t = 0; t < texts.size(); ++t)
            for (const auto& [run, count] : detail::run_counts(texts[t], n)) {
                most& m = largest[run];
                if (count > m.first)
                    m = {count, m.first, t};
                else
                    m.second = std::max(m.second, count);
            }
        for (std::size_t t = 0; t < texts.size(); ++t)
            for (const auto& [run, count] : detail::run_counts(texts[t], n)) {
                const most& m = largest[run];
                matches[t][n - 1] += std::min(count, m.text == t ? m.second : m.first);
            }
    }
    std::multiset<std::size_t> lengths;
    for (const auto& text : texts) lengths.insert(text.size());
    std::vector<double> scores(texts.size(), 0.0);
    for (std::size_t t = 0; t < texts.size(); ++t) {
        if (matches[t][0] == 0) continue;
        const std::size_t length = texts[t].size();
        lengths.erase(lengths.find(length));
        const auto above = lengths.lower_bound(length);  // the closest length, the shorter of two
        std::size_t closest = above == lengths.end() ? *std::prev(above) : *above;
        if (above != lengths.begin() && above != lengths.end() && length - *std::prev(above) <= *above - length)
            closest = *std::prev(above);
        lengths.insert(length);
        double sum = 0;
        for (std::size_t n = 1; n <= orders; ++n) {
            const auto all = static_cast<double>(length >= n ? length - n + 1 : 1);
            const auto matched = static_cast<double>(matches[t][n - 1]);
            sum += std::log((matched == 0 ? smallest : matched) / all) / orders;
        }
        const double brevity =
            length > closest ? 1.0 : std::exp(1 - static_cast<double>(closest) / static_cast<double>(length));
        scores[t] = brevity * std::exp(sum);
    }
    return scores;
}

/// ROUGE-L F1 of each of `wanted` texts with the text nearest to it; 0 where there is no other. Pairs are compared only
/// while their signatures leave room for more than the nearest so far.
[[nodiscard]] inline std::vector<double> nearest_rouge_l(std::span<const hashed_text> texts,
                                                         std::span<const std::size_t> wanted) {
    word_store store;
    std::vector<text_signature> signatures;
    for (const auto& text : texts) {
        store.add(text);
        signatures.emplace_back(text);
    }
    std::vector<double> nearest;
    prepared_sequence sequence;
    std::vector<std::pair<double, std::size_t>> order;  // (-the most that F1 can be, text)
    for (const std::size_t t : wanted) {
        const std::size_t n = texts[t].size();
        order.clear();
        for (std::size_t other = 0; other < texts.size(); ++other) {
            const std::size_t m = texts[other].size(), both = n + m;
            if (other == t || n == 0 || m == 0) continue;
            const std::size_t common =
                std::min({n, m, (both - std::min(both, signatures[t].difference(signatures[other]))) / 2});
            if (common > 0) order.emplace_back(-2 * static_cast<double>(common) / static_cast<double>(both), other);
        }
        std::sort(order.begin(), order.end());
        double best = 0;
        sequence.assign(store[t]);
        for (const auto& [most, other] : order) {
            if (-most <= best) break;
            const auto both = static_cast<double>(n + texts[other].size());
            const auto least = static_cast<std::size_t>(std::floor(best * both / 2));
            best = std::max(best, rouge_from(sequence.common(store[other], least), texts[other].size(), n).f1);
        }
        nearest.push_back(best);
    }
    return nearest;
}

struct text_diversity {
    std::size_t texts = 0;
    std::array<double, 3> distinct{};  // distinct-1, -2, -3
    double self_bleu = 0;              // mean; lower is more varied
    double nearest_rouge_l = 0;        // mean; lower is more varied
};

struct diversity_options {
    std::size_t most_compared = 500;  // texts whose nearest is looked for, evenly spaced; their nearest is of all texts
};

[[nodiscard]] inline text_diversity diversity_of(std::span<const hashed_text> texts, diversity_options options = {}) {
    const auto mean = [](const std::vector<double>& values) {
        double sum = 0;
        for (const double v : values) sum += v;
        return values.empty() ? 0 : sum / static_cast<double>(values.size());
    };
    text_diversity d;
    d.texts = texts.size();
    for (std::size_t n = 1; n <= 3; ++n) d.distinct[n - 1] = distinct_n(texts, n);
    d.self_bleu = mean(self_bleu(texts));
    std::vector<std::size_t> wanted;
    const std::size_t count = std::min(texts.size(), options.most_compared);
    for (std::size_t i = 0; i < count; ++i) wanted.push_back(i * texts.size() / count);
    d.nearest_rouge_l = mean(nearest_rouge_l(texts, wanted));
    return d;
}

[[nodiscard]] inline formats::json to_json(const text_diversity& d) {
    return {{"texts", d.texts},
            {"distinct_1", d.distinct[0]},
            {"distinct_2", d.distinct[1]},
            {"distinct_3", d.distinct[2]},
            {"self_bleu", d.self_bleu},
            {"nearest_rouge_l", d.nearest_rouge_l}};
}

/// 1 - cosine, averaged over all pairs; a vector of zeros is at distance 1 from all. O(n d): the squared norm of the
/// sum of unit vectors is the sum of all cosines. 0 for fewer than two vectors.
[[nodiscard]] inline double mean_cosine_distance(view<const float> vectors) {  // [texts, dim]
    const std::size_t n = vectors.extent(0), dim = vectors.extent(1);
    std::vector<double> sum(dim, 0.0);
    double units = 0;  // vectors that are not zero
    for (std::size_t i = 0; i < n; ++i) {
        const auto row = vectors.row(i);
        double square = 0;
        for (const float x : row) square += static_cast<double>(x) * static_cast<double>(x);
        if (square == 0) continue;
        ++units;
        for (std::size_t k = 0; k < dim; ++k) sum[k] += static_cast<double>(row[k]) / std::sqrt(square);
    }
    if (n < 2) return 0;
    double square = 0;
    for (const double x : sum) square += x * x;
    return 1 - (square - units) / (static_cast<double>(n) * static_cast<double>(n - 1));
}

}  // namespace lab::sdg
