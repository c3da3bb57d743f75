// Only the given strings can come out. Works on bytes: a string may be split into tokens in any way the vocabulary
// allows, and the chances of the ways add up. The end-of-generation token is allowed exactly where a string is
// complete.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/function_ref.hpp"
#include "lab/sampling/candidates.hpp"
#include "lab/sampling/token_trie.hpp"

namespace lab::sampling {

struct choice_options {
    bool leading_space = false;  // one space before the string is allowed, for models whose words begin with it
};

/// @throws config_error when the list is empty, or a string is empty or repeated, be it with the leading space.
inline void check_choices(const std::vector<std::string>& choices, choice_options options = {}) {
    if (choices.empty()) throw config_error("the list of choices is empty (give at least one string)");
    std::vector<std::string_view> sorted(choices.begin(), choices.end());
    std::sort(sorted.begin(), sorted.end());
    if (sorted.front().empty()) throw config_error("a choice is empty (each needs at least one character)");
    if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
        throw config_error("choice \"" + std::string(*twice) + "\" is given twice");
    for (std::size_t i = 0; options.leading_space && i < choices.size(); ++i)
        if (std::binary_search(sorted.begin(), sorted.end(), " " + choices[i]))
            throw config_error("choice \" " + choices[i] + "\" is also choice \"" + choices[i] +
                               "\" behind the space that may come first here (leave one of them out)");
}

/// A constraint is a small state machine: ask `allowed` or `mask` before each token, `advance` after it. Copies are
/// independent states. The trie must outlive it.
class choice_constraint {
public:
    /// @throws config_error as check_choices does, and when the vocabulary cannot spell a string.
    choice_constraint(const token_trie& trie, const std::vector<std::string>& choices, choice_options options = {})
        : trie_(&trie) {
        check_choices(choices, options);
        for (std::size_t i = 0; i < choices.size(); ++i) {
            strings_.push_back({choices[i], i, {}});
            if (options.leading_space) strings_.push_back({" " + choices[i], i, {}});
        }
        std::sort(strings_.begin(), strings_.end(), [](const entry& a, const entry& b) { return a.text < b.text; });
        for (auto& s : strings_) find_completable(s);
        for (const auto& s : strings_)
            if (!s.completable[0])
                throw config_error("no tokens of this vocabulary spell the choice \"" + s.text + "\"");
        end_ = strings_.size();
    }

    /// The tokens that may come next, ascending.
    void allowed(std::vector<token>& out) const {
        out.clear();
        if (!ended_) {
            collect(trie_->root(), {begin_, end_, depth_}, out);
            if (can_end()) out.insert(out.end(), trie_->end_tokens().begin(), trie_->end_tokens().end());
        } else {
            out.assign(trie_->end_tokens().begin(), trie_->end_tokens().end());
        }
        std::sort(out.begin(), out.end());
    }
    /// Keeps only allowed tokens.
    void mask(candidates& c) const {
        std::vector<token> ids;
        allowed(ids);
        c.keep_ids(ids);
    }
    /// @throws config_error when the token is not allowed here.
    void advance(token id) {
        if (trie_->is_end(id) && can_end()) {
            ended_ = true;
            return;
        }
        state s{begin_, end_, depth_};
        const std::string_view bytes = trie_->bytes(id);
        bool fine = !bytes.empty() && !ended_;
        for (std::size_t i = 0; fine && i < bytes.size(); ++i) fine = step(s, bytes[i]);
        if (!fine) throw config_error("token " + std::to_string(id) + " does not continue any of the choices");
        begin_ = s.begin, end_ = s.end, depth_ = s.depth;
    }
    /// Whether the text so far is one of the strings.
    [[nodiscard]] bool can_end() const { return strings_[begin_].text.size() == depth_; }
    /// Whether nothing can follow: the text is complete, and no other string goes on from it.
    [[nodiscard]] bool finished() const { return ended_ || (can_end() && end_ - begin_ == 1); }
    /// Index of the string that the text so far is, in the order given to the constructor.
    [[nodiscard]] std::optional<std::size_t> chosen() const {
        return can_end() ? std::optional(strings_[begin_].index) : std::nullopt;
    }

private:
    struct entry {
        std::string text;
        std::size_t index;
        std::vector<bool> completable;  // [size + 1] whether tokens spell the rest from each byte on
    };
    struct state {  // the sorted strings [begin, end) share the text so far, which has `depth` bytes
        std::size_t begin, end, depth;
    };

    bool step(state& s, char byte) const {
        const auto want = static_cast<unsigned char>(byte);
        const auto at = [&](const entry& e) {
            return e.text.size() > s.depth ? static_cast<unsigned char>(e.text[s.depth]) : -1;
        };
        const auto first = strings_.begin() + static_cast<std::ptrdiff_t>(s.begin);
        const auto last = strings_.begin() + static_cast<std::ptrdiff_t>(s.end);
        const auto low = std::partition_point(first, last, [&](const entry& e) { return at(e) < want; });
        const auto high = std::partition_point(low, last, [&](const entry& e) { return at(e) <= want; });
        s = {static_cast<std::size_t>(low - strings_.begin()), static_cast<std::size_t>(high - strings_.begin()),
             s.depth + 1};
        return low != high;
    }
    void collect(const token_trie::node& node, state s, std::vector<token>& out) const {
        const auto here = trie_->tokens(node);
        const auto first = strings_.begin() + static_cast<std::ptrdiff_t>(s.begin);
        const auto last = strings_.begin() + static_cast<std::ptrdiff_t>(s.end);
        if (!here.empty() && std::any_of(first, last, [&](const entry& e) { return e.completable[s.depth]; }))
            out.insert(out.end(), here.begin(), here.end());
        for (std::size_t i = s.begin; i < s.end;) {  // one turn for each distinct next byte
            if (strings_[i].text.size() == s.depth) {
                ++i;
                continue;
            }
            const char byte = strings_[i].text[s.depth];
            state next = s;
            step(next, byte);
            if (const auto* child = trie_->child(node, static_cast<unsigned char>(byte))) collect(*child, next, out);
            i = next.end;
        }
    }
    void find_completable(entry& e) const {
        e.completable.assign(e.text.size() + 1, false);
        e.completable.back() = true;
        for (std::size_t i = e.text.size(); i-- > 0;) {
            const auto* node = &trie_->root();
            for (std::size_t j = i; j < e.text.size() && !e.completable[i]; ++j) {
                node = trie_->child(*node, static_cast<unsigned char>(e.text[j]));
                if (node == nullptr) break;
                e.completable[i] = node->token_count > 0 && e.completable[j + 1];
            }
        }
    }

    const token_trie* trie_;
    std::vector<entry> strings_;  // sorted
    std::size_t begin_ = 0, end_ = 0, depth_ = 0;
    bool ended_ = false;
};

/// Logits [vocabulary] after the prompt followed by `path`.
using logits_after = function_ref<std::span<const float>(std::span<const token> path)>;

struct choice_scores {
    std::vector<double>
        probabilities;            // of each choice under constrained sampling at temperature 1; sums to 1 - unexplored
    double unexplored = 0.0;      // mass of the ways to spell that were too unlikely to follow
    std::size_t evaluations = 0;  // how often the model was asked
};

/// The exact probability of each choice: the sum over all ways to spell it of the product of the renormalised steps.
/// Ways less likely than min_mass are not followed; their mass is reported.
[[nodiscard]] inline choice_scores score_choices(const choice_constraint& start, std::size_t choices,
                                                 logits_after model, double min_mass = 1e-4) {
    choice_scores result;
    result.probabilities.assign(choices, 0.0);
    std::vector<token> path;
    const auto follow = [&](const auto& self, const choice_constraint& state, double mass) -> void {
        candidates c(model(path));
        ++result.evaluations;
        state.mask(c);
        const auto p = c.probabilities();
        for (std::size_t i = 0; i < c.size(); ++i) {
            const double share = mass * p[i];
            if (share == 0.0) continue;
            choice_constraint next = state;
            next.advance(c[i].id);
            if (next.finished()) {
                result.probabilities[*next.chosen()] += share;
            } else if (share < min_mass) {
                result.unexplored += share;
            } else {
                path.push_back(c[i].id);
                self(self, next, share);
                path.pop_back();
            }
        }
    };
    follow(follow, start, 1.0);
    return result;
}

}  // namespace lab::sampling
