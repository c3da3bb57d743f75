// A teacher made of servers of one model: each request goes to the server with the least outstanding work, a server
// that fails loses its work to the others (fleet_scheduler.hpp). Answers depend on none of this: they come back by the
// requests' order, and the identity, part of the journal's keys, names the model alone.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/sdg/fleet_scheduler.hpp"
#include "lab/sdg/request_json.hpp"
#include "lab/sdg/teacher.hpp"

namespace lab::sdg {

class teacher_fleet {
public:
    /// Looks at every server. Goes on without those that cannot be reached as long as one can.
    /// @throws io_error when none can be reached or one refuses for good, config_error when they serve different models
    teacher_fleet(std::vector<any_endpoint> servers, fleet_options options)
        : size_(servers.size()), work_(std::make_unique<fleet_scheduler>(std::move(servers), std::move(options))) {}

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
        work_->drive<text::completion>(
            units_of(requests),
            [&](any_endpoint& server, const unit& u) {
                std::vector<text::request> asked;
                asked.reserve(u.of.size());
                for (const std::size_t i : u.of) asked.push_back(requests[i]);
                auto answers = server.complete(asked);
                for (std::size_t k = 0; k < answers.size(); ++k) answers[k].more_to_come = answers.size() - 1 - k;
                return answers;
            },
            [](const text::completion& c) { return work_of(c.spent); }, sink);
    }
    void score_each(std::span<const text::score_request> requests, score_sink sink) {
        if (!can_score())
            throw config_error("teacher " + identity() + ": cannot score answers (needs llama-server, vLLM or echo)");
        std::deque<unit> units;
        for (std::size_t i = 0; i < requests.size(); ++i)
            units.push_back({{i}, bytes_of(requests[i].messages) + requests[i].answer.size()});
        work_->drive<text::score>(
            std::move(units),
            [&](any_endpoint& server, const unit& u) { return std::vector{server.score(requests[u.of[0]])}; },
            [](const text::score& s) { return work_of(s.spent); }, sink);
    }
    [[nodiscard]] bool can_score() const { return work_->model().can_score(); }
    [[nodiscard]] std::string identity() const { return work_->model().identity(); }
    [[nodiscard]] std::vector<std::string> notes() const {
        std::set<std::string> all;
        for (std::size_t i = 0; i < size_; ++i)
            for (auto& note : work_->server(i).notes()) all.insert(std::move(note));
        return {all.begin(), all.end()};
    }
    /// The shortest context among the servers, in tokens; 0: none says.
    [[nodiscard]] std::size_t context() const {
        std::size_t least = 0;
        for (std::size_t i = 0; i < size_; ++i)
            if (const auto n = work_->server(i).context(); n > 0 && (least == 0 || n < least)) least = n;
        return least;
    }
    /// How many tokens a prompt is with an answer's opening; 0: not known, or nobody there to ask.
    [[nodiscard]] std::size_t prompt_tokens(const text::messages& messages, const std::string& answer) {
        try {
            return work_->model().prompt_tokens(messages, answer);
        } catch (const io_error&) {
            return 0;
        }
    }
    [[nodiscard]] std::vector<server_status> status() const { return work_->status(); }

private:
    using unit = fleet_scheduler::unit;

    /// Writing a token costs about as much as reading eight.
    static double work_of(const text::usage& u) {
        return 1 + static_cast<double>(u.completion_tokens) + static_cast<double>(u.prompt_tokens) / 8;
    }
    static std::size_t bytes_of(const text::messages& messages) {
        std::size_t bytes = 0;
        for (const auto& m : messages) bytes += m.content.size();
        return bytes;
    }
    /// Requests that differ in their seeds alone share a call as far as the model's server takes them. Calls go in the
    /// order of their first requests; which requests share one follows from the batch alone.
    [[nodiscard]] std::deque<unit> units_of(std::span<const text::request> requests) const {
        const std::size_t together = std::min(work_->options().seeds_per_call, work_->model().seeds_at_once());
        std::deque<unit> units;
        std::map<std::string, std::size_t> open;  // unit with room, by the request without its seed
        for (std::size_t i = 0; i < requests.size(); ++i) {
            const auto& r = requests[i];
            const std::size_t size = bytes_of(r.messages) + 32 * r.max_tokens;
            if (together > 1 && r.sampling.temperature > 0 && r.constraint.choices.empty()) {
                auto alike = r;
                alike.sampling.seed = 0;
                const auto [at, fresh] = open.try_emplace(formats::to_text(to_json(alike)), units.size());
                if (!fresh && units[at->second].of.size() < together) {
                    units[at->second].of.push_back(i);
                    units[at->second].size += 32 * r.max_tokens;
                    continue;
                }
                at->second = units.size();
            }
            units.push_back({{i}, size});
        }
        return units;
    }

    std::size_t size_;
    std::unique_ptr<fleet_scheduler> work_;
};
static_assert(teacher<teacher_fleet>);

}  // namespace lab::sdg
