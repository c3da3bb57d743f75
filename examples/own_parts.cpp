// A sampler, a chat format and an architecture of one's own, in one file: each is a type that meets a concept.
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "lab/core/thread_pool.hpp"
#include "lab/kernels/cpu.hpp"
#include "lab/nn/arch.hpp"
#include "lab/nn/batch_builder.hpp"
#include "lab/nn/init.hpp"
#include "lab/nn/training.hpp"
#include "lab/optim/adamw.hpp"
#include "lab/sampling/chain.hpp"
#include "lab/text/chat_format.hpp"

// [sampler] Anything with apply(candidates, history) joins a chain.
struct ban {
    std::vector<lab::token> ids;
    void apply(lab::sampling::candidates& c, std::span<const lab::token>) const {
        for (const auto id : ids) c.remove(id);
    }
};

// [format] A chat format is a constant: what surrounds each role's message, and what ends an answer.
inline constexpr lab::text::chat_pattern theatre{.name = "theatre",
                                                 .system = {.before = "SCENE. ", .after = "\n"},
                                                 .user = {.before = "PUPIL: ", .after = "\n"},
                                                 .assistant = {.before = "TEACHER: ", .end = "\n"},
                                                 .stop = {"\n"}};
using theatre_format = lab::text::fixed_format<theatre>;
static_assert(lab::text::ChatFormat<theatre_format>);

// [architecture] A Llama whose attention scores are scaled by 1 / head size (Yang et al. 2022, arXiv:2203.03466).
struct even_scaling {
    template <class Dims>
    static lab::attention_options options(const Dims& d) {
        return {d.heads, d.kv_heads, d.head_dim, 0, 1.0 / static_cast<double>(d.head_dim)};
    }
};
struct even_llama : lab::nn::arch::llama {
    static constexpr std::string_view family = "even_llama";
    using attention = even_scaling;
};

int main() {
    using namespace lab;

    const std::vector<float> logits{0.5f, 3.0f, 2.0f};
    sampling::candidates scratch;
    const token next = sampling::chain{ban{{1}}, sampling::greedy{}}.sample(logits, {}, scratch);
    std::printf("with token 1 banned the likeliest is %d\n", static_cast<int>(next));

    const text::messages talk{{"user", "What is 2 + 2?"}, {"assistant", "4."}};
    std::printf("%s", text::to_string(theatre_format::render(talk)).c_str());

    // The architecture learns a round of eight tokens; forward, backward and the sizes' checks come with the policies.
    using backend = kernels::cpu<>;
    thread_pool pool(1);
    const nn::runtime_dims sizes{
        .dim = 32, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 8, .hidden = 64, .vocab = 8};
    auto student = nn::make_model<even_llama>(sizes, backend(pool), nn::init::normal{.seed = 1});
    nn::parameter_set<even_llama, float> gradients(sizes);
    nn::training_pass pass(student.model);
    optim::adamw update;
    update.reset(gradients.flat().size());

    nn::batch_builder batch;
    std::vector<token> round, targets;
    for (token i = 0; i < 32; ++i) {
        round.push_back(i % 8);
        targets.push_back((i + 1) % 8);
    }
    batch.add(round);
    double first = 0, last = 0;
    for (int step = 0; step < 60; ++step) {
        for (float& g : gradients.flat()) g = 0;
        const auto loss = pass.loss_and_gradients(batch.get(), targets, 1.0 / 32, gradients.get());
        update.step(student.parameters->flat(), gradients.flat(), 1e-2);
        last = static_cast<double>(loss.sum) / 32;
        if (step == 0) first = last;
    }
    std::printf("loss of the new architecture: %.2f, after 60 steps %.2f\n", first, last);
    return next == 2 && last < 0.1 * first ? 0 : 1;
}
