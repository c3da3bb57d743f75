#include "lab/kernels/rows.hpp"

#include "kernels/support.hpp"

BOOST_AUTO_TEST_SUITE(rows)

using namespace lab;
using namespace lab::test;

namespace {
const std::size_t dims[] = {1, 15, 16, 17, 55, 576};
const std::size_t counts[] = {0, 1, 7, 8, 9, 31};
}  // namespace

BOOST_AUTO_TEST_CASE(rms_norm_matches_the_twin) {
    thread_pool pool(2);
    const native_cpu cpu(pool);
    const kernels::reference<double> reference;
    for (const std::size_t dim : dims)
        for (const std::size_t m : counts) {
            const auto x = random<2>({m, dim}, 1), dy = random<2>({m, dim}, 2), dx0 = random<2>({m, dim}, 3);
            const auto g = random<1>({dim}, 4), dg0 = random<1>({dim}, 5);
            tensor<float> y({m, dim}), dx = dx0.clone();
            tensor<float, 1> dg = dg0.clone();
            tensor<double> yd({m, dim}), dxd = in_double(dx0);
            tensor<double, 1> dgd = in_double(dg0);
            cpu.rms_norm(x, g, 1e-5, y);
            reference.rms_norm(in_double(x), in_double(g), 1e-5, yd);
            BOOST_TEST(largest_error(y, yd) <= 8 * epsilon * largest_magnitude(yd));
            cpu.rms_norm_backward(dy, x, g, 1e-5, dx, dg);
            reference.rms_norm_backward(in_double(dy), in_double(x), in_double(g), 1e-5, dxd, dgd);
            // Of one or two elements, x and its norm nearly cancel: the error is then that of the terms, not of the
            // result.
            BOOST_TEST(largest_error(dx, dxd) <= 64 * epsilon * (largest_magnitude(dxd) + 10.0));
            BOOST_TEST(largest_error(dg, dgd) <= 32 * epsilon * (largest_magnitude(dgd) + 1.0));
        }
}

BOOST_AUTO_TEST_CASE(swiglu_matches_the_twin_even_far_out) {
    thread_pool pool(2);
    const native_cpu cpu(pool);
    const kernels::reference<double> reference;
    for (const std::size_t n : {1u, 16u, 33u, 5000u}) {
        auto gate = random<2>({3, n}, 1, 4.0);
        gate(0, 0) = 200.0f, gate(1, 0) = -200.0f;
        const auto up = random<2>({3, n}, 2), dy = random<2>({3, n}, 3);
        tensor<float> y({3, n}), dgate({3, n}), dup({3, n});
        tensor<double> yd({3, n}), dgated({3, n}), dupd({3, n});
        cpu.swiglu(gate, up, y);
        reference.swiglu(in_double(gate), in_double(up), yd);
        BOOST_TEST(largest_error(y, yd) < 8 * epsilon * largest_magnitude(yd));
        cpu.swiglu_backward(dy, gate, up, dgate, dup);
        reference.swiglu_backward(in_double(dy), in_double(gate), in_double(up), dgated, dupd);
        BOOST_TEST(largest_error(dgate, dgated) < 16 * epsilon * largest_magnitude(dgated));
        BOOST_TEST(largest_error(dup, dupd) < 16 * epsilon * largest_magnitude(dupd));
        tensor<float> in_place = gate.clone();
        cpu.swiglu(in_place, up, in_place);
        BOOST_TEST(same_bits(in_place, y));
    }
}

BOOST_AUTO_TEST_CASE(sums_and_results_do_not_depend_on_threads) {
    thread_pool one(1), three(3);
    const auto x = random<2>({50, 100}, 1), dy = random<2>({50, 100}, 2);
    const auto g = random<1>({100}, 3);
    tensor<float> a({50, 100}), b({50, 100});
    tensor<float, 1> da({100}), db({100});
    native_cpu(one).rms_norm_backward(dy, x, g, 1e-5, a, da);
    native_cpu(three).rms_norm_backward(dy, x, g, 1e-5, b, db);
    BOOST_TEST(same_bits(a, b));
    BOOST_TEST(same_bits(da, db));
    tensor<float> frozen({50, 100});
    native_cpu(three).rms_norm_backward(dy, x, g, 1e-5, frozen, {});  // a gain that has no gradient
    BOOST_TEST(same_bits(frozen, a));
    native_cpu(three).add(x, a);
    for (std::size_t i = 0; i < a.size(); ++i) BOOST_REQUIRE_EQUAL(a.data()[i], b.data()[i] + x.data()[i]);
}

BOOST_AUTO_TEST_CASE(exp_is_within_two_ulp) {
    using v = kernels::f32x16<kernels::arch::native>;
    double worst = 0;
    for (int i = 0; i < 200000; ++i) {
        alignas(64) float x[16];
        for (int j = 0; j < 16; ++j) x[j] = -87.0f + static_cast<float>(i * 16 + j) * (174.0f / 3200000.0f);
        alignas(64) float y[16];
        kernels::exp<kernels::arch::native>(v::load(x)).store(y);
        for (int j = 0; j < 16; ++j) {
            const double exact = std::exp(static_cast<double>(x[j]));
            const double ulp = std::ldexp(1.0, std::ilogb(exact) - 23);
            worst = std::max(worst, std::abs(static_cast<double>(y[j]) - exact) / ulp);
        }
    }
    BOOST_TEST(worst <= 2.0);
    alignas(64) float edge[16] = {-std::numeric_limits<float>::infinity(), -1000.0f, 0.0f, std::nanf("")};
    kernels::exp<kernels::arch::native>(v::load(edge)).store(edge);
    BOOST_TEST(edge[0] == 0.0f);
    BOOST_TEST(edge[1] == 0.0f);
    BOOST_TEST(edge[2] == 1.0f);
    BOOST_TEST(std::isnan(edge[3]));
}

BOOST_AUTO_TEST_SUITE_END()
