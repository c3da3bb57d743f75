#include "lab/tokenizer/unicode.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

#include "lab/tokenizer/normalize.hpp"

BOOST_AUTO_TEST_SUITE(unicode)

namespace lt = lab::tokenizer;
namespace cc = lt::char_class;

BOOST_AUTO_TEST_CASE(classes_of_well_known_characters) {
    const auto& data = lt::unicode_data::get();
    BOOST_TEST(data.classes(U'a') == (cc::letter | cc::lower_like));
    BOOST_TEST(data.classes(U'Ж') == (cc::letter | cc::upper_like));
    BOOST_TEST(data.classes(U'ǅ') == (cc::letter | cc::upper_like));                    // titlecase
    BOOST_TEST(data.classes(U'中') == (cc::letter | cc::upper_like | cc::lower_like));  // no case
    BOOST_TEST(data.classes(0x0301) == (cc::mark | cc::upper_like | cc::lower_like));
    for (const char32_t number : {U'7', U'٣', U'½', U'Ⅷ', U'²'}) BOOST_TEST(data.classes(number) == cc::number);
    for (const char32_t space :
         {U' ', U'\t', U'\n', char32_t{0x85}, char32_t{0xA0}, char32_t{0x3000}, char32_t{0x2028}})
        BOOST_TEST(data.classes(space) == cc::space);
    BOOST_TEST(data.classes(U'!') == cc::punctuation);
    BOOST_TEST(data.classes(U'€') == cc::symbol);
    for (const char32_t none :
         {char32_t{0}, char32_t{0x1F}, char32_t{0x200B}, char32_t{0x0378}, char32_t{0xE000}, char32_t{0x10FFFF}})
        BOOST_TEST(data.classes(none) == 0);
    BOOST_TEST(data.classes(0x110000) == 0);
    BOOST_TEST((data.general_category(0xAD) == lt::category::cf));
}

// Sizes of the categories in Unicode 15.0, from its own DerivedGeneralCategory.txt.
BOOST_AUTO_TEST_CASE(category_totals) {
    const auto& data = lt::unicode_data::get();
    std::array<int, 30> count{};
    for (char32_t c = 0; c < lt::code_point_count; ++c) ++count[static_cast<std::size_t>(data.general_category(c))];
    BOOST_TEST(lt::unicode_tables::unicode_version == "15.0.0");
    BOOST_TEST(count[static_cast<std::size_t>(lt::category::lu)] == 1831);
    BOOST_TEST(count[static_cast<std::size_t>(lt::category::ll)] == 2233);
    BOOST_TEST(count[static_cast<std::size_t>(lt::category::nd)] == 680);
    BOOST_TEST(count[static_cast<std::size_t>(lt::category::zs)] == 17);
    BOOST_TEST(count[static_cast<std::size_t>(lt::category::cs)] == 2048);
}

BOOST_AUTO_TEST_CASE(decoding_strict_and_lenient) {
    const auto value = [](std::string_view s, lt::utf8_rules rules) { return lt::decode_utf8(s, rules); };
    using enum lt::utf8_rules;
    BOOST_TEST(value("", strict).length == 0U);
    BOOST_TEST((value("é!", strict).value == U'é'));
    BOOST_TEST((value("\xF0\x9F\x9A\xA2", strict).value == char32_t{0x1F6A2}));
    for (const std::string_view broken :
         {"\x80", "\xC3", "\xC3(", "\xE2\x82", "\xF0\x9F\x98", "\xF8\x80\x80\x80", "\xFF", "\xF4\x90\x80\x80"})
        for (const auto rules : {strict, lenient}) {
            const auto c = value(broken, rules);
            BOOST_TEST(!c.valid);
            BOOST_TEST(c.length == 1U);
            BOOST_TEST((c.value == lt::replacement_character));
        }
    // Overlong forms and surrogates: bit patterns that only the strict rules refuse.
    for (const std::string_view odd : {"\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF0\x80\x80\xAF"}) {
        BOOST_TEST(!value(odd, strict).valid);
        BOOST_TEST(value(odd, lenient).valid);
        BOOST_TEST(value(odd, lenient).length == odd.size());
    }
}

BOOST_AUTO_TEST_CASE(every_code_point_round_trips) {
    std::string all;
    for (char32_t c = 0; c < lt::code_point_count; ++c)
        if (c < 0xD800 || c > 0xDFFF) lt::append_utf8(all, c);
    BOOST_TEST(lt::valid_utf8_prefix(all) == all.size());
    std::string_view rest = all;
    for (char32_t c = 0; c < lt::code_point_count; ++c) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        const auto got = lt::decode_utf8(rest);
        if (got.value != c || !got.valid) BOOST_FAIL("code point " << static_cast<unsigned long>(c));
        rest.remove_prefix(got.length);
    }
}

BOOST_AUTO_TEST_CASE(repair_replaces_each_broken_byte) {
    using enum lt::utf8_rules;
    BOOST_TEST(lt::repair_utf8("plain text, long enough", strict) == "plain text, long enough");
    BOOST_TEST(lt::repair_utf8("a\xE2\x82z", strict) == "a\uFFFD\uFFFDz");
    BOOST_TEST(lt::repair_utf8("\xC1\xA1", strict) == "\uFFFD\uFFFD");
    BOOST_TEST(lt::repair_utf8("\xC1\xA1", lenient) == "a");
    BOOST_TEST(lt::valid_utf8_prefix("12345678\xC3\xA9 and\xC3") == 14U);
}

BOOST_AUTO_TEST_CASE(composition_follows_uax15) {
    const auto composed = [](std::string_view s) { return lt::compose(s); };
    BOOST_TEST(composed("e\u0301") == "\u00E9");
    BOOST_TEST(composed("a\u0302\u0323") == "\u1EAD");         // marks are put in order first
    BOOST_TEST(composed("\u212B \u2126") == "\u00C5 \u03A9");  // singletons
    BOOST_TEST(composed("\u0958") == "\u0915\u093C");          // excluded from composition
    BOOST_TEST(composed("\u1112\u1161\u11AB") == "\uD55C");    // Hangul
    BOOST_TEST(composed("\uAC00\u11A8") == "\uAC01");
    BOOST_TEST(composed("\u1E9B\u0323") == "\u1E9B\u0323");
    BOOST_TEST(composed("a\u0315\u0300\u05AE\u0300b") == "\u00E0\u05AE\u0300\u0315b");  // NormalizationTest.txt, part 2
    BOOST_TEST(composed("\u0301x") == "\u0301x");
    BOOST_TEST(!lt::needs_composing("na\u00EFve"));
    BOOST_TEST(lt::needs_composing("e\u0301"));
}

BOOST_AUTO_TEST_SUITE_END()
