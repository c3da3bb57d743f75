// A knowledge leaf's documents read into what can be asked: places (chunks), facts, sentences that a rule of grammar
// makes questions of, sentences to complete, sections to recall. Asks no teacher.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/sha256.hpp"
#include "lab/sdg/chunk.hpp"
#include "lab/sdg/facts.hpp"
#include "lab/sdg/knowledge_options.hpp"
#include "lab/sdg/language.hpp"
#include "lab/sdg/question_forms.hpp"

namespace lab::sdg {

/// A chunk of a document.
struct chunk_place {
    std::string path, document, section;  // file, its title, the last heading
    text_range span;                      // bytes of the document
    std::string text, digest;             // flat; SHA-256 of the bytes
    std::string raw, headings;            // the bytes; "Title > Section" and a blank line
    std::size_t tokens = 0;
};

enum class item_kind : std::uint8_t { fact, seed, completion, section, viewed, written };
inline constexpr std::size_t no_fact = static_cast<std::size_t>(-1);

/// One thing to ask.
struct knowledge_item {
    item_kind what;
    std::string sentence;
    question_form form;
    std::size_t a = 0, b = 0;  // seed: context, question; else a: index of the place, b: a completion's gap
    bool resolved = false;     // the sentence's pronoun was replaced by what it means: to be confirmed
    std::size_t fact = no_fact;
    document_view seen = document_view::original;
};

namespace detail {

/// Numbering says nothing in a question: "§ 2 Putting out", "3.1 Bins".
[[nodiscard]] inline std::string without_numbering(std::string_view heading) {
    std::size_t at = 0;
    const auto numbering = [](char c) { return is_digit(c) || is_space(c) || c == '.' || c == ')'; };
    if (heading.starts_with("\xc2\xa7")) at = 2;
    while (at < heading.size() && numbering(heading[at])) ++at;
    return std::string(at == heading.size() ? heading : heading.substr(at));
}

/// A sentence to complete where no rule of grammar applies: it ends in a number with its unit, else in what stands
/// behind the last preposition or article, else in its last two words. @return where the answer begins; 0: nowhere
[[nodiscard]] inline std::size_t gap_of(const std::string& sentence) {
    const auto w = split_words(sentence);
    if (w.size() < 5 || w.size() > 25 || !sentence.ends_with('.') || sentence.find('|') != sentence.npos ||
        sentence.find('\"') != sentence.npos || !is_name(w[0]) || one_of(lower(w[0]), unclear_openings))
        return 0;
    std::size_t first = w.size() - 2;
    for (std::size_t i = w.size() - 1; i > std::max<std::size_t>(3, w.size() - std::min<std::size_t>(w.size(), 5));
         --i) {
        if (is_number(w[i]) || one_of(w[i], determiners)) {
            first = i;
            break;
        }
        if (one_of(w[i], prepositions) && w[i] != "of" && i + 1 < w.size()) {
            first = i + 1;
            break;
        }
    }
    const auto place = sentence.rfind(join(w, first, w.size()));
    return place == sentence.npos ? 0 : place;
}

/// Whether a flat text is a sentence that states something.
[[nodiscard]] inline bool is_statement(std::string_view sentence) {
    constexpr std::array<std::string_view, 9> ends{
        ".", "!", ".\"", ".)", ".'", "\xe3\x80\x82", "\xef\xbc\x81", ".\xe2\x80\x9d", ".\xc2\xbb"};
    return loose_words(sentence).size() >= 3 && sentence.find('|') == sentence.npos &&
           std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return sentence.ends_with(end); });
}

}  // namespace detail

/// The word that most of the seeds' questions have in common, with the article it usually has: "Pellamy", "the
/// ollophone".
[[nodiscard]] inline std::string topic_of(const taxonomy::leaf& leaf) {
    std::map<std::string, std::size_t> questions_with;
    std::map<std::string, std::map<std::string, std::size_t>> spellings;
    std::size_t total = 0;
    for (const auto& seed : leaf.seeds)
        for (const auto& qa : seed.questions_and_answers) {
            ++total;
            for (const auto& stem : content_set(qa.question)) ++questions_with[stem];
            const auto words = detail::split_words(qa.question);
            for (std::size_t i = 1; i < words.size(); ++i) {
                std::string word = words[i];
                while (!word.empty() && !detail::is_upper(word.back()) && !detail::is_lower(word.back()))
                    word.pop_back();
                if (word.ends_with("'s")) word.resize(word.size() - 2);
                const auto stems = content_stems(word);
                if (stems.size() != 1) continue;
                const bool article = words[i - 1] == "the" || words[i - 1] == "an" || words[i - 1] == "a";
                ++spellings[stems[0]][article ? words[i - 1] + " " + word : word];
            }
        }
    const auto* best = static_cast<const std::pair<const std::string, std::size_t>*>(nullptr);
    for (const auto& entry : questions_with)
        if (best == nullptr || entry.second > best->second) best = &entry;
    if (best == nullptr || best->second * 2 < total) return {};
    const auto& ways = spellings[best->first];
    const auto usual =
        std::max_element(ways.begin(), ways.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    return usual == ways.end() ? std::string() : usual->first;
}

/// Code of the language that a leaf's seeds are in.
[[nodiscard]] inline std::string language_in(const taxonomy::leaf& leaf, const prompts::pack& wordings) {
    std::string text;
    for (const auto& seed : leaf.seeds) {
        text += seed.context + " ";
        for (const auto& qa : seed.questions_and_answers) text += qa.question + " ";
    }
    return language_of(text, wordings);
}

/// Everything that a leaf's documents offer.
struct leaf_reading {
    std::string language, topic;
    std::vector<chunk_place> places;
    fact_list facts;
    std::vector<knowledge_item> asked, completions, sections;  // `asked`: a rule makes questions of it

    /// @param follow_facts fill the list of facts too
    /// @param count tokens of a text, for the chunks
    leaf_reading(const taxonomy::leaf& leaf, const chunk_options& chunks, const prompts::pack& wordings,
                 bool follow_facts, token_counter count)
        : language(language_in(leaf, wordings)),
          topic(language == "en" ? topic_of(leaf) : ""),
          follow_facts_(follow_facts) {
        for (const auto& document : leaf.documents)
            for (auto& piece : chunks_of(document.text, chunks, count)) read(document.path, std::move(piece));
    }

    /// The rules for questions are English.
    [[nodiscard]] std::vector<question_form> questions_of(const std::string& sentence) const {
        return language == "en" ? questions_from(sentence) : std::vector<question_form>{};
    }

    /// What the rules make of a text that belongs to a place: the chunk itself, or a view of it.
    void take_sentences(std::string_view text, std::size_t at, document_view seen) {
        std::string subject;  // of the sentence before: what "it" means
        for (const auto& s : sentences_of(text)) {
            std::string sentence = flat(s.of(text));
            if (sentence.find('|') != sentence.npos) continue;  // a table's row is no sentence
            const std::string opening = sentence.substr(0, sentence.find(' '));
            std::size_t known = no_fact;
            if (seen != document_view::original) {
                known = facts.about(sentence, "", facts.of_chunk(places[at].path, places[at].span.begin));
                if (known == facts.size()) known = no_fact;
            } else if (follow_facts_ && detail::is_statement(sentence)) {
                const auto& place = places[at];
                const text_range span{place.span.begin + s.begin, place.span.begin + s.end};
                known = facts.add({{}, place.path, place.span, span, sentence, false, false, 0, {}, {}});
            }
            bool resolved = false;
            if (language == "en" && (opening == "It" || opening == "He" || opening == "She")) {
                const auto meant = antecedent_of(subject, opening);
                if (!meant.empty()) sentence = meant + sentence.substr(opening.size());
                resolved = !meant.empty();
            } else {
                subject = sentence;
            }
            ask_rules(sentence, at, known, resolved, seen);
        }
    }

private:
    void read(const std::string& path, chunk piece) {
        places.push_back({path, piece.headings.empty() ? path : piece.headings.front(),
                          piece.headings.size() < 2 ? "" : piece.headings.back(), piece.span, flat(piece.text),
                          sha256_hex(piece.text), piece.text, chunk::join_headings(piece.headings), piece.tokens});
        const std::size_t at = places.size() - 1;
        take_sentences(piece.text, at, document_view::original);
        if (!places[at].section.empty()) sections.push_back({item_kind::section, {}, {}, at});
    }

    void ask_rules(const std::string& sentence, std::size_t at, std::size_t known, bool resolved, document_view seen) {
        const bool original = seen == document_view::original;
        const auto reach = [&] {
            if (known != no_fact) facts[known].in_reach = true;
        };
        std::vector<std::string> answers;
        bool completed = resolved || !original;
        for (auto& form : questions_of(sentence)) {
            const auto end = sentence.rfind(form.answer);
            if (end != sentence.npos && end > 10 && end + form.answer.size() + 1 >= sentence.size() && !completed) {
                completions.push_back({item_kind::completion, sentence, form, at, end, false, known});
                completed = true;
            }
            const bool told = std::any_of(answers.begin(), answers.end(), [&](const std::string& a) {
                return a == form.answer || form.answer.starts_with(a + " ");  // "three", "three cubes"
            });
            if (told) continue;
            answers.push_back(form.answer);
            asked.push_back({original ? item_kind::fact : item_kind::viewed, sentence, form, at, 0,
                             resolved || !original, known, seen});
            reach();
        }
        if (const auto gap = completed ? 0 : detail::gap_of(sentence); gap > 10)
            completions.push_back({item_kind::completion,
                                   sentence,
                                   {{}, sentence.substr(gap, sentence.size() - gap - 1), "last-words"},
                                   at,
                                   gap,
                                   false,
                                   known});
        if (!completions.empty() && completions.back().fact == known) reach();
    }

    bool follow_facts_;
};

}  // namespace lab::sdg
