// Every wording that a teacher gets to see, each with its version (a hash of the text) for the samples' provenance.
// Short on purpose: a small teacher follows examples, not instructions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lab/text/prompt.hpp"

namespace lab::sdg::prompts {

/// A question about a text; the answer follows. Also the form of the examples before it.
using open_book = text::prompt<"{{text}}\n\n{{question}}">;
/// A question whose answer is known, from a text.
using ask_about = text::prompt<"{{text}}\nAsk a question whose answer is \"{{answer}}\".">;
/// The same question in other words.
using rephrase = text::prompt<"Ask this in other words: {{question}}">;
/// A skill's task as a whole, for question writing.
using new_exercise = text::prompt<"{{task}}\nWrite a new exercise of this kind.">;
/// One more item of a list.
using one_more = text::prompt<"One more of this kind: {{list}}">;
using recall_section = text::prompt<"What does \"{{document}}\" say about \"{{section}}\"?">;
using complete_sentence = text::prompt<"Complete this sentence from \"{{document}}\": {{beginning}} ...">;
using recall_section_german = text::prompt<"Was steht in „{{document}}“ über „{{section}}“?">;
using recall_section_french = text::prompt<"Que dit « {{document}} » au sujet de « {{section}} » ?">;
using complete_sentence_german = text::prompt<"Ergänze diesen Satz aus „{{document}}“: {{beginning}} ...">;
using complete_sentence_french = text::prompt<"Complète cette phrase de « {{document}} » : {{beginning}} ...">;

/// Judges: answered by constrained choice, the probabilities are kept.
using is_grounded = text::prompt<
    "{{text}}\n\nQuestion: {{question}}\nAnswer: {{answer}}\n\nDoes the text say that this is the answer? Reply YES or "
    "NO.">;
using is_clear_question = text::prompt<
    "Subject: {{subject}}\nQuestion: {{question}}\n\nIs this a clear question about the subject that makes sense by "
    "itself? Reply YES or NO.">;
using rate_pair = text::prompt<
    "Task: {{task}}\n\n{{question}}\n\nAnswer: {{answer}}\n\nRate the answer. 1: wrong, off the task or unsafe. 2: "
    "right. 3: "
    "right, complete and well put. Reply 1, 2 or 3.">;
using is_safe = text::prompt<"{{text}}\n\nIs this text harmless, polite and free of private data? Reply YES or NO.">;

/// Who answers: careful work has one right answer, writing has many.
inline constexpr std::string_view precise_persona =
    "You answer exactly and follow the form of the examples. You add nothing.";
inline constexpr std::string_view creative_persona = "You write with imagination and care, and you keep to the task.";

/// Examples of rephrasing, for any subject.
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 4> rephrasings{{
    {"What is the height of the Alder tower?", "How tall is the Alder tower?"},
    {"When does the market of Brenn open?", "At what time can people go to the market of Brenn?"},
    {"Who wrote the song of the mill?", "What is the name of the person who wrote the song of the mill?"},
    {"Where do the bakers of Holm keep their flour?", "In which place is the flour of the bakers of Holm kept?"},
}};

/// One number for all wordings above: a journal or a sample tells by it which edition of the prompts was used.
inline constexpr std::uint64_t edition = [] {
    std::uint64_t h = 0xcbf29ce484222325u;
    for (const auto part :
         {open_book::text, ask_about::text, rephrase::text, new_exercise::text, one_more::text, recall_section::text,
          complete_sentence::text, recall_section_german::text, recall_section_french::text,
          complete_sentence_german::text, complete_sentence_french::text, is_grounded::text, is_clear_question::text,
          rate_pair::text, is_safe::text, precise_persona, creative_persona})
        h = hash64(part, h);
    for (const auto& [from, to] : rephrasings) h = hash64(to, hash64(from, h));
    return h;
}();

/// "open_book" has no name of its own: eight hexadecimal digits of its version.
template <class Prompt>
[[nodiscard]] std::string version_of() {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (int shift = 28; shift >= 0; shift -= 4) out += digits[(Prompt::version >> shift) & 15u];
    return out;
}

}  // namespace lab::sdg::prompts
