// Questions made from a sentence, and other ways of putting a question, by rules of English grammar: what a small
// teacher cannot be trusted to write and can be trusted to rank. A sentence that fits no rule gives nothing. The answer
// of each form is a stretch of the sentence. Other languages need other rules; without them a pipeline falls back on
// the teacher alone.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/rouge.hpp"
#include "lab/sdg/sentences.hpp"

namespace lab::sdg {

struct question_form {
    std::string question, answer;
    std::string rule;  // name, for provenance
};

namespace detail {

using word_list = std::vector<std::string>;

template <std::size_t N>
[[nodiscard]] bool one_of(std::string_view word, const std::array<std::string_view, N>& list) {
    return std::find(list.begin(), list.end(), word) != list.end();
}
inline constexpr std::array<std::string_view, 6> be_words{"is", "are", "was", "were", "can", "must"};
inline constexpr std::array<std::string_view, 4> modal_words{"can", "must", "may", "should"};
inline constexpr std::array<std::string_view, 14> prepositions{
    "of", "in", "on", "at", "by", "with", "from", "for", "behind", "beside", "under", "into", "near", "to"};
inline constexpr std::array<std::string_view, 27> unclear_openings{
    "it",   "its",   "they",  "their",  "she", "her", "he", "his",  "this",   "that",  "these", "those",  "there", "if",
    "when", "while", "after", "before", "i",   "we",  "do", "next", "inside", "above", "below", "always", "never"};
inline constexpr std::array<std::string_view, 12> pronouns{"it",  "its", "they", "them", "their", "she",
                                                           "her", "he",  "him",  "his",  "this",  "there"};
inline constexpr std::array<std::string_view, 22> number_words{
    "two",    "three",  "four",   "five",     "six",      "seven",   "eight",   "nine",
    "ten",    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "eighteen",
    "twenty", "thirty", "forty",  "fifty",    "sixty",    "hundred"};
inline constexpr std::array<std::string_view, 13> determiners{"the",  "a",   "an", "both", "every", "each", "some",
                                                              "most", "all", "no", "your", "my",    "our"};
inline constexpr std::array<std::string_view, 27> time_words{
    "monday",  "tuesday",  "wednesday", "thursday", "friday", "saturday", "sunday", "morning",   "evening",
    "night",   "noon",     "midnight",  "sunrise",  "sunset", "spring",   "summer", "autumn",    "winter",
    "january", "february", "march",     "april",    "june",   "july",     "august", "september", "december"};

/// Verbs that tell something of a thing. A closed list is surer than an ending: "boats" is none.
inline constexpr std::array<std::string_view, 64> telling_verbs{
    "accepts",  "begins",   "belongs", "bears",   "breaks", "carries", "closes", "collects", "comes",    "consists",
    "contains", "costs",    "covers",  "doubles", "eats",   "ends",    "enters", "faces",    "feeds",    "flies",
    "flows",    "forms",    "gets",    "gives",   "goes",   "grows",   "hangs",  "holds",    "includes", "keeps",
    "lasts",    "lays",     "leads",   "leaves",  "lies",   "lives",   "loses",  "makes",    "means",    "measures",
    "meets",    "moves",    "needs",   "opens",   "owns",   "pays",    "plays",  "points",   "produces", "reaches",
    "receives", "requires", "returns", "runs",    "sells",  "serves",  "shows",  "sits",     "sleeps",   "stands",
    "starts",   "takes",    "turns",   "weighs"};
inline constexpr std::array<std::string_view, 12> time_units{
    "second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks", "months", "years"};
/// Of the telling verbs, those without an object: a number behind them is a measure, not a thing.
inline constexpr std::array<std::string_view, 12> objectless{"grows", "goes", "comes",  "lives", "stands", "sits",
                                                             "hangs", "lies", "sleeps", "runs",  "flies",  "moves"};
/// What is measured: "is 12 metres long" answers "how long".
inline constexpr std::array<std::string_view, 9> measured{"long", "tall",  "high",  "wide", "deep",
                                                          "old",  "heavy", "thick", "large"};

[[nodiscard]] inline std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), to_lower);
    return out;
}
[[nodiscard]] inline word_list split_words(std::string_view text) {
    word_list words;
    std::string word;
    for (const char c : text) {
        if (!is_space(c)) word += c;
        if (is_space(c) && !word.empty()) words.push_back(std::exchange(word, {}));
    }
    if (!word.empty()) words.push_back(word);
    return words;
}
[[nodiscard]] inline std::string join(const word_list& words, std::size_t begin, std::size_t end) {
    std::string out;
    for (std::size_t i = begin; i < std::min(end, words.size()); ++i)
        out.append(out.empty() ? "" : " ").append(words[i]);
    return out;
}
[[nodiscard]] inline bool is_name(std::string_view word) { return !word.empty() && is_upper(word[0]); }
/// A subject moves into the sentence: its article loses the capital, a name keeps it.
[[nodiscard]] inline std::string inside(const word_list& words, std::size_t begin, std::size_t end) {
    std::string text = join(words, begin, end);
    const std::string first = begin < words.size() ? words[begin] : std::string();
    const bool common = end - begin == 1 ? first.ends_with('s') : !first.ends_with("'s") && !is_name(words[begin + 1]);
    if (!text.empty() && (one_of(lower(first), determiners) || lower(first) == "you" || common))
        text[0] = to_lower(text[0]);
    return text;
}
[[nodiscard]] inline bool is_number(std::string_view word) {
    return one_of(word, number_words) || word == "one" || (!word.empty() && is_digit(word[0]));
}
/// "1887": four digits that are likelier a year than a count.
[[nodiscard]] inline bool is_year(std::string_view word) {
    return word.size() == 4 && std::all_of(word.begin(), word.end(), is_digit) && (word[0] == '1' || word[0] == '2');
}
[[nodiscard]] inline bool tells_time(const word_list& words, std::size_t begin, std::size_t end) {
    if (end == begin + 1 && is_year(words[begin])) return true;
    for (std::size_t i = begin; i < end; ++i) {
        std::string word = lower(words[i]);
        if (word == "a.m" || word == "p.m" || word == "a.m." || word == "p.m.") return true;
        if (one_of(word, time_words) ||
            (word.ends_with('s') && one_of(std::string_view(word).substr(0, word.size() - 1), time_words)))
            return true;
    }
    return false;
}
/// A proper name of a person or thing: every word but "of" and "the" has a capital.
[[nodiscard]] inline bool all_names(const word_list& words, std::size_t begin, std::size_t end) {
    bool any = false;
    for (std::size_t i = begin; i < end; ++i) {
        if (is_name(words[i]) && !(i == begin && one_of(lower(words[i]), determiners))) {
            any = true;
        } else if (words[i] != "of" && !one_of(lower(words[i]), determiners)) {
            return false;
        }
    }
    return any;
}
/// Whether a clause of its own begins at this word (behind a comma or "and"): then what stands before is complete.
[[nodiscard]] inline bool opens_clause(std::string_view word) {
    constexpr std::array<std::string_view, 12> openers{"because", "but", "when",  "before", "after", "so",
                                                       "if",      "who", "which", "that",   "until", "where"};
    return one_of(word, openers) || one_of(word, pronouns) || word == "you" || word == "nobody";
}
/// The first clause without its full stop; empty when it breaks off inside a list ("a pier, twelve boats and a crane").
[[nodiscard]] inline word_list main_clause(std::string_view sentence) {
    word_list words = split_words(sentence);
    for (std::size_t i = 1; i < words.size(); ++i) {
        const char end = words[i - 1].back();
        const bool stop = end == ',' || end == ';' || end == ':', joined = lower(words[i]) == "and";
        const std::string next = lower(words[std::min(i + (joined ? 1 : 0), words.size() - 1)]);
        if (!stop && !joined && !opens_clause(next)) continue;
        if (!stop && !joined && one_of(next, pronouns)) continue;  // an object, no new clause
        const bool predicate = joined && !stop && (one_of(next, be_words) || one_of(next, telling_verbs));
        if (!opens_clause(next) && !predicate) return {};  // "costs five crowns and can be bought": a second predicate
        words.resize(i);
        if (stop) words.back().pop_back();
        break;
    }
    while (!words.empty() && !words.back().empty() &&
           std::string_view(".!?").find(words.back().back()) != std::string_view::npos)
        words.back().pop_back();
    std::erase_if(words, [](const std::string& w) { return w.empty(); });
    return words;
}

/// "stands" to "stand", "carries" to "carry", "reaches" to "reach".
[[nodiscard]] inline std::string base_form(std::string verb) {
    verb.pop_back();
    if (verb.ends_with("she") || verb.ends_with("che") || verb.ends_with("sse") || verb.ends_with("xe") ||
        verb == "goe")
        verb.pop_back();
    if (verb.ends_with("ie") && verb.size() > 3) verb.replace(verb.size() - 2, 2, "y");
    return verb;
}
/// Where the first verb that these rules know stands; words.size() when there is none among the first eight.
[[nodiscard]] inline std::size_t known_verb(const word_list& w) {
    for (std::size_t i = 1; i < std::min<std::size_t>(w.size(), 8); ++i)
        if (one_of(w[i], be_words) || one_of(w[i], modal_words) || w[i] == "has" || one_of(w[i], telling_verbs))
            return i;
    return w.size();
}
/// A phrase that can be a verb's subject: an article and its noun, or names; no clause, no list.
[[nodiscard]] inline bool is_subject(const word_list& w, std::size_t end) {
    if (end == 0 || (end == 1 && !is_year(w[0]))) return false;
    if (!one_of(lower(w[0]), determiners) && !is_name(w[0])) return false;
    for (std::size_t i = 0; i < end; ++i)
        if (opens_clause(lower(w[i])) || w[i].ends_with(',') || w[i] == "and" || w[i] == "or" || w[i].ends_with(')'))
            return false;
    return true;
}

}  // namespace detail

/// Whom "it", "he" or "she" at the start of the next sentence means: this sentence's subject, when it is one thing or
/// one person; else nothing.
[[nodiscard]] inline std::string antecedent_of(std::string_view sentence, std::string_view pronoun) {
    using namespace detail;
    const word_list w = split_words(sentence);
    if (w.size() < 3 || one_of(lower(w[0]), unclear_openings)) return {};
    const std::size_t verb = known_verb(w);
    if (verb >= w.size() || !is_subject(w, verb) || w[verb] == "are" || w[verb] == "were") return {};
    const bool names = all_names(w, 0, verb) && !one_of(lower(w[0]), determiners);
    if (lower(pronoun) != "it" && !names) return {};
    const std::string first = lower(w[0]);
    if (one_of(first, determiners) && first != "the" && first != "a" && first != "an") return {};
    std::size_t head = 0;  // the noun before "of" or "in" says whether it is one or many
    while (head + 1 < verb && !one_of(w[head + 1], prepositions)) ++head;
    if (!names && w[head].ends_with('s') && !w[head].ends_with("ss") && !w[head].ends_with("us")) return {};
    return join(w, 0, verb);
}

/// Questions that the sentence answers.
[[nodiscard]] inline std::vector<question_form> questions_from(std::string_view sentence) {
    using namespace detail;
    std::vector<question_form> forms;
    const word_list w = main_clause(sentence);
    if (w.size() < 3 || sentence.find('"') != sentence.npos || sentence.ends_with('?')) return forms;
    if (one_of(lower(w[0]), unclear_openings) || one_of(lower(w[0]), prepositions)) return forms;
    const auto add = [&](std::string question, std::string answer, const char* rule) {
        for (const auto& word : split_words(question))
            if (one_of(lower(word), pronouns)) return;  // would point at nothing
        if (is_lower(question[0])) question[0] = static_cast<char>(question[0] - 'a' + 'A');
        forms.push_back({question + "?", std::move(answer), rule});
    };
    std::size_t verb = 1;
    while (verb < w.size() && !one_of(w[verb], be_words) && !one_of(w[verb], modal_words)) ++verb;
    // A phrase behind a preposition can be asked for in place: "What is the case lined with?"
    const auto ask_phrases = [&](const std::string& opening, std::size_t from, std::string_view rule) {
        for (std::size_t p = from; p + 1 < w.size(); ++p) {
            if (!one_of(w[p], prepositions) || w[p] == "of") continue;
            bool last = true;
            for (std::size_t q = p + 1; q < w.size(); ++q) last = last && (!one_of(w[q], prepositions) || w[q] == "of");
            if (!last || w.size() - p > 8 || p - from > 5) continue;
            const std::string phrase = join(w, p, w.size()), inner = join(w, p + 1, w.size()),
                              middle = join(w, from, p);
            const std::string asked = opening + (middle.empty() ? "" : " ") + middle;
            const bool place = w[p] == "in" || w[p] == "on" || w[p] == "at" || w[p] == "behind" || w[p] == "beside" ||
                               w[p] == "under" || w[p] == "near";
            if (w[p] == "for" && p + 2 < w.size() && is_number(w[p + 1]) && one_of(w[p + 2], time_units)) {
                add("how long " + asked, join(w, p, p + 3), "how-long");
            } else if (w[p] == "for" && p == from && opening.starts_with("is ")) {
                add("what " + asked + " for", inner, "is-for");
            } else if (tells_time(w, p + 1, w.size())) {
                add("when " + asked, phrase, rule.data());
            } else if (place && !all_names(w, p + 1, w.size())) {
                add("where " + asked, phrase, rule.data());
            } else if (w[p] == "by" && all_names(w, p + 1, w.size())) {
                add("who " + asked + " by", inner, rule.data());
            } else if (w[p] == "with" || w[p] == "by" || w[p] == "from") {
                add("what " + asked + " " + w[p], inner, rule.data());
            }
        }
    };
    if (verb < w.size() && verb <= 9) {
        const std::string subject = inside(w, 0, verb);
        const std::size_t after = verb + 1;
        const bool modal = one_of(w[verb], modal_words);
        const bool person_after = all_names(w, after, w.size());
        if (after >= w.size() || w[after] == "not" || w[after] == "said") return forms;
        if (!modal && (w[after] == "called" || w[after] == "named") && after + 1 < w.size()) {
            const std::string name = join(w, after + 1, w.size());
            add("what " + w[verb] + " " + subject + " called", name, "called");
            add("what " + w[verb] + " the name of " + subject, name, "name-of");
        } else if (!modal && w.size() - after <= 6 && (one_of(w[after], determiners) || is_name(w[after]))) {
            const std::string rest = join(w, after, w.size());
            add(std::string(person_after ? "who " : "what ") + w[verb] + " " + subject, rest, "is-what");
            if (w[after] == "the") add(std::string("what ") + w[verb] + " " + rest, subject, "what-is");
        } else if (!modal && is_number(w[after]) && !is_year(w[after]) && after + 1 < w.size() &&
                   w.size() - after <= 6) {
            const bool size = one_of(w.back(), measured);
            add((size ? "how " + w.back() + " " : std::string("what ")) + w[verb] + " " + subject,
                join(w, after, w.size() - (size ? 1 : 0)), size ? "how-big" : "is-number");
        } else if (modal && after + 2 < w.size() && w.size() - after <= 6 && is_number(w[after + 1]) &&
                   std::none_of(w.begin() + static_cast<std::ptrdiff_t>(after), w.end(),
                                [](const std::string& x) { return one_of(x, prepositions); })) {
            if (w.back().ends_with('s'))
                add("how many " + join(w, after + 2, w.size()) + " " + w[verb] + " " + subject + " " + w[after],
                    w[after + 1], "how-many");
            add("what " + w[verb] + " " + subject + " " + w[after], join(w, after + 1, w.size()), "modal-object");
        } else if (w[after] == "made" && after + 2 < w.size() && w[after + 1] == "of") {
            add("what " + w[verb] + " " + subject + " made of", join(w, after + 2, w.size()), "made-of");
        } else {
            ask_phrases(w[verb] + " " + subject, after, modal ? "modal-phrase" : "be-phrase");
        }
        return forms;
    }
    // "Both ferries have bright yellow hulls", "Port Ellory has one long stone pier"
    for (std::size_t i = 1; i < std::min<std::size_t>(w.size(), 6); ++i) {
        if (w[i] != "have" && w[i] != "has") continue;
        if (i + 2 >= w.size() || w.size() - i > 6 || w[i + 1].ends_with("ed")) return forms;
        const std::string owner = std::string(w[i] == "has" ? "does " : "do ").append(inside(w, 0, i)).append(" have");
        bool plain = true;  // adjectives and a noun, no phrase behind it
        for (std::size_t k = i + 1; k < w.size(); ++k) plain = plain && !one_of(w[k], prepositions);
        if (plain && one_of(w[i + 1], number_words)) {
            add("how many " + join(w, i + 2, w.size()) + " " + owner, w[i + 1], "how-many");
        } else if (plain && !one_of(w[i + 1], determiners)) {
            add("what kind of " + w.back() + " " + owner, join(w, i + 1, w.size() - 1), "what-kind");
        }
        add("what " + owner, join(w, i + 1, w.size()), "have");
        return forms;
    }
    // "Tune your ollophone with the silver key": an order to the reader
    if (!one_of(lower(w[0]), determiners) && (one_of(w[1], determiners) || w[1] == "it" || w[1] == "them")) {
        std::string order = join(w, 0, 1);
        order[0] = to_lower(order[0]);
        ask_phrases("do you " + order, 1, "order-phrase");
        return forms;
    }
    // "You play the ollophone with a goose feather"
    if (lower(w[0]) == "you") {
        ask_phrases("do you", 1, "you-phrase");
        return forms;
    }
    // "Candle Rock stands at the end of the pier": a name, then a verb in -s
    std::size_t name_end = one_of(lower(w[0]), determiners) ? 1 : 0;
    while (name_end < w.size() && is_name(w[name_end])) ++name_end;
    const std::size_t names = name_end - (one_of(lower(w[0]), determiners) ? 1 : 0);
    // One capital may only open the sentence.
    if (names >= 2 && name_end < w.size() && w[name_end].size() >= 4 && w[name_end].ends_with('s') &&
        !w[name_end].ends_with("ss")) {
        add("what " + join(w, name_end, w.size()), join(w, 0, name_end), "name-does");
        ask_phrases("does " + inside(w, 0, name_end) + " " + base_form(w[name_end]), name_end + 1, "does-phrase");
        return forms;
    }
    // "Agnes Thorwald founded the club"
    if (names >= 2 && name_end + 1 < w.size() && w[name_end].ends_with("ed") && !one_of(lower(w[0]), determiners) &&
        (one_of(w[name_end + 1], determiners) || is_name(w[name_end + 1]))) {
        add("who " + join(w, name_end, w.size()), join(w, 0, name_end), "name-did");
        return forms;
    }
    // "The board shows 37 spaces", "The copper map grows on slate"
    const std::size_t tells = known_verb(w);
    if (tells + 1 >= w.size() || !one_of(w[tells], telling_verbs) || !is_subject(w, tells)) return forms;
    const std::string does = "does " + inside(w, 0, tells) + " " + base_form(w[tells]);
    std::size_t object = tells + 1, phrase = object;
    while (phrase < w.size() && !one_of(w[phrase], prepositions)) ++phrase;
    if (phrase == object || one_of(w[tells], objectless)) {
        if (phrase == object) ask_phrases(does, object, "does-phrase");
    } else if (phrase == w.size() && phrase - object <= 6 && !is_year(w[object])) {
        const bool about = w[object] == "about" || w[object] == "only";
        const std::size_t number = object + (about ? 1 : 0);
        if (number + 1 < w.size() && is_number(w[number]) && one_of(w[number + 1], time_units)) {
            add("how long " + does, join(w, object, w.size()), "how-long");
        } else if (number + 1 < w.size() && is_number(w[number]) && w[number + 1].ends_with('s') &&
                   number + 2 == w.size()) {
            add("how many " + w[number + 1] + " " + does, join(w, object, number + 1), "how-many");
            add("what " + does, join(w, object, w.size()), "does-what");
        } else {
            add("what " + does, join(w, object, w.size()), "does-what");
        }
    } else if (phrase < w.size() && phrase - object <= 4) {
        ask_phrases(does + " " + join(w, object, phrase), phrase, "does-phrase");
    }
    return forms;
}

/// The question with its topic named, where it is not: "What is the lowest string called?" becomes "... of the
/// ollophone called?"
[[nodiscard]] inline std::string about_topic(const question_form& form, std::string_view topic) {
    std::string text = form.question;
    if (topic.empty()) return text;
    const std::string of = " of " + std::string(topic);
    const auto words = detail::split_words(text);
    const bool described =
        words.size() > 3 && words[2] == "the" && text.find("'s ") == text.npos;  // "the harbour master": whose?
    if (form.rule == "called" && described) return text.substr(0, text.size() - 8) + of + " called?";
    if ((form.rule == "is-what" || form.rule == "name-of" || form.rule == "what-is") && described)
        return text.substr(0, text.size() - 1) + of + "?";
    text[0] = detail::to_lower(text[0]);
    return "About " + std::string(topic) + ": " + text;
}

/// Other ways of asking the same: the wording changes, the point and the answer do not.
[[nodiscard]] inline std::vector<question_form> other_forms(std::string_view question, std::string_view topic) {
    using namespace detail;
    std::vector<question_form> forms;
    word_list w = split_words(question);
    if (w.size() < 4 || !question.ends_with('?')) return forms;
    w.back().pop_back();
    const std::string first = lower(w[0]);
    const std::string all = join(w, 1, w.size());
    const auto add = [&](std::string text, const char* rule) { forms.push_back({std::move(text), {}, rule}); };
    const bool copula = w[1] == "is" || w[1] == "are" || w[1] == "was" || w[1] == "were";
    if ((first == "what" || first == "who") && copula) {
        const bool name_of = first == "what" && w.size() > 5 && join(w, 2, 5) == "the name of";
        const bool called = w.back() == "called";
        const bool plain = !called && (w[2] == "the" || w[2] == "a" || w[2] == "an") &&
                           !one_of(w.back(), prepositions) && !w.back().ends_with("ed");
        if (name_of) {
            add("What " + w[1] + " " + join(w, 5, w.size()) + " called?", "called");
            add("Tell me the name of " + join(w, 5, w.size()) + ".", "tell-name");
            add("By what name do people know " + join(w, 5, w.size()) + "?", "know-name");
        } else if (called) {
            add("What is the name of " + join(w, 2, w.size() - 1) + "?", "name-of");
            add("Tell me the name of " + join(w, 2, w.size() - 1) + ".", "tell-name");
        } else if (plain) {
            add("Tell me " + first + " " + join(w, 2, w.size()) + " " + w[1] + ".", "tell-me");
            if (first == "who") add("What is the name of " + join(w, 2, w.size()) + "?", "name-of");
            if (first == "who") add("Give me the name of " + join(w, 2, w.size()) + ".", "give-name");
        }
    }
    if (first == "how" && w.size() > 4 && w[1] == "many")
        add("Give me the number of " + join(w, 2, w.size()) + ".", "");
    std::erase_if(forms,
                  [](const question_form& f) { return f.rule.empty(); });  // "how many" would need its verb moved
    if (first == "who" && !copula) {
        add("Tell me who " + all + ".", "tell-me");
        add("Which person " + all + "?", "which-person");
    }
    if (first == "which" && w.size() > 4) add("Tell me which " + all + ".", "tell-which");
    if (!topic.empty()) add("I have a question about " + std::string(topic) + ". " + std::string(question), "about");
    add("Please answer in a few words. " + std::string(question), "few-words");
    return forms;
}

}  // namespace lab::sdg
