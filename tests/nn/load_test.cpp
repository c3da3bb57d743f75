// What load_model refuses, and how it says so. Correct loading is parity_test's business.
#include "lab/nn/load.hpp"
#include "lab/nn/load_trainable.hpp"

#include <boost/test/unit_test.hpp>
#include <functional>

#include "lab/core/file.hpp"
#include "lab/core/rng.hpp"
#include "lab/formats/gguf.hpp"
#include "lab/formats/gguf_writer.hpp"
#include "lab/formats/json.hpp"
#include "lab/formats/safetensors.hpp"
#include "lab/formats/safetensors_writer.hpp"
#include "lab/nn/batch_builder.hpp"
#include "lab/nn/save.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(load)

namespace {

using namespace lab;

/// A copy of the llama fixture as GGUF, changed by `edit`.
struct edited_gguf {
    template <class Edit>
    explicit edited_gguf(Edit edit, const char* model = "llama") {
        nn::save_gguf(nn::load_model(test::fixture("nn") / model, {.threads = 1}), folder / "good.gguf");
        const formats::gguf_file good(folder / "good.gguf");
        formats::gguf_writer writer;
        for (const auto& entry : good.metadata()) writer.set(entry.key, entry.value);
        std::vector<formats::stored_tensor> tensors(good.tensors().begin(), good.tensors().end());
        edit(writer, tensors);
        for (const auto& t : tensors) writer.add(formats::outgoing_tensor::of(t.name, t.type, t.shape, t.bytes));
        writer.write(folder / "bad.gguf");
    }
    test::temporary_folder folder;
    [[nodiscard]] std::string message() const {
        try {
            static_cast<void>(nn::load_model(folder / "bad.gguf", {.threads = 1}));
        } catch (const error& e) {
            return e.what();
        }
        return "loaded";
    }
};
using tensors = std::vector<formats::stored_tensor>;

void contains(const std::string& text, std::initializer_list<const char*> parts) {
    for (const auto* part : parts)
        BOOST_TEST(text.find(part) != text.npos, "'" << text << "' does not contain '" << part << "'");
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_unchanged_copy_loads) {
    BOOST_TEST(edited_gguf([](auto&, auto&) {}).message() == "loaded");
}

BOOST_AUTO_TEST_CASE(tensors_must_be_there_and_fit) {
    contains(edited_gguf([](auto&, tensors& t) {
                 std::erase_if(t, [](auto& x) { return x.name == "blk.1.ffn_up.weight"; });
             }).message(),
             {"bad.gguf", "blk.1.ffn_up.weight", "missing"});
    contains(edited_gguf([](auto&, tensors& t) {
                 for (auto& x : t)
                     if (x.name == "blk.0.attn_k.weight") std::swap(x.shape[0], x.shape[1]);
             }).message(),
             {"bad.gguf", "blk.0.attn_k.weight", "[32, 24]", "[24, 32]"});
    contains(edited_gguf([](auto&, tensors& t) {
                 t.push_back(t.front());
                 t.back().name = "blk.0.attn_q.bias";
             }).message(),
             {"bad.gguf", "does not use", "blk.0.attn_q.bias"});
}

BOOST_AUTO_TEST_CASE(sizes_that_do_not_fit_the_tensors_are_refused) {
    const auto set = [](const char* key, std::uint32_t value) {
        return edited_gguf([&](formats::gguf_writer& w, auto&) { w.set(std::string("llama.") + key, value); })
            .message();
    };
    contains(set("block_count", 1), {"does not use", "blk.1."});
    contains(set("block_count", 3), {"blk.2.attn_norm.weight", "missing"});
    contains(set("block_count", 1000), {"1000 layers"});
    contains(set("block_count", 0xffffffffu), {"layer count"});
    contains(set("embedding_length", 64), {"token_embd.weight", "[64, 32]", "[64, 64]"});
    contains(set("embedding_length", 0), {"embedding width"});
    contains(set("attention.head_count", 0), {"head count"});
    contains(set("attention.head_count_kv", 3), {"multiple"});
    contains(set("attention.key_length", 7), {"value size"});
    contains(set("feed_forward_length", 0x7fffffffu), {"feed-forward width"});
    contains(set("expert_count", 4), {"experts per token"});
    contains(set("rope.dimension_count", 6), {"rotating"});
}

BOOST_AUTO_TEST_CASE(arithmetic_that_is_not_here_is_refused) {
    contains(edited_gguf([](formats::gguf_writer& w, auto&) { w.set("general.architecture", "gemma"); }).message(),
             {"gemma", "llama"});
    contains(edited_gguf([](formats::gguf_writer& w, auto&) { w.set("llama.rope.scaling.type", "yarn"); }).message(),
             {"yarn"});
    contains(edited_gguf([](formats::gguf_writer& w, auto&) {
                 w.set("llama.attention.layer_norm_rms_epsilon", 0.0f);
             }).message(),
             {"epsilon"});
    contains(edited_gguf([](formats::gguf_writer& w, auto&) { w.erase("llama.block_count"); }).message(),
             {"llama.block_count", "missing"});
    static const float factors[6] = {1, 1, 1, 2, 2, 2}, ones[6] = {1, 1, 1, 1, 1, 1};
    const auto with_factors = [](std::span<const float> values) {
        return edited_gguf([&](auto&, tensors& t) {
                   t.push_back({"rope_freqs.weight", dtype::f32, {6}, std::as_bytes(values)});
               })
            .message();
    };
    contains(with_factors(factors), {"rope_freqs.weight"});
    BOOST_TEST(with_factors(ones) == "loaded");

    const auto config = [](const char* key, formats::json value) {
        const test::temporary_folder folder;
        auto object = formats::parse_json(read_file(test::fixture("nn") / "llama" / "config.json"), "config");
        object[key] = std::move(value);
        write_file_atomically(folder / "config.json", formats::to_text(object));
        std::filesystem::copy(test::fixture("nn") / "llama" / "model.safetensors", folder / "model.safetensors");
        try {
            static_cast<void>(nn::load_model(folder.path(), {.threads = 1}));
        } catch (const error& e) {
            return std::string(e.what());
        }
        return std::string("loaded");
    };
    BOOST_TEST(config("unknown_field", 1) == "loaded");
    contains(config("model_type", "qwen2"), {"qwen2", "config.json"});
    contains(config("hidden_act", "gelu"), {"gelu"});
    contains(config("attention_bias", true), {"biases"});
    contains(config("num_hidden_layers", 100), {"100 layers"});
    contains(config("rope_parameters", {{"rope_type", "llama3"}, {"factor", 8.0}, {"rope_theta", 1e4}}), {"llama3"});
    contains(config("vocab_size", 65), {"model.embed_tokens.weight", "[64, 32]", "[65, 32]"});
}

BOOST_AUTO_TEST_CASE(damaged_headers_give_a_clear_error_or_a_model) {
    const test::temporary_folder folder;
    nn::save_gguf(nn::load_model(test::fixture("nn") / "mixtral", {.threads = 1}), folder / "good.gguf");
    const std::string good = read_file(folder / "good.gguf");
    const std::size_t header = good.find("output_norm.weight");
    counter_rng rng(1);
    std::size_t loaded = 0, refused = 0;
    auto pool = std::make_shared<thread_pool>(1);
    for (int i = 0; i < 300; ++i) {
        std::string bad = good;
        for (std::uint64_t flips = 1 + rng.below(3); flips > 0; --flips)
            bad[static_cast<std::size_t>(rng.below(header))] = static_cast<char>(rng.below(256));
        if (i % 10 == 0) bad.resize(static_cast<std::size_t>(rng.below(bad.size())));
        write_file_atomically(folder / "bad.gguf", bad);
        try {
            auto model = nn::load_model(folder / "bad.gguf", {.pool = pool});
            auto cache = model.make_cache();
            nn::batch_builder batch;
            batch.add(std::vector<token>{0, 1, 2});
            model.forward(batch.get(), cache, std::vector{cache.create()}, std::vector<std::uint32_t>{2});
            ++loaded;
        } catch (const error& e) {
            BOOST_TEST(!std::string(e.what()).empty());
            ++refused;
        }
    }
    BOOST_TEST(loaded > 0u);
    BOOST_TEST(refused > 0u);
}

BOOST_AUTO_TEST_CASE(experts_in_old_files_are_found_one_by_one) {
    const edited_gguf old(
        [](auto&, tensors& t) {
            tensors split;
            for (const auto& x : t) {
                const auto at = x.name.find("_exps");
                if (at == x.name.npos) {
                    split.push_back(x);
                    continue;
                }
                const std::size_t experts = x.shape[0], bytes = x.bytes.size() / experts;
                for (std::size_t e = 0; e < experts; ++e)
                    split.push_back({x.name.substr(0, at) + "." + std::to_string(e) + ".weight",
                                     x.type,
                                     {x.shape[1], x.shape[2]},
                                     x.bytes.subspan(e * bytes, bytes)});
            }
            t = split;
        },
        "mixtral");
    const auto a = nn::load_model(old.folder / "good.gguf", {.threads = 1}),
               b = nn::load_model(old.folder / "bad.gguf", {.threads = 1});
    BOOST_TEST(a.info().family == "mixtral");
    BOOST_REQUIRE(a.weights().size() == b.weights().size());
    for (std::size_t i = 0; i < a.weights().size(); ++i) {
        const auto &x = a.weights()[i].data, &y = b.weights()[i].data;
        BOOST_TEST(std::equal(x.data, x.data + x.rows * x.row_stride(), y.data));
    }
}

BOOST_AUTO_TEST_CASE(a_vocabulary_can_grow) {
    for (const auto* name : {"llama", "llama_tied_bf16"}) {
        const auto path = test::fixture("nn") / name;
        auto plain = nn::load_trainable(path, {.threads = 1});
        auto grown = nn::load_trainable(path, {.threads = 1, .extra_tokens = 2});
        BOOST_TEST(grown.dims().vocab == 66u);
        const std::size_t dim = plain.dims().dim;
        BOOST_TEST(grown.parameter_count() - plain.parameter_count() == (plain.dims().tied ? 2 : 4) * dim);
        double mean = 0;
        for (std::size_t r = 0; r < 64; ++r) mean += static_cast<double>(plain.parameters()[r * dim]) / 64;
        BOOST_TEST(grown.parameters()[64 * dim] == static_cast<float>(mean), boost::test_tools::tolerance(1e-5f));
        BOOST_TEST(grown.parameters()[65 * dim] == grown.parameters()[64 * dim]);
        BOOST_TEST(grown.parameters()[63 * dim + 1] == plain.parameters()[63 * dim + 1]);
        const auto inferring = nn::load_model(path, {.threads = 1, .extra_tokens = 2});
        BOOST_TEST((inferring.weights()[0].data.type == dtype::f32));
        const auto table = reinterpret_cast<const float*>(inferring.weights()[0].data.data);
        BOOST_TEST(std::equal(table, table + 66 * dim, grown.parameters().begin()));
    }
}

BOOST_AUTO_TEST_CASE(a_file_of_a_folder_stands_for_the_folder) {
    BOOST_TEST(nn::load_model(test::fixture("nn") / "llama" / "model.safetensors", {.threads = 1}).info().family ==
               "llama");
}

BOOST_AUTO_TEST_CASE(matrices_can_be_held_in_another_type) {
    const auto f32 = nn::load_model(test::fixture("nn") / "llama", {.threads = 1});
    const auto bf16 = nn::load_model(test::fixture("nn") / "llama", {.expand = dtype::bf16, .threads = 1});
    for (std::size_t i = 0; i < f32.weights().size(); ++i) {
        const auto &a = f32.weights()[i], &b = bf16.weights()[i];
        BOOST_TEST(a.info.name == b.info.name);
        BOOST_TEST((b.data.type == (b.info.rank == 1 ? dtype::f32 : dtype::bf16)));
        float x = 0, y = 0;
        decode(a.data.type, a.data.data, &x, 1);
        decode(b.data.type, b.data.data, &y, 1);
        BOOST_TEST(x == y, boost::test_tools::tolerance(0.01f));
    }
    // Rows of 48 are not whole blocks of 32 and stay as they are; rows of 32 are converted.
    const auto q8 = nn::load_model(test::fixture("nn") / "llama", {.expand = dtype::q8_0, .threads = 1});
    for (const auto& w : q8.weights())
        BOOST_TEST((w.data.type == (w.info.rank == 2 && w.info.columns % 32 == 0 ? dtype::q8_0 : dtype::f32)));
    BOOST_CHECK_THROW(void(nn::load_model(test::fixture("nn") / "nowhere")), io_error);
}

BOOST_AUTO_TEST_SUITE_END()
