// Runs many generations through one model: they join the batch and leave it at any step, prompts are prefilled in
// chunks beside decoding, and a prefix that some sequence has computed already is shared instead of computed again.
// The result of a generation does not depend on its company (docs/design/0002-one-ragged-batch.md). One thread drives
// it; engine_service.hpp offers it to several. With lab::compiled linked (LAB_COMPILED) the step is a declaration.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/infer/active_generation.hpp"
#include "lab/infer/drafter.hpp"
#include "lab/infer/generation.hpp"
#include "lab/infer/lookup.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/sampling/candidates.hpp"
#include "lab/tokenizer/tokenizer.hpp"

namespace lab::infer {

struct engine_options {
    std::size_t max_sequences = 16;      // generated at once
    std::size_t max_batch_tokens = 512;  // per step, prefill and decoding together
    std::size_t max_logit_rows = 128;    // per step, but one at least for each sequence; bounds the memory of scoring
    std::size_t kept_sequences = 32;     // finished ones kept for their prefixes, least recently used go first
    std::size_t cache_bytes = std::size_t{1} << 30;  // bound of the key-value cache; a draft has as much again
    dtype cache_type = dtype::f16;                   // of its elements: f32, f16, bf16 or q8_0
    // Guesses are checked in one step, while few sequences decode; they change speed alone.
    std::size_t lookup_tokens = 0;  // guessed from the text itself
    std::size_t draft_tokens = 8;   // guessed by the draft model, where there is one
};

/// How a caller follows a run; both may be empty.
struct run_watch {
    std::function<void(std::size_t job, const generated&)> on_finished;  // as each job ends, in any order
    std::function<bool()> keep_going;                                    // asked after each step; false ends the run
};

class engine {
public:
    /// `draft`: a smaller model with the same tokenizer that guesses what comes next (drafter.hpp), or none.
    /// @throws config_error where the parts do not fit each other.
    explicit engine(nn::any_model model, tokenizer::tokenizer tokens, engine_options options = {},
                    nn::any_model draft = {})
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
        if (draft && model_.dims().window != 0)
            throw config_error(explain("engine", "a model with a sliding window cannot step back from wrong guesses",
                                       "leave the draft model out"));
        if (draft)
            draft_.emplace(std::move(draft), tokenizer_.size(),
                           nn::kv_cache_options{.max_bytes = options.cache_bytes, .type = options.cache_type});
    }

    [[nodiscard]] const tokenizer::tokenizer& tokens() const { return tokenizer_; }
    [[nodiscard]] nn::any_model& model() { return model_; }
    /// Positions a prompt and its continuation may have together.
    [[nodiscard]] std::size_t context_length() const {
        const std::size_t trained = model_.info().context_length, fits = cache_.max_blocks() * kv_block_size;
        return trained == 0 ? fits : std::min(trained, fits);
    }

    /// @throws config_error for an empty prompt, one that does not fit the context, or tokens outside the vocabulary.
    void check(const generation& job) const {
        const std::size_t length = job.prompt.size() + job.forced.size();
        if (job.prompt.empty()) throw config_error("engine: a prompt needs at least one token");
        if (job.max_tokens == 0) throw config_error("engine: max_tokens must be at least 1");
        if (length > context_length() || (job.forced.empty() && length >= context_length()))
            throw config_error(explain("engine",
                                       "a prompt of " + std::to_string(length) +
                                           " tokens does not fit the context of " + std::to_string(context_length()),
                                       context_length() == model_.info().context_length
                                           ? "shorten it"
                                           : "shorten it, or give the key-value cache more bytes"));
        for (const auto* list : {&job.prompt, &job.forced})
            for (const token id : *list)
                if (id < 0 || static_cast<std::size_t>(id) >= model_.dims().vocab)
                    throw config_error("engine: token " + std::to_string(id) + " is outside the vocabulary");
    }

    /// Adds a job, which later calls of `step` run. Callbacks of other jobs may submit and cancel, nothing else.
    /// @throws config_error as `check` does.
    job_id submit(generation job, finished_callback on_finished = {}) {
        check(job);
        return enqueue(std::move(job), std::move(on_finished));
    }
    /// Ends a job as finish_reason::cancelled before the next step; nothing where it has ended already.
    void cancel(job_id id) {
        if (const auto place = places_.find(id); place != places_.end()) place->second->cancelled = true;
    }
    /// Jobs that have not ended.
    [[nodiscard]] std::size_t open() const { return places_.size(); }

    /// One forward pass over whatever fits. False when no job is left. What a job's callbacks, sampler or constraint
    /// throw ends that job (generated::fault); what on_finished throws comes out of here, as does what the model throws
    /// (std::bad_alloc): then nothing of the step has happened.
    /// @throws config_error where the cache has no room for a single sequence.
    bool step();

    /// Runs all jobs, and what was submitted besides; results in the jobs' order. What `watch` leaves unfinished ends
    /// as finish_reason::cancelled.
    /// @throws config_error as `check` does, before anything runs; the fault of a job, which ends the others too.
    [[nodiscard]] std::vector<generated> run(std::span<const generation> jobs, const run_watch& watch = {}) {
        for (const auto& job : jobs) check(job);
        std::vector<generated> results(jobs.size());
        std::size_t left = jobs.size();
        bool stopping = false;
        std::vector<job_id> ids;
        try {
            for (std::size_t i = 0; i < jobs.size(); ++i)
                ids.push_back(enqueue(jobs[i], [&, i](generated&& result) {
                    results[i] = std::move(result);
                    --left;
                    if (results[i].fault) std::rethrow_exception(results[i].fault);
                    if (watch.on_finished && !stopping) watch.on_finished(i, results[i]);
                }));
            while (left != 0) {
                step();
                if (left == 0 || stopping || !watch.keep_going || watch.keep_going()) continue;
                stopping = true;
                for (const auto id : ids) cancel(id);
            }
        } catch (...) {
            for (const auto id : ids) discard(id);
            throw;
        }
        return results;
    }
    [[nodiscard]] generated run_one(const generation& job) { return std::move(run(std::span(&job, 1)).front()); }

    /// Takes a job back without a result.
    void discard(job_id id) {
        const auto place = places_.find(id);
        if (place == places_.end()) return;
        const auto s = place->second;
        if (s->sequence) cache_.release(*s->sequence);
        if (draft_) draft_->forget(id);
        places_.erase(place);
        (s->waiting ? waiting_ : active_).erase(s);
    }
    /// Drops the prefixes kept from earlier jobs.
    void forget() {
        while (!kept_.empty()) evict();
    }

private:
    using queue = std::list<active_generation>;  // by falling priority, then as they came
    struct kept_sequence {
        nn::sequence_id id;
        std::vector<token> tokens;
    };

    job_id enqueue(generation job, finished_callback on_finished) {
        const job_id id = next_id_++;
        queue one;
        one.emplace_back(id, std::move(job), std::move(on_finished), tokenizer_);
        places_.emplace(id, one.begin());
        put(waiting_, one, one.begin());
        return id;
    }
    /// Moves `s` of one queue to its place in another, or in the same.
    static void put(queue& to, queue& from, queue::iterator s) {
        queue moved;
        moved.splice(moved.begin(), from, s);
        auto at = to.end();
        while (at != to.begin()) {
            const auto& before = *std::prev(at);
            if (before.job.priority > s->job.priority || (before.job.priority == s->job.priority && before.id < s->id))
                break;
            --at;
        }
        to.splice(at, moved);
    }
    /// Takes those for which `ends` is true out of a queue and reports them.
    template <class F>
    void end_some(queue& from, F&& ends) {
        for (auto s = from.begin(); s != from.end();) {
            const auto next = std::next(s);
            if (ends(*s)) {
                keep(*s);
                if (draft_) draft_->forget(s->id);
                places_.erase(s->id);
                queue ended;
                ended.splice(ended.begin(), from, s);
                if (s->on_finished) s->on_finished(std::move(s->result));
            }
            s = next;
        }
    }
    bool take_step() {
        for (auto* jobs : {&active_, &waiting_})
            end_some(*jobs, [](active_generation& s) {
                if (s.cancelled && !s.done()) s.cancel();
                return s.done();
            });
        admit();
        if (active_.empty()) return false;
        forward();
        end_some(active_, [](const active_generation& s) { return s.done(); });
        return !places_.empty();
    }

    /// Fills the batch from the waiting jobs; one of higher priority takes the place of the last.
    void admit() {
        while (!waiting_.empty()) {
            const auto next = waiting_.begin();
            if (active_.size() >= options_.max_sequences) {
                const auto last = std::prev(active_.end());
                if (last->job.priority >= next->job.priority) return;
                keep(*last);
                if (draft_) draft_->forget(last->id);
                last->waiting = true;
                put(waiting_, active_, last);
            }
            next->start();
            next->waiting = false;
            put(active_, waiting_, next);
        }
    }

    static std::size_t common_prefix(std::span<const token> a, std::span<const token> b) {
        const std::size_t n = std::min(a.size(), b.size());
        return static_cast<std::size_t>(
            std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(n), b.begin()).first - a.begin());
    }

    /// Gives a new sequence the longest prefix that exists; not yet, where an earlier one is about to compute a longer
    /// one. The token whose logits are wanted first is always computed.
    void begin_sequence(active_generation& s) {
        const std::size_t most = s.first_wanted();
        std::size_t best = 0, promised = 0;
        std::optional<nn::sequence_id> from;
        bool earlier = true;
        for (auto& other : active_) {
            if (&other == &s) {
                earlier = false;
                continue;
            }
            const std::size_t common = std::min(common_prefix(s.known, other.known), most);
            if (earlier) promised = std::max(promised, common);
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
        if (!std::exchange(s.begun, true)) s.result.cached_tokens = s.computed;
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

    /// Collects a batch: first the sequences that decode, then prompts in chunks. Behind one that finds no room no
    /// prompt is fed, so that small ones do not pass a large one for ever. False: the cache has no room for anyone.
    bool collect(bool begin_more) {
        tokens_.clear();
        positions_.clear();
        offsets_.assign(1, 0);
        rows_.clear();
        sequences_.clear();
        reserved_ = 0;
        without_room_ = nullptr;
        for (auto& s : active_) {
            s.fed = s.rows = 0;
            if (begin_more && !s.sequence) begin_sequence(s);
        }
        const auto decodes = [](const active_generation& s) { return s.sequence && s.pending() == 1; };
        to_decode_ = static_cast<std::size_t>(std::count_if(active_.begin(), active_.end(), decodes));
        may_guess_ = to_decode_ == active_.size();  // a prompt's tokens are worth more than guesses
        for (auto& s : active_)
            if (decodes(s)) --to_decode_, feed(s);
        for (auto& s : active_) {
            if (s.sequence && s.pending() != 1 && &s != without_room_) feed(s);
            if (&s == without_room_) break;
        }
        return !tokens_.empty();
    }

    void forward() {
        const auto has_sequence = [](const active_generation& s) { return s.sequence.has_value(); };
        for (bool begin_more = true;; begin_more = false) {
            const bool some = collect(begin_more);
            const auto last = std::find_if(active_.rbegin(), active_.rend(), has_sequence);
            if (some && (without_room_ == nullptr || last->job.priority >= without_room_->job.priority)) break;
            // The last sequence gives its blocks to the ones before it and is computed again later.
            if (std::count_if(active_.begin(), active_.end(), has_sequence) < 2)
                throw config_error(
                    explain("engine", "the key-value cache has no room for one sequence", "raise cache_bytes"));
            cache_.release(*last->sequence);
            last->sequence.reset();
            last->computed = 0;
        }
        view<const float> logits;
        try {
            logits = model_.forward({tokens_, positions_, offsets_}, cache_, sequences_, rows_);
        } catch (...) {  // memory, mostly: nothing was computed, and a later step may go better
            for (const auto& s : active_)
                if (const auto held = static_cast<std::int32_t>(s.computed);
                    s.sequence && cache_.length(*s.sequence) > held)
                    cache_.truncate(*s.sequence, held);
            throw;
        }
        std::vector<active_generation*> live;
        for (auto& s : active_) {
            if (s.rows != 0)
                live.push_back(&s);
            else
                s.computed += s.fed;
        }
        scratch_.resize(std::max(scratch_.size(), model_.pool().size()));
        model_.pool().share_out(live.size(), 1, [&](std::size_t begin, std::size_t end, std::size_t worker) {
            for (std::size_t i = begin; i < end; ++i) live[i]->digest(logits, scratch_[worker]);
        });
        for (auto* s : live) {
            if (const auto held = static_cast<std::int32_t>(s->computed); cache_.length(*s->sequence) > held)
                cache_.truncate(*s->sequence, held);  // guesses that did not come true
            s->deliver(context_length());
        }
    }

    /// Adds the next tokens of a sequence to the batch, if there is room for them.
    void feed(active_generation& s) {
        const auto left = [](std::size_t limit, std::size_t used) { return limit - std::min(limit, used); };
        std::size_t count = std::min(s.pending(), left(options_.max_batch_tokens, tokens_.size()));
        if (s.computed + count > s.first_wanted()) {
            const std::size_t silent = left(s.first_wanted(), s.computed);
            count = std::min(count, silent + std::max<std::size_t>(1, left(options_.max_logit_rows, rows_.size())));
        }
        if (count == 0) return;
        if (!make_room(*s.sequence, count)) {
            if (without_room_ == nullptr || s.pending() != 1) without_room_ = &s;  // a prompt behind it is not tried
            return;
        }
        make_guess(s, count);
        const std::size_t more =
            cache_.blocks_needed(*s.sequence, count + s.guess.size()) - cache_.blocks_needed(*s.sequence, count);
        if (reserved_ + more > cache_.free_blocks())
            s.guess.clear();
        else
            reserved_ += more;
        s.first_row = rows_.size();
        const auto add = [&](token id, std::size_t position, bool wanted) {
            if (wanted) rows_.push_back(static_cast<std::uint32_t>(tokens_.size()));
            tokens_.push_back(id);
            positions_.push_back(static_cast<std::int32_t>(position));
        };
        for (std::size_t i = s.computed; i < s.computed + count; ++i) add(s.known[i], i, s.wants(i));
        for (std::size_t i = 0; i < s.guess.size(); ++i) add(s.guess[i], s.known.size() + i, true);
        s.rows = rows_.size() - s.first_row;
        s.fed = count + s.guess.size();
        offsets_.push_back(static_cast<std::uint32_t>(tokens_.size()));
        sequences_.push_back(*s.sequence);
    }

    /// Guesses where that is cheap: a step's time hardly depends on its first few rows.
    void make_guess(active_generation& s, std::size_t count) {
        constexpr std::size_t cheap_rows = 16;
        s.guess.clear();
        if (!may_guess_ || s.scoring() || count != 1 || model_.dims().window != 0) return;
        const std::size_t left = std::min(s.job.max_tokens - s.result.tokens.size(), context_length() - s.known.size());
        // Beside those that decode, this one included.
        const auto room = [&](std::size_t limit, std::size_t used) {
            return limit - std::min(limit, used + to_decode_ + 1);
        };
        const std::size_t most =
            std::min({left - std::min<std::size_t>(left, 1), room(cheap_rows, tokens_.size()),
                      room(options_.max_batch_tokens, tokens_.size()), room(options_.max_logit_rows, rows_.size())});
        if (most == 0) return;
        if (options_.lookup_tokens != 0) {
            const auto found = look_up(s.known, std::min(most, options_.lookup_tokens));
            s.guess.assign(found.begin(), found.end());
        }
        if (!s.guess.empty() || !draft_) return;
        scratch_.resize(std::max<std::size_t>(scratch_.size(), 1));
        try {
            s.guess = draft_->guess(s.id, s.known, std::min({most, options_.draft_tokens, s.confidence}),
                                    [&](std::span<const float> logits, std::span<const token> before) {
                                        return s.draw(logits, before, false, scratch_.front());
                                    });
        } catch (...) {
            s.guess.clear();  // where a sampler cannot draw from the draft's logits, there is no guess
        }
    }

    /// Keeps what was computed for those that begin alike.
    void keep(active_generation& s) {
        if (!s.sequence) return;
        if (s.computed == 0) {
            cache_.release(*std::exchange(s.sequence, std::nullopt));
            return;
        }
        kept_.push_front({*s.sequence, {s.known.begin(), s.known.begin() + static_cast<std::ptrdiff_t>(s.computed)}});
        s.sequence.reset();
        s.computed = 0;
        while (kept_.size() > options_.kept_sequences) evict();
    }

    nn::any_model model_;
    tokenizer::tokenizer tokenizer_;
    engine_options options_;
    nn::kv_cache<float> cache_;
    std::optional<drafter> draft_;
    queue waiting_, active_;
    std::unordered_map<job_id, queue::iterator> places_;
    job_id next_id_ = 0;
    std::list<kept_sequence> kept_;  // most recently used first

    // The step under way.
    std::vector<token> tokens_;
    std::vector<std::int32_t> positions_;
    std::vector<std::uint32_t> offsets_, rows_;
    std::vector<nn::sequence_id> sequences_;
    std::vector<sampling::candidates> scratch_;  // per worker
    std::size_t reserved_ = 0;                   // blocks promised to this step's sequences
    std::size_t to_decode_ = 0;                  // sequences that decode and are still to be fed
    bool may_guess_ = false;
    const active_generation* without_room_ = nullptr;  // the first that the cache had no room for
};

#ifndef LAB_COMPILED
inline bool engine::step() { return take_step(); }
#endif

}  // namespace lab::infer
