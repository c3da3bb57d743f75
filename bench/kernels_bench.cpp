// The kernels one by one, on one thread, at SmolLM2-135M's shapes and a 7B model's head: GOP/s of arithmetic (a
// multiply-add is two), GB/s of what must be read, and the share of the machine's limit, measured first: of arithmetic,
// or, where what is read fits no cache and that share is the larger, of reading. Eigen's product stands beside ours.
// Compare within a run only: machines differ and are shared.
#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "common/limits.hpp"
#include "lab/core/rng.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/cpu.hpp"

namespace {

using namespace lab;
using native_cpu = kernels::cpu<kernels::arch::native>;

thread_pool& one_thread() {
    static thread_pool pool(1);
    return pool;
}
const apps::machine_limits& limits() {
    static const apps::machine_limits measured = apps::measure_limits(one_thread());
    return measured;
}

template <std::size_t Rank>
tensor<float, Rank> random(const extents<Rank>& shape, std::uint64_t seed) {
    tensor<float, Rank> t(shape);
    counter_rng rng(seed);
    for (float& x : t.flat()) x = static_cast<float>(rng.normal());
    return t;
}

/// `operations` and `bytes` of one call, the former bound by `peak` (1e9 a second; 0: not bound by arithmetic).
void report(benchmark::State& state, double operations, double bytes, double peak) {
    const auto rate = [&](double per_call) {
        return benchmark::Counter(1e-9 * per_call * static_cast<double>(state.iterations()),
                                  benchmark::Counter::kIsRate);
    };
    if (operations > 0) state.counters["GOP/s"] = rate(operations);
    state.counters["GB/s"] = rate(bytes);
    constexpr double cached = 64 << 20;
    const double share = std::max(peak > 0 ? operations / peak : 0, bytes > cached ? bytes / limits().read : 0);
    if (share > 0) state.counters["% of limit"] = rate(100 * share);
}

// Products: x [rows, in] times packed weights [out, in].

struct weights {
    std::vector<std::byte> stored, panels;
    matrix_view view;

    weights(dtype type, std::size_t in, std::size_t out) : stored(out * row_bytes(type, in)) {
        counter_rng rng(1);
        for (std::byte& b : stored) b = static_cast<std::byte>(rng.below(60));  // small exponents: no value overflows
        view = {stored.data(), type, out, in};
        if (type == dtype::f32) return;
        panels.resize(kernels::packed_bytes(view));
        kernels::pack_matrix<kernels::arch::native>(view, panels.data(), one_thread());
        view.panels = panels.data();
    }
};

void product_of(benchmark::State& state, dtype type) {
    const auto rows = static_cast<std::size_t>(state.range(0)), in = static_cast<std::size_t>(state.range(1)),
               out = static_cast<std::size_t>(state.range(2));
    const weights w(type, in, out);
    const auto x = random<2>({rows, in}, 2);
    tensor<float> y({rows, out});
    const native_cpu backend(one_thread(), {.compute = compute::native});
    for (auto _ : state) {
        backend.matmul(x.get(), w.view, y.get());
        benchmark::DoNotOptimize(y.data());
    }
    const auto with = kernels::panel_operand<kernels::arch::native>(w.view, compute::native);
    const double peak = with == kernels::operand::int8 && limits().int8 > 0   ? limits().int8
                        : with == kernels::operand::bf16 && limits().bf16 > 0 ? limits().bf16
                                                                              : limits().f32;
    report(state, 2.0 * static_cast<double>(rows * in * out), static_cast<double>(w.stored.size()), peak);
}
void eigen_product(benchmark::State& state) {
    using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const auto rows = state.range(0), in = state.range(1), out = state.range(2);
    const matrix x = matrix::Random(rows, in), w = matrix::Random(out, in);
    matrix y(rows, out);
    for (auto _ : state) {
        y.noalias() = x * w.transpose();
        benchmark::DoNotOptimize(y.data());
    }
    report(state, 2.0 * static_cast<double>(rows * in * out), 4.0 * static_cast<double>(in * out), limits().f32);
}
void product_shapes(benchmark::internal::Benchmark* b) {
    for (const std::int64_t rows : {1, 8, 32, 512})
        for (const auto& [in, out] : {std::pair{576, 1536}, {1536, 576}, {4096, 32000}})
            if (rows < 512 || in < 4096) b->Args({rows, in, out});
}

// Attention: sequences of `depth` cached positions, each with `rows` new ones; `shared` of the former are common.

void attention_of(benchmark::State& state, dtype type) {
    const auto sequences = static_cast<std::size_t>(state.range(0)), rows = static_cast<std::size_t>(state.range(1)),
               depth = static_cast<std::size_t>(state.range(2)), shared = static_cast<std::size_t>(state.range(3));
    constexpr std::size_t heads = 9, kv_heads = 3, dim = 64;
    const kv_block_shape shape{kv_heads, dim};
    const std::size_t length = depth + rows, blocks = (length + kv_block_size - 1) / kv_block_size;
    std::vector<aligned_buffer<std::byte>> memory;
    std::vector<std::byte*> table;
    std::vector<std::uint32_t> first_block{0}, offsets{0};
    std::vector<std::int32_t> positions;
    for (std::size_t s = 0; s < sequences; ++s) {
        for (std::size_t b = 0; b < blocks; ++b) {
            const bool common = s != 0 && (b + 1) * kv_block_size <= shared;
            if (!common) memory.emplace_back(shape.bytes(type));
            table.push_back(common ? table[b] : memory.back().data());
        }
        first_block.push_back(static_cast<std::uint32_t>(table.size()));
        for (std::size_t i = 0; i < rows; ++i) positions.push_back(static_cast<std::int32_t>(depth + i));
        offsets.push_back(static_cast<std::uint32_t>(positions.size()));
    }
    const std::vector<token> tokens(positions.size());
    const auto q = random<3>({positions.size(), heads, dim}, 1);
    tensor<float, 3> y({positions.size(), heads, dim});
    const native_cpu backend(one_thread());
    const ragged_batch batch{tokens, positions, offsets};
    const cached_layer layer{table, first_block, 0, type};
    for (auto _ : state) {
        backend.attention(q.get(), batch, layer, {heads, kv_heads, dim, 0, 0.125}, y.get());
        benchmark::DoNotOptimize(y.data());
    }
    double seen = 0;
    for (const auto p : positions) seen += p + 1;
    report(state, 4 * seen * static_cast<double>(heads * dim), static_cast<double>(memory.size() * shape.bytes(type)),
           limits().f32);
}
void attention_shapes(benchmark::internal::Benchmark* b) {
    b->ArgNames({"sequences", "rows", "depth", "shared"});
    b->Args({1, 512, 0, 0});     // a prompt
    b->Args({1, 1, 512, 0});     // one stream
    b->Args({1, 1, 8192, 0});    // with a long context
    b->Args({32, 1, 320, 256});  // many streams on one prompt
    b->Args({32, 1, 320, 0});    // and on prompts of their own
}

// What goes over rows of activations.

template <class Work>
void over_rows(benchmark::State& state, double reads_and_writes, Work&& work) {
    const auto rows = static_cast<std::size_t>(state.range(0)), width = static_cast<std::size_t>(state.range(1));
    auto a = random<2>({rows, width}, 1), b = random<2>({rows, width}, 2);
    tensor<float> y({rows, width});
    const native_cpu backend(one_thread());
    for (auto _ : state) {
        work(backend, a, b, y);
        benchmark::DoNotOptimize(y.data());
    }
    report(state, 0, reads_and_writes * 4.0 * static_cast<double>(rows * width), 0);
}
void rms_norm(benchmark::State& state) {
    over_rows(state, 2, [](const native_cpu& c, auto& a, auto& b, auto& y) {
        c.rms_norm(a.get(), view<const float, 1>(b.data(), {b.extent(1)}), 1e-5, y.get());
    });
}
void rope(benchmark::State& state) {
    std::vector<std::int32_t> positions(static_cast<std::size_t>(state.range(0)));
    std::iota(positions.begin(), positions.end(), 0);
    over_rows(state, 2, [&](const native_cpu& c, auto& a, auto&, auto&) {
        c.rope(view<float, 3>(a.data(), {a.extent(0), a.extent(1) / 64, 64}), positions, {});
    });
}
void swiglu(benchmark::State& state) {
    over_rows(state, 3, [](const native_cpu& c, auto& a, auto& b, auto& y) { c.swiglu(a.get(), b.get(), y.get()); });
}
void addition(benchmark::State& state) {
    over_rows(state, 3, [](const native_cpu& c, auto& a, auto&, auto& y) { c.add(a.get(), y.get()); });
}
void cross_entropy(benchmark::State& state) {
    const std::vector<token> targets(static_cast<std::size_t>(state.range(0)), 7);
    tensor<float, 1> losses({targets.size()});
    over_rows(state, 1, [&](const native_cpu& c, auto& a, auto&, auto&) {
        c.cross_entropy(a.get(), targets, losses.get());
        benchmark::DoNotOptimize(losses.data());
    });
}

}  // namespace

int main(int argc, char** argv) {
    for (const dtype type : all_dtypes)
        benchmark::RegisterBenchmark(("product/" + std::string(name_of(type))).c_str(), [type](benchmark::State& s) {
            product_of(s, type);
        })->Apply(product_shapes);
    benchmark::RegisterBenchmark("product/f32 by Eigen", eigen_product)->Apply(product_shapes);
    for (const dtype type : {dtype::f32, dtype::f16, dtype::bf16, dtype::q8_0})
        benchmark::RegisterBenchmark(("attention/" + std::string(name_of(type))).c_str(), [type](benchmark::State& s) {
            attention_of(s, type);
        })->Apply(attention_shapes);
    using over_activations = void (*)(benchmark::State&);
    for (const auto& [name, work] : {std::pair<const char*, over_activations>{"rms_norm", rms_norm},
                                     {"rope", rope},
                                     {"swiglu", swiglu},
                                     {"addition", addition}})
        benchmark::RegisterBenchmark(name, work)->Args({1, 1536})->Args({512, 1536});
    benchmark::RegisterBenchmark("cross_entropy", cross_entropy)->Args({64, 49152});
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    limits();
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
