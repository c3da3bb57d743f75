// Rows of results as they come: a Markdown table, CSV, a JSON array, or JSON Lines.
#pragma once

#include <unistd.h>
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cxxopts.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/cli.hpp"

namespace lab::apps {

using ordered_json = nlohmann::ordered_json;

[[nodiscard]] inline std::string text_of(const char* format, double value) {
    char text[64];
    std::snprintf(text, sizeof text, format, value);
    return text;
}
/// A cell of the Markdown table and its column, which is at least `width` wide.
struct cell {
    std::string heading, text;
    std::size_t width = 0;
    bool left = false;
};

/// --json is -o json. @throws usage_error where another format is named too
inline void take_json(const cxxopts::ParseResult& args, std::string& output) {
    if (args.count("json") == 0) return;
    if (args.count("output") != 0 && output != "json")
        throw usage_error("--json is -o json: give one, not -o " + output + " beside it");
    output = "json";
}

class result_writer {
public:
    /// @throws usage_error for a format other than md, csv, json, jsonl.
    explicit result_writer(std::string format) : format_(std::move(format)) {
        if (format_ != "md" && format_ != "csv" && format_ != "json" && format_ != "jsonl")
            throw usage_error("-o " + format_ + ": md, csv, json or jsonl");
    }
    result_writer(const result_writer&) = delete;
    result_writer& operator=(const result_writer&) = delete;
    /// Ends what `row` began, also when the work was stopped halfway.
    ~result_writer() {
        if (format_ == "json" && rows_ != 0) std::cout << "\n]\n";
    }

    /// Whoever reads a table sees `cells`; the other formats give `fields`, CSV without the lists in them.
    void row(const ordered_json& fields, const std::vector<cell>& cells) {
        if (format_ == "md")
            markdown(cells);
        else if (format_ == "csv")
            csv(fields);
        else if (format_ == "json")
            std::cout << (rows_ == 0 ? "[\n" : ",\n") << fields.dump(2);
        else
            std::cout << fields.dump() << '\n';
        std::cout.flush();
        ++rows_;
    }
    /// A line below a table, for people only.
    void note(const std::string& line) const {
        if (format_ == "md") std::cout << '\n' << line << '\n';
    }
    /// Lines as they are, below the row before; the next row begins a table of its own.
    void block(const std::string& lines) {
        if (format_ != "md") return;
        std::cout << "\n```\n" << lines << "```\n\n";
        widths_.clear();
    }

private:
    void markdown(const std::vector<cell>& cells) {
        const auto line = [&](auto text_of) {
            for (std::size_t c = 0; c < cells.size(); ++c) std::cout << "| " << text_of(c) << ' ';
            std::cout << "|\n";
        };
        if (widths_.empty()) {
            for (const cell& x : cells) widths_.push_back(std::max({x.width, width(x.heading), width(x.text)}));
            line([&](std::size_t c) { return padded(c, cells[c].heading, cells[c].left); });
            line([&](std::size_t c) { return std::string(widths_[c] - 1, '-') + (cells[c].left ? '-' : ':'); });
        }
        line([&](std::size_t c) { return padded(c, cells[c].text, cells[c].left); });
    }
    /// Code points of UTF-8.
    [[nodiscard]] static std::size_t width(std::string_view text) {
        return static_cast<std::size_t>(std::count_if(
            text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
    }
    [[nodiscard]] std::string padded(std::size_t column, const std::string& text, bool left) const {
        const std::string space(widths_[column] - std::min(width(text), widths_[column]), ' ');
        return left ? text + space : space + text;
    }
    void csv(const ordered_json& fields) const {
        std::string names, values;
        for (const auto& [name, value] : fields.items()) {
            if (value.is_array()) continue;
            names += (names.empty() ? "" : ",") + name;
            values += (values.empty() ? "" : ",") + quoted(value.is_string() ? value.get<std::string>() : value.dump());
        }
        if (rows_ == 0) std::cout << names << '\n';
        std::cout << values << '\n';
    }
    [[nodiscard]] static std::string quoted(const std::string& value) {
        std::string out = "\"";
        for (const char c : value) out += c == '"' ? std::string("\"\"") : std::string(1, c);
        return out + "\"";
    }

    std::string format_;
    std::size_t rows_ = 0;
    std::vector<std::size_t> widths_;
};

/// What is being done, on one line of a terminal; silent elsewhere.
class status_line {
public:
    status_line() = default;
    status_line(const status_line&) = delete;
    status_line& operator=(const status_line&) = delete;
    ~status_line() { show(""); }
    void show(const std::string& text) const {
        if (terminal_) std::cerr << '\r' << text << "\033[K" << std::flush;
    }

private:
    bool terminal_ = ::isatty(STDERR_FILENO) != 0;
};

}  // namespace lab::apps
