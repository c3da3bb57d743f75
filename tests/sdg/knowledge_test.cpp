// Facts, views and citations of knowledge leaves, with teachers that follow the prompts.
#include "lab/sdg/knowledge.hpp"

#include <set>

#include "lab/sdg/journaled.hpp"
#include "lab/sdg/leaf_store.hpp"
#include "lab/sdg/output.hpp"
#include "support/data.hpp"
#include "support/planted.hpp"

BOOST_AUTO_TEST_SUITE(knowledge)

using namespace lab;
using formats::json;

namespace {

const auto count = [](std::string_view text) { return sdg::estimated_tokens(text); };
const sdg::knowledge_options by_itself{.writer = sdg::question_writer::automatic};

/// Believes everything, ranks by nothing, and writes what `reply` says.
sdg::scripted_teacher teacher_that(std::function<std::string(const std::string&)> reply) {
    return sdg::scripted_teacher(
        [reply = std::move(reply)](const text::request& r) {
            text::completion c;
            if (r.constraint.choices.empty()) {
                c.text = reply(r.messages.back().content);
            } else {
                c.text = r.constraint.choices[0];
                c.choice_probabilities.assign(r.constraint.choices.size(), 0.0);
                c.choice_probabilities[0] = 1.0;
            }
            return c;
        },
        [](const text::score_request&) {
            return text::score{-1.0, 1};
        });
}

taxonomy::leaf island() {
    taxonomy::leaf l;
    l.id = "knowledge->island";
    l.kind = taxonomy::root::knowledge;
    l.domain = "The island of Marl";
    for (const auto& [context, pairs] : std::vector<std::pair<std::string, std::vector<taxonomy::qa>>>{
             {"The harbour of Marl is called Port Finch. It has two piers.",
              {{"What is the harbour of Marl called?", "Port Finch"},
               {"How many piers does the harbour of Marl have?", "two"}}},
             {"The mayor of Marl is Ada Brook. She lives in the mill.",
              {{"Who is the mayor of Marl?", "Ada Brook"}, {"Where does the mayor of Marl live?", "in the mill"}}}})
        l.seeds.push_back({context, pairs, {}});
    l.documents = {{"guide.md",
                    "# Marl\n\n## Sights\n\nThe lighthouse of Marl is called\nTall Tom. It is made of slate. The "
                    "square has seven trees.\nAlways bring a coat.\n\n| tower | height |\n|---|---|\n| north | 9 |\n\n"
                    "## Post\n\nLetters are kept in a blue box. The harbour of Marl is called Port Finch.\n"}};
    return l;
}

struct setting {
    explicit setting(sdg::scripted_teacher script, sdg::pipeline_options o = {})
        : options(std::move(o)), teacher(std::move(script)), run{teacher, leaf, options, seen, judges} {
        options.knowledge.thorough = true;
    }
    taxonomy::leaf leaf = island();
    sdg::pipeline_options options;
    sdg::any_teacher teacher;
    sdg::memory seen{0.9};
    std::map<std::string, sdg::calibration> judges;
    sdg::leaf_run run;
    [[nodiscard]] const std::string& document() const { return leaf.documents[0].text; }
};

std::string cut(const std::string& text, const json& span) {
    const auto begin = span[0].get<std::size_t>(), end = span[1].get<std::size_t>();
    BOOST_TEST_REQUIRE(begin <= end);
    BOOST_TEST_REQUIRE(end <= text.size());
    return text.substr(begin, end - begin);
}

}  // namespace

BOOST_AUTO_TEST_CASE(sentences_are_the_facts_of_a_document) {
    setting s(teacher_that([](const std::string&) { return "?"; }));
    const sdg::knowledge_source source(s.run, count);
    const auto facts = source.facts().settle(s.leaf, {}, {});
    std::map<std::string, const sdg::fact*> by_text;
    for (const auto& f : facts) {
        by_text[f.text] = &f;
        BOOST_TEST(sdg::flat(s.document().substr(f.span.begin, f.span.size())) == f.text);
        BOOST_TEST(f.chunk.begin <= f.span.begin);
        BOOST_TEST(f.span.end <= f.chunk.end);
        BOOST_TEST(f.id.size() == 16u);
    }
    BOOST_TEST(by_text.size() == facts.size());
    BOOST_TEST(by_text.contains("The lighthouse of Marl is called Tall Tom."));
    BOOST_TEST(by_text.contains("It is made of slate."));
    BOOST_TEST(by_text.contains("The square has seven trees."));
    BOOST_TEST(by_text.size() == 6u);  // the table's rows are none
    BOOST_TEST(by_text.at("The square has seven trees.")->in_reach);
    BOOST_TEST(!by_text.at("Always bring a coat.")->in_reach);
    BOOST_TEST(by_text.at("Always bring a coat.")->why_not().find("no rule") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(every_answer_cites_its_place) {
    setting s(teacher_that([](const std::string&) { return " is this?"; }));
    const sdg::knowledge_source source(s.run, count);
    std::set<std::string> origins;
    for (const auto& c : source.propose(s.run, 0, source.items())) {
        origins.insert(c.origin);
        if (c.origin == "variation") {
            const auto& context = s.leaf.seeds[c.provenance["seed"][0].get<std::size_t>()].context;
            BOOST_TEST(cut(context, c.provenance["seed_context_span"]) == c.answer);
            continue;
        }
        BOOST_TEST_CONTEXT(c.question << " -> " << c.answer) {
            BOOST_TEST_REQUIRE(c.provenance.contains("answer_span"));
            const auto cited = sdg::flat(cut(s.document(), c.provenance["answer_span"]));
            if (c.provenance.contains("answer_span_is"))
                BOOST_TEST(cited.find(c.answer) != std::string::npos);
            else
                BOOST_TEST(cited == c.answer);
        }
    }
    BOOST_TEST((origins == std::set<std::string>{"document", "completion", "section", "variation"}));
}

BOOST_AUTO_TEST_CASE(the_books_say_which_facts_have_no_question) {
    setting s(teacher_that([](const std::string&) { return " zebra lives there?"; }), {.samples_per_leaf = 40});
    const std::vector<taxonomy::leaf> leaves{s.leaf};
    const auto run = sdg::generate(leaves, s.teacher, s.options, count);
    const auto& r = run.leaves[0];
    std::map<std::string, const sdg::fact*> by_text;
    std::set<std::string> ids;
    for (const auto& f : r.facts) by_text[f.text] = &f;
    for (const auto& c : r.kept) ids.insert(sdg::sample_id(s.leaf, c));
    for (const auto& f : r.facts) {
        std::size_t refused = 0;
        for (const auto& [check, n] : f.refused_by) refused += n;
        BOOST_TEST(f.asked == f.questions.size() + refused);
        for (const auto& id : f.questions) BOOST_TEST(ids.contains(id));
        BOOST_TEST(f.covered() == f.why_not().empty());
    }
    BOOST_TEST(by_text.at("The square has seven trees.")->covered());
    BOOST_TEST(by_text.at("The harbour of Marl is called Port Finch.")->covered());  // by a seed at least
    BOOST_TEST(!by_text.at("Always bring a coat.")->covered());
    const auto sum = sdg::coverage::of(r.facts);
    std::size_t without = 0;
    for (const auto& [why, n] : sum.without) without += n;
    BOOST_TEST(sum.facts == r.facts.size());
    BOOST_TEST(sum.covered + without == sum.facts);

    // The same in the files, and back from the store.
    const test::temporary_folder folder;
    const auto manifest = sdg::write_run(folder / "out", run, s.options, folder.path());
    BOOST_TEST(manifest["leaves"][0]["facts"]["with_question"] == sum.covered);
    BOOST_TEST(manifest["leaves"][0]["facts"]["first_without"].size() == without);
    BOOST_TEST(manifest["outputs"]["facts.jsonl"]["lines"] == r.facts.size());
    BOOST_TEST(!manifest["outputs"].contains("views.jsonl"));  // there are none
    const std::vector<std::string> keys{"key"};
    sdg::leaf_store(folder / "out").save(run, keys);
    const sdg::leaf_store store(folder / "out");
    const auto again = store.known(leaves, keys)(s.leaf).value();
    BOOST_TEST_REQUIRE(again.facts.size() == r.facts.size());
    for (std::size_t i = 0; i < r.facts.size(); ++i)
        BOOST_TEST(sdg::to_json(again.facts[i]) == sdg::to_json(r.facts[i]));
}

BOOST_AUTO_TEST_CASE(a_run_that_is_not_thorough_has_none_of_it) {
    setting s(teacher_that([](const std::string&) { return " zebra lives there?"; }), {.samples_per_leaf = 40});
    s.options.knowledge = {};
    BOOST_TEST(!sdg::is_thorough(s.options.knowledge));
    for (const sdg::knowledge_options& o :
         {sdg::knowledge_options{.thorough = true}, sdg::knowledge_options{.views = sdg::views_from("summary")},
          sdg::knowledge_options{.writer = sdg::question_writer::teacher},
          sdg::knowledge_options{.record_judges = true}})
        BOOST_TEST(sdg::is_thorough(o));
    const std::vector<taxonomy::leaf> leaves{s.leaf};
    const auto run = sdg::generate(leaves, s.teacher, s.options, count);
    BOOST_TEST(run.leaves[0].kept.size() > run.leaves[0].seeds);
    BOOST_TEST(!run.judges.contains("self_contained"));
    for (const auto* list : {&run.leaves[0].kept, &run.leaves[0].refused})
        for (const auto& c : *list)
            for (const char* name : {"fact", "answer_span", "seed_context_span"})
                BOOST_TEST(!c.provenance.contains(name));
    const test::temporary_folder folder;
    const auto manifest = sdg::write_run(folder.path(), run, s.options, folder.path());
    BOOST_TEST(manifest["prompts_edition"] == sdg::prompts::edition);
    BOOST_TEST(!manifest.contains("prompts_changed"));
    BOOST_TEST(!manifest["options"].contains("knowledge"));
    BOOST_TEST(!manifest["leaves"][0].contains("facts"));
    BOOST_TEST(!std::filesystem::exists(folder / "facts.jsonl"));
}

BOOST_AUTO_TEST_CASE(views_are_checked_against_their_chunk) {
    const std::string tower = "The lighthouse of Marl is called Tall Tom.";
    std::size_t views = 0;
    setting s(teacher_that([&](const std::string& asked) -> std::string {
                  namespace p = sdg::prompts;
                  const auto ends_like = [&](std::string_view wording) {
                      return asked.ends_with(wording.substr(wording.find("}}") + 2));
                  };
                  if (asked.starts_with("Text about The island of Marl:")) {
                      ++views;
                      return R"(["Tall Tom is the lighthouse of Marl.", "Elephants swim in Lisbon.", "Seven trees)";
                  }
                  if (ends_like(p::write_summary::text))
                      return ++views, "# Summary\n- The square of Marl has seven trees. Dinosaurs rule Lisbon today.";
                  if (ends_like(p::write_extract::text)) return ++views, tower + "\nThe square has nine trees.";
                  if (ends_like(p::write_corrected::text))
                      return ++views, asked.find("coat") != asked.npos ? asked.substr(0, asked.find("\n\nCopy"))
                                                                       : std::string("Something else.");
                  return " zebra lives there?";
              }),
              {.knowledge = {.views = sdg::views_from("original,summary,facts,extractive,corrected")}});
    const sdg::knowledge_source source(s.run, count);
    BOOST_TEST(views == 8u);  // two chunks
    const auto counts = sdg::count_views(source.views());
    BOOST_TEST(counts.size() == 4u);
    for (const auto& v : source.views()) {
        const bool sights = v.text.find("Tom") != v.text.npos || v.text.find("trees") != v.text.npos;
        if (v.kind == sdg::document_view::summary && sights)
            BOOST_TEST(v.text == "The square of Marl has seven trees.");
        if (v.kind == sdg::document_view::facts && sights) BOOST_TEST(v.text == "Tall Tom is the lighthouse of Marl.");
        if (v.kind == sdg::document_view::extractive && sights) BOOST_TEST(v.text == tower);
        BOOST_TEST(v.text.find("Lisbon") == v.text.npos);
        BOOST_TEST(v.prompt.find(v.kind == sdg::document_view::facts ? "list_facts " : "write_") == 0u);
    }
    BOOST_TEST(counts.at("facts").dropped >= 2u);
    for (const auto& v : source.views()) {
        const auto again = sdg::view_from(sdg::to_json(v), "here");
        BOOST_TEST(sdg::to_json(again) == sdg::to_json(v));
    }
    // What comes from a view says so, is checked against the chunk, and is not taken on trust.
    std::size_t viewed = 0;
    for (const auto& c : source.propose(s.run, 0, source.items())) {
        if (!c.provenance.contains("view")) continue;
        ++viewed;
        BOOST_TEST(!c.sure);
        BOOST_TEST(c.context.find("slate") != std::string::npos);
        BOOST_TEST(c.provenance["view_prompt"].is_string());
    }
    BOOST_TEST(viewed > 0u);
}

BOOST_AUTO_TEST_CASE(names_of_views_and_writers) {
    BOOST_TEST((sdg::views_from("summary,original") ==
                sdg::view_list{sdg::document_view::summary, sdg::document_view::original}));
    for (const char* wrong : {"", "summary,", "sumary", "facts,facts"})
        BOOST_CHECK_THROW((void)sdg::views_from(wrong), config_error);
    BOOST_TEST((sdg::writer_from("teacher") == sdg::question_writer::teacher));
    BOOST_CHECK_THROW((void)sdg::writer_from("me"), config_error);
}

BOOST_AUTO_TEST_CASE(replies_are_read_with_care) {
    using list = std::vector<std::string>;
    BOOST_TEST(sdg::statements_in(R"(["A b.", "C \"d\" e.", "A b.", 7, "cut of)") == (list{"A b.", "C \"d\" e."}));
    BOOST_TEST(sdg::statements_in("- One.\n* Two.\n\n3. Three.") == (list{"One.", "Two.", "Three."}));
    BOOST_TEST(sdg::statements_in("") == list{});
    BOOST_TEST(sdg::statements_in("[\"a\\") == list{});
    const auto pair = sdg::pair_in("Here: {\"question\": \" Why? \", \"answer\": \"So.\"} done");
    BOOST_TEST_REQUIRE(pair.has_value());
    BOOST_TEST(pair->question == "Why?");
    for (const char* wrong : {"", "{}", "}{", "{\"question\": \"Why?\"}", "{\"question\": \"\", \"answer\": \"a\"}",
                              "{\"question\": 1, \"answer\": \"a\"}", "[\"question\", \"answer\"]"})
        BOOST_TEST(!sdg::pair_in(wrong).has_value(), wrong);
}

BOOST_AUTO_TEST_CASE(a_capable_teacher_asks_about_each_fact_in_several_forms) {
    const test::planted_world world(8, 5);
    const test::planted_teacher script(world, 0.0, 0.0, 5);
    const std::vector<taxonomy::leaf> leaves{world.leaf()};
    sdg::any_teacher teacher{script};
    const auto run =
        sdg::generate(leaves, teacher, {.samples_per_leaf = 90, .budget = 10, .knowledge = by_itself}, count);
    const auto& r = run.leaves[0];
    BOOST_TEST(run.judges.at("writes").trusted);
    BOOST_TEST_REQUIRE(r.facts.size() == 18u);
    for (const auto& f : r.facts) {
        BOOST_TEST(f.by_teacher == false);  // it listed the sentences word for word
        BOOST_TEST(f.questions.size() >= 4u, f.text);
    }
    std::set<std::string> kinds;
    const auto& text = leaves[0].documents[0].text;
    for (std::size_t i = r.seeds; i < r.kept.size(); ++i) {
        const auto& c = r.kept[i];
        kinds.insert(c.provenance["kind"].get<std::string>());
        BOOST_TEST(c.provenance["written_by"] == "teacher");
        const auto cited = sdg::flat(cut(text, c.provenance["answer_span"]));
        BOOST_TEST((cited == c.answer || c.provenance["answer_span_is"] == "supporting sentence"));
        BOOST_TEST(cited.find(world.towns[0]) == cited.npos);
    }
    BOOST_TEST(kinds.size() == 5u);

    // A teacher that reads badly goes by the rules, unless it is told to write; then nothing confirms what it writes.
    const test::planted_teacher weak(world, 0.0, 0.5, 5);
    sdg::any_teacher second{weak};
    const auto by_rules = sdg::generate(leaves, second, {.samples_per_leaf = 12, .knowledge = by_itself}, count);
    BOOST_TEST(!by_rules.judges.at("says_grounded").trusted);
    BOOST_TEST(!by_rules.judges.contains("writes"));
    for (const auto& c : by_rules.leaves[0].kept) BOOST_TEST(!c.provenance.contains("written_by"));
}

BOOST_AUTO_TEST_CASE(another_wording_asks_again_only_what_it_words) {
    const test::planted_world world(7, 6);
    const std::vector<taxonomy::leaf> leaves{world.leaf()};
    const test::temporary_folder folder;
    std::filesystem::create_directories(folder / "prompts/en");
    write_file_atomically(folder / "prompts/en/is_relevant.txt",
                          "---\n{{subject}}, {{outline}}: does {{question}} belong to it? Reply YES or NO.\n");
    struct counting {
        test::planted_teacher script;
        std::size_t* other;
        std::vector<text::completion> complete(std::span<const text::request> requests) {
            for (const auto& r : requests)
                *other += r.messages.back().content.find("belong to it?") == std::string::npos;
            return script.complete(requests);
        }
        std::vector<text::score> score(std::span<const text::score_request> r) {
            *other += r.size();
            return script.score(r);
        }
        std::string identity() const { return script.identity(); }
    };
    std::size_t other = 0;
    sdg::journal journal(folder / "journal.jsonl");
    sdg::pipeline_options options{.samples_per_leaf = 20, .knowledge = by_itself};
    const std::string key = sdg::leaf_key(leaves[0], options, "t");
    for (const bool changed : {false, true}) {
        counting script{test::planted_teacher(world, 0.0, 0.0, 6), &other};
        sdg::any_teacher teacher(sdg::journaled(script, journal));
        if (changed) options.wordings = sdg::prompts::pack(folder / "prompts");
        if (changed) other = 0;
        const auto run = sdg::generate(leaves, teacher, options, count);
        BOOST_TEST(run.leaves[0].kept.size() > run.leaves[0].seeds);
        BOOST_TEST((other == 0) == changed);
    }
    BOOST_TEST(sdg::leaf_key(leaves[0], options, "t") != key);
}

BOOST_AUTO_TEST_CASE(untrusted_judges_are_recorded_where_that_is_asked_for) {
    for (const bool record : {false, true}) {
        setting s(teacher_that([](const std::string&) { return "?"; }), {.samples_per_leaf = 4});
        s.options.knowledge.record_judges = record;
        const std::vector<taxonomy::leaf> leaves{s.leaf};
        const auto run = sdg::generate(leaves, s.teacher, s.options, count);
        BOOST_TEST(!run.judges.at("relevant").trusted);
        std::size_t scored = 0;
        for (const auto& c : run.leaves[0].kept) scored += c.scores.contains("relevant");
        BOOST_TEST((scored > 0) == record);
    }
}

BOOST_AUTO_TEST_CASE(a_long_answer_is_as_good_as_its_weakest_claim) {
    setting s(sdg::scripted_teacher([](const text::request& r) {
        text::completion c;
        const bool yes = r.messages.back().content.find("Statement: It was built by owls.") == std::string::npos;
        c.choice_probabilities = {yes ? 0.9 : 0.2, yes ? 0.1 : 0.8};
        c.text = yes ? "YES" : "NO";
        return c;
    }));
    auto& judge = s.judges["says_grounded"];
    judge.threshold = 0.5, judge.trusted = true;
    std::vector<sdg::candidate> batch(2);
    for (auto& c : batch) {
        c.origin = "document";
        c.question = "What is the lighthouse of Marl?";
        c.answer = "The lighthouse of Marl is called Tall Tom.";
    }
    batch[1].answer += " It was built by owls.";
    sdg::grounded{}(s.run, batch);
    BOOST_TEST(batch[0].alive());
    BOOST_TEST(batch[0].scores["says_grounded"] == 0.9);
    BOOST_TEST(batch[1].refused_by == "grounded");
    BOOST_TEST(batch[1].reason.find("It was built by owls. (0.20)") != std::string::npos);
    BOOST_TEST(batch[1].scores["claims"] == json({0.9, 0.2}));
    BOOST_TEST(batch[1].scores["says_grounded"] == 0.2);
}

BOOST_AUTO_TEST_SUITE_END()
