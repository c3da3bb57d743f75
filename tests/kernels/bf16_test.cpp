#include "lab/kernels/bf16.hpp"

#include "kernels/support.hpp"

BOOST_AUTO_TEST_SUITE(bf16_compute)

using namespace lab;
using namespace lab::test;

namespace {
constexpr kernels::cpu_options bf16{.compute = compute::bf16};

tensor<float> rounded(const tensor<float>& t) {
    auto r = t.clone();
    for (float& x : r.flat()) x = to_float(to_bf16(x));
    return r;
}
}  // namespace

BOOST_AUTO_TEST_CASE(lanes_round_as_core_does) {
    using Arch = kernels::arch::native;
    const float cases[] = {0.0f, -0.0f, 1.0f, 1.00390625f, 1.01171875f, -3.14159f, 3.3961775e38f, 1e-30f};
    for (const float x : cases) {
        float lanes[16];
        kernels::rounded_to_bf16<Arch>(kernels::f32x16<Arch>::broadcast(x)).store(lanes);
        BOOST_TEST(std::bit_cast<std::uint32_t>(lanes[5]) == std::bit_cast<std::uint32_t>(to_float(to_bf16(x))));
    }
    float lanes[16];
    kernels::rounded_to_bf16<Arch>(kernels::f32x16<Arch>::broadcast(std::nanf(""))).store(lanes);
    BOOST_TEST(std::isnan(lanes[0]));
}

BOOST_AUTO_TEST_CASE(products_are_those_of_the_rounded_operands) {
    thread_pool pool(2);
    const native_cpu cpu(pool, bf16);
    const kernels::reference<double> reference;
    for (const std::size_t m : {1u, 7u, 65u})
        for (const std::size_t in : {1u, 33u, 300u})
            for (const std::size_t out : {1u, 48u, 101u}) {
                const auto x = random<2>({m, in}, 1), w = random<2>({out, in}, 2), dy = random<2>({m, out}, 3);
                const auto xd = in_double(rounded(x)), wd = in_double(rounded(w)), dyd = in_double(rounded(dy));
                tensor<float> y({m, out}), dx({m, in}), dw({out, in});
                tensor<double> yd({m, out}), dxd({m, in}), dwd({out, in});
                cpu.matmul(x, weight(w), y);
                cpu.matmul_backward_input(dy, weight(w), dx, false);
                cpu.matmul_backward_weight(dy, x, dw);
                reference.matmul(xd, wd.get(), yd);
                reference.matmul_backward_input(dyd, wd.get(), dxd, false);
                reference.matmul_backward_weight(dyd, xd, dwd);
                const auto bound = [](const auto& a, const auto& b, std::size_t k) {
                    return 8 * epsilon * std::sqrt(static_cast<double>(k)) * largest_magnitude(a) *
                           largest_magnitude(b);
                };
                BOOST_TEST(largest_error(y, yd) <= bound(xd, wd, in));
                BOOST_TEST(largest_error(dx, dxd) <= bound(dyd, wd, out));
                BOOST_TEST(largest_error(dw, dwd) <= bound(dyd, xd, m));
            }
}

BOOST_AUTO_TEST_CASE(a_row_does_not_depend_on_the_others_nor_on_threads) {
    thread_pool one(1), three(3);
    const auto x = random<2>({64, 301}, 1), w = random<2>({150, 301}, 2), dy = random<2>({64, 150}, 3);
    tensor<float> whole({64, 150}), dw1({150, 301}), dw3({150, 301});
    native_cpu(one, bf16).matmul(x, weight(w), whole);
    for (const std::size_t rows : {1u, 3u, 8u, 20u}) {
        tensor<float> part({rows, 150});
        native_cpu(three, bf16).matmul(x.get().slice(5, 5 + rows), weight(w), part);
        BOOST_TEST(same_bits<float>(part.get(), whole.get().slice(5, 5 + rows)));
    }
    native_cpu(one, bf16).matmul_backward_weight(dy, x, dw1);
    native_cpu(three, bf16).matmul_backward_weight(dy, x, dw3);
    BOOST_TEST(same_bits(dw1, dw3));
}

BOOST_AUTO_TEST_SUITE_END()
