#include "lab/kernels/attention.hpp"

#include <optional>

#include "kernels/support.hpp"

BOOST_AUTO_TEST_SUITE(attention)

using namespace lab;
using namespace lab::test;

namespace {

/// Keys and values of one sequence in blocks, as a cache keeps them; what lies beyond `length` is not a number.
template <class S>
struct cache {
    cache(std::size_t length, std::size_t row, std::uint64_t seed, bool random_rows) : count((length + 63) / 64) {
        counter_rng rng(seed);
        for (auto* half : {&keys, &values})
            for (std::size_t b = 0; b < count; ++b) {
                half->emplace_back(64 * row, random_rows ? S(std::numeric_limits<double>::quiet_NaN()) : S(0));
                for (std::size_t i = 0; random_rows && i < 64 * row && b * 64 * row + i < length * row; ++i)
                    half->back()[i] = static_cast<float>(rng.normal());
            }
        for (std::size_t b = 0; b < count; ++b)
            key_blocks.push_back(keys[b].data()), value_blocks.push_back(values[b].data());
        for (std::size_t b = 0; b < count; ++b)
            const_keys.push_back(keys[b].data()), const_values.push_back(values[b].data());
        size = static_cast<std::int32_t>(length);
    }
    [[nodiscard]] kv_sequence<const S> read() const { return {const_keys, const_values, size}; }
    [[nodiscard]] kv_sequence<S> write() const { return {key_blocks, value_blocks, size}; }

    std::size_t count;
    std::vector<std::vector<S>> keys, values;
    std::vector<S*> key_blocks, value_blocks;
    std::vector<const S*> const_keys, const_values;
    std::int32_t size = 0;
};

struct problem {
    std::vector<std::size_t> first, length;  // per sequence: first position in the batch, and its length
    attention_options options;
};

/// Everything needed to run one problem in scalar S.
template <class S>
struct setting {
    explicit setting(const problem& p) : problem_(p) {
        std::uint32_t offset = 0;
        offsets.push_back(0);
        for (std::size_t s = 0; s < p.first.size(); ++s) {
            for (std::size_t t = p.first[s]; t < p.length[s]; ++t) positions.push_back(static_cast<std::int32_t>(t));
            offset += static_cast<std::uint32_t>(p.length[s] - p.first[s]);
            offsets.push_back(offset);
            kv.emplace_back(p.length[s], p.options.kv_heads * p.options.head_dim, 100 + s, true);
            dkv.emplace_back(p.length[s], p.options.kv_heads * p.options.head_dim, 0, false);
            kv_views.push_back(kv.back().read());
            dkv_views.push_back(dkv.back().write());
        }
        tokens.resize(offset);
    }
    [[nodiscard]] ragged_batch batch() const { return {tokens, positions, offsets}; }

    problem problem_;
    std::vector<token> tokens;
    std::vector<std::int32_t> positions;
    std::vector<std::uint32_t> offsets;
    std::vector<cache<S>> kv, dkv;
    std::vector<kv_sequence<const S>> kv_views;
    std::vector<kv_sequence<S>> dkv_views;
};

std::vector<problem> problems() {
    std::vector<problem> all;
    for (const std::size_t dim : {4u, 16u, 20u, 64u, 80u})
        for (const std::size_t window : {0u, 5u, 70u})
            all.push_back({{0, 0, 60}, {1, 200, 131}, {6, 2, dim, window, 0.3}});
    all.push_back({{0}, {513}, {9, 3, 64, 0, 0.125}});
    all.push_back({{63, 64, 65, 127}, {64, 65, 66, 130}, {4, 4, 32, 64, 0.2}});
    return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(matches_the_twin) {
    thread_pool pool(2);
    const native_cpu cpu(pool);
    const kernels::reference<double> reference;
    for (const problem& p : problems()) {
        const setting<float> f(p);
        const setting<double> d(p);
        const auto q = random<3>({f.tokens.size(), p.options.heads, p.options.head_dim}, 3);
        tensor<float, 3> y(q.shape());
        tensor<double, 3> expected(q.shape());
        cpu.attention(q, f.batch(), f.kv_views, p.options, y);
        reference.attention(in_double(q), d.batch(), d.kv_views, p.options, expected);
        BOOST_TEST(largest_error(y, expected) < 100 * epsilon * largest_magnitude(expected),
                   "head_dim " << p.options.head_dim << " window " << p.options.window << " error "
                               << largest_error(y, expected));
    }
}

BOOST_AUTO_TEST_CASE(gradients_match_the_twin) {
    thread_pool pool(2);
    const native_cpu cpu(pool);
    const kernels::reference<double> reference;
    for (const problem& p : problems()) {
        const setting<float> f(p);
        const setting<double> d(p);
        const extents<3> shape{f.tokens.size(), p.options.heads, p.options.head_dim};
        const auto q = random<3>(shape, 3), dy = random<3>(shape, 4);
        tensor<float, 3> dq(shape);
        tensor<double, 3> expected(shape);
        cpu.attention_backward(dy, q, f.batch(), f.kv_views, p.options, dq, f.dkv_views);
        reference.attention_backward(in_double(dy), in_double(q), d.batch(), d.kv_views, p.options, expected,
                                     d.dkv_views);
        const double bound = 300 * epsilon;
        BOOST_TEST(largest_error(dq, expected) < bound * largest_magnitude(expected));
        for (std::size_t s = 0; s < f.dkv.size(); ++s)
            for (const auto half : {&cache<float>::keys, &cache<float>::values}) {
                const auto twin = half == &cache<float>::keys ? &cache<double>::keys : &cache<double>::values;
                double worst = 0, size = 0;
                for (std::size_t b = 0; b < f.dkv[s].count; ++b)
                    for (std::size_t i = 0; i < (f.dkv[s].*half)[b].size(); ++i) {
                        const double e = (d.dkv[s].*twin)[b][i];
                        worst = std::max(worst, std::abs(static_cast<double>((f.dkv[s].*half)[b][i]) - e));
                        size = std::max(size, std::abs(e));
                    }
                BOOST_TEST(worst <= bound * size, "head_dim " << p.options.head_dim << " window " << p.options.window);
            }
    }
}

BOOST_AUTO_TEST_CASE(a_token_is_the_same_bits_alone_and_in_any_batch) {
    thread_pool one(1), three(3);
    for (const std::size_t window : {0u, 50u}) {
        const problem whole{{0}, {300}, {6, 2, 24, window, 0.3}};
        const setting<float> all(whole);
        const auto q = random<3>({300, 6, 24}, 3);
        tensor<float, 3> expected(q.shape()), y(q.shape());
        native_cpu(one).attention(q, all.batch(), all.kv_views, whole.options, expected);
        for (const std::size_t step : {1u, 7u, 64u, 100u}) {
            for (std::size_t first = 0; first < 300; first += step) {
                // The cache ends where this piece ends, as it does while generating.
                const std::size_t last = std::min<std::size_t>(300, first + step);
                setting<float> piece({{first}, {last}, whole.options});
                for (std::size_t b = 0; b < piece.kv[0].count; ++b)
                    for (std::size_t i = 0; i < 64 * 2 * 24 && b * 64 * 2 * 24 + i < last * 2 * 24; ++i)
                        piece.kv[0].keys[b][i] = all.kv[0].keys[b][i],
                        piece.kv[0].values[b][i] = all.kv[0].values[b][i];
                native_cpu(three).attention(q.get().slice(first, last), piece.batch(), piece.kv_views, whole.options,
                                            y.get().slice(first, last));
            }
            BOOST_TEST(same_bits(y, expected), "pieces of " << step << ", window " << window);
        }
    }
}

BOOST_AUTO_TEST_CASE(gradients_do_not_depend_on_threads) {
    const problem p{{0, 0, 0}, {150, 90, 600}, {6, 3, 32, 0, 0.3}};
    std::optional<std::vector<float>> first;
    for (const std::size_t threads : {1u, 2u, 3u}) {
        thread_pool pool(threads);
        const setting<float> f(p);
        const extents<3> shape{f.tokens.size(), 6, 32};
        const auto q = random<3>(shape, 3), dy = random<3>(shape, 4);
        tensor<float, 3> dq(shape);
        native_cpu(pool).attention_backward(dy, q, f.batch(), f.kv_views, p.options, dq, f.dkv_views);
        std::vector<float> all(dq.flat().begin(), dq.flat().end());
        for (const auto& c : f.dkv)
            for (const auto* half : {&c.keys, &c.values})
                for (const auto& block : *half) all.insert(all.end(), block.begin(), block.end());
        if (!first) first = all;
        BOOST_TEST(std::memcmp(all.data(), first->data(), all.size() * sizeof(float)) == 0);
    }
}

BOOST_AUTO_TEST_CASE(blocks_outside_the_window_may_be_null) {
    thread_pool pool(1);
    const problem p{{200}, {201}, {2, 1, 16, 10, 0.5}};
    setting<float> f(p);
    const auto q = random<3>({1, 2, 16}, 3);
    tensor<float, 3> expected(q.shape()), y(q.shape());
    native_cpu(pool).attention(q, f.batch(), f.kv_views, p.options, expected);
    for (std::size_t b = 0; b < 2; ++b) f.kv[0].const_keys[b] = f.kv[0].const_values[b] = nullptr;
    native_cpu(pool).attention(q, f.batch(), f.kv_views, p.options, y);
    BOOST_TEST(same_bits(y, expected));
}

BOOST_AUTO_TEST_SUITE_END()
