#include "lab/kernels/panel_products.hpp"

#include "kernels/support.hpp"

BOOST_AUTO_TEST_SUITE(panel_products)

using namespace lab;
using namespace lab::test;

namespace {

constexpr kernels::cpu_options native{.compute = compute::native};
constexpr dtype block_types[] = {dtype::q8_0, dtype::q4_0, dtype::q4_1, dtype::q5_0,
                                 dtype::q5_1, dtype::q4_k, dtype::q5_k, dtype::q6_k};

/// A block weight taken apart by its meaning: w = scale q + minimum, one scale to every `run` terms.
struct parts {
    std::size_t run;
    std::vector<float> scale, minimum;  // [rows, columns / run]
    std::vector<int> q;                 // [rows, columns]
};
parts take_apart(dtype type, const std::vector<std::byte>& bytes, std::size_t rows, std::size_t columns) {
    parts p{type == dtype::q6_k ? 16u : 32u, {}, {}, {}};
    const auto half = [](const std::byte* at) { return formats_detail::load_f16(at); };
    const auto w = decoded(type, bytes, rows, columns);
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < columns; c += p.run) {
            const std::byte* block =
                bytes.data() + r * row_bytes(type, columns) + c / block_size(type) * block_bytes(type);
            const unsigned j = static_cast<unsigned>(c % 256 / 32);
            float scale = half(block), minimum = 0.0f;
            if (type == dtype::q4_1 || type == dtype::q5_1) minimum = half(block + 2);
            if (type == dtype::q4_k || type == dtype::q5_k) {
                const auto [s, m] = formats_detail::k_scale_min(block + 4, j);
                minimum = -(half(block + 2) * static_cast<float>(m));
                scale *= static_cast<float>(s);
            }
            if (type == dtype::q6_k)
                scale = half(block + 208) *
                        static_cast<float>(formats_detail::load<std::int8_t>(block + 192 + c % 256 / 16));
            p.scale.push_back(scale);
            p.minimum.push_back(minimum);
            for (std::size_t i = 0; i < p.run; ++i)
                p.q.push_back(scale == 0.0f ? 0
                                            : static_cast<int>(std::lround(
                                                  (static_cast<double>(w(r, c + i)) - static_cast<double>(minimum)) /
                                                  static_cast<double>(scale))));
        }
    return p;
}

/// The definition in panel_products.hpp, in plain loops.
float defined_product(const float* x, const parts& p, std::size_t row, std::size_t columns) {
    float total = 0.0f;
    for (std::size_t cell = 0; cell < columns; cell += 32) {
        float most = 0.0f;
        for (std::size_t i = 0; i < 32; ++i) most = std::max(most, std::abs(x[cell + i]));
        const float inverse = most < 1e-30f ? 0.0f : 127.0f / most, d = most < 1e-30f ? 0.0f : most / 127.0f;
        int q[32], sum = 0;
        for (std::size_t i = 0; i < 32; ++i) sum += q[i] = static_cast<int>(std::nearbyint(x[cell + i] * inverse));
        for (std::size_t run = 0; run < 32; run += p.run) {
            int dot = 0;
            for (std::size_t i = 0; i < p.run; ++i) dot += q[run + i] * p.q[row * columns + cell + run + i];
            const float scale = p.scale[(row * columns + cell + run) / p.run];
            total = kernels::fused(static_cast<float>(dot), scale * d, total);
        }
        const float minimum = p.minimum[(row * columns + cell) / p.run];
        if (minimum != 0.0f) total = kernels::fused(minimum, d * static_cast<float>(sum), total);
    }
    return total;
}

std::vector<std::byte> packed(matrix_view& w, thread_pool& pool) {
    std::vector<std::byte> panels(kernels::packed_bytes(w));
    kernels::pack_matrix<kernels::arch::native>(w, panels.data(), pool);
    w.panels = panels.data();
    return panels;
}

const std::size_t rows_of_x[] = {0, 1, 2, 3, 4, 5, 8, 9, 12, 13, 24, 31};

}  // namespace

BOOST_AUTO_TEST_CASE(integer_product_is_its_definition_bit_for_bit_packed_or_not) {
    thread_pool pool(2);
    const native_cpu cpu(pool, native);
    for (const dtype type : block_types)
        for (const std::size_t n : {1u, 16u, 33u, 100u}) {
            const std::size_t k = block_size(type) == 256 ? 512 : 160;
            const auto bytes = random_weights(type, n, k, n);
            const auto p = take_apart(type, bytes, n, k);
            matrix_view plain{bytes.data(), type, n, k}, in_panels = plain;
            const auto panels = packed(in_panels, pool);
            for (const std::size_t m : rows_of_x) {
                const auto x = random<2>({m, k}, m, 3.0);
                tensor<float> y({m, n}), again({m, n});
                cpu.matmul(x, plain, y);
                cpu.matmul(x, in_panels, again);
                BOOST_REQUIRE_MESSAGE(same_bits(y, again), name_of(type) << ": packed differs");
                for (std::size_t i = 0; i < m; ++i)
                    for (std::size_t j = 0; j < n; ++j)
                        BOOST_REQUIRE_MESSAGE(y(i, j) == defined_product(x.data() + i * k, p, j, k),
                                              name_of(type) << ' ' << m << "x" << n << " at " << i << "," << j);
            }
        }
}

BOOST_AUTO_TEST_CASE(integer_product_is_near_the_exact_one) {
    thread_pool pool(2);
    const native_cpu cpu(pool, native);
    for (const dtype type : block_types) {
        const std::size_t m = 7, n = 40, k = 768;
        const auto bytes = random_weights(type, n, k, 1);
        const auto w = decoded(type, bytes, n, k);
        const auto x = random<2>({m, k}, 2);
        tensor<float> y({m, n});
        cpu.matmul(x, {bytes.data(), type, n, k}, y);
        tensor<double> exact({m, n});
        kernels::reference<double>{}.matmul(in_double(x), in_double(w), exact);
        for (std::size_t i = 0; i < m; ++i)
            for (std::size_t j = 0; j < n; ++j) {
                double bound = 0.0;  // half a step of every activation
                for (std::size_t cell = 0; cell < k; cell += 32) {
                    double most = 0.0, weights = 0.0;
                    for (std::size_t t = cell; t < cell + 32; ++t) {
                        most = std::max(most, std::abs(static_cast<double>(x(i, t))));
                        weights += std::abs(static_cast<double>(w(j, t)));
                    }
                    bound += most / 254.0 * weights * 1.001;
                }
                BOOST_REQUIRE_SMALL(static_cast<double>(y(i, j)) - exact(i, j), bound);
            }
    }
}

BOOST_AUTO_TEST_CASE(floats_in_panels_are_the_float_product_bit_for_bit) {
    thread_pool pool(2);
    const native_cpu cpu(pool);
    for (const dtype type : {dtype::f16, dtype::bf16, dtype::f32})
        for (const std::size_t k : {2u, 30u, 256u, 258u, 700u})
            for (const std::size_t m : {0u, 1u, 2u, 5u, 8u, 13u, 31u, 64u, 70u}) {
                if (!kernels::has_panels(type, k)) continue;
                const std::size_t n = 37;
                const auto bytes = random_weights(type, n, k, k);
                const auto w = decoded(type, bytes, n, k);
                matrix_view in_panels{bytes.data(), type, n, k};
                const auto panels = packed(in_panels, pool);
                const auto x = random<2>({m, k}, m);
                tensor<float> y({m, n}), plain({m, n}), expected({m, n});
                cpu.matmul(x, in_panels, y);
                cpu.matmul(x, {bytes.data(), type, n, k}, plain);
                cpu.matmul(x, weight(w), expected);
                BOOST_REQUIRE_MESSAGE(same_bits(y, expected) && same_bits(plain, expected),
                                      name_of(type) << " k " << k << " m " << m);
            }
}

BOOST_AUTO_TEST_CASE(bf16_weights_meet_rounded_activations) {
    thread_pool pool(2);
    const native_cpu cpu(pool, native);
    const std::size_t m = 15, n = 50, k = 600;
    const auto bytes = random_weights(dtype::bf16, n, k, 1);
    const auto w = in_double(decoded(dtype::bf16, bytes, n, k));
    auto x = random<2>({m, k}, 2);
    for (float& each : x.flat()) each = to_float(to_bf16(each));  // exact either way
    tensor<float> y({m, n}), one({1, n});
    cpu.matmul(x, {bytes.data(), dtype::bf16, n, k}, y);
    tensor<double> exact({m, n});
    kernels::reference<double>{}.matmul(in_double(x), w, exact);
    BOOST_TEST(largest_error(y, exact) < 4.0 * epsilon * static_cast<double>(k) * largest_row_norm(w));
    for (std::size_t i = 0; i < m; ++i) {  // a row alone
        cpu.matmul(view<const float>(x.data() + i * k, {1, k}), {bytes.data(), dtype::bf16, n, k}, one);
        BOOST_REQUIRE(std::memcmp(one.data(), y.data() + i * n, n * sizeof(float)) == 0);
    }
}

BOOST_AUTO_TEST_CASE(a_packed_embedding_gives_the_rows_it_was_packed_from) {
    thread_pool pool(2);
    const native_cpu cpu(pool, native);
    for (const dtype type : all_dtypes) {
        constexpr std::size_t n = 37, k = 512;
        const auto bytes = random_weights(type, n, k, 5);
        matrix_view plain{bytes.data(), type, n, k}, in_panels = plain;
        const auto panels = packed(in_panels, pool);
        std::vector<token> tokens;
        for (token t = n - 1; t >= 0; t -= 3) tokens.push_back(t);
        tensor<float> y({tokens.size(), k}), again({tokens.size(), k});
        cpu.embed(tokens, plain, y);
        cpu.embed(tokens, in_panels, again);
        BOOST_TEST(same_bits(y, again), name_of(type));
    }
}

BOOST_AUTO_TEST_CASE(several_products_are_the_single_ones) {
    thread_pool pool(3);
    const native_cpu cpu(pool, native);
    const std::size_t k = 256, m = 6;
    const auto x = random<2>({m, k}, 1);
    const auto a = random_weights(dtype::q4_0, 48, k, 1), b = random_weights(dtype::q6_k, 20, k, 2),
               c = random_weights(dtype::bf16, 35, k, 3), d = random_weights(dtype::f32, 17, k, 4);
    const matrix_view wa{a.data(), dtype::q4_0, 48, k}, wb{b.data(), dtype::q6_k, 20, k},
        wc{c.data(), dtype::bf16, 35, k}, wd{d.data(), dtype::f32, 17, k};
    tensor<float> ya({m, 48}), yb({m, 20}), yc({m, 35}), yd({m, 17});
    cpu.products(x, {{wa, ya}, {wb, yb}, {wc, yc}, {wd, yd}});
    const auto same = [&](const matrix_view& w, const tensor<float>& y) {
        tensor<float> single(y.shape());
        cpu.matmul(x, w, single);
        return same_bits(single, y);
    };
    BOOST_TEST(same(wa, ya));
    BOOST_TEST(same(wb, yb));
    BOOST_TEST(same(wc, yc));
    BOOST_TEST(same(wd, yd));
}

BOOST_AUTO_TEST_CASE(what_is_not_finite_stays_so_and_zero_stays_zero) {
    thread_pool pool(1);
    const native_cpu cpu(pool, native);
    const auto bytes = random_weights(dtype::q8_0, 16, 64, 1);
    for (const float odd : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
        auto x = random<2>({1, 64}, 1);
        x(0, 40) = odd;
        tensor<float> y({1, 16});
        cpu.matmul(x, {bytes.data(), dtype::q8_0, 16, 64}, y);
        for (const float each : y.flat()) BOOST_TEST(!std::isfinite(each));
    }
    tensor<float> zeros({1, 64}), tiny({1, 64}), y({1, 16});
    for (float& each : tiny.flat()) each = 1e-42f;
    for (const auto* x : {&zeros, &tiny}) {
        cpu.matmul(*x, {bytes.data(), dtype::q8_0, 16, 64}, y);
        for (const float each : y.flat()) BOOST_TEST(each == 0.0f);
    }
}

BOOST_AUTO_TEST_SUITE_END()
