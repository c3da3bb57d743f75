// Guesses by a small model at what a large one will say (speculative decoding, Leviathan et al. 2022,
// arXiv:2211.17192). The engine checks every guess against what it draws itself, so a draft changes speed and nothing
// else. When sampling too, a guess is often right: it is drawn as the engine will draw, from the same random number.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/function_ref.hpp"
#include "lab/core/token.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/batch_builder.hpp"

namespace lab::infer {

class drafter {
public:
    /// `vocabulary`: how many tokens the large model's tokenizer has; the draft must have the same ones.
    /// @throws config_error where the draft has fewer, or a sliding window (its cache could not step back).
    drafter(nn::any_model model, std::size_t vocabulary, nn::kv_cache_options cache)
        : model_(std::move(model)), cache_(model_.make_cache(cache)), vocabulary_(vocabulary) {
        if (model_.dims().vocab < vocabulary)
            throw config_error(explain(
                "draft model",
                "it has only " + std::to_string(model_.dims().vocab) + " of " + std::to_string(vocabulary) + " tokens",
                "use one with the same tokenizer"));
        if (model_.dims().window != 0)
            throw config_error("draft model: it has a sliding window, which cannot step back");
    }

    /// Up to `most` tokens that may follow `known`, one after another as `draw(logits, tokens before)` chooses them.
    /// `job` names the text that grows from call to call.
    [[nodiscard]] std::vector<token> guess(
        std::uint64_t job, std::span<const token> known, std::size_t most,
        function_ref<token(std::span<const float> logits, std::span<const token> before)> draw) {
        const std::size_t context = model_.info().context_length;
        if (most == 0 || known.empty() || (context != 0 && known.size() + most > context)) return {};
        auto& text = text_of(job);
        const auto end =
            text.tokens.begin() + static_cast<std::ptrdiff_t>(std::min(text.tokens.size(), known.size() - 1));
        const auto same = std::mismatch(text.tokens.begin(), end, known.begin()).first - text.tokens.begin();
        text.tokens.resize(static_cast<std::size_t>(same));
        cache_.truncate(text.sequence, static_cast<std::int32_t>(same));
        std::vector<token> history(known.begin(), known.end());
        for (std::size_t fed = static_cast<std::size_t>(same); history.size() < known.size() + most;) {
            const auto logits = append(text, std::span(history).subspan(fed));
            if (logits.empty()) break;
            fed = history.size();
            history.push_back(draw(logits, history));
        }
        return {history.begin() + static_cast<std::ptrdiff_t>(known.size()), history.end()};
    }
    /// The text is finished.
    void forget(std::uint64_t job) {
        const auto found = texts_.find(job);
        if (found == texts_.end()) return;
        cache_.release(found->second.sequence);
        texts_.erase(found);
    }

private:
    struct text_state {
        nn::sequence_id sequence;
        std::vector<token> tokens;  // whose keys and values are in the cache
    };

    text_state& text_of(std::uint64_t job) {
        const auto found = texts_.find(job);
        return found != texts_.end() ? found->second
                                     : texts_.emplace(job, text_state{cache_.create(), {}}).first->second;
    }
    /// Appends tokens and returns the logits of the next one; none where the cache has no room for them.
    std::span<const float> append(text_state& text, std::span<const token> next) {
        constexpr std::size_t chunk = 512;
        view<const float> logits;
        while (!next.empty()) {
            const auto part = next.first(std::min(chunk, next.size()));
            next = next.subspan(part.size());
            if (cache_.blocks_needed(text.sequence, part.size()) > cache_.free_blocks()) return {};
            nn::batch_builder batch;
            batch.add(part, static_cast<std::int32_t>(text.tokens.size()));
            const auto last = static_cast<std::uint32_t>(part.size() - 1);
            logits = model_.forward(batch.get(), cache_, std::span(&text.sequence, 1),
                                    std::span(&last, next.empty() ? 1 : 0));
            text.tokens.insert(text.tokens.end(), part.begin(), part.end());
        }
        return logits.row(0).first(vocabulary_);
    }

    nn::any_model model_;
    nn::kv_cache<float> cache_;
    std::size_t vocabulary_;
    std::map<std::uint64_t, text_state> texts_;
};

}  // namespace lab::infer
