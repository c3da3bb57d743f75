// Held-out questions asked of a model, each phrasing by itself: choice of four by log-likelihood, greedy free answer
// (exact and word F1), and the log-likelihood of the right answer. Choice saturates early and hides forgetting, free
// recall does not: look at all of them. Intervals take the question, not the phrasing, as the unit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/eval/answer_text.hpp"
#include "lab/eval/intervals.hpp"
#include "lab/eval/loglikelihood.hpp"
#include "lab/eval/question.hpp"
#include "lab/formats/json.hpp"

namespace lab::eval {

struct qa_options {
    std::size_t max_phrasings = 0;  // of each question, from the first; 0: all
    std::size_t max_tokens = 32;    // of a free answer
    std::string system{};           // system message; empty: the chat format's default
    std::size_t batch = 16;         // items given to the model at once
    std::function<void(std::size_t done, std::size_t items)> progress{};
};

/// One phrasing of one question, and what came of it.
struct qa_item {
    std::string id{}, leaf{};
    replay::sample_kind kind = replay::sample_kind::knowledge;
    std::string asked{}, answer{}, answered{};  // `answered` is the model's own text
    bool choice_by_sum = false, choice_by_mean = false, exact = false, contained = false;
    double f1 = 0;
    double log_likelihood = 0;  // of `answer`, summed, nats
    std::size_t answer_tokens = 0;
};

/// Means over a set of items, with intervals. `questions` is the number of clusters.
struct qa_summary {
    std::size_t items = 0, questions = 0;
    estimate choice_by_sum, choice_by_mean, exact, contained, f1, log_likelihood;
};

/// Exactness is by words for knowledge and by form for skills, where punctuation is the point. Aliases count.
inline void grade(qa_item& item, const question& q) {
    std::vector<std::string_view> right{q.answer};
    right.insert(right.end(), q.aliases.begin(), q.aliases.end());
    for (const std::string_view expected : right) {
        item.exact |= q.kind == replay::sample_kind::knowledge ? exact_match(item.answered, expected)
                                                               : exact_form(item.answered, expected);
        item.contained |= contains_answer(item.answered, expected);
        item.f1 = std::max(item.f1, word_f1(item.answered, expected));
    }
}

template <AnsweringModel Model>
[[nodiscard]] std::vector<qa_item> ask_all(Model& model, std::span<const question> questions,
                                           const qa_options& options = {}) {
    struct place {
        const question* q;
        std::size_t phrasing;
    };
    std::vector<place> places;
    for (const question& q : questions) {
        if (q.distractors.empty()) throw config_error("question '" + q.id + "' has no distractors to choose from");
        const std::size_t n =
            options.max_phrasings == 0 ? q.phrasings.size() : std::min(options.max_phrasings, q.phrasings.size());
        for (std::size_t p = 0; p < n; ++p) places.push_back({&q, p});
    }
    std::vector<qa_item> items;
    for (std::size_t begin = 0; begin < places.size(); begin += std::max<std::size_t>(options.batch, 1)) {
        const std::size_t end = std::min(places.size(), begin + std::max<std::size_t>(options.batch, 1));
        std::vector<text::request> requests;
        std::vector<text::score_request> scores;
        for (std::size_t i = begin; i < end; ++i) {
            const question& q = *places[i].q;
            text::request request;
            request.messages = ask(q, places[i].phrasing, options.system);
            request.max_tokens = options.max_tokens;
            scores.push_back({request.messages, q.answer});
            for (const auto& wrong : q.distractors) scores.push_back({request.messages, wrong});
            requests.push_back(std::move(request));
        }
        const std::vector<text::score> scored = model.score(scores);
        const std::vector<text::completion> completions = model.complete(requests);
        if (scored.size() != scores.size() || completions.size() != requests.size())
            throw error("the model answered a part of the questions only");
        std::size_t s = 0;
        for (std::size_t i = begin; i < end; ++i) {
            const question& q = *places[i].q;
            const auto options_of = std::span(scored).subspan(s, 1 + q.distractors.size());
            s += options_of.size();
            const choice chosen = choose_first(options_of);
            qa_item item{.id = q.id,
                         .leaf = q.leaf,
                         .kind = q.kind,
                         .asked = q.phrasings[places[i].phrasing],
                         .answer = q.answer,
                         .answered = completions[i - begin].text,
                         .choice_by_sum = chosen.by_sum,
                         .choice_by_mean = chosen.by_mean,
                         .log_likelihood = options_of[0].log_probability,
                         .answer_tokens = options_of[0].tokens};
            grade(item, q);
            items.push_back(std::move(item));
        }
        if (options.progress) options.progress(end, places.size());
    }
    return items;
}

/// Cluster numbers of items: those of one question share one.
[[nodiscard]] inline std::vector<std::size_t> question_clusters(std::span<const qa_item> items) {
    std::vector<std::size_t> clusters;
    std::map<std::pair<std::string, std::string>, std::size_t> numbers;
    for (const qa_item& item : items)
        clusters.push_back(numbers.try_emplace({item.leaf, item.id}, numbers.size()).first->second);
    return clusters;
}

[[nodiscard]] inline qa_summary summarise(std::span<const qa_item> items, const bootstrap_options& bootstrap = {}) {
    const auto clusters = question_clusters(items);
    qa_summary s;
    s.items = items.size();
    s.questions = std::set<std::size_t>(clusters.begin(), clusters.end()).size();
    const auto share = [&](auto member) {
        std::size_t hits = 0;
        for (const qa_item& item : items) hits += item.*member;
        const double p = items.empty() ? 0.0 : static_cast<double>(hits) / static_cast<double>(items.size());
        return wilson(p * static_cast<double>(s.questions), s.questions);
    };
    const auto mean = [&](auto member) {
        std::vector<double> values;
        for (const qa_item& item : items) values.push_back(item.*member);
        return bootstrap_mean(values, clusters, bootstrap);
    };
    s.choice_by_sum = share(&qa_item::choice_by_sum);
    s.choice_by_mean = share(&qa_item::choice_by_mean);
    s.exact = share(&qa_item::exact);
    s.contained = share(&qa_item::contained);
    s.f1 = mean(&qa_item::f1);
    s.log_likelihood = mean(&qa_item::log_likelihood);
    return s;
}

/// What changed between two models over the same items: after - before, paired.
struct qa_change {
    estimate choice_by_sum, exact, f1, log_likelihood;
};

/// @throws config_error where the two lists do not hold the same questions in the same order.
[[nodiscard]] inline qa_change compare(std::span<const qa_item> before, std::span<const qa_item> after,
                                       const bootstrap_options& bootstrap = {}) {
    bool same = before.size() == after.size();
    for (std::size_t i = 0; same && i < before.size(); ++i)
        same = before[i].id == after[i].id && before[i].leaf == after[i].leaf && before[i].asked == after[i].asked;
    if (!same)
        throw config_error("the two results are not of the same questions (ask both models with the same options)");
    const auto clusters = question_clusters(before);
    const auto difference = [&](auto member) {
        std::vector<double> b, a;
        for (const qa_item& item : before) b.push_back(static_cast<double>(item.*member));
        for (const qa_item& item : after) a.push_back(static_cast<double>(item.*member));
        return paired_difference(b, a, clusters, bootstrap);
    };
    return {difference(&qa_item::choice_by_sum), difference(&qa_item::exact), difference(&qa_item::f1),
            difference(&qa_item::log_likelihood)};
}

[[nodiscard]] inline formats::json to_json(const estimate& e) {
    return {{"value", e.value}, {"low", e.low}, {"high", e.high}, {"n", e.n}};
}
[[nodiscard]] inline formats::json to_json(const qa_summary& s) {
    return {{"items", s.items},
            {"questions", s.questions},
            {"choice_by_sum", to_json(s.choice_by_sum)},
            {"choice_by_mean", to_json(s.choice_by_mean)},
            {"exact", to_json(s.exact)},
            {"contained", to_json(s.contained)},
            {"f1", to_json(s.f1)},
            {"log_likelihood", to_json(s.log_likelihood)}};
}
[[nodiscard]] inline formats::json to_json(const qa_item& i) {
    return {{"id", i.id},
            {"leaf", i.leaf},
            {"kind", replay::to_string(i.kind)},
            {"asked", i.asked},
            {"answer", i.answer},
            {"answered", i.answered},
            {"choice_by_sum", i.choice_by_sum},
            {"choice_by_mean", i.choice_by_mean},
            {"exact", i.exact},
            {"contained", i.contained},
            {"f1", i.f1},
            {"log_likelihood", i.log_likelihood},
            {"answer_tokens", i.answer_tokens}};
}
/// @throws format_error naming place and field.
[[nodiscard]] inline qa_item qa_item_from(const formats::json& j, const std::string& place) {
    const auto get = [&]<class T>(const char* name, T& value) { value = formats::field<T>(j, name, place); };
    qa_item i;
    get("id", i.id), get("leaf", i.leaf), get("asked", i.asked), get("answer", i.answer), get("answered", i.answered);
    get("choice_by_sum", i.choice_by_sum), get("choice_by_mean", i.choice_by_mean), get("exact", i.exact);
    get("contained", i.contained), get("f1", i.f1), get("log_likelihood", i.log_likelihood),
        get("answer_tokens", i.answer_tokens);
    const auto kind = replay::parse_kind(formats::field<std::string>(j, "kind", place));
    if (!kind) throw format_error(explain(place, "field 'kind' is not knowledge, foundational or compositional"));
    i.kind = *kind;
    return i;
}

}  // namespace lab::eval
