// Budgets of tokens for parts of a taxonomy, and the choice of samples that fills them without taking one twice. A part
// is a path: "knowledge", "compositional_skills/writing", "knowledge->science". Within a part the next sample always
// comes from the leaf that has the fewest tokens so far, so that large leaves do not drown small ones; what cannot be
// filled is counted. Does not count tokens itself.
#pragma once

#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <queue>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"
#include "lab/formats/text_bytes.hpp"

namespace lab::sdg {

struct token_budget {
    std::string file;  // "skills_train" or "knowledge_train": only in that file; empty: in every one
    std::string path;  // as written
    std::uint64_t tokens = 0;
};

/// "200k", "1.5M", "50000": a number of tokens. @throws config_error naming `place`
[[nodiscard]] inline std::uint64_t parse_token_count(std::string_view text, std::string_view place) {
    const auto refuse = [&](const char* why) {
        throw config_error(explain(place, formats::quote(text) + " " + why, "write 50000, 200k or 1.5M"));
    };
    double unit = 1;
    std::string digits(text);
    if (!digits.empty()) {
        const char last = digits.back();
        unit = last == 'k' || last == 'K'   ? 1e3
               : last == 'm' || last == 'M' ? 1e6
               : last == 'g' || last == 'G' ? 1e9
                                            : 1;
        if (unit > 1) digits.pop_back();
    }
    if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789.") != digits.npos ||
        digits.find('.') != digits.rfind('.') || digits == ".")
        refuse("is no number of tokens");
    const double tokens = std::floor(std::stod(digits) * unit + 0.5);
    if (!(tokens >= 1)) refuse("is no number of tokens above 0");
    if (tokens > 1e15) refuse("is more than any dataset has");
    return static_cast<std::uint64_t>(tokens);
}

/// "PATH=TOKENS" or "FILE:PATH=TOKENS", as --budget takes it. @throws config_error
[[nodiscard]] inline token_budget parse_budget(std::string_view text) {
    const auto equals = text.rfind('=');
    if (equals == text.npos || equals == 0)
        throw config_error(explain("budget", formats::quote(text) + " names no part of the taxonomy",
                                   "write knowledge=200k or compositional_skills/writing=50k"));
    token_budget b;
    b.path = text.substr(0, equals);
    if (const auto colon = b.path.find(':'); colon != b.path.npos) {
        b.file = b.path.substr(0, colon);
        b.path.erase(0, colon + 1);
        if ((b.file != "knowledge_train" && b.file != "skills_train") || b.path.empty())
            throw config_error(explain("budget", formats::quote(text) + " is for no file that is written",
                                       "write knowledge_train:PATH=TOKENS or skills_train:PATH=TOKENS"));
    }
    b.tokens = parse_token_count(text.substr(equals + 1), "budget " + b.path);
    return b;
}

namespace mix_detail {

/// The parts of "a->b/c": a, b, c.
[[nodiscard]] inline std::vector<std::string> path_parts(std::string_view path) {
    std::vector<std::string> parts(1);
    for (std::size_t i = 0; i < path.size(); ++i) {
        const bool arrow = path[i] == '-' && i + 1 < path.size() && path[i + 1] == '>';
        if (arrow || path[i] == '/') {
            i += arrow;
            if (!parts.back().empty()) parts.emplace_back();
        } else {
            parts.back() += path[i];
        }
    }
    if (parts.back().empty()) parts.pop_back();
    return parts;
}
/// "compositional" and "foundational" stand for their folders.
[[nodiscard]] inline std::string root_folder(std::string_view name) {
    return std::string(name) + (name == "compositional" || name == "foundational" ? "_skills" : "");
}

}  // namespace mix_detail

/// Whether a leaf lies in the part of the taxonomy that `path` names. A leaf is a path too, or, as InstructLab writes
/// it, one with all parts joined by "_"; `kind` tells the root of a sample that names no leaf.
[[nodiscard]] inline bool in_subtree(std::string_view path, std::string_view leaf, std::string_view kind) {
    auto wanted = mix_detail::path_parts(path);
    if (wanted.empty()) return true;  // "/": everything
    wanted[0] = mix_detail::root_folder(wanted[0]);
    auto parts = mix_detail::path_parts(leaf);
    if (parts.size() == 1 && (wanted.size() > 1 || parts[0] != wanted[0])) {
        std::string joined;
        for (const auto& part : wanted) joined += (joined.empty() ? "" : "_") + part;
        if (leaf.starts_with(joined) && (leaf.size() == joined.size() || leaf[joined.size()] == '_')) return true;
    }
    if (wanted.size() == 1 && wanted[0] == mix_detail::root_folder(kind)) return true;
    if (!parts.empty()) parts[0] = mix_detail::root_folder(parts[0]);
    if (parts.size() < wanted.size()) return false;
    for (std::size_t i = 0; i < wanted.size(); ++i)
        if (parts[i] != wanted[i]) return false;
    return true;
}

/// What became of one budget.
struct budget_report {
    token_budget asked;
    std::uint64_t tokens = 0, samples = 0;                // taken
    std::uint64_t supply_tokens = 0, supply_samples = 0;  // there were
    std::uint64_t repeats = 0;                            // asked for by a sampling_size, not taken
    [[nodiscard]] std::uint64_t short_by() const { return asked.tokens - tokens; }
};

/// A sample that a budget may take.
struct budget_candidate {
    std::uint64_t tokens = 0;
    std::uint32_t leaf = 0;                          // index of its leaf: the turns
    std::vector<std::uint32_t> const* in = nullptr;  // the budgets that it falls under, at least one
    bool taken = false;
};

/// Marks what is taken: at most `tokens` in each budget; a sample under several must fit into all of them. The order
/// within a leaf is random by `seed`.
inline void fill_budgets(std::span<budget_candidate> candidates, std::span<budget_report> budgets, std::uint64_t seed) {
    std::vector<std::vector<std::size_t>> leaves;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (candidates[i].leaf >= leaves.size()) leaves.resize(candidates[i].leaf + std::size_t{1});
        leaves[candidates[i].leaf].push_back(i);
        for (const auto b : *candidates[i].in) {
            budgets[b].supply_tokens += candidates[i].tokens;
            ++budgets[b].supply_samples;
        }
    }
    struct turn {
        std::uint64_t tokens;  // of the leaf so far
        std::size_t leaf, next;
        bool operator>(const turn& other) const {
            return tokens != other.tokens ? tokens > other.tokens : leaf > other.leaf;
        }
    };
    std::priority_queue<turn, std::vector<turn>, std::greater<>> turns;
    for (std::size_t l = 0; l < leaves.size(); ++l) {
        counter_rng rng(seed, hash64("budget", l + 1));
        shuffle(leaves[l], rng);
        if (!leaves[l].empty()) turns.push({0, l, 0});
    }
    while (!turns.empty()) {
        turn t = turns.top();
        turns.pop();
        bool took = false;
        while (t.next < leaves[t.leaf].size() && !took) {
            auto& c = candidates[leaves[t.leaf][t.next++]];
            bool fits = true;
            for (const auto b : *c.in) fits = fits && budgets[b].tokens + c.tokens <= budgets[b].asked.tokens;
            if (!fits) continue;
            for (const auto b : *c.in) budgets[b].tokens += c.tokens, ++budgets[b].samples;
            t.tokens += c.tokens;
            c.taken = took = true;
        }
        if (took) turns.push(t);
    }
}

}  // namespace lab::sdg
