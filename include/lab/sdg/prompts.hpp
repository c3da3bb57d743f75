// Every wording that a teacher gets to see, each with its name, its language and its version (a hash of the text) for
// the samples' provenance. Short on purpose: a small teacher follows examples, not instructions. These are the built-in
// ones; a pack (prompt_pack.hpp) may put others in their place, with the same fields.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lab/text/prompt.hpp"

namespace lab::sdg::prompts {

/// A wording under its name; `Purpose` is one sentence for those who rewrite it.
template <text::fixed_string Name, text::fixed_string Text, text::fixed_string Purpose>
struct wording : text::prompt<Text> {
    static constexpr std::string_view name = Name.view(), language = "en", purpose = Purpose.view();
};
/// The same in another language: it has the original's name and its fields, no more and no fewer.
template <class Original, text::fixed_string Language, text::fixed_string Text>
struct translation : text::prompt<Text> {
    static constexpr std::string_view name = Original::name, language = Language.view(), purpose = Original::purpose;
};

/// Also the form of the examples before it.
using open_book = wording<"open_book", "{{text}}\n\n{{question}}", "A question about a text; the answer follows.">;
using ask_about = wording<"ask_about", "{{text}}\nAsk a question whose answer is \"{{answer}}\".",
                          "Asks for a question from a text whose answer is known.">;
using rephrase =
    wording<"rephrase", "Ask this in other words: {{question}}", "Asks for the same question in other words.">;
using new_exercise = wording<"new_exercise", "{{task}}\nWrite a new exercise of this kind.",
                             "Asks for one more exercise of a skill, after examples.">;
using one_more =
    wording<"one_more", "One more of this kind: {{list}}", "Asks for one more item of a list, after examples.">;
using recall_section = wording<"recall_section", "What does \"{{document}}\" say about \"{{section}}\"?",
                               "A sample's question; the section's first sentences are its answer.">;
using complete_sentence =
    wording<"complete_sentence", "Complete this sentence from \"{{document}}\": {{beginning}} ...",
            "A sample's question; the sentence's end is its answer.">;
using recall_section_german = translation<recall_section, "de", "Was steht in „{{document}}“ über „{{section}}“?">;
using recall_section_french =
    translation<recall_section, "fr", "Que dit « {{document}} » au sujet de « {{section}} » ?">;
using complete_sentence_german =
    translation<complete_sentence, "de", "Ergänze diesen Satz aus „{{document}}“: {{beginning}} ...">;
using complete_sentence_french =
    translation<complete_sentence, "fr", "Complète cette phrase de « {{document}} » : {{beginning}} ...">;

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
using rate_pair = wording<
    "rate_pair",
    "Task: {{task}}\n\n{{question}}\n\nAnswer: {{answer}}\n\nRate the answer. 1: wrong, off the task or unsafe. 2: "
    "right. 3: "
    "right, complete and well put. Reply 1, 2 or 3.",
    "A judge of an exercise and its answer; replies 1, 2 or 3.">;
using is_safe =
    wording<"is_safe", "{{text}}\n\nIs this text harmless, polite and free of private data? Reply YES or NO.",
            "A judge; YES: the sample is harmless.">;

// Who answers: careful work has one right answer, writing has many.
using precise = wording<"precise_persona", "You answer exactly and follow the form of the examples. You add nothing.",
                        "The system message where there is one right answer.">;
using creative = wording<"creative_persona", "You write with imagination and care, and you keep to the task.",
                         "The system message where there are many good answers.">;
inline constexpr std::string_view precise_persona = precise::text;
inline constexpr std::string_view creative_persona = creative::text;

/// Examples of rephrasing, for any subject.
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 4> rephrasings{{
    {"What is the height of the Alder tower?", "How tall is the Alder tower?"},
    {"When does the market of Brenn open?", "At what time can people go to the market of Brenn?"},
    {"Who wrote the song of the mill?", "What is the name of the person who wrote the song of the mill?"},
    {"Where do the bakers of Holm keep their flour?", "In which place is the flour of the bakers of Holm kept?"},
}};

template <class... Wordings>
struct wording_list {
    static constexpr std::size_t size = sizeof...(Wordings);
};
/// All of them, in the order that `edition` hashes. Whoever writes a wording adds it here.
using built_in =
    wording_list<open_book, ask_about, rephrase, new_exercise, one_more, recall_section, complete_sentence,
                 recall_section_german, recall_section_french, complete_sentence_german, complete_sentence_french,
                 is_grounded, is_clear_question, rate_pair, is_safe, precise, creative>;

/// One number for all wordings above: a journal or a sample tells by it which edition of the prompts was used.
inline constexpr std::uint64_t edition = []<class... Wordings>(wording_list<Wordings...>) {
    std::uint64_t h = 0xcbf29ce484222325u;
    ((h = hash64(Wordings::text, h)), ...);
    for (const auto& [from, to] : rephrasings) h = hash64(to, hash64(from, h));
    return h;
}(built_in{});

/// "open_book" has no name of its own: eight hexadecimal digits of its version.
template <class Prompt>
[[nodiscard]] std::string version_of() {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (int shift = 28; shift >= 0; shift -= 4) out += digits[(Prompt::version >> shift) & 15u];
    return out;
}

}  // namespace lab::sdg::prompts
