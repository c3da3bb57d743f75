// BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009) over an inverted index:
//   score(q, d) = sum over words w of q: idf(w) f (k1 + 1) / (f + k1 (1 - b + b |d| / mean |d|)),  f = count of w in d
//   idf(w) = ln(N - n + 0.5) - ln(n + 0.5),  n = documents with w; a negative one becomes epsilon x mean idf
// the values of the Python package rank_bm25's BM25Okapi. Words are the caller's; nothing is stemmed here.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"

namespace lab::sdg {

struct bm25_options {
    double k1 = 1.5;        // how soon more of the same word stops counting
    double b = 0.75;        // how much a long document pays for its length, 0 to 1
    double epsilon = 0.25;  // idf of words that most documents have, as a share of the mean
};

class bm25_index {
public:
    bm25_index() = default;
    /// @throws config_error for options outside their range
    explicit bm25_index(std::span<const std::vector<std::string>> documents, const bm25_options& options = {})
        : options_(options) {
        if (!(options.k1 >= 0) || !(options.b >= 0 && options.b <= 1) || !(options.epsilon >= 0) ||
            !std::isfinite(options.k1) || !std::isfinite(options.epsilon))
            throw config_error(explain("BM25", "k1 and epsilon must be 0 or more, b from 0 to 1"));
        double total = 0;
        for (std::size_t d = 0; d < documents.size(); ++d) {
            std::map<std::string, std::uint32_t> counts;
            for (const auto& word : documents[d]) ++counts[word];
            for (const auto& [word, count] : counts)
                words_[word].postings.push_back({static_cast<std::uint32_t>(d), count});
            total += static_cast<double>(documents[d].size());
        }
        const double n = static_cast<double>(documents.size()), mean_length = n > 0 ? total / n : 0;
        for (const auto& document : documents)
            penalties_.push_back(
                options.k1 * (1 - options.b +
                              (mean_length > 0 ? options.b * static_cast<double>(document.size()) / mean_length : 0)));
        double sum = 0;
        for (auto& [word, of_word] : words_) {
            const auto with = static_cast<double>(of_word.postings.size());
            of_word.idf = std::log(n - with + 0.5) - std::log(with + 0.5);
            sum += of_word.idf;
        }
        const double floor = words_.empty() ? 0 : options.epsilon * sum / static_cast<double>(words_.size());
        for (auto& [word, of_word] : words_)
            if (of_word.idf < 0) of_word.idf = floor;
    }

    [[nodiscard]] std::size_t size() const noexcept { return penalties_.size(); }

    /// One score for each document. [documents]
    [[nodiscard]] std::vector<double> scores(std::span<const std::string> query) const {
        std::vector<double> out(size(), 0.0);
        for (const auto& word : query) {
            const auto found = words_.find(word);
            if (found == words_.end()) continue;
            for (const auto& [document, count] : found->second.postings) {
                const double f = count;
                out[document] += found->second.idf * (f * (options_.k1 + 1) / (f + penalties_[document]));
            }
        }
        return out;
    }

    /// The best `most` documents (all by default), best first; equal ones in their order.
    [[nodiscard]] std::vector<std::uint32_t> ranking(std::span<const std::string> query,
                                                     std::size_t most = static_cast<std::size_t>(-1)) const {
        const auto values = scores(query);
        std::vector<std::uint32_t> order(size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
        most = std::min(most, order.size());
        std::partial_sort(
            order.begin(), order.begin() + static_cast<std::ptrdiff_t>(most), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return values[a] != values[b] ? values[a] > values[b] : a < b; });
        order.resize(most);
        return order;
    }

private:
    struct posting {
        std::uint32_t document, count;
    };
    struct entry {
        std::vector<posting> postings;
        double idf = 0;
    };
    bm25_options options_;
    std::map<std::string, entry> words_;
    std::vector<double> penalties_;  // k1 (1 - b + b |d| / mean |d|)
};

}  // namespace lab::sdg
