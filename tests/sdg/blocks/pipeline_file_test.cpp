// Pipelines: composed in C++ or read from YAML, faults with their lines, batches that change nothing, every dropped row
// kept with its reason, a block of one's own.
#include "lab/sdg/blocks/pipeline_file.hpp"

#include <fstream>
#include <set>

#include "lab/sdg/blocks/standard.hpp"
#include "sdg/blocks/own_block.hpp"
#include "sdg/blocks/tables.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(sdg_blocks_pipeline)

using namespace lab;
using namespace lab::sdg::blocks;
using test::parse_table;
using test::text_of;

namespace {

sdg::any_teacher saying(std::function<std::string(const text::request&)> answer) {
    return sdg::any_teacher(
        sdg::scripted_teacher([answer](const text::request& r) { return text::completion{answer(r)}; }));
}
sdg::any_teacher silent() {
    return saying([](const text::request&) -> std::string { throw error("the teacher must not be asked"); });
}
pipeline_result run(const pipeline& p, table rows, sdg::any_teacher teacher = silent(), run_options options = {}) {
    return run_pipeline(p, std::move(rows), {&teacher, {}}, options);
}
llm_block asking(const std::string& prompt, std::vector<std::string> columns) {
    llm_block b;
    b.prompts.emplace("", prompt_config{prompt_template(prompt), {}, {}});
    b.parser = {columns, {}, {}, {}, {}};
    for (const auto& c : columns) {
        b.parser.start_tags.push_back(columns.size() == 1 ? "" : "<" + c + ">");
        b.parser.end_tags.push_back(columns.size() == 1 ? "" : "</" + c + ">");
    }
    return b;
}

/// Writes files into a folder and reads the first as a pipeline.
struct on_disk {
    test::temporary_folder folder;
    void write(const std::string& name, const std::string& content) const { std::ofstream(folder / name) << content; }
    [[nodiscard]] std::string fault(const std::string& yaml) const {
        write("p.yaml", yaml);
        try {
            (void)read_pipeline(folder / "p.yaml");
        } catch (const pipeline_error& e) {
            std::string text = e.what();
            for (std::size_t at = 0; (at = text.find(folder.path().string() + "/")) != text.npos;)
                text.erase(at, folder.path().string().size() + 1);
            return text;
        }
        return "valid";
    }
};
constexpr const char* prompt_yaml =
    "system: s\nintroduction: '{{text}}'\nprinciples: ''\nexamples: ~\ngeneration: g\nstart_tags: ['']\nend_tags: "
    "['']\n";

}  // namespace

BOOST_AUTO_TEST_CASE(composed_in_cpp) {
    const pipeline p{
        {"ask", asking("Say {{word}}", {"said"}), {}, {"said"}},
        {"loud", filter_by_value{.column = "said", .values = {"SAY"}, .operation = comparison::contains}, {"n"}},
        {"whole", combine_columns{.columns = {"word", "said"}, .output = "word", .separator = ": "}}};
    const auto made = run(p, parse_table(R"([{"word": "a", "n": 1}, {"word": "b", "n": 2}, {"word": "a", "n": 3},
                                          {"word": "c", "n": 4}])"),
                          saying([](const text::request& r) {
                              BOOST_TEST(!r.raw);
                              const auto& said = r.messages.at(0).content;
                              return said == "Say c" ? "never" : "SAY " + said.substr(4);
                          }));
    BOOST_TEST(text_of(made.rows) ==
               "{\"word\":\"a: SAY a\",\"said\":\"SAY a\"}\n"
               "{\"word\":\"b: SAY b\",\"said\":\"SAY b\"}\n");
    BOOST_REQUIRE(made.dropped.size() == 2);
    BOOST_TEST(made.dropped[0].block == "ask");
    BOOST_TEST(made.dropped[0].kind == "duplicate");
    BOOST_TEST(made.dropped[0].origin == 2);
    BOOST_TEST(made.dropped[1].block == "loud");
    BOOST_TEST(made.dropped[1].reason == "said is 'never'; kept is what is contains 'SAY'");
    BOOST_TEST(made.dropped[1].values.dump() == R"({"word":"c","n":4,"said":"never"})");
    BOOST_REQUIRE(made.report.stages.size() == 3);
    BOOST_TEST(made.report.stages[0].asked == 4);
    BOOST_TEST(made.report.stages[0].rows_out == 3);
    BOOST_TEST(made.report.stages[1].dropped.at("filtered") == 1);
    BOOST_TEST(made.report.made_by.at("said") == "ask");
}

BOOST_AUTO_TEST_CASE(a_missing_column_is_found_before_the_teacher_is_asked) {
    const pipeline p{{"ask", asking("{{a}}", {"said"})}, {"pick", filter_by_value{.column = "sayd", .values = {1}}}};
    try {
        (void)run(p, parse_table(R"([{"a": 1}])"));
        BOOST_FAIL("nothing was thrown");
    } catch (const config_error& e) {
        BOOST_TEST(std::string(e.what()) ==
                   "block 'pick' (FilterByValueBlock): the rows have no column 'sayd' (they "
                   "have a, said)");
    }
}

BOOST_AUTO_TEST_CASE(batches_change_no_row) {
    auto ask = asking("{{kind}} {{text}}", {"q", "a"});
    ask.generation.n = 3;
    ask.generation.sampling.temperature = 0.5f;
    const pipeline p{{"ask", ask, {}, {"q"}},
                     {"majority", set_to_majority_value{"kind"}},
                     {"flat", flatten_columns{{"q", "a"}, "value", "which"}},
                     {"twice", iter_block{asking("{{value}}", {"more"}), 2}},
                     {"last", filter_by_value{.column = "more", .values = {"0"}, .operation = comparison::ne}}};
    table rows({"kind", "text"});
    for (std::size_t i = 0; i < 50; ++i) rows.add({{i % 3 == 0 ? "odd" : "even", i % 20}, i});
    const auto say = [](const text::request& r) {
        if (r.sampling.temperature == 0) return std::to_string(hash64(r.messages[0].content) % 3);
        const std::string n = std::to_string(r.sampling.seed % 40);
        if (r.sampling.seed % 7 == 0) return std::string("nothing");
        return "<q>" + n + "?</q><a>yes</a><q>" + n + "</q>" + (r.sampling.seed % 5 == 0 ? "" : "<a>no</a>");
    };
    const auto whole = run(p, rows, saying(say), {.batch_rows = 1000});
    BOOST_TEST(whole.rows.size() > 60u);
    const auto sorted = [](const pipeline_result& r) {
        std::multiset<std::string> out;
        for (const auto& d : r.dropped) out.insert(d.block + d.kind + d.reason + d.values.dump());
        return out;
    };
    for (const std::size_t batch : {1u, 2u, 7u, 16u, 49u, 50u}) {
        const auto parts = run(p, rows, saying(say), {.batch_rows = batch});
        BOOST_TEST(text_of(parts.rows) == text_of(whole.rows));
        BOOST_TEST((sorted(parts) == sorted(whole)));
    }
    const auto other_seed = run(p, rows, saying(say), {.seed = 1});
    BOOST_TEST(text_of(other_seed.rows) != text_of(whole.rows));
}

BOOST_AUTO_TEST_CASE(nothing_is_lost_without_a_word) {
    auto ask = asking("{{text}}", {"q", "a"});
    const pipeline p{{"ask", ask}};
    const auto made = run(p, parse_table(R"([{"text": "both"}, {"text": "half"}, {"text": "none"}, {"text": "more"},
                                          {"text": "long"}, {"text": null, "x": 1}])"),
                          saying([](const text::request& r) -> std::string {
                              const auto& t = r.messages[0].content;
                              if (t == "long") throw config_error("a prompt of 9000 tokens does not fit");
                              if (t == "both" || t == "None") return "<q>1</q><a>2</a>";
                              if (t == "half") return "<q>1</q>";
                              return t == "more" ? "<q>1</q><q>2</q><a>3</a>" : "I cannot.";
                          }));
    BOOST_TEST(made.rows.size() == 3);
    std::vector<std::string> told;
    for (const auto& d : made.dropped) told.push_back(std::to_string(d.origin) + " " + d.kind + ": " + d.reason);
    const std::vector<std::string> wanted{
        "1 not parsed: the answer holds nothing for column 'a' (no text between '<a>' and '</a>')",
        "2 not parsed: the answer holds nothing for column 'q' (no text between '<q>' and '</q>')",
        "3 left over: the answer has more values for column 'q' than for the others",
        "4 refused by the teacher: a prompt of 9000 tokens does not fit"};
    BOOST_TEST(told == wanted, boost::test_tools::per_element());
    BOOST_TEST(made.dropped[1].values.at("teacher_said") == "I cannot.");
    BOOST_TEST(made.dropped[2].values.at("left_over").dump() == "[\"2\"]");
    const auto lacking = run(pipeline{{"ask", asking("{{nobody}}", {"said"})}}, parse_table(R"([{"a": 1}])"));
    BOOST_REQUIRE(lacking.dropped.size() == 1);
    BOOST_TEST(lacking.dropped[0].reason.find("\"nobody\" is undefined") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(draws_differ_and_repeat) {
    auto ask = asking("{{text}}", {"said"});
    ask.generation.n = 2;
    ask.generation.sampling.temperature = 1;
    const auto seeds_of = [](const llm_block& b, run_options o = {}, std::size_t rounds = 1) {
        std::vector<std::uint64_t> seeds;
        (void)run(pipeline{{"ask", iter_block{b, rounds}}},
                  parse_table(R"([{"text": "x"}, {"text": "x"}, {"text": "y"}])"), saying([&](const text::request& r) {
                      seeds.push_back(r.sampling.seed);
                      return "ok";
                  }),
                  o);
        return seeds;
    };
    const auto seeds = seeds_of(ask, {}, 2);
    BOOST_TEST(seeds.size() == 12u);
    BOOST_TEST((std::set(seeds.begin(), seeds.end()).size() == 12u));
    BOOST_TEST(seeds == seeds_of(ask, {}, 2), boost::test_tools::per_element());
    BOOST_TEST((seeds != seeds_of(ask, {.stream = "another leaf"}, 2)));
    ask.generation.seed = 42;  // the file's own seed: rows with one prompt get one answer
    const auto fixed = seeds_of(ask);
    BOOST_TEST(fixed[0] == 42u);
    BOOST_TEST(fixed[2] == fixed[0]);
    BOOST_TEST(fixed[1] != fixed[0]);
    ask.generation.sampling.temperature = 0;  // greedy: one answer serves for both
    BOOST_TEST(seeds_of(ask).size() == 3u);
}

BOOST_AUTO_TEST_CASE(scaled_and_token_limits) {
    auto ask = asking("{{text}}", {"said"});
    ask.generation.scaled = true;
    ask.generation.sampling.temperature = 1;
    ask.generation.max_tokens = 100;
    for (const char* name : {"gen_knowledge", "other"}) {
        std::size_t asked = 0, tokens = 0;
        const auto made =
            run(pipeline{{name, ask}}, parse_table(R"([{"text": "x"}])"), saying([&](const text::request& r) {
                    tokens = r.max_tokens;
                    return std::to_string(asked++);
                }),
                {.scaled = 5, .max_num_tokens = 7});
        BOOST_TEST(made.rows.size() == 5);
        BOOST_TEST(tokens == (std::string(name) == "other" ? 100u : 7u));
    }
}

BOOST_AUTO_TEST_CASE(several_teachers) {
    auto first = asking("{{text}}", {"one"}), second = asking("{{text}}", {"two"});
    second.generation.model = "granite-7b-lab";
    auto usual = saying([](const text::request&) { return "usual"; }),
         other = saying([](const text::request&) { return "other"; });
    const auto made = run_pipeline(pipeline{{"a", first}, {"b", second}}, parse_table(R"([{"text": "x"}])"),
                                   {&usual, {{"granite-7b-lab", &other}}});
    BOOST_TEST(text_of(made.rows) == "{\"text\":\"x\",\"one\":\"usual\",\"two\":\"other\"}\n");
}

/// Takes no raw prompts, as most servers' chat endpoints.
struct chat_only {
    [[nodiscard]] std::vector<text::completion> complete(std::span<const text::request> requests) const {
        std::vector<text::completion> out;
        for (const auto& r : requests) {
            BOOST_TEST(!r.raw);
            out.push_back({r.messages.at(0).content});
        }
        return out;
    }
    [[nodiscard]] static std::vector<text::score> score(std::span<const text::score_request>) { return {}; }
    [[nodiscard]] static std::string identity() { return "chat only"; }
};

BOOST_AUTO_TEST_CASE(prompts_as_they_are) {
    auto ask = asking("{{text}}", {"said"});
    ask.model_family = "granite";
    const auto rows = parse_table(R"([{"text": "x"}])");
    const auto said = [&](const llm_block& b, const run_options& o) {
        return run(pipeline{{"ask", b}}, rows,
                   saying([](const text::request& r) { return (r.raw ? "raw " : "chat ") + r.messages[0].content; }), o)
            .rows.rows()[0]
            .cells[1]
            .get<std::string>();
    };
    BOOST_TEST(said(ask, {}) == "chat x");
    BOOST_TEST(said(ask, {.form = prompt_form::family}) == "raw <|user|>\nx\n<|assistant|>");
    BOOST_TEST(said(ask, {.form = prompt_form::family, .model_family = "blank"}) == "raw x");
    BOOST_TEST(
        said(ask, {.form = prompt_form::family, .model_family = "mine", .families = {{"mine", "<{{prompt}}>"}}}) ==
        "raw <x>");
    BOOST_CHECK_THROW((void)said(ask, {.form = prompt_form::family, .model_family = "mine"}), config_error);
    ask.model_prompt = "> {{prompt}}";  // the file's own wrapping is kept in either form
    BOOST_TEST(said(ask, {}) == "raw > x");
    const auto fallen_back = run(pipeline{{"ask", ask}}, rows, sdg::any_teacher(chat_only{}));
    BOOST_TEST(text_of(fallen_back.rows) == "{\"text\":\"x\",\"said\":\"x\"}\n");
    BOOST_REQUIRE(fallen_back.report.notes.size() == 1);
    BOOST_TEST(fallen_back.report.notes[0].starts_with("ask: the teacher takes no prompt as it is"));
}

BOOST_AUTO_TEST_CASE(a_block_of_ones_own) {
    const on_disk d;
    BOOST_TEST(d.fault("version: \"1.0\"\nblocks: [{name: cut, type: ShortenBlock, config: {column: text}}]\n")
                   .starts_with("p.yaml:2:28: error: block 'cut': no block has the type 'ShortenBlock' (there are "));
    auto registry = standard_blocks();
    registry.add<shorten>();
    d.write("p.yaml",
            "version: \"1.0\"\nblocks:\n  - name: cut\n    type: ShortenBlock\n    config: {column: text, words: 2}\n");
    const auto p = read_pipeline(d.folder / "p.yaml", registry);
    const auto made = run(p, parse_table(R"([{"text": "one two three"}, {"text": "one"}])"));
    BOOST_TEST(text_of(made.rows) == "{\"text\":\"one two\"}\n");
    BOOST_REQUIRE(made.dropped.size() == 1);
    BOOST_TEST(made.dropped[0].block == "cut");
    d.write("p.yaml",
            "version: \"1.0\"\nblocks:\n  - {name: cut, type: ShortenBlock, config: {column: text, word: 2}}\n");
    BOOST_CHECK_EXCEPTION((void)read_pipeline(d.folder / "p.yaml", registry), pipeline_error, [](const auto& e) {
        return std::string(e.what()).find(
                   "p.yaml:3:60: error: block 'cut': does not know 'word' (it knows column, "
                   "words)") != std::string::npos;
    });
}

BOOST_AUTO_TEST_CASE(faults_have_lines) {
    const on_disk d;
    d.write("prompt.yaml", prompt_yaml);
    d.write("bad_prompt.yaml", "system: s\nintroduction: '{{text'\nprinciples: p\nexamples: e\ngeneration: 3\n");
    d.write("no_section.yaml", "system: s\n");
    const std::string head = "version: \"1.0\"\nblocks:\n";
    const auto llm = [&](const std::string& more) {
        return head +
               "  - name: a\n    type: LLMBlock\n    config:\n      config_path: prompt.yaml\n      output_cols: "
               "[x]\n" +
               more;
    };
    std::string bomb =
        head + "  - {name: a, type: FilterByValueBlock, config: {filter_column: a, filter_value: [&a [x, x]";
    for (char c = 'b'; c < 'z'; ++c) bomb += std::string(", &") + c + " [*" + char(c - 1) + ", *" + char(c - 1) + "]";
    bomb += "], operation: eq}}\n";
    const std::vector<std::pair<std::string, std::string>> cases{
        {llm(""), "valid"},
        {llm("      batch_kwargs: {num_samples: 3, batched: true}\n"), "valid"},
        {"version: 1.0\nblocks: [{name: a, type: RenameColumnsBlock, config: {columns_map: {}}}]\n",
         "p.yaml:1:10: error: pipeline: version takes text, not a decimal number (put it in quotes)"},
        {"blocks: []\n", "p.yaml:1:1: error: pipeline: needs 'version'"},
        {"version: \"2.0\"\nblocks: []\n", "p.yaml:1:10: error: pipeline: version 2.0 is of the future"},
        {"version: \"1\"\nblocks: []\n", "p.yaml:1:10: error: pipeline: version is \"MAJOR.MINOR\""},
        {"version: \"1.0\"\nblock: []\n",
         "p.yaml:1:1: error: pipeline: needs 'blocks'\np.yaml:2:1: error: pipeline: does not know 'block'"},
        {head + "  - {name: a, type: Nonesuch, config: {}}\n",
         "p.yaml:3:21: error: block 'a': no block has the type 'Nonesuch'"},
        {head + "  - {name: a, type: IterBlock}\n", "p.yaml:3:5: error: block 'a': needs 'config'"},
        {head + "  - {type: IterBlock, config: {}}\n", "p.yaml:3:5: error: block 1: needs 'name'"},
        {head + "  - {name: a, type: RenameColumnsBlock, config: {columns_map: {}}, drop_column: [b]}\n",
         "p.yaml:3:68: error: block 'a': does not know 'drop_column'"},
        {head + "  - {name: a, type: IterBlock, config: {num_iters: 0, block_type: IterBlock}}\n",
         "p.yaml:3:52: error: block 'a': num_iters is a whole number from 1 to 100000"},
        {head + "  - {name: a, type: IterBlock, config: {num_iters: 2, block_type: RenameColumnsBlock, columns_map: "
                "{}, x: 1}}\n",
         "p.yaml:3:104: error: block 'a': does not know 'x' (it knows block_type, columns_map, num_iters)"},
        {head +
             "  - {name: a, type: FilterByValueBlock, config: {filter_column: a, filter_value: 1, operation: not_}}\n",
         "p.yaml:3:96: error: block 'a': operation is not 'not_' but one of eq, ne, lt"},
        {head +
             "  - {name: a, type: FilterByValueBlock, config: {filter_column: a, filter_value: {}, operation: eq}}\n",
         "p.yaml:3:82: error: block 'a': filter_value is text, a number"},
        {llm("      gen_kwargs: {n: many}\n"), "p.yaml:8:23: error: block 'a': gen_kwargs: n is a number, or 'scaled'"},
        {llm("      gen_kwargs: {top_p: 0.5}\n"), "p.yaml:8:20: error: block 'a': gen_kwargs: does not know 'top_p'"},
        {llm("      gen_kwargs: {max_tokens: 1.5}\n"),
         "p.yaml:8:32: error: block 'a': gen_kwargs: max_tokens is a whole number"},
        {llm("      gen_kwargs: {extra_body: {best_of: 2}}\n"),
         "p.yaml:8:33: error: block 'a': gen_kwargs: extra_body: does not know 'best_of'"},
        {llm("      model_family: gpt\n"),
         "p.yaml:8:21: error: block 'a': model_family no model family is called 'gpt'"},
        {llm("      model_prompt: '{{prompt'\n"), "p.yaml:8:21: error: block 'a': model_prompt is no Jinja template"},
        {llm("      parser_kwargs: {parser_name: custom}\n"),
         "p.yaml:8:22: error: block 'a': parser_kwargs: parser_name custom needs"},
        {head + "  - {name: a, type: LLMBlock, config: {config_path: bad_prompt.yaml, output_cols: [x]}}\n",
         "bad_prompt.yaml:5:13: error: prompt: generation takes text, not a whole number"},
        {head + "  - {name: a, type: LLMBlock, config: {config_path: no_section.yaml, output_cols: [x]}}\n",
         "no_section.yaml:1:1: error: prompt: needs 'introduction'"},
        {head + "  - {name: a, type: LLMBlock, config: {config_path: nowhere.yaml, output_cols: [x]}}\n",
         "p.yaml:3:53: error: block 'a': nowhere.yaml: cannot open"},
        {head + "  - {name: a, type: ConditionalLLMBlock, config: {config_paths: [[prompt.yaml]], "
                "selector_column_name: s, output_cols: [x]}}\n",
         "p.yaml:3:66: error: block 'a': config_paths: each entry is a file and a value"},
        {head + "  - {name: a, type: SelectorBlock, config: {choice_map: {1: x}, choice_col: a, output_col: b}}\n",
         "p.yaml:3:58: error: block 'a': choice_map takes text, not a whole number"},
        {head + "  - name: [\n", "p.yaml:4:1: error: not valid YAML"},
        {head + "  - {name: a, type: IterBlock, config: {num_iters: 2, block_type: IterBlock}}\n",
         "p.yaml:3:67: error: block 'a': block_type is another block than IterBlock"},
        {bomb, "p.yaml:3:87: error: the value has too many parts"},
        {"# " + std::string(yaml::limits{}.bytes, 'x') + "\n" + llm(""),
         "p.yaml:1:1: error: is larger than 2097152 bytes"},
        {std::string("version: \"1.0\"\nblocks: [\xff]\n"), "p.yaml:2:10: error"},
        {std::string("version: \"1.0\"\nblocks: ") + std::string(200, '[') + std::string(200, ']') + "\n", "p.yaml:2:"},
        {llm("      gen_kwargs: {n: 10001}\n"),
         "p.yaml:8:23: error: block 'a': gen_kwargs: n is a whole number from 1 to 10000"},
        {llm("      gen_kwargs: {temperature: .nan}\n"),
         "p.yaml:8:33: error: block 'a': gen_kwargs: temperature is a number"},
        {llm("      gen_kwargs: {temperature: -1}\n"),
         "p.yaml:8:33: error: block 'a': gen_kwargs: temperature is not below 0"},
        {"- 1\n", "p.yaml:1:1: error: pipeline: is a mapping"},
        {"", "p.yaml:1:1: error: pipeline: is a mapping"},
        {head + "  - {name: a, type: LLMBlock, config: {config_path: /dev/zero, output_cols: [x]}}\n",
         "p.yaml:3:53: error: block 'a': /dev/zero: is not a regular file"},
        {head + "  - {name: a, type: LLMBlock, config: {config_path: ., output_cols: [x]}}\n",
         "p.yaml:3:53: error: block 'a': "},
    };
    for (const auto& [yaml, wanted] : cases) {
        const auto got = d.fault(yaml);
        BOOST_TEST(got.starts_with(wanted), "for\n" << yaml << "got  " << got << "\nwant " << wanted);
    }
    BOOST_CHECK_THROW((void)read_pipeline(d.folder / "none.yaml"), io_error);
}

BOOST_AUTO_TEST_CASE(what_a_pipeline_says_of_itself) {
    const on_disk d;
    d.write("prompt.yaml", std::string(prompt_yaml) + "remark: of no use\n");
    d.write(
        "p.yaml",
        "version: \"1.3\"\nblocks: [{name: a, type: LLMBlock, config: {config_path: ./prompt.yaml, output_cols: [x], "
        "parser_kwargs: {parser_name: other}}}]\ndatamixing: {auxiliary_instructions: {s: [Shorten it.]}}\n");
    const auto p = read_pipeline(d.folder / "p.yaml");
    BOOST_TEST(p.name == d.folder.path().filename().string() + "/p.yaml");
    BOOST_TEST(p.sha256 == sha256_of_file(d.folder / "p.yaml"));
    BOOST_TEST(p.files.at("./prompt.yaml") == sha256_of_file(d.folder / "prompt.yaml"));
    BOOST_TEST(p.auxiliary.at("s").at(0) == "Shorten it.");
    BOOST_REQUIRE(p.warnings.size() == 3);
    BOOST_TEST(p.warnings[0].find("version 1.3 may have features") != std::string::npos);
    BOOST_TEST(p.warnings[1].find("does not know 'remark'") != std::string::npos);
    BOOST_TEST(p.warnings[2].find("'other' is no parser known here") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(rows_from_a_file) {
    const on_disk d;
    d.write("rows.jsonl", "{\"b\": 1, \"a\": {\"z\": 1, \"y\": 2}}\n\n{\"a\": \"é\", \"c\": null}\n{}");
    row_file rows(d.folder / "rows.jsonl");
    BOOST_TEST(rows.size() == 3);
    BOOST_TEST((rows.columns() == std::vector<std::string>{"b", "a", "c"}));
    const auto first = rows.next(2), second = rows.next(2), third = rows.next(2);
    BOOST_TEST(text_of(first) == "{\"b\":1,\"a\":{\"z\":1,\"y\":2},\"c\":null}\n{\"b\":null,\"a\":\"é\",\"c\":null}\n");
    BOOST_TEST(second.size() == 1);
    BOOST_TEST(second.rows()[0].origin == 2);
    BOOST_TEST(third.empty());
    d.write("bad.jsonl", "{\"a\": 1}\n[1]\n");
    BOOST_CHECK_EXCEPTION(row_file(d.folder / "bad.jsonl"), format_error, [](const auto& e) {
        return std::string(e.what()).find("bad.jsonl:2: a row is an object") != std::string::npos;
    });
    d.write("worse.jsonl", "{\"a\": 1}\n{\"a\": }\n");
    BOOST_CHECK_EXCEPTION(row_file(d.folder / "worse.jsonl"), format_error, [](const auto& e) {
        return std::string(e.what()).find("worse.jsonl:2:") != std::string::npos;
    });
}

BOOST_AUTO_TEST_SUITE_END()
