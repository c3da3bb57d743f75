// What the machine can do at most, measured: bytes read a second from a buffer far larger than any cache, and
// multiply-adds a second out of registers, on all threads of a pool. The instructions are those that this program was
// compiled for. Others may share the machine: reading is the best of several short rounds, and multiply-adds are
// counted by the processor's time, not the clock's.
#pragma once

#include <sys/mman.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <memory>
#include <new>
#include <vector>

#include "lab/core/thread_pool.hpp"
#include "lab/kernels/simd.hpp"

namespace lab::apps {

/// 1e9 a second, all threads together; a multiply-add counts as two operations. 0: the processor has no such
/// instruction.
struct machine_limits {
    double read = 0;                     // bytes of memory
    double f32 = 0, bf16 = 0, int8 = 0;  // operations: fused multiply-add, bf16 dot product, u8 x i8 dot product
};

namespace limits_detail {

inline constexpr std::size_t chains = 12;  // independent sums: enough to hide the latency of two units

/// Makes the compiler believe that a register was read and changed: it can neither drop nor merge what led to it.
template <class Register>
[[gnu::always_inline]] inline void hide(Register& value) {
#if defined(__x86_64__)
    asm volatile("" : "+x"(value));
#elif defined(__aarch64__)
    asm volatile("" : "+w"(value));
#else
    asm volatile("" : "+m"(value));
#endif
}

/// `add` gives s + x x over a register, with `operations` of them.
struct f32_dot {
#if defined(__AVX512F__)
    using values = __m512;
    static values add(values s, values x) { return _mm512_fmadd_ps(x, x, s); }
#elif defined(__AVX2__) && defined(__FMA__)
    using values = __m256;
    static values add(values s, values x) { return _mm256_fmadd_ps(x, x, s); }
#else
    using values = kernels::detail::vectors<16>::floats;
    static values add(values s, values x) { return s + x * x; }
#endif
    using sums = values;
    static constexpr double operations = 2.0 * sizeof(values) / sizeof(float);
};

#if defined(__AVX512BF16__) && defined(__AVX512F__)
struct bf16_dot {
    using values = __m512i;
    using sums = __m512;
    static sums add(sums s, values x) {
        return _mm512_dpbf16_ps(s, std::bit_cast<__m512bh>(x), std::bit_cast<__m512bh>(x));
    }
    static constexpr double operations = 2 * 32;
};
#endif

#if defined(__AVX2__)
struct int8_dot {
#if defined(__AVX512VNNI__) && defined(__AVX512F__)
    using values = __m512i;
    static values add(values s, values x) { return _mm512_dpbusd_epi32(s, x, x); }
#elif defined(__AVXVNNI__)
    using values = __m256i;
    static values add(values s, values x) { return _mm256_dpbusd_avx_epi32(s, x, x); }
#else
    using values = __m256i;
    static values add(values s, values x) {
        return _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(x, x), _mm256_set1_epi16(1)));
    }
#endif
    using sums = values;
    static constexpr double operations = 2 * sizeof(values);
};
#endif

/// Time that this thread itself has computed: others on the same cores do not slow it.
struct thread_clock {
    static double now() {
        timespec t{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
    }
};
struct wall_clock {
    static double now() {
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    }
};

/// 1e9 a second, all threads together, of which `turn(thread)` does `amount`: five rounds of a fifth of `seconds`, in
/// rising order.
template <class Clock, class Turn>
std::array<double, 5> rates(thread_pool& pool, double seconds, double amount, const Turn& turn) {
    std::array<double, 5> found{};
    for (double& rate : found) {
        std::atomic<double> total{0};
        pool.parallel_for(pool.size(), 1, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t thread = begin; thread < end; ++thread) {
                const double start = Clock::now();
                double turns = 0, elapsed = 0;
                while (elapsed < seconds / 5) {
                    turn(thread);
                    elapsed = Clock::now() - start;
                    ++turns;
                }
                total += turns * amount / elapsed;
            }
        });
        rate = total / 1e9;
    }
    std::sort(found.begin(), found.end());
    return found;
}

/// The median: the system's account of a thread's time is exact only on average.
template <class Dot>
double dot_rate(thread_pool& pool, double seconds) {
    constexpr std::size_t turns = 1 << 14;
    return rates<thread_clock>(pool, seconds, Dot::operations * chains * turns, [](std::size_t) {
        typename Dot::values x{};
        typename Dot::sums s[chains]{};
        LAB_UNROLL for (std::size_t c = 0; c < chains; ++c) hide(s[c]);
        for (std::size_t i = 0; i < turns; ++i) {
            hide(x);
            LAB_UNROLL for (std::size_t c = 0; c < chains; ++c) s[c] = Dot::add(s[c], x);
        }
        LAB_UNROLL for (std::size_t c = 0; c < chains; ++c) hide(s[c]);
    })[2];
}

/// The best round: what others take meanwhile is not the machine's fault.
inline double read_rate(thread_pool& pool, double seconds) {
    using values = kernels::detail::vectors<kernels::register_bytes<kernels::arch::native>>::words;
    constexpr std::size_t slice = (std::size_t{256} << 10) / sizeof(values), lanes = 8;
    constexpr std::size_t bytes = std::size_t{256} << 20, page = std::size_t{2} << 20;
    // In large pages where the system has them: with small ones, looking up addresses costs a fifth of the rate.
    const std::unique_ptr<values, void (*)(values*)> buffer(
        static_cast<values*>(::operator new (bytes, std::align_val_t{page})),
        [](values* p) { ::operator delete (p, std::align_val_t{page}); });
#if defined(MADV_HUGEPAGE)
    ::madvise(buffer.get(), bytes, MADV_HUGEPAGE);
#endif
    std::memset(buffer.get(), 1, bytes);
    const std::size_t slices = bytes / (slice * sizeof(values));
    std::vector<std::size_t> next(pool.size());  // each thread walks through its own part, again and again
    return rates<wall_clock>(pool, seconds, slice * sizeof(values), [&](std::size_t thread) {
        const std::size_t first = slices * thread / pool.size(), last = slices * (thread + 1) / pool.size();
        const values* at = buffer.get() + (first + next[thread]++ % std::max<std::size_t>(last - first, 1)) * slice;
        values s[lanes]{};
        for (std::size_t i = 0; i < slice; i += lanes)
            LAB_UNROLL for (std::size_t c = 0; c < lanes; ++c) s[c] += at[i + c];
        LAB_UNROLL for (std::size_t c = 0; c < lanes; ++c) hide(s[c]);
    })[4];
}

}  // namespace limits_detail

/// 1e9 operations a second of products in f32, or of bf16 operands where the processor multiplies those.
[[nodiscard]] inline double product_limit(thread_pool& pool, bool bf16, double seconds) {
#if defined(__AVX512BF16__) && defined(__AVX512F__)
    if (bf16) return limits_detail::dot_rate<limits_detail::bf16_dot>(pool, seconds);
#else
    static_cast<void>(bf16);
#endif
    return limits_detail::dot_rate<limits_detail::f32_dot>(pool, seconds);
}

/// @param seconds for each of the limits.
[[nodiscard]] inline machine_limits measure_limits(thread_pool& pool, double seconds = 0.3) {
    using namespace limits_detail;
    machine_limits limits;
    limits.read = read_rate(pool, seconds);
    limits.f32 = dot_rate<f32_dot>(pool, seconds);
#if defined(__AVX512BF16__) && defined(__AVX512F__)
    limits.bf16 = dot_rate<bf16_dot>(pool, seconds);
#endif
#if defined(__AVX2__)
    limits.int8 = dot_rate<int8_dot>(pool, seconds);
#endif
    return limits;
}

}  // namespace lab::apps
