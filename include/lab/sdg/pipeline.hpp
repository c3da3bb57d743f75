// Steps over batches of candidates, and their composition: pipeline{question_form_check{}, round_trip{}, safety{},
// near_duplicates{}}. A step looks at what is alive, asks the teacher in one batch, and refuses with a reason. Order of
// candidates is kept.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
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
#include "lab/sdg/judges.hpp"
#include "lab/sdg/knowledge_options.hpp"
#include "lab/sdg/prompt_pack.hpp"
#include "lab/sdg/safety.hpp"
#include "lab/sdg/sample.hpp"
#include "lab/sdg/teacher.hpp"
#include "lab/taxonomy/leaf.hpp"

namespace lab::sdg {

/// What new skill exercises are written after: the leaf's own seeds, what became of them by evolving (arXiv
/// 2304.12244), or seeds drawn from all leaves (arXiv 2212.10560). The latter two are baselines to compare with.
enum class sampling_method : std::uint8_t { lab, evolve, self_instruct };

[[nodiscard]] constexpr std::string_view name_of(sampling_method m) noexcept {
    return m == sampling_method::lab ? "lab" : m == sampling_method::evolve ? "evolve" : "self-instruct";
}

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
    bool safety_judge = false;                           // ask a judge too
    std::shared_ptr<const contamination_index> avoid{};  // evaluation sets whose questions no sample may give away
    sampling_method method = sampling_method::lab;
    std::size_t turns = 1;          // questions in a conversation, at most; skills only
    std::size_t judge_samples = 1;  // times that each judge is asked
    knowledge_options knowledge{};
    prompts::pack wordings{};
};

/// What the run has so far, seeds included: whole samples, and questions by themselves. All that a run holds of every
/// sample: 36 bytes here, the duplicate index's 136 and 4 a word, and 23 to 46 in each of two hash tables.
struct memory {
    explicit memory(double near_duplicate) : samples(near_duplicate) {}
    duplicate_index samples;
    hash_table questions;  // the first sample that asks it

    void add(const taxonomy::leaf& leaf, const candidate& c) {
        const std::string id = sample_id(leaf, c);
        add_pair(user_text(leaf, c), c.answer, id);
        for (const auto& turn : c.more) add_pair(turn_text(c, turn), turn.answer, id);
    }
    [[nodiscard]] std::string id_of(std::size_t sample) const { return {origins_[sample].id.data(), id_size}; }
    /// Whether the sample's answer has a word of this one.
    [[nodiscard]] bool answered_alike(std::size_t sample, std::string_view answer) const {
        return samples.has_word_of(answer, sample, origins_[sample].question_words);
    }

private:
    static constexpr std::size_t id_size = 32;
    struct origin {
        std::array<char, id_size> id{};
        std::uint32_t question_words = 0;
    };

    void add_pair(const std::string& question, const std::string& answer, const std::string& id) {
        const auto number = static_cast<std::uint32_t>(samples.add(question + "\n" + answer));
        const auto words = loose_word_hashes(question);
        if (!words.empty()) questions.insert(hash_of_words(words), number);
        auto& o = origins_.emplace_back();
        std::copy_n(id.begin(), id_size, o.id.begin());
        o.question_words = static_cast<std::uint32_t>(words.size());
    }

    std::vector<origin> origins_;  // in the order of the samples
};

/// As a run's options say: its wordings, as many samples as it asks for.
[[nodiscard]] inline std::vector<verdict> judged(any_teacher& judge, const judge_form& form,
                                                 std::span<const exhibit> shown, const pipeline_options& options) {
    return judged(judge, form, shown, options.wordings, {options.judge_samples, options.seed});
}

/// What the steps share while one leaf is worked on.
struct leaf_run {
    any_teacher& teacher;
    const taxonomy::leaf& leaf;
    const pipeline_options& options;
    memory& seen;                                // of the whole run
    std::map<std::string, calibration>& judges;  // of the whole run, by name
    any_teacher* second = nullptr;               // judges skills and safety in the teacher's place
    std::map<std::string, calibration> own{};    // judges measured on this leaf's seeds: they come before the run's
    std::optional<bool> creative{};              // the answers are writing; nothing: a rule tells

    [[nodiscard]] any_teacher& judge() const { return second != nullptr ? *second : teacher; }
    [[nodiscard]] std::vector<verdict> verdicts(const judge_form& form, std::span<const exhibit> shown) const {
        return judged(judge(), form, shown, options);
    }
    [[nodiscard]] counter_rng stream(std::string_view purpose, std::uint64_t number) const {
        return counter_rng(options.seed, hash64(purpose, hash64(leaf.id, hash64(std::to_string(number)))));
    }
    /// Whether this judge may refuse; unknown judges may not.
    [[nodiscard]] const calibration* trusted(const std::string& judge) const {
        for (const auto* known : {&own, static_cast<const std::map<std::string, calibration>*>(&judges)})
            if (const auto at = known->find(judge); at != known->end())
                return at->second.trusted ? &at->second : nullptr;
        return nullptr;
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

/// Personal data and blocked terms in question, answer and all further turns, whichever it is named; where asked for, a
/// judge's opinion too, if it can tell the seeds from harmful texts.
struct safety_check {
    static constexpr std::string_view name = "safety";
    void operator()(leaf_run& run, std::vector<candidate>& batch) const {
        const auto* judge = run.options.safety_judge ? run.trusted(std::string(harmless_judge.name)) : nullptr;
        std::vector<exhibit> shown;
        std::vector<std::size_t> owners;
        for (const std::size_t i : alive_in(batch)) {
            candidate& c = batch[i];
            if (const auto problem = problem_of(run, c)) {
                c.refuse(name, *problem);
            } else if (judge != nullptr) {
                // The question alone, then all that was said: the judge's word on either is to be told apart.
                shown.push_back({{}, {}, user_text(run.leaf, c), {}});
                shown.push_back({{}, {}, user_text(run.leaf, c), c.answer + conversation_text(c)});
                owners.push_back(i);
            }
        }
        if (shown.empty()) return;
        const auto verdicts = run.verdicts(harmless_judge, shown);
        for (std::size_t k = 0; k < owners.size(); ++k) {
            candidate& c = batch[owners[k]];
            const double question = verdicts[2 * k].score, whole = verdicts[2 * k + 1].score;
            c.scores["safe"] = std::min(question, whole);
            if (question < judge->threshold) c.refuse(name, "question: the judge finds it unsafe");
            if (whole < judge->threshold) c.refuse(name, "answer: the judge finds it unsafe");
        }
    }

    /// What the rules find, with the part of the sample in front.
    [[nodiscard]] static std::optional<std::string> problem_of(const leaf_run& run, const candidate& c) {
        if (auto found = problem_of(run, user_text(run.leaf, c), c.answer)) return found;
        for (const auto& turn : c.more)
            if (auto found = problem_of(run, turn.question, turn.answer)) return found;
        return std::nullopt;
    }
    [[nodiscard]] static std::optional<std::string> problem_of(const leaf_run& run, const std::string& question,
                                                               const std::string& answer) {
        for (const auto& [part, text] : {std::pair<const char*, std::string>{"question: ", question},
                                         {"answer: ", answer},
                                         {"question and answer: ", question + "\n" + answer}})
            if (const auto problem = safety_problem(text, run.options.safety)) return part + *problem;
        return std::nullopt;
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
                                   run.seen.id_of(twin->item));
            } else if (const auto same =
                           run.seen.questions.find(hash_of_words(loose_word_hashes(user_text(run.leaf, c))));
                       same != hash_table::none && !run.seen.answered_alike(same, c.answer)) {
                c.refuse("contradiction", "the same question is answered otherwise in " + run.seen.id_of(same));
            } else {
                end_at_repetition(run, c);
                run.seen.add(run.leaf, c);
            }
        }
    }

private:
    /// A conversation goes on no further than to the first turn that was heard before, in the run or in itself.
    static void end_at_repetition(const leaf_run& run, candidate& c) {
        for (std::size_t t = 0; t < c.more.size(); ++t) {
            const auto twin = run.seen.samples.find(turn_text(c, c.more[t]) + "\n" + c.more[t].answer);
            bool again = rouge_l(c.question, c.more[t].question).f1 >= run.options.near_duplicate;
            for (std::size_t before = 0; before < t; ++before)
                again = again || rouge_l(c.more[before].question, c.more[t].question).f1 >= run.options.near_duplicate;
            if (!twin && !again) continue;
            c.provenance["conversation_ended"] = "turn " + std::to_string(t + 2) + " says the same as " +
                                                 (again ? "an earlier one" : run.seen.id_of(twin->item));
            c.more.resize(t);
            if (const auto at = c.provenance.find("turns"); at != c.provenance.end())  // what judges said of each
                while (at->size() > t) at->erase(at->size() - 1);
            return;
        }
    }
};

}  // namespace lab::sdg
