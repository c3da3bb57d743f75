// A prompt whose fields are checked by the compiler: prompt<"Ask about {{topic}}.">::render(field<"topic">(text)).
// Syntax: {{name}}, spaces inside the braces allowed, name = letters, digits, underscores. Values are inserted as they
// are and never read again as template text. A missing, unknown or repeated field does not compile; the compiler's
// message then names missing_field<"name">, unknown_field<"name"> or repeated_field<"name">.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/rng.hpp"

namespace lab::text {

/// A string literal as a template argument.
template <std::size_t N>
struct fixed_string {
    char characters[N]{};
    constexpr fixed_string() = default;
    constexpr fixed_string(const char (&literal)[N]) { std::copy_n(literal, N, characters); }  // NOLINT: implicit
    [[nodiscard]] constexpr std::string_view view() const { return {characters, N - 1}; }
    friend constexpr bool operator==(const fixed_string&, const fixed_string&) = default;
};

// Declared, never defined: naming one is the compile error, and its argument is the message. The argument is the text
// as one fixed_string, or as single characters where the compiler would print an array as numbers (clang before 15).
template <auto... Name>
struct missing_field;
template <auto... Name>
struct unknown_field;
template <auto... Name>
struct repeated_field;
template <auto... Text>
struct malformed_prompt;

/// The value of one field; refers to the caller's text until render returns.
template <fixed_string Name>
struct field_value {
    static constexpr auto name = Name;
    std::string_view value;
};

template <fixed_string Name>
struct field_name {
    constexpr field_value<Name> operator()(std::string_view value) const { return {value}; }
};

/// field<"topic">("ferries") gives the field `topic` its value.
template <fixed_string Name>
inline constexpr field_name<Name> field{};

namespace detail {

/// A piece of a prompt: literal text, or the name of a field, as a range of the template's characters.
struct prompt_part {
    bool is_field = false;
    std::size_t begin = 0, size = 0;
};

constexpr bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Calls sink(part) for each part of the text; false when braces do not match or a name is empty or has odd characters.
template <class Sink>
constexpr bool split_prompt(std::string_view text, Sink sink) {
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t open = text.find("{{", at);
        if (open == std::string_view::npos) {
            sink(prompt_part{false, at, text.size() - at});
            return true;
        }
        if (open > at) sink(prompt_part{false, at, open - at});
        std::size_t begin = open + 2;
        while (begin < text.size() && text[begin] == ' ') ++begin;
        std::size_t end = begin;
        while (end < text.size() && is_name_character(text[end])) ++end;
        std::size_t close = end;
        while (close < text.size() && text[close] == ' ') ++close;
        if (end == begin || text.substr(close, 2) != "}}") return false;
        sink(prompt_part{true, begin, end - begin});
        at = close + 2;
    }
    return true;
}

template <fixed_string Text, std::size_t Begin, std::size_t Size>
constexpr auto part_of() {
    fixed_string<Size + 1> name;
    std::copy_n(Text.characters + Begin, Size, name.characters);
    return name;
}

/// Instantiates Problem, which is incomplete on purpose, with the text that the message shall show.
template <template <auto...> class Problem, fixed_string Shown>
std::string complain() {
#if defined(__clang__) && __clang_major__ < 15
    return []<std::size_t... I>(std::index_sequence<I...>) {
        return std::string(sizeof(Problem<Shown.characters[I]...>), ' ');
    }
    (std::make_index_sequence<Shown.view().size()>{});
#else
    return std::string(sizeof(Problem<Shown>), ' ');
#endif
}

template <bool Fine, template <auto...> class Problem, fixed_string Shown>
std::string complain_unless() {
    if constexpr (!Fine) return complain<Problem, Shown>();
    return {};
}

}  // namespace detail

template <fixed_string Text>
struct prompt {
    static constexpr std::string_view text = Text.view();
    /// Identifies this wording in provenance records: FNV-1a of the template text.
    static constexpr std::uint64_t version = hash64(text);

    /// The text with every field replaced. Fields come in any order, each exactly once.
    template <fixed_string... Names>
    [[nodiscard]] static std::string render(field_value<Names>... values) {
        if constexpr (!well_formed) {
            return detail::complain<malformed_prompt, Text>();
        } else if constexpr (constexpr std::size_t missing = first_missing<Names...>(); missing < part_count) {
            return detail::complain<missing_field,
                                    detail::part_of<Text, parts[missing].begin, parts[missing].size>()>();
        } else if constexpr (!(has_field(Names.view()) && ...)) {
            return (detail::complain_unless<has_field(Names.view()), unknown_field, Names>() + ...);
        } else if constexpr (!((count<Names...>(Names.view()) == 1) && ...)) {
            return (detail::complain_unless<count<Names...>(Names.view()) == 1, repeated_field, Names>() + ...);
        } else {
            std::string out;
            std::size_t size = text.size();
            ((size += values.value.size()), ...);
            out.reserve(size);
            for (const auto& part : parts) {
                const std::string_view piece = text.substr(part.begin, part.size);
                if (part.is_field) {
                    (void)((piece == Names.view() && (out.append(values.value), true)) || ...);
                } else {
                    out.append(piece);
                }
            }
            return out;
        }
    }

    /// Whether the template has a field of this name.
    [[nodiscard]] static constexpr bool has_field(std::string_view name) {
        return std::any_of(parts.begin(), parts.end(), [&](const auto& part) {
            return part.is_field && text.substr(part.begin, part.size) == name;
        });
    }

private:
    static constexpr bool well_formed = detail::split_prompt(text, [](detail::prompt_part) {});
    static constexpr std::size_t part_count = [] {
        std::size_t n = 0;
        (void)detail::split_prompt(text, [&](detail::prompt_part) { ++n; });
        return n;
    }();
    static constexpr auto parts = [] {
        std::array<detail::prompt_part, part_count> list{};
        std::size_t n = 0;
        (void)detail::split_prompt(text, [&](detail::prompt_part part) { list[n++] = part; });
        return list;
    }();

    template <fixed_string... Names>
    static constexpr std::size_t count([[maybe_unused]] std::string_view name) {
        return (std::size_t{0} + ... + static_cast<std::size_t>(Names.view() == name));
    }
    template <fixed_string... Names>
    static constexpr std::size_t first_missing() {
        std::size_t i = 0;
        while (i < part_count &&
               !(parts[i].is_field && count<Names...>(text.substr(parts[i].begin, parts[i].size)) == 0))
            ++i;
        return i;
    }
};

/// The fields of a template known only at run time, in order, each once; nothing where its braces are broken.
[[nodiscard]] inline std::optional<std::vector<std::string>> prompt_fields(std::string_view text) {
    std::vector<std::string> names;
    const bool sound = detail::split_prompt(text, [&](detail::prompt_part part) {
        std::string name(text.substr(part.begin, part.size));
        if (part.is_field && std::find(names.begin(), names.end(), name) == names.end())
            names.push_back(std::move(name));
    });
    return sound ? std::optional(std::move(names)) : std::nullopt;
}

/// A template known only at run time with every field replaced by value(name); its braces must be sound.
template <class Values>
[[nodiscard]] std::string fill_prompt(std::string_view text, Values value) {
    std::string out;
    (void)detail::split_prompt(text, [&](detail::prompt_part part) {
        const std::string_view piece = text.substr(part.begin, part.size);
        out.append(part.is_field ? std::string_view(value(piece)) : piece);
    });
    return out;
}

}  // namespace lab::text
