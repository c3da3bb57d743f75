// Generated samples to the two phases: documents found by provenance, the presets' files and numbers, auxiliary
// samples, and the schema that InstructLab's trainer reads.
#include "lab/sdg/mix_phases.hpp"

#include <fstream>
#include <set>

#include "lab/formats/jsonl.hpp"
#include "lab/replay/dataset.hpp"
#include "lab/sdg/mix_manifest.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(sdg_mix_phases)

using namespace lab;
using formats::json;

namespace {

const auto words = [](std::string_view text) { return sdg::loose_words(text).size(); };

/// A knowledge leaf with two documents and a seed, a skill, and samples made from them as the generator writes them.
struct place {
    test::temporary_folder folder;
    std::vector<taxonomy::leaf> leaves;
    sdg::chunk_options chunks{.max_tokens = 24, .overlap_tokens = 0};

    place() {
        taxonomy::leaf bees;
        bees.id = "knowledge->nature->bees";
        bees.kind = taxonomy::root::knowledge;
        bees.documents = {
            {"bees.md",
             "# Bees\n\n## Hive\n\nThe queen of the hive lays about two thousand eggs a day in summer.\n\n## Drones\n\n"
             "Drones have no sting, and the workers drive them out before the frost comes.\n\n## Honey\n\n"
             "Honey is nectar that the workers have thickened and sealed in wax.\n"},
            {"wasps.md",
             "# Wasps\n\n## Nest\n\nWasps chew old wood to build a nest of grey paper under the roof.\n\n## Winter\n\n"
             "Only a young queen lives through the winter, hidden in dry moss.\n"}};
        bees.seeds = {{"A bee sees no red, but it sees ultraviolet light well.",
                       {{"Which colour can a bee not see?", "Red"}},
                       {}}};
        leaves.push_back(std::move(bees));
    }
    [[nodiscard]] json knowledge(const std::string& id, const std::string& q, const std::string& a,
                                 json provenance) const {
        return {{"id", id},
                {"messages", {{{"role", "user"}, {"content", q}}, {{"role", "assistant"}, {"content", a}}}},
                {"metadata", json{{"leaf", "knowledge->nature->bees"},
                                  {"kind", "knowledge"},
                                  {"domain", "nature"},
                                  {"provenance", std::move(provenance)}}
                                 .dump()},
                {"unmask", false}};
    }
    [[nodiscard]] json chunk_of(std::size_t document, const std::string& part) const {
        const auto& d = leaves[0].documents[document];
        for (const auto& c : sdg::chunks_of(d.text, chunks, words))
            if (c.text.find(part) != std::string::npos)
                return {
                    {"document", d.path}, {"span", {c.span.begin, c.span.end}}, {"chunk_sha256", sha256_hex(c.text)}};
        throw std::runtime_error("no chunk has " + part);
    }
    void write(const std::string& name, const std::vector<json>& lines) const {
        std::filesystem::create_directories((folder / name).parent_path());
        std::ofstream out(folder / name, std::ios::binary);
        for (const auto& line : lines) out << line.dump() << "\n";
    }
    void write_samples() const {
        std::vector<json> lines{
            knowledge("q0", "How many eggs does a queen bee lay a day?", "about two thousand",
                      chunk_of(0, "two thousand")),
            knowledge("q1", "What do drones lack?", "sting", chunk_of(0, "Drones")),
            knowledge("q2", "What is honey?", "nectar that the workers have thickened", chunk_of(0, "nectar")),
            knowledge("q3", "What do wasps chew?", "old wood", chunk_of(1, "chew")),
            knowledge("q4", "Which colour can a bee not see?", "Red", {{"seed", {0, 0}}, {"line", 3}})};
        for (int i = 0; i < 4; ++i)
            lines.push_back({{"id", "s" + std::to_string(i)},
                             {"messages",
                              {{{"role", "user"}, {"content", "Say hello " + std::to_string(i)}},
                               {{"role", "assistant"}, {"content", "Hello."}}}},
                             {"metadata", R"({"leaf":"compositional_skills->greet","kind":"compositional"})"},
                             {"unmask", false}});
        write("data/samples.jsonl", lines);
    }
    [[nodiscard]] sdg::prepared_phases prepare(const sdg::phase_options& o, bool with_taxonomy = true) const {
        sdg::document_library library(
            with_taxonomy ? std::span<const taxonomy::leaf>(leaves) : std::span<const taxonomy::leaf>(), chunks, words);
        return sdg::prepare_phases(sdg::generated_files(folder / "data"), folder / "out", library, o);
    }
    [[nodiscard]] std::vector<json> lines(const std::string& name) const {
        return formats::read_jsonl(folder / ("out/" + name));
    }
    [[nodiscard]] std::map<std::string, std::string> all_bytes() const {
        std::map<std::string, std::string> out;
        for (const auto& e : std::filesystem::recursive_directory_iterator(folder / "out"))
            if (e.is_regular_file()) out[e.path().lexically_relative(folder.path()).string()] = read_file(e.path());
        return out;
    }
};

const std::string bees = "node_datasets/knowledge_nature_bees";

std::string user_says(const json& line) {
    for (const auto& m : line["messages"])
        if (m["role"] == "user") return m["content"];
    return {};
}
json metadata(const json& line) { return formats::parse_json(line["metadata"].get<std::string>(), "metadata"); }

/// What instructlab-training's data_process asks of a line.
void check_trainer_schema(const json& line) {
    BOOST_TEST(line.size() == 4u);
    BOOST_TEST(line.at("id").is_string());
    BOOST_TEST(line.at("unmask").is_boolean());
    BOOST_TEST(line.at("metadata").is_string());
    BOOST_TEST(metadata(line).is_object());
    for (const auto& m : line.at("messages")) {
        BOOST_TEST(m.size() == 2u);
        BOOST_TEST((m.at("role") == "system" || m.at("role") == "user" || m.at("role") == "assistant"));
        BOOST_TEST(!m.at("content").get<std::string>().empty());
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(instructlab_s_phases) {
    const place p;
    p.write_samples();
    const auto made = p.prepare(sdg::preset_options(sdg::mix_preset::instructlab));
    BOOST_TEST(made.report.warnings.empty());
    const auto early = p.lines(bees + "_p07.jsonl");
    BOOST_REQUIRE(early.size() == 5u);
    for (const auto& line : early) {
        check_trainer_schema(line);
        BOOST_TEST(line["unmask"] == true);
        BOOST_TEST(metadata(line)["dataset"] == "document_knowledge_qa");
    }
    BOOST_TEST(user_says(early[1]) ==
               "Bees > Drones\n\nDrones have no sting, and the workers drive them out before the frost comes.\n\nWhat "
               "do drones lack?");
    BOOST_TEST(user_says(early[4]) ==
               "A bee sees no red, but it sees ultraviolet light well.\n\nWhich colour can a bee not see?");
    const auto late = p.lines(bees + "_p10.jsonl");
    BOOST_REQUIRE(late.size() == 10u);
    std::set<std::string> ids;
    for (std::size_t i = 0; i < late.size(); ++i) {
        check_trainer_schema(late[i]);
        ids.insert(late[i]["id"].get<std::string>());
        BOOST_TEST(late[i]["unmask"] == (i >= 5));
        if (i >= 5) continue;
        BOOST_TEST(metadata(late[i])["dataset"] == "document_knowledge_qa_raft_p0.4");
        BOOST_TEST(user_says(late[i]).starts_with("Document:\n"));
        const auto cited = metadata(late[i])["mix"]["documents"].size();
        BOOST_TEST(cited == 4u);
    }
    BOOST_TEST(ids.size() == 10u);
    BOOST_TEST((late[5] == early[0]));
    BOOST_TEST(p.lines("node_datasets/compositional_skills_greet.jsonl").size() == 4u);
    // The recipes are InstructLab's: all of the knowledge, thirty of each skill.
    const auto skills = sdg::read_recipe(p.folder / "out/skills_recipe.yaml");
    BOOST_REQUIRE(skills.datasets.size() == 2u);
    BOOST_TEST(skills.datasets[0].path == "node_datasets/compositional_skills_greet.jsonl");
    BOOST_TEST(skills.datasets[0].size.text() == "30");
    BOOST_TEST(skills.datasets[1].size.text() == "1.0");
    const auto mixed = sdg::mix(skills, p.folder / "out/skills_train_msgs.jsonl");
    BOOST_TEST(mixed.samples == 30u + 10u);
    BOOST_TEST(mixed.unmasked == 5u);
    const auto read = replay::read_samples(p.folder / "out/skills_train_msgs.jsonl");
    std::size_t knowledge = 0;
    for (const auto& s : read) knowledge += s.kind == replay::sample_kind::knowledge;
    BOOST_TEST(knowledge == 10u);
    BOOST_TEST(read.size() == 40u);
}

BOOST_AUTO_TEST_CASE(hard_documents_and_their_provenance) {
    const place p;
    p.write_samples();
    auto o = sdg::preset_options(sdg::mix_preset::raft);
    o.raft.golden = 1;
    o.raft.documents = 3;
    const auto made = p.prepare(o);
    const auto& leaf = made.report.leaves[1];
    BOOST_TEST(leaf.leaf == "knowledge->nature->bees");
    BOOST_TEST(leaf.with_document == 5u);
    BOOST_TEST(leaf.golden_shown == 5u);
    BOOST_TEST(leaf.distractors == 10u);
    BOOST_TEST(leaf.passages == 6u);  // five chunks and the seed's context
    for (const auto& line : p.lines(bees + "_p10.jsonl")) {
        const auto mix = metadata(line)["mix"];
        if (mix["variant"] != "raft") continue;
        BOOST_REQUIRE(mix["documents"].size() == 3u);
        // Each citation leads to the text that is shown, in the order shown.
        std::size_t from = 0;
        for (const auto& cited : mix["documents"]) {
            std::string text = p.leaves[0].seeds[0].context;
            for (const auto& d : p.leaves[0].documents)
                if (cited.contains("document") && d.path == cited["document"])
                    text = d.text.substr(cited["span"][0],
                                         cited["span"][1].get<std::size_t>() - cited["span"][0].get<std::size_t>());
            BOOST_TEST(sha256_hex(text) == cited["sha256"].get<std::string>());
            const auto at = user_says(line).find(text, from);
            BOOST_REQUIRE(at != std::string::npos);
            from = at + text.size();
        }
        const auto golden = mix["documents"][mix["golden"].get<std::size_t>()];
        if (mix["source"] == "q3") BOOST_TEST(golden["document"] == "wasps.md");
        const std::string answer = line["messages"].back()["content"];
        std::size_t answering = 0;
        for (auto at = user_says(line).find(answer); at != std::string::npos; at = user_says(line).find(answer, at + 1))
            ++answering;
        if (mix["source"] != "q4") BOOST_TEST(answering == 1u);  // only the golden document says it
    }
    const auto before = p.all_bytes();
    (void)p.prepare(o);
    BOOST_TEST((p.all_bytes() == before));
    o.raft.seed = 9;
    (void)p.prepare(o);
    BOOST_TEST((p.all_bytes() != before));
}

BOOST_AUTO_TEST_CASE(plain_leaves_samples_as_they_are) {
    const place p;
    p.write_samples();
    const auto made = p.prepare(sdg::preset_options(sdg::mix_preset::plain), false);
    const auto early = p.lines(bees + "_p07.jsonl");
    BOOST_REQUIRE(early.size() == 5u);
    BOOST_TEST(user_says(early[0]) == "How many eggs does a queen bee lay a day?");
    BOOST_TEST(early[0]["unmask"] == false);
    BOOST_TEST(early[0]["id"] == "q0");
    BOOST_TEST((p.lines(bees + "_p10.jsonl") == early));
    BOOST_TEST(made.skills.datasets[0].size.text() == "1.0");
}

BOOST_AUTO_TEST_CASE(documents_that_are_not_found) {
    const place p;
    auto changed = p.chunk_of(0, "Drones");
    changed["chunk_sha256"] = std::string(64, '0');
    auto beyond = p.chunk_of(0, "Drones");
    beyond["span"] = {5, 1'000'000};
    auto gone = p.chunk_of(0, "Drones");
    gone["document"] = "gone.md";
    p.write("data/samples.jsonl", {p.knowledge("a", "What do drones lack?", "sting", p.chunk_of(0, "Drones")),
                                   p.knowledge("b", "B?", "b", changed), p.knowledge("c", "C?", "c", beyond),
                                   p.knowledge("d", "D?", "d", gone), p.knowledge("e", "E?", "e", {{"seed", {7, 0}}}),
                                   p.knowledge("f", "F?", "f", {{"span", "x"}})});
    const auto made = p.prepare(sdg::preset_options(sdg::mix_preset::raft));
    const auto& leaf = made.report.leaves.at(0);
    BOOST_TEST(leaf.with_document == 1u);
    std::size_t without = 0;
    for (const auto& [why, n] : leaf.without_document) without += n.count;
    BOOST_TEST(without == 5u);
    BOOST_TEST(leaf.without_document.at("the document 'bees.md' has changed since the sample was made").count == 2u);
    BOOST_TEST(leaf.without_document.at("the leaf has no document 'gone.md'").places[0] == "samples.jsonl:4");
    for (const auto& line : p.lines(bees + "_p10.jsonl")) check_trainer_schema(line);
    BOOST_TEST(user_says(p.lines(bees + "_p07.jsonl")[1]) == "B?");
    try {
        (void)p.prepare(sdg::preset_options(sdg::mix_preset::raft), false);
        BOOST_TEST(false, "documents without a taxonomy");
    } catch (const config_error& fault) {
        BOOST_TEST(
            std::string(fault.what()).find("none of 6 knowledge samples finds its document") != std::string::npos,
            fault.what());
    }
}

BOOST_AUTO_TEST_CASE(cut_by_another_tokenizer) {
    place p;
    p.write_samples();
    p.chunks = {.max_tokens = 9, .overlap_tokens = 0};  // today's chunks are smaller than the samples' were
    const auto made = p.prepare(sdg::preset_options(sdg::mix_preset::raft));
    const auto& leaf = made.report.leaves.at(1);
    BOOST_TEST(leaf.with_document == 5u);
    BOOST_TEST(user_says(p.lines(bees + "_p07.jsonl")[1]).starts_with("Bees > Drones\n\nDrones have"));
    // Golden chunks, and what overlaps none of them: the section on winter.
    BOOST_TEST(leaf.passages > 5u);
    for (const auto& line : p.lines(bees + "_p10.jsonl")) {
        const auto documents = metadata(line)["mix"]["documents"];
        for (std::size_t i = 0; i < documents.size(); ++i)
            for (std::size_t k = i + 1; k < documents.size(); ++k)
                if (documents[i].contains("span") && documents[k].contains("span") &&
                    documents[i]["document"] == documents[k]["document"])
                    BOOST_TEST((documents[i]["span"][1] <= documents[k]["span"][0] ||
                                documents[k]["span"][1] <= documents[i]["span"][0]));
    }
}

BOOST_AUTO_TEST_CASE(rows_of_instructlab_s_pipeline_and_auxiliary_samples) {
    const place p;
    const auto row = [](const std::string& document, const std::string& type, const std::string& q) {
        return json{{"document", document},
                    {"raw_document", "teh raw text"},
                    {"dataset_type", type},
                    {"document_outline", "o"},
                    {"domain", "d"},
                    {"question", q},
                    {"response", "R."},
                    {"leaf_node_path", "knowledge_x"},
                    {"leaf_node_type", "knowledge"},
                    {"icl_query_1", "long"}};
    };
    p.write("data/knowledge_x.jsonl",
            {row("teh raw text", "base_document", "A?"), row("the raw text", "spellcheck", "B?"),
             row("the raw text", "spellcheck", "C?"), row("facts", "unheard_of", "D?")});
    p.write("data/rejected.jsonl", {json{{"not", "read"}}});
    const auto made = p.prepare(sdg::preset_options(sdg::mix_preset::instructlab), false);
    const auto& leaf = made.report.leaves.at(0);
    BOOST_TEST(leaf.with_document == 4u);
    BOOST_TEST(leaf.auxiliary == 1u);
    BOOST_REQUIRE(made.report.warnings.size() == 1u);
    BOOST_TEST(made.report.warnings[0].find("no instruction is known for 1 texts of the kind 'unheard_of'") !=
               std::string::npos);
    const auto early = p.lines("node_datasets/knowledge_x_p07.jsonl");
    BOOST_REQUIRE(early.size() == 5u);
    BOOST_TEST(user_says(early[1]) == "the raw text\n\nB?");
    const auto kept = metadata(early[1]);
    BOOST_TEST(kept["sdg_document"] == "the raw text");
    BOOST_TEST(!kept.contains("icl_query_1"));
    BOOST_TEST(kept["raw_document"] == "teh raw text");
    const auto& auxiliary = early[4];
    check_trainer_schema(auxiliary);
    BOOST_TEST(auxiliary["unmask"] == true);
    BOOST_TEST(user_says(auxiliary).starts_with("teh raw text\n\n"));
    BOOST_TEST(auxiliary["messages"][1]["content"] == "the raw text");
    BOOST_TEST(metadata(auxiliary)["dataset"] == "document_spellcheck");
    const auto late = p.lines("node_datasets/knowledge_x_p10.jsonl");
    BOOST_REQUIRE(late.size() == 9u);  // four with documents, four to be learnt whole, one auxiliary
    BOOST_TEST(late[8]["unmask"] == false);
    BOOST_TEST(metadata(late[0])["mix"]["documents"].size() == 3u);  // three texts in all
}

BOOST_AUTO_TEST_CASE(instructions_from_a_pipeline_s_file) {
    const place p;
    std::ofstream(p.folder / "p.yaml")
        << "version: '1.0'\nblocks: []\ndatamixing:\n  auxiliary_instructions:\n    spellcheck:\n"
           "      - Mend it.\n      - Mend it all.\n";
    const auto read = sdg::read_auxiliary_instructions(p.folder / "p.yaml");
    BOOST_TEST(read.at("spellcheck") == (std::vector<std::string>{"Mend it.", "Mend it all."}));
    std::ofstream(p.folder / "bad.yaml") << "spellcheck: text\n";
    BOOST_CHECK_THROW((void)sdg::read_auxiliary_instructions(p.folder / "bad.yaml"), format_error);
}

BOOST_AUTO_TEST_CASE(precomputed_skills_and_the_three_per_cent) {
    const place p;
    p.write_samples();
    std::vector<json> many;
    for (int i = 0; i < 1000; ++i)
        many.push_back(
            {{"id", "pre" + std::to_string(i)},
             {"messages", {{{"role", "user"}, {"content", "P"}}, {{"role", "assistant"}, {"content", "R"}}}}});
    p.write("more/pre.jsonl", many);
    auto o = sdg::preset_options(sdg::mix_preset::instructlab);
    o.more_skills = {{(p.folder / "more/pre.jsonl").string(), sdg::sampling_size::of_count(800), {}, false}};
    o.system_prompt = "S";
    const auto made = p.prepare(o);
    const auto recipe = sdg::read_recipe(p.folder / "out/skills_recipe.yaml");
    BOOST_REQUIRE(recipe.datasets.size() == 3u);
    BOOST_TEST(recipe.datasets[0].path == "../more/pre.jsonl");
    BOOST_TEST(recipe.datasets[2].size.text() == "24");  // 3 % of 800; the leaf has 10
    BOOST_TEST(recipe.system_prompt.value() == "S");
    BOOST_TEST(sdg::mix(made.skills, p.folder / "out/s.jsonl").samples == 800u + 30u + 24u);
    BOOST_TEST(sdg::mix(made.skills, p.folder / "out/s.jsonl").parts[0].outside == false);
}

BOOST_AUTO_TEST_CASE(names_of_leaves_make_safe_file_names) {
    std::set<std::string> used;
    using sdg::mix_detail::node_name;
    BOOST_TEST(node_name("knowledge->a->b", used) == "knowledge_a_b");
    const auto twin = node_name("knowledge->a_b", used);
    BOOST_TEST(twin.starts_with("knowledge_a_b_"));
    for (const char* hostile : {"../../etc/passwd", "..", ".hidden", "a\nb", "sp ace", "\xc3\xa4", ""}) {
        const auto name = node_name(hostile, used);
        BOOST_TEST(!name.empty());
        BOOST_TEST(name[0] != '.');
        BOOST_TEST(name.find_first_of("/\n ") == std::string::npos);
    }
    BOOST_TEST(node_name(std::string(5000, 'x'), used).size() < 200u);
}

BOOST_AUTO_TEST_CASE(the_manifest_adds_up) {
    const place p;
    p.write_samples();
    const auto made = p.prepare(sdg::preset_options(sdg::mix_preset::raft));
    const auto report = sdg::mix(made.skills, p.folder / "out/s.jsonl", {.budgets = {{"", "knowledge", 300}}});
    const auto m = sdg::mix_manifest(0, "x", {}, sdg::to_json(made.report), {sdg::to_json(report, "s.jsonl")});
    const auto& file = m["files"][0];
    std::uint64_t parts = 0, leaves = 0, tokens = 0;
    for (const auto& part : file["parts"]) {
        parts += part["taken"].get<std::uint64_t>();
        BOOST_TEST(part["asked"] == part["taken"].get<std::uint64_t>() + part["over_budget"].get<std::uint64_t>() +
                                        part["repeats_refused"].get<std::uint64_t>());
        BOOST_TEST(part["sha256"] == sha256_of_file(p.folder / ("out/" + part["path"].get<std::string>())));
    }
    for (const auto& leaf : file["leaves"])
        leaves += leaf["samples"].get<std::uint64_t>(), tokens += leaf["tokens"].get<std::uint64_t>();
    BOOST_TEST(file["samples"] == parts);
    BOOST_TEST(file["samples"] == leaves);
    BOOST_TEST(file["tokens"] == tokens);
    BOOST_TEST(file["budgets"][0]["tokens"].get<std::uint64_t>() <= 300u);
    BOOST_TEST(file["sha256"] == sha256_of_file(p.folder / "out/s.jsonl"));
    BOOST_TEST(m.dump().find(p.folder.path().string()) == std::string::npos);  // no absolute path
}

BOOST_AUTO_TEST_SUITE_END()
