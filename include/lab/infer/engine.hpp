// Runs many generations through one model: sequences join the batch and leave it at any step, prompts are prefilled in
// chunks beside decoding, and a prefix that some sequence has computed already is shared instead of computed again.
// The result of a generation does not depend on its company (docs/design/0002-one-ragged-batch.md). One thread drives
// it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/infer/generation.hpp"
#include "lab/infer/lookup.hpp"
#include "lab/infer/stop_matcher.hpp"
#include "lab/kernels/loss.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/sampling/candidates.hpp"
#include "lab/tokenizer/stream_decoder.hpp"
#include "lab/tokenizer/tokenizer.hpp"

namespace lab::infer {

struct engine_options {
    std::size_t max_sequences = 16;      // generated at once
    std::size_t max_batch_tokens = 512;  // per step, prefill and decoding together
    std::size_t max_logit_rows = 128;    // per step; bounds the memory of scoring
    std::size_t kept_sequences = 32;     // finished ones kept for their prefixes, least recently used go first
    std::size_t cache_bytes = std::size_t{1} << 30;  // bound of the key-value cache
    dtype cache_type = dtype::f16;                   // of its elements: f32, f16 or bf16
    std::size_t lookup_tokens = 0;  // guessed from the text itself and checked in one step, while few sequences decode
};

/// How a caller follows a run; both may be empty.
struct run_watch {
    std::function<void(std::size_t job, const generated&)> on_finished;  // as each job ends, in any order
    std::function<bool()> keep_going;                                    // asked after each step; false ends the run
};

class engine {
public:
    engine(nn::any_model model, tokenizer::tokenizer tokens, engine_options options = {})
        : model_(std::move(model)),
          tokenizer_(std::move(tokens)),
          options_(options),
          cache_(model_.make_cache({.max_bytes = options.cache_bytes, .type = options.cache_type})) {
        if (options.max_sequences == 0 || options.max_batch_tokens < options.max_sequences ||
            options.max_logit_rows == 0)
            throw config_error("engine: max_batch_tokens must be at least max_sequences, and both at least 1");
        if (tokenizer_.size() > model_.dims().vocab)
            throw config_error(explain("engine",
                                       "the tokenizer has " + std::to_string(tokenizer_.size()) +
                                           " tokens, the model only " + std::to_string(model_.dims().vocab),
                                       "use the tokenizer that the model was trained with"));
    }

    [[nodiscard]] const tokenizer::tokenizer& tokens() const { return tokenizer_; }
    [[nodiscard]] nn::any_model& model() { return model_; }
    /// Positions a prompt and its continuation may have together.
    [[nodiscard]] std::size_t context_length() const {
        const std::size_t trained = model_.info().context_length, fits = cache_.max_blocks() * kv_block_size;
        return trained == 0 ? fits : std::min(trained, fits);
    }

    /// Runs all jobs; results in the jobs' order. What `watch` leaves unfinished ends as finish_reason::cancelled.
    /// @throws config_error for an empty prompt or one that does not fit the context, before anything runs.
    [[nodiscard]] std::vector<generated> run(std::span<generation> jobs, const run_watch& watch = {}) {
        for (const auto& job : jobs) check(job);
        std::vector<generated> results(jobs.size());
        for (auto& r : results) r.finish = text::finish_reason::cancelled;
        std::list<slot> active;
        std::size_t next = 0;
        try {
            while (next < jobs.size() || !active.empty()) {
                for (; next < jobs.size() && active.size() < options_.max_sequences; ++next)
                    active.emplace_back(next, jobs[next], results[next], tokenizer_);
                step(active);
                for (auto& s : active)
                    if (s.done && watch.on_finished) watch.on_finished(s.index, *s.result);
                const bool go_on = !watch.keep_going || watch.keep_going();
                std::erase_if(active, [&](slot& s) {
                    if (s.done || !go_on) keep(s);
                    return s.done || !go_on;
                });
                if (!go_on) break;
            }
        } catch (...) {
            for (auto& s : active)
                if (s.sequence) cache_.release(*s.sequence);
            throw;
        }
        return results;
    }
    [[nodiscard]] generated run_one(generation job) { return std::move(run(std::span(&job, 1)).front()); }

    /// Drops the prefixes kept from earlier runs.
    void forget() {
        while (!kept_.empty()) evict();
    }

private:
    /// One active generation: `known` are the tokens decided so far (prompt, then continuation).
    struct slot {
        slot(std::size_t i, generation& j, generated& r, const tokenizer::tokenizer& t)
            : index(i), job(&j), result(&r), known(j.prompt), decoder(t, {.skip_special = true}), stops(j.stop) {
            known.insert(known.end(), j.forced.begin(), j.forced.end());
        }
        [[nodiscard]] bool scoring() const { return !job->forced.empty(); }
        /// Tokens still to be computed; nothing follows the last forced one, so it never is.
        [[nodiscard]] std::size_t pending() const { return known.size() - computed - (scoring() ? 1 : 0); }

        std::size_t index;
        generation* job;
        generated* result;
        std::vector<token> known;
        std::size_t computed = 0;  // leading tokens of `known` whose keys and values are in the cache
        std::optional<nn::sequence_id> sequence;
        tokenizer::stream_decoder decoder;
        stop_matcher stops;
        // Its part of the step under way:
        std::size_t begin = 0, fed = 0, first_row = 0, rows = 0;
        std::vector<token> guess;    // fed after the known tokens
        std::size_t confidence = 1;  // tokens worth guessing: more after guesses that came true
        struct draw {
            token id;
            double log_probability;
        };
        std::vector<draw> drawn;  // one, and one more for each guess that came true
        bool done = false;
    };
    struct kept_sequence {
        nn::sequence_id id;
        std::vector<token> tokens;
    };

    void check(const generation& job) const {
        const std::size_t length = job.prompt.size() + job.forced.size();
        if (job.prompt.empty()) throw config_error("engine: a prompt needs at least one token");
        if (job.max_tokens == 0) throw config_error("engine: max_tokens must be at least 1");
        if (length > context_length() || (job.forced.empty() && length >= context_length()))
            throw config_error(explain("engine",
                                       "a prompt of " + std::to_string(length) +
                                           " tokens does not fit the context of " + std::to_string(context_length()),
                                       "shorten it"));
        for (const auto* list : {&job.prompt, &job.forced})
            for (const token id : *list)
                if (id < 0 || static_cast<std::size_t>(id) >= model_.dims().vocab)
                    throw config_error("engine: token " + std::to_string(id) + " is outside the vocabulary");
    }

    static std::size_t common_prefix(std::span<const token> a, std::span<const token> b) {
        const std::size_t n = std::min(a.size(), b.size());
        return static_cast<std::size_t>(
            std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(n), b.begin()).first - a.begin());
    }

    /// Gives a new slot the longest prefix that exists; not yet, where an earlier slot is about to compute a longer
    /// one.
    void start(std::list<slot>& active, slot& s) {
        // The last prompt token is always computed, for its logits; so is the first token whose successor is scored.
        const std::size_t most = s.job->prompt.size() - 1;
        std::size_t best = 0, promised = 0;
        std::optional<nn::sequence_id> from;
        for (auto& other : active) {
            if (&other == &s) break;
            const std::size_t common = std::min(common_prefix(s.known, other.known), most);
            promised = std::max(promised, common);
            if (other.sequence && std::min(common, other.computed) > best) {
                best = std::min(common, other.computed);
                from = other.sequence;
            }
        }
        if (promised >= best + kv_block_size / 2) return;
        for (auto k = kept_.begin(); k != kept_.end(); ++k) {
            const std::size_t common = std::min(common_prefix(s.known, k->tokens), most);
            if (common > best) {
                best = common;
                from = k->id;
                kept_.splice(kept_.begin(), kept_, k);
                k = kept_.begin();
            }
        }
        s.sequence = from && best != 0 ? fork_or_create(*from, best) : cache_.create();
        s.computed = static_cast<std::size_t>(cache_.length(*s.sequence));
        s.result->cached_tokens = s.computed;
    }
    nn::sequence_id fork_or_create(nn::sequence_id from, std::size_t length) {
        try {
            return cache_.fork(from, static_cast<std::int32_t>(length));
        } catch (const config_error&) {  // a sliding window has dropped what the fork would need
            return cache_.create();
        }
    }

    /// Makes room for `count` more positions of a sequence, at the cost of kept prefixes.
    bool make_room(nn::sequence_id id, std::size_t count) {
        while (reserved_ + cache_.blocks_needed(id, count) > cache_.free_blocks()) {
            if (kept_.empty()) return false;
            evict();
        }
        reserved_ += cache_.blocks_needed(id, count);
        return true;
    }
    void evict() {
        cache_.release(kept_.back().id);
        kept_.pop_back();
    }

    /// Collects a batch: first the sequences that decode, then prompts in chunks. False: the cache has no room for
    /// anyone.
    bool collect(std::list<slot>& active, bool admit) {
        tokens_.clear();
        positions_.clear();
        offsets_.assign(1, 0);
        rows_.clear();
        sequences_.clear();
        reserved_ = 0;
        for (auto& s : active) {
            s.fed = s.rows = 0;
            if (admit && !s.sequence) start(active, s);
        }
        for (const bool decoding : {true, false})
            for (auto& s : active)
                if (s.sequence && (s.pending() == 1) == decoding) feed(s);
        return !tokens_.empty();
    }

    /// One forward pass over whatever fits.
    void step(std::list<slot>& active) {
        for (bool admit = true; !collect(active, admit); admit = false) {
            // The youngest sequence gives its blocks to the older ones and is computed again later.
            const auto last =
                std::find_if(active.rbegin(), active.rend(), [](const slot& s) { return s.sequence.has_value(); });
            const auto others =
                std::count_if(active.begin(), active.end(), [](const slot& s) { return s.sequence.has_value(); });
            if (others < 2)
                throw config_error(
                    explain("engine", "the key-value cache has no room for one sequence", "raise cache_bytes"));
            cache_.release(*last->sequence);
            last->sequence.reset();
            last->computed = 0;
        }
        const auto logits = model_.forward({tokens_, positions_, offsets_}, cache_, sequences_, rows_);
        std::vector<slot*> live;
        for (auto& s : active) {
            s.computed += s.fed;
            if (s.rows != 0) live.push_back(&s);
        }
        scratch_.resize(std::max(scratch_.size(), model_.pool().size()));
        model_.pool().share_out(live.size(), 1, [&](std::size_t begin, std::size_t end, std::size_t worker) {
            for (std::size_t i = begin; i < end; ++i) digest(*live[i], logits, scratch_[worker]);
        });
        for (auto* s : live) {
            if (const auto held = static_cast<std::int32_t>(s->computed); cache_.length(*s->sequence) > held)
                cache_.truncate(*s->sequence, held);  // guesses that did not come true
            deliver(*s);
        }
    }

    /// Adds the next tokens of a slot to the batch, if there is room for them.
    void feed(slot& s) {
        std::size_t count =
            std::min(s.pending(), options_.max_batch_tokens - std::min(options_.max_batch_tokens, tokens_.size()));
        const std::size_t first_scored = s.job->prompt.size() - 1;  // the token whose logits matter first
        if (s.computed + count > first_scored) {
            const std::size_t silent = first_scored > s.computed ? first_scored - s.computed : 0;
            count =
                std::min(count, silent + (options_.max_logit_rows - std::min(options_.max_logit_rows, rows_.size())));
        }
        if (count == 0) return;
        make_guess(s, count);
        if (!make_room(*s.sequence, count + s.guess.size())) {
            s.guess.clear();
            if (!make_room(*s.sequence, count)) return;
        }
        s.begin = tokens_.size();
        s.first_row = rows_.size();
        for (std::size_t i = s.computed; i < s.computed + count; ++i) {
            // A scored sequence needs the logits before each forced token, a sampled one those of its last token.
            const bool wanted = s.scoring() ? i >= first_scored : i + 1 == s.known.size();
            if (wanted) rows_.push_back(static_cast<std::uint32_t>(tokens_.size()));
            tokens_.push_back(s.known[i]);
            positions_.push_back(static_cast<std::int32_t>(i));
        }
        for (const token id : s.guess) {
            rows_.push_back(static_cast<std::uint32_t>(tokens_.size()));
            tokens_.push_back(id);
            positions_.push_back(positions_.back() + 1);
        }
        s.rows = rows_.size() - s.first_row;
        s.fed = count + s.guess.size();
        offsets_.push_back(static_cast<std::uint32_t>(tokens_.size()));
        sequences_.push_back(*s.sequence);
    }

    /// Guesses where that is cheap: a step's time hardly depends on its first few rows.
    void make_guess(slot& s, std::size_t count) const {
        constexpr std::size_t cheap_rows = 16;
        s.guess.clear();
        if (s.scoring() || count != 1 || s.pending() != 1 || model_.dims().window != 0) return;
        const std::size_t left =
            std::min(s.job->max_tokens - s.result->tokens.size(), context_length() - s.known.size());
        const auto room = [](std::size_t limit, std::size_t used) { return limit > used + 1 ? limit - used - 1 : 0; };
        const std::size_t most =
            std::min({options_.lookup_tokens, left - 1, room(cheap_rows, tokens_.size()),
                      room(options_.max_batch_tokens, tokens_.size()), room(options_.max_logit_rows, rows_.size())});
        if (most == 0) return;
        const auto found = look_up(s.known, most);
        s.guess.assign(found.begin(), found.end());
    }

    /// Scores forced tokens, or draws the next ones. Runs in parallel over slots and touches nothing but its own.
    void digest(slot& s, view<const float> logits, sampling::candidates& scratch) const {
        if (s.scoring()) {
            for (std::size_t r = s.first_row; r < s.first_row + s.rows; ++r) {
                const std::size_t position = s.computed - s.fed + (rows_[r] - s.begin);
                const auto row = logits.row(r);
                s.result->log_probability +=
                    static_cast<double>(row[static_cast<std::size_t>(s.known[position + 1])]) - kernels::log_sum_exp<kernels::arch::native>(row);
            }
            return;
        }
        s.drawn.clear();
        for (std::size_t r = 0; r < s.rows; ++r) {
            const auto row = logits.row(s.first_row + r);
            scratch.assign(row.first(std::min(row.size(), tokenizer_.size())));
            if (s.job->constraint) s.job->constraint.mask(scratch);
            s.job->sampler.apply(scratch, s.known);
            const token id = s.job->sampler.draw(scratch, s.known);
            s.drawn.push_back({id, static_cast<double>(row[static_cast<std::size_t>(id)]) - kernels::log_sum_exp<kernels::arch::native>(row)});
            s.known.push_back(id);
            if (tokenizer_.is_end_of_generation(id)) break;
            if (s.job->constraint) {
                s.job->constraint.advance(id);
                if (s.job->constraint.finished()) break;
            }
            if (r < s.guess.size() && id != s.guess[r]) break;
        }
        s.computed -= s.guess.size() + 1 - s.drawn.size();
        if (!s.guess.empty()) s.confidence = 2 * s.drawn.size() - 1;
    }
    /// Takes over what was drawn: text, stop conditions, callback.
    void deliver(slot& s) {
        if (s.scoring()) {
            if (s.pending() == 0) finish(s, text::finish_reason::stop);
            return;
        }
        s.result->guessed_tokens += s.guess.size();
        s.result->guesses_right += s.drawn.size() - 1;
        for (std::size_t i = 0; i < s.drawn.size(); ++i) {
            const auto [id, log_probability] = s.drawn[i];
            s.result->log_probability += log_probability;
            if (tokenizer_.is_end_of_generation(id)) return finish(s, text::finish_reason::stop);
            s.result->tokens.push_back(id);
            if (!show(s, s.stops.push(s.decoder.push(id)))) return finish(s, text::finish_reason::cancelled);
            if (s.stops.stopped()) return finish(s, text::finish_reason::stop);
            if (i + 1 == s.drawn.size() && s.job->constraint.finished()) return finish(s, text::finish_reason::stop);
            if (s.result->tokens.size() >= s.job->max_tokens ||
                s.job->prompt.size() + s.result->tokens.size() >= context_length())
                return finish(s, text::finish_reason::length);
        }
    }
    static bool show(slot& s, const std::string& piece) {
        if (piece.empty()) return true;
        s.result->text += piece;
        return !s.job->on_text || s.job->on_text(piece);
    }
    void finish(slot& s, text::finish_reason reason) {
        if (!s.scoring() && !s.stops.stopped()) {
            show(s, s.stops.push(s.decoder.flush()));
            show(s, s.stops.flush());
        }
        if (s.scoring()) s.result->tokens = s.job->forced;
        s.result->finish = reason;
        s.result->prompt_tokens = s.job->prompt.size();
        s.done = true;
    }

    /// Keeps a sequence for those that begin alike.
    void keep(slot& s) {
        if (!s.sequence) return;
        s.known.resize(s.computed);
        kept_.push_front({*s.sequence, std::move(s.known)});
        s.sequence.reset();
        while (kept_.size() > options_.kept_sequences) evict();
    }

    nn::any_model model_;
    tokenizer::tokenizer tokenizer_;
    engine_options options_;
    nn::kv_cache<float> cache_;
    std::list<kept_sequence> kept_;  // most recently used first

    // The step under way.
    std::vector<token> tokens_;
    std::vector<std::int32_t> positions_;
    std::vector<std::uint32_t> offsets_, rows_;
    std::vector<nn::sequence_id> sequences_;
    std::vector<sampling::candidates> scratch_;  // per worker
    std::size_t reserved_ = 0;                   // blocks promised to this step's sequences
};

}  // namespace lab::infer
