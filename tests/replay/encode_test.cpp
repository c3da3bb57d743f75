#include "lab/replay/encode.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(replay_encode)

using namespace lab;
using replay::over_long;

namespace {
// One token a byte; a message is its content and an end token 0 that belongs to it.
struct byte_encoder {
    replay::encoded operator()(const text::messages& messages, bool unmask) const {
        replay::encoded e;
        for (const auto& m : messages) {
            const bool learnt = m.role == "assistant" || (unmask && m.role != "system");
            for (const char c : m.content + '\0') {
                e.tokens.push_back(static_cast<unsigned char>(c));
                e.trained.push_back(learnt);
            }
        }
        return e;
    }
};
static_assert(replay::ChatEncoder<byte_encoder> && !replay::ChatEncoder<int>);

replay::sample chat(std::string leaf, std::string question, std::string answer, bool unmask = false) {
    replay::sample s;
    s.id = "id";
    s.leaf = std::move(leaf);
    s.messages = {{"system", "S"}, {"user", std::move(question)}, {"assistant", std::move(answer)}};
    s.unmask = unmask;
    return s;
}
}  // namespace

BOOST_AUTO_TEST_CASE(masks_and_response_lengths) {
    const std::vector<replay::sample> samples{chat("l", "abc", "de"), chat("l", "abc", "de", true)};
    const auto data = replay::encode_samples(samples, byte_encoder{});
    BOOST_REQUIRE(data.samples.size() == 2u);
    BOOST_TEST(data.samples[0].response_tokens == 3u);  // d e end
    BOOST_TEST(data.samples[1].response_tokens == 7u);  // unmasked: question and answer in one run, not the system's
    BOOST_TEST(data.samples[1].trained[0] == 0);
    BOOST_TEST(data.leaves.at("l").kept == 2u);
    BOOST_TEST(data.leaves.at("l").trained_tokens == 10u);
    BOOST_TEST(data.leaves.at("l").longest == 9u);
}

BOOST_AUTO_TEST_CASE(over_long_samples_are_dropped_or_split_and_always_counted) {
    const std::vector<replay::sample> samples{chat("short", "a", "b"), chat("long", "aaaaaaaaaaaa", "0123456789")};
    const auto dropped = replay::encode_samples(samples, byte_encoder{}, {.max_tokens = 10});
    BOOST_TEST(dropped.samples.size() == 1u);
    BOOST_TEST(dropped.leaves.at("long").dropped == 1u);
    BOOST_TEST(dropped.leaves.at("long").longest == 26u);
    const auto split =
        replay::encode_samples(samples, byte_encoder{}, {.max_tokens = 10, .too_long = over_long::split});
    BOOST_TEST(split.leaves.at("long").split == 1u);
    // 26 tokens are pieces of 10, 10 and 6; the first is prompt alone and teaches nothing.
    BOOST_REQUIRE(split.samples.size() == 3u);
    BOOST_TEST(split.samples[1].id == "id#1");
    BOOST_TEST(split.samples[2].tokens.size() == 6u);
    BOOST_TEST(split.samples[1].response_tokens == 11u);  // the whole answer's length decides the bucket
}

BOOST_AUTO_TEST_CASE(what_an_encoder_refuses_is_told_with_its_place) {
    std::vector<replay::sample> samples{chat("l", "a", "b"), chat("l", "a", "b")};
    samples[1].messages[1].role = "tool";
    samples[1].place = "f.jsonl:2";
    const auto told = [&](const auto& fault) {
        using type = std::decay_t<decltype(fault)>;
        const auto encoder = [&](const text::messages& messages, bool unmask) {
            if (messages[1].role == "tool") throw fault;
            return byte_encoder{}(messages, unmask);
        };
        BOOST_CHECK_EXCEPTION((void)replay::encode_samples(samples, encoder), type,
                              [](const type& e) { return std::string_view(e.what()) == "f.jsonl:2: no role tool"; });
    };
    told(config_error("no role tool"));
    told(format_error("no role tool"));
}

BOOST_AUTO_TEST_CASE(nothing_left_is_an_error) {
    const std::vector<replay::sample> samples{chat("l", "abc", "def")};
    BOOST_CHECK_THROW((void)replay::encode_samples(samples, byte_encoder{}, {.max_tokens = 4}), config_error);
    BOOST_CHECK_THROW((void)replay::encode_samples(samples, byte_encoder{}, {.max_tokens = 1}), config_error);
    const auto all_masked = [](const text::messages&, bool) { return replay::encoded{{1, 2}, {0, 0}}; };
    BOOST_CHECK_THROW((void)replay::encode_samples(samples, all_masked), format_error);
    const auto ragged = [](const text::messages&, bool) { return replay::encoded{{1, 2}, {0}}; };
    BOOST_CHECK_THROW((void)replay::encode_samples(samples, ragged), shape_error);
}

BOOST_AUTO_TEST_SUITE_END()
