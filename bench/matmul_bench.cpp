// y = x w^T at a transformer's shapes, ours beside Eigen's in the same run, on one thread. Counters: GFLOP/s, and GB/s
// of weights read. Compare within a run only; machines differ and share.
#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <vector>

#include "lab/core/quantize.hpp"
#include "lab/core/rng.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/kernels/cpu.hpp"

namespace {

using namespace lab;

struct operands {
    tensor<float> x, w, y;
    std::vector<std::byte> stored;

    operands(std::size_t rows, std::size_t in, std::size_t out, dtype type)
        : x({rows, in}), w({out, in}), y({rows, out}) {
        counter_rng rng(1);
        for (auto* t : {&x, &w})
            for (float& value : t->flat()) value = static_cast<float>(rng.normal());
        stored.resize(out * row_bytes(type, in));
        encode(type, w.data(), stored.data(), w.size());
    }
};

void count(benchmark::State& state, const operands& o) {
    const double runs = static_cast<double>(state.iterations());
    state.counters["GFLOP/s"] =
        benchmark::Counter(2e-9 * runs * static_cast<double>(o.y.size() * o.x.extent(1)), benchmark::Counter::kIsRate);
    state.counters["GB/s"] =
        benchmark::Counter(1e-9 * runs * static_cast<double>(o.stored.size()), benchmark::Counter::kIsRate);
}

void lab_matmul(benchmark::State& state, dtype type) {
    operands o(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)),
               static_cast<std::size_t>(state.range(2)), type);
    thread_pool pool(1);
    const kernels::cpu<kernels::arch::native> backend(pool);
    const matrix_view w{o.stored.data(), type, o.w.extent(0), o.w.extent(1)};
    for (auto _ : state) backend.matmul(o.x.get(), w, o.y.get());
    count(state, o);
}

void eigen_matmul(benchmark::State& state) {
    operands o(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)),
               static_cast<std::size_t>(state.range(2)), dtype::f32);
    using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const auto map = [](auto& t) {
        return Eigen::Map<matrix>(t.data(), static_cast<Eigen::Index>(t.extent(0)),
                                  static_cast<Eigen::Index>(t.extent(1)));
    };
    auto y = map(o.y);
    for (auto _ : state) y.noalias() = map(o.x) * map(o.w).transpose();
    count(state, o);
}

void shapes(benchmark::internal::Benchmark* b) {
    for (const std::int64_t rows : {1, 32, 512})
        for (const auto& [in, out] : {std::pair{576, 1536}, {1536, 576}, {1536, 49152}}) b->Args({rows, in, out});
}

}  // namespace

BENCHMARK(eigen_matmul)->Apply(shapes);
BENCHMARK_CAPTURE(lab_matmul, f32, dtype::f32)->Apply(shapes);
BENCHMARK_CAPTURE(lab_matmul, bf16, dtype::bf16)->Apply(shapes);
BENCHMARK_CAPTURE(lab_matmul, q8_0, dtype::q8_0)->Apply(shapes);
BENCHMARK_CAPTURE(lab_matmul, q4_1, dtype::q4_1)->Apply(shapes);

BENCHMARK_MAIN();
