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
        panels.resize(kernels::packed_bytes(view));
        kernels::pack_matrix<kernels::arch::native>(view, panels.data(), one_thread());
        view.panels = panels.data();
    }
};

void product_of(benchmark::State& state, dtype type, compute precision = compute::native) {
    const auto rows = static_cast<std::size_t>(state.range(0)), in = static_cast<std::size_t>(state.range(1)),
               out = static_cast<std::size_t>(state.range(2));
    const weights w(type, in, out);
    const auto x = random<2>({rows, in}, 2);
    tensor<float> y({rows, out});
    const native_cpu backend(one_thread(), {.compute = precision});
    for (auto _ : state) {
        backend.matmul(x.get(), w.view, y.get());
        benchmark::DoNotOptimize(y.data());
    }
    const auto with = kernels::panel_operand<kernels::arch::native>(w.view, precision);
    const bool halves = with == kernels::operand::bf16 || precision == compute::bf16;
    const double peak = with == kernels::operand::int8 && limits().int8 > 0 ? limits().int8
                        : halves && limits().bf16 > 0                       ? limits().bf16
                                                                            : limits().f32;
    report(state, 2.0 * static_cast<double>(rows * in * out), static_cast<double>(w.stored.size()), peak);
}
/// Of both gradients of a product, in training: work(backend, dy [rows, out], x [rows, in], w [out, in]).
template <class Work>
void gradient_of(benchmark::State& state, compute precision, Work&& work) {
    const auto rows = static_cast<std::size_t>(state.range(0)), in = static_cast<std::size_t>(state.range(1)),
               out = static_cast<std::size_t>(state.range(2));
    auto dy = random<2>({rows, out}, 1), x = random<2>({rows, in}, 2), w = random<2>({out, in}, 3);
    const native_cpu backend(one_thread(), {.compute = precision});
    for (auto _ : state) {
        work(backend, dy, x, w);
        benchmark::ClobberMemory();
    }
    report(state, 2.0 * static_cast<double>(rows * in * out), 4.0 * static_cast<double>(in * out),
           precision == compute::bf16 && limits().bf16 > 0 ? limits().bf16 : limits().f32);
}
void gradient_of_input(benchmark::State& state, compute precision) {
    gradient_of(state, precision, [](const native_cpu& c, auto& dy, auto& x, auto& w) {
        const matrix_view stored{reinterpret_cast<const std::byte*>(w.data()), dtype::f32, w.extent(0), w.extent(1)};
        c.matmul_backward_input(dy.get(), stored, x.get(), false);
    });
}
void gradient_of_weight(benchmark::State& state, compute precision) {
    gradient_of(state, precision, [](const native_cpu& c, auto& dy, auto& x, auto& w) {
        c.matmul_backward_weight(dy.get(), x.get(), w.get());
    });
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

constexpr std::size_t heads = 9, kv_heads = 3, dim = 64;

struct cached_batch {
    std::vector<aligned_buffer<std::byte>> memory;
    std::vector<std::byte*> table;
    std::vector<std::uint32_t> first_block{0}, offsets{0};
    std::vector<std::int32_t> positions;
    std::vector<token> tokens;
    dtype type;

    cached_batch(const benchmark::State& state, dtype of) : type(of) {
        const auto sequences = static_cast<std::size_t>(state.range(0)),
                   rows = static_cast<std::size_t>(state.range(1)), depth = static_cast<std::size_t>(state.range(2)),
                   shared = static_cast<std::size_t>(state.range(3));
        const std::size_t length = depth + rows, blocks = (length + kv_block_size - 1) / kv_block_size;
        for (std::size_t s = 0; s < sequences; ++s) {
            for (std::size_t b = 0; b < blocks; ++b) {
                const bool common = s != 0 && (b + 1) * kv_block_size <= shared;
                if (!common) memory.emplace_back(kv_block_shape{kv_heads, dim}.bytes(type));
                table.push_back(common ? table[b] : memory.back().data());
            }
            first_block.push_back(static_cast<std::uint32_t>(table.size()));
            for (std::size_t i = 0; i < rows; ++i) positions.push_back(static_cast<std::int32_t>(depth + i));
            offsets.push_back(static_cast<std::uint32_t>(positions.size()));
        }
        tokens.resize(positions.size());
    }
    [[nodiscard]] ragged_batch batch() const { return {tokens, positions, offsets}; }
    [[nodiscard]] cached_layer layer() const { return {table, first_block, 0, type}; }
    [[nodiscard]] double bytes() const {
        return static_cast<double>(memory.size() * kv_block_shape{kv_heads, dim}.bytes(type));
    }
    /// Products of a query's row with a key's, all heads together.
    [[nodiscard]] double pairs() const {
        return std::accumulate(positions.begin(), positions.end(), 0.0,
                               [](double sum, auto p) { return sum + p + 1; }) *
               static_cast<double>(heads * dim);
    }
};

void attention_of(benchmark::State& state, dtype type) {
    const cached_batch cached(state, type);
    const auto q = random<3>({cached.positions.size(), heads, dim}, 1);
    tensor<float, 3> y(q.shape());
    const native_cpu backend(one_thread());
    for (auto _ : state) {
        backend.attention(q.get(), cached.batch(), cached.layer(), {heads, kv_heads, dim, 0, 0.125}, y.get());
        benchmark::DoNotOptimize(y.data());
    }
    report(state, 4 * cached.pairs(), cached.bytes(), limits().f32);
}
void cache_write(benchmark::State& state, dtype type) {
    const cached_batch cached(state, type);
    const auto k = random<3>({cached.positions.size(), kv_heads, dim}, 1);
    const native_cpu backend(one_thread());
    for (auto _ : state) {
        backend.store_cached(k.get(), k.get(), cached.batch(), cached.layer());
        benchmark::ClobberMemory();
    }
    report(state, 0, 2 * 4.0 * static_cast<double>(k.size()) + cached.bytes(), 0);
}
/// One sequence of so many tokens: dq, dk and dv, five products where attention has two.
void attention_gradient(benchmark::State& state) {
    const auto rows = static_cast<std::size_t>(state.range(0));
    std::vector<std::int32_t> positions(rows);
    std::iota(positions.begin(), positions.end(), 0);
    const std::vector<token> tokens(rows);
    const std::vector<std::uint32_t> offsets{0, static_cast<std::uint32_t>(rows)};
    const auto q = random<3>({rows, heads, dim}, 1), dy = random<3>({rows, heads, dim}, 2);
    const auto k = random<3>({rows, kv_heads, dim}, 3), v = random<3>({rows, kv_heads, dim}, 4);
    tensor<float, 3> dq(q.shape()), dk(k.shape()), dv(k.shape());
    const auto blocks_of = [&](auto* data) {
        std::vector<decltype(data)> blocks;
        for (std::size_t i = 0; i < rows; i += kv_block_size) blocks.push_back(data + i * kv_heads * dim);
        return blocks;
    };
    const auto length = static_cast<std::int32_t>(rows);
    const auto keys = blocks_of(k.data()), values = blocks_of(v.data());
    const auto dkeys = blocks_of(dk.data()), dvalues = blocks_of(dv.data());
    const kv_sequence<const float> kv{keys, values, length};
    const kv_sequence<float> dkv{dkeys, dvalues, length};
    const native_cpu backend(one_thread());
    for (auto _ : state) {
        backend.attention_backward(dy.get(), q.get(), {tokens, positions, offsets}, std::span(&kv, 1),
                                   {heads, kv_heads, dim, 0, 0.125}, dq.get(), std::span(&dkv, 1));
        benchmark::ClobberMemory();
    }
    const auto pairs = static_cast<double>(rows * (rows + 1) / 2 * heads * dim);
    report(state, 10 * pairs, 4.0 * static_cast<double>(3 * q.size() + 4 * k.size()), limits().f32);
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
void rms_norm_gradient(benchmark::State& state) {
    over_rows(state, 4, [](const native_cpu& c, auto& a, auto& b, auto& y) {
        c.rms_norm_backward(a.get(), b.get(), view<const float, 1>(b.data(), {b.extent(1)}), 1e-5, y.get(), {});
    });
}
void swiglu_gradient(benchmark::State& state) {
    over_rows(state, 5, [](const native_cpu& c, auto& a, auto& b, auto& y) {
        c.swiglu_backward(a.get(), b.get(), b.get(), y.get(), y.get());
    });
}
/// What a product with quantised weights does to its activations first.
void quantization_of_activations(benchmark::State& state) {
    using tiles = kernels::tiled_activations<kernels::arch::native>;
    std::vector<std::uint32_t> words;
    over_rows(state, 1.4, [&](const native_cpu&, auto& a, auto&, auto&) {
        constexpr auto kind = kernels::operand::int8;
        words.resize(tiles::words_needed(kind, a.extent(0), a.extent(1)));
        tiles(kind, a.extent(0), a.extent(1), words.data()).fill(a.get(), one_thread());
        benchmark::ClobberMemory();
    });
}
void embedding(benchmark::State& state, dtype type) {
    const auto rows = static_cast<std::size_t>(state.range(0)), width = static_cast<std::size_t>(state.range(1));
    constexpr std::size_t vocabulary = 49152;
    const weights w(type, width, vocabulary);
    counter_rng rng(1);
    std::vector<token> tokens(rows);
    for (token& t : tokens) t = static_cast<token>(rng.below(vocabulary));
    tensor<float> y({rows, width});
    const native_cpu backend(one_thread());
    for (auto _ : state) {
        backend.embed(tokens, w.view, y.get());
        benchmark::DoNotOptimize(y.data());
    }
    report(state, 0, static_cast<double>(rows * (row_bytes(type, width) + 4 * width)), 0);
}
/// The head and the loss in one, without and with gradients (three times the products).
void head_and_loss(benchmark::State& state, bool gradients) {
    const auto rows = static_cast<std::size_t>(state.range(0)), width = static_cast<std::size_t>(state.range(1)),
               vocabulary = static_cast<std::size_t>(state.range(2));
    const auto hidden = random<2>({rows, width}, 1), head = random<2>({vocabulary, width}, 2);
    const matrix_view stored{reinterpret_cast<const std::byte*>(head.data()), dtype::f32, vocabulary, width};
    const std::vector<token> targets(rows, 7);
    tensor<float, 1> losses({rows});
    tensor<float> dhidden({rows, width}), dhead(gradients ? head.shape() : extents<2>{0, 0});
    const native_cpu backend(one_thread());
    for (auto _ : state) {
        if (gradients)
            backend.head_loss_backward(hidden.get(), stored, targets, 1.0, losses.get(), dhidden.get(), dhead.get());
        else
            backend.head_loss(hidden.get(), stored, targets, losses.get());
        benchmark::ClobberMemory();
    }
    report(state, (gradients ? 6.0 : 2.0) * static_cast<double>(rows * width * vocabulary),
           4.0 * static_cast<double>(head.size()), limits().f32);
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
    for (const compute precision : {compute::f32, compute::bf16}) {
        const std::string in = " in " + std::string(name_of(precision));
        const auto add = [&](const std::string& name, auto work) {
            benchmark::RegisterBenchmark((name + in).c_str(), [=](benchmark::State& s) { work(s, precision); })
                ->Args({512, 576, 1536})
                ->Args({512, 1536, 576});
        };
        for (const dtype type : {dtype::f32, dtype::q4_0})
            add("product/" + std::string(name_of(type)), [type](auto& s, compute p) { product_of(s, type, p); });
        add("product, gradient of its input", gradient_of_input);
        add("product, gradient of its weight", gradient_of_weight);
    }
    for (const dtype type : {dtype::f32, dtype::f16, dtype::bf16, dtype::q8_0}) {
        const std::string name(name_of(type));
        benchmark::RegisterBenchmark(("attention/" + name).c_str(), [type](benchmark::State& s) {
            attention_of(s, type);
        })->Apply(attention_shapes);
        benchmark::RegisterBenchmark(("cache_write/" + name).c_str(),
                                     [type](benchmark::State& s) { cache_write(s, type); })
            ->Args({1, 512, 0, 0})
            ->Args({32, 1, 320, 0});
    }
    benchmark::RegisterBenchmark("attention, gradient", attention_gradient)->Arg(512);
    for (const dtype type : {dtype::f32, dtype::q4_0, dtype::q8_0})
        benchmark::RegisterBenchmark(("embedding/" + std::string(name_of(type))).c_str(),
                                     [type](benchmark::State& s) { embedding(s, type); })
            ->Args({1, 576})
            ->Args({512, 576});
    for (const bool gradients : {false, true})
        benchmark::RegisterBenchmark(gradients ? "head_loss, gradient" : "head_loss", [gradients](benchmark::State& s) {
            head_and_loss(s, gradients);
        })->Args({512, 576, 49152});
    using over_activations = void (*)(benchmark::State&);
    for (const auto& [name, work] : {std::pair<const char*, over_activations>{"rms_norm", rms_norm},
                                     {"rope", rope},
                                     {"swiglu", swiglu},
                                     {"addition", addition},
                                     {"quantization of activations", quantization_of_activations},
                                     {"rms_norm, gradient", rms_norm_gradient},
                                     {"swiglu, gradient", swiglu_gradient}})
        benchmark::RegisterBenchmark(name, work)->Args({1, 1536})->Args({512, 1536});
    benchmark::RegisterBenchmark("cross_entropy", cross_entropy)->Args({64, 49152});
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    limits();
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
