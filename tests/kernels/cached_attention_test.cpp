// Attention over a cache: the same bits as over rows of floats, whatever shares its blocks with whom.

#include <numeric>

#include "kernels/support.hpp"
#include "lab/kernels/attention.hpp"

BOOST_AUTO_TEST_SUITE(cached_attention)

using namespace lab;
using namespace lab::test;

namespace {

struct shape {
    std::size_t heads, kv_heads, dim, window;
};
/// A sequence: its first `shared` positions are those of sequence 0; the batch holds positions [first, length).
struct member {
    std::size_t shared, first, length;
};

/// Rows of `dim` floats as a cache gives them back: q8_0 in groups of 32, the last of a row with zeros.
void round_rows(std::vector<float>& x, std::size_t dim, dtype type) {
    for (float& each : x) {
        if (type == dtype::f16) each = to_float(to_f16(each));
        if (type == dtype::bf16) each = to_float(to_bf16(each));
    }
    if (type != dtype::q8_0) return;
    for (std::size_t at = 0; at < x.size(); at += dim)
        for (std::size_t d = 0; d < dim; d += 32) {
            const std::size_t count = std::min<std::size_t>(32, dim - d);
            float group[32] = {}, decoded[32];
            std::copy_n(&x[at + d], count, group);
            std::byte encoded[34];
            encode_block(format::q8_0{}, group, encoded);
            format::q8_0::decode(encoded, decoded);
            std::copy_n(decoded, count, &x[at + d]);
        }
}

/// One problem, held twice: in a cache written by store_cached, and as rows.
class setting {
public:
    setting(const shape& s, const std::vector<member>& members, dtype type)
        : shape_(s), options_{s.heads, s.kv_heads, s.dim, s.window, 0.25}, type_(type) {
        const kv_block_shape block{s.kv_heads, s.dim};
        const std::size_t bytes = block.bytes(type);
        first_block_.push_back(0);
        offsets_.push_back(0);
        for (std::size_t m = 0; m < members.size(); ++m) {
            const auto [shared, first, length] = members[m];
            for (std::size_t b = 0; b * 64 < length; ++b) {
                const bool borrowed = m != 0 && (b + 1) * 64 <= shared;
                if (!borrowed) memory_.emplace_back(offset_ + bytes, std::byte{0xff});  // NaN where nothing is written
                blocks_.push_back(borrowed ? blocks_[b] : memory_.back().data());
            }
            first_block_.push_back(static_cast<std::uint32_t>(blocks_.size()));
            for (std::size_t t = first; t < length; ++t) positions_.push_back(static_cast<std::int32_t>(t));
            offsets_.push_back(static_cast<std::uint32_t>(positions_.size()));
            fill(m, members[m]);
        }
        tokens_.resize(positions_.size());
    }
    [[nodiscard]] ragged_batch batch() const { return {tokens_, positions_, offsets_}; }
    [[nodiscard]] cached_layer layer() const { return {blocks_, first_block_, offset_, type_}; }
    [[nodiscard]] const attention_options& options() const { return options_; }

    [[nodiscard]] tensor<float, 3> over_cache(std::size_t threads, const tensor<float, 3>& q) const {
        thread_pool pool(threads);
        tensor<float, 3> y(q.shape());
        native_cpu(pool).attention(q, batch(), layer(), options_, y);
        return y;
    }
    [[nodiscard]] tensor<float, 3> over_rows(const tensor<float, 3>& q) const {
        std::vector<kv_sequence<const float>> kv;
        std::vector<std::vector<const float*>> pointers;
        pointers.reserve(2 * rows_.size());
        for (const auto& [keys, values, length] : rows_) {
            std::vector<const float*> k, v;
            for (std::size_t b = 0; b * 64 < length; ++b) {
                k.push_back(keys.data() + b * 64 * shape_.kv_heads * shape_.dim);
                v.push_back(values.data() + b * 64 * shape_.kv_heads * shape_.dim);
            }
            pointers.push_back(std::move(k)), pointers.push_back(std::move(v));
            kv.push_back({pointers[pointers.size() - 2], pointers.back(), static_cast<std::int32_t>(length)});
        }
        thread_pool pool(2);
        tensor<float, 3> y(q.shape());
        native_cpu(pool).attention(q, batch(), kv, options_, y);
        return y;
    }

private:
    struct row_store {
        std::vector<float> keys, values;
        std::size_t length;
    };
    /// Random keys and values, the shared ones those of sequence 0.
    void fill(std::size_t m, const member& of) {
        const std::size_t row = shape_.kv_heads * shape_.dim;
        row_store rows{std::vector<float>((of.length + 63) / 64 * 64 * row),
                       std::vector<float>((of.length + 63) / 64 * 64 * row), of.length};
        tensor<float, 3> k({of.length, shape_.kv_heads, shape_.dim}), v(k.shape());
        counter_rng rng(m);
        for (std::size_t t = 0; t < of.length; ++t)
            for (std::size_t i = 0; i < row; ++i) {
                const bool shared = m != 0 && t < of.shared;
                k.data()[t * row + i] = shared ? exact_[0].keys[t * row + i] : static_cast<float>(rng.normal());
                v.data()[t * row + i] = shared ? exact_[0].values[t * row + i] : static_cast<float>(rng.normal());
                rows.keys[t * row + i] = k.data()[t * row + i];
                rows.values[t * row + i] = v.data()[t * row + i];
            }
        exact_.push_back(rows);
        round_rows(rows.keys, shape_.dim, type_), round_rows(rows.values, shape_.dim, type_);
        rows_.push_back(std::move(rows));
        // Written in two calls, cut at an odd place.
        thread_pool pool(2);
        for (const auto& [from, to] :
             {std::pair<std::size_t, std::size_t>{0, of.length / 3}, {of.length / 3, of.length}}) {
            if (from == to) continue;
            std::vector<std::int32_t> positions(to - from);
            std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(from));
            const std::vector<token> tokens(to - from);
            const std::uint32_t offsets[] = {0, static_cast<std::uint32_t>(to - from)};
            const std::uint32_t first_block[] = {0, first_block_[m + 1] - first_block_[m]};
            const cached_layer layer{std::span(blocks_).subspan(first_block_[m]), first_block, offset_, type_};
            const view<const float, 3> part_k(k.data() + from * row, {to - from, shape_.kv_heads, shape_.dim}),
                part_v(v.data() + from * row, part_k.shape());
            native_cpu(pool).store_cached(part_k, part_v, {tokens, positions, offsets}, layer);
        }
    }

    static constexpr std::size_t offset_ = 128;
    shape shape_;
    attention_options options_;
    dtype type_;
    std::vector<std::vector<std::byte>> memory_;
    std::vector<std::byte*> blocks_;
    std::vector<std::uint32_t> first_block_, offsets_;
    std::vector<std::int32_t> positions_;
    std::vector<token> tokens_;
    std::vector<row_store> exact_, rows_;  // as given, and as the cache holds them
};

const shape shapes[] = {{6, 2, 64, 0}, {4, 4, 20, 0}, {3, 1, 32, 70}, {9, 3, 64, 0}, {2, 1, 80, 130}};

std::vector<std::vector<member>> batches() {
    std::vector<std::vector<member>> all;
    all.push_back({{0, 0, 1}});
    all.push_back({{0, 0, 200}});
    all.push_back({{0, 130, 131}, {128, 128, 129}, {64, 190, 191}, {0, 63, 64}, {128, 200, 201}});
    all.push_back({{0, 1300, 1301}});                            // long enough to be split among threads
    all.push_back({{0, 700, 703}, {640, 900, 901}, {0, 5, 9}});  // the same, uneven
    std::vector<member> many;                                    // a shared prompt, each at its own place
    for (std::size_t i = 0; i < 21; ++i) many.push_back({256, 260 + 3 * i, 261 + 3 * i});
    all.push_back(many);
    return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_same_bits_as_over_rows_on_any_number_of_threads) {
    for (const dtype type : {dtype::f32, dtype::f16, dtype::bf16, dtype::q8_0})
        for (const auto& s : shapes)
            for (const auto& members : batches()) {
                const setting problem(s, members, type);
                const auto q = random<3>({problem.batch().size(), s.heads, s.dim}, 7);
                const auto expected = problem.over_rows(q);
                for (const std::size_t threads : {1u, 2u, 3u})
                    BOOST_REQUIRE_MESSAGE(same_bits(problem.over_cache(threads, q), expected),
                                          name_of(type) << " dim " << s.dim << " window " << s.window << " members "
                                                        << members.size() << " threads " << threads);
            }
}

BOOST_AUTO_TEST_CASE(a_sequence_alone_gives_the_same_bits_as_in_company) {
    const shape s{9, 3, 64, 0};
    std::vector<member> members;
    for (std::size_t i = 0; i < 21; ++i) members.push_back({256, 260 + 3 * i, 261 + 3 * i});
    const setting problem(s, members, dtype::f16);
    const auto q = random<3>({problem.batch().size(), s.heads, s.dim}, 7);
    const auto together = problem.over_cache(2, q);
    const auto layer = problem.layer();
    const std::size_t row = s.heads * s.dim;
    for (std::size_t m = 0; m < members.size(); ++m) {
        const std::uint32_t offsets[] = {0, 1};
        const std::uint32_t first_block[] = {0, layer.first_block[m + 1] - layer.first_block[m]};
        const cached_layer own{layer.blocks.subspan(layer.first_block[m]), first_block, layer.offset, layer.type};
        thread_pool pool(2);
        tensor<float, 3> y({1, s.heads, s.dim});
        native_cpu(pool).attention(
            view<const float, 3>(q.data() + m * row, y.shape()),
            {problem.batch().tokens.subspan(m, 1), problem.batch().positions.subspan(m, 1), offsets}, own,
            problem.options(), y);
        BOOST_REQUIRE(std::memcmp(y.data(), together.data() + m * row, row * sizeof(float)) == 0);
    }
}

BOOST_AUTO_TEST_CASE(the_twin_reads_the_same_cache) {
    const shape s{6, 2, 20, 70};
    const setting problem(s, {{0, 90, 131}, {64, 100, 120}}, dtype::f32);
    const auto q = random<3>({problem.batch().size(), s.heads, s.dim}, 7);
    tensor<float, 3> twin(q.shape());
    kernels::reference<float>{}.attention(q, problem.batch(), problem.layer(), problem.options(), twin);
    const auto y = problem.over_cache(2, q);
    for (std::size_t i = 0; i < y.size(); ++i) BOOST_REQUIRE_SMALL(y.data()[i] - twin.data()[i], 1e-5f);
}

BOOST_AUTO_TEST_SUITE_END()
