// The whole loop on a tiny model with a scripted teacher: nothing is done twice, what was there stays when a leaf is
// added, and a run that is stopped anywhere ends in the bytes of one that was not.
#include "lab/run/lab_run.hpp"

#include <cmath>
#include <fstream>
#include <set>

#include "support/data.hpp"
#include "train/tiny_llama.hpp"

BOOST_AUTO_TEST_SUITE(whole_runs)

using namespace lab;

namespace {

taxonomy::leaf skill(const std::string& name, const std::string& verb,
                     const std::vector<std::pair<std::string, std::string>>& pairs) {
    taxonomy::leaf leaf;
    leaf.id = "foundational_skills->" + name;
    leaf.kind = taxonomy::root::foundational;
    leaf.task_description = verb;
    for (const auto& [q, a] : pairs) leaf.seeds.push_back({"", {{verb + ": " + q, a}}, {}});
    return leaf;
}
taxonomy::leaf turning() {
    return skill("turn", "Turn around", {{"sun sea", "sea sun"}, {"cup egg", "egg cup"}, {"hat fog", "fog hat"}});
}
taxonomy::leaf doubling() {
    return skill("double", "Say twice", {{"ox", "ox ox"}, {"hen", "hen hen"}, {"cow", "cow cow"}});
}
taxonomy::leaf island() {
    taxonomy::leaf leaf;
    leaf.id = "knowledge->island";
    leaf.kind = taxonomy::root::knowledge;
    leaf.seeds = {{"The ferry is the Heron.", {{"Which ferry?", "the Heron"}}, {}},
                  {"The captain is Maud.", {{"Who is captain?", "Maud"}}, {}}};
    return leaf;
}

/// Answers with plain words drawn from the request, and finds every answer likely that was just said.
text::completion say(const text::request& r) {
    std::uint64_t h = 1;
    for (const auto& m : r.messages) h = hash64(m.content, h);
    counter_rng rng(h, r.sampling.seed);
    text::completion c;
    if (const auto& list = r.constraint.choices; !list.empty()) {
        c.text = list[0];
        c.choice_probabilities.assign(list.size(), 1.0 / static_cast<double>(list.size()));
        return c;
    }
    constexpr std::array<const char*, 12> words{"boat",  "moon", "chair", "apple", "bread", "river",
                                                "table", "lamp", "stone", "cloud", "wind",  "salt"};
    c.text = words[rng.below(words.size())];
    return c;
}
text::score likelihood(const text::score_request& r) {
    return {r.messages.back().content.find(r.answer) == std::string::npos ? -20.0 : -1.0, 4};
}

struct workplace {
    test::temporary_folder folder;
    std::filesystem::path model;
    std::size_t opened = 0;
    std::function<void(const text::request&)> before = [](const text::request&) {};  // each answer
    sdg::budget budget;
    bool keep_going = false;

    workplace() : model(folder / "base") {
        nn::save_safetensors(tiny::llama(3, 1, 260), model, {.tokenizer = test::fixture("train/bytes")});
        std::filesystem::create_directories(folder / "taxonomy/foundational_skills/turn");
        std::ofstream(folder / "taxonomy/foundational_skills/turn/heldout.jsonl")
            << R"({"id":"t","phrasings":["turn: ab cd"],"answer":"cd ab","distractors":["ab cd","cd","ab"]})"
            << "\n";
    }
    run::lab_run_result execute(const std::string& out, std::vector<taxonomy::leaf> leaves,
                                const run::lab_listener& on = {}, std::uint64_t seed = 7) {
        run::lab_run_options o;
        o.generation = {.seed = seed, .samples_per_leaf = 4};
        o.training.heldout = folder / "taxonomy";
        o.training.threads = 1;
        o.training.trainer.seed = seed;
        o.budget = budget;
        o.keep_going = keep_going;
        run::teacher_source teacher{
            "scripted", [this] {
                ++opened;
                const auto answer = [this](const text::request& r) {
                    before(r);
                    return say(r);
                };
                return run::opened_teacher{sdg::any_teacher(sdg::scripted_teacher(answer, likelihood))};
            }};
        const std::vector<replay::phase> phases{
            {.name = "knowledge", .data = replay::content::knowledge, .learning_rate = 1e-3, .epochs = 2},
            {.name = "skills",
             .data = replay::content::foundational,
             .replays = 1,
             .replay_ratio = 0.5,
             .learning_rate = 1e-3,
             .epochs = 2,
             .batch_size = 3}};
        run::lab_run lab({std::move(leaves), {}}, std::move(teacher), phases, replay::stratified{.seed = seed}, o);
        return lab.execute(model, folder / out, on);
    }
    [[nodiscard]] std::set<std::string> samples(const std::string& out) const {
        std::ifstream file(folder / (out + "/data/samples.jsonl"));
        std::set<std::string> lines;
        for (std::string line; std::getline(file, line);) lines.insert(line);
        return lines;
    }
    void same_results(const std::string& a, const std::string& b) const {
        for (const char* name :
             {"data/samples.jsonl", "data/rejected.jsonl", "data/manifest.json", "data/leaves.json", "run/model.gguf",
              "run/model/model.safetensors", "run/metrics.jsonl", "run/forgetting.json", "run/eval/0-untouched.json"})
            BOOST_TEST((read_file(folder / (a + "/" + name)) == read_file(folder / (b + "/" + name))), name);
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(nothing_is_done_twice) {
    workplace w;
    const auto first = w.execute("out", {turning(), island()});
    BOOST_TEST(first.finished);
    BOOST_TEST(first.generated);
    BOOST_TEST(first.trained);
    BOOST_TEST(w.samples("out").size() > 5u);  // more than the seeds
    BOOST_TEST(first.matrix.rows.size() == 3u);
    BOOST_TEST(first.manifest["sha256"].size() == 2u);
    std::size_t events = 0;
    run::lab_listener on;
    on.measured = [&](const auto&) { ++events; };
    on.step = [&](const auto&) { ++events; };
    const auto again = w.execute("out", {turning(), island()}, on);
    BOOST_TEST(again.finished);
    BOOST_TEST(!again.generated);
    BOOST_TEST(!again.trained);
    BOOST_TEST(events == 0u);
    BOOST_TEST(w.opened == 1u);
    BOOST_TEST(again.manifest == first.manifest);
    BOOST_TEST(again.matrix.rows.size() == 3u);
}

BOOST_AUTO_TEST_CASE(a_leaf_is_added_changed_and_removed) {
    workplace w;
    (void)w.execute("out", {turning(), island()});
    const auto before = w.samples("out");
    std::vector<std::string> notices;
    std::size_t missing = 0, asked = 0;
    run::lab_listener on;
    on.notice = [&](const std::string& line) { notices.push_back(line); };
    on.generating = [&](std::size_t n, std::size_t) { missing = n; };
    on.measured = [&](const run::measure_event& e) { asked += e.row == "untouched"; };
    const auto added = w.execute("out", {doubling(), turning(), island()}, on);
    BOOST_TEST(missing == 1u);
    BOOST_TEST(asked == 0u);  // the untouched model's answers are still its own
    BOOST_TEST(added.trained);
    BOOST_TEST(notices.size() == 1u);
    const auto after = w.samples("out");
    BOOST_TEST(after.size() >= before.size() + 3);
    BOOST_TEST(std::includes(after.begin(), after.end(), before.begin(), before.end()));

    auto other = doubling();
    other.seeds[0].questions_and_answers[0] = {"Say twice: bee", "bee bee"};
    (void)w.execute("out", {other, turning(), island()}, on);
    BOOST_TEST(missing == 1u);
    const auto changed = w.samples("out");
    BOOST_TEST(std::includes(changed.begin(), changed.end(), before.begin(), before.end()));
    BOOST_TEST((changed != after));

    (void)w.execute("out", {turning(), island()}, on);
    BOOST_TEST(missing == 0u);
    BOOST_TEST((w.samples("out") == before));
}

BOOST_AUTO_TEST_CASE(stopped_anywhere_and_the_same_bytes) {
    workplace w;
    const auto life = [&](const std::string& out, const std::vector<taxonomy::leaf>& leaves, std::size_t patience) {
        run::lab_listener on;
        std::size_t asked = 0;
        on.stop = [&] { return patience != 0 && ++asked > patience; };
        return w.execute(out, leaves, on).finished;
    };
    const std::vector<taxonomy::leaf> few{turning(), island()}, more{doubling(), turning(), island()};
    BOOST_TEST(life("whole", few, 0));
    std::size_t stops = 0;
    for (std::size_t patience = 1; !life("stopped", few, patience); ++patience) ++stops;
    BOOST_TEST(stops > 3u);
    w.same_results("whole", "stopped");
    // With a leaf more, the same.
    BOOST_TEST(life("whole", more, 0));
    stops = 0;
    for (std::size_t patience = 1; !life("stopped", more, patience); ++patience) ++stops;
    BOOST_TEST(stops > 2u);
    w.same_results("whole", "stopped");
}

BOOST_AUTO_TEST_CASE(a_leaf_that_fails_is_named_and_tried_again) {
    workplace w;
    w.execute("whole", {doubling(), turning()});
    const auto complaint = [&] {
        try {
            w.execute("out", {doubling(), turning()});
        } catch (const error& fault) {
            return std::string(fault.what());
        }
        return std::string("none");
    };
    w.before = [](const text::request& r) {
        for (const auto& m : r.messages)
            if (m.content.find("Say twice") != m.content.npos) throw sdg::request_refused("nothing is said twice");
    };
    BOOST_TEST(complaint().find("foundational_skills->double: the work on it failed: nothing is said twice") !=
               std::string::npos);
    w.keep_going = true;
    BOOST_TEST(w.execute("out", {doubling(), turning()}).trained);  // on the other leaf
    w.keep_going = false;
    w.before = [](const text::request&) {};
    w.budget.most_tokens = 1;
    BOOST_TEST(complaint().find("the budget ends here: ") != std::string::npos);
    w.budget = {};
    BOOST_TEST(w.execute("out", {doubling(), turning()}).trained);
    w.same_results("out", "whole");
}

BOOST_AUTO_TEST_CASE(another_seed_is_another_run) {
    workplace w;
    (void)w.execute("out", {turning(), island()});
    const auto bytes = read_file(w.folder / "out/run/model.gguf");
    const auto other = w.execute("out", {turning(), island()}, {}, 8);
    BOOST_TEST(other.generated);
    BOOST_TEST(other.trained);
    BOOST_TEST((read_file(w.folder / "out/run/model.gguf") != bytes));
    BOOST_CHECK_THROW((void)w.execute("empty", {}), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
