// The text of a PDF as Markdown, by poppler's pdftotext as a process of its own (poppler is GPL: never linked), within
// limits on time, memory and output. The file goes in by standard input, so its name is never an argument.
// Reads no scanned pages: there is no text in them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/process.hpp"
#include "lab/taxonomy/pdf_layout.hpp"

namespace lab::taxonomy {

struct pdf_options {
    std::string program = "pdftotext";  ///< found in PATH
    double seconds = 120;
    std::size_t memory = std::size_t{2} << 30;         ///< of the program
    std::size_t most_output = std::size_t{256} << 20;  ///< places of words take ten times the words' room
    std::function<bool()> keep_going{};
};

struct pdf_text {
    std::string markdown;
    std::vector<std::string> notes;  ///< what the program complained of though it went on
};

/// "pdftotext 22.12.0". @throws config_error that names the package when there is no such program.
[[nodiscard]] inline std::string pdf_converter(const pdf_options& options = {}) {
    const auto program = find_program(options.program);
    if (!program)
        throw config_error("a PDF is read by the program " + options.program +
                           ", which is not in PATH (install the package poppler-utils)");
    const auto answer = run_process(*program, {"-v"}, {.most_output = 65536, .seconds = 10});
    const std::string_view said = answer.err;
    const auto at = said.find("version ");
    const auto version = at == said.npos ? std::string_view{} : said.substr(at + 8);
    return "pdftotext " + std::string(version.substr(0, version.find_first_not_of("0123456789.")));
}

/// @throws config_error without the program; format_error when it refuses the file or finds no text in it, or the file
/// is too much for the limits; io_error when it cannot be run.
[[nodiscard]] inline pdf_text read_pdf(std::string_view bytes, const pdf_options& options = {}) {
    if (bytes.substr(0, 1024).find("%PDF-") == bytes.npos)
        throw format_error("is no PDF: it does not begin with %PDF-");
    const auto program = find_program(options.program);
    if (!program) (void)pdf_converter(options);  // says what is missing
    const auto result = run_process(*program, {"-bbox-layout", "-enc", "UTF-8", "-", "-"},
                                    {.input = bytes,
                                     .most_output = options.most_output,
                                     .memory = options.memory,
                                     .seconds = options.seconds,
                                     .keep_going = options.keep_going});
    if (!result.ok()) {
        const bool locked = result.err.find("assword") != std::string::npos || result.code == 3;
        throw format_error("cannot be read: pdftotext " + to_text(result) +
                           (locked ? " (remove its password)" : " (convert it to Markdown by hand)"));
    }
    pdf_text out;
    out.markdown = pdf::to_markdown(pdf::read_words(result.out));
    if (out.markdown.empty())
        throw format_error("holds no text, perhaps scanned pages (have its letters recognised first)");
    if (!result.err.empty()) {
        const auto line = result.err.substr(0, result.err.find('\n'));
        const auto lines = std::count(result.err.begin(), result.err.end(), '\n');
        out.notes.push_back("pdftotext says: " + formats::quote(line, 200) +
                            (lines > 1 ? " and " + std::to_string(lines - 1) + " more" : ""));
    }
    return out;
}

}  // namespace lab::taxonomy
