// One OpenAI-compatible server. What it can do is found out once, by asking what it serves and by what it refuses, and
// noted where something is lost. Likelihoods of given answers: forced by a constraint (llama-server token by token,
// vLLM) or read from an echoed prompt (/completions), the end of the answer included.
#pragma once

#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/token.hpp"
#include "lab/sdg/http_client.hpp"
#include "lab/sdg/http_protocol.hpp"

namespace lab::sdg {

struct http_endpoint_options {
    http_options http{};
    std::string model{};  // empty: the first model that the server lists
    http_dialect dialect = http_dialect::automatic;
    http_api api = http_api::chat;
    std::string format{};      // chat format for /completions
    bool fresh_cache = false;  // llama-server computes every request anew: slower, and the same each time
};

class http_endpoint {
public:
    /// Sends nothing yet. @throws config_error for a bad URL or format
    explicit http_endpoint(http_endpoint_options options)
        : options_(std::move(options)), watch_(options_.http.cancelled) {
        (void)parse_base_url(options_.http.base_url);
        if (const char* key =
                options_.http.key_variable.empty() ? nullptr : std::getenv(options_.http.key_variable.c_str()))
            key_ = key;
        write_.dialect = options_.dialect;
        write_.model = options_.model;
        write_.fresh_cache = options_.fresh_cache;
        if (options_.api == http_api::completions) {
            if (options_.format.empty())
                throw config_error("teacher: /completions needs a chat format (name it with --format)");
            write_.format = text::chat_format_by_name(options_.format);
        }
    }

    void look() {
        const lease client(*this);
        json listed;
        try {
            listed = client->get("/models", std::min(options_.http.timeout, look_seconds));
        } catch (const request_refused& fault) {
            throw server_fault(fault.what(), server_fault::kind::final);
        }
        const auto [model, dialect, details, context] = understood(listed);
        if (looked_) {
            if (identity_of(model, details) != identity() || dialect != write_.dialect)
                throw server_fault(
                    explain(name(), "serves " + identity_of(model, details) + " now, before it was " + identity()),
                    server_fault::kind::final);
            return;
        }
        write_.model = model;
        write_.dialect = dialect;
        details_ = details;
        context_ = context != 0 ? context : context_in_properties(*client);
        scores_ = dialect != http_dialect::plain || (write_.format && echoes(*client));
        if (!scores_) note("the server offers no way to score a given answer: likelihood checks are skipped");
        looked_ = true;
    }

    /// Answers to requests that differ in their seeds alone.
    [[nodiscard]] std::vector<text::completion> complete(std::span<const text::request> requests) {
        const lease client(*this);
        std::vector<text::completion> answers;
        if (requests.size() > 1 && seeds_at_once() > 1) {
            answers = together(*client, requests);
            if (answers.size() < requests.size()) {
                const std::lock_guard lock(mutex_);
                one_by_one_ = true;
                notes_.insert("the server gives one answer a call: requests that differ in their seeds go out singly");
            }
        }
        while (answers.size() < requests.size()) answers.push_back(completed(*client, requests[answers.size()]));
        return answers;
    }
    [[nodiscard]] text::score score(const text::score_request& r) {
        const lease client(*this);
        text::completion c;
        if (write_.format && write_.dialect != http_dialect::llama_cpp)
            c = echoed(*client, r.messages, r.answer);
        else
            c = forced(*client, r.messages, {}, r.answer);
        return {c.log_probability, c.completion_tokens, c.spent};
    }
    [[nodiscard]] std::string name() const { return options_.http.base_url; }
    [[nodiscard]] std::string identity() const { return identity_of(write_.model, details_); }
    [[nodiscard]] bool can_score() const noexcept { return scores_; }
    [[nodiscard]] std::size_t seeds_at_once() const {
        const std::lock_guard lock(mutex_);
        return one_by_one_ || write_.fresh_cache ? 1 : most_seeds;
    }
    [[nodiscard]] std::vector<std::string> notes() const {
        const std::lock_guard lock(mutex_);
        return {notes_.begin(), notes_.end()};
    }
    [[nodiscard]] http_dialect dialect() const noexcept { return write_.dialect; }
    [[nodiscard]] std::size_t context() const noexcept { return context_; }
    [[nodiscard]] std::size_t prompt_tokens(const text::messages& messages, const std::string& answer) {
        if (write_.dialect == http_dialect::plain) return 0;
        const lease client(*this);
        json asked;
        if (write_.dialect == http_dialect::vllm) {
            asked = write_.to_count(messages, answer);
        } else if (write_.format) {
            asked = {{"content", write_.rendered(messages, answer)}, {"add_special", true}};
        } else {
            const auto framed = client->post_native("/apply-template", {{"messages", to_json(messages)}});
            if (!framed.is_object() || !framed.contains("prompt")) return 0;
            asked = {{"content", http_protocol::detail::text_or(framed, "prompt") + answer}, {"add_special", true}};
        }
        return http_protocol::token_count(client->post_native("/tokenize", asked));
    }

private:
    static constexpr double look_seconds = 10;
    static constexpr std::size_t most_seeds = 64;

    /// A connection for one call, kept for the next.
    class lease {
    public:
        explicit lease(http_endpoint& e) : owner_(e) {
            const std::lock_guard lock(e.mutex_);
            if (e.idle_.empty()) {
                client_ = std::make_unique<http_client>(e.options_.http, e.key_, e.watch_);
            } else {
                client_ = std::move(e.idle_.back());
                e.idle_.pop_back();
            }
        }
        lease(const lease&) = delete;
        lease& operator=(const lease&) = delete;
        ~lease() {
            const std::lock_guard lock(owner_.mutex_);
            owner_.idle_.push_back(std::move(client_));
        }
        http_client* operator->() const { return client_.get(); }
        http_client& operator*() const { return *client_; }

    private:
        http_endpoint& owner_;
        std::unique_ptr<http_client> client_;
    };
    struct description {
        std::string model;
        http_dialect dialect;
        std::string details;
        std::size_t context = 0;
    };

    void note(std::string text) {
        const std::lock_guard lock(mutex_);
        notes_.insert(std::move(text));
    }
    /// llama-server's name is a path, which differs between machines: the file's name and what tells models apart stay.
    [[nodiscard]] std::string identity_of(const std::string& model, const std::string& details) const {
        return "http:" + (model.starts_with('/') ? model.substr(model.rfind('/') + 1) : model) + details +
               (write_.format ? " completions format=" + options_.format : "");
    }

    [[nodiscard]] description understood(const json& listed) const {
        const auto* models =
            listed.is_object() && listed.contains("data") && listed["data"].is_array() ? &listed["data"] : nullptr;
        if (models == nullptr || models->empty())
            throw server_fault(explain(name(), "lists no model", "see that it is an OpenAI-compatible server"),
                               server_fault::kind::broken);
        const json* chosen = nullptr;
        using http_protocol::detail::text_or;
        for (const auto& m : *models)
            if (m.is_object() && (options_.model.empty() || text_or(m, "id") == options_.model)) {
                chosen = &m;
                break;
            }
        description d{options_.model, options_.dialect, {}, 0};
        if (chosen == nullptr) {  // gateways serve models that they do not list
            if (d.dialect == http_dialect::automatic) d.dialect = http_dialect::plain;
            return d;
        }
        d.model = text_or(*chosen, "id");
        d.context = http_protocol::stated_context(*chosen);
        if (d.dialect == http_dialect::automatic) {
            const std::string owner = text_or(*chosen, "owned_by");
            d.dialect = owner == "llamacpp" ? http_dialect::llama_cpp
                        : owner == "vllm"   ? http_dialect::vllm
                                            : http_dialect::plain;
        }
        if (const auto meta = chosen->find("meta"); meta != chosen->end() && meta->is_object())
            for (const char* field : {"n_params", "size"})
                if (meta->contains(field))
                    d.details += std::string(" ") + field + "=" + formats::to_text((*meta)[field]);
        return d;
    }

    /// What llama-server gives each of its slots.
    [[nodiscard]] std::size_t context_in_properties(http_client& client) const {
        if (write_.dialect != http_dialect::llama_cpp) return 0;
        try {
            const auto said = client.get_native("/props", std::min(options_.http.timeout, look_seconds));
            return said.is_object() ? http_protocol::stated_context(said.value("default_generation_settings", json()))
                                    : 0;
        } catch (const io_error&) {
            return 0;
        }
    }

    /// Sends, without the fields that the server has refused before; a field that it refuses now is left out from here
    /// on.
    json sent(http_client& client, http_protocol::call& c) {
        for (;;) {
            {
                const std::lock_guard lock(mutex_);
                for (const auto& field : refused_fields_) drop(c, field);
            }
            try {
                return client.post(write_.path(), c.body);
            } catch (const request_refused& fault) {
                const auto field = http_protocol::unsupported_field(fault.what(), c.body);
                if (field.empty()) throw;
                const std::lock_guard lock(mutex_);
                refused_fields_.insert(field);
            }
        }
    }
    static void drop(http_protocol::call& c, const std::string& field) {
        if (!c.body.contains(field)) return;
        if (field == "max_tokens") {
            c.body["max_completion_tokens"] = c.body[field];
        } else if (field != "logprobs" && field != "top_logprobs" &&
                   field != "n") {  // what is lost by those is said elsewhere
            c.note("the server does not take '" + field + "': it was left out");
        }
        if (field == "logprobs") c.body.erase("top_logprobs");
        c.body.erase(field);
    }
    std::vector<http_protocol::reply> replies(http_client& client, http_protocol::call& c) {
        return http_protocol::read_replies(sent(client, c), options_.http.base_url);
    }

    /// A reply as a completion without cost.
    [[nodiscard]] static text::completion as_completion(const http_protocol::reply& r, const std::string& prefix) {
        text::completion c;
        c.text = r.text;
        if (!prefix.empty() && c.text.starts_with(prefix)) c.text.erase(0, prefix.size());
        if (r.cut) c.finish = text::finish_reason::length;
        for (const auto& t : r.tokens) {  // the end-of-turn token comes as an empty text: it is no part of the answer
            if (t.text.empty()) continue;
            c.log_probability += t.logprob;
            ++c.completion_tokens;
        }
        return c;
    }
    static void add_usage(text::completion& c, const std::optional<text::usage>& u) {
        if (!u) return;
        c.spent.prompt_tokens += u->prompt_tokens;
        c.spent.completion_tokens += u->completion_tokens;
    }
    void finish(text::completion& c, const http_protocol::reply& r, std::vector<std::string> notes) {
        c.prompt_tokens = c.spent.prompt_tokens;
        if (!r.has_logprobs && r.usage) c.completion_tokens = r.usage->completion_tokens;
        const std::lock_guard lock(mutex_);
        notes_.insert(notes.begin(), notes.end());
        c.notes = std::move(notes);
    }

    text::completion completed(http_client& client, const text::request& r) {
        auto call = write_.write(r);
        const auto& choices = r.constraint.choices;
        write_.want_logprobs(call.body, choices.empty() ? 0 : 20);
        const auto got = replies(client, call);
        auto c = as_completion(got[0], r.assistant_prefix);
        add_usage(c, got[0].usage);
        if (!choices.empty()) choose(client, r, got[0], c, call.notes);
        finish(c, got[0], std::move(call.notes));
        return c;
    }
    void choose(http_client& client, const text::request& r, const http_protocol::reply& got, text::completion& c,
                std::vector<std::string>& notes) {
        const auto& choices = r.constraint.choices;
        c.choice_probabilities = http_protocol::first_token_probabilities(got, choices);
        if (c.choice_probabilities.empty() && can_score()) {
            std::vector<double> logs;
            for (const auto& choice : choices) {
                const auto f = write_.format && write_.dialect != http_dialect::llama_cpp
                                   ? echoed(client, r.messages, choice, r.assistant_prefix)
                                   : forced(client, r.messages, r.assistant_prefix, choice);
                logs.push_back(f.log_probability);
                c.spent.prompt_tokens += f.spent.prompt_tokens;
                c.spent.completion_tokens += f.spent.completion_tokens;
            }
            c.choice_probabilities = http_protocol::softmax(logs);
        }
        if (c.choice_probabilities.empty())
            notes.emplace_back("the server gives no log-probabilities for choices: judges count as certain");
        if (r.sampling.temperature == 0 && !c.choice_probabilities.empty()) {
            const auto best = std::max_element(c.choice_probabilities.begin(), c.choice_probabilities.end());
            c.text = choices[static_cast<std::size_t>(best - c.choice_probabilities.begin())];
        } else if (const auto verdict = http_protocol::verdict_in(c.text, choices)) {
            c.text = choices[*verdict];
        } else {
            c.no_verdict = c.text.empty() ? "nothing" : formats::escape(c.text, 200);
            c.text.clear();
        }
    }

    /// As many answers as the server gives for one call; the prompt's cost is the first one's.
    std::vector<text::completion> together(http_client& client, std::span<const text::request> requests) {
        auto call = write_.write(requests[0], requests.size());
        write_.want_logprobs(call.body, 0);
        auto got = replies(client, call);
        if (got.size() > requests.size()) got.resize(requests.size());
        std::vector<text::completion> answers;
        text::usage left = got[0].usage.value_or(text::usage{});
        for (std::size_t k = 0; k < got.size(); ++k) {
            auto c = as_completion(got[k], requests[k].assistant_prefix);
            const std::size_t share = left.completion_tokens / (got.size() - k);
            c.spent = {std::exchange(left.prompt_tokens, 0), share};
            left.completion_tokens -= share;
            if (!got[k].has_logprobs) c.completion_tokens = share;
            finish(c, got[k], call.notes);
            answers.push_back(std::move(c));
        }
        return answers;
    }

    /// log p(answer | messages), by letting the server write exactly that.
    text::completion forced(http_client& client, const text::messages& messages, const std::string& prefix,
                            const std::string& answer) {
        if (answer.empty()) throw config_error("teacher: an answer to score must not be empty");
        text::request r;
        r.messages = messages;
        r.assistant_prefix = prefix;
        r.max_tokens = answer.size() + 8;  // a token is at least a byte
        r.constraint.choices = {answer};
        auto call = write_.write(r);
        if (write_.dialect == http_dialect::llama_cpp) call.body["grammar"] = token_grammar(client, answer);
        write_.want_logprobs(call.body, 1);
        const auto got = replies(client, call);
        auto c = as_completion(got[0], prefix);
        add_usage(c, got[0].usage);
        if (!got[0].text.ends_with(answer))
            http_protocol::detail::broken(
                name(), "the server did not keep to its constraint: " + formats::escape(got[0].text, 100));
        if (!got[0].tokens.empty() && got[0].tokens.back().text.empty())
            c.log_probability += got[0].tokens.back().logprob, ++c.completion_tokens;
        return c;
    }
    /// The answer in the tokenizer's own cut: left to a text grammar, the likeliest first letter would win over the
    /// likeliest token.
    std::string token_grammar(http_client& client, const std::string& answer) {
        {
            const std::lock_guard lock(mutex_);
            if (const auto at = grammars_.find(answer); at != grammars_.end()) return at->second;
        }
        const json reply = client.post_native("/tokenize", {{"content", answer}});
        std::string grammar = "root ::=";
        if (!reply.is_object() || !reply.contains("tokens") || !reply["tokens"].is_array())
            http_protocol::detail::broken(name(), "/tokenize gives no list of tokens");
        for (const auto& id : reply["tokens"]) {
            if (!id.is_number_unsigned()) http_protocol::detail::broken(name(), "/tokenize gives what is no token");
            grammar += " <[" + std::to_string(id.get<std::uint64_t>()) + "]>";
        }
        const std::lock_guard lock(mutex_);
        if (grammars_.size() >= 4096) grammars_.clear();
        return grammars_[answer] = grammar;
    }

    /// The same where the server echoes its prompt with log-probabilities.
    text::completion echoed(http_client& client, const text::messages& messages, const std::string& answer,
                            const std::string& prefix = {}) {
        if (answer.empty()) throw config_error("teacher: an answer to score must not be empty");
        const std::string prompt = write_.rendered(messages, prefix);
        const auto ends = write_.format->stop();
        const std::string tail = answer + (ends.empty() ? "" : ends[0]);
        http_protocol::call call{{{"model", write_.model},
                                  {"prompt", prompt + tail},
                                  {"max_tokens", 0},
                                  {"temperature", 0},
                                  {"echo", true},
                                  {"logprobs", 1}}};
        const auto got = replies(client, call);
        text::completion c;
        add_usage(c, got[0].usage);
        if (!got[0].has_logprobs) http_protocol::detail::broken(name(), "the echo has no log-probabilities");
        // From the end: what servers count as the beginning differs, with a token of their own in front.
        std::size_t bytes = 0;
        for (auto t = got[0].tokens.rbegin(); t != got[0].tokens.rend() && bytes < tail.size(); ++t) {
            bytes += t->text.size();
            c.log_probability += t->logprob;
            ++c.completion_tokens;
        }
        if (bytes < tail.size()) http_protocol::detail::broken(name(), "the echo lacks tokens of the answer");
        return c;
    }
    [[nodiscard]] bool echoes(http_client& client) {
        try {
            return echoed(client, {{"user", "Two words?"}}, "green leaf").completion_tokens >= 2;
        } catch (const request_refused&) {
            return false;
        } catch (const server_fault& fault) {
            if (fault.what_kind == server_fault::kind::broken) return false;
            throw;
        }
    }

    http_endpoint_options options_;
    deadline_watch watch_;
    std::string key_, details_;
    std::size_t context_ = 0;
    http_protocol::writer write_;
    bool looked_ = false, scores_ = false;
    mutable std::mutex mutex_;
    bool one_by_one_ = false;
    std::set<std::string> notes_, refused_fields_;
    std::map<std::string, std::string> grammars_;  // of answers that were scored
    std::vector<std::unique_ptr<http_client>> idle_;
};
static_assert(measured_endpoint<http_endpoint>);

}  // namespace lab::sdg
