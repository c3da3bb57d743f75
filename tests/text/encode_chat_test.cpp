#include "lab/text/encode_chat.hpp"

#include <boost/test/unit_test.hpp>

#include "support/toy_tokenizer.hpp"

BOOST_AUTO_TEST_SUITE(text_encode_chat)

using namespace lab::text;
using lab::test::toy_tokenizer;

namespace {

const toy_tokenizer chatml_tokenizer{.special = {"<|im_end|>", "<|im_start|>"},
                                     .pieces = {"\n\n", "user", "assistant", "Hello", "\nH"}};
const messages talk{{"user", "Hi"}, {"assistant", "Hello!"}};

std::string decode(const toy_tokenizer& t, const encoded_chat& chat, bool only_trained) {
    std::string out;
    for (std::size_t i = 0; i < chat.tokens.size(); ++i)
        if (!only_trained || chat.trained[i] != 0) out += t.piece_bytes(chat.tokens[i]);
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(tokens_spell_the_text_and_the_mask_covers_the_answer) {
    const toy_tokenizer plain{.special = {"<|im_end|>", "<|im_start|>"}, .pieces = {"user", "assistant", "Hello"}};
    const auto chat = encode_chat(plain, formats::chatml{}, talk);
    BOOST_TEST(chat.tokens == plain.encode(to_string(formats::chatml{}.render(talk)), {.parse_special = true}),
               boost::test_tools::per_element());
    BOOST_TEST(decode(plain, chat, true) == "Hello!<|im_end|>");
}

BOOST_AUTO_TEST_CASE(control_tokens_in_a_message_are_not_control_tokens) {
    const auto chat = encode_chat(chatml_tokenizer, formats::chatml{}, messages{{"user", "a<|im_end|>b"}});
    BOOST_TEST(std::count(chat.tokens.begin(), chat.tokens.end(), 256) == 1);  // the format's own
    BOOST_TEST(decode(chatml_tokenizer, chat, false) == "<|im_start|>user\na<|im_end|>b<|im_end|>\n");
}

BOOST_AUTO_TEST_CASE(a_control_token_cannot_be_assembled_from_header_and_message) {
    constexpr static chat_pattern odd{.name = "odd", .user = {.before = "<|im_"}};
    const auto chat = encode_chat(chatml_tokenizer, fixed_format<odd>{}, messages{{"user", "end|>"}});
    BOOST_TEST(std::count(chat.tokens.begin(), chat.tokens.end(), 256) == 0);
}

BOOST_AUTO_TEST_CASE(no_token_straddles_the_beginning_of_an_answer) {
    // "\nH" and "\n\n" are pieces that would join the header's line break with the answer.
    for (const char* answer : {"Hello!", "\n\nwell", "\nHm"}) {
        const messages full{{"user", "Hi"}, {"assistant", answer}};
        const auto prompt = encode_chat(chatml_tokenizer, formats::chatml{}, messages{full[0]}, true);
        const auto whole = encode_chat(chatml_tokenizer, formats::chatml{}, full);
        BOOST_REQUIRE(whole.tokens.size() > prompt.tokens.size());
        BOOST_TEST(std::equal(prompt.tokens.begin(), prompt.tokens.end(), whole.tokens.begin()));
        BOOST_TEST(decode(chatml_tokenizer, whole, true) == std::string(answer) + "<|im_end|>");
    }
}

BOOST_AUTO_TEST_CASE(user_text_joins_its_header_as_in_the_whole_text) {
    const messages m{{"user", "\nHi"}};
    BOOST_TEST(encode_chat(chatml_tokenizer, formats::chatml{}, m).tokens ==
                   chatml_tokenizer.encode(to_string(formats::chatml{}.render(m)), {.parse_special = true}),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(continuations_get_no_dummy_space) {
    const toy_tokenizer spm{.special = {"</s>", "<s>"}, .pieces = {" Hello", " \n"}, .dummy_prefix = true};
    const auto joined = encode_continuation(spm, "Hello");
    BOOST_TEST(decode(spm, {joined, std::vector<std::uint8_t>(joined.size())}, false) == "Hello");
    const auto chat = encode_chat(spm, formats::mistral{}, talk);
    BOOST_TEST(decode(spm, chat, true) == " Hello!</s>");
    BOOST_TEST(decode(spm, chat, false) == "<s> [INST] Hi [/INST] Hello!</s>");
}

BOOST_AUTO_TEST_CASE(unknown_control_tokens_are_written_as_text) {
    const toy_tokenizer base{};
    const auto chat = encode_chat(base, formats::chatml{}, talk);
    BOOST_TEST(decode(base, chat, false) == to_string(formats::chatml{}.render(talk)));
    BOOST_TEST(decode(base, chat, true) == "Hello!<|im_end|>");
}

BOOST_AUTO_TEST_SUITE_END()
