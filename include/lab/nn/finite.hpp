// Are all weights numbers? One NaN in a checkpoint makes every loss NaN; better to say where it is.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lab/core/backend.hpp"
#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/core/quantize.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/convert.hpp"

namespace lab::nn {

namespace finite_detail {

/// @throws config_error naming the first value that is not finite
inline void require_finite(const matrix_view& m, thread_pool& pool, const std::string& file, const std::string& name) {
    visit_format(m.type, [&](auto f) {
        using Format = decltype(f);
        const std::size_t stride = m.row_stride();
        std::vector<std::uint8_t> bad(m.rows);
        pool.parallel_for(m.rows, std::max<std::size_t>(1, (std::size_t{1} << 16) / std::max<std::size_t>(1, stride)),
                          [&](std::size_t begin, std::size_t end, std::size_t) {
                              for (std::size_t r = begin; r < end; ++r)
                                  bad[r] = all_finite<Format>(m.data + r * stride, m.columns / Format::block) ? 0 : 1;
                          });
        const auto row = static_cast<std::size_t>(std::find(bad.begin(), bad.end(), 1) - bad.begin());
        if (row == m.rows) return;
        std::vector<float> values(m.columns);
        decode(m.type, m.data + row * stride, values.data(), m.columns);
        const auto found = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
        const auto [what, fix] = why_not_stored(*found, m.type);
        throw config_error(explain(
            file,
            name + ", row " + std::to_string(row) + ", column " + std::to_string(found - values.begin()) + " " + what,
            fix));
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

/// Calls `save()`, which stores the weights of `model`.
/// @throws config_error naming file and tensor of a value that the type asked for cannot hold
template <class F>
void naming_tensors(const any_model& model, F&& save) {
    try {
        save();
    } catch (const unstorable_value& fault) {
        for (const auto& [info, data] : model.weights())
            if (data.data == fault.matrix)
                throw config_error(
                    explain(model.info().source.string(), "tensor '" + info.name + "', " + fault.what()));
        throw;
    }
}

}  // namespace lab::nn
