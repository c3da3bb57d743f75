// How a wording that a teacher gets to see is written down: under a name, in a language, with a sentence on what it is
// for. Lists of wordings (prompts.hpp, skill_prompts.hpp) make up the catalogue that packs and the edition are made of.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lab/text/prompt.hpp"

namespace lab::sdg::prompts {

/// How a wording is used: as one text, line by line, as lines of the form "from => to", or as such lines with a judge's
/// grades before the sign.
enum class form : std::uint8_t { text, lines, pairs, grades };

/// Whether two templates have the same fields.
[[nodiscard]] constexpr bool same_fields(std::string_view a, std::string_view b) {
    const auto within = [](std::string_view one, std::string_view other) {
        bool all = true;
        const bool sound = text::detail::split_prompt(one, [&](text::detail::prompt_part p) {
            bool found = !p.is_field;
            (void)text::detail::split_prompt(other, [&](text::detail::prompt_part q) {
                found = found || (q.is_field && other.substr(q.begin, q.size) == one.substr(p.begin, p.size));
            });
            all = all && found;
        });
        return sound && all;
    };
    return within(a, b) && within(b, a);
}

/// A wording under its name; `Purpose` is one sentence for those who rewrite it.
template <text::fixed_string Name, text::fixed_string Text, text::fixed_string Purpose, form Form = form::text>
struct wording : text::prompt<Text> {
    static constexpr std::string_view name = Name.view(), language = "en", purpose = Purpose.view();
    static constexpr form kind = Form;
};
/// The same in another language: it has the original's name and its fields, no more and no fewer.
template <class Original, text::fixed_string Language, text::fixed_string Text>
struct translation : text::prompt<Text> {
    static_assert(same_fields(Original::text, Text.view()), "a translation has the fields of its original");
    static constexpr std::string_view name = Original::name, language = Language.view(), purpose = Original::purpose;
    static constexpr form kind = Original::kind;
};

/// A wording as data: what a pack's files and the edition are made from.
struct catalogue_entry {
    std::string_view language, name, text, purpose;
    form kind;
    friend constexpr bool operator==(const catalogue_entry&, const catalogue_entry&) = default;
};

template <class... Wordings>
struct wording_list {
    static constexpr std::array<catalogue_entry, sizeof...(Wordings)> entries{
        catalogue_entry{Wordings::language, Wordings::name, Wordings::text, Wordings::purpose, Wordings::kind}...};
};

/// Two lists, one after the other.
template <class... First, class... Second>
[[nodiscard]] constexpr wording_list<First..., Second...> operator+(wording_list<First...>, wording_list<Second...>) {
    return {};
}

}  // namespace lab::sdg::prompts
