// docs/lessons/1-tensors.md
#include <cassert>
#include <cstdio>

#include "lab/core/dtype.hpp"
#include "lab/core/tensor.hpp"

// [shapes] y = x w^T, the product that a transformer spends its life on.
//   x  [rows, in]      one row per token
//   w  [out, in]       as checkpoints store it: one row per output
//   y  [rows, out]
static void matmul(lab::view<const float> x, lab::view<const float> w, lab::view<float> y) {
    for (std::size_t i = 0; i < x.extent(0); ++i)
        for (std::size_t o = 0; o < w.extent(0); ++o) {
            float sum = 0;
            for (std::size_t k = 0; k < x.extent(1); ++k) sum += x(i, k) * w(o, k);
            y(i, o) = sum;
        }
}

static int check(bool good, const char* what) {
    std::printf("%s: %s\n", good ? "ok" : "WRONG", what);
    return good ? 0 : 1;
}

int main() {
    int faults = 0;

    // [owning] A tensor owns, a view looks. Both are row-major and contiguous.
    lab::tensor<float> x({2, 3});
    for (std::size_t i = 0; i < x.size(); ++i) x.flat()[i] = static_cast<float>(i);
    lab::view<const float> all = x;
    faults += check(all(1, 2) == 5.0f, "element (1, 2) of [2, 3] is the sixth");
    faults += check(all.row(1).data() == all.data() + 3, "a row is a span into the same memory");
    faults += check(all.reshape<3>({2, 3, 1})[1](2, 0) == 5.0f, "reshaping moves nothing");

    // [product]
    lab::tensor<float> w({2, 3}), y({2, 2});
    for (std::size_t k = 0; k < 3; ++k) w(0, k) = 1.0f, w(1, k) = static_cast<float>(k);
    matmul(x, w, y);
    faults += check(y(1, 0) == 12.0f && y(1, 1) == 14.0f, "y = x w^T");

    // [blocks] Eight weights of q8_0's block of 32: one scale, then small integers.
    std::byte block[34] = {};
    const lab::f16 scale = lab::to_f16(0.5f);
    std::memcpy(block, &scale, 2);
    for (std::size_t i = 0; i < 32; ++i) block[2 + i] = static_cast<std::byte>(i);
    float decoded[32];
    lab::decode(lab::dtype::q8_0, block, decoded, 32);
    faults += check(decoded[7] == 3.5f, "q8_0: weight = scale x integer");
    faults += check(lab::row_bytes(lab::dtype::q4_0, 576) == 324, "576 weights in q4_0 take 324 bytes instead of 2304");

    // [errors]
    try {
        lab::require_shape("blk.0.attn_q.weight", lab::extents<2>{576, 192}, lab::extents<2>{576, 576});
        faults += check(false, "a wrong shape is refused");
    } catch (const lab::shape_error& e) {
        std::printf("ok: %s\n", e.what());
    }
    return faults;
}
