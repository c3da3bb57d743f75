// Evaluation over the real engine: what training counts as an answer's loss is what scoring counts as its likelihood.
#include "lab/eval/window_scorer.hpp"

#include <boost/test/unit_test.hpp>

#include "lab/eval/forgetting.hpp"
#include "lab/infer/engine.hpp"
#include "lab/infer/teacher.hpp"
#include "train/tiny_llama.hpp"

BOOST_AUTO_TEST_SUITE(eval_tiny_teacher)

using namespace lab;

static_assert(eval::AnsweringModel<infer::local_teacher>);
static_assert(eval::WindowScorer<eval::model_window_scorer>);

namespace {
eval::question ferry() {
    eval::question q;
    q.id = "ferry";
    q.leaf = "knowledge/islands";
    q.phrasings = {"ferry?", "which ferry?"};
    q.answer = "heron";
    q.distractors = {"otter", "gulls", "seals"};
    return q;
}
}  // namespace

BOOST_AUTO_TEST_CASE(an_answers_likelihood_is_its_training_loss) {
    auto model = tiny::llama();
    infer::engine engine(model, test::byte_tokenizer());
    infer::local_teacher teacher(engine, text::formats::chatml{}, "tiny");
    for (const auto& [asked, answer] :
         {std::pair<std::string, std::string>{"ferry?", "heron"}, {"price?", "two shells"}}) {
        const auto sample = tiny::facts({{asked, answer}}, "l", replay::sample_kind::knowledge);
        const std::vector<text::score_request> request{{{{"user", asked}}, answer}};
        const auto score = teacher.score(request)[0];
        BOOST_TEST(score.tokens == replay::target_count(sample[0]));
        const double loss = tiny::loss_of(model, sample) * static_cast<double>(score.tokens);
        BOOST_TEST(score.log_probability == -loss, boost::test_tools::tolerance(1e-4));
    }
}

BOOST_AUTO_TEST_CASE(windows_are_scored_as_the_loss_of_their_second_half) {
    auto model = tiny::llama();
    eval::model_window_scorer scorer(model);
    std::vector<token> tokens;
    counter_rng rng(4);
    for (std::size_t i = 0; i < 200; ++i) tokens.push_back(static_cast<token>(rng.below(256)));
    const auto result = eval::perplexity(scorer, tokens, {.context = 64});
    BOOST_TEST(result.windows == 3u);
    double loss = 0;
    std::size_t count = 0;
    for (std::size_t w = 0; w < 3; ++w) {
        replay::training_sample s;
        for (std::size_t i = 0; i < 64; ++i) {
            s.tokens.push_back(tokens[64 * w + i]);
            s.trained.push_back(i > 32);
        }
        const std::vector<replay::training_sample> one{s};
        loss += tiny::loss_of(model, one) * static_cast<double>(replay::target_count(s));
        count += replay::target_count(s);
    }
    BOOST_TEST(result.tokens == count);
    BOOST_TEST(result.mean_loss == loss / static_cast<double>(count), boost::test_tools::tolerance(1e-5));
}

BOOST_AUTO_TEST_CASE(a_taught_model_answers_and_an_untouched_one_does_not) {
    const std::vector<eval::question> questions{ferry()};
    const auto ask = [&](nn::any_model model) {
        infer::engine engine(model, test::byte_tokenizer());
        infer::local_teacher teacher(engine, text::formats::chatml{}, "tiny");
        return eval::ask_all(teacher, questions, {.max_tokens = 8});
    };
    auto model = tiny::llama();
    const auto before = ask(model);
    const auto facts = tiny::islands();
    std::vector<const replay::training_sample*> step;
    for (const auto& s : facts) step.push_back(&s);
    auto update = tiny::adamw(model);
    update.reset(model.parameters().size());
    for (int i = 0; i < 120; ++i) {
        (void)train::accumulate_gradients(model, replay::pack(step, 0));
        update.step(model.parameters(), model.gradients(), 4e-3, update.norm(model.gradients()));
    }
    const auto after = ask(model);
    BOOST_TEST(!before[0].exact);
    BOOST_TEST(after[0].exact);
    BOOST_TEST(after[0].answered == "heron");
    BOOST_TEST(after[0].choice_by_sum);
    BOOST_TEST(eval::compare(before, after).log_likelihood.value > 5.0);
}

BOOST_AUTO_TEST_SUITE_END()
