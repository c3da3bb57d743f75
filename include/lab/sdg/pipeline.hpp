// Steps over batches of candidates, and their composition: pipeline{question_form_check{}, round_trip{}, safety{},
// near_duplicates{}}. A step looks at what is alive, asks the teacher in one batch, and refuses with a reason. Order of
// candidates is kept.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/sdg/calibration.hpp"
#include "lab/sdg/chunk.hpp"
#include "lab/sdg/contamination.hpp"
#include "lab/sdg/dedup.hpp"
#include "lab/sdg/knowledge_options.hpp"
#include "lab/sdg/prompt_pack.hpp"
#include "lab/sdg/safety.hpp"
#include "lab/sdg/sample.hpp"
#include "lab/sdg/teacher.hpp"
#include "lab/taxonomy/leaf.hpp"

namespace lab::sdg {

struct pipeline_options {
    std::uint64_t seed = 0;
    std::size_t samples_per_leaf = 24;  // wanted, seeds not counted
    std::size_t budget = 8;             // proposals tried for each sample wanted, before giving up
    chunk_options chunks{.max_tokens = 200, .overlap_tokens = 20};
    double near_duplicate = 0.9;            // ROUGE-L F1 of question and answer together
    double least_auc = 0.7;                 // a judge below it, on the seeds, is not obeyed
    std::size_t calibration_examples = 10;  // right and wrong ones each
    std::size_t per_group = 2;              // questions kept for one fact of a document
    bool seeds_as_samples = true;
    safety_options safety{};
    bool safety_judge = false;                           // ask the teacher too
    std::shared_ptr<const contamination_index> avoid{};  // evaluation sets whose questions no sample may give away
    knowledge_options knowledge{};
    prompts::pack wordings{};
};

/// What the run has so far, seeds included: whole samples, and questions by themselves.
struct memory {
    explicit memory(double near_duplicate) : samples(near_duplicate) {}
    duplicate_index samples;
    hash_table questions;                   // the first sample that asks it
    std::vector<std::string> ids, answers;  // in the order of the samples

    void add(const taxonomy::leaf& leaf, const candidate& c) {
        const auto number = static_cast<std::uint32_t>(samples.add(user_text(leaf, c) + "\n" + c.answer));
        if (const auto words = loose_word_hashes(user_text(leaf, c)); !words.empty())
            questions.insert(hash_of_words(words), number);
        ids.push_back(sample_id(leaf, c));
        answers.push_back(c.answer);
    }
};

/// What the steps share while one leaf is worked on.
struct leaf_run {
    any_teacher& teacher;
    const taxonomy::leaf& leaf;
    const pipeline_options& options;
    memory& seen;                                // of the whole run
    std::map<std::string, calibration>& judges;  // of the whole run, by name

    [[nodiscard]] counter_rng stream(std::string_view purpose, std::uint64_t number) const {
        return counter_rng(options.seed, hash64(purpose, hash64(leaf.id, hash64(std::to_string(number)))));
    }
    /// Whether this judge may refuse; unknown judges may not.
    [[nodiscard]] const calibration* trusted(const std::string& judge) const {
        const auto at = judges.find(judge);
        return at != judges.end() && at->second.trusted ? &at->second : nullptr;
    }
};

/// A model: `struct shout { static constexpr std::string_view name = "shout"; void operator()(leaf_run&,
/// std::vector<candidate>&) const; };`
template <class S>
concept step = requires(const S& s, leaf_run& run, std::vector<candidate>& batch) {
    { S::name } -> std::convertible_to<std::string_view>;
    s(run, batch);
};

template <step... Steps>
class pipeline {
public:
    explicit pipeline(Steps... steps) : steps_(std::move(steps)...) {}
    static constexpr std::string_view name = "pipeline";  // a pipeline is a step
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        std::apply([&](const auto&... s) { (s(run, batch), ...); }, steps_);
    }
    [[nodiscard]] static std::vector<std::string_view> names() { return {Steps::name...}; }

private:
    std::tuple<Steps...> steps_;
};

/// Indices of the candidates that are alive and that `wanted` accepts.
template <class Wanted>
[[nodiscard]] std::vector<std::size_t> alive_in(const std::vector<candidate>& batch, Wanted wanted) {
    std::vector<std::size_t> list;
    for (std::size_t i = 0; i < batch.size(); ++i)
        if (batch[i].alive() && wanted(batch[i])) list.push_back(i);
    return list;
}
[[nodiscard]] inline std::vector<std::size_t> alive_in(const std::vector<candidate>& batch) {
    return alive_in(batch, [](const candidate&) { return true; });
}

/// Personal data and blocked terms; the teacher's opinion where asked for.
struct safety_check {
    static constexpr std::string_view name = "safety";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        std::vector<text::request> requests;
        std::vector<std::size_t> asked;
        for (const std::size_t i : alive_in(batch)) {
            candidate& c = batch[i];
            const std::string whole = user_text(run.leaf, c) + "\n" + c.answer;
            if (const auto problem = safety_problem(whole, run.options.safety)) {
                c.refuse(name, *problem);
            } else if (run.options.safety_judge) {
                text::request r;
                r.messages = {{"user", run.options.wordings.render<prompts::is_safe>(text::field<"text">(whole))}};
                r.constraint.choices = {"YES", "NO"};
                r.max_tokens = 4;
                requests.push_back(std::move(r));
                asked.push_back(i);
            }
        }
        if (requests.empty()) return;
        const auto answers = run.teacher.complete(requests);
        for (std::size_t k = 0; k < asked.size(); ++k) {
            const auto& p = answers[k].choice_probabilities;
            batch[asked[k]].scores["safe"] = p.empty() ? (answers[k].text == "YES" ? 1.0 : 0.0) : p[0];
            if (answers[k].text == "NO") batch[asked[k]].refuse(name, "the teacher finds it unsafe");
        }
    }
};

/// Refuses what was said before, word for word or nearly, anywhere in the run, and questions that were asked before and
/// answered differently; remembers what passes.
struct near_duplicates {
    static constexpr std::string_view name = "duplicate";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        for (const std::size_t i : alive_in(batch)) {
            candidate& c = batch[i];
            if (const auto twin = run.seen.samples.find(user_text(run.leaf, c) + "\n" + c.answer)) {
                c.scores["nearest"] = twin->similarity;
                c.refuse(name, (twin->similarity > 1 - 1e-9 ? "says the same as " : "is nearly the same as ") +
                                   run.seen.ids[twin->item]);
            } else if (const auto same =
                           run.seen.questions.find(hash_of_words(loose_word_hashes(user_text(run.leaf, c))));
                       same != hash_table::none && !share_words(c.answer, run.seen.answers[same])) {
                c.refuse("contradiction", "the same question is answered otherwise in " + run.seen.ids[same]);
            } else {
                run.seen.add(run.leaf, c);
            }
        }
    }

private:
    static bool share_words(std::string_view a, std::string_view b) {
        const auto left = loose_words(a), right = loose_words(b);
        return std::any_of(left.begin(), left.end(),
                           [&](const auto& w) { return std::find(right.begin(), right.end(), w) != right.end(); });
    }
};

}  // namespace lab::sdg
