#include "lab/infer/embedder.hpp"

#include <boost/test/unit_test.hpp>

#include "support/costly_cache.hpp"
#include "tiny.hpp"

BOOST_AUTO_TEST_SUITE(embedder)

using namespace lab;

namespace {
const std::vector<std::string_view> texts{"The ferry leaves at noon.", "a", "",
                                          "Goats travel free of charge on Thursdays.", "The ferry leaves at noon"};
std::vector<float> row_of(const tensor<float>& vectors, std::size_t i) {
    const auto row = vectors.get().row(i);
    return {row.begin(), row.end()};
}
}  // namespace

BOOST_AUTO_TEST_CASE(a_vector_depends_on_its_text_alone) {
    infer::embedder whole(test::byte_model(), test::byte_tokenizer(), {.batch_tokens = 1000});
    infer::embedder small(test::byte_model(2), test::byte_tokenizer(), {.batch_tokens = 10});
    const auto together = whole(texts), apart = small(texts);
    BOOST_TEST(together.extent(0) == texts.size());
    BOOST_TEST(together.extent(1) == 32u);
    for (std::size_t i = 0; i < texts.size(); ++i)
        BOOST_TEST(row_of(together, i) == row_of(apart, i), boost::test_tools::per_element());
    BOOST_TEST(row_of(together, 2) == std::vector<float>(32, 0.0f), boost::test_tools::per_element());
    BOOST_TEST(row_of(together, 0) != row_of(together, 4));
}

BOOST_AUTO_TEST_CASE(batches_keep_to_the_cache_and_a_text_gets_what_it_needs) {
    // Forty short texts take a block each: sixteen fit a batch. A long one, 18 blocks, goes alone.
    std::vector<std::string_view> many(40, "a");
    const std::string long_text(18 * kv_block_size, 'b');
    many.push_back(long_text);
    const auto model = test::byte_model(1, 2000);
    infer::embedder_options options{.max_tokens = 2000, .batch_tokens = 5000};
    infer::embedder plain(model, test::byte_tokenizer(), options),
        costly(test::with_costly_cache(test::byte_model(1, 2000)), test::byte_tokenizer(), options);
    options.cache_bytes = 16 * model.make_cache().block_bytes();
    infer::embedder bounded(model, test::byte_tokenizer(), options);
    const auto expected = plain(many), large = costly(many);
    std::vector<std::size_t> ends;
    const auto vectors = bounded(many, [&](std::size_t done) { return ends.push_back(done), true; });
    BOOST_TEST(ends == (std::vector<std::size_t>{16, 32, 40, 41}), boost::test_tools::per_element());
    for (const std::size_t i : {0u, 39u, 40u}) {
        BOOST_TEST(row_of(vectors, i) == row_of(expected, i), boost::test_tools::per_element());
        BOOST_TEST(row_of(large, i) == row_of(expected, i), boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(is_the_mean_of_the_states_that_the_head_reads) {
    auto model = test::byte_model();
    const auto ids = test::byte_tokenizer().encode("bread");
    nn::batch_builder batch;
    batch.add(ids);
    const std::vector<std::uint32_t> rows{0, 1, 2, 3, 4};
    auto cache = model.make_cache();
    std::vector<nn::sequence_id> sequence{cache.create()};
    const auto states = model.hidden(batch.get(), cache, sequence, rows);
    std::vector<float> copy(states.flat().begin(), states.flat().end());

    infer::embedder embed(model, test::byte_tokenizer());
    const std::vector<std::string_view> one{"bread"};
    const auto vector = embed(one);
    for (std::size_t k = 0; k < 32; ++k) {
        double sum = 0;
        for (std::size_t i = 0; i < 5; ++i) sum += static_cast<double>(copy[i * 32 + k]);
        BOOST_TEST(vector(0, k) == static_cast<float>(sum / 5));
    }
    // The logits are the head's products with these states.
    auto again = model.make_cache();
    sequence[0] = again.create();
    const auto logits = model.forward(batch.get(), again, sequence, rows);
    const auto& head = model.weights().back().data;
    BOOST_TEST_REQUIRE(head.rows == 258u);
    for (const std::size_t t : {0u, 97u, 257u}) {
        double product = 0;
        const auto* w = reinterpret_cast<const float*>(head.data) + t * 32;
        for (std::size_t k = 0; k < 32; ++k)
            product += static_cast<double>(w[k]) * static_cast<double>(copy[2 * 32 + k]);
        BOOST_TEST(static_cast<double>(logits(2, t)) == product, boost::test_tools::tolerance(1e-4));
    }
}

BOOST_AUTO_TEST_CASE(long_texts_are_cut_and_a_caller_can_stop) {
    infer::embedder embed(test::byte_model(), test::byte_tokenizer(), {.max_tokens = 4, .batch_tokens = 4});
    const std::vector<std::string_view> pair{"breadcrumbs", "brea"};
    const auto vectors = embed(pair);
    BOOST_TEST(row_of(vectors, 0) == row_of(vectors, 1), boost::test_tools::per_element());
    std::size_t calls = 0;
    BOOST_CHECK_THROW((void)embed(pair, [&](std::size_t) { return ++calls < 2; }), lab::error);
    BOOST_CHECK_THROW(infer::embedder(test::byte_model(), test::byte_tokenizer(), {.max_tokens = 0}), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
