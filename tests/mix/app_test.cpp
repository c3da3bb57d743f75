// lab-generate mix as a process: a recipe, generated samples by every preset, budgets, wrong calls, and kills that
// leave nothing half written.
#include <fstream>
#include <set>

#include "lab/core/sha256.hpp"
#include "lab/formats/jsonl.hpp"
#include "support/data.hpp"
#include "support/process.hpp"

BOOST_AUTO_TEST_SUITE(mix_app)

using namespace lab;
using formats::json;

namespace {

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct workplace {
    test::temporary_folder folder;

    workplace() {
        put("taxonomy/knowledge/bees/qna.yaml", R"(version: 3
created_by: test
domain: nature
document_outline: Bees
document: {repo: ., commit: none, patterns: [bees.md]}
seed_examples:
)" + seeds());
        put("taxonomy/knowledge/bees/bees.md", document());
        const auto at = document().find("Drones have");
        const std::string chunk = document().substr(at, document().find('\n', at) - at);
        std::string lines;
        for (int i = 0; i < 40; ++i)
            lines += line(
                "k" + std::to_string(i), "What do drones lack, " + std::to_string(i) + "?", "A sting.",
                {{"leaf", "knowledge->bees"},
                 {"kind", "knowledge"},
                 {"provenance",
                  {{"document", "bees.md"}, {"span", {at, at + chunk.size()}}, {"chunk_sha256", sha256_hex(chunk)}}}});
        for (int i = 0; i < 12; ++i)
            lines += line("s" + std::to_string(i), "Greet " + std::to_string(i), "Hello.",
                          {{"leaf", "compositional_skills->greet"}, {"kind", "compositional"}});
        put("data/samples.jsonl", lines);
        put("recipe.yaml", "datasets:\n- path: data/samples.jsonl\n  sampling_size: 0.5\n");
    }
    static std::string document() {
        return "# Bees\n\n## Queen\n\nThe queen lays the eggs of the whole hive.\n\n## Drones\n\n"
               "Drones have no sting and gather no food.\n\n## Honey\n\nWorkers seal the honey in wax.\n";
    }
    static std::string seeds() {
        std::string out;
        for (int i = 0; i < 5; ++i) {
            const auto n = std::to_string(i);
            out += "  - context: Fact " + n + " about bees.\n    questions_and_answers:\n";
            for (const char* q : {"a", "b", "c"})
                out += "      - {question: 'What is " + n + q + "?', answer: Fact " + n + "}\n";
        }
        return out;
    }
    static std::string line(const std::string& id, const std::string& q, const std::string& a, const json& metadata) {
        return json{{"id", id},
                    {"messages", {{{"role", "user"}, {"content", q}}, {{"role", "assistant"}, {"content", a}}}},
                    {"metadata", metadata.dump()},
                    {"unmask", false}}
                   .dump() +
               "\n";
    }
    void put(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories((folder / name).parent_path());
        std::ofstream(folder / name, std::ios::binary) << text;
    }
    [[nodiscard]] std::vector<std::string> command(std::vector<std::string> more) const {
        std::vector<std::string> all{LAB_GENERATE_APP, "mix"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    template <class When>
    test::finished run(std::vector<std::string> more, When when, int signal = SIGKILL) const {
        return test::execute(command(std::move(more)), folder.path(), when, signal);
    }
    test::finished run(std::vector<std::string> more) const {
        return run(std::move(more), [] { return false; });
    }
    [[nodiscard]] std::vector<std::string> by_preset(const std::string& preset, const std::string& out) const {
        return {"--data", at("data"), "--taxonomy", at("taxonomy"), "--preset", preset, "--out", at(out)};
    }
    [[nodiscard]] std::string at(const std::string& name) const { return (folder / name).string(); }
    [[nodiscard]] json manifest(const std::string& out) const {
        return formats::parse_json(read_file(folder / (out + "/mix_manifest.json")), "manifest");
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(by_a_recipe) {
    const workplace w;
    const auto done = w.run({"--recipe", w.at("recipe.yaml"), "--out", w.at("out"), "--json", "--seed", "4"});
    BOOST_REQUIRE_MESSAGE(done.code == 0, done.err);
    BOOST_TEST(done.err.empty(), done.err);
    const auto shown = formats::parse_json(done.out, "stdout");
    BOOST_TEST((shown == w.manifest("out")));
    BOOST_TEST(shown["seed"] == 4);
    BOOST_TEST(shown["files"][0]["samples"] == 26);
    BOOST_TEST(shown["files"][0]["parts"][0]["path"] == "data/samples.jsonl");
    BOOST_TEST(mentions(shown["tokens_counted_by"].get<std::string>(), "an estimate"));
    BOOST_TEST(formats::read_jsonl(w.folder / "out/train_msgs.jsonl").size() == 26u);
    const auto plain = w.run({"--recipe", w.at("recipe.yaml"), "--out", w.at("out")});
    BOOST_TEST(mentions(plain.out, "train_msgs.jsonl: 26 samples"), plain.out);
}

BOOST_AUTO_TEST_CASE(by_every_preset) {
    const workplace w;
    for (const auto& [preset, knowledge, skills] : std::vector<std::tuple<std::string, int, int>>{
             {"plain", 40, 52}, {"raft", 40, 40 * 2 + 12}, {"instructlab", 40, 40 * 2 + 30}}) {
        const auto done = w.run(w.by_preset(preset, preset));
        BOOST_REQUIRE_MESSAGE(done.code == 0, done.err);
        const auto m = w.manifest(preset);
        BOOST_TEST(m["files"][0]["file"] == "knowledge_train_msgs.jsonl");
        BOOST_TEST(m["files"][0]["samples"] == knowledge);
        BOOST_TEST(m["files"][1]["samples"] == skills);
        BOOST_TEST(m["options"]["preset"] == preset);
        for (const char* name : {"knowledge_train_msgs.jsonl", "skills_train_msgs.jsonl"})
            BOOST_TEST(sha256_of_file(w.folder / (preset + "/" + name)) ==
                       m["files"][std::string(name)[0] == 'k' ? 0 : 1]["sha256"].get<std::string>());
        // The recipe that is left behind gives the same file once more.
        const auto again = w.run({"--recipe", w.at(preset + "/skills_recipe.yaml"), "--out", w.at("again")});
        BOOST_REQUIRE_MESSAGE(again.code == 0, again.err);
        BOOST_TEST((read_file(w.folder / "again/train_msgs.jsonl") ==
                    read_file(w.folder / (preset + "/skills_train_msgs.jsonl"))));
    }
    BOOST_TEST(w.manifest("instructlab")["files"][1]["repeats"] == 18);
}

BOOST_AUTO_TEST_CASE(budgets_from_the_command_line) {
    const workplace w;
    auto call = w.by_preset("raft", "out");
    for (const char* more : {"--budget", "skills_train:knowledge=400", "--budget", "compositional_skills/greet=1M",
                             "--budget", "nowhere=5"})
        call.emplace_back(more);
    const auto done = w.run(call);
    BOOST_REQUIRE_MESSAGE(done.code == 0, done.err);
    BOOST_TEST(mentions(done.err, "compositional_skills/greet=1000000 is short by"), done.err);
    BOOST_TEST(mentions(done.err, "the budget nowhere finds no sample"), done.err);
    const auto m = w.manifest("out");
    BOOST_TEST(m["files"][0]["samples"] == 40);
    const auto& filled = m["files"][1]["budgets"][0];
    BOOST_TEST(filled["tokens"].get<int>() <= 400);
    BOOST_TEST(filled["tokens"].get<int>() > 350);
    BOOST_TEST(filled["samples"].get<int>() + 12 == m["files"][1]["samples"].get<int>());
}

BOOST_AUTO_TEST_CASE(wrong_calls) {
    const workplace w;
    const auto help = w.run({"--help"});
    BOOST_TEST(help.code == 0);
    BOOST_TEST(mentions(help.out, "Examples:"));
    for (const std::vector<std::string>& call :
         {std::vector<std::string>{},
          {"--out", w.at("x")},
          {"--recipe", w.at("recipe.yaml")},
          {"--recipe", w.at("recipe.yaml"), "--data", w.at("data"), "--out", w.at("x")},
          {"--recipe", w.at("recipe.yaml"), "--out", w.at("x"), "--preset", "best"},
          {"--recipe", w.at("recipe.yaml"), "--out", w.at("x"), "--nonsense"},
          {"--recipe", w.at("recipe.yaml"), "--out", w.at("x"), "extra"},
          {"--data", w.at("data"), "--out", w.at("x"), "--golden", "often"},
          {"--data", w.at("data"), "--out", w.at("x"), "--distractors", "nice"},
          {"--recipe", w.at("recipe.yaml"), "--out", w.at("x"), "--precomputed", w.at("data/samples.jsonl")}})
        BOOST_TEST(w.run(call).code == 2);
    for (const auto& [call, part] : std::vector<std::pair<std::vector<std::string>, std::string>>{
             {{"--recipe", w.at("none.yaml"), "--out", w.at("x")}, "none.yaml"},
             {{"--data", w.at("none"), "--out", w.at("x")}, "there is no such file or folder"},
             {{"--data", w.at("data"), "--out", w.at("x")}, "name the taxonomy"},
             {{"--data", w.at("data"), "--out", w.at("x"), "--golden", "1.5"}, "probability"},
             {{"--data", w.at("data"), "--out", w.at("x"), "--budget", "knowledge"}, "names no part"},
             {{"--data", w.at("data"), "--out", w.at("x"), "--precomputed", "none.jsonl:3"}, "none.jsonl"}}) {
        const auto fault = w.run(call);
        BOOST_TEST(fault.code == 1, fault.err);
        BOOST_TEST(mentions(fault.err, part), fault.err);
    }
    w.put("data/broken.jsonl", "{\"messages\": [}\n");
    w.put("broken.yaml", "datasets:\n- path: data/broken.jsonl\n  sampling_size: 1.0\n");
    const auto broken = w.run({"--recipe", w.at("broken.yaml"), "--out", w.at("x")});
    BOOST_TEST(broken.code == 1);
    BOOST_TEST(mentions(broken.err, "data/broken.jsonl:1:15: "), broken.err);
    BOOST_TEST(!std::filesystem::exists(w.folder / "x/train_msgs.jsonl"));
}

BOOST_AUTO_TEST_CASE(killed_or_stopped_and_run_again) {
    const workplace w;
    std::string many;
    for (int i = 0; i < 60'000; ++i)
        many += workplace::line("m" + std::to_string(i), "Question " + std::to_string(i), "Answer.", {});
    w.put("many.jsonl", many);
    w.put("many.yaml", "datasets:\n- path: many.jsonl\n  sampling_size: 0.75\n");
    BOOST_REQUIRE(w.run({"--recipe", w.at("many.yaml"), "--out", w.at("whole")}).code == 0);
    std::size_t died = 0;
    for (std::size_t turn = 0; turn < 12; ++turn) {
        std::size_t polls = 0;
        const bool gently = turn % 3 == 2;
        const auto end = w.run(
            {"--recipe", w.at("many.yaml"), "--out", w.at("killed")}, [&] { return ++polls > 10 + 60 * turn; },
            gently ? SIGTERM : SIGKILL);
        if (end.code == 0) continue;
        ++died;
        if (gently) BOOST_TEST((end.code == 143 || end.code == -1), end.err);
    }
    BOOST_TEST(died > 1u);
    BOOST_REQUIRE(w.run({"--recipe", w.at("many.yaml"), "--out", w.at("killed")}).code == 0);
    for (const char* name : {"train_msgs.jsonl", "mix_manifest.json"})
        BOOST_TEST((read_file(w.folder / ("killed/" + std::string(name))) ==
                    read_file(w.folder / ("whole/" + std::string(name)))),
                   name);
}

BOOST_AUTO_TEST_SUITE_END()
