// Conversion of matrices between weight formats, row by row and in parallel, and the reordering of rotary rows between
// the two containers' layouts. Rows are whole blocks of every format, so reordering them never re-quantises.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/backend.hpp"
#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/core/quantize.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/nn/lora_options.hpp"

namespace lab::nn {

/// A value that cannot be stored in a type (`try_encode`). `matrix` is the data of the one that holds it, for who knows
/// the tensors' names (`naming_tensors`).
struct unstorable_value : config_error {
    unstorable_value(const std::byte* in, std::size_t row, std::size_t column, float value, dtype type)
        : config_error(message(row, column, why_not_stored(value, type))), matrix(in) {}
    const std::byte* matrix;

private:
    [[nodiscard]] static std::string message(std::size_t row, std::size_t column,
                                             const std::pair<std::string, std::string>& why) {
        return explain({}, "row " + std::to_string(row) + ", column " + std::to_string(column) + " " + why.first,
                       why.second);
    }
};

/// Writes rows row(first), row(first + 1), ... of `m`, with an adapter merged into them, as `type` to `out`, `count` of
/// them.
/// @throws unstorable_value; what is not finite already is carried on in f32, f16 and bf16: `require_finite` names it.
template <class RowOrder>
void convert_rows(const matrix_view& m, dtype type, RowOrder row, std::size_t first, std::size_t count, std::byte* out,
                  thread_pool& pool, const low_rank<const float>& adapter = {}) {
    const std::size_t in_stride = m.row_stride(), out_stride = row_bytes(type, m.columns);
    pool.parallel_for(count, 16, [&](std::size_t begin, std::size_t end, std::size_t) {
        const bool as_it_is = type == m.type && !adapter;
        std::vector<float> values(as_it_is ? 0 : m.columns);
        for (std::size_t i = begin; i < end; ++i) {
            const std::byte* from = m.data + row(first + i) * in_stride;
            std::byte* to = out + i * out_stride;
            if (as_it_is) {
                std::copy_n(from, out_stride, to);
            } else {
                decode(m.type, from, values.data(), m.columns);
                if (adapter) adapter.add_row(row(first + i), values);
                const std::size_t stopped = try_encode(type, values.data(), to, m.columns);
                if (stopped != m.columns)
                    throw unstorable_value(m.data, row(first + i), stopped, values[stopped], type);
            }
        }
    });
}
/// The whole matrix in its own order.
inline void convert_matrix(const matrix_view& m, dtype type, std::byte* out, thread_pool& pool) {
    convert_rows(
        m, type, [](std::size_t r) { return r; }, 0, m.rows, out, pool);
}

/// The row of a rotary projection that becomes row `r` in the other layout (half-split from pairs, or back).
[[nodiscard]] inline std::size_t reordered_row(std::size_t r, std::size_t head_dim, bool to_half_split) {
    const std::size_t head = r / head_dim, i = r % head_dim, half = head_dim / 2;
    return head * head_dim + (to_half_split ? 2 * (i % half) + i / half : (i % 2) * half + i / 2);
}

}  // namespace lab::nn
