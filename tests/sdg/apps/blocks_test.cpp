// lab-generate with pipeline files, as a process: rows to rows, a taxonomy to samples, what is refused. A model of a
// few kilobytes is the teacher; guided choices make its answers sensible.
#include <fstream>

#include "lab/formats/json.hpp"
#include "lab/nn/save.hpp"
#include "support/data.hpp"
#include "support/process.hpp"
#include "train/tiny_llama.hpp"

BOOST_AUTO_TEST_SUITE(blocks_app)

using namespace lab;
using formats::json;

namespace {

struct workplace {
    test::temporary_folder folder;

    workplace() {
        write("rows.jsonl",
              "{\"word\": \"tide\", \"n\": 1}\n{\"word\": \"ferry\", \"n\": 2}\n{\"word\": null, \"n\": 3}\n");
        write(
            "columns.yaml",
            "version: \"1.0\"\nblocks:\n"
            "  - {name: twice, type: DuplicateColumnsBlock, config: {columns_map: {word: copy}}}\n"
            "  - {name: join, type: CombineColumnsBlock, config: {columns: [word, copy], output_col: both, separator: "
            "+}, drop_columns: [n]}\n");
        write("ask.yaml",
              "system: Answer.\nintroduction:\nprinciples:\nexamples:\ngeneration: '{{word}}{{seed_question}}'\n"
              "start_tags: ['']\nend_tags: ['']\n");
    }
    void write(const std::string& name, const std::string& content) const { std::ofstream(folder / name) << content; }
    [[nodiscard]] std::string path(const std::string& name) const { return (folder / name).string(); }
    [[nodiscard]] std::string text(const std::string& name) const { return read_file(folder / name); }
    [[nodiscard]] test::finished run(std::vector<std::string> args) const {
        args.insert(args.begin(), LAB_GENERATE_APP);
        return test::execute(args, folder.path(), [] { return false; });
    }
    void make_teacher() const {
        nn::save_safetensors(tiny::llama(3, 1, 260), folder / "teacher", {.tokenizer = test::fixture("train/bytes")});
    }
};

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_CASE(rows_without_a_teacher) {
    const workplace w;
    const auto done = w.run({"blocks", "--pipeline", w.path("columns.yaml"), "--in", w.path("rows.jsonl"), "--out",
                             w.path("out.jsonl"), "--json"});
    BOOST_TEST_REQUIRE(done.code == 0, done.err);
    BOOST_TEST(w.text("out.jsonl") ==
               "{\"word\":\"tide\",\"copy\":\"tide\",\"both\":\"tide+tide\"}\n"
               "{\"word\":\"ferry\",\"copy\":\"ferry\",\"both\":\"ferry+ferry\"}\n");
    BOOST_TEST(w.text("out.rejected.jsonl") ==
               "{\"block\":\"join\",\"kind\":\"not text\",\"reason\":\"word is nothing, no text to combine\",\"row\":2,"
               "\"values\":{\"word\":null,\"n\":3,\"copy\":null,\"both\":null}}\n");
    const json said = json::parse(done.out);
    BOOST_TEST(said["rows_in"] == 3);
    BOOST_TEST(said["rows_out"] == 2);
    BOOST_TEST(said["dropped"] == 1);
    BOOST_TEST(said["blocks"][1]["dropped"]["not text"] == 1);
}

BOOST_AUTO_TEST_CASE(rows_with_a_teacher_and_again_from_the_journal) {
    const workplace w;
    w.make_teacher();
    w.write("choose.yaml",
            "version: \"1.0\"\nblocks:\n"
            "  - {name: words, type: FilterByValueBlock, config: {filter_column: n, filter_value: 3, operation: lt}}\n"
            "  - {name: ask, type: LLMBlock, config: {config_path: ask.yaml, output_cols: [said], gen_kwargs: {n: 2, "
            "temperature: 1, max_tokens: 4, extra_body: {guided_choice: ['yes', 'no']}}}}\n");
    w.write("rows.jsonl", "{\"word\": \"tide\", \"seed_question\": \"?\", \"n\": 1}\n{\"word\": \"x\", \"n\": 2}\n");
    std::vector<std::string> outs;
    for (const char* batch : {"1", "2"}) {
        const auto done =
            w.run({"blocks", "--pipeline", w.path("choose.yaml"), "--in", w.path("rows.jsonl"), "--out",
                   w.path("out.jsonl"), "--teacher", w.path("teacher"), "--threads", "1", "--batch-rows", batch});
        BOOST_TEST_REQUIRE(done.code == 0, done.err);
        BOOST_TEST(mentions(done.out, "4 rows"));
        outs.push_back(w.text("out.jsonl") + w.text("out.journal.jsonl"));
    }
    BOOST_TEST(outs[0] == outs[1]);
    BOOST_TEST(mentions(outs[0], "{\"word\":\"tide\",\"seed_question\":\"?\",\"n\":1,\"said\":\""));
}

BOOST_AUTO_TEST_CASE(a_taxonomy_through_a_pipeline) {
    const workplace w;
    w.make_teacher();
    const auto place = w.folder / "taxonomy/foundational_skills/asking";
    std::filesystem::create_directories(place);
    std::ofstream qna(place / "qna.yaml");
    qna << "version: 3\ncreated_by: test\ntask_description: Ask.\nseed_examples:\n";
    for (const char* word : {"tide", "ferry", "goat", "oats", "song"})
        qna << "  - question: 'What is " << word << "?'\n    answer: A " << word << ".\n";
    qna.close();
    w.write("p.yaml",
            "version: \"1.0\"\nblocks:\n"
            "  - {name: name, type: DuplicateColumnsBlock, config: {columns_map: {seed_response: word}}}\n"
            "  - {name: ask, type: LLMBlock, config: {config_path: ask.yaml, output_cols: [output], gen_kwargs: {n: "
            "scaled, "
            "temperature: 1, extra_body: {guided_choice: ['Why? So.', 'How? Thus.']}}}}\n");
    const auto generate = [&](const std::string& out, const std::vector<std::string>& more = {}) {
        std::vector<std::string> args{
            "--taxonomy",     w.path("taxonomy"), "--teacher", w.path("teacher"), "--out", w.path(out), "--pipeline",
            w.path("p.yaml"), "--scale",          "3",         "--threads",       "1"};
        args.insert(args.end(), more.begin(), more.end());
        return w.run(args);
    };
    std::vector<std::string> samples;
    for (const bool fresh : {false, false, true}) {
        const auto done = generate("data", fresh ? std::vector<std::string>{"--fresh"} : std::vector<std::string>{});
        BOOST_TEST_REQUIRE(done.code == 0, done.err);
        BOOST_TEST(mentions(done.out, "5 ->     15  ask"));
        samples.push_back(w.text("data/samples.jsonl") + w.text("data/rejected.jsonl") + w.text("data/manifest.json"));
    }
    BOOST_TEST(samples[0] == samples[1]);
    BOOST_TEST(samples[0] == samples[2]);
    const json manifest = json::parse(w.text("data/manifest.json"));
    BOOST_TEST(manifest["pipeline"]["pipelines"]["freeform_skill"]["prompts"].contains("ask.yaml"));
    BOOST_TEST(manifest["pipeline"]["scaled"] == 3);
    const std::string kept = w.text("data/samples.jsonl");
    BOOST_TEST((mentions(kept, "Why?") || mentions(kept, "How?")), kept);
    BOOST_TEST(mentions(w.text("data/report.html"), "</html>"));

    const auto& spent = manifest["teacher_answers"];
    const auto tokens = spent["prompt_tokens"].get<std::size_t>() + spent["completion_tokens"].get<std::size_t>();
    const auto ended = generate("poor", {"--max-tokens-total", std::to_string(tokens / 2)});
    BOOST_TEST(ended.code == 3, ended.err);
    BOOST_TEST(mentions(ended.err, "the budget ends here"), ended.err);
    BOOST_TEST(json::parse(w.text("poor/manifest.json")).contains("stopped"));
    BOOST_TEST(generate("poor").code == 0);
    BOOST_TEST(w.text("poor/samples.jsonl") == kept);
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
    const workplace w;
    const auto check = w.run({"blocks", "--check", "--pipeline", w.path("columns.yaml")});
    BOOST_TEST(check.code == 0);
    BOOST_TEST(mentions(check.out, "columns.yaml: valid, 2 blocks"));
    w.write("bad.yaml", "version: \"1.0\"\nblocks: [{name: a, type: Nonesuch, config: {}}]\n");
    const auto bad = w.run({"blocks", "--check", "--json", "--pipeline", w.path("bad.yaml")});
    BOOST_TEST(bad.code == 1);
    BOOST_TEST(json::parse(bad.out)["valid"] == false);
    BOOST_TEST(mentions(bad.out, "bad.yaml:2:26: error"));
    const std::vector<std::string> rows{"--in", w.path("rows.jsonl"), "--out", w.path("out.jsonl")};
    const auto with = [&](std::vector<std::string> args) {
        args.insert(args.begin(), "blocks");
        args.insert(args.end(), rows.begin(), rows.end());
        return w.run(args);
    };
    BOOST_TEST(with({"--pipeline", w.path("bad.yaml")}).code == 1);
    BOOST_TEST(!std::filesystem::exists(w.folder / "out.jsonl"));
    BOOST_TEST(with({}).code == 2);
    BOOST_TEST(w.run({"blocks", "--pipeline", w.path("columns.yaml")}).code == 2);
    BOOST_TEST(with({"--pipeline", w.path("columns.yaml"), "--prompt-form", "raw"}).code == 2);
    w.write("asks.yaml",
            "version: \"1.0\"\nblocks: [{name: a, type: LLMBlock, config: {config_path: ask.yaml, output_cols: "
            "[said]}}]\n");
    w.write("rows.jsonl", "{\"word\": \"a\", \"seed_question\": \"b\"}\n");
    const auto alone = with({"--pipeline", w.path("asks.yaml")});
    BOOST_TEST(alone.code == 2);
    BOOST_TEST(mentions(alone.err, "--teacher is needed"));
    const auto missing = w.run({"--taxonomy", w.path("none"), "--teacher", w.path("none"), "--out", w.path("data"),
                                "--pipeline", w.path("bad.yaml")});
    BOOST_TEST(missing.code == 1);
    BOOST_TEST(mentions(missing.err, "no block has the type 'Nonesuch'"), missing.err);
}

BOOST_AUTO_TEST_SUITE_END()
