#include "lab/core/dtype.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(dtype)

BOOST_AUTO_TEST_CASE(names_round_trip) {
    for (const lab::dtype type : lab::all_dtypes) BOOST_TEST((lab::dtype_from_name(lab::name_of(type)) == type));
    BOOST_CHECK_THROW((void)lab::dtype_from_name("q3_k"), lab::config_error);
}

BOOST_AUTO_TEST_CASE(half_conversions_round_trip_every_value) {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        const lab::f16 h{static_cast<std::uint16_t>(bits)};
        const float value = lab::to_float(h);
        if (value == value) BOOST_REQUIRE_EQUAL(lab::to_f16(value).bits, h.bits);
        const lab::bf16 b{static_cast<std::uint16_t>(bits)};
        const float wide = lab::to_float(b);
        if (wide == wide) BOOST_REQUIRE_EQUAL(lab::to_bf16(wide).bits, b.bits);
    }
}

BOOST_AUTO_TEST_CASE(f16_rounds_to_nearest_even) {
    BOOST_TEST(lab::to_f16(1.0f + 0x1p-11f).bits == 0x3c00);             // tie, even below
    BOOST_TEST(lab::to_f16(1.0f + 0x1p-11f + 0x1p-20f).bits == 0x3c01);  // above the tie
    BOOST_TEST(lab::to_f16(1.0f + 3 * 0x1p-11f).bits == 0x3c02);         // tie, even above
    BOOST_TEST(lab::to_f16(65519.996f).bits == 0x7bff);
    BOOST_TEST(lab::to_f16(65520.0f).bits == 0x7c00);
    BOOST_TEST(lab::to_f16(0x1p-25f).bits == 0);  // tie with zero
    BOOST_TEST(lab::to_f16(0x1.8p-25f).bits == 1);
}

BOOST_AUTO_TEST_SUITE_END()
