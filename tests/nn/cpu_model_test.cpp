// The model over the processor's kernels: against the double-precision twin, and bit for bit against itself.
#include "lab/kernels/cpu.hpp"

#include <boost/test/unit_test.hpp>

#include "nn/tiny_models.hpp"

BOOST_AUTO_TEST_SUITE(cpu_model)

namespace {

using namespace lab;
using cpu = kernels::cpu<kernels::arch::native>;
using reference = kernels::reference<double>;

constexpr nn::sizes odd_sizes{
    .dim = 40, .layers = 2, .heads = 6, .kv_heads = 2, .head_dim = 10, .hidden = 72, .vocab = 67, .window = 33};

}  // namespace

BOOST_AUTO_TEST_CASE(logits_agree_with_the_reference) {
    thread_pool pool(2);
    const auto d = nn::to_runtime(nn::static_dims<odd_sizes>{});
    auto fast = test::random_model<nn::arch::mistral>(d, cpu(pool));
    auto exact = test::random_model<nn::arch::mistral, reference>(d);
    const auto tokens = test::random_tokens(150, d.vocab);
    const auto a = test::all_logits(fast.model, tokens);
    const auto b = test::all_logits(exact.model, tokens);
    const auto [low, high] = std::minmax_element(b.begin(), b.end());
    double worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(static_cast<double>(a[i]) - b[i]));
    BOOST_TEST(worst < 2e-5 * (*high - *low));
}

BOOST_AUTO_TEST_CASE(static_sizes_give_the_same_bits) {
    thread_pool pool(2);
    const nn::static_dims<odd_sizes> fixed;
    auto a = test::random_model<nn::arch::mistral>(fixed, cpu(pool));
    auto b = test::random_model<nn::arch::mistral>(nn::to_runtime(fixed), cpu(pool));
    const auto tokens = test::random_tokens(70, fixed.vocab);
    BOOST_TEST(test::all_logits(a.model, tokens) == test::all_logits(b.model, tokens),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_row_does_not_depend_on_its_batch_or_the_threads) {
    const auto d = nn::to_runtime(nn::static_dims<odd_sizes>{});
    const auto tokens = test::random_tokens(130, d.vocab, 1), other = test::random_tokens(3, d.vocab, 2);
    std::vector<float> expected;
    for (const std::size_t threads : {1u, 2u, 3u}) {
        thread_pool pool(threads);
        auto m = test::random_model<nn::arch::mistral>(d, cpu(pool));
        for (const std::vector<std::size_t>& pieces :
             std::vector<std::vector<std::size_t>>{{130}, {65, 64, 1}, {1, 128, 1}, {7, 57, 66}}) {
            auto cache = m.model.make_cache();
            const std::vector ids{cache.create(), cache.create()};
            std::vector<float> last;
            std::size_t done = 0;
            for (const std::size_t piece : pieces) {  // a second sequence grows beside it
                nn::batch_builder batch;
                batch.add(other, cache.length(ids[0]));
                batch.add(std::span(tokens).subspan(done, piece), static_cast<std::int32_t>(done));
                const auto logits = m.model.forward(
                    batch.get(), cache, ids, std::vector<std::uint32_t>{static_cast<std::uint32_t>(batch.size() - 1)});
                last.assign(logits.flat().begin(), logits.flat().end());
                done += piece;
            }
            if (expected.empty()) expected = last;
            BOOST_TEST(last == expected, boost::test_tools::per_element());
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
