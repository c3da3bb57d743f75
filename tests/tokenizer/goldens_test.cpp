// Ids equal, token for token, to those of the peers (tests/goldens/tokenizer_goldens.py): on the fixtures always, on
// real vocabularies and texts where they are at hand.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "vocabularies.hpp"

BOOST_AUTO_TEST_SUITE(tokenizer_goldens)

namespace lt = lab::tokenizer;
namespace fs = std::filesystem;
using lab::formats::json;
using lab::test::fixture;
using ids = std::vector<lab::token>;

namespace {

json read_golden(const std::string& name) {
    const auto path = fixture("tokenizer/" + name);
    return lab::formats::parse_json(lab::read_file(path), path.string());
}

std::vector<std::string> cases() {
    const json goldens = read_golden("goldens.json");
    std::vector<std::string> out;
    for (const json& c : goldens.at("cases")) {
        if (c.contains("text")) {
            out.push_back(c.at("text").get<std::string>());
            continue;
        }
        std::string bytes;
        const auto hex = c.at("hex").get<std::string>();
        for (std::size_t i = 0; i < hex.size(); i += 2)
            bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
        out.push_back(bytes);
    }
    return out;
}

// A fixture by its name in the goldens: "file.json#form" is a tokenizer.json with the form's fields put over the common
// ones; "byte_level_PRE.gguf" is the one GGUF fixture under another pre-tokenizer name.
lt::tokenizer load_fixture(const std::string& name, const lab::test::temporary_folder& folder) {
    if (const auto hash = name.find('#'); hash != name.npos) {
        const json file = read_golden(name.substr(0, hash));
        json whole = file.at("tokenizer");
        json form = file.at("forms").at(name.substr(hash + 1));
        whole["model"]["ignore_merges"] = form.value("ignore_merges", false);
        form.erase("ignore_merges");
        whole.update(form);
        lab::write_file_atomically(folder / "tokenizer.json", whole.dump());
        return lab::test::load_tokenizer_file(folder.path());
    }
    constexpr std::string_view head = "byte_level_";
    if (!name.starts_with(head)) return lab::test::load_tokenizer_file(fixture("tokenizer/" + name));
    lab::test::write_gguf_fixture(folder / "vocabulary.gguf", name.substr(head.size(), name.size() - head.size() - 5));
    return lab::test::load_tokenizer_file(folder / "vocabulary.gguf");
}

void check_equal(const ids& got, const json& expected) {
    BOOST_TEST(got == expected.get<ids>(), boost::test_tools::per_element());
}

void compare(const lt::tokenizer& t, const std::string& name, const json& golden) {
    const auto texts = cases();
    BOOST_TEST_REQUIRE(golden.at("plain").size() == texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const json& plain = golden.at("plain")[i];
        if (plain.is_null()) continue;  // the peer takes no broken UTF-8
        BOOST_TEST_CONTEXT(name << ", case " << i << " '" << texts[i] << "'") {
            check_equal(t.encode(texts[i]), plain);
            if (!golden.contains("special")) continue;
            const json& special = golden.at("special").value(std::to_string(i), plain);
            check_equal(t.encode(texts[i], {.parse_special = true}), special);
        }
    }
}

// The default model: $LAB_TEST_MODEL, or a file of that name in lab's cache.
fs::path default_model(const std::string& name) {
    if (const char* chosen = std::getenv("LAB_TEST_MODEL"); chosen != nullptr && fs::path(chosen).filename() == name)
        return chosen;
    const char* cache = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    const fs::path folder =
        cache != nullptr && *cache != '\0' ? fs::path(cache) : fs::path(home != nullptr ? home : "") / ".cache";
    return fs::exists(folder / "lab" / name) ? folder / "lab" / name : fs::path{};
}

fs::path real_vocabulary(const std::string& name) {
    if (name.starts_with("shared:")) return lab::test::shared_data(name.substr(7));
    return default_model(name.substr(name.find(':') + 1));
}

std::uint64_t fnv(const ids& tokens) {
    std::uint64_t value = 0xCBF29CE484222325ULL;
    for (const lab::token t : tokens)
        for (unsigned shift = 0; shift < 32; shift += 8)
            value = (value ^ (static_cast<std::uint32_t>(t) >> shift & 255U)) * 0x100000001B3ULL;
    return value;
}

struct needs_model {
    boost::test_tools::assertion_result operator()(boost::unit_test::test_unit_id) const {
        boost::test_tools::assertion_result present(!default_model("SmolLM2-135M-Instruct.Q4_1.gguf").empty());
        present.message() << "the default model is neither $LAB_TEST_MODEL nor in the cache";
        return present;
    }
};

void compare_real(const std::string& prefix) {
    const json goldens = read_golden("goldens_shared.json");
    for (const auto& [name, golden] : goldens.at("ids").items()) {
        if (!name.starts_with(prefix)) continue;
        const auto path = real_vocabulary(name);
        BOOST_TEST_REQUIRE(!path.empty(), name << " is absent");
        const auto t = lab::test::load_tokenizer_file(path);
        compare(t, name, golden);
        for (const auto& [file, expected] : goldens.at("files").at(name).items()) {
            const auto text = lab::test::shared_data(file);
            if (text.empty()) continue;
            const auto tokens = t.encode(lab::read_file(text));
            BOOST_TEST_CONTEXT(name << " on " << file) {
                BOOST_TEST(tokens.size() == expected[0].get<std::size_t>());
                BOOST_TEST(fnv(tokens) == std::stoull(expected[1].get<std::string>(), nullptr, 16));
            }
        }
    }
}

// llama.cpp's own vectors: cases in .inp, one line of ids for each in .out.
void compare_vectors(const std::string& vocabulary) {
    const auto path = lab::test::shared_data(vocabulary);
    const auto t = lab::test::load_tokenizer_file(path);
    const std::string inputs = lab::read_file(path.string() + ".inp");
    std::istringstream outputs(lab::read_file(path.string() + ".out"));
    constexpr std::string_view mark = "\n__ggml_vocab_test__\n";
    std::size_t count = 0;
    for (std::size_t at = 0; at < inputs.size(); ++count) {
        const std::size_t end = std::min(inputs.find(mark, at), inputs.size());
        std::string line;
        if (!std::getline(outputs, line)) break;
        std::istringstream numbers(line);
        ids expected;
        for (lab::token id = 0; numbers >> id;) expected.push_back(id);
        BOOST_TEST_CONTEXT("case " << count)
        check_equal(t.encode(std::string_view(inputs).substr(at, end - at)), expected);
        at = end + mark.size();
    }
    BOOST_TEST(count > 40U);
}

}  // namespace

BOOST_AUTO_TEST_CASE(fixtures) {
    const json goldens = read_golden("goldens.json");
    BOOST_TEST(goldens.at("ids").size() >= 19U);
    for (const auto& [name, golden] : goldens.at("ids").items()) {
        const lab::test::temporary_folder folder;
        compare(load_fixture(name, folder), name, golden);
    }
}

BOOST_AUTO_TEST_CASE(real_vocabularies, *boost::unit_test::precondition(lab::test::needs("tokenizers"))) {
    compare_real("shared:");
}

BOOST_AUTO_TEST_CASE(default_model_vocabulary, *boost::unit_test::precondition(needs_model())) {
    compare_real("model:");
}

BOOST_AUTO_TEST_CASE(llama_cpp_vectors, *boost::unit_test::precondition(lab::test::needs("tokenizers/ggml"))) {
    compare_vectors("tokenizers/ggml/ggml-vocab-gpt-2.gguf");
    compare_vectors("tokenizers/ggml/ggml-vocab-llama-spm.gguf");
}

BOOST_AUTO_TEST_SUITE_END()
