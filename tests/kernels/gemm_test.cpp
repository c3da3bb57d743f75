#include "lab/kernels/gemm.hpp"

#include <boost/test/unit_test.hpp>

#include "lab/core/rng.hpp"

BOOST_AUTO_TEST_SUITE(gemm)

BOOST_AUTO_TEST_CASE(matches_its_definition_bit_for_bit) {
    using namespace lab;
    using Arch = kernels::arch::native;
    counter_rng rng(1);
    thread_pool pool(2);
    const std::size_t m = 13, n = 101, k = 600;
    tensor<float> a({m, k}), b({n, k}), c({m, n});
    for (float& x : a.flat()) x = static_cast<float>(rng.normal());
    for (float& x : b.flat()) x = static_cast<float>(rng.normal());
    const matrix_view w{reinterpret_cast<const std::byte*>(b.data()), dtype::f32, n, k};
    kernels::gemm<Arch>({.a = a.data(), .a_stride = k, .b = w, .b_transposed = true, .c = c.data(), .c_stride = n,
                         .m = m, .n = n, .k = k}, pool);
    for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < n; ++j) {
            float total = 0;
            for (std::size_t block = 0; block < k; block += kernels::depth_block) {
                float chain = 0;
                for (std::size_t t = block; t < std::min(k, block + kernels::depth_block); ++t)
                    chain = kernels::fused(a(i, t), b(j, t), chain);
                total = block == 0 ? chain : total + chain;
            }
            BOOST_REQUIRE_EQUAL(c(i, j), total);
        }
}

BOOST_AUTO_TEST_SUITE_END()
