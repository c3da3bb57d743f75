// A tokenizer carried from one container to the other must still give the same ids.
#include "lab/nn/tokenizer_files.hpp"

#include <boost/test/unit_test.hpp>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(tokenizer_files)

namespace {

using namespace lab;
namespace fs = std::filesystem;

const char* const texts[] = {"Hello world, it's 2024!",
                             "  two  spaces\n\nand\ttabs",
                             "na\u00efve caf\u00e9 \u65e5\u672c\u8a9e \U0001F389",
                             "the cat sat on the mat 12345",
                             "",
                             " ",
                             "x</s>y"};

void same_ids(const tokenizer::tokenizer& a, const tokenizer::tokenizer& b) {
    for (const auto* text : texts)
        for (const bool special : {false, true})
            BOOST_TEST(a.encode(text, {.parse_special = special}) == b.encode(text, {.parse_special = special}),
                       boost::test_tools::per_element());
    BOOST_TEST(a.bos() == b.bos());
    BOOST_TEST(a.eos() == b.eos());
    BOOST_TEST(a.chat_template() == b.chat_template());
}

/// The byte-level fixture as tokenizer.json, with one of its pre-tokenizers.
void write_byte_level(const fs::path& folder, const char* form) {
    const auto file = formats::parse_json(read_file(test::fixture("tokenizer/byte_level.json")), "byte_level.json");
    auto whole = file.at("tokenizer");
    whole.update(file.at("forms").at(form));
    write_file_atomically(folder / "tokenizer.json", formats::to_text(whole));
}

/// `source` written to a GGUF file and to a folder, both read again.
void check_both_ways(const fs::path& source) {
    BOOST_TEST_CONTEXT(source.string()) {
        const auto original = tokenizer::load_tokenizer(source);
        const test::temporary_folder folder;
        nn::model_info info;
        info.dims.vocab = original.size();
        formats::gguf_writer writer;
        writer.set("general.architecture", "llama");
        nn::write_tokenizer_metadata(source, info, writer);
        writer.write(folder / "a.gguf");
        same_ids(original, tokenizer::load_tokenizer(folder / "a.gguf"));

        fs::create_directory(folder / "hf");
        nn::write_tokenizer_folder(folder / "a.gguf", folder / "hf");
        BOOST_TEST(fs::exists(folder / "hf" / "tokenizer.json"));
        same_ids(original, tokenizer::load_tokenizer(folder / "hf"));
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(byte_level_tokenizers_survive) {
    check_both_ways(test::fixture("tokenizer/byte_level_gpt-2.gguf"));
    for (const auto* form : {"gpt2", "smollm", "llama3", "qwen2"}) {
        const test::temporary_folder folder;
        write_byte_level(folder.path(), form);
        write_file_atomically(folder / "chat_template.jinja", "{{ messages }}");
        check_both_ways(folder.path());
    }
    const test::temporary_folder folder;
    write_byte_level(folder.path(), "gpt4o");
    formats::gguf_writer writer;
    nn::model_info info;
    info.dims.vocab = 100000;
    BOOST_CHECK_THROW(nn::write_tokenizer_metadata(folder.path(), info, writer), config_error);
}

BOOST_AUTO_TEST_CASE(sentencepiece_tokenizers_survive) {
    check_both_ways(test::fixture("tokenizer/spm_bytes.gguf"));
    const test::temporary_folder folder;
    fs::copy(test::fixture("tokenizer/spm_bytes.model"), folder / "tokenizer.model");
    check_both_ways(folder.path());
}

BOOST_AUTO_TEST_CASE(folders_are_copied_file_by_file) {
    const test::temporary_folder from, to;
    for (const auto* name : {"tokenizer.json", "merges.txt", "chat_template.jinja", "model.safetensors"})
        write_file_atomically(from / name, name);
    nn::write_tokenizer_folder(from.path(), to.path());
    BOOST_TEST(read_file(to / "tokenizer.json") == "tokenizer.json");
    BOOST_TEST(read_file(to / "merges.txt") == "merges.txt");
    BOOST_TEST(read_file(to / "chat_template.jinja") == "chat_template.jinja");
    BOOST_TEST(!fs::exists(to / "model.safetensors"));
    nn::write_tokenizer_folder({}, to.path());
    nn::write_tokenizer_folder(to.path(), to.path());
    BOOST_TEST(read_file(to / "merges.txt") == "merges.txt");
}

BOOST_AUTO_TEST_CASE(a_short_token_list_is_filled_up_and_a_long_one_refused) {
    const test::temporary_folder bytes, out;
    write_byte_level(bytes.path(), "gpt2");
    for (const auto& source :
         {bytes.path(), test::fixture("tokenizer/byte_level_gpt-2.gguf"), test::fixture("tokenizer/spm_bytes.gguf")}) {
        BOOST_TEST_CONTEXT(source.string()) {
            const auto original = tokenizer::load_tokenizer(source);
            nn::model_info info;
            info.dims.vocab = original.size() + 5;
            formats::gguf_writer writer;
            writer.set("general.architecture", "llama");
            nn::write_tokenizer_metadata(source, info, writer);
            writer.write(out / "a.gguf");
            const formats::gguf_file written(out / "a.gguf");
            const auto tokens = written.strings("tokenizer.ggml.tokens");
            BOOST_REQUIRE(tokens.size() == info.dims.vocab);
            BOOST_TEST(tokens.back() == "[PAD" + std::to_string(info.dims.vocab - 1) + "]");
            const auto kinds = written.integers("tokenizer.ggml.token_type");
            BOOST_REQUIRE(kinds.size() == info.dims.vocab);
            BOOST_TEST(kinds.back() == static_cast<int>(tokenizer::token_kind::unused));
            if (written.contains("tokenizer.ggml.scores"))
                BOOST_TEST(written.floats("tokenizer.ggml.scores").size() == info.dims.vocab);
            same_ids(original, tokenizer::load_tokenizer(out / "a.gguf"));
            info.dims.vocab = original.size() - 1;
            const auto says = [&](const config_error& fault) {
                return std::string(fault.what()).find("the model's vocabulary " + std::to_string(info.dims.vocab)) !=
                       std::string::npos;
            };
            BOOST_CHECK_EXCEPTION(nn::write_tokenizer_metadata(source, info, writer), config_error, says);
        }
    }
}

BOOST_AUTO_TEST_CASE(special_tokens_are_appended_in_every_form) {
    const std::vector<std::string> special{"<|system|>", "<|user|>"};
    const test::temporary_folder bytes, pieces, out;
    write_byte_level(bytes.path(), "gpt2");
    fs::copy(test::fixture("tokenizer/spm_bytes.model"), pieces / "tokenizer.model");
    int number = 0;
    for (const auto& source : {bytes.path(), pieces.path(), test::fixture("tokenizer/byte_level_gpt-2.gguf"),
                               test::fixture("tokenizer/spm_bytes.gguf")}) {
        BOOST_TEST_CONTEXT(source.string()) {
            const auto size = tokenizer::load_tokenizer(source).size();
            const std::vector<token> expected{static_cast<token>(size), static_cast<token>(size + 1)};
            const auto check = [&](const fs::path& path) {
                const auto grown = tokenizer::load_tokenizer(path);
                BOOST_TEST(grown.size() == size + 2);
                BOOST_TEST(grown.encode("<|system|><|user|>", {.parse_special = true}) == expected,
                           boost::test_tools::per_element());
            };
            const auto file = out / (std::to_string(++number) + ".gguf"), folder = out / std::to_string(number);
            nn::model_info info;
            info.dims.vocab = size + 2;
            formats::gguf_writer writer;
            nn::write_tokenizer_metadata(source, info, writer, {.special_tokens = special});
            writer.write(file);
            check(file);
            fs::create_directory(folder);
            nn::write_tokenizer_folder(source, folder, {.special_tokens = special});
            check(folder);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
