#include "lab/nn/finite.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>

#include "lab/core/file.hpp"
#include "lab/core/rng.hpp"
#include "lab/nn/load.hpp"
#include "lab/nn/save.hpp"
#include "lab/nn/synthetic.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(finite_weights)

using namespace lab;

// Random bytes hold every kind of float; that only scales are looked at must make no difference.
BOOST_AUTO_TEST_CASE(a_block_is_refused_where_one_of_its_values_is_not_finite) {
    for (const dtype type : all_dtypes) {
        const std::size_t blocks = 4000, size = block_bytes(type), count = block_size(type);
        std::vector<std::byte> bytes(size);
        std::vector<float> values(count);
        counter_rng rng(static_cast<std::uint64_t>(type));
        std::size_t refused = 0;
        for (std::size_t b = 0; b < blocks; ++b) {
            for (auto& byte : bytes) byte = static_cast<std::byte>(rng.below(256));
            decode(type, bytes.data(), values.data(), count);
            bool expected = false;
            for (const float x : values) expected |= !std::isfinite(x);
            const bool found = !visit_format(type, [&](auto f) { return all_finite<decltype(f)>(bytes.data(), 1); });
            BOOST_TEST(found == expected, name_of(type));
            refused += found;
        }
        BOOST_TEST((refused > 0 && refused < blocks), name_of(type));
    }
}

BOOST_AUTO_TEST_CASE(the_first_of_a_models_weights_is_named_in_every_type) {
    for (const dtype type : {dtype::f16, dtype::bf16, dtype::q8_0, dtype::q4_1, dtype::q6_k}) {
        auto model = nn::make_synthetic(
            {.dim = 256, .layers = 1, .heads = 4, .kv_heads = 2, .head_dim = 64, .hidden = 512, .vocab = 300}, type,
            {.threads = 3, .pack = false});
        nn::require_finite(model);
        const auto& first = model.weights()[0];
        const std::size_t stride = first.data.row_stride();
        // The f16 scale begins a block, of q6_k it ends it; of floats any place is one.
        auto* bytes = const_cast<std::byte*>(first.data.data) + 299 * stride + (type == dtype::q6_k ? stride - 2 : 0);
        bytes[0] = bytes[1] = std::byte{0xff};
        const std::string place = "tensor '" + first.info.name + "', row 299, column ";
        const auto names_it = [&](const error& e) { return std::string(e.what()).find(place) != std::string::npos; };
        BOOST_CHECK_EXCEPTION(nn::require_finite(model), config_error, names_it);
    }
}

// Tensor and row of a weight that is finite, but would be so no more; whatever is there already stays.
BOOST_AUTO_TEST_CASE(a_weight_too_large_for_a_type_is_named_and_nothing_written) {
    const test::temporary_folder folder;
    const auto model = nn::make_synthetic(
        {.dim = 256, .layers = 1, .heads = 4, .kv_heads = 2, .head_dim = 64, .hidden = 512, .vocab = 300}, dtype::f32,
        {.threads = 3, .pack = false});
    const auto& weights = model.weights();
    const auto down = std::find_if(weights.begin(), weights.end(), [](auto& w) { return w.info.role == "ffn.down"; });
    BOOST_REQUIRE((down != weights.end()));
    const float large = 1e9f;
    std::memcpy(const_cast<std::byte*>(down->data.data) + 77 * down->data.row_stride() + 4 * 300, &large, 4);
    const auto out = folder / "out.gguf";
    write_file_atomically(out, "as it was");
    for (const dtype type : all_dtypes) {
        const auto save = [&] { nn::naming_tensors(model, [&] { nn::save_gguf(model, out, {.type = type}); }); };
        if (type == dtype::f32 || type == dtype::bf16) continue;
        const auto says = [&](const config_error& e) {
            const std::string place = "tensor '" + down->info.name + "', row 77, column 300 is 1e+09, too large for " +
                                      std::string(name_of(type)) + " (store it as bf16 or f32)";
            return std::string(e.what()).find(place) != std::string::npos;
        };
        BOOST_CHECK_EXCEPTION(save(), config_error, says);
        BOOST_TEST(read_file(out) == "as it was");
    }
    nn::save_gguf(model, out, {.type = dtype::bf16});
    nn::require_finite(nn::load_model(out, {.threads = 1, .pack = false}));
}

BOOST_AUTO_TEST_SUITE_END()
