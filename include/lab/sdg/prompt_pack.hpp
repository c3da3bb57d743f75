// The wordings in use: the built-in ones, or some of them replaced by the files of a folder, DIR/<language>/<name>.txt.
// A file is a header ("key: value" lines: name, language, fields, for), a line "---", and the wording itself. Its
// fields must be those that the code supplies; anything unknown is an error that names file and field. A folder of a
// new language needs common_words.txt; what else it lacks stays English. Knows no prompt's meaning.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/text_bytes.hpp"
#include "lab/sdg/prompts.hpp"

namespace lab::sdg::prompts {

namespace detail {

inline constexpr std::size_t largest_file = std::size_t{1} << 20;

[[nodiscard]] inline const catalogue_entry* listed(std::string_view language, std::string_view name) {
    const auto at = std::find_if(catalogue.begin(), catalogue.end(),
                                 [&](const catalogue_entry& e) { return e.language == language && e.name == name; });
    return at == catalogue.end() ? nullptr : &*at;
}
[[nodiscard]] inline std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        if (text.substr(0, end).find_first_not_of(" \t") != text.npos) lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}
[[nodiscard]] inline std::string joined(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& n : names) out.append(out.empty() ? "" : ", ").append(n);
    return out.empty() ? "none" : out;
}
[[nodiscard]] inline bool contains(const std::vector<std::string>& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
}

struct prompt_file {
    std::map<std::string, std::string, std::less<>> header;
    std::string body;
};

/// @throws format_error naming file and line
[[nodiscard]] inline prompt_file read_prompt_file(const std::filesystem::path& path) {
    const std::string place = path.string();
    const mapped_file map(path);
    if (map.bytes().size() > largest_file) throw format_error(explain(place, "is larger than 1 MiB"));
    std::string text(reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size());
    if (const auto bad = formats::first_invalid_utf8(text); bad != text.npos)
        throw format_error(explain(at_offset(place, bad), "is not UTF-8"));
    std::erase(text, '\r');
    prompt_file file;
    std::string_view rest = text;
    for (std::size_t number = 1;; ++number) {
        const auto end = rest.find('\n');
        const std::string_view line = rest.substr(0, end);
        if (end == rest.npos && line != "---")
            throw format_error(explain(place, "has no line '---' between its header and the wording",
                                       "'lab-generate prompts --out DIR' writes files to begin with"));
        rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
        if (line == "---") break;
        const auto colon = line.find(':');
        const std::string key(line.substr(0, std::min(colon, line.size())));
        constexpr std::array<std::string_view, 4> known{"name", "language", "fields", "for"};
        if (colon == line.npos || std::find(known.begin(), known.end(), key) == known.end())
            throw format_error(explain(place + ":" + std::to_string(number),
                                       "a header line is 'name: ', 'language: ', 'fields: ' or 'for: '"));
        const auto value = line.substr(colon + 1);
        const auto first = value.find_first_not_of(' ');
        if (!file.header.emplace(key, first == value.npos ? "" : value.substr(first)).second)
            throw format_error(explain(place + ":" + std::to_string(number), "'" + key + "' stands there twice"));
    }
    if (rest.ends_with('\n')) rest.remove_suffix(1);
    file.body = rest;
    return file;
}

/// @throws format_error naming file and field
inline void check_prompt_file(const prompt_file& file, const std::string& place, const catalogue_entry& original,
                              std::string_view language) {
    for (const auto& [key, wanted] : {std::pair{"name", original.name}, {"language", language}})
        if (const auto at = file.header.find(key); at != file.header.end() && at->second != wanted)
            throw format_error(explain(place, std::string("says '").append(key).append(": ").append(at->second) +
                                                  "', its path says '" + std::string(wanted) + "'"));
    const auto supplied = *text::prompt_fields(original.text);
    const auto written = text::prompt_fields(file.body);
    if (!written) throw format_error(explain(place, "has a '{{' without a name and '}}' behind it"));
    for (const auto& name : *written)
        if (!contains(supplied, name))
            throw format_error(
                explain(place, "field {{" + name + "}} is not known", "the fields are: " + joined(supplied)));
    for (const auto& name : supplied)
        if (!contains(*written, name)) throw format_error(explain(place, "field {{" + name + "}} is missing"));
    if (const auto at = file.header.find("fields"); at != file.header.end() && at->second != joined(supplied))
        throw format_error(explain(place, "the header's fields are '" + at->second + "'", "write " + joined(supplied)));
    const auto lines = lines_of(file.body);
    if (lines.empty()) throw format_error(explain(place, "the wording is empty"));
    if (original.kind != form::pairs && original.kind != form::grades) return;
    for (const auto line : lines)
        if (const auto sign = line.find(pair_sign);
            sign == line.npos || sign == 0 || sign + pair_sign.size() >= line.size())
            throw format_error(explain(place, "'" + std::string(line) + "' is no pair", "write: one => other"));
    if (original.kind == form::pairs) return;
    const auto grades = lines_of(original.text);
    for (const auto grade : grades) {
        const auto sign = grade.substr(0, grade.find(pair_sign) + pair_sign.size());
        if (std::count_if(lines.begin(), lines.end(), [&](auto line) { return line.starts_with(sign); }) != 1)
            throw format_error(explain(place, "the grade '" +
                                                  std::string(sign.substr(0, sign.size() - pair_sign.size())) +
                                                  "' must stand there once, with what it means"));
    }
    if (lines.size() != grades.size())
        throw format_error(explain(place, "has " + std::to_string(lines.size()) + " grades",
                                   "there are " + std::to_string(grades.size())));
}

}  // namespace detail

class pack {
public:
    /// The built-in wordings.
    pack() = default;
    /// Those of a folder, and the built-in ones where it has none.
    /// @throws io_error when the folder cannot be read, format_error naming file and field
    explicit pack(const std::filesystem::path& folder) {
        if (!std::filesystem::is_directory(folder))
            throw io_error(explain(folder.string(), "is no folder with prompts", "one folder for each language: en/"));
        for (const auto& entry : std::filesystem::directory_iterator(folder)) {
            const std::string language = entry.path().filename().string();
            if (language.starts_with('.')) continue;
            if (!entry.is_directory() || !is_code(language))
                throw format_error(explain(entry.path().string(), "is no folder of a language",
                                           "prompts stand in folders named by codes: en, de, pt-br"));
            read_language(entry.path(), language);
        }
        if (replaced_.empty()) throw format_error(explain(folder.string(), "has no prompt in it"));
    }

    /// The wording's text in a language; English where that has none.
    template <class W>
    requires is_listed<W>
    [[nodiscard]] std::string_view text(std::string_view language = W::language) const {
        if (const auto own = find(language, W::name); !own.empty()) return own;
        return find("en", W::name);
    }
    /// Whether a language has a wording of its own.
    template <class W>
    [[nodiscard]] bool has(std::string_view language) const {
        return !find(language, W::name).empty();
    }
    /// The wording with its fields filled in. A missing, unknown or repeated field does not compile.
    template <class W, text::fixed_string... Fields>
    [[nodiscard]] std::string render_in(std::string_view language, text::field_value<Fields>... values) const {
        const std::string_view wording = text<W>(language);
        if (wording.data() == W::text.data()) return W::render(values...);
        return lab::text::fill_prompt(wording, [&](std::string_view name) {
            std::string_view value;
            (void)((name == Fields.view() && (value = values.value, true)) || ...);
            return value;
        });
    }
    template <class W, text::fixed_string... Fields>
    [[nodiscard]] std::string render(text::field_value<Fields>... values) const {
        return render_in<W>(W::language, values...);
    }
    /// For provenance: "is_grounded 1a2b3c4d", name and version; the language's code between them unless it is English.
    template <class W>
    [[nodiscard]] std::string tag(std::string_view language = W::language) const {
        const bool own = language != "en" && has<W>(language);
        return std::string(W::name) + " " + (own ? std::string(language) + " " : "") +
               short_version(hash64(text<W>(language)));
    }
    template <class W>
    [[nodiscard]] std::vector<std::string> lines(std::string_view language = W::language) const {
        const auto list = detail::lines_of(text<W>(language));
        return {list.begin(), list.end()};
    }
    template <class W>
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> pairs(
        std::string_view language = W::language) const {
        std::vector<std::pair<std::string, std::string>> list;
        for (const auto line : detail::lines_of(text<W>(language))) {
            const auto sign = line.find(pair_sign);
            list.emplace_back(line.substr(0, sign), line.substr(sign + pair_sign.size()));
        }
        return list;
    }

    /// Codes: the built-in languages, then those that the folder adds.
    [[nodiscard]] std::vector<std::string> languages() const {
        std::vector<std::string> codes;
        for (const auto& e : catalogue)
            if (e.name == common_words::name) codes.emplace_back(e.language);
        for (const auto& [key, file] : replaced_)
            if (!prompts::detail::contains(codes, key.first)) codes.push_back(key.first);
        return codes;
    }
    /// One number for the wordings of every run, or for all. Equal wordings have equal editions, wherever they come
    /// from.
    [[nodiscard]] std::uint64_t edition(bool all) const {
        std::uint64_t h = all ? full_edition : prompts::edition;
        for (const auto& [key, body] : replaced_) {
            const auto* original = detail::listed(key.first, key.second);
            if (original == nullptr || original->text != body)
                h = hash64(body, hash64(key.second, hash64(key.first, h)));
        }
        return h;
    }
    /// "de/few_words" for each that differs from the built-in one.
    [[nodiscard]] std::vector<std::string> changed() const {
        std::vector<std::string> names;
        for (const auto& [key, body] : replaced_) {
            const auto* original = detail::listed(key.first, key.second);
            if (original == nullptr || original->text != body) names.push_back(key.first + "/" + key.second);
        }
        return names;
    }

    /// Writes every wording as a file to edit. Existing files are replaced.
    void write(const std::filesystem::path& folder) const {
        for (const auto& code : languages())
            for (const auto& e : catalogue) {
                if (e.language != "en") continue;
                const auto body = find(code, e.name);
                if (body.empty()) continue;
                make_folder(folder / code);
                std::string file = "name: " + std::string(e.name) + "\nlanguage: " + code +
                                   "\nfields: " + detail::joined(*text::prompt_fields(e.text)) +
                                   "\nfor: " + std::string(e.purpose) + "\n---\n" + std::string(body) + "\n";
                write_file_atomically(folder / code / (std::string(e.name) + ".txt"), file);
            }
    }

private:
    [[nodiscard]] static bool is_code(std::string_view text) {
        return text.size() >= 2 && text.size() <= 12 &&
               std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; });
    }
    void read_language(const std::filesystem::path& folder, const std::string& language) {
        for (const auto& entry : std::filesystem::directory_iterator(folder)) {
            const std::string file = entry.path().filename().string(), place = entry.path().string();
            if (file.starts_with('.') || file.ends_with('~')) continue;  // what editors leave
            const auto* original = detail::listed("en", entry.path().stem().string());
            if (!file.ends_with(".txt") || original == nullptr)
                throw format_error(explain(place, "is no prompt that is known",
                                           "'lab-generate prompts --out DIR' writes all that are"));
            auto read = detail::read_prompt_file(entry.path());
            detail::check_prompt_file(read, place, *original, language);
            replaced_[{language, std::string(original->name)}] = std::move(read.body);
        }
        if (find(language, common_words::name).empty())
            throw format_error(explain(folder.string(), "has no common_words.txt",
                                       "by the commonest words of a language its texts are recognised"));
    }
    /// Empty where the language has none.
    [[nodiscard]] std::string_view find(std::string_view language, std::string_view name) const {
        if (!replaced_.empty())
            if (const auto at = replaced_.find({std::string(language), std::string(name)}); at != replaced_.end())
                return at->second;
        const auto* original = detail::listed(language, name);
        return original == nullptr ? std::string_view() : original->text;
    }

    std::map<std::pair<std::string, std::string>, std::string> replaced_;  // (language, name)
};

}  // namespace lab::sdg::prompts
