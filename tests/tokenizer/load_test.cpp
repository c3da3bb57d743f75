#include "lab/tokenizer/load.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

#include "lab/core/rng.hpp"
#include "lab/formats/gguf_writer.hpp"
#include "support/data.hpp"

namespace lt = lab::tokenizer;
using lab::formats::json;
using lab::test::fixture;

namespace {

json byte_level() {
    const auto path = fixture("tokenizer/byte_level.json");
    const json file = lab::formats::parse_json(lab::read_file(path), path.string());
    json whole = file.at("tokenizer");
    whole.update(file.at("forms").at("gpt2"));
    return whole;
}

lt::vocabulary read(const json& value) { return lt::tokenizer_json_reader::read(value, "tokenizer.json"); }

// Loading throws an E whose message holds `part`.
template <class E, class F>
void refuses(F&& load, std::string_view part) {
    BOOST_CHECK_EXCEPTION((void)load(), E, [&](const E& e) {
        const bool found = std::string_view(e.what()).find(part) != std::string_view::npos;
        if (!found) BOOST_TEST_MESSAGE("message is: " << e.what());
        return found;
    });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(load)

BOOST_AUTO_TEST_CASE(a_folder_adds_settings_and_template) {
    const lab::test::temporary_folder folder;
    lab::write_file_atomically(folder / "tokenizer.json", byte_level().dump());
    lab::write_file_atomically(folder / "tokenizer_config.json",
                               R"({"bos_token":{"content":"<|im_start|>"},"eos_token":"<|endoftext|>","add_bos_token":true,
                                   "chat_template":[{"name":"tool","template":"T"},{"name":"default","template":"D"}]})");
    lab::write_file_atomically(folder / "generation_config.json", R"({"eos_token_id":[2,0]})");
    const auto t = lt::load_tokenizer(folder.path());
    BOOST_TEST(t.bos() == 1);
    BOOST_TEST(t.eos() == 0);
    BOOST_TEST(t.adds_bos());
    BOOST_TEST(t.is_end_of_generation(2));
    BOOST_TEST(t.chat_template() == "D");
    lab::write_file_atomically(folder / "chat_template.jinja", "from the file");
    BOOST_TEST(lt::load_tokenizer(folder / "tokenizer.json").chat_template() == "from the file");
}

BOOST_AUTO_TEST_CASE(template_processing_tells_the_ends) {
    json j = byte_level();
    j["post_processor"] = json::parse(R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|im_start|>","type_id":0}},
        {"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"<|im_end|>","type_id":0}}]})");
    const auto v = read(j);
    BOOST_TEST(v.bos == 1);
    BOOST_TEST(v.add_bos);
    BOOST_TEST(v.eos == 2);
    BOOST_TEST(v.add_eos);
}

BOOST_AUTO_TEST_CASE(sentencepiece_with_added_tokens) {
    const lab::test::temporary_folder folder;
    lab::write_file_atomically(folder / "tokenizer.model", lab::read_file(fixture("tokenizer/spm_bytes.model")));
    const auto plain = lt::load_tokenizer(folder / "tokenizer.model");
    BOOST_TEST(plain.bos() == 1);
    BOOST_TEST(plain.eos() == 2);
    BOOST_TEST(plain.is_end_of_generation(2));
    const auto next = std::to_string(plain.size());
    lab::write_file_atomically(folder / "added_tokens.json", "{\"<|user|>\":" + next + "}");
    lab::write_file_atomically(folder / "special_tokens_map.json", R"({"eos_token":"<|user|>"})");
    const auto t = lt::load_tokenizer(folder.path());
    BOOST_TEST(t.size() == plain.size() + 1);
    BOOST_TEST(t.eos() == static_cast<lab::token>(plain.size()));
    BOOST_TEST(t.encode("<|user|>", {.parse_special = true}).size() == 1U);
    lab::write_file_atomically(folder / "added_tokens.json", R"({"<|user|>":5000})");
    refuses<lab::format_error>([&] { return lt::load_tokenizer(folder.path()); }, "added_tokens.json");
}

BOOST_AUTO_TEST_CASE(what_is_not_supported_is_named) {
    const auto with = [](const char* pointer, const json& value) {
        json j = byte_level();
        j[json::json_pointer(pointer)] = value;
        return [j] { return read(j); };
    };
    const auto object = [](const char* text) { return json::parse(text); };
    refuses<lab::config_error>(with("/model/type", "Unigram"), "Unigram");
    refuses<lab::config_error>(with("/model/dropout", 0.1), "dropout");
    refuses<lab::config_error>(with("/model/end_of_word_suffix", "</w>"), "end_of_word_suffix");
    refuses<lab::config_error>(with("/normalizer", object(R"({"type":"Lowercase"})")), "Lowercase");
    refuses<lab::config_error>(with("/pre_tokenizer", object(R"({"type":"BertPreTokenizer"})")), "BertPreTokenizer");
    refuses<lab::config_error>(
        with("/pre_tokenizer", object(R"({"type":"Split","pattern":{"Regex":"\\w+"},"behavior":"Isolated","invert":false})")), "PCRE2");
    refuses<lab::config_error>(
        with("/pre_tokenizer", object(R"({"type":"Split","pattern":{"Regex":"\\p{N}"},"behavior":"Removed","invert":false})")), "Removed");
}

BOOST_AUTO_TEST_CASE(what_is_malformed_is_named) {
    const auto with = [](const char* pointer, const json& value) {
        json j = byte_level();
        j[json::json_pointer(pointer)] = value;
        return [j] { return read(j); };
    };
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
    refuses<lab::format_error>([] { return read(json::object()); }, "model");
}

BOOST_AUTO_TEST_CASE(gguf_metadata_is_checked) {
    const lab::test::temporary_folder folder;
    const auto variant = [&](auto&& change) {
        const lab::formats::gguf_file source(fixture("tokenizer/byte_level_gpt-2.gguf"));
        lab::formats::gguf_writer writer;
        for (const auto& [key, value] : source.metadata()) writer.set(key, value);
        change(writer);
        const auto path = folder / "v.gguf";
        writer.write(path);
        return [path] { return lt::load_vocabulary(path); };
    };
    using writer = lab::formats::gguf_writer;
    refuses<lab::config_error>(variant([](writer& w) { w.set("tokenizer.ggml.model", "bert"); }), "bert");
    refuses<lab::config_error>(variant([](writer& w) { w.set("tokenizer.ggml.pre", "martian"); }), "martian");
    refuses<lab::format_error>(variant([](writer& w) { w.erase("tokenizer.ggml.model"); }), "tokenizer.ggml.model");
    refuses<lab::format_error>(variant([](writer& w) { w.erase("tokenizer.ggml.tokens"); }), "tokens");
    refuses<lab::format_error>(variant([](writer& w) { w.erase("tokenizer.ggml.merges"); }), "merges");
    refuses<lab::format_error>(variant([](writer& w) { w.set("tokenizer.ggml.eos_token_id", std::uint32_t{9999}); }), "9999");
    refuses<lab::format_error>(variant([](writer& w) { w.set_array("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 2}); }), "token_type");
    refuses<lab::format_error>(variant([](writer& w) { w.set_array("tokenizer.ggml.merges", std::vector<std::string>{"a b", "ab"}); }), "merges[1]");
    refuses<lab::format_error>(variant([](writer& w) { w.set("tokenizer.ggml.model", "llama"); }), "scores");
    // Unknown merge parts and odd types do no harm.
    const auto odd = variant([](writer& w) {
        w.set_array("tokenizer.ggml.merges", std::vector<std::string>{"zz yy", "a b"});
        w.erase("tokenizer.ggml.token_type");
    });
    BOOST_TEST(!lt::tokenizer(odd()).encode("zzyy ab").empty());
}

BOOST_AUTO_TEST_CASE(paths_that_hold_no_tokenizer) {
    const lab::test::temporary_folder folder;
    refuses<lab::io_error>([&] { return lt::load_vocabulary(folder.path()); }, "tokenizer.json");
    refuses<lab::io_error>([&] { return lt::load_vocabulary(folder / "absent.gguf"); }, "absent.gguf");
    lab::write_file_atomically(folder / "x.model", "not a model");
    refuses<lab::format_error>([&] { return lt::load_vocabulary(folder / "x.model"); }, "x.model");
    lab::write_file_atomically(folder / "empty.gguf", "");
    refuses<lab::format_error>([&] { return lt::load_vocabulary(folder / "empty.gguf"); }, "empty.gguf");
    refuses<lab::config_error>([&] {
        auto model = lab::formats::load_sentencepiece(fixture("tokenizer/spm_bytes.model"));
        model.algorithm = lab::formats::sentencepiece_algorithm::unigram;
        return lt::make_vocabulary(model, "m");
    }, "BPE");
    refuses<lab::config_error>([&] {
        auto model = lab::formats::load_sentencepiece(fixture("tokenizer/spm_bytes.model"));
        model.precompiled_charsmap = "table";
        return lt::make_vocabulary(model, "m");
    }, "normalis");
}

// Damaged files give a typed error or a tokenizer that works, never a crash.
BOOST_AUTO_TEST_CASE(mutated_files) {
    const lab::test::temporary_folder folder;
    lab::counter_rng random(23);
    for (const std::string name : {"byte_level_gpt-2.gguf", "spm_bytes.gguf", "spm_bytes.model", "spm_plain.model"}) {
        const std::string whole = lab::read_file(fixture("tokenizer/" + name));
        for (int n = 0; n < 60; ++n) {
            std::string bytes = whole;
            if (n % 6 == 0) bytes.resize(random.below(bytes.size()));
            for (std::uint64_t k = 1 + random.below(8); k > 0 && !bytes.empty(); --k)
                bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
            const auto path = folder / name;
            lab::write_file_atomically(path, bytes);
            try {
                const auto t = lt::load_tokenizer(path);
                const auto ids = t.encode("Hello, ferry <sep> 123\n\xFF", {.parse_special = true});
                (void)t.decode(ids);
            } catch (const lab::error& e) {
                BOOST_REQUIRE(std::string_view(e.what()).size() > 10);
            }
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
