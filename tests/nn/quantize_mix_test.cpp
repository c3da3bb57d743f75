#include "lab/nn/quantize_mix.hpp"

#include <boost/test/unit_test.hpp>

#include "lab/nn/arch.hpp"
#include "lab/nn/load.hpp"
#include "lab/nn/save.hpp"
#include "lab/nn/synthetic.hpp"
#include "lab/nn/weights.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(quantize_mix)

using namespace lab;

namespace {

/// Types by role, a letter a layer: the base type '.', more bits '+'.
std::string pattern(const nn::quantize_mix& mix, const nn::runtime_dims& d, std::string_view role) {
    std::string letters;
    for (const auto& info : nn::describe_tensors<nn::arch::llama>(d))
        if (info.role == role)
            letters += nn::mixed_type(mix, info, d) == nn::storable(mix.base, info.columns) ? '.' : '+';
    return letters;
}

}  // namespace

BOOST_AUTO_TEST_CASE(layers_with_more_bits_are_those_of_llama_quantize) {
    // As llama-quantize (build 11434) chose for SmolLM2-135M, 30 layers, Q4_K_M; with rows of 768 nothing falls back.
    const nn::runtime_dims d{.dim = 768,
                             .layers = 30,
                             .heads = 12,
                             .kv_heads = 12,
                             .head_dim = 64,
                             .hidden = 1536,
                             .vocab = 100,
                             .tied = true};
    const auto mix = nn::mix_from_name("q4_k_m");
    BOOST_TEST(pattern(mix, d, "attention.v") == "+++..+..+..+..+..+..+..+..++++");
    BOOST_TEST(pattern(mix, d, "ffn.down") == "+++..+..+..+..+..+..+..+..++++");
    BOOST_TEST(pattern(mix, d, "attention.q") == std::string(30, '.'));
    BOOST_TEST(pattern(nn::mix_from_name("q4_k"), d, "attention.v") == std::string(30, '.'));
    for (const auto& info : nn::describe_tensors<nn::arch::llama>(d)) {
        if (info.role == "embedding")
            BOOST_TEST((nn::mixed_type(mix, info, d) == dtype::q6_k));  // the head of a tied model
        if (info.rank == 1) BOOST_TEST((nn::mixed_type(mix, info, d) == dtype::f32));
    }
}

// All as llama-quantize (build 11434) chose for random models of these sizes, Q4_K_S and Q5_K_S for q4_k and q5_k.
BOOST_AUTO_TEST_CASE(attention_of_eight_experts_gets_more_bits_as_in_llama_quantize) {
    nn::runtime_dims d{.dim = 256,
                       .layers = 8,
                       .heads = 4,
                       .kv_heads = 2,
                       .head_dim = 64,
                       .hidden = 512,
                       .vocab = 320,
                       .experts = 8,
                       .experts_per_token = 2};
    const auto type_of = [&](const nn::quantize_mix& mix, std::string_view role, std::size_t layer) {
        for (const auto& info : nn::describe_tensors<nn::arch::mixtral>(d))
            if (info.role == role && info.layer == layer) return nn::mixed_type(mix, info, d);
        throw config_error("no such tensor");
    };
    for (const auto& mix : nn::quantize_mixes) {
        BOOST_TEST_CONTEXT(mix.name) {
            const bool blocks = block_size(mix.base) > 1;
            for (const std::size_t layer : {0, 1, 4}) {  // 1 and 4 have more bits elsewhere
                for (const auto* role : {"attention.k", "attention.v"})
                    BOOST_TEST((type_of(mix, role, layer) == (blocks ? dtype::q8_0 : mix.base)), role);
                BOOST_TEST(
                    (type_of(mix, "attention.output", layer) == (mix.base == dtype::q4_k ? dtype::q5_k : mix.base)));
                for (const auto* role : {"attention.q", "expert.gate", "expert.up"})
                    BOOST_TEST((type_of(mix, role, layer) == mix.base), role);
                BOOST_TEST((type_of(mix, "router", layer) == dtype::f32));
            }
        }
    }
    const auto letters = [&](std::string_view role) {
        std::string more;
        for (std::size_t layer = 0; layer < d.layers; ++layer)
            more += type_of(nn::mix_from_name("q4_k_m"), role, layer) == dtype::q6_k ? '+' : '.';
        return more;
    };
    BOOST_TEST(letters("expert.down") == "+..+..++");
    d.experts = 4;  // no other number is like it
    BOOST_TEST(letters("attention.v") == "+..+..++");
    BOOST_TEST((type_of(nn::mix_from_name("q4_k_m"), "attention.k", 0) == dtype::q4_k));
    BOOST_TEST((type_of(nn::mix_from_name("q4_k_m"), "attention.output", 0) == dtype::q4_k));
}

BOOST_AUTO_TEST_CASE(values_of_eighty_layers_have_no_four_bits_as_in_llama_quantize) {
    const nn::runtime_dims d{
        .dim = 256, .layers = 80, .heads = 4, .kv_heads = 2, .head_dim = 64, .hidden = 256, .vocab = 320};
    for (const auto* name : {"q4_k_m", "q4_k", "q5_k_m", "q4_0"}) {
        const auto mix = nn::mix_from_name(name);
        for (const auto& info : nn::describe_tensors<nn::arch::llama>(d)) {
            if (info.role != "attention.v") continue;
            const bool more = info.layer < 10 || info.layer >= 70 || (info.layer - 10) % 3 == 2;
            const dtype type = more ? mix.more : mix.base;
            BOOST_TEST((nn::mixed_type(mix, info, d) == (type == dtype::q4_k ? dtype::q5_k : type)),
                       name << " in layer " << info.layer);
        }
    }
}

BOOST_AUTO_TEST_CASE(rows_that_are_no_whole_blocks_fall_back) {
    BOOST_TEST((nn::storable(dtype::q4_k, 576) == dtype::q5_0));
    BOOST_TEST((nn::storable(dtype::q5_k, 576) == dtype::q5_1));
    BOOST_TEST((nn::storable(dtype::q6_k, 576) == dtype::q8_0));
    BOOST_TEST((nn::storable(dtype::q6_k, 512) == dtype::q6_k));
    BOOST_TEST((nn::storable(dtype::q4_0, 33) == dtype::f16));
    BOOST_CHECK_THROW(static_cast<void>(nn::mix_from_name("q3_k_m")), config_error);
}

BOOST_AUTO_TEST_CASE(a_file_of_one_type_falls_back_as_a_mixture_does) {
    const test::temporary_folder folder;
    const nn::runtime_dims d{
        .dim = 96, .layers = 1, .heads = 2, .kv_heads = 2, .head_dim = 48, .hidden = 256, .vocab = 20};
    const auto model = nn::make_synthetic(d, dtype::f32, {.threads = 1, .pack = false});
    for (const auto& [type, fallback] : {std::pair{dtype::q4_k, dtype::q5_0},
                                         {dtype::q5_k, dtype::q5_1},
                                         {dtype::q6_k, dtype::q8_0},
                                         {dtype::q4_0, dtype::q4_0}}) {
        nn::save_gguf(model, folder / "saved.gguf", {.type = type});
        const auto saved = nn::load_model(folder / "saved.gguf", {.threads = 1, .pack = false});
        for (const auto& w : saved.weights())
            BOOST_TEST((w.data.type == (w.info.rank == 1            ? dtype::f32
                                        : w.info.columns % 256 == 0 ? type
                                                                    : fallback)),
                       w.info.name << " as " << name_of(type) << ": " << name_of(w.data.type));
    }
}

BOOST_AUTO_TEST_SUITE_END()
