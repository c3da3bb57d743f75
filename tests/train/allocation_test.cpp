// What a step of training asks of the heap: lists of tokens and positions, but no tensor.
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdlib>
#include <initializer_list>
#include <new>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/nn/load_options.hpp"
#include "lab/nn/synthetic.hpp"
#include "lab/optim/groups.hpp"
#include "lab/replay/packing.hpp"
#include "lab/train/adamw_update.hpp"
#include "lab/train/step.hpp"
#include "support/heap.hpp"

// Plain memory counts too.
void* operator new(std::size_t bytes) { return lab::test::counted(std::malloc(bytes == 0 ? 1 : bytes), bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

BOOST_AUTO_TEST_SUITE(train_allocation)

using namespace lab;

namespace {
constexpr std::size_t vocab = 96, dim = 128;

struct heap_use {
    std::size_t first_step = 0, later_step = 0, one_activation = 0;  // bytes
};

/// Steps over samples of several lengths, learnt in part, in micro-batches.
heap_use measure(nn::load_options options) {
    const nn::runtime_dims dims{.dim = dim,
                                .layers = 2,
                                .heads = 4,
                                .kv_heads = 2,
                                .head_dim = dim / 4,
                                .hidden = 256,
                                .vocab = vocab,
                                .tied = true};
    auto model = nn::make_trainable_synthetic(dims, dtype::f32, options);
    counter_rng rng(1);
    std::vector<replay::training_sample> samples(6);
    std::vector<const replay::training_sample*> step;
    std::size_t tokens = 0;
    for (auto& s : samples) {
        s.tokens.resize(20 + rng.below(60));
        for (auto& t : s.tokens) t = static_cast<token>(rng.below(vocab));
        s.trained.assign(s.tokens.size(), 1);
        s.trained[0] = s.trained[3] = 0;
        step.push_back(&s);
        tokens += s.tokens.size();
    }
    const auto batches = replay::pack(step, 128);
    train::adamw_update update({}, optim::decay_ranges(model), &model.pool());
    update.reset(model.parameters().size());
    const auto one_step = [&] {
        const std::size_t before = test::heap_bytes;
        static_cast<void>(train::accumulate_gradients(model, batches));
        update.step(model.parameters(), model.gradients(), 1e-4, update.norm(model.gradients()));
        return test::heap_bytes - before;
    };
    heap_use use{.one_activation = tokens * dim * sizeof(float)};
    use.first_step = one_step();
    static_cast<void>(one_step());
    use.later_step = one_step();
    return use;
}
}  // namespace

BOOST_AUTO_TEST_CASE(steps_after_the_first_allocate_no_tensor) {
    for (const bool adapters : {false, true})
        for (const auto again : {nn::recompute::none, nn::recompute::selective, nn::recompute::full}) {
            nn::load_options options{.threads = 2, .pack = false, .recompute = again};
            if (adapters) options.lora = nn::lora_options{.rank = 8};
            const auto use = measure(options);
            BOOST_TEST_CONTEXT("adapters " << adapters << ", recompute " << nn::name_of(again)) {
                BOOST_TEST(use.first_step > use.one_activation);  // the arena: the count sees what there is to see
                BOOST_TEST(use.later_step < use.one_activation / 4);
            }
        }
}

BOOST_AUTO_TEST_SUITE_END()
