#include "lab/sdg/chunk.hpp"

#include "lab/core/file.hpp"
#include "lab/core/rng.hpp"
#include "lab/formats/text_bytes.hpp"
#include "lab/sdg/rouge.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(chunks)

using namespace lab;

namespace {
const auto words = [](std::string_view text) { return sdg::loose_words(text).size(); };
const std::string guide =
    "Lead in.\n\n# Guide\n\nFirst one. Second one.\n\n## Fares\n\n| who | fare |\n|---|---|\n| adult | two |\n| goat | "
    "free |\n\n"
    "```\n# not a heading\n\ncode\n```\n\nSetext\n---\n\n- item one\n- item two\n\nLast words of all.\n";
}  // namespace

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
    const auto bytes = [](std::string_view t) { return t.size(); };
    BOOST_CHECK_THROW((void)sdg::chunks_of("雨.", {.max_tokens = 2, .overlap_tokens = 0}, bytes), config_error);
}

BOOST_AUTO_TEST_CASE(long_heading_paths_give_way) {
    const std::string text = "# a b c\n\n## d e f g\n\n### h i\n\ntext\n";
    const auto headings = [&](std::size_t max) {
        const auto all = sdg::chunks_of(text, {.max_tokens = max, .overlap_tokens = 1}, words);
        BOOST_TEST_REQUIRE(all.size() == 1u);
        return all[0].headings;
    };
    BOOST_TEST(headings(18) == (std::vector<std::string>{"a b c", "d e f g", "h i"}));
    BOOST_TEST(headings(17) == (std::vector<std::string>{"a b c", "h i"}));
    BOOST_TEST(headings(9) == (std::vector<std::string>{"h i"}));
    BOOST_TEST(headings(3).empty());
}

namespace {

/// A document of everything that Markdown has, in no order.
std::string random_document(counter_rng& rng) {
    const auto below = [&](std::uint64_t n) { return rng.next64() % n; };
    const auto sentence = [&] {
        static constexpr const char* some[] = {"boat", "Pellamy", "e.g.", "fünf", "雨の日", "`x`", "3.5",
                                               "|",    "*so*",    "a-b",  "(and", "it)",    "Dr.", "end!"};
        std::string text;
        for (auto n = 1 + below(12); n > 0; --n) text.append(some[below(std::size(some))]).append(n > 1 ? " " : ". ");
        return text;
    };
    const std::string line_end = below(4) == 0 ? "\r\n" : "\n";
    std::string out;
    for (auto blocks = below(25); blocks > 0; --blocks) {
        switch (below(9)) {
            case 0:
                out += std::string(1 + below(4), '#') + " " + sentence();
                break;
            case 1:
                for (auto n = 1 + below(8); n > 0; --n) out += (n % 3 == 0 ? "  - " : "- ") + sentence() + line_end;
                break;
            case 2:
                out += "| a | b |" + line_end + "|---|---|" + line_end;
                for (auto n = below(9); n > 0; --n) out += "| " + sentence() + " | c |" + line_end;
                break;
            case 3:
                out += "```" + line_end;
                for (auto n = below(9); n > 0; --n) out += std::string(below(5), ' ') + sentence() + line_end;
                if (below(9) != 0) out += "```";  // sometimes it is never closed
                break;
            case 4:
                out += std::string(below(300), 'x');
                break;
            case 5:
                for (auto n = below(80); n > 0; --n) out += "雨";
                break;
            case 6:
                out += "> " + sentence() + line_end + "<div>" + line_end + sentence();
                break;
            default:
                for (auto n = below(9); n > 0; --n) out += sentence() + (below(4) == 0 ? line_end : "");
        }
        for (auto n = below(3); n > 0; --n) out += line_end;
        out += below(9) == 0 ? " \t" : line_end;
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(any_document_is_covered_in_order_within_bounds) {
    const auto bytes = [](std::string_view t) { return t.size(); };
    const auto mixed = [](std::string_view t) { return std::max((t.size() + 3) / 4, sdg::loose_words(t).size()); };
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        counter_rng rng(seed, "documents");
        const auto document = random_document(rng);
        const std::size_t max = 12 + rng.next64() % 200, overlap = rng.next64() % (max / 2);
        const sdg::token_counter count = seed % 3 == 0   ? sdg::token_counter(bytes)
                                         : seed % 3 == 1 ? sdg::token_counter(mixed)
                                                         : sdg::token_counter(words);
        const auto all = sdg::chunks_of(document, {.max_tokens = max, .overlap_tokens = overlap}, count);
        std::vector<bool> covered(document.size(), false);
        std::size_t end = 0;
        const auto where = "seed " + std::to_string(seed);
        for (const auto& c : all) {
            BOOST_TEST_REQUIRE(c.tokens <= max, where);
            BOOST_TEST(c.tokens == count(c.full_text()), where);
            BOOST_TEST(c.text == document.substr(c.span.begin, c.span.size()), where);
            BOOST_TEST((formats::first_invalid_utf8(c.text) == std::string_view::npos), where);
            BOOST_TEST(c.span.end > end, where);
            if (c.span.begin < end)
                BOOST_TEST(count(document.substr(c.span.begin, end - c.span.begin)) <= overlap, where);
            end = c.span.end;
            std::fill(covered.begin() + static_cast<std::ptrdiff_t>(c.span.begin),
                      covered.begin() + static_cast<std::ptrdiff_t>(c.span.end), true);
        }
        for (const auto& block : sdg::markdown_blocks(document)) {
            bool missing = false;
            for (std::size_t i = block.span.begin; i < block.span.end; ++i)
                missing = missing || (covered[i] == (block.kind == sdg::block_kind::heading) &&
                                      !sdg::detail::is_space(document[i]));
            BOOST_TEST(!missing, where << ": a block is left out, or a heading is inside a chunk");
            if (block.kind == sdg::block_kind::heading || block.kind == sdg::block_kind::paragraph) continue;
            const auto path = sdg::detail::fitting_headings(block.headings, max, count);
            if (count(sdg::chunk::join_headings(path) + std::string(block.span.of(document))) > max) continue;
            const bool whole = std::any_of(all.begin(), all.end(), [&](const sdg::chunk& c) {
                return c.span.begin <= block.span.begin && block.span.end <= c.span.end;
            });
            BOOST_TEST(whole, where << ": a block that fits is cut");
        }
    }
}

BOOST_AUTO_TEST_CASE(twice_the_text_is_twice_the_work) {
    std::size_t seen = 0;
    const auto words_watched = [&](std::string_view text) {
        seen += text.size();
        return (text.size() + 3) / 4;
    };
    for (const std::string piece : {"word ", "x", "雨", "One more sentence. ", "Line by itself.\n\n", "- item\n"}) {
        std::size_t before = 0;
        for (const std::size_t copies : {20'000u, 40'000u}) {
            std::string text;
            for (std::size_t i = 0; i < copies; ++i) text += piece;
            seen = 0;
            (void)sdg::chunks_of(text, {.max_tokens = 200, .overlap_tokens = 20}, words_watched);
            if (before > 0)
                BOOST_TEST(seen < 2.2 * static_cast<double>(before), piece << ": " << seen << ", " << before);
            before = seen;
        }
    }
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
