// The whole run with a scripted teacher: what is kept, why things are refused, that nothing depends on interruptions.
#include "lab/sdg/output.hpp"

#include <fstream>
#include <set>

#include "lab/sdg/context_check.hpp"
#include "lab/sdg/fact_table.hpp"
#include "lab/sdg/generate.hpp"
#include "lab/sdg/journaled.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(generation)

using namespace lab;
using formats::json;

namespace {

const auto count = [](std::string_view text) { return sdg::estimated_tokens(text); };

std::uint64_t fingerprint(const text::messages& m) {
    std::uint64_t h = 1;
    for (const auto& x : m) h = hash64(x.content, hash64(x.role, h));
    return h;
}

/// Likelihood as a good reader has it: an answer that stands in what was just said is likely, more so near the
/// question's words.
double likely(const text::messages& m, const std::string& answer) {
    const std::string& last = m.back().content;
    const auto at = last.find(answer);
    if (at == last.npos) return -20.0;
    double shared = 0;
    const auto question = sdg::content_set(last.substr(last.rfind('\n') == last.npos ? 0 : last.rfind('\n')));
    for (const auto& s : sdg::sentences_of(last))
        if (s.of(last).find(answer) != std::string_view::npos)
            for (const auto& stem : sdg::content_set(s.of(last))) shared += question.contains(stem);
    return -6.0 + shared;
}

/// Reads well, judges badly (always YES, always 2), invents plain words, and writes one odd question.
struct reader {
    std::size_t calls = 0, die_after = static_cast<std::size_t>(-1);
    void complete_each(std::span<const text::request> requests, sdg::completion_sink sink) {
        for (std::size_t i = 0; i < requests.size(); ++i) {
            if (calls == die_after) throw io_error("the teacher is gone");
            ++calls;
            sink(i, answer(requests[i]));
        }
    }
    std::vector<text::completion> complete(std::span<const text::request> requests) {
        std::vector<text::completion> all(requests.size());
        complete_each(requests, [&](std::size_t i, const text::completion& c) { all[i] = c; });
        return all;
    }
    std::vector<text::score> score(std::span<const text::score_request> requests) {
        std::vector<text::score> all;
        for (const auto& r : requests) {
            if (calls == die_after) throw io_error("the teacher is gone");
            ++calls;
            all.push_back({likely(r.messages, r.answer), 4});
        }
        return all;
    }
    std::string identity() const { return "reader"; }

private:
    static text::completion answer(const text::request& r) {
        text::completion c;
        if (!r.constraint.choices.empty()) {
            const auto& list = r.constraint.choices;
            double sum = 0;
            for (const auto& choice : list)
                sum += c.choice_probabilities.emplace_back(
                    std::exp(list[0] == "YES" || list[0] == "1" ? 0.0 : likely(r.messages, choice)));
            for (double& p : c.choice_probabilities) p /= sum;
            c.text = list[static_cast<std::size_t>(
                std::max_element(c.choice_probabilities.begin(), c.choice_probabilities.end()) -
                c.choice_probabilities.begin())];
            return c;
        }
        constexpr std::array<const char*, 12> words{"boat",  "moon", "chair", "apple", "bread", "river",
                                                    "table", "lamp", "stone", "cloud", "Marl",  "a red boat"};
        counter_rng rng(fingerprint(r.messages), r.sampling.seed);
        c.text = r.assistant_prefix.empty() ? words[rng.below(words.size())] : " zebra lives on the moon?";
        return c;
    }
};

/// A taxonomy of one knowledge leaf and two skills, one with a copying rule.
std::vector<taxonomy::leaf> small_taxonomy() {
    taxonomy::leaf island;
    island.id = "knowledge->island";
    island.kind = taxonomy::root::knowledge;
    island.domain = "The island of Marl";
    for (const auto& [context, pairs] : std::vector<std::pair<std::string, std::vector<taxonomy::qa>>>{
             {"The harbour of Marl is called Port Finch. It has two piers.",
              {{"What is the harbour of Marl called?", "Port Finch"},
               {"How many piers does the harbour of Marl have?", "two"}}},
             {"The mayor of Marl is Ada Brook. She lives in the mill.",
              {{"Who is the mayor of Marl?", "Ada Brook"}, {"Where does the mayor of Marl live?", "in the mill"}}},
             {"The bread of Marl is made of oats. The bakers sing on Friday.",
              {{"What is the bread of Marl made of?", "oats"}, {"When do the bakers of Marl sing?", "on Friday"}}},
             {"The school of Marl is painted green. Its bell is silver.",
              {{"Which colour has the school of Marl?", "green"},
               {"What is the bell of the school of Marl made of?", "silver"}}}})
        island.seeds.push_back({context, pairs, {}});
    island.documents = {{"guide.md",
                         "# Marl\n\n## Sights\n\nThe lighthouse is called Tall Tom. The roof of the inn is made of "
                         "slate.\nThe square has seven trees. The river was named by Otto Lind.\n\n"
                         "## Post\n\nLetters are kept in a blue box. Write to post@marl.example for stamps.\n"}};
    taxonomy::leaf turn;
    turn.id = "foundational_skills->turn";
    turn.kind = taxonomy::root::foundational;
    turn.task_description = "Turn the words around.";
    for (const auto& [q, a] : std::vector<std::pair<const char*, const char*>>{{"Turn around: sun sea", "sea sun"},
                                                                               {"Turn around: cup egg", "egg cup"},
                                                                               {"Turn around: hat fog", "fog hat"}})
        turn.seeds.push_back({"", {{q, a}}, {}});
    taxonomy::leaf rhyme;
    rhyme.id = "compositional_skills->poem";
    rhyme.kind = taxonomy::root::compositional;
    rhyme.task_description = "Write a poem.";
    for (const auto& [q, a] :
         std::vector<std::pair<const char*, const char*>>{{"A poem on rain, please", "Drip, drop."},
                                                          {"Something on cats", "Purr all day."},
                                                          {"One about snow", "White and slow."}})
        rhyme.seeds.push_back({"", {{q, a}}, {}});
    return {island, turn, rhyme};
}

sdg::run_result run_with(reader& r, const std::vector<taxonomy::leaf>& leaves, const std::filesystem::path& log,
                         sdg::pipeline_options options = {.samples_per_leaf = 6}) {
    sdg::journal journal(log);
    sdg::any_teacher teacher(sdg::journaled(r, journal));
    return sdg::generate(leaves, teacher, options, count);
}

std::map<std::string, std::string> files_in(const std::filesystem::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        files[entry.path().filename().string()] = read_file(entry.path());
    return files;
}

}  // namespace

BOOST_AUTO_TEST_CASE(good_samples_are_kept_and_the_rest_says_why) {
    const test::temporary_folder folder;
    reader r;
    const auto leaves = small_taxonomy();
    const auto run = run_with(r, leaves, folder / "journal.jsonl");
    // Judges that cannot tell right from wrong are found out; those that can are obeyed.
    BOOST_TEST(!run.judges.at("says_grounded").trusted);
    BOOST_TEST(!run.judges.at("mark").trusted);
    BOOST_TEST(run.judges.at("gain").trusted);

    const auto& island = run.leaves[0];
    BOOST_TEST(island.seeds == 8u);
    BOOST_TEST(island.kept.size() - island.seeds == 6u);
    BOOST_TEST(island.shortfall.empty());
    std::map<std::string, std::string> asked;
    for (const auto& c : island.kept) asked[c.question] = c.answer;
    BOOST_TEST(asked["What is the lighthouse of Marl called?"] == "Tall Tom");
    for (const auto& c : island.refused) {
        BOOST_TEST(!c.refused_by.empty());
        BOOST_TEST(!c.reason.empty());
    }
    for (const auto& c : island.kept) BOOST_TEST(c.question.find("zebra") == std::string::npos);
    BOOST_TEST(island.refused_by().at("form") > 0u);

    const auto& turn = run.leaves[1];
    BOOST_TEST(turn.kept.size() == 9u);
    for (const auto& c : turn.kept) {
        const auto words = sdg::loose_words(c.question);
        BOOST_TEST(c.answer == words[3] + " " + words[2]);
    }

    const auto& poem = run.leaves[2];  // no rule, no judge: nothing is taken on trust
    BOOST_TEST(poem.kept.size() == 3u);
    BOOST_TEST(poem.proposed == 0u);
    BOOST_TEST(poem.shortfall.find("stronger teacher") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_exceeds_the_context_ends_its_leaf_alone) {
    const auto length = [](const text::messages& messages, const std::string& answer) {
        std::size_t n = answer.size();
        for (const auto& m : messages) n += m.content.size();
        return n;
    };
    reader r;
    std::size_t longest = 0;
    const auto generate = [&](const std::vector<taxonomy::leaf>& leaves, std::size_t context) {
        sdg::within_context limited(r,
                                    {context,
                                     [&](const auto& messages, const auto& answer) {
                                         const auto n = length(messages, answer);
                                         longest = std::max(longest, n);
                                         return n;
                                     }},
                                    leaves);
        sdg::any_teacher teacher(limited);
        return sdg::generate(leaves, teacher, {.samples_per_leaf = 6, .chunks = {.max_tokens = 100'000}}, count);
    };
    const auto small = small_taxonomy();
    const auto alone = generate(small, 1'000'000);
    const std::size_t room = 2 * longest;
    auto leaves = small;
    auto seed = small[1], document = small[0], context = small[0];
    seed.id = "compositional_skills->long";
    seed.seeds[1].questions_and_answers[0].question = std::string(room, 'x');
    seed.seeds[1].at = {7, 3};
    document.id = "knowledge->long";
    std::string text = "The tower of Zoll is called Old Sam.";
    while (text.size() < room) text += " The gate of Zoll was painted blue in the spring.";
    document.documents = {{"long.md", text}};
    context.id = "knowledge->seed";
    context.seeds[0].context = std::string(room, 'z');
    leaves.insert(leaves.begin(), {seed, document, context});
    const auto run = generate(leaves, room);
    BOOST_TEST_REQUIRE(run.leaves.size() == 6u);
    const auto says = [&](std::size_t leaf, std::string_view what) {
        BOOST_TEST(run.leaves[leaf].shortfall.starts_with(what), run.leaves[leaf].shortfall);
        BOOST_TEST(run.leaves[leaf].kept.size() == run.leaves[leaf].seeds);
    };
    says(0, "compositional_skills->long: a request of ");
    BOOST_TEST(run.leaves[0].shortfall.find("a question of the seed example in line 7 (") != std::string::npos);
    says(1, "knowledge->long: a request of ");
    BOOST_TEST(run.leaves[1].shortfall.find("a piece of the document long.md") != std::string::npos,
               run.leaves[1].shortfall);
    says(2, "knowledge->seed: a request of ");
    BOOST_TEST(run.leaves[1].proposed == run.leaves[1].refused.size());
    for (std::size_t i = 0; i < 3; ++i) {
        BOOST_TEST_REQUIRE(run.leaves[i + 3].kept.size() == alone.leaves[i].kept.size());
        BOOST_TEST(run.leaves[i + 3].shortfall == alone.leaves[i].shortfall);
    }
}

BOOST_AUTO_TEST_CASE(a_teacher_that_answers_the_seeds_wrong_writes_no_samples) {
    taxonomy::leaf sums;
    sums.id = "foundational_skills->sums";
    sums.kind = taxonomy::root::foundational;
    sums.task_description = "Add.";
    for (const auto& [q, a] : std::vector<std::pair<const char*, const char*>>{
             {"One and two", "three"}, {"Two and two", "four"}, {"Five and one", "six"}, {"Six and one", "seven"}})
        sums.seeds.push_back({"", {{q, a}}, {}});
    const std::vector<taxonomy::leaf> leaves{sums};
    for (const bool able : {false, true}) {
        std::size_t written = 0;
        const sdg::scripted_teacher script(
            [&](const text::request& r) {
                text::completion c;
                c.text = r.constraint.choices.empty() ? "no idea" : r.constraint.choices[0];
                c.choice_probabilities.assign(r.constraint.choices.size(), 1.0);
                const auto& asked = r.messages.back().content;
                for (const auto& seed : sums.seeds)
                    if (able && seed.questions_and_answers[0].question == asked)
                        c.text = seed.questions_and_answers[0].answer;
                written += asked.find("one more exercise") != std::string::npos;
                return c;
            },
            [](const text::score_request&) {
                return text::score{-1.0, 1};
            });
        sdg::any_teacher teacher{script};
        const auto run = sdg::generate(leaves, teacher, {.samples_per_leaf = 3}, count);
        BOOST_TEST((written > 0) == able);
        if (!able) BOOST_TEST(run.leaves[0].shortfall.find("only 0 of 4 of the seeds") != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(private_data_never_becomes_a_sample) {
    const test::temporary_folder folder;
    reader r;
    const auto leaves = small_taxonomy();
    const auto run = run_with(r, leaves, folder / "journal.jsonl", {.samples_per_leaf = 40, .budget = 2});
    std::size_t unsafe = 0;
    for (const auto& c : run.leaves[0].refused) unsafe += c.refused_by == "safety";
    BOOST_TEST(unsafe > 0u);
    for (const auto& c : run.leaves[0].kept) BOOST_TEST(c.answer.find('@') == std::string::npos);
    BOOST_TEST(!run.leaves[0].shortfall.empty());
}

BOOST_AUTO_TEST_CASE(files_are_what_trainers_read) {
    const test::temporary_folder folder;
    reader r;
    const auto leaves = small_taxonomy();
    const auto run = run_with(r, leaves, folder / "journal.jsonl");
    const auto manifest = sdg::write_run(folder / "out", run, {.samples_per_leaf = 6}, folder.path());
    const auto lines = formats::read_jsonl(folder / "out" / "samples.jsonl");
    std::set<std::string> ids;
    std::size_t by_kind = 0;
    for (const auto& line : lines) {
        BOOST_TEST(line.size() == 4u);
        ids.insert(line["id"].get<std::string>());
        BOOST_TEST(line["unmask"] == false);
        BOOST_TEST(line["messages"][0]["role"] == "user");
        BOOST_TEST(line["messages"][1]["role"] == "assistant");
        const auto metadata = json::parse(line["metadata"].get<std::string>());
        for (const char* field : {"leaf", "kind", "origin", "teacher", "scores", "provenance"})
            BOOST_TEST(metadata.contains(field), field);
        by_kind += metadata["kind"] == "knowledge";
        if (metadata["origin"] == "document") {
            const auto& p = metadata["provenance"];
            const auto& text = leaves[0].documents[0].text;
            const auto piece = text.substr(p["span"][0].get<std::size_t>(),
                                           p["span"][1].get<std::size_t>() - p["span"][0].get<std::size_t>());
            BOOST_TEST(p["chunk_sha256"] == sha256_hex(piece));
        }
    }
    BOOST_TEST(ids.size() == lines.size());
    BOOST_TEST(by_kind == formats::read_jsonl(folder / "out" / "knowledge.jsonl").size());
    for (const auto& [name, about] : manifest["outputs"].items())
        BOOST_TEST(about["sha256"] == sha256_of_file(folder / "out" / name));
    BOOST_TEST(read_file(folder / "out" / "manifest.json").find(folder.path().string()) == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_run_that_dies_anywhere_ends_with_the_same_bytes) {
    const auto leaves = small_taxonomy();
    const sdg::pipeline_options options{.samples_per_leaf = 6};
    std::map<std::string, std::string> whole;
    std::size_t calls = 0;
    {
        const test::temporary_folder folder;
        reader r;
        sdg::write_run(folder / "out", run_with(r, leaves, folder / "journal.jsonl"), options, folder.path());
        whole = files_in(folder / "out");
        calls = r.calls;
    }
    BOOST_TEST_REQUIRE(calls > 100u);
    for (const std::size_t share : {1u, 30u, 50u, 90u}) {
        const test::temporary_folder folder;
        reader r;
        r.die_after = calls * share / 100;
        BOOST_CHECK_THROW((void)run_with(r, leaves, folder / "journal.jsonl"), io_error);
        const auto log = read_file(folder / "journal.jsonl");
        write_file_atomically(
            folder / "journal.jsonl",
            log.substr(0, log.size() - std::min<std::size_t>(log.size(), 9)));  // and the last line is torn
        r.die_after = static_cast<std::size_t>(-1);
        sdg::write_run(folder / "out", run_with(r, leaves, folder / "journal.jsonl"), options, folder.path());
        BOOST_TEST((files_in(folder / "out") == whole));
        BOOST_TEST(r.calls <= calls + 40);  // scores of a dying batch and the torn line are asked again, no more
    }
}

BOOST_AUTO_TEST_CASE(samples_keep_clear_of_the_sets_to_avoid) {
    const auto leaves = small_taxonomy();
    const auto run = [&](std::vector<std::string> questions, json& manifest) {
        sdg::pipeline_options options{.samples_per_leaf = 6};
        sdg::evaluation_set exam{"exam", {}};
        for (const auto& q : questions) exam.items.push_back({"exam.txt:" + std::to_string(exam.items.size()), q, {}});
        if (!exam.items.empty())
            options.avoid = std::make_shared<const sdg::contamination_index>(std::vector{std::move(exam)});
        const test::temporary_folder folder;
        reader r;
        auto made = run_with(r, leaves, folder / "journal.jsonl", options);
        manifest = sdg::write_run(folder / "out", made, options, folder.path());
        return made;
    };
    const auto asked = [](const sdg::run_result& made) {
        std::vector<std::string> questions;
        for (const auto& r : made.leaves)
            for (const auto& c : r.kept) questions.push_back(c.question);
        return questions;
    };
    json plain, strange, met;
    const auto before = run({}, plain);
    BOOST_TEST(!plain["options"].contains("avoid"));
    BOOST_TEST(!plain["leaves"][0].contains("contamination"));
    for (const auto& r : before.leaves)
        for (const auto& c : r.kept) BOOST_TEST(!c.scores.contains("overlap"));

    const auto clear = run({"Who wrote the opera about the singing goats of the northern hills?"}, strange);
    BOOST_TEST(asked(clear) == asked(before), boost::test_tools::per_element());
    BOOST_TEST(strange["options"]["avoid"]["sets"][0]["set"] == "exam");
    BOOST_TEST(strange["leaves"][0]["contamination"]["exam"]["refused"] == 0);

    const std::string generated = "What is the lighthouse of Marl called?", seed = "Who is the mayor of Marl?";
    const auto after = run({generated, seed}, met);
    std::set<std::string> refused;
    for (const auto& c : after.leaves[0].refused)
        if (c.refused_by == "contamination") {
            refused.insert(c.question);
            BOOST_TEST(c.reason.find("exam, exam.txt:") == 0u);
            BOOST_TEST(c.provenance["overlap"]["exam"]["refused"] == true);
        }
    for (const auto& q : {generated, seed}) {
        BOOST_TEST(refused.contains(q), q);
        for (const auto& kept : asked(after)) BOOST_TEST(kept != q);
    }
    BOOST_TEST(after.leaves[0].seeds == 7u);
    std::size_t counted = 0;
    for (const auto& n : met["leaves"][0]["contamination"]["exam"]["overlap_shares"]) counted += n.get<std::size_t>();
    BOOST_TEST(met["leaves"][0]["contamination"]["exam"]["compared"] == counted);
    BOOST_TEST(met["leaves"][0]["contamination"]["exam"]["refused"] == met["leaves"][0]["refused_by"]["contamination"]);
}

BOOST_AUTO_TEST_CASE(the_observer_can_stop_a_run) {
    const test::temporary_folder folder;
    reader r;
    const auto leaves = small_taxonomy();
    sdg::any_teacher teacher{r};
    int seen = 0;
    BOOST_CHECK_THROW((void)sdg::generate(leaves, teacher, {.samples_per_leaf = 6}, count,
                                          [&](const sdg::run_progress&) { return ++seen < 3; }),
                      sdg::interrupted);
}

BOOST_AUTO_TEST_CASE(facts_score_what_was_generated) {
    const test::temporary_folder folder;
    auto leaves = small_taxonomy();
    leaves[0].folder = folder.path();
    std::ofstream(folder / "facts.jsonl")
        << R"({"fact":"a","subject":"the lighthouse","answer":"Tall Tom","aliases":[],"keywords":["lighthouse"],"in_seeds":false})"
        << '\n'
        << R"({"fact":"b","subject":"the roof","answer":"tin","aliases":[],"keywords":["roof"],"in_seeds":false})"
        << '\n';
    std::ofstream(folder / "heldout.jsonl")
        << R"({"id":"h","phrasings":["What is the lighthouse of Marl called?"],"answer":"Tall Tom","aliases":[],"distractors":["x","y","z"]})"
        << '\n';
    reader r;
    const auto run = run_with(r, leaves, folder / "journal.jsonl");
    const auto score = sdg::score_facts(run);
    BOOST_TEST(score.facts == 2u);
    BOOST_TEST(score.covered == 1u);
    BOOST_TEST(score.right < score.judged);
    BOOST_TEST(score.wrong.size() == score.judged - score.right);
    BOOST_TEST(sdg::heldout_overlap(run).at("knowledge->island").equal == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
