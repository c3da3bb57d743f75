// A teacher behind an OpenAI-compatible server: /chat/completions for everything. Constraints use what the server
// offers: llama-server `grammar` (GBNF), vLLM `guided_*` and `structured_outputs`; elsewhere the wish is put in words
// and noted. Scores force the answer by such a constraint, token by token where the server tells its tokens
// (llama-server), and add up their log-probabilities before the constraint, the end of the answer included.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/token.hpp"
#include "lab/sdg/gbnf.hpp"
#include "lab/sdg/http_client.hpp"
#include "lab/sdg/request_json.hpp"
#include "lab/sdg/teacher.hpp"

namespace lab::sdg {

enum class http_dialect : std::uint8_t { automatic, plain, llama_cpp, vllm };

struct http_teacher_options {
    http_options http;
    std::string model;  // empty: the first model that the server lists
    http_dialect dialect = http_dialect::automatic;
    std::size_t concurrency = 4;  // requests in flight
};

class http_teacher {
public:
    /// Asks the server for its models. @throws io_error when it cannot be reached, config_error for a bad URL.
    explicit http_teacher(http_teacher_options options) : state_(std::make_unique<state>(std::move(options))) {
        auto& o = state_->options;
        if (const char* key = o.http.key_variable.empty() ? nullptr : std::getenv(o.http.key_variable.c_str()))
            state_->key = key;
        o.concurrency = std::max<std::size_t>(1, o.concurrency);
        if (o.model.empty() || o.dialect == http_dialect::automatic) understood([&] { look_around(); });
    }

    [[nodiscard]] std::vector<text::completion> complete(std::span<const text::request> requests) {
        std::vector<text::completion> answers(requests.size());
        complete_each(requests, [&](std::size_t i, const text::completion& c) { answers[i] = c; });
        return answers;
    }
    [[nodiscard]] std::vector<text::score> score(std::span<const text::score_request> requests) {
        std::vector<text::score> answers(requests.size());
        score_each(requests, [&](std::size_t i, const text::score& s) { answers[i] = s; });
        return answers;
    }
    void complete_each(std::span<const text::request> requests, completion_sink sink) {
        each(
            requests.size(), [&](http_client& client, std::size_t i) { return completed(client, requests[i], i); },
            sink);
    }
    void score_each(std::span<const text::score_request> requests, score_sink sink) {
        if (!can_score())
            throw config_error("teacher " + identity() + ": cannot score answers (needs llama-server or vLLM)");
        each(
            requests.size(),
            [&](http_client& client, std::size_t i) {
                return forced(client, requests[i].messages, {}, requests[i].answer, i);
            },
            sink);
    }
    [[nodiscard]] bool can_score() const noexcept { return state_->options.dialect != http_dialect::plain; }
    [[nodiscard]] std::string identity() const {
        const std::string& name = state_->options.model;  // llama-server's is a path, which differs between machines
        return "http:" + (name.starts_with('/') ? name.substr(name.rfind('/') + 1) : name) + state_->details;
    }
    [[nodiscard]] std::vector<std::string> notes() const {
        const std::lock_guard lock(state_->mutex);
        return {state_->notes.begin(), state_->notes.end()};
    }
    [[nodiscard]] http_dialect dialect() const noexcept { return state_->options.dialect; }

private:
    struct state {
        explicit state(http_teacher_options o) : options(std::move(o)) {}
        http_teacher_options options;
        std::string key, details;
        mutable std::mutex mutex;
        std::set<std::string> notes;
        std::map<std::string, std::string> grammars;  // of answers that were scored
    };

    void note(std::string text) {
        const std::lock_guard lock(state_->mutex);
        state_->notes.insert(std::move(text));
    }

    void look_around() {
        auto& o = state_->options;
        http_client client(o.http, state_->key);
        const auto listed = client.get("/models");
        const auto* models =
            listed.is_object() && listed.contains("data") && listed["data"].is_array() ? &listed["data"] : nullptr;
        if (models == nullptr || models->empty())
            throw io_error(explain(o.http.base_url, "lists no model", "name one (--model)"));
        const json* chosen = nullptr;
        for (const auto& m : *models)
            if (m.is_object() && (o.model.empty() || m.value("id", "") == o.model)) {
                chosen = &m;
                break;
            }
        if (o.model.empty() && chosen != nullptr) o.model = chosen->value("id", "");
        if (o.dialect == http_dialect::automatic) {
            const std::string owner = chosen == nullptr ? std::string() : chosen->value("owned_by", std::string());
            o.dialect = owner == "llamacpp" ? http_dialect::llama_cpp
                        : owner == "vllm"   ? http_dialect::vllm
                                            : http_dialect::plain;
        }
        // A file path as the name differs from machine to machine: keep the file's name and what tells models apart.
        if (chosen != nullptr && chosen->contains("meta") && (*chosen)["meta"].is_object()) {
            const auto& meta = (*chosen)["meta"];
            for (const char* field : {"n_params", "size"})
                if (meta.contains(field))
                    state_->details += std::string(" ") + field + "=" + formats::to_text(meta[field]);
        }
        if (!can_score()) note("the server offers no way to score a given answer: likelihood checks are skipped");
    }

    /// A field of an unexpected type in the server's JSON is the server's fault.
    template <class Read>
    std::invoke_result_t<Read> understood(Read read) const {
        try {
            return read();
        } catch (const json::exception& fault) {
            throw io_error(
                explain(state_->options.http.base_url, std::string("the answer is not as OpenAI's: ") + fault.what()));
        }
    }

    /// Runs `work(client, i)` for every i on several connections and hands the results to `sink` one at a time. The
    /// first failure stops new work; what is under way is still delivered.
    template <class Work, class Sink>
    void each(std::size_t count, Work work, Sink& sink) {
        std::atomic<std::size_t> next{0};
        std::mutex delivering;
        std::exception_ptr failure;
        const auto body = [&] {
            http_client client(state_->options.http, state_->key);
            for (std::size_t i = 0; (i = next.fetch_add(1)) < count;) {
                try {
                    auto result = understood([&] { return work(client, i); });
                    const std::lock_guard lock(delivering);
                    sink(i, result);
                } catch (...) {
                    const std::lock_guard lock(delivering);
                    if (!failure) failure = std::current_exception();
                    next.store(count);
                }
            }
        };
        std::vector<std::thread> threads;
        for (std::size_t t = 1; t < std::min(state_->options.concurrency, count); ++t) threads.emplace_back(body);
        body();
        for (auto& t : threads) t.join();
        if (failure) std::rethrow_exception(failure);
    }

    json body_of(const text::request& r) const {
        json body{{"model", state_->options.model},
                  {"messages", to_json(r.messages)},
                  {"max_tokens", r.max_tokens},
                  {"temperature", r.sampling.temperature},
                  {"top_p", r.sampling.top_p}};
        // 53 bits survive every JSON reader; OpenAI itself takes signed 64-bit seeds.
        body["seed"] = r.sampling.seed & 0x7fffffffu;
        if (!r.stop.empty()) body["stop"] = r.stop;
        // What a slot has cached and what else is in its batch moves llama-server's numbers a little: one request at a
        // time over a fresh cache gives the same answers again.
        if (state_->options.dialect == http_dialect::llama_cpp && state_->options.concurrency == 1)
            body["cache_prompt"] = false;
        if (state_->options.dialect != http_dialect::plain) {
            body["top_k"] =
                state_->options.dialect == http_dialect::vllm && r.sampling.top_k == 0 ? -1 : r.sampling.top_k;
            body["min_p"] = r.sampling.min_p;
            body[state_->options.dialect == http_dialect::vllm ? "repetition_penalty" : "repeat_penalty"] =
                r.sampling.repetition_penalty;
        }
        return body;
    }

    void add_prefix(json& body, const std::string& prefix) {
        if (prefix.empty()) return;
        if (state_->options.dialect == http_dialect::plain) {
            note("the server does not continue a given opening: the opening was asked for in words");
            append_to_user(body, "Begin your answer with: " + prefix);
            return;
        }
        body["messages"].push_back({{"role", "assistant"}, {"content", prefix}});
        if (state_->options.dialect == http_dialect::vllm)
            body["add_generation_prompt"] = false, body["continue_final_message"] = true;
    }

    void constrain(json& body, const text::output_constraint& c) {
        if (c.empty()) return;
        if (c.has_grammar()) return constrain_by_grammar(body, c);
        const bool choose = !c.choices.empty();
        switch (state_->options.dialect) {
            case http_dialect::llama_cpp:
                body["grammar"] = choose ? gbnf::choices(c.choices) : gbnf::span_of(c.span_of);
                break;
            case http_dialect::vllm:
                if (choose) {
                    body["guided_choice"] =
                        c.choices;  // both spellings: the second replaces the first in newer servers
                    body["structured_outputs"] = {{"choice", c.choices}};
                } else {
                    body["guided_grammar"] = gbnf::span_of(c.span_of);
                    body["structured_outputs"] = {{"grammar", body["guided_grammar"]}};
                }
                break;
            default:
                note("the server cannot constrain its output: answers that break the form are dropped");
                if (choose) {
                    std::string list;
                    for (const auto& choice : c.choices) list += (list.empty() ? "" : " | ") + choice;
                    append_to_user(body, "Reply with exactly one of: " + list);
                } else {
                    append_to_user(body, "Reply only with words copied from the text, nothing else.");
                }
        }
    }

    /// A pattern, schema or grammar as the server reads it. The members of a schema arrive in alphabetical order.
    void constrain_by_grammar(json& body, const text::output_constraint& c) {
        const bool vllm = state_->options.dialect == http_dialect::vllm;
        const bool llama = state_->options.dialect == http_dialect::llama_cpp;
        if (!c.grammar.empty() && (vllm || llama)) {
            body[vllm ? "guided_grammar" : "grammar"] = c.grammar;
            if (vllm) body["structured_outputs"] = {{"grammar", c.grammar}};
        } else if (!c.regex.empty() && vllm) {
            body["guided_regex"] = c.regex;
            body["structured_outputs"] = {{"regex", c.regex}};
        } else if (!c.json_schema.empty() && (vllm || llama)) {
            body["response_format"] = {
                {"type", "json_schema"},
                {"json_schema",
                 {{"name", "answer"}, {"strict", true}, {"schema", formats::parse_json(c.json_schema, "schema")}}}};
        } else {
            note("the server cannot constrain its output by this: the form was asked for in words");
            if (!c.regex.empty())
                append_to_user(body, "Reply only with text that matches this regular expression: " + c.regex);
            if (!c.json_schema.empty())
                append_to_user(body, "Reply only with JSON that is valid under this JSON Schema: " + c.json_schema);
            if (!c.grammar.empty()) append_to_user(body, "Reply only with text of this GBNF grammar:\n" + c.grammar);
        }
    }

    static void append_to_user(json& body, const std::string& wish) {
        auto& last = body["messages"].back()["content"];
        last = last.get<std::string>() + "\n\n" + wish;
    }

    text::completion completed(http_client& client, const text::request& r, std::size_t stream) {
        json body = body_of(r);
        constrain(body, r.constraint);
        add_prefix(body, r.assistant_prefix);
        const bool choose = !r.constraint.choices.empty();
        body["logprobs"] = true;
        if (choose) body["top_logprobs"] = 20;
        const json answer = client.post("/chat/completions", body, stream);
        text::completion c = read_completion(answer);
        if (c.text.starts_with(r.assistant_prefix)) c.text.erase(0, r.assistant_prefix.size());
        if (!choose) return c;
        c.choice_probabilities = first_token_probabilities(answer, r.constraint.choices);
        if (c.choice_probabilities.empty() && can_score()) {
            std::vector<double> logs;
            for (const auto& choice : r.constraint.choices)
                logs.push_back(forced(client, r.messages, r.assistant_prefix, choice, stream).log_probability);
            c.choice_probabilities = softmax(logs);
        }
        if (c.choice_probabilities.empty())
            note("the server gives no log-probabilities for choices: judges count as certain");
        const auto& list = r.constraint.choices;
        if (r.sampling.temperature == 0 && !c.choice_probabilities.empty()) {
            const auto best = std::max_element(c.choice_probabilities.begin(), c.choice_probabilities.end());
            c.text = list[static_cast<std::size_t>(best - c.choice_probabilities.begin())];
        } else if (std::find(list.begin(), list.end(), c.text) == list.end()) {
            for (const auto& choice : list)  // a talkative server: take the choice its answer opens with
                if (c.text.find(choice) < 3) c.text = choice;
        }
        return c;
    }

    /// log p(answer | messages), by letting the server write exactly that.
    text::score forced(http_client& client, const text::messages& messages, const std::string& prefix,
                       const std::string& answer, std::size_t stream) {
        if (answer.empty()) throw config_error("teacher: an answer to score must not be empty");
        text::request r;
        r.messages = messages;
        r.max_tokens = answer.size() + 8;  // a token is at least a byte
        json body = body_of(r);
        constrain(body, {.choices = {answer}, .span_of = {}});
        if (state_->options.dialect == http_dialect::llama_cpp) body["grammar"] = token_grammar(client, answer, stream);
        add_prefix(body, prefix);
        body["logprobs"] = true;
        body["top_logprobs"] = 1;
        const json reply = client.post("/chat/completions", body, stream);
        auto c = read_completion(reply);
        if (!c.text.ends_with(answer))
            throw io_error(explain(state_->options.http.base_url, "the server did not keep to its constraint",
                                   "got " + formats::quote(c.text)));
        if (const json* tokens = logprobs_of(reply);
            tokens != nullptr && !tokens->empty() && tokens->back().value("token", "x").empty())
            c.log_probability += tokens->back().value("logprob", 0.0), ++c.completion_tokens;
        return {c.log_probability, c.completion_tokens};
    }

    /// The answer in the tokenizer's own cut: left to a text grammar, the likeliest first letter would win over the
    /// likeliest token.
    std::string token_grammar(http_client& client, const std::string& answer, std::size_t stream) {
        {
            const std::lock_guard lock(state_->mutex);
            if (const auto at = state_->grammars.find(answer); at != state_->grammars.end()) return at->second;
        }
        const json reply = client.post_native("/tokenize", {{"content", answer}}, stream);
        std::string grammar = "root ::=";
        for (const auto& id : reply.at("tokens")) grammar += " <[" + std::to_string(id.get<token>()) + "]>";
        const std::lock_guard lock(state_->mutex);
        return state_->grammars[answer] = grammar;
    }

    static const json* logprobs_of(const json& answer) {
        const auto& choice = answer["choices"][0];
        if (!choice.contains("logprobs") || !choice["logprobs"].is_object()) return nullptr;
        const auto& l = choice["logprobs"];
        return l.contains("content") && l["content"].is_array() ? &l["content"] : nullptr;
    }

    text::completion read_completion(const json& answer) const {
        const std::string& place = state_->options.http.base_url;
        if (!answer.is_object() || !answer.contains("choices") || !answer["choices"].is_array() ||
            answer["choices"].empty() || !answer["choices"][0].is_object() ||
            !answer["choices"][0].contains("message") || !answer["choices"][0]["message"].is_object())
            throw io_error(
                explain(place, "the answer is no chat completion: " + formats::escape(formats::to_text(answer), 200)));
        const auto& choice = answer["choices"][0];
        text::completion c;
        const auto& message = choice["message"];
        if (message.contains("content") && message["content"].is_string())
            c.text = message["content"].get<std::string>();
        if (choice.contains("finish_reason") && choice["finish_reason"] == "length")
            c.finish = text::finish_reason::length;
        if (answer.contains("usage") && answer["usage"].is_object()) {
            c.prompt_tokens = answer["usage"].value("prompt_tokens", std::size_t{0});
            c.completion_tokens = answer["usage"].value("completion_tokens", std::size_t{0});
        }
        if (const json* tokens = logprobs_of(answer)) {
            std::size_t count = 0;
            for (const auto& t :
                 *tokens) {  // the end-of-turn token comes as an empty text: it is no part of the answer
                if (t.value("token", "").empty()) continue;
                c.log_probability += t.value("logprob", 0.0);
                ++count;
            }
            c.completion_tokens = count;
        }
        return c;
    }

    static std::vector<double> softmax(const std::vector<double>& logs) {
        const double top = *std::max_element(logs.begin(), logs.end());
        std::vector<double> p;
        double sum = 0;
        for (const double l : logs) sum += p.emplace_back(std::exp(l - top));
        for (double& x : p) x /= sum;
        return p;
    }

    /// When the first token already tells the choices apart and all are among the most likely tokens; else empty.
    static std::vector<double> first_token_probabilities(const json& answer, const std::vector<std::string>& choices) {
        const json* tokens = logprobs_of(answer);
        if (tokens == nullptr || tokens->empty() || !(*tokens)[0].contains("top_logprobs")) return {};
        std::vector<double> logs(choices.size(), 1.0);
        for (const auto& t : (*tokens)[0]["top_logprobs"]) {
            const std::string piece = t.value("token", "");
            if (piece.empty()) continue;
            std::size_t owner = choices.size(), owners = 0;
            for (std::size_t i = 0; i < choices.size(); ++i)
                if (choices[i].starts_with(piece)) owner = i, ++owners;
            if (owners > 1) return {};
            if (owners == 1 && logs[owner] > 0) logs[owner] = t.value("logprob", 0.0);
        }
        for (const double l : logs)
            if (l > 0) return {};
        return softmax(logs);
    }

    std::unique_ptr<state> state_;
};
static_assert(teacher<http_teacher>);

}  // namespace lab::sdg
