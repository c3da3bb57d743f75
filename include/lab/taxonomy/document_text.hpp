// The text of a document by the ending of its name: Markdown and plain text as they are, HTML and PDF as Markdown made
// of them. Says by what it was made, for provenance: the same bytes and the same converter give the same text.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/formats/text_bytes.hpp"
#include "lab/taxonomy/html_text.hpp"
#include "lab/taxonomy/pdf_text.hpp"

namespace lab::taxonomy {

struct converted_text {
    std::string text;                ///< UTF-8, line ends \n
    std::string converter;           ///< "text", "html 1 libxml2 2.9.14", "pdf 1 pdftotext 22.12.0"
    std::vector<std::string> notes;  ///< what may be missing from it
};

/// @throws format_error, config_error or io_error whose text goes on after "the document NAME ".
[[nodiscard]] inline converted_text document_text(const std::filesystem::path& name, std::string_view bytes,
                                                  const pdf_options& pdf = {}) {
    const auto ending = detail::lower_ascii(name.extension().string());
    const auto is = [&](auto... known) { return detail::is_one_of(std::string_view(ending), known...); };
    if (bytes.starts_with("version https://git-lfs.github.com/spec/"))
        throw format_error("is a pointer of Git LFS, not the file itself (git lfs pull)");
    if (is(".html", ".htm", ".xhtml")) return {read_html(bytes), html_converter(), {}};
    if (is(".pdf")) {
        auto read = read_pdf(bytes, pdf);
        return {std::move(read.markdown), "pdf 1 " + pdf_converter(pdf), std::move(read.notes)};
    }
    if (!is(".md", ".markdown", ".txt"))
        throw format_error("is neither Markdown, plain text, HTML nor PDF (convert it first)");
    if (const auto bad = formats::first_invalid_utf8(bytes); bad != bytes.npos)
        throw format_error("is not UTF-8 at offset " + std::to_string(bad) + " (save it as UTF-8)");
    converted_text out{{}, "text", {}};
    out.text.reserve(bytes.size());
    for (const char c : bytes.substr(bytes.starts_with("\xef\xbb\xbf") ? 3 : 0))
        if (c != '\r') out.text += c;
    if (out.text.find_first_not_of(" \t\n") == std::string::npos) throw format_error("is empty");
    return out;
}

}  // namespace lab::taxonomy
