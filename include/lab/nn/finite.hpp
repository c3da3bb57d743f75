// Are all weights numbers? One NaN in a checkpoint makes every loss NaN; better to say where it is. Floats are looked
// at by their bits, of a block its scales alone: its values are finite if and only if these are.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lab/core/backend.hpp"
#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/nn/any_model.hpp"

namespace lab::nn {

namespace finite_detail {

/// Whether a float of this format and bits is infinite or no number: its exponent is all ones.
template <class Bits>
[[nodiscard]] constexpr bool all_ones(Bits bits, Bits exponent) noexcept {
    return (bits & exponent) == exponent;
}
/// Offsets of the f16 scales in a block.
template <class Format>
[[nodiscard]] constexpr auto scales() noexcept {
    if constexpr (Format::id == dtype::q6_k)
        return std::array{Format::bytes - 2};
    else if constexpr (Format::id == dtype::q8_0 || Format::id == dtype::q4_0 || Format::id == dtype::q5_0)
        return std::array{std::size_t{0}};
    else
        return std::array{std::size_t{0}, std::size_t{2}};
}
/// Whether one of `blocks` blocks holds what is no finite number.
template <class Format>
[[nodiscard]] bool is_bad(const std::byte* in, std::size_t blocks) noexcept {
    using formats_detail::load;
    bool bad = false;
    for (std::size_t b = 0; b < blocks; ++b, in += Format::bytes) {
        if constexpr (Format::id == dtype::f32)
            bad |= all_ones<std::uint32_t>(load<std::uint32_t>(in), 0x7f800000u);
        else if constexpr (Format::id == dtype::bf16)
            bad |= all_ones<std::uint16_t>(load<std::uint16_t>(in), 0x7f80);
        else if constexpr (Format::id == dtype::f16)
            bad |= all_ones<std::uint16_t>(load<std::uint16_t>(in), 0x7c00);
        else
            for (const std::size_t at : scales<Format>())
                bad |= all_ones<std::uint16_t>(load<std::uint16_t>(in + at), 0x7c00);
    }
    return bad;
}

/// @throws config_error naming the first value that is not finite
inline void require_finite(const matrix_view& m, thread_pool& pool, const std::string& file, const std::string& name) {
    visit_format(m.type, [&](auto f) {
        using Format = decltype(f);
        const std::size_t stride = m.row_stride();
        std::vector<std::uint8_t> bad(m.rows);
        pool.parallel_for(m.rows, std::max<std::size_t>(1, (std::size_t{1} << 16) / std::max<std::size_t>(1, stride)),
                          [&](std::size_t begin, std::size_t end, std::size_t) {
                              for (std::size_t r = begin; r < end; ++r)
                                  bad[r] = is_bad<Format>(m.data + r * stride, m.columns / Format::block) ? 1 : 0;
                          });
        const auto row = static_cast<std::size_t>(std::find(bad.begin(), bad.end(), 1) - bad.begin());
        if (row == m.rows) return;
        std::vector<float> values(m.columns);
        decode(m.type, m.data + row * stride, values.data(), m.columns);
        const auto found = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
        throw config_error(explain(file,
                                   name + ", row " + std::to_string(row) + ", column " +
                                       std::to_string(found - values.begin()) + " is " +
                                       (found != values.end() && std::isnan(*found) ? "not a number" : "infinite"),
                                   "the file is damaged or its training failed: take an earlier one"));
    });
}

}  // namespace finite_detail

/// @param adapter the folder that the model's adapters are of; empty: they are new
/// @throws config_error naming the first of the weights, whatever their type, or of the adapters' that is infinite or
/// no number
inline void require_finite(const any_model& model, const std::filesystem::path& adapter = {}) {
    for (const auto& [info, data] : model.weights())
        finite_detail::require_finite(data, model.pool(), model.info().source.string(), "tensor '" + info.name + "'");
    for (std::size_t i = 0; i < model.adapters().size(); ++i) {
        const auto& low_rank = model.adapters()[i];
        if (!low_rank) continue;
        const auto check = [&](const view<const float>& part, const std::string& which) {
            finite_detail::require_finite(
                {reinterpret_cast<const std::byte*>(part.data()), dtype::f32, part.extent(0), part.extent(1)},
                model.pool(), (adapter / "adapter_model.safetensors").string(),
                which + " of the adapter of tensor '" + model.weights()[i].info.name + "'");
        };
        check(low_rank.a, "A");
        check(low_rank.b_turned, "B, turned,");
    }
}

}  // namespace lab::nn
