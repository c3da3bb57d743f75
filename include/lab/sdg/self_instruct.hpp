// Self-instruct (arXiv 2212.10560) as a baseline to LAB: each new exercise is written after eight examples drawn from
// the seeds of all leaves at once, two of them, once there are any, from what was made before; it must differ from all
// there is by ROUGE-L below 0.7 and pass rules of thumb. Nothing keeps it to a leaf: it is counted with the leaf of the
// seed that it is most like. Answers are not confirmed unless a judge can be trusted.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lab/sdg/contamination_check.hpp"
#include "lab/sdg/evolve.hpp"
#include "lab/sdg/skills.hpp"

namespace lab::sdg {

struct self_instruct_options {
    std::size_t examples = 8, of_generated = 2;
    double novelty = 0.7;  // ROUGE-L F1 of the question against every other
};

class self_instruct_source {
public:
    struct drawn {
        std::size_t leaf = 0;  // by likeness
        candidate sample;
    };

    /// `leaves` and `wordings` must outlive the source.
    self_instruct_source(std::span<const taxonomy::leaf> leaves, std::uint64_t seed, const prompts::pack& wordings,
                         const self_instruct_options& options = {})
        : options_(options), seed_(seed), wordings_(wordings), known_(options.novelty) {
        for (std::size_t l = 0; l < leaves.size(); ++l)
            for (std::size_t s = 0; s < leaves[l].seeds.size(); ++s)
                for (std::size_t q = 0; q < leaves[l].seeds[s].questions_and_answers.size(); ++q) {
                    const auto& pair = leaves[l].seeds[s].questions_and_answers[q];
                    const bool skill = leaves[l].kind != taxonomy::root::knowledge;
                    pool_.push_back({skill ? detail::exercise(leaves[l].seeds[s]) : pair.question, pair.answer, l,
                                     json{leaves[l].id, s, q}});
                    known_.add(pool_.back().question);
                    words_.push_back(numbered(pool_.back().question));
                }
        seeds_ = pool_.size();
    }

    [[nodiscard]] std::vector<drawn> propose(any_teacher& teacher, std::uint64_t first, std::size_t count) {
        const std::string prompt(wordings_.text<prompts::write_any_exercise>());
        std::vector<text::request> requests;
        std::vector<std::vector<std::size_t>> shown;
        for (std::uint64_t n = first; n < first + count; ++n) {
            counter_rng rng(seed_, hash64("self-instruct", hash64(std::to_string(n))));
            shown.push_back(draw(rng));
            text::request r;
            r.messages.push_back({"system", std::string(wordings_.text<prompts::question_writer>())});
            for (const std::size_t i : shown.back()) add_turn(r.messages, prompt, pool_[i].question);
            r.messages.push_back({"user", prompt});
            r.max_tokens = 160;
            r.sampling = {.temperature = 0.9f, .top_p = 0.95f, .seed = rng.next64()};
            requests.push_back(std::move(r));
        }
        const auto questions = teacher.complete(requests);
        std::vector<drawn> batch(count);
        for (std::size_t k = 0; k < count; ++k) {
            candidate& c = batch[k].sample;
            c.number = first + k;
            c.origin = "self-instruct";
            c.question = taxonomy::trim(questions[k].text);
            json from = json::array();
            for (const std::size_t i : shown[k]) from.push_back(pool_[i].name);
            const auto [nearest, likeness] = nearest_seed(c.question);
            batch[k].leaf = pool_[nearest].leaf;
            c.provenance = {{"seeds", from},
                            {"prompt", wordings_.tag<prompts::write_any_exercise>()},
                            {"leaf_by", "the seed that it is most like"},
                            {"likeness", likeness}};
            if (questions[k].finish == text::finish_reason::length)
                c.refuse("form", "the question does not come to an end");
            if (const auto why = form_problem(c.question); !why.empty()) c.refuse("form", why);
            if (!c.alive()) continue;
            if (const auto twin = known_.find(c.question)) {
                c.scores["nearest_question"] = twin->similarity;
                c.refuse("novelty", "the question is too much like one that is there");
            } else {
                known_.add(c.question);  // also against the rest of this batch
            }
        }
        answer(teacher, batch, shown);
        return batch;
    }

    /// What was kept may be an example from now on.
    void observe(const std::vector<drawn>& kept) {
        for (const auto& d : kept)
            if (d.sample.alive())
                pool_.push_back({d.sample.question, d.sample.answer, d.leaf, json{"made", d.sample.number}});
    }

private:
    struct entry {
        std::string question, answer;
        std::size_t leaf;
        json name;  // for provenance
    };

    [[nodiscard]] std::vector<std::size_t> draw(counter_rng& rng) const {
        std::vector<std::size_t> list;
        const auto add = [&](std::size_t from, std::size_t to, std::size_t wanted) {
            std::vector<std::size_t> all;
            for (std::size_t tries = 0; all.size() < std::min(wanted, to - from) && tries < 100 * wanted; ++tries) {
                const auto i = from + static_cast<std::size_t>(rng.below(to - from));
                if (std::find(all.begin(), all.end(), i) == all.end()) all.push_back(i);
            }
            list.insert(list.end(), all.begin(), all.end());
        };
        const std::size_t made = std::min(options_.of_generated, pool_.size() - seeds_);
        add(0, seeds_, options_.examples - made);
        if (made > 0) add(seeds_, pool_.size(), made);
        shuffle(list, rng);
        return list;
    }

    /// The words by number, the same word by the same number always.
    [[nodiscard]] std::vector<std::uint32_t> numbered(std::string_view text) {
        std::vector<std::uint32_t> numbers;
        for (auto& word : rouge_words(text))
            numbers.push_back(
                numbers_.emplace(std::move(word), static_cast<std::uint32_t>(numbers_.size())).first->second);
        return numbers;
    }
    [[nodiscard]] std::pair<std::size_t, double> nearest_seed(const std::string& question) {
        prepared_sequence asked(numbered(question));
        const std::size_t size = asked.words().size();
        std::pair<std::size_t, double> best{0, -1};
        for (std::size_t i = 0; i < seeds_; ++i) {
            const std::size_t most = std::min(size, words_[i].size());  // words that the two can have in common
            if (rouge_from(most, words_[i].size(), size).f1 <= best.second) continue;
            const double f1 = rouge_from(asked.common(words_[i]), words_[i].size(), size).f1;
            if (f1 > best.second) best = {i, f1};
        }
        return best;
    }

    /// The method's own heuristics: length, and things that no text model can do.
    [[nodiscard]] static std::string form_problem(const std::string& question) {
        static constexpr std::array<std::string_view, 12> beyond{"image", "images", "picture", "pictures",
                                                                 "photo", "graph",  "graphs",  "file",
                                                                 "files", "video",  "audio",   "draw"};
        const auto words = loose_words(question);
        if (words.size() < 3) return "fewer than three words";
        if (words.size() > 150) return "more than 150 words";
        for (const auto& w : words)
            if (std::find(beyond.begin(), beyond.end(), w) != beyond.end()) return "asks for more than text: " + w;
        return {};
    }

    /// Answered after the same examples that it was written after.
    void answer(any_teacher& teacher, std::vector<drawn>& batch, const std::vector<std::vector<std::size_t>>& shown) {
        std::vector<text::request> requests;
        std::vector<std::size_t> asked;
        for (std::size_t k = 0; k < batch.size(); ++k) {
            if (!batch[k].sample.alive()) continue;
            text::request r;
            r.messages.push_back({"system", std::string(wordings_.text<prompts::precise>())});
            for (const std::size_t i : shown[k]) add_turn(r.messages, pool_[i].question, pool_[i].answer);
            r.messages.push_back({"user", batch[k].sample.question});
            requests.push_back(std::move(r));
            asked.push_back(k);
        }
        if (requests.empty()) return;
        const auto answers = teacher.complete(requests);
        for (std::size_t k = 0; k < asked.size(); ++k) {
            candidate& c = batch[asked[k]].sample;
            c.answer = taxonomy::trim(answers[k].text);
            if (const auto why = respond::unfinished(answers[k]); !why.empty()) c.refuse("answer", why);
            if (c.alive() && loose_words(c.answer) == loose_words(c.question))
                c.refuse("answer", "the answer repeats the question");
        }
    }

    self_instruct_options options_;
    std::uint64_t seed_;
    const prompts::pack& wordings_;
    duplicate_index known_;                                   // questions of seeds and of all that was new
    std::vector<entry> pool_;                                 // seeds first
    std::unordered_map<std::string, std::uint32_t> numbers_;  // of words
    std::vector<std::vector<std::uint32_t>> words_;           // of the seeds' questions
    std::size_t seeds_ = 0;
};

/// The judge's word where it can be trusted; else nothing confirms the answer, and the sample says so.
struct confirmed_if_possible {
    static constexpr std::string_view name = "pair";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const bool able = run.trusted(std::string(answer_judge.name)) != nullptr;
        for (auto& c : batch) c.provenance["confirmed"] = able;
        if (!able) return;
        const auto& judge = *run.trusted(std::string(answer_judge.name));
        const auto asked = alive_in(batch);
        std::vector<exhibit> shown;
        for (const std::size_t i : asked)
            shown.push_back({"Do what the exercise asks.", {}, batch[i].question, batch[i].answer});
        if (shown.empty()) return;
        const auto verdicts = run.verdicts(answer_judge, shown);
        for (std::size_t k = 0; k < asked.size(); ++k) {
            batch[asked[k]].scores["mark"] = verdicts[k].score;
            if (const auto why = detail::objection(verdicts[k], judge, "answer"); !why.empty())
                batch[asked[k]].refuse(name, why);
        }
    }
};

[[nodiscard]] inline auto self_instruct_pipeline() {
    return pipeline{confirmed_if_possible{}, safety_check{}, contamination_check{}, near_duplicates{}};
}

}  // namespace lab::sdg
