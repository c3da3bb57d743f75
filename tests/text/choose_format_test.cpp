#include "lab/text/choose_format.hpp"

#include <boost/test/unit_test.hpp>

#include "lab/text/pattern_template.hpp"

BOOST_AUTO_TEST_SUITE(choosing_a_format)

using namespace lab;

namespace {
struct toy_tokens {
    std::string own;
    std::vector<std::string> special{"</s>", "<s>", "<|im_start|>", "<|im_end|>", "<|user|>", "<|endoftext|>"};
    [[nodiscard]] const std::string& chat_template() const { return own; }
    [[nodiscard]] token bos() const { return 1; }
    [[nodiscard]] token eos() const { return 0; }
    [[nodiscard]] std::size_t size() const { return special.size(); }
    [[nodiscard]] std::string piece_bytes(token id) const { return special[static_cast<std::size_t>(id)]; }
    [[nodiscard]] bool is_end_of_generation(token id) const { return id == 0; }
    [[nodiscard]] bool is_special(token) const { return true; }
    [[nodiscard]] std::optional<token> find(std::string_view text) const {
        for (std::size_t i = 0; i < special.size(); ++i)
            if (special[i] == text) return static_cast<token>(i);
        return std::nullopt;
    }
};
}  // namespace

BOOST_AUTO_TEST_CASE(a_pattern_and_its_template_say_the_same) {
    const text::messages full{{"system", " Be 'brief'. "}, {"user", "Why?"}, {"assistant", "So."}, {"user", "Then?"}};
    for (const auto* pattern : text::patterns::all) {
        const text::template_format made(text::template_of(*pattern));
        for (std::size_t first : {0u, 1u})
            for (std::size_t last : {2u, 3u, 4u})
                for (const bool prompt : {false, true}) {
                    const auto part = std::span(full).subspan(first, last - first);
                    BOOST_TEST(made.render_text(part, prompt) ==
                                   text::to_string(text::render(*pattern, part, {.add_generation_prompt = prompt})),
                               pattern->name);
                }
    }
}

BOOST_AUTO_TEST_CASE(the_known_format_where_it_says_the_same_else_the_template) {
    const auto chosen = [](std::string own) { return text::chat_format_of("", toy_tokens{std::move(own)}).name(); };
    BOOST_TEST(chosen(text::template_of(text::patterns::smollm2)) == "smollm2");
    BOOST_TEST(chosen(text::template_of(text::patterns::chatml)) == "chatml");
    BOOST_TEST(chosen(text::template_of(text::patterns::zephyr)) == "zephyr");
    // It has zephyr's marks and another end.
    BOOST_TEST(chosen("{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
                      "{% if add_generation_prompt %}<|assistant|>\n{% endif %}<|user|>") == "template");
    BOOST_TEST(chosen("{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
                      "{% if add_generation_prompt %}[assistant]{% endif %}") == "template");
    // Beyond the Jinja subset: the format it resembles.
    BOOST_TEST(chosen("{% import 'x' %}<|im_start|>") == "chatml");
    BOOST_TEST(text::chat_format_of("vicuna", toy_tokens{"anything"}).name() == "vicuna");
    BOOST_CHECK_THROW(chosen(""), config_error);
    BOOST_CHECK_THROW(chosen("{% import 'x' %}"), config_error);
    BOOST_CHECK_THROW((void)text::chat_format_of("granite_lab", toy_tokens{""}), config_error);
    BOOST_CHECK_THROW((void)text::chat_format_of("klingon", toy_tokens{""}), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
