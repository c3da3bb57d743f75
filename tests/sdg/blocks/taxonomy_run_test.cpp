// Leaves as rows, rows as samples, and a taxonomy through pipelines with a scripted teacher.
#include "lab/sdg/blocks/taxonomy_run.hpp"

#include <fstream>

#include "lab/sdg/generate.hpp"
#include "lab/sdg/journaled.hpp"
#include "lab/sdg/output.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(sdg_blocks_taxonomy)

using namespace lab;
using namespace lab::sdg::blocks;
using formats::json;

namespace {

const auto count = [](std::string_view text) { return sdg::estimated_tokens(text); };

taxonomy::leaf knowledge_leaf() {
    taxonomy::leaf l;
    l.id = "knowledge->travel->pellamy_ferries";
    l.kind = taxonomy::root::knowledge;
    l.domain = "travel";
    l.document_outline = "Ferries of Pellamy";
    for (int s = 0; s < 2; ++s) {
        taxonomy::seed seed{"Ferry " + std::to_string(s) + " is blue.", {}, {static_cast<std::size_t>(10 + s), 1}};
        for (int q = 0; q < 3; ++q)
            seed.questions_and_answers.push_back({"Question " + std::to_string(q) + "?", "Blue."});
        l.seeds.push_back(seed);
    }
    l.documents = {
        {"ferries.md", "# Ferries\n\nThe ferry leaves at 07:30.\n\n# Tickets\n\nA ticket costs 8 crowns.\n"}};
    return l;
}
taxonomy::leaf skill_leaf(bool grounded) {
    taxonomy::leaf l;
    l.id = std::string("compositional_skills->writing->") + (grounded ? "grounded" : "freeform");
    l.kind = taxonomy::root::compositional;
    l.grounded = grounded;
    l.task_description = "Rhyme.";
    for (int s = 0; s < 2; ++s)
        l.seeds.push_back({grounded ? "Text " + std::to_string(s) : "",
                           {{"Rhyme on " + std::to_string(s), "Fun."}},
                           {static_cast<std::size_t>(5 + s), 1}});
    return l;
}
std::vector<std::string> ids(const std::vector<sdg::candidate>& list, const char* origin) {
    std::vector<std::string> out;
    for (const auto& c : list)
        if (c.origin == origin) out.push_back(c.question + " | " + c.answer);
    return out;
}

struct folder_of_pipelines {
    test::temporary_folder folder;
    folder_of_pipelines() {
        write("freeform_skills.yaml",
              "version: \"1.0\"\nblocks:\n  - name: gen\n    type: LLMBlock\n    config: {config_path: skill.yaml, "
              "output_cols: [output], gen_kwargs: {temperature: 0.7, n: scaled}}\n    drop_duplicates: [output]\n");
        write("knowledge.yaml",
              "version: \"1.0\"\nblocks:\n"
              "  - {name: keep, type: DuplicateColumnsBlock, config: {columns_map: {document: base_document}}}\n"
              "  - {name: sum, type: LLMBlock, config: {config_path: sum.yaml, output_cols: [summary]}}\n"
              "  - {name: flat, type: FlattenColumnsBlock, config: {var_cols: [summary, base_document], value_name: "
              "view, "
              "var_name: dataset_type}}\n"
              "  - {name: swap, type: RenameColumnsBlock, config: {columns_map: {document: raw_document, view: "
              "document}}}\n"
              "  - {name: ask, type: LLMBlock, config: {config_path: ask.yaml, output_cols: [question, response]}}\n"
              "  - {name: judge, type: FilterByValueBlock, config: {filter_column: response, filter_value: nope, "
              "operation: "
              "ne}, drop_columns: [icl_document]}\n"
              "datamixing: {auxiliary_instructions: {summary: [Shorten it., Say it in brief.]}}\n");
        write("skill.yaml",
              "system: s\nintroduction: ''\nprinciples: ''\nexamples: ''\ngeneration: "
              "'{{seed_question}}'\nstart_tags: ['']\nend_tags: ['']\n");
        write("sum.yaml",
              "system: Shorten\nintroduction: ''\nprinciples: ''\nexamples: ''\ngeneration: "
              "'{{document}}'\nstart_tags: ['']\nend_tags: ['']\n");
        write("ask.yaml",
              "system: Ask\nintroduction: ''\nprinciples: ''\nexamples: ''\ngeneration: "
              "'{{document}} {{icl_query_1}}'\nstart_tags: ['<q>', '<a>']\nend_tags: ['</q>', '</a>']\n");
    }
    void write(const std::string& name, const std::string& content) const { std::ofstream(folder / name) << content; }
};

text::completion say(const text::request& r) {
    const auto& p = r.messages.at(0).content;
    if (p.starts_with("Shorten")) return {"In short."};
    if (p.starts_with("Ask"))
        return {p.find("In short.") != p.npos
                    ? "<q>Short?</q><a>Yes.</a>"
                    : "<q>Long " + std::to_string(p.size()) + "?</q><a>Indeed.</a><q></q><a>x</a>"};
    const auto n = r.sampling.seed % 4;
    return {n == 0 ? "no question mark" : "Rhyme " + std::to_string(n) + "? Sun."};
}

}  // namespace

BOOST_AUTO_TEST_CASE(rows_of_a_leaf) {
    const auto knowledge = rows_of(knowledge_leaf(), {.max_tokens = 500, .overlap_tokens = 0}, count);
    BOOST_REQUIRE(knowledge.rows.size() == 4);  // two sections, two seeds
    const std::vector<std::string> columns{"document",       "icl_document", "document_outline", "domain",
                                           "leaf_node_type", "icl_query_1",  "icl_response_1",   "icl_query_2",
                                           "icl_response_2", "icl_query_3",  "icl_response_3",   "leaf_node_path"};
    BOOST_TEST(knowledge.rows.columns() == columns, boost::test_tools::per_element());
    const auto& r = knowledge.rows.rows()[1];
    BOOST_TEST(knowledge.rows.value(r, "icl_document") == "Ferry 1 is blue.");
    BOOST_TEST(knowledge.rows.value(r, "leaf_node_path") == "knowledge_travel_pellamy_ferries");
    BOOST_TEST(knowledge.rows.value(r, "document").get<std::string>().find("07:30") != std::string::npos);
    BOOST_TEST(knowledge.sources[1].at("document") == "ferries.md");
    BOOST_TEST(knowledge.sources[1].at("seed") == 1);
    const auto skill = rows_of(skill_leaf(true), {}, count);
    BOOST_TEST(skill.rows.line(skill.rows.rows()[0]) ==
               "{\"task_description\":\"Rhyme.\",\"seed_context\":\"Text 0\",\"seed_question\":\"Rhyme on 0\","
               "\"seed_response\":\"Fun.\",\"leaf_node_type\":\"grounded_skill\","
               "\"leaf_node_path\":\"compositional_skills_writing_grounded\"}\n");
    const auto free = rows_of(skill_leaf(false), {}, count);
    BOOST_TEST(!free.rows.find("seed_context"));
    BOOST_TEST(free.rows.value(free.rows.rows()[0], "leaf_node_type") == "freeform_skill");
}

BOOST_AUTO_TEST_CASE(a_taxonomy_through_pipelines) {
    const folder_of_pipelines d;
    const auto pipelines = read_pipelines(d.folder.path());
    std::vector<taxonomy::leaf> leaves{knowledge_leaf(), skill_leaf(false), skill_leaf(true), knowledge_leaf()};
    leaves[3].id = "knowledge->travel->nothing_written";
    leaves[3].documents.clear();
    taxonomy_options options;
    options.run.scaled = 6;
    const auto go = [&](sdg::any_teacher& teacher) {
        return generate_by_pipelines(leaves, pipelines, {&teacher, {}}, options, count);
    };
    sdg::any_teacher teacher{sdg::scripted_teacher(say)};
    const auto made = go(teacher);
    BOOST_REQUIRE(made.run.leaves.size() == 4);

    const auto& knowledge = made.run.leaves[0];
    BOOST_TEST(knowledge.seeds == 3);  // of six the seeds' contexts share three
    const auto kept = ids(knowledge.kept, "pipeline");
    BOOST_TEST(kept.size() == 3u);  // "Short?" once, one of each section
    BOOST_TEST(kept[0] == "Short? | Yes.");
    const auto auxiliary = ids(knowledge.kept, "auxiliary");
    BOOST_REQUIRE(auxiliary.size() == 1);
    BOOST_TEST(auxiliary[0].ends_with(" | In short."));
    std::map<std::string, std::size_t> why;
    for (const auto& c : knowledge.refused) ++why[c.refused_by + ": " + c.reason];
    BOOST_TEST(why["sample: the question is empty"] == 4);
    BOOST_TEST(why["sample: the same question and answer are there already"] == 5);
    const json sample = sdg::sample_json(leaves[0], knowledge.kept[knowledge.seeds], "t");
    const json provenance = json::parse(sample["metadata"].get<std::string>())["provenance"];
    BOOST_TEST(provenance["block"] == "ask");
    BOOST_TEST(provenance["pipeline"] == d.folder.path().filename().string() + "/knowledge.yaml");
    BOOST_TEST(provenance["pipeline_sha256"] == sha256_of_file(d.folder / "knowledge.yaml"));
    BOOST_TEST(provenance["columns"]["dataset_type"] == "summary");
    BOOST_TEST(provenance["document"] == "ferries.md");
    BOOST_TEST(!provenance["columns"].contains("raw_document"));  // the seed row's document

    const auto& freeform = made.run.leaves[1];
    BOOST_TEST(freeform.kept.size() == freeform.seeds + ids(freeform.kept, "pipeline").size());
    for (const auto& c : freeform.kept)
        if (c.origin == "pipeline") BOOST_TEST(c.answer == "Sun.");
    bool unmarked = false, duplicate = false;
    for (const auto& c : freeform.refused) {
        unmarked |= c.reason == "the output has no question mark to cut it at";
        duplicate |= c.refused_by == "gen" && c.provenance["kind"] == "duplicate";
    }
    BOOST_TEST(unmarked);
    BOOST_TEST(duplicate);
    BOOST_TEST(made.run.leaves[2].shortfall == "there is no pipeline for leaves of the kind grounded_skill");
    BOOST_TEST(made.run.leaves[3].shortfall.find("no document") != std::string::npos);
    BOOST_TEST(made.reports.size() == 2u);

    // The same again from a journal, without a question to the teacher; and the files that come of it.
    const test::temporary_folder out;
    for (const bool alive : {true, false}) {
        sdg::journal journal(out / "journal.jsonl");
        sdg::any_teacher behind{sdg::scripted_teacher([&](const text::request& r) {
            BOOST_TEST(alive);
            return say(r);
        })};
        sdg::any_teacher asked(sdg::journaled(behind, journal));
        const auto again = go(asked);
        const auto manifest = sdg::write_run(out / (alive ? "a" : "b"), again.run, {}, "", {},
                                             {{"pipeline", again.to_json(pipelines, options)}});
        BOOST_TEST(manifest["pipeline"]["pipelines"]["knowledge"]["sha256"] ==
                   sha256_of_file(d.folder / "knowledge.yaml"));
        BOOST_TEST(manifest["pipeline"]["leaves"][leaves[0].id].size() == 6);
    }
    for (const char* file : {"samples.jsonl", "rejected.jsonl", "manifest.json"})
        BOOST_TEST(read_file(out / ("a/" + std::string(file))) == read_file(out / ("b/" + std::string(file))));
}

BOOST_AUTO_TEST_CASE(samples_keep_clear_of_the_sets_to_avoid) {
    const folder_of_pipelines d;
    const auto pipelines = read_pipelines(d.folder.path());
    const std::vector<taxonomy::leaf> leaves{knowledge_leaf()};
    taxonomy_options options;
    options.avoid = std::make_shared<const sdg::contamination_index>(
        std::vector{sdg::evaluation_set{.name = "exam", .items = {{"1", "Short?", ""}, {"2", "Question 1?", ""}}}});
    sdg::any_teacher teacher{sdg::scripted_teacher(say)};
    const auto made = generate_by_pipelines(leaves, pipelines, {&teacher, {}}, options, count);
    const auto& leaf = made.run.leaves[0];
    BOOST_TEST(leaf.seeds == 2u);
    BOOST_TEST(ids(leaf.kept, "pipeline").size() == 2u);
    std::size_t refused = 0;
    for (const auto& c : leaf.refused)
        if (c.refused_by == "contamination") {
            ++refused;
            BOOST_TEST((c.question == "Short?" || c.question == "Question 1?"));
        }
    BOOST_TEST(refused == 2u);
}

BOOST_AUTO_TEST_CASE(one_bad_leaf_ends_no_run) {
    const folder_of_pipelines d;
    d.write("any.yaml",
            "version: \"1.0\"\nblocks:\n  - {name: f, type: FilterByValueBlock, config: {filter_column: domain, "
            "filter_value: x, operation: ne}}\n");
    const auto pipelines = read_pipelines(d.folder / "any.yaml");
    const std::vector<taxonomy::leaf> leaves{skill_leaf(false), knowledge_leaf()};
    sdg::any_teacher teacher{sdg::scripted_teacher(say)};
    const auto made = generate_by_pipelines(leaves, pipelines, {&teacher, {}}, {}, count);
    BOOST_TEST(made.run.leaves[0].shortfall.find("block 'f' (FilterByValueBlock): the rows have no column 'domain'") !=
               std::string::npos);
    BOOST_TEST(made.run.leaves[0].kept.size() == 2);  // its seeds
    BOOST_TEST(made.run.leaves[1].shortfall == "the pipeline kept no row; 4 were dropped by 'sample'");
    const auto only = read_pipelines(d.folder / "knowledge.yaml");
    BOOST_TEST(only.by_type.size() == 1u);
    const test::temporary_folder empty;
    BOOST_CHECK_THROW((void)read_pipelines(empty.path()), config_error);
}

BOOST_AUTO_TEST_CASE(stopping) {
    const folder_of_pipelines d;
    const auto pipelines = read_pipelines(d.folder.path());
    const std::vector<taxonomy::leaf> leaves{knowledge_leaf()};
    sdg::any_teacher teacher{sdg::scripted_teacher(say)};
    BOOST_CHECK_THROW((void)generate_by_pipelines(leaves, pipelines, {&teacher, {}}, {}, count,
                                                  [](const sdg::run_progress&) { return false; }),
                      sdg::interrupted);
}

BOOST_AUTO_TEST_SUITE_END()
