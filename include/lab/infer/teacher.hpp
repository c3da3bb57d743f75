// The in-process teacher: answers and scores batches of text requests with the engine. A model of sdg's `teacher`
// concept (which this header does not see) and of what eval/ asks its questions to.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/function_ref.hpp"
#include "lab/core/rng.hpp"
#include "lab/infer/engine.hpp"
#include "lab/sampling/chain.hpp"
#include "lab/sampling/constraint.hpp"
#include "lab/text/chat_format.hpp"
#include "lab/text/encode_chat.hpp"
#include "lab/text/request.hpp"

namespace lab::infer {

class local_teacher {
public:
    /// `identity` names the model for provenance. The engine must outlive the teacher.
    local_teacher(engine& e, text::any_chat_format format, std::string identity)
        : engine_(&e), format_(std::move(format)), identity_(std::move(identity)) {}

    [[nodiscard]] std::string identity() const { return identity_; }
    [[nodiscard]] static bool can_score() { return true; }
    /// Tokens of what the engine is given for these messages and the beginning of an answer.
    [[nodiscard]] std::size_t prompt_tokens(const text::messages& messages, const std::string& prefix = {}) const {
        return prompt(messages, prefix).size();
    }
    [[nodiscard]] static bool takes_raw() { return true; }
    /// Asked between steps; false ends the work with lab::error, what was delivered until then is delivered.
    void set_keep_going(std::function<bool()> keep_going) { keep_going_ = std::move(keep_going); }

    [[nodiscard]] std::vector<text::completion> complete(std::span<const text::request> requests) {
        std::vector<text::completion> answers(requests.size());
        complete_each(requests, [&](std::size_t i, const text::completion& c) { answers[i] = c; });
        return answers;
    }
    /// Delivers each completion as soon as it is there.
    /// @throws config_error for a constraint or prompt that is refused, before anything runs.
    void complete_each(std::span<const text::request> requests,
                       function_ref<void(std::size_t, const text::completion&)> sink) {
        std::vector<generation> jobs;
        std::vector<origin> origins;
        std::vector<pending_choice> choices(requests.size());
        for (std::size_t i = 0; i < requests.size(); ++i) {
            const auto& request = requests[i];
            sampling::check_constraint(request.constraint);
            if (request.constraint.choices.empty()) {
                jobs.push_back(sampled(request));
                origins.push_back({i, 0});
            }
            choices[i].log_probabilities.resize(request.constraint.choices.size());
            choices[i].open = request.constraint.choices.size();
            for (std::size_t c = 0; c < request.constraint.choices.size(); ++c) {
                const auto& choice = request.constraint.choices[c];
                jobs.push_back(request.raw ? forced_raw(request, choice)
                                           : forced(request.messages, request.assistant_prefix, choice));
                origins.push_back({i, c});
            }
        }
        run(jobs, [&](std::size_t j, const generated& result) {
            const auto [i, c] = origins[j];
            if (requests[i].constraint.choices.empty()) {
                const bool strip = !requests[i].constraint.empty() && leads_with_space(requests[i]) &&
                                   jobs[j].constraint.takes_extra_space() && result.text.starts_with(' ');
                sink(i, {result.text.substr(strip ? 1 : 0),
                         result.finish,
                         result.prompt_tokens,
                         result.tokens.size(),
                         result.log_probability,
                         {}});
                return;
            }
            choices[i].log_probabilities[c] = result.log_probability;
            choices[i].prompt_tokens = result.prompt_tokens;
            choices[i].tokens += result.tokens.size();
            if (--choices[i].open == 0) sink(i, chosen(requests[i], choices[i]));
        });
    }

    [[nodiscard]] std::vector<text::score> score(std::span<const text::score_request> requests) {
        std::vector<text::score> answers(requests.size());
        score_each(requests, [&](std::size_t i, const text::score& s) { answers[i] = s; });
        return answers;
    }
    /// log p(answer | messages), what ends the answer in this chat format included, as training counts it.
    void score_each(std::span<const text::score_request> requests,
                    function_ref<void(std::size_t, const text::score&)> sink) {
        std::vector<generation> jobs;
        for (const auto& request : requests) jobs.push_back(forced(request.messages, {}, request.answer));
        run(jobs, [&](std::size_t i, const generated& result) {
            sink(i, {result.log_probability, result.tokens.size()});
        });
    }

private:
    struct origin {
        std::size_t request, choice;
    };
    struct pending_choice {
        std::vector<double> log_probabilities;
        std::size_t open = 0, prompt_tokens = 0, tokens = 0;
    };

    void run(std::span<generation> jobs, const std::function<void(std::size_t, const generated&)>& on_finished) {
        std::size_t finished = 0;
        const run_watch watch{[&](std::size_t j, const generated& result) {
                                  ++finished;
                                  on_finished(j, result);
                              },
                              keep_going_};
        static_cast<void>(engine_->run(jobs, watch));
        if (finished != jobs.size()) throw error("interrupted");
    }

    [[nodiscard]] generation sampled(const text::request& request) {
        generation job;
        job.prompt = request.raw ? raw_prompt(request) : prompt(request.messages, request.assistant_prefix);
        job.max_tokens = request.max_tokens;
        job.sampler = sampling::make_chain(request.sampling);
        job.stop = format_.stop();
        job.stop.insert(job.stop.end(), request.stop.begin(), request.stop.end());
        if (!request.constraint.empty()) {
            if (!trie_) {
                trie_ = std::make_shared<const sampling::token_trie>(engine_->tokens());
                grammars_ = std::make_shared<sampling::grammar_store>(*trie_);
            }
            job.constraint =
                sampling::make_constraint(*trie_, request.constraint, leads_with_space(request), grammars_.get());
        }
        return job;
    }
    [[nodiscard]] generation forced(const text::messages& messages, const std::string& prefix,
                                    const std::string& answer) const {
        generation job;
        job.prompt = prompt(messages, prefix);
        auto whole = messages;
        whole.push_back({"assistant", prefix + answer});
        auto [tokens, trained] = text::encode_chat(engine_->tokens(), format_, whole, false);
        const auto last = std::find(trained.rbegin(), trained.rend(), std::uint8_t{1});
        tokens.resize(static_cast<std::size_t>(trained.rend() - last));
        if (tokens.size() > job.prompt.size() && std::equal(job.prompt.begin(), job.prompt.end(), tokens.begin())) {
            job.forced.assign(tokens.begin() + static_cast<std::ptrdiff_t>(job.prompt.size()), tokens.end());
        } else {  // a token straddles the end of the prefix: encode the answer by itself, and end it as the format does
            job.forced = text::encode_continuation(engine_->tokens(), answer);
            if (!tokens.empty() && engine_->tokens().is_special(tokens.back())) job.forced.push_back(tokens.back());
        }
        if (job.forced.empty()) throw config_error("teacher: an answer to score must not be empty");
        return job;
    }
    /// Without a chat format, the model's own end of text ends the answer.
    [[nodiscard]] generation forced_raw(const text::request& request, const std::string& answer) const {
        generation job;
        job.prompt = raw_prompt(request);
        job.forced = text::encode_continuation(engine_->tokens(), answer);
        if (const token end = engine_->tokens().eos(); end != no_token) job.forced.push_back(end);
        if (job.forced.empty()) throw config_error("teacher: an answer to score must not be empty");
        return job;
    }
    [[nodiscard]] std::vector<token> raw_prompt(const text::request& request) const {
        std::string whole;
        for (const auto& m : request.messages) whole += m.content;
        const auto& tokens = engine_->tokens();
        auto out = tokens.encode(whole + request.assistant_prefix, {.parse_special = true});
        if (tokens.adds_bos() && (out.empty() || out.front() != tokens.bos())) out.insert(out.begin(), tokens.bos());
        return out;
    }
    [[nodiscard]] std::vector<token> prompt(const text::messages& messages, const std::string& prefix) const {
        return text::encode_chat(engine_->tokens(), format_, messages,
                                 text::render_options{.add_generation_prompt = true, .assistant_prefix = prefix})
            .tokens;
    }

    /// The likeliest choice at temperature 0, else one drawn from their probabilities (sharpened by the temperature).
    [[nodiscard]] static text::completion chosen(const text::request& request, const pending_choice& pending) {
        const auto& logs = pending.log_probabilities;
        const double temperature = static_cast<double>(request.sampling.temperature);
        const std::size_t best = static_cast<std::size_t>(std::max_element(logs.begin(), logs.end()) - logs.begin());
        const auto softmax = [&](double t) {
            std::vector<double> p(logs.size());
            double sum = 0;
            for (std::size_t i = 0; i < logs.size(); ++i) sum += p[i] = std::exp((logs[i] - logs[best]) / t);
            for (double& x : p) x /= sum;
            return p;
        };
        std::size_t pick = best;
        if (temperature > 0) {
            double rest = counter_rng(request.sampling.seed, "choice").uniform();
            const auto p = softmax(temperature);
            for (pick = 0; pick + 1 < p.size() && rest >= p[pick]; ++pick) rest -= p[pick];
        }
        return {request.constraint.choices[pick],
                text::finish_reason::stop,
                pending.prompt_tokens,
                pending.tokens,
                logs[pick],
                softmax(1.0)};
    }

    /// After a prefix such as "Answer:" a model's next word brings its own space, which is not part of the answer.
    [[nodiscard]] static bool leads_with_space(const text::request& request) {
        return !request.assistant_prefix.empty() && request.assistant_prefix.back() != ' ' &&
               request.assistant_prefix.back() != '\n';
    }

    engine* engine_;
    text::any_chat_format format_;
    std::string identity_;
    std::function<bool()> keep_going_;
    std::shared_ptr<const sampling::token_trie> trie_;   // of the vocabulary; made when a constraint first needs it
    std::shared_ptr<sampling::grammar_store> grammars_;  // with that vocabulary
};

}  // namespace lab::infer
