// Comma-separated values (RFC 4180): fields in double quotes hold commas, line breaks and doubled quotes; LF or CRLF. A
// quote inside a field that does not begin with one stands for itself. Reads only. Rows may differ in length: what a
// row means is the caller's business.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/core/function_ref.hpp"
#include "lab/formats/text_bytes.hpp"

namespace lab::formats {

/// Calls `visit(fields, line)` (of the row's first line, from 1) for every row that is not blank.
/// @throws format_error "place:line: what" for a quoted field that is not closed or goes on after its closing quote,
/// and for text that is not UTF-8.
inline void for_each_csv_row(std::string_view text, std::string_view place,
                             function_ref<void(std::vector<std::string>, std::size_t)> visit) {
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // a byte order mark, as spreadsheets write it
    std::size_t line = 1;
    const auto fail = [&](std::size_t at, std::string_view what) {
        throw format_error(explain(std::string(place) + ":" + std::to_string(at), what));
    };
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t first = line;
        std::vector<std::string> row(1);
        for (bool open = true; open;) {
            std::string& field = row.back();
            if (at < text.size() && text[at] == '"') {
                const std::size_t begin = line;
                for (++at;; ++at) {
                    if (at == text.size()) fail(begin, "a quoted field is not closed");
                    line += text[at] == '\n';
                    if (text[at] != '"') {
                        field += text[at];
                    } else if (text.substr(at + 1).starts_with('"')) {
                        field += text[at++];
                    } else {
                        break;
                    }
                }
                ++at;
                if (text.substr(at).starts_with("\r\n")) ++at;
                if (at < text.size() && text[at] != ',' && text[at] != '\n')
                    fail(line, "a closing quote is followed by more than a comma or the end of the line");
            } else {
                const std::size_t end = std::min(text.find_first_of(",\n", at), text.size());
                field = text.substr(at, end - at);
                if (field.ends_with('\r') && (end == text.size() || text[end] == '\n')) field.pop_back();
                at = end;
            }
            open = at < text.size() && text[at] == ',';
            if (open) row.emplace_back();
            if (at < text.size()) ++at;
        }
        if (row.size() > 1 || !row[0].empty()) {
            for (const auto& field : row)
                if (first_invalid_utf8(field) != field.npos) fail(first, "the text is not UTF-8");
            visit(std::move(row), first);
        }
        ++line;
    }
}
inline void for_each_csv_row(const std::filesystem::path& path,
                             function_ref<void(std::vector<std::string>, std::size_t)> visit) {
    const mapped_file file(path);
    for_each_csv_row(as_text(file.bytes()), path.string(), visit);
}

}  // namespace lab::formats
