#include "lab/core/quantize.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/rng.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(quantize)

// Goldens: tests/goldens/formats_quantize.py.
namespace {

std::vector<float> floats_of(const std::string& bytes) {
    std::vector<float> values(bytes.size() / 4);
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

/// Block by block, without the checks of `encode`: what overflows is part of the format too.
void encode_blocks(lab::dtype type, const std::vector<float>& in, std::byte* out) {
    lab::visit_format(type, [&](auto f) {
        using F = decltype(f);
        for (std::size_t i = 0; i < in.size(); i += F::block)
            lab::encode_block(f, &in[i], out + i / F::block * F::bytes);
    });
}

}  // namespace

BOOST_AUTO_TEST_CASE(encoders_give_the_bytes_of_gguf_py) {
    const auto input = floats_of(lab::read_file(lab::test::fixture("core/quantize_input.bin")));
    BOOST_REQUIRE_EQUAL(input.size(), 64u * 256u);
    for (const char* name : {"f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1"}) {
        const lab::dtype type = lab::dtype_from_name(name);
        const std::string expected = lab::read_file(lab::test::fixture("core/quantize_" + std::string(name) + ".bin"));
        BOOST_REQUIRE_EQUAL(expected.size(), lab::row_bytes(type, input.size()));
        std::string actual(expected.size(), '\0');
        encode_blocks(type, input, reinterpret_cast<std::byte*>(actual.data()));
        std::size_t different = 0, first = 0;
        for (std::size_t i = expected.size(); i-- > 0;)
            if (actual[i] != expected[i]) ++different, first = i;
        BOOST_TEST(different == 0u,
                   name << ": " << different << " bytes differ, the first in block " << first / lab::block_bytes(type));
    }
}

BOOST_AUTO_TEST_CASE(decoders_give_the_bits_of_gguf_py) {
    for (const lab::dtype type : lab::all_dtypes) {
        if (type == lab::dtype::f32) continue;
        const std::string name(lab::name_of(type));
        const std::string golden = lab::read_file(lab::test::fixture("core/decode_" + name + ".bin"));
        // n blocks of `bytes`, then n * `block` floats.
        const std::size_t count = golden.size() / (lab::block_bytes(type) + 4 * lab::block_size(type));
        const auto expected = floats_of(golden.substr(count * lab::block_bytes(type)));
        BOOST_REQUIRE_EQUAL(expected.size(), count * lab::block_size(type));
        std::vector<float> actual(expected.size());
        lab::decode(type, reinterpret_cast<const std::byte*>(golden.data()), actual.data(), actual.size());
        for (std::size_t i = 0; i < actual.size(); ++i) {
            if (std::isnan(expected[i])) {
                BOOST_REQUIRE(std::isnan(actual[i]));
                continue;
            }
            BOOST_REQUIRE_MESSAGE(std::memcmp(&actual[i], &expected[i], 4) == 0,
                                  name << " element " << i << ": " << actual[i] << ", expected " << expected[i]);
        }
    }
}

BOOST_AUTO_TEST_CASE(f32_is_copied_bit_for_bit) {
    const std::vector<float> values{0.0f, -0.0f, std::numeric_limits<float>::infinity(),
                                    std::numeric_limits<float>::denorm_min()};
    std::vector<float> copy(values.size());
    lab::encode(lab::dtype::f32, values.data(), reinterpret_cast<std::byte*>(copy.data()), values.size());
    BOOST_TEST(std::memcmp(values.data(), copy.data(), 16) == 0);
}

BOOST_AUTO_TEST_CASE(half_types_keep_infinity_and_nan) {
    const float values[]{std::numeric_limits<float>::infinity(), std::nanf("")};
    for (const lab::dtype type : {lab::dtype::f16, lab::dtype::bf16}) {
        std::byte bytes[4];
        float back[2];
        lab::encode(type, values, bytes, 2);
        lab::decode(type, bytes, back, 2);
        BOOST_TEST((std::isinf(back[0]) && std::isnan(back[1])));
    }
}

BOOST_AUTO_TEST_CASE(block_formats_refuse_what_would_spoil_a_block) {
    std::vector<float> values(64, 1.0f);
    std::vector<std::byte> out(64 * 4);
    for (const float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
        values[40] = bad;
        for (const lab::dtype type : {lab::dtype::q8_0, lab::dtype::q4_0, lab::dtype::q4_1, lab::dtype::q5_1})
            BOOST_CHECK_EXCEPTION(
                lab::encode(type, values.data(), out.data(), 64), lab::config_error,
                [](const auto& fault) { return std::string(fault.what()).find("element 40") != std::string::npos; });
    }
}

BOOST_AUTO_TEST_CASE(what_is_too_large_for_a_type_is_refused) {
    std::vector<float> values(1024, -0.25f), back(values.size());
    std::vector<std::byte> out(4 * values.size());
    const auto stored = [&](lab::dtype type) {
        const std::size_t stopped = lab::try_encode(type, values.data(), out.data(), values.size());
        lab::decode(type, out.data(), back.data(), back.size());
        return stopped;
    };
    for (const lab::dtype type : lab::all_dtypes) {
        BOOST_TEST_CONTEXT(lab::name_of(type)) {
            const float largest = type == lab::dtype::f32 ? std::numeric_limits<float>::max() : 6e4f;
            for (const float sign : {1.0f, -1.0f}) {
                values[700] = sign * largest;
                BOOST_TEST(stored(type) == values.size());
                for (const float x : back) BOOST_REQUIRE(std::isfinite(x));
                BOOST_CHECK_CLOSE_FRACTION(back[700], values[700], 0.02);
                values[700] = sign * (type == lab::dtype::bf16 ? std::numeric_limits<float>::max() : 1e9f);
                if (type == lab::dtype::f32) continue;
                BOOST_TEST(stored(type) == 700u);
                const auto says = [&](const lab::config_error& fault) {
                    return std::string(fault.what()).find("element 700 is ") != std::string::npos;
                };
                BOOST_CHECK_EXCEPTION(lab::encode(type, values.data(), out.data(), values.size()), lab::config_error,
                                      says);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(k_quants_lose_little_and_no_more_than_plain_rounding) {
    lab::counter_rng rng(5);
    std::vector<float> x(256 * 64), back(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = static_cast<float>(rng.normal() * (i / 256 % 3 == 0 ? 0.02 : 5.0) + (i / 256 % 4 == 0 ? 0.01 : 0.0));
    const auto lost = [&](lab::dtype type) {  // root mean square, relative to each block's own
        std::vector<std::byte> bytes(lab::row_bytes(type, x.size()));
        lab::encode(type, x.data(), bytes.data(), x.size());
        lab::decode(type, bytes.data(), back.data(), back.size());
        double share = 0;
        for (std::size_t block = 0; block < x.size(); block += 256) {
            double error = 0, size = 0;
            for (std::size_t i = block; i < block + 256; ++i) {
                error += std::pow(static_cast<double>(back[i] - x[i]), 2);
                size += std::pow(static_cast<double>(x[i]), 2);
            }
            share += std::sqrt(error / size) / 64;
        }
        return share;
    };
    BOOST_TEST(lost(lab::dtype::q4_k) < 0.075);
    BOOST_TEST(lost(lab::dtype::q5_k) < 0.037);
    BOOST_TEST(lost(lab::dtype::q6_k) < 0.019);
    BOOST_TEST(lost(lab::dtype::q4_k) < lost(lab::dtype::q4_1) * 1.01);  // with half the bits for scales
    BOOST_TEST(lost(lab::dtype::q5_k) < lost(lab::dtype::q5_1) * 1.01);
}

BOOST_AUTO_TEST_CASE(k_quants_of_the_ends_of_the_range_decode_to_numbers) {
    const auto input = floats_of(lab::read_file(lab::test::fixture("core/quantize_input.bin")));
    for (const lab::dtype type : {lab::dtype::q4_k, lab::dtype::q5_k, lab::dtype::q6_k}) {
        std::vector<std::byte> bytes(lab::row_bytes(type, input.size()));
        std::vector<float> back(input.size());
        encode_blocks(type, input, bytes.data());
        lab::decode(type, bytes.data(), back.data(), back.size());
        for (std::size_t i = 0; i < back.size(); ++i) BOOST_REQUIRE(std::isfinite(back[i]));
        for (std::size_t i = 0; i < 512; ++i) BOOST_REQUIRE(back[i] == 0.0f);  // zeros, of either sign
        for (std::size_t i = 512; i < 1024; ++i)                               // constants
            BOOST_REQUIRE_CLOSE_FRACTION(back[i], input[i], 0.02);
    }
}

BOOST_AUTO_TEST_CASE(row_bytes_counts_blocks) {
    BOOST_TEST(lab::row_bytes(lab::dtype::q4_0, 64) == 36u);
    BOOST_TEST(lab::row_bytes(lab::dtype::q6_k, 512) == 420u);
    BOOST_TEST(lab::row_bytes(lab::dtype::bf16, 0) == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
