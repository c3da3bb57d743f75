#include "lab/train/optimizer.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(train_optimizer)

using namespace lab;
using train::optimizer;

namespace {
nn::named_weight weight(const char* role, std::size_t rank, std::size_t rows, std::size_t columns) {
    nn::named_weight w;
    w.info.role = role;
    w.info.rank = rank;
    w.info.rows = rows;
    w.info.columns = columns;
    return w;
}
const std::vector<nn::named_weight> weights{weight("embedding", 2, 20, 8), weight("attention.norm", 1, 1, 8),
                                            weight("attention.q", 2, 8, 8), weight("norm", 1, 1, 8)};
}  // namespace

BOOST_AUTO_TEST_CASE(matrices_decay_unless_their_role_is_named) {
    const auto decays = [&](const optim::decay_groups& groups) {
        std::string text;
        for (const auto& t : optim::parameter_tensors(weights, groups)) text += t.decay ? '+' : '-';
        return text;
    };
    BOOST_TEST(decays({}) == "+-+-");
    BOOST_TEST(decays({.vectors = true}) == "++++");
    BOOST_TEST(decays({.without = {"embedding"}}) == "--+-");
    BOOST_TEST(decays({.vectors = true, .without = {"embedding"}}) == "-+++");
    BOOST_CHECK_EXCEPTION(decays({.without = {"head"}}), config_error, [](const auto& e) {
        return std::string(e.what()).find("one of embedding, attention.q") != std::string::npos;
    });
    const auto ranges = optim::ranges_of(optim::parameter_tensors(weights, {.without = {"embedding"}}));
    BOOST_REQUIRE(ranges.size() == 3u);
    BOOST_TEST(ranges[0].end == 168u);
    BOOST_TEST(ranges[1].decay);
    BOOST_TEST(ranges[2].end == 240u);
}

BOOST_AUTO_TEST_CASE(the_state_is_as_large_as_the_kind_says) {
    const auto tensors = optim::parameter_tensors(weights);
    const auto state = [&](const train::optimizer_options& o) {
        train::optimizer_update update(o, tensors);
        update.reset(240);
        std::size_t count = 0;
        for (const auto& s : update.state()) count += s.size();
        BOOST_TEST(train::optimizer_update(o, tensors).state_size() == count);
        return count;
    };
    BOOST_TEST(state({}) == 2 * 240u);
    BOOST_TEST(state({.kind = optimizer::sgd}) == 240u);
    BOOST_TEST(state({.kind = optimizer::sgd, .sgd = {.momentum = 0}}) == 0u);
    BOOST_TEST(state({.kind = optimizer::adafactor}) == 28u + 8u + 16u + 8u);
}

BOOST_AUTO_TEST_CASE(kinds_and_settings_have_different_descriptions) {
    const std::vector<train::optimizer_options> all{{},
                                                    {.adamw = {.beta2 = 0.9}},
                                                    {.clip_norm = 2},
                                                    {.decay = {.vectors = true}},
                                                    {.decay = {.without = {"head"}}},
                                                    {.kind = optimizer::sgd},
                                                    {.kind = optimizer::sgd, .sgd = {.nesterov = true}},
                                                    {.kind = optimizer::adafactor},
                                                    {.kind = optimizer::adafactor, .adafactor = {.relative = true}}};
    std::vector<std::string> seen;
    for (const auto& o : all) {
        const auto text = train::optimizer_update(o, {}).describe();
        for (const auto& other : seen) BOOST_TEST(text != other);
        seen.push_back(text);
    }
    BOOST_TEST(seen[0] == train::adamw_update().describe());
}

BOOST_AUTO_TEST_CASE(names_are_known_or_refused) {
    for (const auto& [name, kind] : train::optimizer_names) BOOST_TEST((train::optimizer_from_name(name) == kind));
    BOOST_CHECK_THROW((void)train::optimizer_from_name("adam"), config_error);
    BOOST_CHECK_THROW(train::optimizer_update({.clip_norm = -1}, {}), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
