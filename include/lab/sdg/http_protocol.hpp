// What is said to an OpenAI-compatible server and what is read out of its answers (chat and text completions). Forms
// that an answer must have use what the server offers: llama-server `grammar` (GBNF), vLLM `guided_*` and
// `structured_outputs`; elsewhere the wish is put in words and noted. Sends nothing itself.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/endpoint.hpp"
#include "lab/sdg/gbnf.hpp"
#include "lab/sdg/http_options.hpp"
#include "lab/sdg/request_json.hpp"
#include "lab/sdg/teacher.hpp"
#include "lab/text/chat_format.hpp"

namespace lab::sdg {

namespace http_protocol {

/// A body to send, and what it could not say as it was wished.
struct call {
    json body;
    std::vector<std::string> notes{};
    void note(std::string text) {
        if (std::find(notes.begin(), notes.end(), text) == notes.end()) notes.push_back(std::move(text));
    }
};

/// How to speak to one server.
struct writer {
    http_dialect dialect = http_dialect::plain;
    std::string model{};
    std::optional<text::any_chat_format> format{};  // of /completions; none: /chat/completions
    bool fresh_cache = false;  // llama-server: what a slot has cached moves the numbers a little; without, they repeat

    [[nodiscard]] const char* path() const { return format ? "/completions" : "/chat/completions"; }

    /// @param together answers wanted of one call @throws request_refused where /completions cannot carry a text
    [[nodiscard]] call write(const text::request& r, std::size_t together = 1) const {
        call c{{{"model", model},
                {"max_tokens", r.max_tokens},
                {"temperature", r.sampling.temperature},
                {"top_p", r.sampling.top_p},
                {"seed", r.sampling.seed & 0x7fffffffu}}};  // the bits that every server takes
        if (together > 1) c.body["n"] = together;
        auto stop = r.stop;
        if (format)
            for (auto& s : format->stop()) stop.push_back(std::move(s));
        if (!stop.empty()) c.body["stop"] = stop;
        if (dialect == http_dialect::llama_cpp && fresh_cache) c.body["cache_prompt"] = false;
        if (dialect != http_dialect::plain) {
            c.body["top_k"] = dialect == http_dialect::vllm && r.sampling.top_k == 0 ? -1 : r.sampling.top_k;
            c.body["min_p"] = r.sampling.min_p;
            c.body[dialect == http_dialect::vllm ? "repetition_penalty" : "repeat_penalty"] =
                r.sampling.repetition_penalty;
        }
        auto messages = r.messages;
        constrain(c, messages, r.constraint);
        if (!r.assistant_prefix.empty() && !format && dialect == http_dialect::plain) {
            c.note("the server does not continue a given opening: the opening was asked for in words");
            add_to_last(messages, "Begin your answer with: " + r.assistant_prefix);
        }
        if (format) {
            c.body["prompt"] = rendered(messages, r.assistant_prefix);
            if (dialect == http_dialect::vllm) c.body["skip_special_tokens"] = true;
            return c;
        }
        c.body["messages"] = to_json(messages);
        if (r.assistant_prefix.empty() || dialect == http_dialect::plain) return c;
        c.body["messages"].push_back({{"role", "assistant"}, {"content", r.assistant_prefix}});
        if (dialect == http_dialect::vllm)
            c.body["add_generation_prompt"] = false, c.body["continue_final_message"] = true;
        return c;
    }
    /// What vLLM's /tokenize is asked to learn how long a prompt is with the opening of an answer.
    [[nodiscard]] json to_count(const text::messages& messages, const std::string& answer) const {
        if (format) return {{"model", model}, {"prompt", rendered(messages, answer)}};
        json body{{"model", model}, {"messages", to_json(messages)}};
        if (answer.empty()) return body;
        body["messages"].push_back({{"role", "assistant"}, {"content", answer}});
        body["add_generation_prompt"] = false, body["continue_final_message"] = true;
        return body;
    }
    /// Asks for log-probabilities, of so many alternatives too.
    void want_logprobs(json& body, std::size_t alternatives) const {
        if (format) {
            body["logprobs"] = std::max<std::size_t>(1, std::min<std::size_t>(alternatives, 5));
        } else {
            body["logprobs"] = true;
            if (alternatives > 0) body["top_logprobs"] = alternatives;
        }
    }
    /// The text of a conversation in the named format, ready for an answer. Servers put a leading <s> themselves.
    [[nodiscard]] std::string rendered(const text::messages& messages, const std::string& prefix) const {
        for (const auto& m : messages)
            for (const auto& special : format->special_tokens())
                if (m.content.find(special) != std::string::npos)
                    throw request_refused("a message spells the control token " + special +
                                          ", which /completions cannot carry as text");
        auto text =
            text::to_string(format->render(messages, {.add_generation_prompt = true, .assistant_prefix = prefix}));
        if (text.starts_with("<s>")) text.erase(0, 3);
        return text;
    }

private:
    static void add_to_last(text::messages& messages, const std::string& wish) {
        if (messages.empty()) messages.push_back({"user", ""});
        messages.back().content += "\n\n" + wish;
    }

    void constrain(call& c, text::messages& messages, const text::output_constraint& form) const {
        if (form.empty()) return;
        const bool vllm = dialect == http_dialect::vllm, llama = dialect == http_dialect::llama_cpp;
        const auto both = [&](const char* old_name, const char* new_name, const json& value) {
            c.body[old_name] = value;  // the second replaces the first in newer servers
            c.body["structured_outputs"] = {{new_name, value}};
        };
        if (form.has_grammar()) {
            if (!form.grammar.empty() && vllm) return both("guided_grammar", "grammar", form.grammar);
            if (!form.grammar.empty() && llama) return void(c.body["grammar"] = form.grammar);
            if (!form.regex.empty() && vllm) return both("guided_regex", "regex", form.regex);
            if (!form.json_schema.empty() && (vllm || llama)) {  // members arrive in alphabetical order
                const json schema = formats::parse_json(form.json_schema, "schema");
                if (format)
                    c.body[vllm ? "guided_json" : "json_schema"] = schema;
                else
                    c.body["response_format"] = {
                        {"type", "json_schema"},
                        {"json_schema", {{"name", "answer"}, {"strict", true}, {"schema", schema}}}};
                return;
            }
            c.note("the server cannot constrain its output by this: the form was asked for in words");
            if (!form.regex.empty())
                add_to_last(messages, "Reply only with text that matches this regular expression: " + form.regex);
            if (!form.json_schema.empty())
                add_to_last(messages, "Reply only with JSON that is valid under this JSON Schema: " + form.json_schema);
            if (!form.grammar.empty())
                add_to_last(messages, "Reply only with text of this GBNF grammar:\n" + form.grammar);
            return;
        }
        const bool choose = !form.choices.empty();
        if (llama) return void(c.body["grammar"] = choose ? gbnf::choices(form.choices) : gbnf::span_of(form.span_of));
        if (vllm && choose) return both("guided_choice", "choice", form.choices);
        if (vllm) return both("guided_grammar", "grammar", gbnf::span_of(form.span_of));
        c.note("the server cannot constrain its output: answers that break the form are dropped");
        if (choose) {
            std::string list;
            for (const auto& choice : form.choices) list += (list.empty() ? "" : " | ") + choice;
            add_to_last(messages, "Reply with exactly one of: " + list);
        } else {
            add_to_last(messages, "Reply only with words copied from the text, nothing else.");
        }
    }
};

/// One token of an answer with the likeliest tokens at its place.
struct token_chance {
    std::string text;
    double logprob = 0;
    std::vector<std::pair<std::string, double>> likeliest{};
};
struct reply {
    std::string text;
    bool cut = false;  // at max_tokens
    std::vector<token_chance> tokens{};
    bool has_logprobs = false;
    std::optional<text::usage> usage{};  // of the whole call, with the first reply
};

namespace detail {

[[noreturn]] inline void broken(const std::string& place, const std::string& what) {
    throw server_fault(explain(place, what), server_fault::kind::broken);
}

[[nodiscard]] inline double number_or(const json& object, const char* name, double fallback) {
    const auto at = object.find(name);
    return at != object.end() && at->is_number() ? at->get<double>() : fallback;
}
[[nodiscard]] inline std::string text_or(const json& object, const char* name) {
    const auto at = object.find(name);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

/// Both forms: {"content": [{token, logprob, top_logprobs: [{token, logprob}]}]} and the older
/// {"tokens", "token_logprobs", "top_logprobs": [{token: logprob}]}.
inline void read_logprobs(const json& l, reply& r) {
    if (!l.is_object()) return;
    if (const auto at = l.find("content"); at != l.end() && at->is_array()) {
        r.has_logprobs = true;
        for (const auto& t : *at) {
            if (!t.is_object()) continue;
            token_chance chance{text_or(t, "token"), number_or(t, "logprob", 0.0)};
            if (const auto top = t.find("top_logprobs"); top != t.end() && top->is_array())
                for (const auto& other : *top)
                    if (other.is_object())
                        chance.likeliest.emplace_back(text_or(other, "token"), number_or(other, "logprob", 0.0));
            r.tokens.push_back(std::move(chance));
        }
        return;
    }
    const auto tokens = l.find("tokens"), chances = l.find("token_logprobs");
    if (tokens == l.end() || chances == l.end() || !tokens->is_array() || !chances->is_array() ||
        tokens->size() != chances->size())
        return;
    r.has_logprobs = true;
    const auto top = l.find("top_logprobs");
    for (std::size_t i = 0; i < tokens->size(); ++i) {
        token_chance chance;
        if ((*tokens)[i].is_string()) chance.text = (*tokens)[i].get<std::string>();
        chance.logprob = (*chances)[i].is_number() ? (*chances)[i].get<double>() : 0.0;  // the prompt's first has none
        if (top != l.end() && top->is_array() && i < top->size() && (*top)[i].is_object())
            for (const auto& [text, p] : (*top)[i].items())
                if (p.is_number()) chance.likeliest.emplace_back(text, p.template get<double>());
        r.tokens.push_back(std::move(chance));
    }
}

/// `content` is a text, or null, or a list of parts.
[[nodiscard]] inline std::string content_of(const json& message) {
    const auto at = message.find("content");
    if (at == message.end()) return {};
    if (at->is_string()) return at->get<std::string>();
    std::string text;
    if (at->is_array())
        for (const auto& part : *at)
            if (part.is_object()) text += text_or(part, "text");
    return text;
}

}  // namespace detail

/// The replies of an answer in the order of their `index`. @throws server_fault (broken) for anything else
[[nodiscard]] inline std::vector<reply> read_replies(const json& answer, const std::string& place) {
    const auto refuse = [&] {
        detail::broken(place, "the answer is no completion: " + formats::escape(formats::to_text(answer), 200));
    };
    if (!answer.is_object() || !answer.contains("choices") || !answer["choices"].is_array() ||
        answer["choices"].empty())
        refuse();
    std::vector<std::pair<double, reply>> found;
    for (const auto& choice : answer["choices"]) {
        if (!choice.is_object()) refuse();
        reply r;
        if (const auto m = choice.find("message"); m != choice.end() && m->is_object())
            r.text = detail::content_of(*m);
        else if (const auto t = choice.find("text"); t != choice.end() && t->is_string())
            r.text = t->get<std::string>();
        else
            refuse();
        r.cut = detail::text_or(choice, "finish_reason") == "length";
        if (const auto l = choice.find("logprobs"); l != choice.end()) detail::read_logprobs(*l, r);
        const auto number = static_cast<double>(found.size());
        found.emplace_back(detail::number_or(choice, "index", number), std::move(r));
    }
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<reply> replies;
    replies.reserve(found.size());
    for (auto& [number, r] : found) replies.push_back(std::move(r));
    if (const auto u = answer.find("usage"); u != answer.end() && u->is_object()) {
        const auto count = [&](const char* name) {
            const double n = detail::number_or(*u, name, 0);
            return n > 0 && n < 1e15 ? static_cast<std::size_t>(n) : std::size_t{0};
        };
        replies[0].usage = text::usage{count("prompt_tokens"), count("completion_tokens")};
    }
    return replies;
}

/// How many tokens a server says that its model takes for a prompt and its answer: `max_model_len` in vLLM's list of
/// models, `n_ctx` in the settings that llama-server's /props shows; 0: it does not say.
[[nodiscard]] inline std::size_t stated_context(const json& described) {
    for (const char* field : {"max_model_len", "n_ctx"})
        if (const auto n = described.is_object() ? detail::number_or(described, field, 0) : 0; n >= 1 && n < 1e15)
            return static_cast<std::size_t>(n);
    return 0;
}
/// How many tokens an answer of /tokenize counts; 0: it is none.
[[nodiscard]] inline std::size_t token_count(const json& answer) {
    if (!answer.is_object()) return 0;
    if (const auto tokens = answer.find("tokens"); tokens != answer.end() && tokens->is_array()) return tokens->size();
    return 0;
}

/// Which of the choices an answer in words names: exactly one, white space, quotes, punctuation at its ends and the
/// case of its letters aside. Anything more is no verdict.
[[nodiscard]] inline std::optional<std::size_t> verdict_in(std::string_view said,
                                                           const std::vector<std::string>& choices) {
    const auto bare = [](std::string_view text) {
        constexpr std::string_view edge = " \t\r\n.,;:!?\"'`*_()[]{}<>";
        const auto begin = text.find_first_not_of(edge);
        if (begin == text.npos) return std::string();
        std::string word(text.substr(begin, text.find_last_not_of(edge) - begin + 1));
        for (char& c : word)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        return word;
    };
    if (const auto exact = std::find(choices.begin(), choices.end(), said); exact != choices.end())
        return static_cast<std::size_t>(exact - choices.begin());
    std::optional<std::size_t> found;
    const std::string wanted = bare(said);
    for (std::size_t i = 0; i < choices.size() && !wanted.empty(); ++i)
        if (bare(choices[i]) == wanted) {
            if (found) return std::nullopt;  // two choices that differ in their case alone
            found = i;
        }
    return found;
}

[[nodiscard]] inline std::vector<double> softmax(const std::vector<double>& logs) {
    const double top = *std::max_element(logs.begin(), logs.end());
    std::vector<double> p;
    double sum = 0;
    for (const double l : logs) sum += p.emplace_back(std::exp(l - top));
    for (double& x : p) x /= sum;
    return p;
}

/// When the first token already tells the choices apart and all are among the most likely tokens; else empty.
[[nodiscard]] inline std::vector<double> first_token_probabilities(const reply& r,
                                                                   const std::vector<std::string>& choices) {
    if (r.tokens.empty() || choices.empty()) return {};
    std::vector<double> logs(choices.size(), 1.0);
    for (const auto& [piece, logprob] : r.tokens[0].likeliest) {
        if (piece.empty()) continue;
        std::size_t owner = choices.size(), owners = 0;
        for (std::size_t i = 0; i < choices.size(); ++i)
            if (choices[i].starts_with(piece)) owner = i, ++owners;
        if (owners > 1) return {};
        if (owners == 1 && logs[owner] > 0) logs[owner] = logprob;
    }
    for (const double l : logs)
        if (l > 0) return {};
    return softmax(logs);
}

/// The field of ours that a server says it does not take; empty: its complaint is about something else.
[[nodiscard]] inline std::string unsupported_field(std::string complaint, const json& body) {
    for (char& c : complaint)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    constexpr std::string_view signs[] = {"support", "unknown",       "unrecognized", "unexpected",
                                          "extra",   "not permitted", "not allowed",  "invalid parameter"};
    if (std::none_of(std::begin(signs), std::end(signs),
                     [&](std::string_view sign) { return complaint.find(sign) != complaint.npos; }))
        return {};
    const auto names = [&](std::string_view field) {
        for (std::size_t at = 0; (at = complaint.find(field, at)) != complaint.npos; at += field.size()) {
            const auto part = [&](std::size_t i) {
                return i < complaint.size() && (complaint[i] == '_' || (complaint[i] >= 'a' && complaint[i] <= 'z'));
            };
            if ((at == 0 || !part(at - 1)) && !part(at + field.size())) return true;
        }
        return false;
    };
    for (const char* field : {"top_logprobs", "logprobs", "seed", "top_p", "temperature", "stop", "top_k", "min_p",
                              "repeat_penalty", "repetition_penalty", "cache_prompt", "skip_special_tokens", "n"})
        if (body.contains(field) && names(field)) return field;
    if (body.contains("max_tokens") && names("max_completion_tokens")) return "max_tokens";
    return {};
}

}  // namespace http_protocol
}  // namespace lab::sdg
