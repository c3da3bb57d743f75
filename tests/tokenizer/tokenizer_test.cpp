#include "lab/tokenizer/tokenizer.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <thread>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/tokenizer/stream_decoder.hpp"

BOOST_AUTO_TEST_SUITE(tokenizer)

namespace lt = lab::tokenizer;
using lab::token;
using ids = std::vector<token>;

namespace {

// All 256 bytes, " a", "bc", and two special tokens.
lt::vocabulary byte_vocabulary() {
    lt::vocabulary v;
    v.mark = lt::word_mark::never;
    v.splits = {lt::split_rule::gpt2};
    const auto& alphabet = lt::byte_alphabet::get();
    for (unsigned b = 0; b < 256; ++b) v.texts.push_back(alphabet.spell(std::string(1, static_cast<char>(b))));
    v.merges = {{"b", "c"}, {alphabet.spell(" "), "a"}};
    for (const auto& [left, right] : v.merges) v.texts.push_back(left + right);
    v.kinds.assign(v.texts.size(), lt::token_kind::normal);
    for (const std::string text : {"<s>", "</s>"}) {
        v.added.push_back({.text = text, .id = static_cast<token>(v.texts.size())});
        v.texts.push_back(text);
        v.kinds.push_back(lt::token_kind::control);
    }
    v.bos = 258;
    v.eos = 259;
    v.end_of_generation = {259};
    return v;
}

// <unk> <s>, bytes, then pieces with scores.
lt::vocabulary sentencepiece_vocabulary() {
    lt::vocabulary v;
    v.kind = lt::algorithm::sentencepiece_bpe;
    v.broken = lt::broken_utf8::keep;
    const auto add = [&](std::string text, lt::token_kind kind, float score) {
        v.texts.push_back(std::move(text));
        v.kinds.push_back(kind);
        v.scores.push_back(score);
    };
    add("<unk>", lt::token_kind::unknown, 0);
    add("<s>", lt::token_kind::control, 0);
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (unsigned b = 0; b < 256; ++b)
        add(std::string("<0x") + digits[b / 16] + digits[b % 16] + ">", lt::token_kind::byte, 0);
    for (const auto* piece : {"ab", "▁a", "▁", "a", "b", "abab"})
        add(piece, lt::token_kind::normal, -static_cast<float>(v.texts.size()));
    v.unknown = 0;
    v.bos = 1;
    v.added = {{.text = "<s>", .id = 1}};
    return v;
}
constexpr token ab = 258, mark_a = 259, mark = 260, a = 261, b = 262, abab = 263;

}  // namespace

BOOST_AUTO_TEST_CASE(byte_level_options) {
    const lt::tokenizer t(byte_vocabulary());
    BOOST_TEST(t.encode(" abcx") == (ids{257, 256, 'x'}), boost::test_tools::per_element());
    BOOST_TEST(t.encode("a", {.add_bos = true, .add_eos = true}) == (ids{258, 'a', 259}),
               boost::test_tools::per_element());
    BOOST_TEST(t.encode("<s>").size() == 3U);
    BOOST_TEST(t.encode("<s>", {.parse_special = true}) == (ids{258}), boost::test_tools::per_element());
    BOOST_TEST(t.encode("").empty());
    BOOST_TEST(t.decode(ids{258, 257, 256, 259}) == "<s> abc</s>");
    BOOST_TEST(t.decode(ids{258, 257, 256, 259}, {.skip_special = true}) == " abc");
    BOOST_TEST(t.piece_bytes(257) == " a");
    BOOST_TEST(t.is_special(258));
    BOOST_TEST(!t.is_special(256));
    BOOST_TEST(t.is_end_of_generation(259));
    BOOST_TEST(!t.is_end_of_generation(258));
    BOOST_TEST(t.find("</s>").value() == 259);
    BOOST_TEST(t.find(" a").value() == 257);       // by bytes
    BOOST_TEST(t.find("\u0120a").value() == 257);  // as the file spells it
    BOOST_TEST(!t.find("nothing").has_value());
    BOOST_TEST(t.size() == 260U);
}

BOOST_AUTO_TEST_CASE(any_valid_text_and_any_bytes_when_asked_come_back) {
    lt::vocabulary keep = byte_vocabulary();
    keep.broken = lt::broken_utf8::keep;
    const lt::tokenizer lossless(keep);
    const lt::tokenizer replacing(byte_vocabulary());
    lab::counter_rng random(17);
    for (int n = 0; n < 3000; ++n) {
        std::string bytes;
        for (std::uint64_t i = random.below(60); i > 0; --i)
            bytes.push_back(static_cast<char>(random.below(4) == 0 ? random.below(256) : 0x20 + random.below(0x5F)));
        BOOST_REQUIRE(lossless.decode(lossless.encode(bytes)) == bytes);
        const std::string text = lt::repair_utf8(bytes, lt::utf8_rules::lenient);
        BOOST_REQUIRE(replacing.decode(replacing.encode(bytes)) == text);
        BOOST_REQUIRE(replacing.encode(text) == replacing.encode(bytes));
    }
}

BOOST_AUTO_TEST_CASE(a_megabyte_without_spaces) {
    lt::vocabulary v = byte_vocabulary();
    const lt::tokenizer t(v);
    BOOST_TEST(t.encode(std::string(1 << 20, 'b')).size() == std::size_t{1} << 20);
    BOOST_TEST(t.encode(std::string(1 << 20, '<'), {.parse_special = true}).size() == std::size_t{1} << 20);
    const lt::tokenizer s(sentencepiece_vocabulary());
    std::string text;
    for (int i = 0; i < 1 << 18; ++i) text += "abab";
    BOOST_TEST(s.encode(text).size() == (std::size_t{1} << 18) + 1);
}

BOOST_AUTO_TEST_CASE(sentencepiece_merges_by_score_and_falls_back_to_bytes) {
    const lt::tokenizer t(sentencepiece_vocabulary());
    BOOST_TEST(t.encode("ab") == (ids{mark, ab}), boost::test_tools::per_element());  // "ab" beats "▁a"
    BOOST_TEST(t.encode("a b") == (ids{mark_a, mark, b}), boost::test_tools::per_element());
    BOOST_TEST(t.encode("abab") == (ids{mark, abab}), boost::test_tools::per_element());
    BOOST_TEST(t.encode("aé") == (ids{mark_a, 2 + 0xC3, 2 + 0xA9}), boost::test_tools::per_element());
    BOOST_TEST(t.encode("\xC3") == (ids{mark, 2 + 0xC3}), boost::test_tools::per_element());
    BOOST_TEST(t.encode("a<s>a", {.parse_special = true}) == (ids{mark_a, 1, mark_a}),
               boost::test_tools::per_element());
    BOOST_TEST(t.encode("").empty());
    BOOST_TEST(t.decode(ids{mark_a, mark, b}) == "a b");
    BOOST_TEST(t.decode(ids{mark, mark_a}) == " a");  // one space only is the mark's
    BOOST_TEST(t.decode(ids{1, mark_a}) == "<s> a");
    BOOST_TEST(t.decode(ids{1, mark_a}, {.skip_special = true}) == "a");
    BOOST_TEST(t.piece_bytes(mark_a) == " a");
    BOOST_TEST(t.piece_bytes(2 + 0x41) == "A");
    BOOST_TEST(a == 261);
}

BOOST_AUTO_TEST_CASE(sentencepiece_without_bytes_uses_unknown_once_per_run) {
    lt::vocabulary v = sentencepiece_vocabulary();
    v.byte_fallback = false;
    BOOST_TEST(lt::tokenizer(v).encode("aéèb") == (ids{mark_a, 0, b}), boost::test_tools::per_element());
    v.fuse_unknown = false;
    BOOST_TEST(lt::tokenizer(v).encode("aéèb") == (ids{mark_a, 0, 0, b}), boost::test_tools::per_element());
    v.remove_extra_spaces = true;
    BOOST_TEST(lt::tokenizer(v).encode("  a   b ") == (ids{mark_a, mark, b}), boost::test_tools::per_element());
    BOOST_TEST(lt::tokenizer(v).encode("   ").empty());
}

BOOST_AUTO_TEST_CASE(errors_say_what_is_wrong) {
    const lt::tokenizer t(byte_vocabulary());
    BOOST_CHECK_THROW((void)t.decode(ids{260}), lab::config_error);
    BOOST_CHECK_THROW((void)t.piece_bytes(-1), lab::config_error);
    auto v = byte_vocabulary();
    v.bos = lab::no_token;
    BOOST_CHECK_THROW((void)lt::tokenizer(v).encode("a", {.add_bos = true}), lab::config_error);
    v.kinds.pop_back();
    BOOST_CHECK_THROW(lt::tokenizer{v}, lab::format_error);
    v = byte_vocabulary();
    v.eos = 1000;
    BOOST_CHECK_THROW(lt::tokenizer{v}, lab::format_error);
    BOOST_CHECK_THROW(lt::tokenizer{lt::vocabulary{}}, lab::format_error);
    v = sentencepiece_vocabulary();
    v.scores.clear();
    BOOST_CHECK_THROW(lt::tokenizer{v}, lab::format_error);
}

BOOST_AUTO_TEST_CASE(special_tokens_can_be_added) {
    const lt::tokenizer base(byte_vocabulary());
    const std::vector<std::string> texts{"<|user|>", "<s>", "<|end|>"};
    const lt::tokenizer t = base.with_special(texts);
    BOOST_TEST(base.size() == 260U);
    BOOST_TEST(t.size() == 262U);
    BOOST_TEST(t.find("<|user|>").value() == 260);
    BOOST_TEST(t.find("<s>").value() == 258);
    BOOST_TEST(t.encode("<|user|>a<|end|>", {.parse_special = true}) == (ids{260, 'a', 261}),
               boost::test_tools::per_element());
    BOOST_TEST(t.is_special(261));
}

// A tokenizer of one's own: one id for each byte.
struct bytes_only {
    void encode(std::string_view text, bool, ids& out) const {
        for (const char c : text) out.push_back(static_cast<unsigned char>(c));
    }
};
static_assert(lt::SegmentEncoder<bytes_only> && lt::SegmentEncoder<lt::byte_level_bpe> &&
              lt::SegmentEncoder<lt::sentencepiece_bpe>);
static_assert(!lt::SegmentEncoder<int>);

BOOST_AUTO_TEST_CASE(any_segment_encoder_fits_the_handle) {
    const lt::tokenizer t(byte_vocabulary(), bytes_only{});
    BOOST_TEST(t.encode("bc<s>", {.parse_special = true}) == (ids{'b', 'c', 258}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(many_threads_may_encode) {
    const lt::tokenizer t(byte_vocabulary());
    const std::string text = "abc bc a bc abc bc";
    const ids expected = lt::tokenizer(byte_vocabulary()).encode(text);
    std::vector<std::thread> threads;
    std::vector<int> wrong(4);
    for (int& w : wrong)
        threads.emplace_back([&w, &t, &text, &expected] {
            for (int i = 0; i < 200; ++i) w += t.encode(text) != expected ? 1 : 0;
        });
    for (auto& thread : threads) thread.join();
    BOOST_TEST(wrong == std::vector<int>(4), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(streams_never_show_half_a_code_point) {
    const lt::tokenizer t(byte_vocabulary());
    const auto feed = [&](std::string_view bytes) {
        lt::stream_decoder d(t);
        std::vector<std::string> out;
        for (const char c : bytes) out.push_back(d.push(static_cast<unsigned char>(c)));
        out.push_back(d.flush());
        return out;
    };
    using strings = std::vector<std::string>;
    const auto is = [&](std::string_view bytes, const strings& expected) {
        BOOST_TEST(feed(bytes) == expected, boost::test_tools::per_element());
    };
    is("aé", {"a", "", "é", ""});
    is("\xF0\x9F\x9A\xA2", {"", "", "", "\U0001F6A2", ""});
    is("\xF0\x9F\x9A", {"", "", "", "\uFFFD"});              // unfinished at the end
    is("\xE2\x82q", {"", "", "\uFFFDq", ""});                // broken off: one mark for the part
    is("\x80\xFFz", {"\uFFFD", "\uFFFD", "z", ""});          // can start nothing
    is("\xED\xA0\x80", {"", "\uFFFD\uFFFD", "\uFFFD", ""});  // a surrogate is seen at its second byte
    is("\xC3\xC3\xA9", {"", "\uFFFD", "é", ""});
}

BOOST_AUTO_TEST_CASE(streams_equal_decoding) {
    const lt::tokenizer t(sentencepiece_vocabulary());
    const std::string text = " a é🚢b a";
    const auto all = t.encode(text, {.add_bos = true});
    for (const bool skip : {false, true}) {
        lt::stream_decoder d(t, {.skip_special = skip});
        std::string out;
        for (int round = 0; round < 2; ++round) {  // flush makes it ready for a new text
            out.clear();
            for (const token id : all) out += d.push(id);
            out += d.flush();
            BOOST_TEST(out == t.decode(all, {.skip_special = skip}));
        }
        BOOST_TEST(out == (skip ? text : "<s> " + text));
    }
    lt::stream_decoder d(t);
    BOOST_CHECK_THROW((void)d.push(99999), lab::config_error);
}

BOOST_AUTO_TEST_SUITE_END()
