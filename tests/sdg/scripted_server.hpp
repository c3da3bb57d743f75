// A server that plays llama-server with a reader of plain rules in it: answers are a function of the request, good
// enough that a generation over it keeps samples, and the same from every instance.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/sdg/lexicon.hpp"
#include "lab/sdg/sentences.hpp"
#include "sdg/fault_server.hpp"

namespace lab::test {

class scripted_reader {
public:
    [[nodiscard]] http_answer operator()(const http_question& q) const {
        using formats::json;
        if (q.path == "/v1/models") return http_answer::of(model_list("scripted"));
        if (q.path != "/tokenize" && q.path != "/v1/chat/completions") return {404, "{}"};
        const auto body = q.json();
        if (q.path == "/tokenize") {  // a token for every byte
            json tokens = json::array();
            for (const char c : body.at("content").get<std::string>())
                tokens.push_back(static_cast<unsigned>(static_cast<unsigned char>(c)));
            return http_answer::of({{"tokens", tokens}});
        }
        const auto grammar = body.value("grammar", "");
        if (grammar.starts_with("root ::= <[")) {
            const auto answer = spelled(grammar);
            return http_answer::of(chat_reply(
                answer, {{{"token", answer}, {"logprob", likely(body, answer)}}, {{"token", ""}, {"logprob", -0.1}}}));
        }
        const auto quoted = strings_in(grammar);
        if (grammar.starts_with("root ::= \"")) {
            json top = json::array();
            std::size_t best = 0;
            for (std::size_t i = 0; i < quoted.size(); ++i) {
                top.push_back({{"token", quoted[i]}, {"logprob", likely(body, quoted[i])}});
                if (top[i]["logprob"] > top[best]["logprob"]) best = i;
            }
            return http_answer::of(
                chat_reply(quoted[best], {{{"token", quoted[best]}, {"logprob", -0.1}, {"top_logprobs", top}}}));
        }
        if (!grammar.empty())
            return http_answer::of(chat_reply(quoted.empty() ? "" : quoted[hash(body) % quoted.size()]));
        return http_answer::of(chat_reply(words(body)));
    }

private:
    static std::string last(const formats::json& body) {
        for (auto m = body["messages"].rbegin(); m != body["messages"].rend(); ++m)
            if ((*m)["role"] == "user") return (*m)["content"].get<std::string>();
        return {};
    }
    static std::uint64_t hash(const formats::json& body) { return hash64(body["messages"].dump()); }
    static std::string spelled(const std::string& grammar) {
        std::string text;
        for (std::size_t at = 0; (at = grammar.find("<[", at)) != grammar.npos; at += 2)
            text += static_cast<char>(std::stoi(grammar.substr(at + 2)));
        return text;
    }
    static std::vector<std::string> strings_in(const std::string& grammar) {
        std::vector<std::string> found;
        for (std::size_t at = 0; (at = grammar.find('"', at)) != grammar.npos; ++at) {
            std::string text;
            for (++at; at < grammar.size() && grammar[at] != '"'; ++at) {
                if (grammar[at] == '\\') ++at;
                text += grammar[at];
            }
            found.push_back(text);
        }
        return found;
    }
    /// An answer that stands in what was just said is likely, more so near the question's words.
    static double likely(const formats::json& body, const std::string& answer) {
        const auto said = last(body);
        if (said.find(answer) == said.npos) return -20.0;
        double shared = 0;
        const auto question = sdg::content_set(said.substr(said.rfind('\n') == said.npos ? 0 : said.rfind('\n')));
        for (const auto& s : sdg::sentences_of(said))
            if (s.of(said).find(answer) != std::string_view::npos)
                for (const auto& stem : sdg::content_set(s.of(said))) shared += question.contains(stem);
        return -6.0 + shared;
    }
    static std::string words(const formats::json& body) {
        constexpr const char* list[] = {"boat",  "moon", "chair", "apple", "bread", "river",
                                        "table", "lamp", "stone", "cloud", "wind",  "salt"};
        counter_rng rng(hash(body), body.value("seed", std::uint64_t{0}));
        return list[rng.below(12)];
    }
};

}  // namespace lab::test
