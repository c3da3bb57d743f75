#include "lab/tokenizer/load.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

#include "lab/core/file.hpp"
#include "lab/core/rng.hpp"
#include "lab/formats/sentencepiece_model.hpp"
#include "lab/tokenizer/load_sentencepiece.hpp"
#include "vocabularies.hpp"

BOOST_AUTO_TEST_SUITE(load)

namespace lt = lab::tokenizer;
using lab::test::fixture;
using lab::test::load_tokenizer_file;
using lab::test::refuses;

BOOST_AUTO_TEST_CASE(a_folder_adds_settings_and_template) {
    const lab::test::temporary_folder folder;
    lab::write_file_atomically(folder / "tokenizer.json", lab::test::byte_level_json());
    lab::write_file_atomically(
        folder / "tokenizer_config.json",
        R"({"bos_token":{"content":"<|im_start|>"},"eos_token":"<|endoftext|>","add_bos_token":true,
                                   "chat_template":[{"name":"tool","template":"T"},{"name":"default","template":"D"}]})");
    lab::write_file_atomically(folder / "generation_config.json", R"({"eos_token_id":[2,0]})");
    const auto t = load_tokenizer_file(folder.path());
    BOOST_TEST(t.bos() == 1);
    BOOST_TEST(t.eos() == 0);
    BOOST_TEST(t.adds_bos());
    BOOST_TEST(t.is_end_of_generation(2));
    BOOST_TEST(t.chat_template() == "D");
    lab::write_file_atomically(folder / "chat_template.jinja", "from the file");
    BOOST_TEST(load_tokenizer_file(folder / "tokenizer.json").chat_template() == "from the file");
}

BOOST_AUTO_TEST_CASE(sentencepiece_with_added_tokens) {
    const lab::test::temporary_folder folder;
    lab::write_file_atomically(folder / "tokenizer.model", lab::read_file(fixture("tokenizer/spm_bytes.model")));
    const auto plain = load_tokenizer_file(folder / "tokenizer.model");
    BOOST_TEST(plain.bos() == 1);
    BOOST_TEST(plain.eos() == 2);
    BOOST_TEST(plain.is_end_of_generation(2));
    const auto next = std::to_string(plain.size());
    lab::write_file_atomically(folder / "added_tokens.json", "{\"<|user|>\":" + next + "}");
    lab::write_file_atomically(folder / "special_tokens_map.json", R"({"eos_token":"<|user|>"})");
    const auto t = load_tokenizer_file(folder.path());
    BOOST_TEST(t.size() == plain.size() + 1);
    BOOST_TEST(t.eos() == static_cast<lab::token>(plain.size()));
    BOOST_TEST(t.encode("<|user|>", {.parse_special = true}).size() == 1U);
    lab::write_file_atomically(folder / "added_tokens.json", R"({"<|user|>":5000})");
    refuses<lab::format_error>([&] { (void)load_tokenizer_file(folder.path()); }, "added_tokens.json");
}

BOOST_AUTO_TEST_CASE(paths_that_hold_no_tokenizer) {
    const lab::test::temporary_folder folder;
    refuses<lab::io_error>([&] { (void)load_tokenizer_file(folder.path()); }, "tokenizer.json");
    refuses<lab::io_error>([&] { (void)load_tokenizer_file(folder / "absent.gguf"); }, "absent.gguf");
    lab::write_file_atomically(folder / "x.model", "not a model");
    refuses<lab::format_error>([&] { (void)load_tokenizer_file(folder / "x.model"); }, "x.model");
    for (const auto& [name, text] : {std::pair{"notes.txt", "Ferries leave at nine.\n"},
                                     {"lines.txt", "\n\n"},
                                     {"tokenizer.model", ""},
                                     {"model.gguf", "GG"}}) {
        const auto path = folder / name;
        lab::write_file_atomically(path, text);
        refuses<lab::format_error>([&] { (void)load_tokenizer_file(path); }, "is of no known kind");
        refuses<lab::format_error>([&] { (void)load_tokenizer_file(path); }, "GGUF");
    }
    std::filesystem::remove(folder / "tokenizer.model");
    lab::write_file_atomically(folder / "empty.gguf", "");
    refuses<lab::format_error>([&] { (void)load_tokenizer_file(folder / "empty.gguf"); }, "empty.gguf");
    refuses<lab::config_error>(
        [&] {
            auto model = lab::formats::load_sentencepiece(fixture("tokenizer/spm_bytes.model"));
            model.algorithm = lab::formats::sentencepiece_algorithm::unigram;
            (void)lt::make_vocabulary(model, "m");
        },
        "BPE");
    refuses<lab::config_error>(
        [&] {
            auto model = lab::formats::load_sentencepiece(fixture("tokenizer/spm_bytes.model"));
            model.precompiled_charsmap = "table";
            (void)lt::make_vocabulary(model, "m");
        },
        "normalis");
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
                const auto t = load_tokenizer_file(path);
                const auto ids = t.encode("Hello, ferry <sep> 123\n\xFF", {.parse_special = true});
                (void)t.decode(ids);
            } catch (const lab::error& e) {
                BOOST_REQUIRE(std::string_view(e.what()).size() > 10);
            }
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

lab::tokenizer::tokenizer lab::test::load_tokenizer_file(const std::filesystem::path& path) {
    return tokenizer::load_tokenizer(path);
}
