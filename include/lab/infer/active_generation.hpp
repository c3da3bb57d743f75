// One generation under way: what is decided of it so far, its part in the engine's current step, and how logits become
// its next tokens and text. It knows nothing of other generations.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/tensor.hpp"
#include "lab/core/token.hpp"
#include "lab/infer/generation.hpp"
#include "lab/infer/stop_matcher.hpp"
#include "lab/kernels/loss.hpp"
#include "lab/nn/kv_cache.hpp"
#include "lab/sampling/candidates.hpp"
#include "lab/tokenizer/stream_decoder.hpp"
#include "lab/tokenizer/tokenizer.hpp"

namespace lab::infer {

/// Names a generation within its engine.
using job_id = std::uint64_t;
using finished_callback = std::function<void(generated&&)>;

class active_generation {
public:
    active_generation(job_id i, generation j, finished_callback f, const tokenizer::tokenizer& tokens)
        : id(i),
          job(std::move(j)),
          on_finished(std::move(f)),
          tokenizer_(tokens),
          decoder_(tokens, {.skip_special = true}),
          stops_(job.stop) {}

    job_id id;
    generation job;
    finished_callback on_finished;
    generated result;
    bool cancelled = false;  // ends before the next step
    bool waiting = true;     // not admitted to the batch yet, or no longer
    bool begun = false;      // has had a sequence

    std::vector<token> known;  // decided so far: the prompt, then the forced tokens or the continuation
    std::size_t computed = 0;  // leading tokens of `known` whose keys and values are in the cache
    std::optional<nn::sequence_id> sequence;
    std::vector<token> guess;    // fed after the known tokens, to be checked
    std::size_t confidence = 4;  // tokens worth asking a draft model for

    // Its part of the step under way: tokens of the batch, and wanted rows of logits from `first_row`.
    std::size_t fed = 0, first_row = 0, rows = 0;

    /// Called when it is first admitted; until then it takes no memory for tokens.
    void start() {
        if (!known.empty()) return;
        known = job.prompt;
        known.insert(known.end(), job.forced.begin(), job.forced.end());
    }
    [[nodiscard]] bool scoring() const { return !job.forced.empty(); }
    [[nodiscard]] bool done() const { return done_; }
    /// Tokens still to be computed; nothing follows the last forced one, so it never is.
    [[nodiscard]] std::size_t pending() const { return known.size() - computed - (scoring() ? 1 : 0); }
    /// The token whose logits are needed next.
    [[nodiscard]] std::size_t first_wanted() const {
        return scoring() ? job.prompt.size() - 1 + scored_ : known.size() - 1;
    }
    /// A scored sequence needs the logits before each forced token, a sampled one those of its last token.
    [[nodiscard]] bool wants(std::size_t position) const { return position >= first_wanted(); }

    /// What its sampler draws after the tokens `before`: of the whole vocabulary, or held to its constraint.
    [[nodiscard]] token draw(std::span<const float> logits, std::span<const token> before, bool constrained,
                             sampling::candidates& scratch) {
        scratch.assign(real(logits));
        if (constrained && job.constraint) job.constraint.mask(scratch);
        job.sampler.apply(scratch, before);
        return job.sampler.draw(scratch, before);
    }
    /// After a step's forward pass, whose logits have `rows` rows of this one from `first_row`: scores forced tokens,
    /// or draws the next ones. May run beside that of others.
    void digest(view<const float> logits, sampling::candidates& scratch) {
        computed += fed;
        ends_with_fault([&] {
            if (scoring())
                score(logits);
            else
                draw_rows(logits, scratch);
        });
    }
    /// Takes over what was drawn: text, stop conditions, callback.
    void deliver(std::size_t context_length) {
        if (!done_) ends_with_fault([&] { take_over(context_length); });
    }
    /// Ends it as it stands.
    void cancel() { finish(text::finish_reason::cancelled); }

private:
    struct draw_result {
        token drawn;
        double log_probability;
        std::vector<alternative> alternatives;
    };

    /// What goes wrong in one generation ends that one alone.
    template <class F>
    void ends_with_fault(F&& work) {
        try {
            work();
        } catch (...) {
            result.fault = std::current_exception();
            computed = std::min(computed, known.size());  // guesses after the fault are not known
            finish(text::finish_reason::cancelled);
        }
    }
    /// A model may have more rows than its tokenizer has tokens: those are none.
    [[nodiscard]] std::span<const float> real(std::span<const float> logits) const {
        return logits.first(std::min(logits.size(), tokenizer_.size()));
    }
    void take_over(std::size_t context_length) {
        if (scoring()) {
            if (pending() == 0) finish(text::finish_reason::stop);
            return;
        }
        result.guessed_tokens += guess.size();
        result.guesses_right += drawn_.size() - 1;
        for (std::size_t i = 0; i < drawn_.size(); ++i) {
            auto& [drawn, probability, alternatives] = drawn_[i];
            result.log_probability += probability;
            if (tokenizer_.is_end_of_generation(drawn)) return finish(text::finish_reason::stop);
            result.tokens.push_back(drawn);
            result.log_probabilities.push_back(probability);
            if (job.alternatives > 0) result.alternatives.push_back(std::move(alternatives));
            if (!show(stops_.push(decoder_.push(drawn)))) return finish(text::finish_reason::cancelled);
            if (stops_.stopped()) return finish(text::finish_reason::stop);
            if (i + 1 == drawn_.size() && job.constraint.finished()) return finish(text::finish_reason::stop);
            if (result.tokens.size() >= job.max_tokens || job.prompt.size() + result.tokens.size() >= context_length)
                return finish(text::finish_reason::length);
        }
    }
    /// A token, its log-probability among all rows of the model, and the likeliest others that are tokens.
    [[nodiscard]] draw_result recorded(std::span<const float> logits, token t) const {
        const double sum = kernels::log_sum_exp<kernels::arch::native>(logits);
        const auto log_probability = [&](token any) {
            return static_cast<double>(logits[static_cast<std::size_t>(any)]) - sum;
        };
        draw_result r{t, log_probability(t), {}};
        for (const token other : likeliest(real(logits), job.alternatives))
            r.alternatives.push_back({other, log_probability(other)});
        return r;
    }
    /// The ids of the `count` largest logits, largest first, lower ids first among equals.
    [[nodiscard]] static std::vector<token> likeliest(std::span<const float> logits, std::size_t count) {
        if (count == 0) return {};
        std::vector<token> ids(logits.size());
        std::iota(ids.begin(), ids.end(), token{0});
        const auto end = ids.begin() + static_cast<std::ptrdiff_t>(std::min(count, ids.size()));
        std::partial_sort(ids.begin(), end, ids.end(), [&](token a, token b) {
            const auto at = [&](token any) {
                const float x = logits[static_cast<std::size_t>(any)];
                return x == x ? x : -std::numeric_limits<float>::infinity();
            };
            return at(a) > at(b) || (at(a) == at(b) && a < b);
        });
        ids.erase(end, ids.end());
        return ids;
    }
    void score(view<const float> logits) {
        for (std::size_t r = 0; r < rows; ++r, ++scored_) {
            auto scored = recorded(logits.row(first_row + r), job.forced[scored_]);
            result.log_probabilities.push_back(scored.log_probability);
            result.log_probability += scored.log_probability;
            if (job.alternatives > 0) result.alternatives.push_back(std::move(scored.alternatives));
        }
    }
    void draw_rows(view<const float> logits, sampling::candidates& scratch) {
        drawn_.clear();
        for (std::size_t r = 0; r < rows; ++r) {
            const auto row = logits.row(first_row + r);
            const token next = draw(row, known, true, scratch);
            if (next < 0 || static_cast<std::size_t>(next) >= real(row).size())
                throw config_error("engine: the sampler drew " + std::to_string(next) + ", which is no token");
            drawn_.push_back(recorded(row, next));
            const bool ends = tokenizer_.is_end_of_generation(next);
            if (!ends && job.constraint) job.constraint.advance(next);
            known.push_back(next);  // after all that may throw: what is known and cached stays the same text
            if (ends || (job.constraint && job.constraint.finished())) break;
            if (r < guess.size() && next != guess[r]) break;
        }
        computed -= guess.size() + 1 - drawn_.size();
        if (!guess.empty()) confidence = drawn_.size() > guess.size() ? guess.size() + 2 : drawn_.size();
    }
    bool show(const std::string& piece) {
        if (piece.empty()) return true;
        result.text += piece;
        return !job.on_text || job.on_text(piece);
    }
    /// The rest of the text is shown too, but not to who wanted no more of it.
    void finish(text::finish_reason reason) {
        done_ = true;
        result.finish = reason;
        result.prompt_tokens = job.prompt.size();
        if (scoring())
            result.tokens.assign(job.forced.begin(), job.forced.begin() + static_cast<std::ptrdiff_t>(scored_));
        if (scoring() || stops_.stopped()) return;
        std::string rest = stops_.push(decoder_.flush());
        rest += stops_.flush();
        if (reason == text::finish_reason::cancelled)
            result.text += rest;
        else
            show(rest);
    }

    tokenizer::tokenizer tokenizer_;
    tokenizer::stream_decoder decoder_;
    stop_matcher stops_;
    std::size_t scored_ = 0;          // forced tokens
    std::vector<draw_result> drawn_;  // in this step: one, and one more for each guess that came true
    bool done_ = false;
};

}  // namespace lab::infer
