#include "lab/train/ranks.hpp"

#include <boost/test/unit_test.hpp>

#include "lab/optim/clip.hpp"
#include "lab/train/sharded_update.hpp"
#include "lab/train/trainer.hpp"
#include "support/data.hpp"
#include "train/thread_group.hpp"
#include "train/toy.hpp"

BOOST_AUTO_TEST_SUITE(train_ranks)

using namespace lab;
using replay::sample_kind;

static_assert(train::RankGroup<test::thread_group>);

namespace {
/// What Boost.Test's checks are in one thread.
void require(bool holds) {
    if (!holds) throw std::logic_error("what is required of every rank does not hold");
}

std::vector<float> noise(std::size_t count, std::uint64_t seed) {
    counter_rng rng(seed);
    std::vector<float> values(count);
    for (float& v : values) v = static_cast<float>(rng.normal());
    return values;
}
/// The sum of the lists as `sum_parts` makes it, written out.
std::vector<float> tree(std::vector<std::vector<float>> terms) {
    while (terms.size() > 1) {
        std::vector<std::vector<float>> next;
        for (std::size_t i = 0; i < terms.size(); i += 2) {
            next.push_back(terms[i]);
            for (std::size_t k = 0; i + 1 < terms.size() && k < terms[i].size(); ++k) next.back()[k] += terms[i + 1][k];
        }
        terms = next;
    }
    return terms[0];
}

constexpr std::size_t vocab = 97;  // its table has three of the norm's leaves

std::vector<replay::training_sample> mixed() {
    auto all = toy::samples(30, vocab, sample_kind::knowledge, "knowledge/a", 1);
    for (auto& s : toy::samples(24, vocab, sample_kind::compositional, "compositional/c", 2)) all.push_back(s);
    return all;
}
std::vector<replay::phase> plan() {
    auto phases = *replay::find_phases("lab");
    for (auto& p : phases) p.learning_rate = 0.05, p.warmup_steps = 2, p.epochs = 2, p.batch_size = 6;
    return phases;
}
train::optimizer_options update_options(train::optimizer kind) {
    return {.kind = kind, .adamw = {.weight_decay = 0.1}, .sgd = {.momentum = kind == train::optimizer::sgd ? 0.9 : 0}};
}
std::vector<optim::parameter_tensor> tensors() {
    return {{1, 100, false, false}, {vocab - 2, vocab, true, true}, {1, 2 * vocab - 100, true, true}};
}
using sharded_trainer = train::trainer<toy::bigram, train::sharded_update>;

struct run_record {
    std::vector<float> parameters;
    std::string metrics;
    bool operator==(const run_record&) const = default;
};
struct how {
    std::size_t ranks = 1, shards = 1;
    train::optimizer kind = train::optimizer::adamw;
    std::uint64_t stop_at = 0;  // 0: never
    bool resume = false;
};
/// Every rank must come to the same parameters; they are returned with what the first one wrote.
run_record train_on(const how& h, const std::filesystem::path& folder) {
    std::vector<std::vector<float>> parameters(h.ranks);
    test::on_ranks(h.ranks, [&](const train::any_ranks& ranks) {
        toy::bigram model(vocab);
        sharded_trainer run(model, train::sharded_update(update_options(h.kind), tensors(), nullptr, ranks), mixed(),
                            plan(), {.seed = 4},
                            {.seed = 4,
                             .micro_batch_tokens = 12,
                             .heldout_every = 3,
                             .folder = folder,
                             .resume = h.resume,
                             .checkpoint_seconds = 1e9,
                             .checkpoint_steps = 4,
                             .ranks = ranks,
                             .shards = h.shards});
        run.set_heldout(toy::samples(5, vocab, sample_kind::knowledge, "h", 99));
        train::listener on;
        std::uint64_t step = 0;
        on.step = [&](const train::step_event& e) { step = e.total_step; };
        on.stop = [&] { return ranks.rank() + 1 == ranks.size() && h.stop_at != 0 && step >= h.stop_at; };
        (void)run.run(on);
        parameters[ranks.rank()].assign(model.parameters().begin(), model.parameters().end());
    });
    for (const auto& p : parameters) require(p == parameters[0]);
    return {parameters[0], read_file(folder / "metrics.jsonl")};
}
}  // namespace

BOOST_AUTO_TEST_CASE(parts_are_whole_grains_and_cover_everything) {
    for (const std::size_t count : {0u, 1u, 4095u, 4096u, 4097u, 100000u})
        for (const std::size_t ranks : {1u, 2u, 3u, 4u, 7u}) {
            const auto bounds = train::parts_of(count, ranks, 4096);
            BOOST_TEST(bounds.size() == ranks + 1);
            BOOST_TEST(bounds.front() == 0u);
            BOOST_TEST(bounds.back() == count);
            for (std::size_t r = 0; r < ranks; ++r) {
                BOOST_TEST(bounds[r] <= bounds[r + 1]);
                BOOST_TEST((bounds[r] % 4096 == 0 || bounds[r] == count));
            }
        }
}

// More than one piece on its way, parts of different lengths, and empty ones.
BOOST_AUTO_TEST_CASE(parts_are_summed_over_a_fixed_tree_and_gathered) {
    for (const std::size_t size : {1u, 2u, 3u, 4u, 5u})
        for (const std::size_t count : {std::size_t{3}, std::size_t{4096 * 3 + 5}, std::size_t{5'300'000}}) {
            if (count > 1'000'000 && size != 2) continue;
            std::vector<std::vector<float>> terms;
            for (std::size_t r = 0; r < size; ++r) terms.push_back(noise(count, r + 1));
            const auto expected = tree(terms);
            const auto bounds = train::parts_of(count, size, 4096);
            test::on_ranks(size, [&](const train::any_ranks& ranks) {
                thread_pool pool(2);
                auto mine = terms[ranks.rank()];
                ranks.sum_parts(mine, bounds, ranks.rank() == 0 ? &pool : nullptr);
                std::vector<float> first(ranks.first() ? count : 0);
                const auto own = std::span<const float>(mine).subspan(bounds[ranks.rank()],
                                                                      bounds[ranks.rank() + 1] - bounds[ranks.rank()]);
                ranks.collect(own, std::span(first), bounds);
                ranks.gather(std::span(mine), bounds);
                require(mine == expected);
                require(!ranks.first() || first == expected);
            });
        }
}

BOOST_AUTO_TEST_CASE(ranks_agree) {
    test::on_ranks(3, [](const train::any_ranks& ranks) {
        std::vector<double> values(5);
        for (std::size_t i = ranks.rank(); i < values.size(); i += 3) values[i] = 1.0 / static_cast<double>(i + 1);
        ranks.merge(values);
        for (std::size_t i = 0; i < values.size(); ++i) require(values[i] == 1.0 / static_cast<double>(i + 1));
        require(ranks.any(ranks.rank() == 2));
        require(!ranks.any(false));
        require(ranks.by_first(ranks.rank() == 0));
        require(!ranks.by_first(ranks.rank() != 0));
    });
}

BOOST_AUTO_TEST_CASE(what_one_rank_throws_ends_all) {
    for (const std::size_t failing : {0u, 2u, 3u})
        test::on_ranks(3, [&](const train::any_ranks& ranks) {
            std::string caught;
            try {
                ranks.together([&] {
                    if (ranks.rank() == failing) throw config_error("mine");
                });
            } catch (const train::other_rank_failed&) {
                caught = "other";
            } catch (const config_error&) {
                caught = "mine";
            }
            require(caught == (failing == 3 ? "" : ranks.rank() == failing ? "mine" : "other"));
        });
}

BOOST_AUTO_TEST_CASE(shards_that_ranks_cannot_share_evenly_are_refused) {
    test::on_ranks(2, [](const train::any_ranks& ranks) {
        require(train::gradient_shards(ranks).count() == 2);
        require(train::gradient_shards(ranks, 8).count() == 8);
        for (const std::size_t count : {3u, 6u, 1u}) {
            bool refused = false;
            try {
                train::gradient_shards shards(ranks, count);
            } catch (const config_error&) {
                refused = true;
            }
            require(refused);
        }
    });
    BOOST_TEST(train::gradient_shards({}, 6).count() == 6u);
}

BOOST_AUTO_TEST_CASE(the_gradient_of_shards_is_the_one_of_the_whole_step) {
    const auto samples = mixed();
    std::vector<const replay::training_sample*> step;
    for (const auto& s : samples) step.push_back(&s);
    const auto batches = replay::pack(step, 24);
    toy::bigram whole(vocab);
    const auto one = train::accumulate_gradients(whole, batches);
    for (const std::size_t count : {2u, 3u, 5u, 8u, 64u}) {
        toy::bigram cut(vocab);
        train::gradient_shards shards({}, count);
        const auto many = train::accumulate_gradients(cut, batches, shards);
        BOOST_TEST(many.loss == one.loss);
        for (std::size_t i = 0; i < cut.gradients().size(); ++i)
            BOOST_TEST(cut.gradients()[i] == whole.gradients()[i], boost::test_tools::tolerance(1e-4f));
    }
}

BOOST_AUTO_TEST_CASE(any_number_of_ranks_gives_the_bytes_of_one_with_as_many_shards) {
    for (const auto kind : {train::optimizer::adamw, train::optimizer::sgd, train::optimizer::adafactor})
        for (const std::size_t shards : {3u, 4u}) {
            const test::temporary_folder alone;
            const auto expected = train_on({1, shards, kind}, alone.path());
            for (const std::size_t ranks : {2u, 3u, 4u}) {
                if (shards % ranks != 0) continue;
                const test::temporary_folder folder;
                BOOST_TEST((train_on({ranks, shards, kind}, folder.path()) == expected));
            }
        }
    const test::temporary_folder one, two;
    BOOST_TEST(!(train_on({1, 1}, one.path()) == train_on({1, 2}, two.path())));
}

BOOST_AUTO_TEST_CASE(a_run_goes_on_with_another_number_of_ranks) {
    for (const auto kind : {train::optimizer::adamw, train::optimizer::sgd}) {
        const test::temporary_folder alone, folder;
        const auto expected = train_on({1, 4, kind}, alone.path());
        (void)train_on({4, 4, kind, 6}, folder.path());
        (void)train_on({1, 4, kind, 9, true}, folder.path());
        BOOST_TEST((train_on({2, 4, kind, 0, true}, folder.path()) == expected));
    }
}

BOOST_AUTO_TEST_CASE(ranks_of_different_runs_and_folders_are_refused) {
    const auto run_with = [](auto&& seed_of, auto&& folder_of) {
        test::on_ranks(2, [&](const train::any_ranks& ranks) {
            toy::bigram model(vocab);
            sharded_trainer run(
                model, train::sharded_update(update_options(train::optimizer::adamw), tensors(), nullptr, ranks),
                mixed(), plan(), {.seed = 4},
                {.seed = seed_of(ranks.rank()), .folder = folder_of(ranks.rank()), .resume = true, .ranks = ranks});
            (void)run.run();
        });
    };
    const test::temporary_folder a, b;
    BOOST_CHECK_THROW(run_with([](std::size_t r) { return r; }, [&](std::size_t) { return a.path(); }), config_error);
    run_with([](std::size_t) { return 4u; }, [&](std::size_t) { return a.path(); });
    BOOST_CHECK_THROW(
        run_with([](std::size_t) { return 4u; }, [&](std::size_t r) { return r == 0 ? a.path() : b.path(); }),
        config_error);
}

BOOST_AUTO_TEST_SUITE_END()
