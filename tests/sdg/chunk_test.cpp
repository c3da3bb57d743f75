#include "lab/sdg/chunk.hpp"

#include "lab/core/file.hpp"
#include "lab/core/rng.hpp"
#include "lab/sdg/rouge.hpp"
#include "support/data.hpp"

using namespace lab;

namespace {
const auto words = [](std::string_view text) { return sdg::loose_words(text).size(); };
const std::string guide =
    "Lead in.\n\n# Guide\n\nFirst one. Second one.\n\n## Fares\n\n| who | fare |\n|---|---|\n| adult | two |\n| goat | "
    "free |\n\n"
    "```\n# not a heading\n\ncode\n```\n\nSetext\n---\n\n- item one\n- item two\n\nLast words of all.\n";
}  // namespace

BOOST_AUTO_TEST_SUITE(chunks)

BOOST_AUTO_TEST_CASE(follows_the_headings) {
    const auto all = sdg::chunks_of(guide, {.max_tokens = 100, .overlap_tokens = 0}, words);
    BOOST_TEST_REQUIRE(all.size() == 4u);
    BOOST_TEST(all[0].text == "Lead in.");
    BOOST_TEST(all[0].headings.empty());
    BOOST_TEST(all[1].text == "First one. Second one.");
    BOOST_TEST(all[2].full_text().starts_with("Guide > Fares\n\n| who"));
    BOOST_TEST(all[2].text.ends_with("```"));
    BOOST_TEST(all[3].headings == (std::vector<std::string>{"Guide", "Setext"}));
    BOOST_TEST(all[3].text == "- item one\n- item two\n\nLast words of all.");
}

BOOST_AUTO_TEST_CASE(keeps_the_promises_on_any_size) {
    std::vector<std::string> documents{
        guide, "", "\n\n", "word", "# only a heading", std::string(300, 'x') + " " + std::string(50, 'y')};
    if (const auto file = test::shared_data("documents/chickadee.md"); !file.empty())
        documents.push_back(read_file(file));
    for (const auto& document : documents) {
        for (const std::size_t max : {12u, 25u, 80u, 500u}) {
            const auto all = sdg::chunks_of(document, {.max_tokens = max, .overlap_tokens = max / 5}, words);
            std::size_t end = 0;
            for (const auto& c : all) {
                BOOST_TEST(words(c.full_text()) <= max);
                BOOST_TEST(c.tokens == words(c.full_text()));
                BOOST_TEST(c.text == document.substr(c.span.begin, c.span.size()));
                BOOST_TEST(c.span.end > end);  // each brings something new, in order
                if (c.span.begin < end) BOOST_TEST(words(document.substr(c.span.begin, end - c.span.begin)) <= max / 5);
                end = c.span.end;
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(every_word_outside_headings_is_in_a_chunk) {
    for (const std::size_t max : {12u, 40u}) {
        std::string covered(guide.size(), ' ');
        for (const auto& c : sdg::chunks_of(guide, {.max_tokens = max, .overlap_tokens = 3}, words))
            covered.replace(c.span.begin, c.span.size(), c.text);
        std::vector<std::string> expected = sdg::loose_words(guide);
        std::erase_if(expected, [](const std::string& w) { return w == "guide" || w == "fares" || w == "setext"; });
        BOOST_TEST(sdg::loose_words(covered) == expected);
    }
}

BOOST_AUTO_TEST_CASE(a_long_text_without_blanks_is_cut_between_characters) {
    std::string text;
    for (int i = 0; i < 40; ++i) text += "雨";
    const auto bytes = [](std::string_view t) { return t.size(); };
    const auto all = sdg::chunks_of(text, {.max_tokens = 10, .overlap_tokens = 0}, bytes);
    std::string joined;
    for (const auto& c : all) {
        BOOST_TEST(c.text.size() % 3 == 0u);
        joined += c.text;
    }
    BOOST_TEST(joined == text);
}

BOOST_AUTO_TEST_CASE(refuses_sizes_that_cannot_work) {
    BOOST_CHECK_THROW((void)sdg::chunks_of(guide, {.max_tokens = 0, .overlap_tokens = 0}, words), config_error);
    BOOST_CHECK_THROW((void)sdg::chunks_of(guide, {.max_tokens = 5, .overlap_tokens = 5}, words), config_error);
    BOOST_CHECK_THROW((void)sdg::chunks_of("# a b c d e f\n\ntext", {.max_tokens = 5, .overlap_tokens = 1}, words),
                      config_error);
}

BOOST_AUTO_TEST_CASE(plain_text_has_headings_too) {
    const auto blocks =
        sdg::markdown_blocks("HARBOUR\n\nA game for two.\n\nA turn\n\nSail first. Then trade.\n\nThe end\n");
    BOOST_TEST_REQUIRE(blocks.size() == 5u);
    BOOST_TEST((blocks[0].kind == sdg::block_kind::heading));
    BOOST_TEST(blocks[1].headings == std::vector<std::string>{"HARBOUR"});
    BOOST_TEST(blocks[3].headings == (std::vector<std::string>{"HARBOUR", "A turn"}));
    BOOST_TEST((blocks[4].kind == sdg::block_kind::paragraph));  // nothing follows it
    for (const auto& b : sdg::markdown_blocks("# Real\n\nShort line\n\nText here.\n"))
        BOOST_TEST(b.headings == std::vector<std::string>{"Real"});
}

BOOST_AUTO_TEST_SUITE_END()
