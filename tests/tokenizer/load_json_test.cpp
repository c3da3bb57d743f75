#include "lab/tokenizer/load_json.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

#include "lab/core/file.hpp"
#include "vocabularies.hpp"

BOOST_AUTO_TEST_SUITE(load_json)

namespace lt = lab::tokenizer;
using lab::formats::json;
using lab::test::refuses;

namespace {

json byte_level() {
    const auto path = lab::test::fixture("tokenizer/byte_level.json");
    const json file = lab::formats::parse_json(lab::read_file(path), path.string());
    json whole = file.at("tokenizer");
    whole.update(file.at("forms").at("gpt2"));
    return whole;
}

lt::vocabulary read(const json& value) { return lt::tokenizer_json_reader::read(value, "tokenizer.json"); }

// Reads the fixture with one value changed.
std::function<void()> with(const char* pointer, const json& value) {
    json j = byte_level();
    j[json::json_pointer(pointer)] = value;
    return [j] { (void)read(j); };
}

}  // namespace

BOOST_AUTO_TEST_CASE(template_processing_tells_the_ends) {
    json j = byte_level();
    j["post_processor"] =
        json::parse(R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|im_start|>","type_id":0}},
        {"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"<|im_end|>","type_id":0}}]})");
    const auto v = read(j);
    BOOST_TEST(v.bos == 1);
    BOOST_TEST(v.add_bos);
    BOOST_TEST(v.eos == 2);
    BOOST_TEST(v.add_eos);
}

BOOST_AUTO_TEST_CASE(what_is_not_supported_is_named) {
    const auto object = [](const char* text) { return json::parse(text); };
    refuses<lab::config_error>(with("/model/type", "Unigram"), "Unigram");
    refuses<lab::config_error>(with("/model/dropout", 0.1), "dropout");
    refuses<lab::config_error>(with("/model/end_of_word_suffix", "</w>"), "end_of_word_suffix");
    refuses<lab::config_error>(with("/normalizer", object(R"({"type":"Lowercase"})")), "Lowercase");
    refuses<lab::config_error>(with("/pre_tokenizer", object(R"({"type":"BertPreTokenizer"})")), "BertPreTokenizer");
    refuses<lab::config_error>(
        with("/pre_tokenizer",
             object(R"({"type":"Split","pattern":{"Regex":"\\w+"},"behavior":"Isolated","invert":false})")),
        "PCRE2");
    refuses<lab::config_error>(
        with("/pre_tokenizer",
             object(R"({"type":"Split","pattern":{"Regex":"\\p{N}"},"behavior":"Removed","invert":false})")),
        "Removed");
}

BOOST_AUTO_TEST_CASE(what_is_malformed_is_named) {
    refuses<lab::format_error>(with("/model/vocab", json::array()), "vocab");
    refuses<lab::format_error>(with("/model/vocab/a", -1), "-1");
    refuses<lab::format_error>(with("/model/vocab/a", 4000000000U), "4000000000");
    refuses<lab::format_error>(with("/model/vocab/a", "one"), "vocab");
    refuses<lab::format_error>(with("/model/vocab/a", 70), "id 70");
    refuses<lab::format_error>(with("/model/merges/0", "nospace"), "merges[0]");
    refuses<lab::format_error>(with("/model/merges/0", "never seen"), "never");
    refuses<lab::format_error>(with("/model/merges", 3), "merges");
    refuses<lab::format_error>(with("/model/unk_token", "<none>"), "<none>");
    refuses<lab::format_error>(with("/added_tokens/0/id", 1000000), "1000000");
    refuses<lab::format_error>([] { (void)read(json::object()); }, "model");
}

BOOST_AUTO_TEST_SUITE_END()

std::string lab::test::byte_level_json() { return load_json::byte_level().dump(); }
