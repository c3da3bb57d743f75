// Whether a sample gives away a question of an evaluation set. Runs of 13 words in common are enough (GPT-3,
// arXiv 2005.14165, appendix C); so is a question most of whose words lie in common runs of 8 (in the manner of Llama
// 2, arXiv 2307.09288, appendix A.6, which counts a sample as dirty from 80 %), a short question that is there whole,
// and one that is nearly the same by ROUGE-L. Runs that many items share are boilerplate and give nothing away.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/sdg/dedup.hpp"
#include "lab/sdg/evaluation_set.hpp"
#include "lab/sdg/hash_table.hpp"

namespace lab::sdg {

struct contamination_options {
    std::size_t long_run = 13;     // words; one such run in common is enough
    std::size_t short_run = 8;     // words
    double share = 0.8;            // of a question's words, in common runs of short_run
    double near = 0.85;            // ROUGE-L F1 of two questions of at least short_run words
    std::size_t whole = 6;         // questions of as many words are found inside others, shorter ones must be equal
    std::size_t boilerplate = 10;  // runs that more items have do not count
};

/// What one sample has in common with one set.
struct set_overlap {
    double share = 0;      // of the words of the question that it has most of
    std::size_t item = 0;  // whose question that is, or what refuses the sample
    std::string why;       // what refuses it; empty: nothing
};

namespace detail {

/// Where runs of `n` words stand in the texts of a set.
class run_index {
public:
    struct place {
        std::uint64_t run;
        std::uint32_t item, at;
        friend auto operator<=>(const place&, const place&) = default;
    };

    explicit run_index(std::size_t n = 1) : n_(n) {}
    void add(std::uint32_t item, std::span<const std::uint64_t> words) {
        for (std::size_t i = 0; i + n_ <= words.size(); ++i)
            places_.push_back({hash_of_words(words.subspan(i, n_)), item, static_cast<std::uint32_t>(i)});
    }
    /// Forgets runs of more than `most` items; to be called when all is added.
    void finish(std::size_t most) {
        std::sort(places_.begin(), places_.end());
        for (std::size_t i = 0, end = 0; i < places_.size(); i = end) {
            std::size_t items = 0;
            for (end = i; end < places_.size() && places_[end].run == places_[i].run; ++end)
                items += end == i || places_[end].item != places_[end - 1].item;
            if (items <= most) table_.insert(places_[i].run, static_cast<std::uint32_t>(i));
        }
    }
    /// Calls visit(place) for each place of each run of `words`.
    template <class Visit>
    void look_up(std::span<const std::uint64_t> words, Visit visit) const {
        for (std::size_t i = 0; i + n_ <= words.size(); ++i) {
            const std::uint64_t run = hash_of_words(words.subspan(i, n_));
            for (std::size_t k = table_.find(run); k < places_.size() && places_[k].run == run; ++k) visit(places_[k]);
        }
    }

private:
    std::size_t n_;
    std::vector<place> places_;
    hash_table table_;  // the first place of a run
};

/// One set, ready to be compared with.
class indexed_set {
public:
    indexed_set(evaluation_set set, const contamination_options& options)
        : set_(std::move(set)),
          options_(options),
          long_(options.long_run),
          short_(options.short_run),
          near_(options.near) {
        if (set_.items.size() >= hash_table::none)
            throw config_error(explain(set_.name, "has more items than can be counted"));
        std::map<std::vector<std::uint64_t>, std::size_t> asked;
        for (const auto& item : set_.items) ++asked[loose_word_hashes(item.question)];
        for (std::size_t n = options_.whole; n < options_.short_run; ++n) whole_.emplace_back(n);
        for (std::uint32_t i = 0; i < set_.items.size(); ++i) {
            const auto& item = set_.items[i];
            // "Which of the following is true?" is told from others of its kind by its choices.
            auto words = loose_word_hashes(item.question);
            const bool own = asked[words] == 1;
            long_.add(i, words);
            long_.add(i, loose_word_hashes(item.rest));
            if (!own) words = loose_word_hashes(item.question + "\n" + item.rest);
            lengths_.push_back(static_cast<std::uint32_t>(words.size()));
            short_.add(i, words);
            if (words.size() >= options_.whole && words.size() < options_.short_run)
                whole_[words.size() - options_.whole].add(i, words);
            near_.add(own ? item.question : item.question + "\n" + item.rest);
        }
        for (auto* index : {&long_, &short_}) index->finish(options_.boilerplate);
        for (auto& index : whole_) index.finish(set_.items.size());
    }
    [[nodiscard]] const evaluation_set& set() const noexcept { return set_; }

    [[nodiscard]] set_overlap compare(std::string_view question, std::span<const std::uint64_t> words) const {
        set_overlap result;
        std::vector<std::pair<std::uint32_t, std::uint32_t>> places;  // (item, word)
        short_.look_up(words, [&](const run_index::place& p) { places.emplace_back(p.item, p.at); });
        std::sort(places.begin(), places.end());
        for (std::size_t i = 0; i < places.size();) {
            const std::uint32_t item = places[i].first;
            std::size_t covered = 0, end = 0;
            for (; i < places.size() && places[i].first == item; ++i) {
                const std::size_t begin = std::max<std::size_t>(end, places[i].second);
                end = places[i].second + options_.short_run;
                covered += end - std::min(begin, end);
            }
            const double share = static_cast<double>(covered) / static_cast<double>(lengths_[item]);
            if (share > result.share) result.share = share, result.item = item;
        }
        if (result.share >= options_.share)
            result.why = std::to_string(std::lround(100 * result.share)) + " % of its question is there word for word";
        const auto found = [&](std::size_t item, std::string why) {
            if (result.why.empty()) result.item = item, result.why = std::move(why);
        };
        long_.look_up(words, [&](const run_index::place& p) {
            found(p.item, std::to_string(options_.long_run) + " words in a row are the same");
        });
        for (const auto& index : whole_)
            index.look_up(words, [&](const run_index::place& p) { found(p.item, "its question is there whole"); });
        if (const auto twin = near_.find(question)) {
            if (twin->similarity > 1 - 1e-9)
                found(twin->item, "its question is the same");
            else if (lengths_[twin->item] >= options_.short_run)
                found(twin->item,
                      "its question is nearly the same, ROUGE-L " + std::to_string(twin->similarity).substr(0, 4));
        }
        return result;
    }

private:
    evaluation_set set_;
    contamination_options options_;
    run_index long_, short_;
    std::vector<run_index> whole_;  // of short questions, by length
    duplicate_index near_;
    std::vector<std::uint32_t> lengths_;  // of the questions
};

}  // namespace detail

/// Sets to keep clear of. Not for several threads at once.
class contamination_index {
public:
    /// @throws config_error for options out of range
    explicit contamination_index(std::vector<evaluation_set> sets, contamination_options options = {})
        : options_(options) {
        if (options_.whole == 0 || options_.whole > options_.short_run || options_.short_run > options_.long_run ||
            !(options_.share > 0 && options_.share <= 1))
            throw config_error(
                explain("contamination", "needs 0 < whole <= short_run <= long_run and a share in (0, 1]"));
        std::map<std::string, std::size_t> names;
        for (auto& set : sets) {
            if (const auto n = ++names[set.name]; n > 1) set.name += " (" + std::to_string(n) + ")";
            sets_.emplace_back(std::move(set), options_);
        }
    }

    [[nodiscard]] std::size_t size() const noexcept { return sets_.size(); }
    [[nodiscard]] const evaluation_set& set(std::size_t s) const { return sets_[s].set(); }
    [[nodiscard]] const contamination_options& options() const noexcept { return options_; }

    /// One for each set. @param question what the sample asks  @param whole all of its text
    [[nodiscard]] std::vector<set_overlap> compare(std::string_view question, std::string_view whole) const {
        const auto words = loose_word_hashes(whole);
        std::vector<set_overlap> overlaps;
        for (const auto& set : sets_) overlaps.push_back(set.compare(question, words));
        return overlaps;
    }

private:
    contamination_options options_;
    std::vector<detail::indexed_set> sets_;
};

/// Reads each file or folder as one set. @throws as read_evaluation_set does
[[nodiscard]] inline std::shared_ptr<const contamination_index> read_sets_to_avoid(
    std::span<const std::filesystem::path> paths, contamination_options options = {}) {
    std::vector<evaluation_set> sets;
    for (const auto& path : paths) sets.push_back(read_evaluation_set(path));
    return std::make_shared<const contamination_index>(std::move(sets), options);
}

}  // namespace lab::sdg
