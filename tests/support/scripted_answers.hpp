// A teacher that reads its answers from a golden: the n-th time a prompt is asked with a temperature, it gives the n-th
// answer; without one always the first. Prompts asked with other temperatures or limits are other prompts.
#pragma once

#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "lab/formats/json.hpp"
#include "lab/sdg/blocks/table.hpp"
#include "lab/sdg/teacher.hpp"

namespace lab::test {

/// `calls`: [{"prompt", "temperature", "max_tokens", "answers"}]; the prompt of a conversation is its JSON,
/// [["role", "content"], ...].
inline sdg::any_teacher scripted_answers(const sdg::blocks::cell& calls) {
    struct script {
        std::map<std::string, sdg::blocks::cell> calls;
        std::map<std::string, std::size_t> counts;
    };
    auto s = std::make_shared<script>();
    const auto named = [](const std::string& prompt, double temperature, std::size_t max_tokens) {
        return prompt + "\n(temperature " + std::to_string(temperature) + ", " + std::to_string(max_tokens) +
               " tokens)";
    };
    for (const auto& call : calls)
        s->calls[named(call.at("prompt").get<std::string>(), call.at("temperature").get<double>(),
                       call.at("max_tokens").get<std::size_t>())] = call;
    return sdg::any_teacher(sdg::scripted_teacher([s, named](const text::request& r) {
        std::string key = r.messages.front().content;
        if (!r.raw) {
            sdg::blocks::cell list = sdg::blocks::cell::array();
            for (const auto& m : r.messages) list.push_back({m.role, m.content});
            key = list.dump();
        }
        key = named(key, r.sampling.temperature, r.max_tokens);
        const auto at = s->calls.find(key);
        BOOST_REQUIRE_MESSAGE(at != s->calls.end(), "the peer was never asked: " << key);
        const std::size_t n = r.sampling.temperature > 0 ? s->counts[key]++ : 0;
        const auto& answers = at->second.at("answers");
        BOOST_REQUIRE_MESSAGE(n < answers.size(), "the peer was asked less often: " << key);
        return text::completion{answers[n].get<std::string>()};
    }));
}

}  // namespace lab::test
