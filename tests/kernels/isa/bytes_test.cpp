// Forward and backward give the same bytes on every instruction set that has fused multiply-add.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>

#include "kernels/isa/outputs.hpp"

BOOST_AUTO_TEST_SUITE(instruction_sets)

namespace {

void require_same_bytes(const std::vector<float>& a, const std::vector<float>& b) {
    BOOST_REQUIRE_EQUAL(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i)
        BOOST_REQUIRE_MESSAGE(std::memcmp(&a[i], &b[i], sizeof(float)) == 0, i << ": " << a[i] << " and " << b[i]);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_bytes_are_the_same) {
    const auto avx2 = lab::test::outputs_avx2();
    BOOST_TEST(avx2.size() > 1000u);
    for (const float x : avx2) BOOST_REQUIRE(std::isfinite(x));
    require_same_bytes(avx2, lab::test::outputs_fma());
#ifdef LAB_TEST_AVX512  // the machine of the build has it, or it was built for many
    require_same_bytes(avx2, lab::test::outputs_avx512());
    if (__builtin_cpu_supports("avx512vnni")) require_same_bytes(avx2, lab::test::outputs_vnni());
#endif
}

BOOST_AUTO_TEST_SUITE_END()
