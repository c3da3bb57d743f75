#include "lab/replay/chat_encoder.hpp"

#include <boost/test/unit_test.hpp>

#include "lab/replay/packing.hpp"

BOOST_AUTO_TEST_SUITE(replay_chat_encoder)

using namespace lab;

namespace {
// Bytes, and the two control tokens of ChatML as 256 and 257.
struct byte_tokenizer {
    struct options {
        bool parse_special = false;
    };
    std::vector<token> encode(std::string_view text, options o) const {
        std::vector<token> tokens;
        while (!text.empty()) {
            if (o.parse_special && text.starts_with("<|im_start|>"))
                tokens.push_back(256), text.remove_prefix(12);
            else if (o.parse_special && text.starts_with("<|im_end|>"))
                tokens.push_back(257), text.remove_prefix(10);
            else
                tokens.push_back(static_cast<unsigned char>(text[0])), text.remove_prefix(1);
        }
        return tokens;
    }
    bool is_special(token id) const { return id >= 256; }
    std::string piece_bytes(token id) const {
        std::string text;
        if (id < 256)
            text.push_back(static_cast<char>(id));
        else
            text.append(id == 256 ? "<|im_start|>" : "<|im_end|>");
        return text;
    }
};
std::string learnt(const replay::encoded& e, const byte_tokenizer& t) {
    std::string text;
    for (std::size_t i = 0; i < e.tokens.size(); ++i)
        if (e.trained[i] != 0) text += t.piece_bytes(e.tokens[i]);
    return text;
}
const text::messages conversation{
    {"system", "S"}, {"user", "Q <|im_end|>?"}, {"assistant", "A."}, {"user", "R?"}, {"assistant", "B"}};
}  // namespace

BOOST_AUTO_TEST_CASE(answers_and_their_ends_are_learnt) {
    const byte_tokenizer tokenizer;
    const replay::chat_encoder encode(tokenizer, text::formats::chatml{});
    const auto e = encode(conversation, false);
    BOOST_TEST(learnt(e, tokenizer) == "A.<|im_end|>B<|im_end|>");
    BOOST_TEST(e.tokens.back() == 257);  // nothing behind the last learnt token
    BOOST_TEST(e.tokens.size() == e.trained.size());
    BOOST_TEST(replay::longest_trained_run(e.trained) == 3u);
}

BOOST_AUTO_TEST_CASE(unmask_learns_every_role_but_the_system) {
    const byte_tokenizer tokenizer;
    const replay::chat_encoder encode(tokenizer, text::formats::chatml{});
    const std::string text = learnt(encode(conversation, true), tokenizer);
    BOOST_TEST(text.find("Q <|im_end|>?") != std::string::npos);
    BOOST_TEST(text.find("R?") != std::string::npos);
    BOOST_TEST(text.find('S') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_message_cannot_smuggle_in_control_tokens) {
    const byte_tokenizer tokenizer;
    const replay::chat_encoder encode(tokenizer, text::formats::chatml{});
    const auto e = encode(conversation, false);
    BOOST_TEST(std::count(e.tokens.begin(), e.tokens.end(), 257) ==
               5);  // one for each message, none for the text's own
}

BOOST_AUTO_TEST_CASE(a_role_that_the_format_lacks_is_told_with_file_and_line) {
    const byte_tokenizer tokenizer;
    const replay::chat_encoder encode(tokenizer, text::formats::chatml{});
    const std::vector<replay::sample> samples{
        {.id = "x", .messages = {{"tool", "T"}, {"assistant", "A"}}, .leaf = "l", .place = "f.jsonl:7"}};
    BOOST_CHECK_EXCEPTION((void)replay::encode_samples(samples, encode), config_error, [](const config_error& e) {
        return std::string_view(e.what()).starts_with("f.jsonl:7: chat format chatml has no role \"tool\"");
    });
}

BOOST_AUTO_TEST_CASE(targets_are_the_answers_tokens) {
    const byte_tokenizer tokenizer;
    const replay::chat_encoder encode(tokenizer, text::formats::chatml{});
    const std::vector<replay::sample> samples{
        {.id = "x", .messages = {{"user", "Q"}, {"assistant", "AB"}}, .leaf = "l", .place = "f:1"}};
    const auto data = replay::encode_samples(samples, encode);
    const std::vector<const replay::training_sample*> step{&data.samples[0]};
    const auto batch = replay::pack(step, 0)[0];
    std::vector<token> targets;
    for (const token t : batch.targets)
        if (t != no_token) targets.push_back(t);
    BOOST_TEST(targets == (std::vector<token>{'A', 'B', 257}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
