// The unit of training: one conversation turned into tokens with a mask of those that are learnt, and what kind of leaf
// it comes from. Everything behind the dataset reader (buckets, buffers, phases, packing) sees only this. Holds no text
// and no tokenizer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/token.hpp"

namespace lab::replay {

/// The three top branches of a LAB taxonomy (arXiv 2403.01081, section 3.1), and what a model could do before
/// (run/self_replay.hpp).
enum class sample_kind : std::uint8_t { knowledge, foundational, compositional, general };
/// The branches.
inline constexpr std::array<sample_kind, 3> sample_kinds{sample_kind::knowledge, sample_kind::foundational,
                                                         sample_kind::compositional};

[[nodiscard]] constexpr std::string_view to_string(sample_kind kind) noexcept {
    constexpr std::array<std::string_view, 4> names{"knowledge", "foundational", "compositional", "general"};
    return names[static_cast<std::size_t>(kind)];
}

/// Reads a kind from its name or from a leaf's path, whose first part is `knowledge`, `foundational[_skills]` or
/// `compositional[_skills]` followed by the end, "/", "->", "_" or "."; or it is "general" and nothing else.
[[nodiscard]] constexpr std::optional<sample_kind> parse_kind(std::string_view text) noexcept {
    if (text == to_string(sample_kind::general)) return sample_kind::general;
    for (const sample_kind kind : sample_kinds) {
        const std::string_view name = to_string(kind);
        if (!text.starts_with(name)) continue;
        const std::string_view rest = text.substr(name.size());
        if (rest.empty() || rest[0] == '/' || rest[0] == '_' || rest[0] == '.' || rest.starts_with("->")) return kind;
    }
    return std::nullopt;
}

/// `response_tokens` of a sample that counts as long whatever its length: a piece of plain text.
inline constexpr std::size_t always_long = static_cast<std::size_t>(-1);

struct training_sample {
    std::string id;
    std::string leaf;
    sample_kind kind = sample_kind::compositional;
    std::vector<token> tokens;
    std::vector<std::uint8_t> trained;  // [tokens] 1 where the token is learnt, i.e. is a target
    std::size_t response_tokens = 0;    // longest unbroken run of learnt tokens: what "short" and "long" measure
    std::size_t chosen_tokens = 0;  // of a pair of answers: the first so many tokens are the prompt and the one that
                                    // is preferred, the others the prompt and the one rejected; 0: no pair
};

/// The longest unbroken run of learnt tokens.
[[nodiscard]] constexpr std::size_t longest_trained_run(const std::vector<std::uint8_t>& trained) noexcept {
    std::size_t best = 0, run = 0;
    for (const std::uint8_t t : trained) {
        run = t != 0 ? run + 1 : 0;
        best = run > best ? run : best;
    }
    return best;
}

/// Tokens that give a loss. The first token of a sequence has no predecessor, so it is never a target.
[[nodiscard]] constexpr std::size_t target_count(const training_sample& sample) noexcept {
    std::size_t n = 0;
    for (std::size_t i = 1; i < sample.trained.size(); ++i) n += sample.trained[i] != 0 && i != sample.chosen_tokens;
    return n;
}

}  // namespace lab::replay
