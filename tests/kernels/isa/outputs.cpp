// Compiled once for each instruction set; LAB_TEST_OUTPUTS is the function's name there.
#include "kernels/isa/outputs.hpp"

#include "kernels/support.hpp"

template class lab::kernels::cpu<lab::kernels::arch::native>;

namespace lab::test {
namespace {

class recorder {
public:
    template <std::size_t Rank>
    void operator()(const tensor<float, Rank>& t) {
        all_.insert(all_.end(), t.flat().begin(), t.flat().end());
    }
    [[nodiscard]] std::vector<float> take() { return std::move(all_); }

private:
    std::vector<float> all_;
};

void products(const native_cpu& cpu, recorder& record) {
    for (const dtype type : all_dtypes)
        for (const std::size_t m : {1u, 13u}) {
            const std::size_t in = 512, out = 101;
            const auto bytes = random_weights(type, out, in, 1);
            const matrix_view w{bytes.data(), type, out, in};
            const auto x = random<2>({m, in}, 2), dy = random<2>({m, out}, 3);
            tensor<float> y({m, out}), dx({m, in}), dw({out, in});
            cpu.matmul(x, w, y);
            cpu.matmul_backward_input(dy, w, dx, false);
            cpu.matmul_backward_weight(dy, x, dw);
            record(y), record(dx), record(dw);
        }
}

/// Integer products: exact sums, so they belong to the promise; bf16 operands do not.
void native_products(const native_cpu& cpu, recorder& record) {
    for (const dtype type : all_dtypes) {
        if (type == dtype::bf16) continue;
        for (const std::size_t m : {1u, 13u}) {
            const auto bytes = random_weights(type, 101, 512, 1);
            const auto x = random<2>({m, 512}, 2);
            tensor<float> y({m, 101});
            cpu.matmul(x, {bytes.data(), type, 101, 512}, y);
            record(y);
        }
    }
}

void rows(const native_cpu& cpu, recorder& record) {
    const auto x = random<2>({5, 333}, 1, 3.0), dy = random<2>({5, 333}, 2), up = random<2>({5, 333}, 3);
    const auto g = random<1>({333}, 4);
    tensor<float> y({5, 333}), dx({5, 333}), dup({5, 333});
    tensor<float, 1> dg({333});
    cpu.rms_norm(x, g, 1e-5, y), record(y);
    cpu.rms_norm_backward(dy, x, g, 1e-5, dx, dg), record(dx), record(dg);
    cpu.swiglu(x, up, y), record(y);
    cpu.swiglu_backward(dy, x, up, dx, dup), record(dx), record(dup);
    auto turned = random<3>({5, 3, 20}, 5);
    const std::int32_t positions[] = {0, 1, 17, 400, 4000};
    cpu.rope(turned, positions, {}), record(turned);
}

void losses(const native_cpu& cpu, recorder& record) {
    const auto hidden = random<2>({7, 40}, 1), head = random<2>({1025, 40}, 2);
    const token targets[] = {3, 0, no_token, 1024, 3, 500, 16};
    tensor<float, 1> each({7});
    tensor<float> dhidden({7, 40}), dhead({1025, 40});
    cpu.head_loss_backward(hidden, weight(head), targets, 0.125, each, dhidden, dhead);
    record(each), record(dhidden), record(dhead);
}

void attention(const native_cpu& cpu, recorder& record) {
    const std::size_t length = 150, heads = 6, kv_heads = 2, dim = 20, blocks = 3;
    std::vector<tensor<float>> halves, gradients;
    std::vector<const float*> keys, values;
    std::vector<float*> dkeys, dvalues;
    for (std::size_t b = 0; b < 2 * blocks; ++b) {
        halves.push_back(random<2>({64, kv_heads * dim}, b)), gradients.emplace_back(extents<2>{64, kv_heads * dim});
        (b < blocks ? keys : values).push_back(halves.back().data());
        (b < blocks ? dkeys : dvalues).push_back(gradients.back().data());
    }
    std::vector<token> tokens(length);
    std::vector<std::int32_t> positions(length);
    for (std::size_t i = 0; i < length; ++i) positions[i] = static_cast<std::int32_t>(i);
    const std::uint32_t offsets[] = {0, length};
    const ragged_batch batch{tokens, positions, offsets};
    const kv_sequence<const float> kv[] = {{keys, values, static_cast<std::int32_t>(length)}};
    const kv_sequence<float> dkv[] = {{dkeys, dvalues, static_cast<std::int32_t>(length)}};
    const auto q = random<3>({length, heads, dim}, 20), dy = random<3>({length, heads, dim}, 21);
    tensor<float, 3> y({length, heads, dim}), dq({length, heads, dim});
    cpu.attention(q, batch, kv, {heads, kv_heads, dim, 0, 0.3}, y);
    cpu.attention_backward(dy, q, batch, kv, {heads, kv_heads, dim, 0, 0.3}, dq, dkv);
    record(y), record(dq);
    for (const auto& g : gradients) record(g);

    for (const dtype type : {dtype::f32, dtype::f16, dtype::bf16, dtype::q8_0}) {
        std::vector<std::vector<std::byte>> memory(blocks,
                                                   std::vector<std::byte>(kv_block_shape{kv_heads, dim}.bytes(type)));
        std::vector<std::byte*> cached;
        for (auto& block : memory) cached.push_back(block.data());
        const std::uint32_t first_block[] = {0, blocks};
        const cached_layer layer{cached, first_block, 0, type};
        const auto k = random<3>({length, kv_heads, dim}, 22), v = random<3>({length, kv_heads, dim}, 23);
        cpu.store_cached(k, v, batch, layer);
        cpu.attention(q, batch, layer, {heads, kv_heads, dim, 0, 0.3}, y);
        record(y);
    }
}

}  // namespace

std::vector<float> LAB_TEST_OUTPUTS() {
    thread_pool pool(1);
    const native_cpu cpu(pool);
    recorder record;
    native_products(native_cpu(pool, {.compute = compute::native}), record);
    products(cpu, record), rows(cpu, record), losses(cpu, record), attention(cpu, record);
    return record.take();
}

}  // namespace lab::test
