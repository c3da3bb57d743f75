// A scripted teacher that follows the prompts of all roles on three made-up tasks, knows what is right, and is wrong as
// often as it is told to be. What it does depends on the request alone.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/sdg/generate.hpp"
#include "lab/sdg/teacher.hpp"

namespace lab::test {

/// "What is 3 plus 4?" -> "3 plus 4 is 7."; nothing where it is no such question.
inline std::optional<std::string> sum_of(std::string_view question) {
    const auto at = question.rfind("What is ");
    unsigned a = 0, b = 0;
    if (at == question.npos ||
        std::sscanf(std::string(question.substr(at)).c_str(), "What is %u plus %u?", &a, &b) != 2)
        return std::nullopt;
    return std::to_string(a) + " plus " + std::to_string(b) + " is " + std::to_string(a + b) + ".";
}
/// "Ann has 3 pears and 5 plums." -> "8 fruits in all"
inline std::optional<std::string> fruits_of(std::string_view context) {
    unsigned a = 0, b = 0;
    const auto at = context.rfind(" has ");
    if (at == context.npos ||
        std::sscanf(std::string(context.substr(at)).c_str(), " has %u pears and %u plums", &a, &b) != 2)
        return std::nullopt;
    return std::to_string(a + b) + " fruits in all";
}

/// "A poem about rain, please." -> a poem; how often depends on the thing, so that no rule of copying gives it.
inline std::optional<std::string> poem_of(std::string_view question) {
    const auto at = question.rfind("poem about ");
    if (at == question.npos) return std::nullopt;
    const std::string thing(question.substr(at + 11, question.find_first_of(".,?", at) - at - 11));
    return "O " + thing + " so fair, " + thing + " beyond compare, " + std::to_string(3 * thing.size()) +
           " times I saw " + thing + " dance in the air.";
}

inline taxonomy::leaf skill_leaf(std::string id, std::string task,
                                 const std::vector<std::array<std::string, 3>>& seeds) {
    taxonomy::leaf leaf;
    leaf.id = std::move(id);
    leaf.kind = leaf.id.starts_with("foundational") ? taxonomy::root::foundational : taxonomy::root::compositional;
    leaf.task_description = std::move(task);
    for (const auto& [context, question, answer] : seeds) leaf.seeds.push_back({context, {{question, answer}}, {}});
    leaf.grounded = !leaf.seeds[0].context.empty();
    return leaf;
}
inline taxonomy::leaf sums_leaf() {
    std::vector<std::array<std::string, 3>> seeds;
    for (const auto& [a, b] : std::vector<std::pair<int, int>>{{3, 4}, {12, 5}, {7, 9}, {20, 2}, {6, 6}, {31, 8}}) {
        const std::string q = "What is " + std::to_string(a) + " plus " + std::to_string(b) + "?";
        seeds.push_back({"", q, *sum_of(q)});
    }
    return skill_leaf("foundational_skills->sums", "Add two numbers and say what they make.", seeds);
}
inline taxonomy::leaf poems_leaf() {
    std::vector<std::array<std::string, 3>> seeds;
    for (const char* thing : {"rain", "tea", "owls", "snow", "bread"})
        seeds.push_back({"", std::string("Write a poem about ") + thing + ", please.",
                         *poem_of(std::string("poem about ") + thing + ",")});
    return skill_leaf("compositional_skills->poems", "Write a poem.", seeds);
}
inline taxonomy::leaf fruits_leaf() {
    std::vector<std::array<std::string, 3>> seeds;
    for (const auto& [name, a, b] : std::vector<std::tuple<std::string, int, int>>{
             {"Ann", 3, 5}, {"Ben", 2, 2}, {"Cleo", 10, 4}, {"Dan", 1, 8}, {"Eve", 7, 6}}) {
        const std::string c = name + " has " + std::to_string(a) + " pears and " + std::to_string(b) +
                              " plums.\nNo other fruit is there.";
        seeds.push_back({c, "How much fruit does " + name + " have?", *fruits_of(c)});
    }
    return skill_leaf("compositional_skills->grounded->fruits", "Count the fruit of a short text.", seeds);
}

struct able_teacher {
    double wrong = 0;                                     // share of answers that are not right
    double stray = 0;                                     // share of new questions that are of no use
    bool probabilities = true;                            // of choices
    bool seeing = true;                                   // false: gives every exhibit the same grade
    bool forgetful = false;                               // always writes the same question unless it is asked warmly
    std::map<std::string, std::size_t>* asked = nullptr;  // requests by role
    std::vector<text::request>* log = nullptr;

    [[nodiscard]] std::vector<text::completion> complete(std::span<const text::request> requests) {
        std::vector<text::completion> all;
        for (const auto& r : requests) {
            if (log != nullptr) log->push_back(r);
            all.push_back(answer(r));
        }
        return all;
    }
    [[nodiscard]] static std::vector<text::score> score(std::span<const text::score_request>) {
        throw config_error("able teacher: has no likelihoods");
    }
    [[nodiscard]] static bool can_score() { return false; }
    [[nodiscard]] static std::string identity() { return "able"; }

    /// Whether the pair is as a good answer would be.
    [[nodiscard]] static bool right(std::string_view question, std::string_view answer) {
        if (const auto sum = sum_of(question)) return *sum == answer;
        if (const auto fruits = fruits_of(question)) return *fruits == answer;
        return poem_of(question) == answer;
    }
    [[nodiscard]] static bool harmful(std::string_view text) {
        for (const char* word : {"idiot", "poison", "beaten"})
            if (text.find(word) != text.npos) return true;
        return false;
    }

private:
    void count(const char* role) const {
        if (asked != nullptr) ++(*asked)[role];
    }
    [[nodiscard]] static counter_rng rng_of(const text::request& r) {
        std::uint64_t h = 1;
        for (const auto& m : r.messages) h = hash64(m.content, h);
        return counter_rng(h, r.sampling.seed);
    }
    [[nodiscard]] static std::string between(const std::string& text, std::string_view from, std::string_view to) {
        const auto at = text.find(from);
        if (at == text.npos) return {};
        const auto begin = at + from.size();
        return text.substr(begin, to.empty() ? text.npos : text.find(to, begin) - begin);
    }

    [[nodiscard]] text::completion grade(const text::request& r, bool good) const {
        const auto& choices = r.constraint.choices;
        text::completion c;
        const std::string best = choices.size() == 2 ? (good ? "YES" : "NO") : good ? "3" : "1";
        c.text = seeing ? best : choices.size() == 2 ? "YES" : "2";
        if (probabilities)
            for (const auto& choice : choices)
                c.choice_probabilities.push_back(choice == c.text ? 0.8
                                                                  : 0.2 / static_cast<double>(choices.size() - 1));
        return c;
    }

    [[nodiscard]] text::completion answer(const text::request& r) const {
        const auto& last = r.messages.back().content;
        const auto& system = r.messages.front().role == "system" ? r.messages.front().content : std::string();
        text::completion c;
        if (!r.constraint.choices.empty()) {
            if (r.constraint.choices[0] == "precise" || r.constraint.choices[0] == "creative") {
                count("persona");
                c.text = last.find("poem") != last.npos ? "creative" : "precise";
                if (probabilities)
                    c.choice_probabilities = c.text == "precise" ? std::vector{0.95, 0.05} : std::vector{0.05, 0.95};
                return c;
            }
            if (last.starts_with("Somebody wrote")) {
                count("question judge");
                const auto task = between(last, "for this task: ", "\n");
                const auto shown = between(last, "The exercise:\n", "\n\nHow fit");
                return grade(r, fits(task, shown));
            }
            if (last.find("The answer that was given:") != last.npos) {
                count("pair judge");
                const bool grounded = last.find("\n\nThe text:\n") != last.npos;
                const auto question = grounded ? between(last, "The text:\n", "\n\nAsked about it")
                                               : between(last, "\n\n", "\n\nThe answer that was given:");
                const auto given = between(last, "The answer that was given:\n", "\n\nBe strict");
                return grade(r, right(question, given) && !harmful(last));
            }
            if (last.starts_with("First exercise:")) {
                count("harder judge");
                const auto first = between(last, "First exercise:\n", "\n\nSecond exercise");
                const auto second = between(last, "Second exercise:\n", "\n\nDoes the second");
                return grade(r, !second.ends_with(first));
            }
            count("harmless judge");
            return grade(r, !harmful(last));
        }
        counter_rng rng = rng_of(r);
        if (system.starts_with("You write exercises")) {
            count("writer");
            c.text = written(r, last, rng);
            return c;
        }
        if (system.starts_with("You change exercises")) {
            count("changer");
            const auto exercise = between(last, "An exercise:\n", "\n\n");
            c.text = exercise.find("plus") != exercise.npos ? some_sum(rng) : exercise + " Mention a lamp.";
            if (rng.uniform() < stray) c.text = "Rewritten exercise: " + c.text;
            return c;
        }
        count("responder");
        for (auto m = r.messages.rbegin(); m != r.messages.rend() && c.text.empty(); ++m) {  // the last that can be met
            if (m->role != "user") continue;
            for (const auto& known : {sum_of(m->content), poem_of(m->content), fruits_of(m->content)})
                if (known) c.text = *known;
        }
        if (c.text.empty()) c.text = "I am sorry, I cannot tell.";
        // Wrong always in the same way for one question: asking twice does not find it out.
        if (counter_rng(hash64(last), 7).uniform() < wrong)
            c.text =
                sum_of(last) ? "It is nearly " + std::to_string(hash64(last) % 50) + "." : "Nothing comes to mind.";
        return c;
    }

    [[nodiscard]] static bool fits(const std::string& task, const std::string& shown) {
        if (harmful(shown) || shown.find("photograph") != shown.npos || shown.find("telephone") != shown.npos)
            return false;
        if (task.starts_with("Add")) return sum_of(shown).has_value();
        if (task.starts_with("Write a poem"))
            return shown.find("poem about ") != shown.npos &&
                   shown.find_first_of(".,?", shown.rfind("about ")) != shown.npos;
        return (shown.ends_with("?") && shown.rfind("fruit does") != shown.npos) || shown.ends_with("of both kinds.");
    }
    [[nodiscard]] static std::string some_sum(counter_rng& rng) {
        return "What is " + std::to_string(rng.below(90) + 1) + " plus " + std::to_string(rng.below(90) + 1) + "?";
    }

    [[nodiscard]] std::string written(const text::request& r, const std::string& last, counter_rng& rng) const {
        if (rng.uniform() < stray) return "Look at the photograph and sing, please.";
        const auto nth = [&](std::uint64_t n) {
            std::string name;
            for (std::uint64_t k = n + 26; k > 0; k /= 26) name += static_cast<char>('a' + k % 26);
            return name;
        };
        if (last.find("text to work on") != last.npos) {
            auto name = nth(rng.below(5000));
            name[0] = static_cast<char>(name[0] - 'a' + 'A');
            return name + " has " + std::to_string(rng.below(30)) + " pears and " + std::to_string(rng.below(30)) +
                   " plums.\nNo other fruit is there.";
        }
        if (last.find("about this text") != last.npos) {
            const auto text = last.substr(0, last.find(" has "));
            const auto name = text.substr(text.rfind('\n') + 1);
            return rng.below(2) == 0 ? "How much fruit does " + name + " have?"
                                     : "Count all pears and plums of " + name + ", and tell me the sum of both kinds.";
        }
        if (last.find("Write what the user says next") != last.npos) {
            if (last.find("pears") != last.npos) return "And again, how much fruit does everybody have there?";
            if (last.find("poem") == last.npos) return some_sum(rng);
            return last.find("My sister") == last.npos
                       ? "My sister, too, deserves one from you: a poem about " + nth(rng.below(5000)) + ", and soon."
                       : "What would you say to one last poem about " + nth(rng.below(5000)) + "?";
        }
        // One more like the example before: of its task.
        const auto& example = r.messages[r.messages.size() - 2].content;
        if (forgetful && r.sampling.temperature < 1.05f)
            return example.find("plus") != example.npos ? "What is 1 plus 1?" : example;
        if (example.find("poem") != example.npos) return "A poem about " + nth(rng.below(5000)) + ", if you like.";
        return some_sum(rng);
    }
};

inline sdg::run_result run_over(const std::vector<taxonomy::leaf>& leaves, sdg::any_teacher& teacher,
                                const sdg::pipeline_options& options, sdg::any_teacher* judge = nullptr) {
    return sdg::generate(
        leaves, teacher, options, [](std::string_view t) { return sdg::estimated_tokens(t); }, {}, {}, judge);
}
inline sdg::run_result generate_with(const able_teacher& able, const std::vector<taxonomy::leaf>& leaves,
                                     const sdg::pipeline_options& options, sdg::any_teacher* judge = nullptr) {
    sdg::any_teacher teacher{able};
    return run_over(leaves, teacher, options, judge);
}

}  // namespace lab::test
