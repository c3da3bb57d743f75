#include "lab/taxonomy/yaml_document.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(yaml_document)

using namespace lab::taxonomy;
using namespace lab::taxonomy::yaml;

namespace {

/// Expects a refusal whose message holds `what`, at line and column.
void refused(const std::string& text, std::string_view what, std::size_t line, std::size_t column,
             const limits& bounds = {}) {
    try {
        (void)read(text, bounds);
        BOOST_ERROR("accepted: " << text.substr(0, 80));
    } catch (const syntax_error& fault) {
        BOOST_TEST(std::string_view(fault.what()).find(what) != std::string_view::npos, fault.what());
        BOOST_TEST(fault.at.line == line, fault.what());
        BOOST_TEST(fault.at.column == column, fault.what());
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(positions_count_characters) {
    const auto doc = read("\xef\xbb\xbf# \xc3\xa4\r\n\"\xc3\xa4\xc3\xb6\": x\r\nlist: [\xf0\x9f\x8d\xb5, two]\n");
    const auto& top = doc[doc.root];
    BOOST_TEST((top.kind == type::mapping));
    BOOST_TEST((doc.find(top, "\xc3\xa4\xc3\xb6")->at == position{2, 7}));
    const auto& list = *doc.find(top, "list");
    BOOST_TEST((list.at == position{3, 7}));
    BOOST_TEST((doc[list.items[1]].at == position{3, 11}));
    BOOST_TEST(doc[list.items[0]].text == "\xf0\x9f\x8d\xb5");
}

BOOST_AUTO_TEST_CASE(directives_open_a_document) {
    const auto doc = read("%YAML 1.1\n\n--- # here\na: 1\n");
    BOOST_TEST(*doc.find(doc[doc.root], "a")->integer == 1);
}

BOOST_AUTO_TEST_CASE(escapes_are_whole_characters) {
    const auto doc = read(R"(a: "x\_\N\L\xe9\u00a0\U0001F375 \_")"
                          "\nb: \"\xc3\xa9\\_\"\n");
    BOOST_TEST(doc.find(doc[doc.root], "a")->text ==
               "x\xc2\xa0\xc2\x85\xe2\x80\xa8\xc3\xa9\xc2\xa0\xf0\x9f\x8d\xb5 \xc2\xa0");
    BOOST_TEST(doc.find(doc[doc.root], "b")->text == "\xc3\xa9\xc2\xa0");
}

BOOST_AUTO_TEST_CASE(marks_of_block_texts_in_other_texts_are_text) {
    const auto doc = read("a: | # why\n  |# b\n  c: >#\nd: x |# y\n");
    BOOST_TEST(doc.find(doc[doc.root], "a")->text == "|# b\nc: >#\n");
    BOOST_TEST(doc.find(doc[doc.root], "d")->text == "x |# y");
}

BOOST_AUTO_TEST_CASE(empty_files_are_null) {
    for (const auto* text : {"", "\n\n", "# nothing\n", "---\n", "---\n...\n", "~"}) {
        const auto doc = read(text);
        BOOST_TEST((doc[doc.root].kind == type::null), text);
    }
}

BOOST_AUTO_TEST_CASE(repeated_keys_warn_and_the_last_counts) {
    const auto doc = read("a: 1\nb: 2\na: 3\n");
    BOOST_TEST(*doc.find(doc[doc.root], "a")->integer == 3);
    BOOST_TEST_REQUIRE(doc.warnings.size() == 1U);
    BOOST_TEST((doc.warnings[0].first == position{3, 1}));
    BOOST_TEST(doc.warnings[0].second.find("line 1") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(merge_keys_give_way_to_own_keys_and_earlier_sources) {
    const auto doc = read("base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\nall: {<<: [*b, *o], x: 9}\n");
    const auto& all = *doc.find(doc[doc.root], "all");
    BOOST_TEST(all.members.size() == 3U);
    BOOST_TEST(*doc.find(all, "x")->integer == 9);
    BOOST_TEST(*doc.find(all, "y")->integer == 2);
    BOOST_TEST(*doc.find(all, "z")->integer == 4);
    BOOST_TEST(doc.warnings.empty());
    BOOST_TEST(doc.find(all, "<<") == nullptr);
}

BOOST_AUTO_TEST_CASE(equal_values_share_an_id) {
    const auto doc = read("- {a: 1, b: [x, 2]}\n- {b: ['x', 2.0], a: 0b1}\n- {a: 1, b: [2, x]}\n- {a: 1}\n");
    const auto& items = doc[doc.root].items;
    BOOST_TEST(doc[items[0]].value_id == doc[items[1]].value_id);
    BOOST_TEST(doc[items[0]].value_id != doc[items[2]].value_id);
    BOOST_TEST(doc[items[0]].value_id != doc[items[3]].value_id);
}

BOOST_AUTO_TEST_CASE(refusals_name_line_and_column) {
    refused("a: b\n---\nc: d\n", "second document", 2, 1);
    refused("a: *x\n", "not valid YAML", 1, 4);
    refused("a: &x [1, *x]\n", "inside the value", 1, 11);
    refused("a: &x 1\nb: &x 2\n", "already used", 2, 4);
    refused("a: !mine 1\n", "not known here", 1, 4);
    refused("a: !!python/object:x {}\n", "not known here", 1, 4);
    refused("%YAML 1.1\n# why\na: b\n", "begins with %", 3, 1);
    refused("%YAML 1.1\n", "begins with %", 2, 1);
    refused("a: &x |+#why\n  b\n", "needs a blank", 1, 9);
    refused("a: \"b\\\\ \\'c\"\n", "double quotes", 1, 9);
    refused("[a]: b\n", "cannot be a key", 1, 1);
    refused("a: =\n", "special meaning", 1, 4);
    refused("a: 2024-02-30\n", "no such day", 1, 4);
    refused("a: 'open\n", "not valid YAML", 2, 1);
    refused("ab: c\n\n  d: \xc3\xa4\x01\n", "control character", 3, 7);
    refused("ab: c\nd: \xc3\xa4\xff\n", "not UTF-8", 2, 5);
    refused(std::string("a: b\0c", 6), "control character", 1, 5);
    refused("a: b\t\n", "tab", 1, 5);
    refused("a: \tb\n", "tab", 1, 4);
    refused("a: |\t\n  b\n", "tab", 1, 5);
    refused("a: &b\t\n", "tab", 1, 6);
    refused("a: <<\n", "special meaning", 1, 4);
    refused("<<: 3\n", "merges mappings only", 1, 1);
}

BOOST_AUTO_TEST_CASE(tabs_are_text_in_scalars_and_comments) {
    for (const auto* text : {"a: 'x\ty'\n", "a: \"x\ty\"  # c\td\n", "a: |\n  x\ty\n\n  z\t\nb: c\n",
                             "# \xc3\xa4\t\na: b\n", "a: &q 'it''s\t'\n"})
        BOOST_CHECK_NO_THROW((void)read(text));
    const auto doc = read("a: >\n  \xc3\xa4 x\ty\nb: 'z\t'\n");
    BOOST_TEST(doc.find(doc[doc.root], "a")->text == "\xc3\xa4 x\ty\n");
    BOOST_TEST(doc.find(doc[doc.root], "b")->text == "z\t");
}

BOOST_AUTO_TEST_CASE(bombs_are_bounded) {
    // A billion laughs: aliases are shared, so reading it costs what the file is long.
    std::string laughs = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n";
    for (int i = 1; i < 60; ++i) {
        const auto before = std::to_string(i - 1), now = std::to_string(i);
        laughs += "a" + now + ": &a" + now + " [";
        for (int k = 0; k < 9; ++k) laughs += "*a" + before + ", ";
        laughs += "*a" + before + "]\n";
    }
    BOOST_TEST(read(laughs).nodes.size() < 200U);

    refused(std::string(300, '[') + std::string(300, ']'), "nested deeper", 1, 101);
    refused(std::string(100000, '['), "", 1, 1);
    std::string deep;
    for (int i = 0; i < 300; ++i) deep += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
    refused(deep, "nested deeper", 101, 101);
    refused(std::string(100, 'x'), "at most 99", 1, 1, {.bytes = 99});
    refused("[1, 2, 3, 4]", "more than 3 values", 1, 8, {.nodes = 3});

    // Each mapping merges the one before it, twice, and adds a key.
    std::string merges = "m0: &m0 {k0: 0}\n";
    for (int i = 1; i < 100; ++i)
        merges += "m" + std::to_string(i) + ": &m" + std::to_string(i) + " {<<: [*m" + std::to_string(i - 1) + ", *m" +
                  std::to_string(i - 1) + "], k" + std::to_string(i) + ": 0}\n";
    BOOST_CHECK_NO_THROW((void)read(merges));
    refused(merges, "merge keys", 33, 12, {.merged = 1000});
}

BOOST_AUTO_TEST_SUITE_END()
