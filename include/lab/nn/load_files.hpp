// From files to a model for inference. Weights stay in the mapped file unless asked for otherwise; matrices are copied
// into the order of the kernels where those are faster for it. See load.hpp for its use, locate.hpp for what is
// checked.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/formats/tensor_source.hpp"
#include "lab/kernels/cpu.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/convert.hpp"
#include "lab/nn/load_options.hpp"
#include "lab/nn/locate.hpp"
#include "lab/nn/model_implementation.hpp"
#include "lab/nn/weights.hpp"

namespace lab::nn {

using default_backend = kernels::cpu<kernels::arch::native>;

/// Everything the weights of a model may point into.
struct weight_storage {
    formats::checkpoint files;                       // mapped
    std::vector<aligned_buffer<std::byte>> buffers;  // single tensors that were converted or re-aligned
    large_buffer panels;                             // matrices once more, packed for the kernels
    std::size_t panel_bytes = 0;
    double pack_seconds = 0;  // that packing took
};

namespace detail {

[[nodiscard]] inline std::shared_ptr<thread_pool> pool_of(const load_options& options) {
    return options.pool ? options.pool : std::make_shared<thread_pool>(options.threads);
}

/// Floats in place need their alignment; block formats are read bytewise.
[[nodiscard]] inline bool is_aligned(const matrix_view& m) {
    const std::size_t unit = m.type == dtype::f32 ? 4 : m.type == dtype::f16 || m.type == dtype::bf16 ? 2 : 1;
    return reinterpret_cast<std::uintptr_t>(m.data) % unit == 0;
}

/// `stored` as `type` in a buffer of its own.
[[nodiscard]] inline matrix_view converted(const matrix_view& stored, dtype type, weight_storage& owned,
                                           thread_pool& pool) {
    matrix_view held = stored;
    held.type = type;
    auto& buffer = owned.buffers.emplace_back(held.rows * held.row_stride());
    convert_matrix(stored, type, buffer.data(), pool);
    held.data = buffer.data();
    return held;
}

/// A matrix as `type` if it is given: in place, or converted.
[[nodiscard]] inline matrix_view hold_matrix(const matrix_view& stored, std::optional<dtype> wanted,
                                             weight_storage& owned, thread_pool& pool) {
    dtype type = wanted.value_or(stored.type);
    if (stored.columns % block_size(type) != 0) type = stored.type;  // rows that are no whole number of blocks
    if (type == stored.type && is_aligned(stored)) return stored;
    const auto held = converted(stored, type, owned, pool);
    if (type != stored.type) owned.files.forget({stored.data, stored.rows * stored.row_stride()});
    return held;
}

/// Fills the rows after the first `known` with the mean of those.
inline void fill_with_mean(view<float> rows, std::size_t known) {
    std::vector<double> mean(rows.extent(1));
    for (std::size_t r = 0; r < known; ++r)
        for (std::size_t j = 0; j < mean.size(); ++j) mean[j] += static_cast<double>(rows(r, j));
    for (std::size_t r = known; r < rows.extent(0); ++r)
        for (std::size_t j = 0; j < mean.size(); ++j)
            rows(r, j) = static_cast<float>(mean[j] / static_cast<double>(known));
}

/// A table with rows for more tokens than its file has, in f32.
[[nodiscard]] inline matrix_view grown(const matrix_view& stored, std::size_t rows, weight_storage& owned,
                                       thread_pool& pool) {
    matrix_view held{nullptr, dtype::f32, rows, stored.columns};
    auto& buffer = owned.buffers.emplace_back(held.rows * held.row_stride());
    convert_matrix(stored, dtype::f32, buffer.data(), pool);
    fill_with_mean({reinterpret_cast<float*>(buffer.data()), {rows, stored.columns}}, stored.rows);
    held.data = buffer.data();
    return held;
}

/// A matrix that a model holds, and what it was made from in its file.
struct held_matrix {
    matrix_view* held;
    matrix_view stored;
};

/// Packs matrices for the kernels where they have use for it.
inline void pack(std::span<const held_matrix> matrices, lab::compute compute, weight_storage& owned,
                 thread_pool& pool) {
    const auto room = [&](const matrix_view& m) {
        return default_backend::takes_panels(m, compute) ? (kernels::packed_bytes(m) + 63) / 64 * 64 : 0;
    };
    const auto start = std::chrono::steady_clock::now();
    std::size_t total = 0;
    for (const auto& m : matrices) total += room(*m.held);
    if (total == 0) return;
    owned.panels = large_buffer(total);
    std::byte* next = owned.panels.data();
    for (const auto& [held, stored] : matrices) {
        const std::size_t bytes = room(*held);
        if (bytes == 0) continue;
        kernels::pack_matrix<kernels::arch::native>(*held, next, pool);
        held->panels = next;
        next += bytes;
        owned.files.forget({stored.data, stored.rows * stored.row_stride()});
    }
    owned.panel_bytes = total;
    owned.pack_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}
/// Tells in `info` what packing took.
inline void report_packing(const weight_storage& owned, model_info& info) {
    info.packed_bytes = owned.panel_bytes;
    info.pack_seconds = owned.pack_seconds;
}

/// The rows' order in memory, which is that of the file.
[[nodiscard]] inline bool half_split(std::span<const located_tensor> found) {
    for (const auto& tensor : found)
        if (tensor.how == transform::permute_rope) return false;
    return true;
}

}  // namespace detail

/// The weights of one family as the options want them held. @param type_of f(tensor_info): the type of a matrix, if it
/// is to be another than its own
template <class Architecture, class TypeOf>
[[nodiscard]] model_weights<Architecture, default_backend> hold_weights(const runtime_dims& d,
                                                                        std::span<const located_tensor> found,
                                                                        const load_options& options, TypeOf&& type_of,
                                                                        weight_storage& owned, thread_pool& pool) {
    model_weights<Architecture, default_backend> w(d);
    std::vector<detail::held_matrix> matrices;
    std::size_t next = 0;
    for_each_tensor(
        d,
        [&](const tensor_info& tensor, auto& handle) {
            const matrix_view& stored = found[next++].data;
            if constexpr (std::is_same_v<std::remove_cvref_t<decltype(handle)>, matrix_view>) {
                handle = stored.rows < tensor.rows ? detail::grown(stored, tensor.rows, owned, pool)
                                                   : detail::hold_matrix(stored, type_of(tensor), owned, pool);
                if (tensor.role != "embedding" || d.tied) matrices.push_back({&handle, stored});
            } else {
                const auto held = detail::converted(stored, dtype::f32, owned, pool);
                handle = {reinterpret_cast<const float*>(held.data), {tensor.columns}};
            }
        },
        w);
    if (options.pack) detail::pack(matrices, options.compute, owned, pool);
    if (d.tied) w.head = w.embedding;
    return w;
}

/// Builds the model of one family, for inference, from a checkpoint.
template <class Architecture>
[[nodiscard]] any_model load_as(opened_checkpoint from, const load_options& options) {
    auto& info = from.info;
    validate(info.dims, info.source.string());
    if (options.lora || !options.adapter.empty())
        throw config_error(
            explain("load_options", "adapters are for models that learn", "load it with nn::load_trainable"));
    const auto found = locate_all<Architecture>(info, from.file, from.in);
    info.half_split = detail::half_split(found);
    info.dims.vocab += options.extra_tokens;
    validate(info.dims, "load_options");
    auto pool = detail::pool_of(options);
    auto owned = std::make_shared<weight_storage>();
    owned->files = from.file;
    auto w = hold_weights<Architecture>(
        info.dims, found, options, [&](const tensor_info&) { return options.expand; }, *owned, *pool);
    detail::report_packing(*owned, info);
    default_backend backend(*pool, {.compute = options.compute, .profile = options.profile});
    return any_model(std::make_shared<model_implementation<Architecture, default_backend>>(
        std::move(info), std::move(w), std::move(backend), std::move(pool), std::move(owned)));
}

/// What `load_model` does.
[[nodiscard]] inline any_model load_files(const std::filesystem::path& path, const load_options& options) {
    auto from = open_checkpoint(path);
    return visit_family(from.info, [&]<class A>(A) { return load_as<A>(std::move(from), options); });
}

}  // namespace lab::nn
