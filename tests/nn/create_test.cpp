#include "lab/nn/create.hpp"

#include <cmath>

#include "lab/core/sha256.hpp"
#include "lab/nn/batch_builder.hpp"
#include "lab/nn/load_trainable.hpp"
#include "lab/tokenizer/load.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(create)

using namespace lab;

namespace {

nn::runtime_dims sizes(std::size_t vocab) {
    nn::runtime_dims d;
    d.dim = 32, d.layers = 2, d.heads = 4, d.kv_heads = 2, d.head_dim = 8, d.hidden = 64, d.vocab = vocab;
    return d;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_new_model_loads_and_knows_nothing) {
    const test::temporary_folder folder;
    const auto tokenizer = test::fixture("train/bytes");
    const std::size_t vocab = tokenizer::load_tokenizer(tokenizer).size();
    const auto sum_of = [](const std::filesystem::path& model) { return sha256_of_file(model / "model.safetensors"); };
    nn::create_model(folder / "a", sizes(vocab), tokenizer, {.seed = 1, .context = 99});
    nn::create_model(folder / "b", sizes(vocab), tokenizer, {.seed = 1});
    nn::create_model(folder / "c", sizes(vocab), tokenizer, {.seed = 2});
    BOOST_TEST(sum_of(folder / "a") == sum_of(folder / "b"));
    BOOST_TEST(sum_of(folder / "a") != sum_of(folder / "c"));

    auto model = nn::load_trainable(folder / "a");
    BOOST_TEST(model.dims().vocab == vocab);
    BOOST_TEST(model.info().context_length == 99u);
    const auto tokens = tokenizer::load_tokenizer(folder / "a");
    BOOST_TEST(model.info().eos == tokens.eos());
    const auto text = tokens.encode("ferries");
    std::vector<token> targets(text.begin() + 1, text.end());
    targets.push_back(no_token);
    nn::batch_builder batch;
    batch.add(text, 0);
    const double mean = model.loss(batch.get(), targets) / static_cast<double>(text.size() - 1);
    BOOST_TEST(std::abs(mean - std::log(static_cast<double>(vocab))) < 0.2);
}

BOOST_AUTO_TEST_CASE(contradictions_are_refused) {
    const test::temporary_folder folder;
    const auto tokenizer = test::fixture("train/bytes");
    BOOST_CHECK_THROW(nn::create_model(folder / "a", sizes(100), tokenizer), config_error);  // 260 tokens
    auto d = sizes(260);
    d.heads = 3;
    BOOST_CHECK_THROW(nn::create_model(folder / "a", d, tokenizer), config_error);
    d = sizes(260);
    d.window = 8;
    BOOST_CHECK_THROW(nn::create_model(folder / "a", d, tokenizer), config_error);
    BOOST_CHECK_THROW(nn::create_model(folder / "a", sizes(260), folder / "none"), error);
}

BOOST_AUTO_TEST_SUITE_END()
