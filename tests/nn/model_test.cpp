// The model's forward over the reference backend: cache, batching, layouts and static sizes must not change a bit.
#include "lab/nn/model.hpp"

#include <boost/test/unit_test.hpp>

#include "nn/tiny_models.hpp"

BOOST_AUTO_TEST_SUITE(model)

namespace {

using namespace lab;
using reference = kernels::reference<double>;

/// Logits of the last token when `tokens` are fed in pieces of the given sizes.
template <class Model>
std::vector<double> last_logits_in_pieces(Model& m, const std::vector<token>& tokens,
                                          const std::vector<std::size_t>& pieces) {
    auto cache = m.make_cache();
    const std::vector<nn::sequence_id> ids{cache.create()};
    std::vector<double> last;
    std::size_t done = 0;
    for (const std::size_t piece : pieces) {
        nn::batch_builder batch;
        batch.add(std::span(tokens).subspan(done, piece), static_cast<std::int32_t>(done));
        const auto logits =
            m.forward(batch.get(), cache, ids, std::vector<std::uint32_t>{static_cast<std::uint32_t>(piece - 1)});
        last.assign(logits.flat().begin(), logits.flat().end());
        done += piece;
    }
    return last;
}

}  // namespace

BOOST_AUTO_TEST_CASE(pieces_give_the_same_bits_as_one_prefill) {
    auto d = test::tiny_dims();
    const auto tokens = test::random_tokens(140, d.vocab);
    const auto check = [&](auto m) {
        const auto all = test::all_logits(m.model, tokens);
        const std::vector<double> expected(all.end() - static_cast<std::ptrdiff_t>(d.vocab), all.end());
        BOOST_TEST(last_logits_in_pieces(m.model, tokens, {64, 1, 63, 1, 11}) == expected,
                   boost::test_tools::per_element());
        BOOST_TEST(last_logits_in_pieces(m.model, tokens, {3, 100, 36, 1}) == expected,
                   boost::test_tools::per_element());
    };
    check(test::random_model<nn::arch::llama, reference>(d));
    d.window = 20;
    check(test::random_model<nn::arch::mistral, reference>(d));
    d.experts = 5;
    d.experts_per_token = 2;
    check(test::random_model<nn::arch::mixtral, reference>(d));
}

BOOST_AUTO_TEST_CASE(sequences_in_a_batch_do_not_see_each_other) {
    const auto d = test::tiny_dims();
    auto m = test::random_model<nn::arch::llama, reference>(d);
    auto cache = m.model.make_cache();
    const auto a = test::random_tokens(70, d.vocab, 1), b = test::random_tokens(5, d.vocab, 2);
    const std::vector<nn::sequence_id> ids{cache.create(), cache.create()};
    nn::batch_builder batch;
    batch.add(a);
    batch.add(b);
    const auto logits = m.model.forward(batch.get(), cache, ids, std::vector<std::uint32_t>{74, 69});
    const auto alone_a = last_logits_in_pieces(m.model, a, {70});
    // `forward` reuses its buffers: recompute the batch for the comparison with b.
    BOOST_TEST(logits.extent(0) == 2u);
    auto again = m.model.make_cache();
    const std::vector<nn::sequence_id> ids2{again.create(), again.create()};
    const auto second = m.model.forward(batch.get(), again, ids2, std::vector<std::uint32_t>{74, 69});
    const std::vector<double> row_b(second.row(0).begin(), second.row(0).end()),
        row_a(second.row(1).begin(), second.row(1).end());
    BOOST_TEST(row_a == alone_a, boost::test_tools::per_element());
    BOOST_TEST(row_b == last_logits_in_pieces(m.model, b, {5}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_fork_continues_as_if_it_had_read_the_prefix) {
    const auto d = test::tiny_dims();
    auto m = test::random_model<nn::arch::llama, reference>(d);
    auto tokens = test::random_tokens(100, d.vocab);
    auto cache = m.model.make_cache();
    const auto first = cache.create();
    nn::batch_builder batch;
    batch.add(tokens);
    m.model.forward(batch.get(), cache, std::vector{first}, {});
    const auto second = cache.fork(first, 90);
    BOOST_TEST(cache.used_blocks() == 2u);
    auto other = test::random_tokens(10, d.vocab, 99);
    batch.clear();
    batch.add(other, 90);
    const auto logits = m.model.forward(batch.get(), cache, std::vector{second}, std::vector<std::uint32_t>{9});
    const std::vector<double> forked(logits.flat().begin(), logits.flat().end());
    BOOST_TEST(cache.used_blocks() == 3u);  // the shared second block was copied before it was written

    auto straight = tokens;
    std::copy(other.begin(), other.end(), straight.begin() + 90);
    BOOST_TEST(forked == last_logits_in_pieces(m.model, straight, {100}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(static_sizes_give_the_same_bits) {
    constexpr nn::sizes s{.dim = 16, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 6, .hidden = 24, .vocab = 32};
    const nn::static_dims<s> fixed;
    BOOST_TEST((nn::to_runtime(fixed) == test::tiny_dims()));
    auto a = test::random_model<nn::arch::llama, reference>(fixed);
    auto b = test::random_model<nn::arch::llama, reference>(test::tiny_dims());
    const auto tokens = test::random_tokens(20, 32);
    BOOST_TEST(test::all_logits(a.model, tokens) == test::all_logits(b.model, tokens),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(both_rotary_layouts_mean_the_same) {
    const auto d = test::tiny_dims();
    auto halves = test::random_model<nn::arch::llama, reference>(d, {}, 3, true);
    auto pairs = test::random_model<nn::arch::llama, reference>(d, {}, 3, false);
    nn::for_each_tensor(
        d,
        [](const nn::tensor_info& info, auto& from, auto& to) {
            if constexpr (std::remove_cvref_t<decltype(from)>::rank == 2) {
                if (info.rope_heads == 0) return;
                const std::size_t head_dim = info.rows / info.rope_heads, half = head_dim / 2;
                for (std::size_t r = 0; r < info.rows; ++r) {
                    const std::size_t head = r / head_dim, i = r % head_dim;
                    const std::size_t row = head * head_dim + (i % 2) * half + i / 2;
                    std::copy_n(from.row(row).data(), info.columns, to.row(r).data());
                }
            }
        },
        halves.parameters->get(), pairs.parameters->get());
    const auto tokens = test::random_tokens(20, d.vocab);
    const auto a = test::all_logits(halves.model, tokens), b = test::all_logits(pairs.model, tokens);
    for (std::size_t i = 0; i < a.size(); ++i) BOOST_REQUIRE_SMALL(a[i] - b[i], 1e-12);
}

namespace {
struct tiny_moe : nn::arch::llama {
    using ffn = nn::moe<nn::swiglu>;
};
}  // namespace

BOOST_AUTO_TEST_CASE(an_architecture_of_ones_own_is_one_policy_away) {
    auto d = test::tiny_dims();
    d.experts = 1;
    d.experts_per_token = 1;
    auto dense = test::random_model<nn::arch::llama, reference>(d);
    auto single = test::random_model<tiny_moe, reference>(d);
    // One expert of one is the dense network: copy its weights over.
    const auto from = dense.parameters->get();
    auto& to = single.parameters->get();
    const auto copy = [](const auto& source, auto& target) {
        std::copy_n(source.data(), source.size(), target.data());
    };
    copy(from.embedding, to.embedding);
    copy(from.norm, to.norm);
    copy(from.head, to.head);
    for (std::size_t l = 0; l < d.layers; ++l) {
        const auto& a = from.layers[l];
        auto& b = to.layers[l];
        copy(a.attention_norm, b.attention_norm);
        copy(a.q, b.q);
        copy(a.k, b.k);
        copy(a.v, b.v);
        copy(a.output, b.output);
        copy(a.ffn_norm, b.ffn_norm);
        copy(a.ffn.gate, b.ffn.experts[0].gate);
        copy(a.ffn.up, b.ffn.experts[0].up);
        copy(a.ffn.down, b.ffn.experts[0].down);
    }
    const auto tokens = test::random_tokens(20, d.vocab);
    BOOST_TEST(test::all_logits(dense.model, tokens) == test::all_logits(single.model, tokens),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(bad_calls_are_refused_and_change_nothing) {
    const auto d = test::tiny_dims();
    auto m = test::random_model<nn::arch::llama, reference>(d);
    auto cache = m.model.make_cache({.max_bytes = 2 * m.model.make_cache().block_bytes()});
    const auto id = cache.create();
    nn::batch_builder batch;
    batch.add(test::random_tokens(5, d.vocab), 1);
    BOOST_CHECK_THROW(m.model.forward(batch.get(), cache, std::vector{id}, {}), config_error);
    batch.clear();
    batch.add(std::vector<token>{1, 40});
    BOOST_CHECK_THROW(m.model.forward(batch.get(), cache, std::vector{id}, {}), config_error);
    batch.clear();
    batch.add(test::random_tokens(129, d.vocab));
    BOOST_CHECK_THROW(m.model.forward(batch.get(), cache, std::vector{id}, {}), config_error);
    BOOST_TEST(cache.length(id) == 0);
    batch.clear();
    batch.add(test::random_tokens(2, d.vocab));
    BOOST_CHECK_THROW(m.model.forward(batch.get(), cache, std::vector{id}, std::vector<std::uint32_t>{2}), shape_error);
    BOOST_CHECK_THROW(m.model.forward(batch.get(), cache, {}, {}), shape_error);
    const std::vector<token> three{1, 2, 3};
    const std::vector<std::int32_t> rising{0, 1, 2};
    const std::vector<std::uint32_t> falling{0, 5, 3};  // beyond the tokens, and back
    BOOST_CHECK_THROW(m.model.forward({three, rising, falling}, cache, std::vector{id, id}, {}), shape_error);
    BOOST_TEST(cache.used_blocks() == 0u);
    auto wrong = d;
    wrong.kv_heads = 3;
    BOOST_CHECK_THROW((test::random_model<nn::arch::llama, reference>(wrong)), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
