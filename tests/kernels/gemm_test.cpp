#include "lab/kernels/gemm.hpp"

#include "kernels/support.hpp"

BOOST_AUTO_TEST_SUITE(gemm)

using namespace lab;
using namespace lab::test;

namespace {

/// The definition in gemm.hpp: blocks of 256 terms, each a chain; `old` in front when accumulating.
template <class A, class B>
float defined_product(std::size_t k, const A& a, const B& b, const float* old = nullptr) {
    float total = old != nullptr ? *old : 0.0f;
    for (std::size_t block = 0; block < k; block += kernels::depth_block) {
        float chain = 0.0f;
        for (std::size_t t = block; t < std::min(k, block + kernels::depth_block); ++t)
            chain = kernels::fused(a(t), b(t), chain);
        total = block == 0 && old == nullptr ? chain : total + chain;
    }
    return total;
}

const std::size_t sizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 47, 48, 49, 151};

}  // namespace

BOOST_AUTO_TEST_CASE(product_is_its_definition_bit_for_bit) {
    thread_pool pool(2);
    const native_cpu cpu(pool);
    for (const std::size_t k : {1u, 3u, 16u, 255u, 256u, 257u, 775u})
        for (const std::size_t m : sizes)
            for (const std::size_t n : {1u, 15u, 16u, 31u, 33u, 48u, 101u}) {
                const auto x = random<2>({m, k}, m + k), w = random<2>({n, k}, n + k);
                tensor<float> y({m, n});
                cpu.matmul(x, weight(w), y);
                for (std::size_t i = 0; i < m; ++i)
                    for (std::size_t j = 0; j < n; ++j) {
                        const float expected = defined_product(
                            k, [&](std::size_t t) { return x(i, t); }, [&](std::size_t t) { return w(j, t); });
                        BOOST_REQUIRE_MESSAGE(y(i, j) == expected,
                                              m << "x" << n << "x" << k << " at " << i << "," << j);
                    }
            }
}

BOOST_AUTO_TEST_CASE(gradients_are_their_definitions_bit_for_bit) {
    thread_pool pool(2);
    const native_cpu cpu(pool);
    for (const std::size_t m : {1u, 7u, 64u, 300u})
        for (const std::size_t out : {1u, 48u, 259u})
            for (const std::size_t in : {1u, 31u, 80u}) {
                const auto dy = random<2>({m, out}, m), x = random<2>({m, in}, in), w = random<2>({out, in}, out);
                const auto dx0 = random<2>({m, in}, 5), dw0 = random<2>({out, in}, 6);
                auto dx = dx0.clone(), dw = dw0.clone();
                cpu.matmul_backward_input(dy, weight(w), dx, true);
                cpu.matmul_backward_weight(dy, x, dw);
                for (std::size_t i = 0; i < m; ++i)
                    for (std::size_t j = 0; j < in; ++j)
                        BOOST_REQUIRE_EQUAL(dx(i, j), defined_product(
                                                          out, [&](std::size_t t) { return dy(i, t); },
                                                          [&](std::size_t t) { return w(t, j); }, &dx0(i, j)));
                for (std::size_t o = 0; o < out; ++o)
                    for (std::size_t j = 0; j < in; ++j)
                        BOOST_REQUIRE_EQUAL(dw(o, j), defined_product(
                                                          m, [&](std::size_t t) { return dy(t, o); },
                                                          [&](std::size_t t) { return x(t, j); }, &dw0(o, j)));
            }
}

BOOST_AUTO_TEST_CASE(backward_input_overwrites_or_adds) {
    thread_pool pool(1);
    const native_cpu cpu(pool);
    const auto dy = random<2>({3, 20}, 1), w = random<2>({20, 40}, 2);
    tensor<float> fresh({3, 40}), stale = random<2>({3, 40}, 3);
    cpu.matmul_backward_input(dy, weight(w), fresh, false);
    cpu.matmul_backward_input(dy, weight(w), stale, false);
    BOOST_TEST(same_bits(fresh, stale));
    const tensor<float> none({3, 0}), nothing({40, 0});
    tensor<float> zero = random<2>({3, 40}, 3);
    cpu.matmul(none, weight(nothing), zero);  // an empty sum
    for (const float v : zero.flat()) BOOST_TEST(v == 0.0f);
}

BOOST_AUTO_TEST_CASE(error_against_double_is_within_the_norms) {
    thread_pool pool(2);
    const native_cpu cpu(pool);
    const kernels::reference<double> reference;
    const auto x = random<2>({9, 1536}, 1), w = random<2>({65, 1536}, 2);
    const auto xd = in_double(x), wd = in_double(w);
    tensor<float> y({9, 65});
    tensor<double> yd({9, 65});
    cpu.matmul(x, weight(w), y);
    reference.matmul(xd, wd.get(), yd);
    BOOST_TEST(largest_error(y, yd) < 4 * epsilon * largest_row_norm(xd) * largest_row_norm(wd));
}

BOOST_AUTO_TEST_CASE(a_row_does_not_depend_on_the_others_nor_on_threads) {
    for (const dtype type : all_dtypes) {
        const std::size_t in = 512, out = 150, m = 70;
        const auto bytes = random_weights(type, out, in, 7);
        const matrix_view w{bytes.data(), type, out, in};
        const auto x = random<2>({m, in}, 8);
        tensor<float> whole({m, out});
        thread_pool one(1), three(3);
        native_cpu(one).matmul(x, w, whole);
        for (const std::size_t rows : {1u, 2u, 5u, 8u, 9u, 64u}) {
            tensor<float> part({rows, out});
            native_cpu(three).matmul(x.get().slice(3, 3 + rows), w, part);
            BOOST_TEST(same_bits<float>(part.get(), whole.get().slice(3, 3 + rows)), name_of(type)
                                                                                         << " " << rows << " rows");
        }
    }
}

BOOST_AUTO_TEST_CASE(weights_are_decoded_exactly_in_every_format) {
    thread_pool pool(2);
    const native_cpu cpu(pool);
    for (const dtype type : all_dtypes)
        for (const std::size_t out : {1u, 15u, 16u, 17u, 32u, 33u, 48u, 151u})
            for (const std::size_t blocks : {1u, 3u}) {
                const std::size_t in = blocks * std::max<std::size_t>(block_size(type), 32);
                const auto bytes = random_weights(type, out, in, out + blocks);
                const auto expanded = decoded(type, bytes, out, in);
                const matrix_view w{bytes.data(), type, out, in};
                for (const std::size_t m : {1u, 4u}) {
                    const auto x = random<2>({m, in}, 9), dy = random<2>({m, out}, 10);
                    tensor<float> y({m, out}), expected({m, out}), dx({m, in}), dx_expected({m, in}), row({1, in});
                    cpu.matmul(x, w, y);
                    cpu.matmul(x, weight(expanded), expected);
                    BOOST_TEST(same_bits(y, expected), name_of(type)
                                                           << " " << out << "x" << in << ", " << m << " rows");
                    cpu.matmul_backward_input(dy, w, dx, false);
                    cpu.matmul_backward_input(dy, weight(expanded), dx_expected, false);
                    BOOST_TEST(same_bits(dx, dx_expected), name_of(type) << " backward");
                    const token last[] = {static_cast<token>(out - 1)};
                    cpu.embed(last, w, row);
                    BOOST_TEST(same_bits<const float>(constant(row), constant(expanded).slice(out - 1, out)));
                }
            }
}

BOOST_AUTO_TEST_CASE(plain_floats_may_have_any_number_of_columns) {
    thread_pool pool(1);
    const native_cpu cpu(pool);
    for (const dtype type : {dtype::f32, dtype::f16, dtype::bf16})
        for (std::size_t in = 1; in < 40; ++in) {
            const auto bytes = random_weights(type, 37, in, in);
            const auto expanded = decoded(type, bytes, 37, in);
            const auto x = random<2>({1, in}, 3);
            tensor<float> y({1, 37}), expected({1, 37});
            cpu.matmul(x, {bytes.data(), type, 37, in}, y);
            cpu.matmul(x, weight(expanded), expected);
            BOOST_TEST(same_bits(y, expected), name_of(type) << " " << in);
        }
}

BOOST_AUTO_TEST_CASE(embedding_gradients_add_up_in_token_order) {
    thread_pool pool(3);
    const native_cpu cpu(pool);
    const token tokens[] = {4, 0, 4, 4, 1};
    const auto dy = random<2>({5, 70}, 1), start = random<2>({6, 70}, 2);
    auto dw = start.clone();
    cpu.embed_backward(tokens, dy, dw);
    for (std::size_t j = 0; j < 70; ++j) {
        BOOST_TEST(dw(4, j) == ((start(4, j) + dy(0, j)) + dy(2, j)) + dy(3, j));
        BOOST_TEST(dw(0, j) == start(0, j) + dy(1, j));
        BOOST_TEST(dw(5, j) == start(5, j));
    }
}

BOOST_AUTO_TEST_SUITE_END()
