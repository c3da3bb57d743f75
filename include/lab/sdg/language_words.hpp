// What a pack of wordings knows of a language: its commonest words, by which texts in it are recognised, and phrases
// that only somebody who sees the text understands ("the table above"). English, German and French; a folder of prompts
// may change them or add a language (prompt_pack.hpp).
#pragma once

#include <string_view>

#include "lab/sdg/wording.hpp"

namespace lab::sdg::prompts {

/// Words separated by blanks.
struct common_words {
    static constexpr std::string_view name = "common_words", language = "en";
    static constexpr std::string_view purpose = "The language's commonest words: by them its texts are recognised.";
    static constexpr form kind = form::text;
    static constexpr std::string_view text =
        "the of and is to in that it was for what does which who how are on with when a where at";
};
struct common_words_german : common_words {
    static constexpr std::string_view language = "de";
    static constexpr std::string_view text =
        "der die das und ist in den von zu mit wer was wie wo ein sie im eine auf des dem war "
        "wann welche er nicht";
};
struct common_words_french : common_words {
    static constexpr std::string_view language = "fr";
    static constexpr std::string_view text =
        "le la les de des et est du un une en que qui au à se par dans pour quel quand sont il "
        "quelle où";
};

/// In lower case, one a line; found at word boundaries.
struct pointing_phrases {
    static constexpr std::string_view name = "pointing_phrases", language = "en";
    static constexpr std::string_view purpose =
        "Phrases, one a line, that make sense only to somebody who sees the text.";
    static constexpr form kind = form::lines;
    static constexpr std::string_view text =
        "according to the text\naccording to the passage\naccording to the excerpt\n"
        "according to the paragraph\naccording to the article\naccording to the section\n"
        "according to the context\naccording to the table\naccording to the figure\n"
        "according to the author\nin the text\nin the passage\nin the excerpt\nin the paragraph\n"
        "in the article\nin the context\nin the table\nin the figure\ndoes the text\n"
        "does the passage\ndoes the excerpt\ndoes the paragraph\ndoes the article\n"
        "does the author\nthis text\nthis passage\nthis excerpt\nthis paragraph\nthis section\n"
        "this chapter\nthis page\nthis article\nthis document\nthis table\nthis figure\n"
        "this statement\nthis sentence\nthis fact\nthe provided text\nthe given text\n"
        "the given context\nthe provided context\nthe above\nthe text above\nthe table above\n"
        "the table below\nthe list above\nmentioned above\ndescribed above\nlisted above\n"
        "given above\nmentioned below\ndescribed below\nthe aforementioned\nthe following\n"
        "as mentioned\nmentioned in the document\ndescribed in the document\n"
        "stated in the document";
};
struct pointing_phrases_german : pointing_phrases {
    static constexpr std::string_view language = "de";
    static constexpr std::string_view text =
        "laut text\nlaut dem text\nim text\naus dem text\ndes textes\nin diesem text\n"
        "dieser text\ndiesem text\ndem vorliegenden\nin dem abschnitt\nin diesem abschnitt\n"
        "dieser abschnitt\nin diesem absatz\nin dieser passage\nin diesem artikel\n"
        "in diesem dokument\nin diesem kapitel\nauf dieser seite\nlaut autor\nlaut dem autor\n"
        "in der tabelle\nin dieser tabelle\ndiese tabelle\nin der abbildung\n"
        "in dieser abbildung\noben genannt\noben genannte\noben genannten\noben beschrieben\n"
        "oben beschriebene\noben beschriebenen\nobige\nobigen\nobiger\nder folgenden\n"
        "die folgenden\nunten genannten";
};
struct pointing_phrases_french : pointing_phrases {
    static constexpr std::string_view language = "fr";
    static constexpr std::string_view text =
        "selon le texte\nd'après le texte\ndans le texte\ndu texte\nce texte\nselon le passage\n"
        "dans le passage\nce passage\ndans ce paragraphe\nce paragraphe\ncette section\n"
        "cet extrait\ndans l'extrait\nselon l'extrait\ncet article\nselon l'article\n"
        "dans ce document\nce document\nce chapitre\ncette page\nselon l'auteur\n"
        "dans le tableau\nce tableau\ncette figure\nci-dessus\nci-dessous\nmentionné plus haut\n"
        "mentionnée plus haut\ndécrit plus haut\nles suivants\nles suivantes\nsuivants est\n"
        "suivantes est";
};

}  // namespace lab::sdg::prompts
