// Instruction-set tags, the first template argument of every kernel. A tag may be used only in a translation unit that
// is compiled for it; `arch::native` is the best one here. Kernels live in an inline namespace named after the unit's
// flags, so that units with different flags never share a symbol.
#pragma once

#include <string_view>

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && defined(__FMA__)
#define LAB_AVX512 1
#if defined(__AVX512VNNI__)
#define LAB_AVX512_VNNI 1
#endif
#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)
#define LAB_AVX512_BF16 1
#define LAB_ISA isa_avx512_bf16
#elif defined(__AVX512VNNI__)
#define LAB_ISA isa_avx512_vnni
#else
#define LAB_ISA isa_avx512
#endif
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define LAB_ISA isa_avx2
#elif defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define LAB_ISA isa_portable_fma
#else
#define LAB_ISA isa_portable
#endif
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define LAB_AVX2 1
#endif

namespace lab::kernels::arch {

/// Vector extensions of GCC and clang alone: any processor.
struct scalar {
    static constexpr std::string_view name = "scalar";
};
/// AVX2, FMA and F16C (x86-64-v3).
struct avx2 {
    static constexpr std::string_view name = "avx2";
};
/// AVX-512 F, BW, DQ and VL (x86-64-v4).
struct avx512 {
    static constexpr std::string_view name = "avx512";
};
/// avx512 with the dot product of bytes.
struct avx512_vnni {
    static constexpr std::string_view name = "avx512_vnni";
};
/// avx512_vnni with the bfloat16 dot product.
struct avx512_bf16 {
    static constexpr std::string_view name = "avx512_bf16";
};

#if defined(LAB_AVX512_BF16)
using native = avx512_bf16;
#elif defined(LAB_AVX512_VNNI)
using native = avx512_vnni;
#elif defined(LAB_AVX512)
using native = avx512;
#elif defined(LAB_AVX2)
using native = avx2;
#else
using native = scalar;
#endif

}  // namespace lab::kernels::arch
