// Samples to token sequences with their loss mask, through any encoder (text/encode_chat.hpp in practice). Samples
// longer than the limit are dropped or split, and counted by leaf: nothing disappears in silence.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/replay/dataset.hpp"
#include "lab/replay/sample.hpp"

namespace lab::replay {

/// Tokens of a conversation and which of them are learnt.
struct encoded {
    std::vector<token> tokens;
    std::vector<std::uint8_t> trained;  // [tokens]
};

/// `encode(messages, unmask)`: with `unmask` every role but "system" is learnt, else "assistant" alone.
template <class E>
concept ChatEncoder = requires(const E& encode, const text::messages& messages, bool unmask) {
    { encode(messages, unmask) } -> std::convertible_to<encoded>;
};

enum class over_long : std::uint8_t { drop, split };

struct encode_options {
    std::size_t max_tokens = 2048;         // of one sequence, the model's context at most
    over_long too_long = over_long::drop;  // split: consecutive pieces of max_tokens, each a sequence of its own
};

/// What became of one leaf's samples.
struct leaf_report {
    std::size_t kept = 0, dropped = 0, split = 0;  // samples
    std::size_t tokens = 0, trained_tokens = 0;    // of what is kept
    std::size_t longest = 0;                       // tokens of the longest sample, kept or not
};

struct encoded_dataset {
    std::vector<training_sample> samples;
    std::map<std::string, leaf_report> leaves;
};

namespace encode_detail {
/// What an encoder gives; its faults are told with the sample's place in front.
template <ChatEncoder Encoder>
[[nodiscard]] encoded encode_at(const std::string& place, const Encoder& encoder, const text::messages& messages,
                                bool unmask) {
    try {
        return encoder(messages, unmask);
    } catch (const config_error& fault) {
        throw config_error(explain(place, fault.what()));
    } catch (const format_error& fault) {
        throw format_error(explain(place, fault.what()));
    }
}
}  // namespace encode_detail

/// @throws format_error and config_error naming the sample that cannot be encoded or gives nothing to learn;
/// config_error where no sample is left.
template <ChatEncoder Encoder>
[[nodiscard]] encoded_dataset encode_samples(std::span<const sample> samples, const Encoder& encoder,
                                             const encode_options& options = {}) {
    if (options.max_tokens < 2)
        throw config_error("max tokens is below 2 (a sequence needs a token and its successor)");
    encoded_dataset result;
    for (const sample& s : samples) {
        encoded e = encode_detail::encode_at(s.place, encoder, s.messages, s.unmask);
        if (e.tokens.size() != e.trained.size())
            throw shape_error(explain(s.place, "encoder gave " + std::to_string(e.tokens.size()) +
                                                   " tokens with a mask of " + std::to_string(e.trained.size())));
        leaf_report& report = result.leaves[s.leaf];
        report.longest = std::max(report.longest, e.tokens.size());
        const std::size_t response = longest_trained_run(e.trained);
        if (response == 0) throw format_error(explain(s.place, "encodes to nothing that could be learnt"));
        const bool fits = e.tokens.size() <= options.max_tokens;
        if (!fits && options.too_long == over_long::drop) {
            ++report.dropped;
            continue;
        }
        ++(fits ? report.kept : report.split);
        for (std::size_t begin = 0, piece = 0; begin < e.tokens.size(); begin += options.max_tokens, ++piece) {
            const auto first = static_cast<std::ptrdiff_t>(begin);
            const auto last = static_cast<std::ptrdiff_t>(std::min(begin + options.max_tokens, e.tokens.size()));
            training_sample t{.id = fits ? s.id : s.id + "#" + std::to_string(piece),
                              .leaf = s.leaf,
                              .kind = s.kind,
                              .tokens = {e.tokens.begin() + first, e.tokens.begin() + last},
                              .trained = {e.trained.begin() + first, e.trained.begin() + last},
                              .response_tokens = response};
            const std::size_t targets = target_count(t);
            if (targets == 0) continue;  // a piece of the prompt alone
            report.tokens += t.tokens.size();
            report.trained_tokens += targets;
            result.samples.push_back(std::move(t));
        }
    }
    if (result.samples.empty())
        throw config_error("no sample of " + std::to_string(samples.size()) + " fits in " +
                           std::to_string(options.max_tokens) + " tokens (raise the limit, or split)");
    return result;
}

}  // namespace lab::replay
