#include "lab/tokenizer/load_gguf.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "lab/formats/gguf_writer.hpp"
#include "vocabularies.hpp"

BOOST_AUTO_TEST_SUITE(load_gguf)

namespace lt = lab::tokenizer;
using lab::test::refuses;
using writer = lab::formats::gguf_writer;

namespace {

writer copy_of_fixture() {
    const lab::formats::gguf_file source(lab::test::fixture("tokenizer/byte_level_gpt-2.gguf"));
    writer out;
    for (const auto& [key, value] : source.metadata()) out.set(key, value);
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(gguf_metadata_is_checked) {
    const lab::test::temporary_folder folder;
    const auto variant = [&](const std::function<void(writer&)>& change) {
        auto w = copy_of_fixture();
        change(w);
        const auto path = folder / "v.gguf";
        w.write(path);
        return [path] { (void)lt::read_gguf_vocabulary(lab::formats::gguf_file(path)); };
    };
    refuses<lab::config_error>(variant([](writer& w) { w.set("tokenizer.ggml.model", "bert"); }), "bert");
    refuses<lab::config_error>(variant([](writer& w) { w.set("tokenizer.ggml.pre", "martian"); }), "martian");
    refuses<lab::format_error>(variant([](writer& w) { w.erase("tokenizer.ggml.model"); }), "tokenizer.ggml.model");
    refuses<lab::format_error>(variant([](writer& w) { w.erase("tokenizer.ggml.tokens"); }), "tokens");
    refuses<lab::format_error>(variant([](writer& w) { w.erase("tokenizer.ggml.merges"); }), "merges");
    refuses<lab::format_error>(variant([](writer& w) { w.set("tokenizer.ggml.eos_token_id", std::uint32_t{9999}); }),
                               "9999");
    refuses<lab::format_error>(variant([](writer& w) {
                                   w.set_array("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 2});
                               }),
                               "token_type");
    refuses<lab::format_error>(variant([](writer& w) {
                                   w.set_array("tokenizer.ggml.merges", std::vector<std::string>{"a b", "ab"});
                               }),
                               "merges[1]");
    refuses<lab::format_error>(variant([](writer& w) { w.set("tokenizer.ggml.model", "llama"); }), "scores");
    // Unknown merge parts and odd types do no harm.
    auto odd = copy_of_fixture();
    odd.set_array("tokenizer.ggml.merges", std::vector<std::string>{"zz yy", "a b"});
    odd.erase("tokenizer.ggml.token_type");
    odd.write(folder / "odd.gguf");
    const auto t = lab::test::load_tokenizer_file(folder / "odd.gguf");
    BOOST_TEST(t.decode(t.encode("zzyy ab")) == "zzyy ab");
}

BOOST_AUTO_TEST_SUITE_END()

void lab::test::write_gguf_fixture(const std::filesystem::path& path, const std::string& pre) {
    formats::gguf_writer w = load_gguf::copy_of_fixture();
    w.set("tokenizer.ggml.pre", pre);
    w.write(path);
}
