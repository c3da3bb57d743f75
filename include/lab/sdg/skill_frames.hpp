// Exercises of a leaf whose seeds share a copying rule (answer_pattern.hpp): the seeds' frames with fillers that the
// teacher invents; the rule gives the answer. When most of what comes is a repetition, more fillers are invented, at a
// higher temperature. A conversation goes on with further exercises of the leaf, their answers by the rule as well.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lab/sdg/answer_pattern.hpp"
#include "lab/sdg/lexicon.hpp"
#include "lab/sdg/pipeline.hpp"
#include "lab/sdg/skill_calibration.hpp"

namespace lab::sdg {

/// Warms up while repetitions prevail, cools down when they do not: in tenths, at most four above the start.
class warmth {
public:
    void observe(const std::vector<candidate>& batch) {
        const auto again = std::count_if(batch.begin(), batch.end(), [](const candidate& c) {
            return c.refused_by == "duplicate" || c.refused_by == "novelty";
        });
        const auto all = static_cast<std::ptrdiff_t>(batch.size());
        if (2 * again >= all && all > 0) {
            step_ = std::min<std::size_t>(step_ + 1, 4);
        } else if (4 * again <= all && step_ > 0) {
            --step_;
        }
    }
    [[nodiscard]] std::size_t step() const noexcept { return step_; }
    [[nodiscard]] float temperature(float start) const noexcept { return start + 0.1f * static_cast<float>(step_); }

private:
    std::size_t step_ = 0;
};

class frame_source {
public:
    frame_source(const taxonomy::leaf& leaf, answer_pattern pattern) : leaf_(leaf), pattern_(std::move(pattern)) {}

    [[nodiscard]] std::vector<candidate> propose(leaf_run& run, std::uint64_t first, std::size_t count) {
        if (shapes_.empty() || warmth_.step() > invented_at_) invent(run);
        std::vector<candidate> batch;
        for (std::uint64_t n = first; n < first + count; ++n) {
            counter_rng rng = run.stream("frame", n);
            const auto made = fill(rng);
            candidate c;
            c.number = n;
            c.origin = "frame";
            set_exercise(c, made.exercise);
            c.answer = made.answer;
            c.sure = true;
            c.provenance = {{"frame_of_seed", made.frame},
                            {"fillers", made.fillers},
                            {"prompt", run.options.wordings.tag<prompts::one_more>()},
                            {"answer_by", "rule shared by all seeds"}};
            if (made.repeats) c.refuse("fillers", "the same filler stands in two places");
            for (std::size_t turn = 2; turn <= run.options.turns && c.alive(); ++turn) {
                counter_rng next = run.stream("frame of turn " + std::to_string(turn), n);
                const auto made_next = fill(next);
                if (made_next.repeats) continue;
                candidate more;
                set_exercise(more, made_next.exercise);
                c.more.push_back({user_text(leaf_, more), made_next.answer});
            }
            batch.push_back(std::move(c));
        }
        return batch;
    }
    void observe(leaf_run&, const std::vector<candidate>& batch) { warmth_.observe(batch); }

private:
    static constexpr std::size_t inventions = 28;  // fillers asked for, for each kind of slot

    struct filled_frame {
        std::size_t frame = 0;
        std::vector<std::string> fillers;
        std::string exercise, answer;
        bool repeats = false;
    };

    /// What the teacher thinks of when it is shown the seeds' fillers: one list for each kind of slot.
    void invent(leaf_run& run) {
        const bool again = !shapes_.empty();
        invented_at_ = warmth_.step();
        std::map<std::string, std::vector<std::size_t>> kinds;  // slots with fillers of one shape share their examples
        for (std::size_t s = 0; s < pattern_.slots(); ++s) {
            if (!again) shapes_.push_back(slot_shape::of(pattern_.examples(s)));
            const auto& h = shapes_[s];
            kinds[h.number ? "number " + std::to_string(s)
                           : std::to_string(h.capital) + std::to_string(h.lower) + std::to_string(h.fewest) +
                                 std::to_string(h.many) + h.first]
                .push_back(s);
        }
        fillers_.resize(pattern_.slots());
        std::vector<text::request> requests;
        std::vector<std::vector<std::size_t>> owners;
        for (const auto& [name, slots] : kinds) {
            if (shapes_[slots[0]].number) continue;
            std::vector<std::string> known;
            for (const std::size_t s : slots)
                for (auto& e : pattern_.examples(s)) known.push_back(std::move(e));
            for (std::size_t k = 0; k < inventions; ++k) {
                counter_rng rng =
                    run.stream("filler " + name + (again ? " at " + std::to_string(invented_at_) : std::string()), k);
                auto shown = known;
                shuffle(shown, rng);
                text::request r;
                const auto list = [&](std::size_t from) {
                    std::string out;
                    for (std::size_t i = from; i < from + 3; ++i)
                        out.append(out.empty() ? "" : ", ").append(shown[i % shown.size()]);
                    return run.options.wordings.render<prompts::one_more>(text::field<"list">(out));
                };
                for (std::size_t example = 0; example < 2; ++example)
                    add_turn(r.messages, list(4 * example), shown[(4 * example + 3) % shown.size()]);
                r.messages.push_back({"user", list(8)});
                r.max_tokens = 10;
                r.stop = {"\n", ",", ";", ".", ":"};
                r.sampling = {.temperature = warmth_.temperature(0.9f), .top_p = 0.85f, .seed = rng.next64()};
                requests.push_back(std::move(r));
                owners.push_back(slots);
            }
            if (!again)
                for (const std::size_t s : slots) fillers_[s] = known;
        }
        if (requests.empty()) return;
        const auto answers = run.teacher.complete(requests);
        for (std::size_t k = 0; k < answers.size(); ++k) {
            const std::string word = flat(answers[k].text);
            if (answers[k].finish == text::finish_reason::length || !shapes_[owners[k][0]].fits(word)) continue;
            if (is_function_word(word)) continue;
            for (const std::size_t s : owners[k])
                if (std::find(fillers_[s].begin(), fillers_[s].end(), word) == fillers_[s].end())
                    fillers_[s].push_back(word);
        }
    }

    [[nodiscard]] filled_frame fill(counter_rng& rng) const {
        filled_frame out;
        out.frame = static_cast<std::size_t>(rng.below(pattern_.seeds.size()));
        std::set<std::string> used;
        for (std::size_t s = 0; s < pattern_.slots(); ++s) {
            std::string filler;
            for (int tries = 0; tries < 20; ++tries) {
                filler = shapes_[s].number ? number(shapes_[s], rng)
                                           : fillers_[s][static_cast<std::size_t>(rng.below(fillers_[s].size()))];
                if (!used.contains(filler)) break;
            }
            used.insert(filler);
            out.fillers.push_back(std::move(filler));
        }
        out.exercise = pattern_.seeds[out.frame].source.fill(out.fillers);
        out.answer = pattern_.answer.fill(out.fillers);
        out.repeats = used.size() < out.fillers.size();
        return out;
    }
    [[nodiscard]] static std::string number(const slot_shape& shape, counter_rng& rng) {
        std::string digits = std::to_string(
            shape.least + static_cast<long long>(rng.below(static_cast<std::uint64_t>(shape.most - shape.least) + 1)));
        return std::string(shape.width - std::min(shape.width, digits.size()), '0') + digits;
    }
    void set_exercise(candidate& c, const std::string& text) const {
        const auto gap = leaf_.grounded ? text.find(detail::context_end) : std::string::npos;
        c.context = gap == std::string::npos ? "" : text.substr(0, gap);
        c.question = gap == std::string::npos ? text : text.substr(gap + 1);
    }

    const taxonomy::leaf& leaf_;
    answer_pattern pattern_;
    warmth warmth_;
    std::size_t invented_at_ = 0;  // the warmth of the last invention
    std::vector<slot_shape> shapes_;
    std::vector<std::vector<std::string>> fillers_;
};

}  // namespace lab::sdg
