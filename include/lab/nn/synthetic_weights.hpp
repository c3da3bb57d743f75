// The weights of a synthetic model: a checkpoint in memory with a GGUF file's names, filled with random bits whose
// scales are then set so that weights have mean 0 and a deviation of about 0.02. Nothing is encoded from floats, so
// gigabytes take seconds. Each tensor has its own stream of the seed: the bytes depend on neither threads nor order.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/dtype.hpp"
#include "lab/core/error.hpp"
#include "lab/core/half.hpp"
#include "lab/core/rng.hpp"
#include "lab/core/tensor.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/formats/tensor_source.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/arch.hpp"
#include "lab/nn/dims.hpp"
#include "lab/nn/load_options.hpp"
#include "lab/nn/load_trainable_files.hpp"
#include "lab/nn/locate.hpp"
#include "lab/nn/quantize_mix.hpp"
#include "lab/nn/weights.hpp"

namespace lab::nn {

namespace synthetic_detail {

inline constexpr float deviation = 0.02f;

template <class T>
void put(std::byte* at, T value) noexcept {
    std::memcpy(at, &value, sizeof value);
}
inline void put_scale(std::byte* at, float value) noexcept { put(at, to_f16(value).bits); }
/// Random sign and fraction, exponent of [2^-6, 2^-5).
template <class Word>
void put_exponent(std::byte* at, Word random_bits, Word exponent) noexcept {
    put(at, static_cast<Word>((formats_detail::load<Word>(at) & random_bits) | exponent));
}

/// Turns a block of random bytes into valid weights by setting its scales. The divisors are the deviations of what the
/// scale multiplies, over uniform random quants (and, in k-quants, uniform sub-block scales and minima).
inline void settle(format::f32, std::byte* b) noexcept { put_exponent<std::uint32_t>(b, 0x807fffffu, 0x3c800000u); }
inline void settle(format::f16, std::byte* b) noexcept { put_exponent<std::uint16_t>(b, 0x83ff, 0x2400); }
inline void settle(format::bf16, std::byte* b) noexcept { put_exponent<std::uint16_t>(b, 0x807f, 0x3c80); }
inline void settle(format::q8_0, std::byte* b) noexcept { put_scale(b, deviation / 73.9f); }
inline void settle(format::q4_0, std::byte* b) noexcept { put_scale(b, deviation / 4.6f); }
inline void settle(format::q4_1, std::byte* b) noexcept {
    put_scale(b, deviation / 4.6f);
    put_scale(b + 2, -7.5f * deviation / 4.6f);
}
inline void settle(format::q5_0, std::byte* b) noexcept { put_scale(b, deviation / 9.2f); }
inline void settle(format::q5_1, std::byte* b) noexcept {
    put_scale(b, deviation / 9.2f);
    put_scale(b + 2, -15.5f * deviation / 9.2f);
}
inline void settle(format::q4_k, std::byte* b) noexcept {
    put_scale(b, deviation / 258.0f);
    put_scale(b + 2, 7.5f * deviation / 258.0f);
}
inline void settle(format::q5_k, std::byte* b) noexcept {
    put_scale(b, deviation / 527.0f);
    put_scale(b + 2, 15.5f * deviation / 527.0f);
}
inline void settle(format::q6_k, std::byte* b) noexcept { put_scale(b + 208, deviation / 1366.0f); }

/// Fills `out`, a whole number of blocks, with weights of the stream (seed, stream).
template <class F>
void fill(F format, std::span<std::byte> out, std::uint64_t seed, std::uint64_t stream, thread_pool& pool) {
    constexpr std::size_t piece = 1024;  // blocks: a whole number of Philox outputs, and small enough for a cache
    const std::array<std::uint32_t, 2> key{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
    const std::size_t blocks = out.size() / F::bytes;
    pool.parallel_for(blocks, piece, [&](std::size_t begin, std::size_t end, std::size_t) {
        for (std::size_t first = begin; first < end; first += piece) {
            const std::size_t last = std::min(first + piece, end);
            for (std::size_t at = first * F::bytes; at < last * F::bytes; at += 16) {
                const std::uint64_t position = at / 16;
                const auto words =
                    philox({static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32),
                            static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)},
                           key);
                std::memcpy(out.data() + at, words.data(), std::min<std::size_t>(16, last * F::bytes - at));
            }
            for (std::size_t b = first; b < last; ++b) settle(format, out.data() + b * F::bytes);
        }
    });
}

/// The sizes, and the family that has what they ask for.
[[nodiscard]] inline model_info info_of(const runtime_dims& d) {
    model_info info;
    info.dims = d;
    info.family = d.experts != 0 ? arch::mixtral::family : d.window != 0 ? arch::mistral::family : arch::llama::family;
    return info;
}

}  // namespace synthetic_detail

/// A checkpoint in memory, named and laid out as a GGUF file of the family, experts in stacks. Norm gains are 1,
/// routers are f32 (`stays_f32`).
/// @throws config_error when the sizes contradict each other.
[[nodiscard]] inline formats::checkpoint synthetic_checkpoint(const runtime_dims& d, dtype type, std::uint64_t seed,
                                                              thread_pool& pool) {
    validate(d, "synthetic model");
    constexpr std::size_t alignment = 64;
    std::vector<formats::stored_tensor> tensors;
    std::vector<std::size_t> offsets;
    std::size_t total = 0;
    std::set<std::string> stacks;
    for (const tensor_info& info :
         visit_family(synthetic_detail::info_of(d), [&]<class A>(A) { return describe_tensors<A>(d); })) {
        const tensor_source& source = info.sources(container::gguf).front();
        if (info.expert != tensor_info::no_index && !stacks.insert(source.name).second) continue;
        const dtype held = stays_f32(info) ? dtype::f32 : storable(type, info.columns);
        tensors.push_back({source.name, held, source.shape, {}});
        offsets.push_back(total);
        total += (formats::tensor_bytes(held, source.shape) + alignment - 1) / alignment * alignment;
    }
    // Not zeroed first: the threads that fill the pages are the first to touch them.
    const std::shared_ptr<std::byte> arena(static_cast<std::byte*>(::operator new (total, std::align_val_t{alignment})),
                                           [](std::byte* p) { ::operator delete (p, std::align_val_t{alignment}); });
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        auto& tensor = tensors[i];
        const std::span<std::byte> out(arena.get() + offsets[i], formats::tensor_bytes(tensor.type, tensor.shape));
        if (tensor.shape.size() == 1)
            for (std::size_t at = 0; at < out.size(); at += sizeof(float)) synthetic_detail::put(&out[at], 1.0f);
        else
            visit_format(tensor.type, [&](auto f) { synthetic_detail::fill(f, out, seed, hash64(tensor.name), pool); });
        tensor.bytes = out;
    }
    return {"synthetic model", std::move(tensors), {arena}};
}

/// What `make_synthetic` and `make_trainable_synthetic` load. @throws config_error as they do
[[nodiscard]] inline opened_checkpoint open_synthetic(const runtime_dims& dims, dtype type, std::uint64_t seed,
                                                      thread_pool& pool) {
    opened_checkpoint made;
    made.file = synthetic_checkpoint(dims, type, seed, pool);
    made.info = synthetic_detail::info_of(dims);
    return made;
}

/// What `make_synthetic` does.
[[nodiscard]] inline any_model load_synthetic(const runtime_dims& dims, dtype type, load_options options,
                                              std::uint64_t seed) {
    options.pool = detail::pool_of(options);
    auto made = open_synthetic(dims, type, seed, *options.pool);
    return visit_family(made.info, [&]<class A>(A) { return load_as<A>(std::move(made), options); });
}
/// What `make_trainable_synthetic` does.
[[nodiscard]] inline any_model load_trainable_synthetic(const runtime_dims& dims, dtype type, load_options options,
                                                        std::uint64_t seed) {
    options.pool = detail::pool_of(options);
    auto made = open_synthetic(dims, type, seed, *options.pool);
    return visit_family(made.info, [&]<class A>(A) { return load_trainable_as<A>(std::move(made), options); });
}

}  // namespace lab::nn
