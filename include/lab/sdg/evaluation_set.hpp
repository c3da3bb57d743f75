// Questions of evaluation sets, read so that training data can keep clear of them: JSON Lines and JSON (messages,
// question, instruction, prompt, turns ...), MMLU's CSV (question first, then choices and the answer's letter, with or
// without a header), plain text (paragraphs; lines where there is no blank one). A taxonomy's held-out questions are
// not for a generator to see: heldout.jsonl is passed over in a folder and refused by name.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/sha256.hpp"
#include "lab/formats/csv.hpp"
#include "lab/formats/jsonl.hpp"
#include "lab/sdg/rouge.hpp"

namespace lab::sdg {

struct evaluation_item {
    std::string name;      // file below the set and line: "test/anatomy_test.csv:3"
    std::string question;  // what is asked
    std::string rest;      // choices, answers, references
};

struct evaluation_set {
    std::string name;
    std::vector<evaluation_item> items;
    std::string sha256{};                // of all that was read
    std::vector<std::string> skipped{};  // files of a folder that hold no questions, or are not read for them
};

namespace detail {

using formats::json;

/// All texts in a value, a line each.
inline void collect_texts(const json& value, std::string& out) {
    if (value.is_string()) {
        out.append(value.get_ref<const std::string&>()).push_back('\n');
    } else if (value.is_structured()) {
        for (const auto& part : value) collect_texts(part, out);
    }
}

/// Items of one object; none where it has no field that asks something.
inline void read_object(const json& object, const std::string& name, std::vector<evaluation_item>& items) {
    constexpr std::array asking{"question", "instruction", "prompt", "problem", "query", "user_input"};
    constexpr std::array naming{"id", "question_id", "task_id", "category", "name", "source", "metadata", "model_id"};
    if (!object.is_object()) return;
    std::vector<std::string> questions, used;
    std::string rest;
    const auto text_of = [&](const char* key) {
        const auto at = object.find(key);
        return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
    };
    if (const auto messages = object.find("messages"); messages != object.end() && messages->is_array()) {
        used.emplace_back("messages");
        for (const auto& m : *messages) {
            if (!m.is_object() || !m.contains("content") || !m["content"].is_string()) continue;
            const auto content = m["content"].get<std::string>();
            if (m.value("role", json("")) == json("user"))
                questions.push_back(content);
            else if (m.value("role", json("")) != json("system"))
                rest.append(content).push_back('\n');
        }
    } else if (const auto turns = object.find("turns"); turns != object.end() && turns->is_array()) {
        used.emplace_back("turns");
        for (const auto& turn : *turns)
            if (turn.is_string()) questions.push_back(turn.get<std::string>());
    } else {
        for (const char* key : asking)
            if (auto text = text_of(key); !text.empty() && questions.empty()) {
                used.emplace_back(key);
                if (const auto input = text_of("input"); !input.empty()) {
                    text.append("\n").append(input);
                    used.emplace_back("input");
                }
                questions.push_back(std::move(text));
            }
    }
    const bool answers_only = questions.empty() && object.contains("question_id") && object.contains("choices");
    if (answers_only) questions.emplace_back();  // a file of reference answers beside the questions
    for (const auto& [key, value] : object.items())
        if (std::find(used.begin(), used.end(), key) == used.end() &&
            std::find(naming.begin(), naming.end(), key) == naming.end())
            collect_texts(value, rest);
    for (std::size_t q = 0; q < questions.size(); ++q)
        items.push_back({questions.size() == 1 ? name : name + " turn " + std::to_string(q + 1),
                         std::move(questions[q]), q == 0 ? rest : std::string()});
}

inline void read_csv(std::string_view text, const std::string& place, const std::string& name,
                     std::vector<evaluation_item>& items) {
    std::size_t column = 0;
    bool first = true;
    formats::for_each_csv_row(text, place, [&](std::vector<std::string> row, std::size_t line) {
        if (std::exchange(first, false))
            for (std::size_t i = 0; i < row.size(); ++i) {
                const auto words = loose_words(row[i]);
                if (words.size() == 1 &&
                    (words[0] == "question" || words[0] == "prompt" || words[0] == "instruction")) {
                    column = i;
                    return;
                }
            }
        if (column >= row.size())
            throw format_error(explain(place + ":" + std::to_string(line),
                                       "has no column " + std::to_string(column + 1) + " with the question"));
        std::string rest;
        for (std::size_t i = 0; i < row.size(); ++i)
            if (i != column) rest.append(row[i]).push_back('\n');
        items.push_back({name + ":" + std::to_string(line), std::move(row[column]), std::move(rest)});
    });
}

inline void read_plain(std::string_view text, const std::string& place, const std::string& name,
                       std::vector<evaluation_item>& items) {
    if (formats::first_invalid_utf8(text) != text.npos || text.find('\0') != text.npos)
        throw format_error(
            explain(place, "is neither text nor a format that is known", "JSON Lines, JSON, CSV or text"));
    struct line {
        std::string_view text;
        std::size_t number;
        bool blank;
    };
    std::vector<line> lines;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto end = std::min(text.find('\n'), text.size());
        const auto whole = text.substr(0, end);
        lines.push_back({whole, number, whole.find_first_not_of(" \t\r") == whole.npos});
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    while (!lines.empty() && lines.back().blank) lines.pop_back();
    const bool paragraphs = std::any_of(lines.begin(), lines.end(), [](const line& l) { return l.blank; });
    bool open = false;
    for (const auto& l : lines) {
        if (!l.blank) {
            if (!(paragraphs && open)) items.push_back({name + ":" + std::to_string(l.number), {}, {}});
            items.back().question.append(l.text).push_back('\n');
        }
        open = !l.blank;
    }
}

/// Of a folder's files (relative to it): what is hidden, has no type, or is a read-me or a licence.
[[nodiscard]] inline bool beside_questions(const std::filesystem::path& file) {
    for (const auto& part : file)
        if (part.string().starts_with('.')) return true;
    std::string stem;
    for (const char c : file.stem().string()) stem += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return !file.has_extension() || stem == "readme" || stem == "license" || stem == "licence";
}

/// Reads one file's items; `name` is what they are called by.
inline void read_evaluation_file(const std::filesystem::path& file, const std::string& name, std::string_view text,
                                 std::vector<evaluation_item>& items) {
    const std::string place = file.string(), type = file.extension().string();
    if (type == ".jsonl" || type == ".ndjson") {
        formats::for_each_json_line(text, place, [&](const json& line, std::size_t number) {
            read_object(line, name + ":" + std::to_string(number), items);
        });
    } else if (type == ".json") {
        const json all = formats::parse_json(text, place);
        if (!all.is_array()) return read_object(all, name, items);
        for (std::size_t i = 0; i < all.size(); ++i) read_object(all[i], name + " [" + std::to_string(i) + "]", items);
    } else if (type == ".csv") {
        read_csv(text, place, name, items);
    } else if (type == ".txt" || type == ".md" || type.empty()) {
        read_plain(text, place, name, items);
    }
}

}  // namespace detail

/// A file, or all files below a folder in the order of their names. @throws io_error, format_error naming file and
/// line; format_error, too, where nothing is found that asks anything.
[[nodiscard]] inline evaluation_set read_evaluation_set(const std::filesystem::path& path) {
    namespace fs = std::filesystem;
    constexpr std::string_view held_out = "heldout.jsonl";
    if (!fs::exists(path)) throw io_error(explain(path.string(), "does not exist"));
    const auto last = path.has_filename() ? path.filename() : path.parent_path().filename();
    evaluation_set set{last.string(), {}};
    sha256 digest;
    const auto read = [&](const fs::path& file, const std::string& name) {
        const std::size_t before = set.items.size();
        const mapped_file bytes(file);
        detail::read_evaluation_file(file, name, formats::as_text(bytes.bytes()), set.items);
        if (set.items.size() == before) return false;
        digest.update(name);
        digest.update(bytes.bytes());
        return true;
    };
    if (fs::is_directory(path)) {
        std::vector<fs::path> files;
        for (const auto& entry : fs::recursive_directory_iterator(path))
            if (entry.is_regular_file() && entry.path().filename() != held_out) files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        for (const auto& file : files) {
            const auto name = file.lexically_relative(path);
            if (detail::beside_questions(name) || !read(file, name.generic_string()))
                set.skipped.push_back(name.generic_string());
        }
    } else if (last == held_out) {
        throw config_error(explain(path.string(), "holds held-out questions, which generation must not see",
                                   "samples are compared with them afterwards in any case"));
    } else {
        read(path, last.string());
    }
    if (set.items.empty())
        throw format_error(
            explain(path.string(), "holds nothing that asks a question",
                    "wanted are JSON Lines or JSON with messages, question, instruction, prompt or turns, "
                    "CSV with the question first, or text"));
    set.sha256 = digest.hex();
    return set;
}

}  // namespace lab::sdg
