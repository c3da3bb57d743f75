#include "lab/kernels/rope.hpp"

#include "kernels/support.hpp"

BOOST_AUTO_TEST_SUITE(rope)

using namespace lab;
using namespace lab::test;

BOOST_AUTO_TEST_CASE(matches_the_twin_and_its_inverse_undoes_it) {
    thread_pool pool(2);
    const native_cpu cpu(pool);
    const kernels::reference<double> reference;
    const std::int32_t positions[] = {0, 1, 63, 64, 700, 16383, 16384, 100000};
    for (const std::size_t dim : {2u, 4u, 30u, 32u, 64u, 80u, 128u})
        for (const bool half_split : {false, true}) {
            const rope_options options{.theta = 10000.0, .half_split = half_split};
            const auto x = random<3>({8, 3, dim}, dim);
            auto y = x.clone();
            auto yd = in_double(x);
            cpu.rope(y, positions, options);
            reference.rope(yd, positions, options);
            BOOST_TEST(largest_error(y, yd) < 4 * epsilon * largest_magnitude(yd), "head_dim " << dim);
            cpu.rope_backward(y, positions, options);
            BOOST_TEST(largest_error(y, in_double(x)) < 8 * epsilon * largest_magnitude(yd));
        }
}

BOOST_AUTO_TEST_CASE(a_position_turns_the_same_in_every_call) {
    thread_pool pool(3);
    const auto x = random<3>({40, 2, 64}, 1);
    std::vector<std::int32_t> positions;
    for (std::int32_t p = 0; p < 40; ++p) positions.push_back(16370 + p);  // across the end of the kept table
    auto whole = x.clone();
    native_cpu(pool).rope(whole, positions, {});
    const native_cpu other(pool);
    for (std::size_t i = 0; i < 40; ++i) {
        auto alone = x.clone();
        other.rope(alone.get().slice(i, i + 1), std::span(positions).subspan(i, 1), {});
        BOOST_TEST(same_bits(alone.get().slice(i, i + 1), whole.get().slice(i, i + 1)));
    }
}

BOOST_AUTO_TEST_SUITE_END()
