// Random weights that a file could have held: finite, centred, of the asked type, the same on any number of threads.
#include "lab/nn/synthetic.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <set>
#include <vector>

#include "lab/nn/batch_builder.hpp"

BOOST_AUTO_TEST_SUITE(nn_synthetic)

namespace {

using namespace lab;

constexpr nn::runtime_dims small{
    .dim = 256, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 64, .hidden = 512, .vocab = 300};

nn::any_model make(dtype type, std::size_t threads = 1, std::uint64_t seed = 0, nn::runtime_dims d = small) {
    return nn::make_synthetic(d, type, {.threads = threads}, seed);
}
std::vector<float> values(const nn::named_weight& w) {
    std::vector<float> out(w.info.size());
    decode(w.data.type, w.data.data, out.data(), out.size());
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(weights_of_every_type_are_centred_and_small) {
    for (const dtype type : all_dtypes) {
        const auto model = make(type);
        for (const auto& w : model.weights()) {
            const auto x = values(w);
            if (w.info.rank == 1) {
                for (const float gain : x) BOOST_TEST(gain == 1.0f);
                continue;
            }
            BOOST_TEST((w.data.type == type), w.info.name);
            double sum = 0, squares = 0;
            for (const float v : x) {
                sum += static_cast<double>(v);
                squares += static_cast<double>(v) * static_cast<double>(v);
            }
            const double n = static_cast<double>(x.size()), deviation = std::sqrt(squares / n);
            BOOST_TEST(std::abs(deviation - 0.02) < 0.005, name_of(type) << " " << w.info.name << " " << deviation);
            // Five deviations of the mean; a q8_0 or q4_0 level is half a step below the middle on average.
            BOOST_TEST(std::abs(sum / n) < 0.003 + 5 * deviation / std::sqrt(n / 64), name_of(type) << " " << sum / n);
        }
    }
}

BOOST_AUTO_TEST_CASE(it_runs_and_threads_do_not_change_it) {
    for (const dtype type : all_dtypes) {
        std::vector<float> first;
        for (const std::size_t threads : {1u, 3u}) {
            auto model = make(type, threads);
            auto cache = model.make_cache();
            const auto sequence = cache.create();
            nn::batch_builder batch;
            batch.add(std::vector<token>{1, 299, 7});
            const std::vector<std::uint32_t> rows{2};
            const auto logits = model.forward(batch.get(), cache, std::span(&sequence, 1), rows).flat();
            for (const float x : logits) BOOST_REQUIRE(std::isfinite(x));
            if (first.empty()) first.assign(logits.begin(), logits.end());
            BOOST_TEST(std::equal(first.begin(), first.end(), logits.begin()), name_of(type));
        }
    }
}

BOOST_AUTO_TEST_CASE(the_seed_chooses_the_weights) {
    const auto a = make(dtype::q4_0), b = make(dtype::q4_0, 2), c = make(dtype::q4_0, 1, 1);
    const auto bytes = [](const nn::any_model& model, std::size_t i) {
        const auto& m = model.weights()[i].data;
        return std::string_view(reinterpret_cast<const char*>(m.data), m.rows * m.row_stride());
    };
    BOOST_TEST((bytes(a, 0) == bytes(b, 0)));
    BOOST_TEST((bytes(a, 0) != bytes(c, 0)));
    // Tensors of the same shape differ too: gate and up.
    const auto weights = a.weights();
    for (std::size_t i = 1; i < weights.size(); ++i)
        if (weights[i].info.rank == 2 && weights[i].info.size() == weights[i - 1].info.size())
            BOOST_TEST((bytes(a, i) != bytes(a, i - 1)), weights[i].info.name);
}

BOOST_AUTO_TEST_CASE(rows_that_are_no_whole_blocks_fall_back) {
    auto d = small;
    d.dim = 96, d.hidden = 160;
    const auto type_of = [&](dtype type) { return make(type, 1, 0, d).weights()[0].data.type; };
    BOOST_TEST((type_of(dtype::q4_k) == dtype::q5_0));
    BOOST_TEST((type_of(dtype::q5_k) == dtype::q5_1));
    BOOST_TEST((type_of(dtype::q6_k) == dtype::q8_0));
    BOOST_TEST((type_of(dtype::q4_0) == dtype::q4_0));
    d.dim = 36;
    BOOST_TEST((type_of(dtype::q4_k) == dtype::f16));
    BOOST_TEST((type_of(dtype::q8_0) == dtype::f16));
}

BOOST_AUTO_TEST_CASE(it_can_be_expanded_and_tied) {
    auto d = small;
    d.tied = true;
    auto model = nn::make_trainable_synthetic(d, dtype::q4_k, {.threads = 1});
    const auto stored = values(make(dtype::q4_k, 1, 0, d).weights()[0]);
    BOOST_TEST(model.weights().back().info.role == "norm");
    BOOST_TEST(std::equal(stored.begin(), stored.end(), model.parameters().begin()));
}

BOOST_AUTO_TEST_CASE(a_window_makes_a_mistral_and_experts_make_a_mixtral) {
    auto d = small;
    BOOST_TEST(make(dtype::q4_0, 1, 0, d).info().family == "llama");
    d.window = 64;
    BOOST_TEST(make(dtype::q4_0, 1, 0, d).info().family == "mistral");
    d.experts = 4, d.experts_per_token = 2;
    const auto model = make(dtype::q4_0, 1, 0, d);
    BOOST_TEST(model.info().family == "mixtral");
    BOOST_TEST((model.dims() == d));
    std::set<std::vector<float>> experts;
    for (const auto& w : model.weights()) {
        BOOST_TEST((w.data.type == (w.info.rank == 1 || w.info.role == "router" ? dtype::f32 : dtype::q4_0)),
                   w.info.name);
        if (w.info.expert != nn::tensor_info::no_index) BOOST_TEST(experts.insert(values(w)).second, w.info.name);
    }
    BOOST_TEST(experts.size() == d.layers * d.experts * 3);
    BOOST_TEST(nn::make_trainable_synthetic(d, dtype::f32, {.threads = 1}).parameter_count() ==
               model.parameter_count());
}

BOOST_AUTO_TEST_CASE(contradicting_sizes_are_refused) {
    auto d = small;
    d.kv_heads = 3;
    BOOST_CHECK_THROW(make(dtype::f32, 1, 0, d), config_error);
    d = small, d.experts = 4;
    BOOST_CHECK_THROW(make(dtype::f32, 1, 0, d), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
