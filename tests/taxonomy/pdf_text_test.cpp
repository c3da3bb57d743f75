#include "lab/taxonomy/pdf_text.hpp"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "lab/core/file.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(pdf_documents)

using namespace lab;
using namespace lab::taxonomy;
namespace fs = std::filesystem;

namespace {

/// Reading real files needs the program; what is made of its words is tested without it.
boost::test_tools::assertion_result has_pdftotext(boost::unit_test::test_unit_id) {
    boost::test_tools::assertion_result found(find_program("pdftotext").has_value());
    found.message() << "pdftotext is not installed (package poppler-utils)";
    return found;
}

/// Words as pdftotext tells them: each page a list of lines (left, top, size, text), letters half as wide as high, or,
/// in a proportional font, of a width that changes with the letter.
struct sketch {
    std::string xhtml;
    void page(double height = 800) { xhtml += "<page width=\"600\" height=\"" + std::to_string(height) + "\">\n"; }
    void block(double left, double top, const std::vector<std::string>& lines, double size = 10, bool even = false) {
        xhtml += "<flow>\n<block xMin=\"0\" yMin=\"0\" xMax=\"0\" yMax=\"0\">\n";
        for (std::size_t i = 0; i < lines.size(); ++i) {
            const double y = top + 1.2 * size * static_cast<double>(i);
            std::string words;
            double x = left;
            for (std::size_t at = 0; at < lines[i].size();) {
                const auto end = std::min(lines[i].find(' ', at), lines[i].size());
                double width = 0;
                for (const char c : lines[i].substr(at, end - at))
                    width += even                                                           ? size / 2
                             : std::string_view("ilt.,-").find(c) != std::string_view::npos ? size / 4
                                                                                            : size / 2;
                std::string text = lines[i].substr(at, end - at);
                if (const auto less = text.find('<'); less != text.npos) text.replace(less, 1, "&lt;");
                if (end > at) words += tag("word", x, y, x + width, y + size) + text + "</word>\n";
                x += width + size / 2;
                at = end + 1;
            }
            xhtml += tag("line", left, y, x, y + size) + words + "</line>\n";
        }
        xhtml += "</block>\n</flow>\n";
    }
    static std::string tag(const std::string& name, double a, double b, double c, double d) {
        return "<" + name + " xMin=\"" + std::to_string(a) + "\" yMin=\"" + std::to_string(b) + "\" xMax=\"" +
               std::to_string(c) + "\" yMax=\"" + std::to_string(d) + "\">";
    }
    [[nodiscard]] std::string markdown() const { return pdf::to_markdown(pdf::read_words(xhtml)); }
};

std::string program(const test::temporary_folder& folder, const std::string& script) {
    const auto file = folder / "pdftotext";
    std::ofstream(file) << "#!/bin/sh\n" << script << "\n";
    fs::permissions(file, fs::perms::owner_all);
    return file.string();
}

void refused(std::string_view bytes, const pdf_options& options, std::string_view what) {
    try {
        (void)read_pdf(bytes, options);
        BOOST_ERROR("read although: " << what);
    } catch (const lab::error& fault) {
        BOOST_TEST(std::string_view(fault.what()).find(what) != std::string_view::npos, fault.what());
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_whole_document, *boost::unit_test::precondition(has_pdftotext)) {
    const auto bytes = read_file(test::fixture("taxonomy/harbour.pdf"));
    const auto read = read_pdf(bytes);
    BOOST_TEST(read.markdown == R"(# Harbour rules

## Berths

Every boat that stays for a night needs a berth. The harbour master gives out the berths in the morning, when the tide is low and the mud of the inner basin is still visible from the wooden pier. A long-standing custom lets the ferries choose first, and this long-standing custom binds every visitor.

Three things are not allowed at a berth:

- open fires on deck,
- washing of sails,
- keeping geese that are louder than the fog horn.

A boat without a name is entered in the book under the name of the one who steers it and it keeps this name until it leaves. The book lies open in the hut and everybody who can read may read what is written in it, but nobody may tear out a page.

## Fees

A night costs two blue shells. The harbour program that counts them is short:

```
int fee(int nights) {
    int shells = 2 * nights;
    return shells;
}
```

1. Pay at the hut.

2. Keep the receipt.

## Two columns

The left column tells of the lighthouse, which is called Candle Rock and which was built by people who never slept at night. The right column ends this document with a full stop.
)");
    BOOST_TEST(read.notes.empty());
    BOOST_TEST(pdf_converter().starts_with("pdftotext 2"));
    BOOST_TEST(read_pdf(bytes).markdown == read.markdown);
    refused(bytes.substr(0, 200), {}, "pdftotext");
}

BOOST_AUTO_TEST_CASE(hyphens_at_line_ends) {
    sketch s;
    s.page();
    s.block(
        50, 100,
        {"The quick inter-", "national train is inter-", "City and long-", "distance and a well-", "known x-", "ray."});
    s.block(50, 300, {"An international, long-distance thing that is well known."});
    s.block(50, 400, {"Soft\xc2\xad", "ened and Straßen-", "übergang and self-", "9 and a dash -", "here."});
    BOOST_TEST(s.markdown() ==
               "The quick international train is inter-City and long-distance and a well-known x-ray.\n\n"
               "An international, long-distance thing that is well known.\n\n"
               "Softened and Stra\xc3\x9f"
               "en\xc3\xbc"
               "bergang and self- 9 and a dash - here.\n");
}

BOOST_AUTO_TEST_CASE(heads_and_feet_of_pages) {
    sketch s;
    for (int page = 0; page < 5; ++page) {
        s.page();
        s.block(50, 20, {page < 2 ? "Chapter one" : "Chapter two"});
        s.block(50, 60, {"Text that begins page " + std::string(1, static_cast<char>('a' + page)) + "."});
        s.block(50, 300, {"Same words on all pages, but in the middle."});
        s.block(300, 770, {std::to_string(page + 1)});
    }
    const auto text = s.markdown();
    BOOST_TEST(text.find("Chapter") == std::string::npos, text);
    BOOST_TEST(text.find("\n1\n") == std::string::npos, text);
    BOOST_TEST(text.starts_with("Text that begins page a.\n\nSame words on all pages"), text);
    BOOST_TEST(text.find("Text that begins page e.") != std::string::npos);

    sketch plain;  // no heads: the first lines of pages stay
    for (int page = 0; page < 4; ++page) {
        plain.page();
        plain.block(50, 20, {std::string(3, static_cast<char>('a' + page)) + " first line.", "Second line."});
    }
    BOOST_TEST(plain.markdown().find("ccc first line. Second line.") != std::string::npos, plain.markdown());
}

BOOST_AUTO_TEST_CASE(paragraphs_over_pages_and_headings_between) {
    sketch s;
    s.page();
    s.block(50, 100, {"Title of it all"}, 20);
    s.block(50, 600, {"A sentence that goes on", "behind the end of the"});
    s.page();
    s.block(50, 60, {"page and then stops."});
    s.block(50, 100, {"Section"}, 14);
    s.block(50, 200, {"Another paragraph without an end"});
    s.block(50, 300, {"Part"}, 14.2);
    s.block(50, 330, {"and a new one that starts low."});
    s.block(50, 400, {"# not a heading"});
    BOOST_TEST(s.markdown() ==
               "# Title of it all\n\nA sentence that goes on behind the end of the page and then stops.\n\n## "
               "Section\n\nAnother paragraph without an end\n\n## Part\n\nand a new one that starts low.\n\n\\# not a "
               "heading\n");
}

BOOST_AUTO_TEST_CASE(code_is_told_by_its_letters) {
    sketch s;
    s.page();
    s.block(50, 100,
            {"Some explanation in a font whose letters differ, little or wide, which is what", "makes it readable."});
    s.block(60, 150, {"for (int i = 0; i < 10; ++i) {", "    total += weights[i] * values[i];"}, 10, true);
    s.block(60, 175, {"}"}, 10, true);
    s.block(50, 300, {"And text again, still in the other font with its little letters, and some more of it."});
    const auto text = s.markdown();
    BOOST_TEST(
        text.find("```\nfor (int i = 0; i < 10; ++i) {\n    total += weights[i] * values[i];\n}\n```\n\nAnd text") !=
            std::string::npos,
        text);
    sketch all;  // where all is typewritten, it is prose
    all.page();
    all.block(50, 100, {"A typewritten letter is prose although", "its letters are even."}, 10, true);
    BOOST_TEST(all.markdown() == "A typewritten letter is prose although its letters are even.\n");
}

BOOST_AUTO_TEST_CASE(anything_may_come_from_the_program) {
    for (const char* odd :
         {"", "<", "<page", "<word xMin=\"1\">x</word>", "<line xMin=\"nan\" yMin=\"inf\"><word>a</word>",
          "<page height=\"-1\"><flow><block ><line ><word >&amp;&bogus;\x01</word></line>",
          "<page ><line xMin=\"1e999\" xMax=\"-1e999\"><word xMin=\"1e300\">x</word></line></page>"})
        (void)pdf::to_markdown(pdf::read_words(odd));
    BOOST_CHECK_THROW((void)pdf::read_words("<line ><word >\xff</word>"), format_error);
    BOOST_CHECK_THROW((void)pdf::read_words("<line ><word >a</word><word >b</word>", 1), format_error);
}

BOOST_AUTO_TEST_CASE(what_goes_wrong_is_said) {
    const test::temporary_folder folder;
    const std::string_view pdf = "%PDF-1.4\n";
    refused("<html>", {}, "does not begin with %PDF-");
    refused(pdf, {.program = "lab-no-pdftotext"}, "install the package poppler-utils");
    refused(pdf, {.program = program(folder, "echo 'Command Line Error: Incorrect password' >&2; exit 1")},
            "remove its password");
    refused(pdf, {.program = program(folder, "exit 99")}, "ended with status 99");
    refused(pdf, {.program = program(folder, "exec sleep 60"), .seconds = 0.1}, "took too long");
    refused(pdf, {.program = program(folder, "yes"), .most_output = 5000}, "wrote more than it may");
    refused(pdf, {.program = program(folder, "kill -SEGV $$")}, "signal 11");
    refused(pdf, {.program = program(folder, "echo '<page>'")}, "holds no text");
    refused(pdf, {.program = program(folder, "printf '\\377'")}, "no UTF-8");
    const auto read = read_pdf(
        pdf,
        {.program = program(
             folder, "cat >/dev/null; echo 'Syntax Error: x' >&2; echo '<page ><line ><word >hello</word></line>'")});
    BOOST_TEST(read.markdown == "hello\n");
    BOOST_TEST_REQUIRE(read.notes.size() == 1U);
    BOOST_TEST(read.notes[0].find("Syntax Error: x") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
