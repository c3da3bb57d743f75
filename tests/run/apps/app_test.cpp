// lab-run as a process: a tiny model teaches itself; run again, killed, and with a leaf more.
#include <fstream>

#include "lab/formats/json.hpp"
#include "lab/nn/save.hpp"
#include "support/data.hpp"
#include "support/process.hpp"
#include "train/tiny_llama.hpp"

BOOST_AUTO_TEST_SUITE(run_app)

using namespace lab;

namespace {

struct workplace {
    test::temporary_folder folder;
    std::string model, taxonomy;

    workplace() : model((folder / "base").string()), taxonomy((folder / "taxonomy").string()) {
        nn::save_safetensors(tiny::llama(3, 1, 260), model, {.tokenizer = test::fixture("train/bytes")});
        add_leaf("turn", "Turn around",
                 {{"sun sea", "sea sun"},
                  {"cup egg", "egg cup"},
                  {"hat fog", "fog hat"},
                  {"ant bee", "bee ant"},
                  {"ice oak", "oak ice"}});
        std::ofstream(taxonomy + "/foundational_skills/turn/heldout.jsonl")
            << R"({"id":"t","phrasings":["turn: ab cd"],"answer":"cd ab","distractors":["ab cd","cd","ab"]})"
            << "\n";
    }
    void add_leaf(const std::string& name, const std::string& verb,
                  const std::vector<std::pair<std::string, std::string>>& pairs) const {
        const auto place = std::filesystem::path(taxonomy) / "foundational_skills" / name;
        std::filesystem::create_directories(place);
        std::ofstream qna(place / "qna.yaml");
        qna << "version: 3\ncreated_by: test\ntask_description: " << verb << ".\nseed_examples:\n";
        for (const auto& [q, a] : pairs)
            qna << "  - question: '" << verb << ": " << q << "'\n    answer: " << a << "\n";
    }
    [[nodiscard]] std::vector<std::string> command(const std::string& out, std::vector<std::string> more = {}) const {
        std::vector<std::string> all{
            LAB_RUN_APP, "--taxonomy", taxonomy,   "--model",  model,       "--out", (folder / out).string(),
            "--seed",    "3",          "--epochs", "3",        "--threads", "1",     "--samples-per-leaf",
            "3",         "--lr",       "1e-3",     "--phases", "stacked"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    test::finished run(const std::vector<std::string>& all) const {
        return test::execute(all, folder.path(), [] { return false; });
    }
};

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_CASE(the_whole_loop_and_again_and_with_a_leaf_more) {
    const workplace w;
    const auto first = w.run(w.command("out"));
    BOOST_REQUIRE_MESSAGE(first.code == 0, first.err);
    for (const char* part : {"The untouched model is asked", "1 of 1 leaves", "Training;", "The same questions again",
                             "before   ", "now      ", "model.gguf", "lab-chat --model"})
        BOOST_TEST(mentions(first.out, part), part);
    const auto again = w.run(w.command("out"));
    BOOST_TEST(again.code == 0, again.err);
    BOOST_TEST(mentions(again.out, "All was done already"), again.out);
    w.add_leaf("twice", "Say twice",
               {{"ox", "ox ox"}, {"hen", "hen hen"}, {"cow", "cow cow"}, {"pig", "pig pig"}, {"cat", "cat cat"}});
    const auto samples = read_file(w.folder / "out/data/samples.jsonl");
    const auto more = w.run(w.command("out", {"--json"}));
    BOOST_REQUIRE_MESSAGE(more.code == 0, more.err);
    const auto summary = formats::parse_json(more.out, "stdout");
    BOOST_TEST(summary["generated"] == true);
    BOOST_TEST(summary["trained"] == true);
    BOOST_TEST(summary["forgetting"]["rows"].size() == 2u);
    BOOST_TEST(read_file(w.folder / "out/data/samples.jsonl").starts_with(samples));
}

BOOST_AUTO_TEST_CASE(adapters_instead_of_weights_are_another_training) {
    const workplace w;
    BOOST_REQUIRE(w.run(w.command("out")).code == 0);
    const auto adapted = w.run(w.command("out", {"--lora", "2", "--json"}));
    BOOST_REQUIRE_MESSAGE(adapted.code == 0, adapted.err);
    const auto summary = formats::parse_json(adapted.out, "stdout");
    BOOST_TEST(summary["generated"] == false);
    BOOST_TEST(summary["trained"] == true);
    BOOST_TEST(summary["manifest"]["lora"]["rank"] == 2);
    BOOST_TEST(summary["manifest"]["sha256"].contains("adapter/adapter_model.safetensors"));
    BOOST_TEST(mentions(w.run(w.command("out", {"--lora", "2"})).out, "All was done already"));
}

BOOST_AUTO_TEST_CASE(killed_or_stopped_and_the_same_final_bytes) {
    const workplace w;
    BOOST_REQUIRE(w.run(w.command("whole")).code == 0);
    std::size_t deaths = 0;
    for (std::size_t turn = 0; turn < 12; ++turn) {
        std::size_t polls = 0;
        const bool gently = turn % 3 == 2;
        const auto died = test::execute(
            w.command("killed", {"--checkpoint-minutes", "0"}), w.folder.path(),
            [&] { return ++polls > 20 + 25 * turn; }, gently ? SIGTERM : SIGKILL);
        deaths += died.code != 0;
        if (gently && died.code != 0) BOOST_TEST((died.code == 143 || died.code == -1), died.err);
    }
    BOOST_TEST(deaths > 1u);
    BOOST_REQUIRE(w.run(w.command("killed")).code == 0);
    for (const char* name : {"data/samples.jsonl", "data/manifest.json", "run/model.gguf",
                             "run/model/model.safetensors", "run/metrics.jsonl", "run/forgetting.json"})
        BOOST_TEST((read_file(w.folder / ("killed/" + std::string(name))) ==
                    read_file(w.folder / ("whole/" + std::string(name)))),
                   name);
}

BOOST_AUTO_TEST_CASE(wrong_calls) {
    const workplace w;
    const auto help = w.run({LAB_RUN_APP, "--help"});
    BOOST_TEST(help.code == 0);
    BOOST_TEST(mentions(help.out, "Examples:"));
    BOOST_TEST(w.run({LAB_RUN_APP}).code == 2);
    BOOST_TEST(w.run(w.command("x", {"--phases", "none-such"})).code == 2);
    BOOST_TEST(w.run(w.command("x", {"--fetch-documents"})).code == 2);
    BOOST_TEST(w.run(w.command("x", {"--threads", "1000000"})).code == 2);
    BOOST_TEST(w.run(w.command("x", {"--cache-mib", "0"})).code == 2);
    BOOST_TEST(w.run(w.command("x", {"--base-type", "q8_0"})).code == 2);
    const auto absent = w.run(w.command("x", {"--teacher", "/no/such/file"}));
    BOOST_TEST(absent.code == 1);
    BOOST_TEST(mentions(absent.err, "/no/such/file"));
}

BOOST_AUTO_TEST_SUITE_END()
