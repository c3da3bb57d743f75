// libFuzzer: any bytes are an HTML page, or what pdftotext says about a PDF, that becomes UTF-8, or a typed error.
#include <cstdint>
#include <string_view>

#include "lab/taxonomy/html_text.hpp"
#include "lab/taxonomy/pdf_layout.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto expect_text = [](std::string_view text) {
        if (lab::formats::first_invalid_utf8(text) != text.npos) __builtin_trap();
    };
    try {
        expect_text(lab::taxonomy::read_html(bytes));
    } catch (const lab::error&) {
    }
    try {
        expect_text(lab::taxonomy::pdf::to_markdown(lab::taxonomy::pdf::read_words(bytes)));
    } catch (const lab::error&) {
    }
    return 0;
}
