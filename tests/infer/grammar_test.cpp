// Whatever a model of random weights says under a schema parses and fits it.
#include "lab/sampling/grammar/gbnf.hpp"

#include <boost/test/unit_test.hpp>

#include "infer/tiny.hpp"
#include "lab/formats/json.hpp"
#include "lab/infer/teacher.hpp"
#include "lab/sampling/grammar/regex.hpp"

BOOST_AUTO_TEST_SUITE(infer_grammar)

using namespace lab;

BOOST_AUTO_TEST_CASE(random_models_keep_to_schemas_patterns_and_grammars) {
    infer::engine engine(test::byte_model(2), test::byte_tokenizer());
    infer::local_teacher teacher(engine, text::chat_format_by_name("chatml"), "tiny");
    std::vector<text::request> batch;
    for (std::uint64_t i = 0; i < 18; ++i) {
        text::request r;
        r.messages = {{"user", "question " + std::to_string(i)}};
        r.max_tokens = 300;
        r.sampling = {.temperature = 1.0f, .seed = i};
        if (i % 3 == 0)
            r.constraint.json_schema = R"({"type":"object","properties":{"name":{"type":"string","maxLength":12},
                "age":{"type":"integer","minimum":1,"maximum":130},"tags":{"type":"array","items":{"enum":["a","b"]},
                "maxItems":3}},"required":["name","age"],"additionalProperties":false})";
        if (i % 3 == 1) r.constraint.regex = "(yes|no), [a-z]{3,8}\\.";
        if (i % 3 == 2) r.constraint.grammar = "root ::= [a-f]{2,5} \"-\" (\"é\" | \"東\")+ \"!\"";
        if (i >= 9) r.assistant_prefix = "Answer:";
        batch.push_back(r);
    }
    const auto answers = teacher.complete(batch);
    for (std::size_t i = 0; i < batch.size(); ++i) {
        const auto& text = answers[i].text;
        const bool whole = answers[i].finish == text::finish_reason::stop;
        if (i % 3 != 2) BOOST_TEST(whole, text);  // the third may go on for ever
        if (i % 3 == 0) {
            const auto value = formats::parse_json(text, "answer");
            BOOST_TEST(value["name"].is_string());
            BOOST_TEST((value["age"] >= 1 && value["age"] <= 130));
            BOOST_TEST(value.size() == (value.contains("tags") ? 3u : 2u));
            if (value.contains("tags")) BOOST_TEST(value["tags"].size() <= 3u);
        } else if (i % 3 == 1) {
            BOOST_TEST(sampling::grammar_from_regex(batch[i].constraint.regex).matches(text), text);
        } else if (whole) {
            BOOST_TEST(sampling::grammar_from_gbnf(batch[i].constraint.grammar).matches(text), text);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
