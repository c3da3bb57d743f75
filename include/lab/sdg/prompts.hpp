// Every wording that a teacher gets to see, each with its name, its language and its version (a hash of the text) for
// the samples' provenance. Short on purpose: a small teacher follows examples, not instructions. These are the built-in
// ones; a pack (prompt_pack.hpp) may put others in their place, with the same fields.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lab/sdg/language_words.hpp"
#include "lab/sdg/skill_prompts.hpp"
#include "lab/sdg/wording.hpp"

namespace lab::sdg::prompts {

// Examples and exercises.

/// Also the form of the examples before it.
using open_book = wording<"open_book", "{{text}}\n\n{{question}}", "A question about a text; the answer follows.">;
using ask_about = wording<"ask_about", "{{text}}\nAsk a question whose answer is \"{{answer}}\".",
                          "Asks for a question from a text whose answer is known.">;
using rephrase =
    wording<"rephrase", "Ask this in other words: {{question}}", "Asks for the same question in other words.">;
using rephrasings =
    wording<"rephrasings",
            "What is the height of the Alder tower? => How tall is the Alder tower?\n"
            "When does the market of Brenn open? => At what time can people go to the market of Brenn?\n"
            "Who wrote the song of the mill? => What is the name of the person who wrote the song of the mill?\n"
            "Where do the bakers of Holm keep their flour? => In which place is the flour of the bakers of Holm kept?",
            "Examples of rephrasing, for any subject.", form::pairs>;
using one_more =
    wording<"one_more", "One more of this kind: {{list}}", "Asks for one more item of a list, after examples.">;
using recall_section = wording<"recall_section", "What does \"{{document}}\" say about \"{{section}}\"?",
                               "A sample's question; the section's first sentences are its answer.">;
using recall_section_german = translation<recall_section, "de", "Was steht in „{{document}}“ über „{{section}}“?">;
using recall_section_french =
    translation<recall_section, "fr", "Que dit « {{document}} » au sujet de « {{section}} » ?">;
using complete_sentence =
    wording<"complete_sentence", "Complete this sentence from \"{{document}}\": {{beginning}} ...",
            "A sample's question; the sentence's end is its answer.">;
using complete_sentence_german =
    translation<complete_sentence, "de", "Ergänze diesen Satz aus „{{document}}“: {{beginning}} ...">;
using complete_sentence_french =
    translation<complete_sentence, "fr", "Complète cette phrase de « {{document}} » : {{beginning}} ...">;
using few_words = wording<"few_words", "Please answer in a few words. {{question}}",
                          "A sample's question: a seed's, with the wish for a short answer.">;
using few_words_german = translation<few_words, "de", "Bitte antworte mit wenigen Worten. {{question}}">;
using few_words_french = translation<few_words, "fr", "Réponds en quelques mots. {{question}}">;

// What a capable teacher writes from a text: facts, questions with answers, views of the text.

using list_facts = wording<
    "list_facts",
    "Text about {{subject}}:\n\n{{text}}\n\nList every fact that this text states, in the language of the text. Each "
    "fact is one short sentence that makes sense by itself: it names what it is about and says nothing that the text "
    "does not say. Reply with a JSON list of strings.",
    "Asks for a text's facts; the reply is held to a JSON list of strings.">;
using write_pair = wording<
    "write_pair",
    "Text about {{subject}}:\n\n{{text}}\n\nFact: {{fact}}\n\nWrite {{kind}} about this fact, and its answer, in the "
    "language of the text. The question must make sense to somebody who has never seen the text, so it names what it "
    "is about and never mentions the text. The answer says only what the text says. Reply with a JSON object with "
    "\"question\" and \"answer\".",
    "Asks for a question about one fact, and its answer, as a JSON object.">;
using write_any_pair = wording<
    "write_any_pair",
    "Text about {{subject}}:\n\n{{text}}\n\nWrite {{kind}} about something that this text says, and its answer, in the "
    "language of the text. The question must make sense to somebody who has never seen the text, so it names what it "
    "is about and never mentions the text. The answer says only what the text says. Reply with a JSON object with "
    "\"question\" and \"answer\".",
    "Asks for a question about a view of a text, and its answer, as a JSON object.">;
using question_kinds =
    wording<"question_kinds",
            "a direct question\n"
            "a question in plain words, as a beginner would ask it,\n"
            "a question that first says in a few words what it is about, and then asks,\n"
            "a request, beginning with a verb such as \"Explain\" or \"Name\",\n"
            "a question that asks how, why or under which condition, if the text says so, and otherwise what,",
            "The kinds of question that are asked about a fact, one a line, each its turn.", form::lines>;
using write_summary = wording<
    "write_summary",
    "{{text}}\n\nSummarise the text above in full sentences, in its own language. Keep names, numbers and dates. Name "
    "what each sentence is about, and add nothing.",
    "A view of a text: its summary.">;
using write_extract = wording<
    "write_extract",
    "{{text}}\n\nCopy from the text above the sentences that carry its most important facts, word for word, one a "
    "line. Write nothing else.",
    "A view of a text: its most important sentences, copied.">;
using write_corrected = wording<
    "write_corrected",
    "{{text}}\n\nCopy the text above and correct its spelling and punctuation. Change nothing else, leave nothing out "
    "and add nothing.",
    "A view of a text: the same with its spelling corrected.">;

// Judges: answered by constrained choice, the probabilities are kept.

using is_grounded = wording<
    "is_grounded",
    "{{text}}\n\nQuestion: {{question}}\nAnswer: {{answer}}\n\nDoes the text say that this is the answer? Reply YES or "
    "NO.",
    "A judge; YES: the text says that this is the answer.">;
using is_clear_question = wording<
    "is_clear_question",
    "Subject: {{subject}}\nQuestion: {{question}}\n\nIs this a clear question about the subject that makes sense by "
    "itself? Reply YES or NO.",
    "A judge; YES: the question is clear and about the subject.">;
using is_supported = wording<
    "is_supported",
    "{{text}}\n\nQuestion: {{question}}\nStatement: {{claim}}\n\nDoes the text say that the statement, read as a part "
    "of an answer to the question, is true? Reply YES or NO.",
    "A judge of one statement of a longer answer; YES: the text says so.">;
using is_relevant = wording<
    "is_relevant",
    "Subject: {{subject}}. {{outline}}\nQuestion: {{question}}\n\nIs the question about this subject? Reply YES or NO.",
    "A judge; YES: the question is about the leaf's subject.">;
using is_self_contained = wording<
    "is_self_contained",
    "Question: {{question}}\n\nDoes this question name what it is about, so that it can be understood without seeing "
    "any text it was made from? Reply YES or NO.",
    "A judge; YES: the question makes sense by itself.">;
using stray_questions =
    wording<"stray_questions",
            "Which gas do plants take in from the air?\n"
            "How many strings does a violin have?\n"
            "Why does bread rise in the oven?\n"
            "What is the square root of eighty-one?\n"
            "In which year did the first people walk on the moon?\n"
            "How do you change the tyre of a bicycle?\n"
            "Which metal is liquid at room temperature?\n"
            "What does a notary do?\n"
            "How long does an egg have to boil until it is hard?\n"
            "Who painted the ceiling of the Sistine Chapel?",
            "Questions about anything, one a line: a judge of relevance has to find them off the subject.",
            form::lines>;

// Who answers: careful work has one right answer, writing has many.

using precise = wording<"precise_persona", "You answer exactly and follow the form of the examples. You add nothing.",
                        "The system message where there is one right answer.">;
using creative = wording<"creative_persona", "You write with imagination and care, and you keep to the task.",
                         "The system message where there are many good answers.">;

/// Those of every run, in the order that `edition` hashes.
using basic =
    decltype(wording_list<open_book, ask_about, rephrase, one_more, recall_section, complete_sentence,
                          recall_section_german, recall_section_french, complete_sentence_german,
                          complete_sentence_french, is_grounded, is_clear_question, precise, creative, rephrasings>() +
             skill_wordings());
/// Those of thorough work on knowledge, and what is known of languages. Whoever writes a wording adds it here.
using further = wording_list<few_words, few_words_german, few_words_french, list_facts, write_pair, write_any_pair,
                             question_kinds, write_summary, write_extract, write_corrected, is_supported, is_relevant,
                             is_self_contained, stray_questions, common_words, common_words_german, common_words_french,
                             pointing_phrases, pointing_phrases_german, pointing_phrases_french>;
inline constexpr auto catalogue = [] {
    std::array<catalogue_entry, basic::entries.size() + further::entries.size()> all{};
    std::copy(further::entries.begin(), further::entries.end(),
              std::copy(basic::entries.begin(), basic::entries.end(), all.begin()));
    return all;
}();

/// Whether `W` is in the catalogue: what is not cannot be replaced.
template <class W>
inline constexpr bool is_listed = std::any_of(catalogue.begin(), catalogue.end(), [](const catalogue_entry& e) {
    return e.name == W::name && e.language == W::language && e.text == W::text;
});

inline constexpr std::string_view pair_sign = " => ";

/// One number for the wordings of every run: a journal or a sample tells by it which edition of the prompts was used.
inline constexpr std::uint64_t edition = [] {
    std::uint64_t h = 0xcbf29ce484222325u;
    for (const auto& e : basic::entries) {
        if (e.kind == form::text) h = hash64(e.text, h);
        for (auto rest = e.kind == form::text ? std::string_view() : e.text; !rest.empty();) {
            const auto line = rest.substr(0, rest.find('\n'));
            const auto sign = line.find(pair_sign);
            h = hash64(line.substr(sign + pair_sign.size()), hash64(line.substr(0, sign), h));
            rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        }
    }
    return h;
}();
/// The same for all of them.
inline constexpr std::uint64_t full_edition = [] {
    std::uint64_t h = edition;
    for (const auto& e : further::entries) h = hash64(e.text, hash64(e.name, hash64(e.language, h)));
    return h;
}();

/// Eight hexadecimal digits of a wording's version.
[[nodiscard]] inline std::string short_version(std::uint64_t version) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (int shift = 28; shift >= 0; shift -= 4) out += digits[(version >> shift) & 15u];
    return out;
}
template <class Prompt>
[[nodiscard]] std::string version_of() {
    return short_version(Prompt::version);
}

}  // namespace lab::sdg::prompts
