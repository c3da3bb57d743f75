// A run that is written while it goes on: the same bytes, nothing held, files that appear together or not at all.
#include "lab/sdg/run_writer.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <fstream>

#include "able_teacher.hpp"
#include "lab/sdg/fact_table.hpp"
#include "lab/sdg/leaf_store.hpp"
#include "lab/sdg/output.hpp"
#include "support/data.hpp"
#include "support/planted.hpp"

BOOST_AUTO_TEST_SUITE(run_writer)

using namespace lab;
using formats::json;
namespace fs = std::filesystem;

namespace {

const auto count = [](std::string_view text) { return sdg::estimated_tokens(text); };

std::map<std::string, std::string> files_in(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder))
        files[entry.path().filename().string()] = read_file(entry.path());
    return files;
}

/// Answers as another does, but writes no exercise that has to do with a word.
template <class T>
struct refusing {
    T inner;
    std::string word;
    std::vector<text::completion> complete(std::span<const text::request> requests) {
        for (const auto& r : requests) refuse(r.messages);
        return inner.complete(requests);
    }
    std::vector<text::score> score(std::span<const text::score_request> requests) {
        for (const auto& r : requests) refuse(r.messages);
        return inner.score(requests);
    }
    bool can_score() const { return sdg::can_score(inner); }
    std::string identity() const { return inner.identity(); }

private:
    void refuse(const text::messages& m) const {
        if (!m.front().content.starts_with("You write exercises")) return;
        for (const auto& said : m)
            if (said.content.find(word) != std::string::npos) throw sdg::request_refused("not about that");
    }
};

struct case_of {
    std::vector<taxonomy::leaf> leaves;
    sdg::any_teacher teacher;
    sdg::pipeline_options options;
};

/// Runs twice, the samples held and streamed, and compares all files and what examinations say.
json compare(case_of c) {
    const test::temporary_folder folder;
    std::ofstream(folder / "heldout.jsonl")
        << R"({"id":"h","phrasings":["What is 1 plus 1?","A poem on rain, please"],"answer":"2","aliases":[],"distractors":["x","y","z"]})"
        << '\n';
    std::ofstream(folder / "facts.jsonl")
        << R"({"fact":"a","subject":"s","answer":"x","aliases":[],"keywords":["what"],"in_seeds":false})" << '\n';
    for (auto& leaf : c.leaves) leaf.folder = folder.path();

    const auto held = sdg::generate(c.leaves, c.teacher, c.options, count);
    BOOST_TEST(held.leaves.size() == c.leaves.size());
    const auto overlap = sdg::heldout_overlap(held);
    sdg::write_run(folder / "held", held, c.options, folder.path(), overlap);

    sdg::run_writer writer(folder / "streamed", c.options);
    const auto run = sdg::generate(c.leaves, c.teacher, c.options, count, {}, {}, nullptr, writer.sink());
    for (const auto& [name, content] : files_in(folder / "streamed")) BOOST_TEST(name.ends_with(".unfinished"), name);
    const auto overlap_read = sdg::heldout_overlap(run, writer.kept());
    BOOST_TEST(overlap_read.size() == overlap.size());
    for (const auto& [leaf, o] : overlap) {
        BOOST_TEST(overlap_read.at(leaf).near == o.near);
        BOOST_TEST(overlap_read.at(leaf).equal == o.equal);
        BOOST_TEST(overlap_read.at(leaf).heldout == 2u);
    }
    const auto facts = sdg::score_facts(held), facts_read = sdg::score_facts(run, writer.kept());
    BOOST_TEST(facts_read.judged == facts.judged);
    BOOST_TEST(facts_read.wrong == facts.wrong, boost::test_tools::per_element());
    const auto manifest = writer.finish(run, folder.path(), overlap_read);

    const auto expected = files_in(folder / "held");
    for (const auto& [name, content] : files_in(folder / "streamed"))
        BOOST_TEST((expected.contains(name) && expected.at(name) == content), name);
    BOOST_TEST(files_in(folder / "streamed").size() == expected.size());
    for (const auto& [name, about] : manifest["outputs"].items()) {
        BOOST_TEST(about["sha256"] == sha256_of_file(folder / "streamed" / name), name);
        BOOST_TEST(about["lines"] == formats::read_jsonl(folder / "streamed" / name).size(), name);
    }
    // Each leaf's samples are found again where they stand.
    for (std::size_t l = 0; l < held.leaves.size(); ++l) {
        const auto samples = writer.kept_of(l);
        BOOST_TEST_REQUIRE(samples.size() == held.leaves[l].kept.size());
        for (std::size_t i = 0; i < samples.size(); ++i) {
            const auto& c1 = held.leaves[l].kept[i];
            BOOST_TEST(samples[i].origin == c1.origin);
            BOOST_TEST(samples[i].turns.size() == 1 + c1.more.size());
            BOOST_TEST(samples[i].turns[0].question == sdg::user_text(c.leaves[l], c1));
            BOOST_TEST(samples[i].turns[0].answer == c1.answer);
        }
    }
    return manifest;
}

sdg::leaf_result one_sample(const taxonomy::leaf& leaf, const std::string& answer) {
    sdg::leaf_result r;
    r.leaf = &leaf;
    r.wanted = r.proposed = 1;
    sdg::candidate c;
    c.question = "How?", c.answer = answer, c.origin = "teacher";
    r.kept.push_back(c);
    return r;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_streamed_run_has_the_bytes_of_a_held_one) {
    const std::vector<taxonomy::leaf> skills{test::sums_leaf(), test::poems_leaf(), test::fruits_leaf()};
    const auto talks = compare(
        {skills, sdg::any_teacher{test::able_teacher{.wrong = 0.3}}, {.samples_per_leaf = 6, .budget = 3, .turns = 3}});
    BOOST_TEST(talks["leaves"][0].contains("kept_with_turns"));
    const auto drawn = compare({skills,
                                sdg::any_teacher{test::able_teacher{}},
                                {.samples_per_leaf = 6, .budget = 2, .method = sdg::sampling_method::self_instruct}});
    BOOST_TEST(drawn["outputs"]["rejected.jsonl"]["lines"].get<int>() > 0);
    const auto failing =
        compare({skills, sdg::any_teacher{refusing<test::able_teacher>{{}, "poem"}}, {.samples_per_leaf = 4}});
    std::size_t failures = 0;
    for (const auto& leaf : failing["leaves"]) failures += leaf.contains("failure");
    BOOST_TEST(failures > 0u);
    BOOST_TEST(failures < 3u);
    const auto short_of = compare({{test::sums_leaf()},
                                   sdg::any_teacher{test::able_teacher{.forgetful = true}},
                                   {.samples_per_leaf = 30, .budget = 1}});
    BOOST_TEST(short_of["leaves"][0].contains("shortfall"));
}

BOOST_AUTO_TEST_CASE(facts_and_views_are_streamed_too) {
    const test::planted_world world(8, 5), other(7, 6);
    auto second = other.leaf();
    second.id += " again";
    sdg::pipeline_options options{.samples_per_leaf = 20, .knowledge = sdg::knowledge_options{.thorough = true}};
    options.knowledge.views = sdg::views_from("original,summary,facts");
    sdg::evaluation_set exam{"exam", {{"1", "What is the name of the harbour?", {}}}};
    options.avoid = std::make_shared<const sdg::contamination_index>(std::vector{std::move(exam)});
    const auto manifest = compare({{world.leaf(), second, test::sums_leaf()},
                                   sdg::any_teacher{test::planted_teacher(world, 0.2, 0.0, 5)},
                                   options});
    const auto& first = manifest["leaves"][0];
    for (const char* part : {"facts", "views", "scores", "contamination"}) BOOST_TEST(first.contains(part), part);
    BOOST_TEST(manifest["outputs"].contains("facts.jsonl"));
    BOOST_TEST(manifest["outputs"].contains("views.jsonl"));
}

BOOST_AUTO_TEST_CASE(with_a_sink_a_run_holds_no_samples) {
    const std::vector<taxonomy::leaf> leaves{test::sums_leaf(), test::poems_leaf(), test::fruits_leaf()};
    sdg::any_teacher teacher{test::able_teacher{}};
    std::vector<std::string> order;
    std::size_t candidates = 0, taken = 0, told = 0;  // held by the run; given to the sink; summarised
    const auto run = sdg::generate(
        leaves, teacher, {.samples_per_leaf = 4}, count,
        [&](const sdg::run_progress& p) {
            if (p.done != nullptr) BOOST_TEST(p.done->size() == order.size());
            return true;
        },
        {}, nullptr,
        [&](sdg::leaf_result r, const sdg::run_result& so_far) {
            order.push_back(r.leaf->id);
            for (const auto& l : so_far.leaves) candidates += l.kept.size() + l.refused.size();
            taken += r.kept.size() + r.refused.size();
            BOOST_TEST(so_far.summaries.size() == order.size());
            BOOST_TEST(so_far.summaries.back().kept == r.kept.size());
            BOOST_TEST((so_far.summaries.back().refused_by == r.refused_by()));
        });
    for (const auto& s : run.summaries) told += s.kept + s.refused;
    BOOST_TEST(run.leaves.empty());
    BOOST_TEST(candidates == 0u);
    BOOST_TEST(told == taken);
    BOOST_TEST(order == (std::vector{leaves[0].id, leaves[1].id, leaves[2].id}), boost::test_tools::per_element());
    BOOST_TEST(!run.examples[0].has_value());
    BOOST_TEST(run.examples[1].value().leaf == &leaves[0]);
    const test::temporary_folder folder;
    BOOST_CHECK_THROW(sdg::write_run(folder.path(), run, {}, folder.path()), config_error);
}

BOOST_AUTO_TEST_CASE(a_writer_that_ends_early_leaves_the_old_files) {
    const test::temporary_folder folder;
    const auto leaf = test::sums_leaf();
    const auto write = [&](const std::string& answer, bool finish) {
        sdg::run_writer writer(folder.path(), {});
        sdg::run_result run;
        run.add(one_sample(leaf, answer), nullptr,
                [&](const sdg::leaf_result& r, const sdg::run_result&) { writer.add(r, "t"); });
        BOOST_TEST(writer.kept_of(0).at(0).turns[0].answer == answer);
        BOOST_CHECK_THROW(sdg::run_writer(folder.path(), {}), io_error);  // one at a time
        if (finish) writer.finish(run, folder.path());
    };
    write("first", true);
    const auto first = files_in(folder.path());
    BOOST_TEST(first.size() == 6u);
    write("second", false);
    BOOST_TEST((files_in(folder.path()) == first));

    const pid_t child = ::fork();  // is killed: nothing is cleaned up
    if (child == 0) {
        sdg::run_writer writer(folder.path(), {});
        writer.add(one_sample(leaf, "third, and longer than what comes after it"), "t");
        (void)writer.kept_of(0);
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    auto left = files_in(folder.path());
    BOOST_TEST(left.contains("samples.jsonl.unfinished"));
    for (const auto& [name, content] : first) BOOST_TEST((left.at(name) == content), name);
    write("first", true);
    BOOST_TEST((files_in(folder.path()) == first));
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_named_and_nothing_is_left) {
    const test::temporary_folder folder;
    const auto leaf = test::sums_leaf();
    rlimit before{};
    BOOST_REQUIRE_EQUAL(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    for (const std::size_t size : {5'000u, 500'000u}) {  // found when the files are put into place, and on the way
        std::string said;
        const rlimit small{4096, before.rlim_max};
        BOOST_REQUIRE_EQUAL(::setrlimit(RLIMIT_FSIZE, &small), 0);
        try {
            sdg::run_result run;
            run.add(one_sample(leaf, std::string(size, 'a')), nullptr, {});
            sdg::write_run(folder / "out", run, {}, folder.path());
        } catch (const io_error& fault) {
            said = fault.what();
        }
        ::setrlimit(RLIMIT_FSIZE, &before);
        BOOST_TEST(said.find(".jsonl: cannot write: File too large") != said.npos, said);
        BOOST_TEST(fs::is_empty(folder / "out"));
    }
    std::signal(SIGXFSZ, handler);
}

BOOST_AUTO_TEST_CASE(a_store_of_leaves_is_written_and_read_one_by_one) {
    const test::temporary_folder folder;
    std::vector<taxonomy::leaf> leaves{test::sums_leaf(), test::poems_leaf(), test::fruits_leaf()};
    leaves[1].id += " \"{[,]}\\";  // what looks like structure is none within quotes
    const std::vector<std::string> keys{"a", "b", "c"};
    const sdg::leaf_store none(folder.path());
    sdg::run_result run;
    {
        sdg::run_writer files(folder.path(), {});
        sdg::leaf_store::writer stored(none, keys);
        const auto sink = [&](const sdg::leaf_result& r, const sdg::run_result& so_far) {
            files.add(r, "t");
            stored.add(r, so_far);
        };
        for (const auto& leaf : leaves) {
            auto r = one_sample(leaf, "answer of " + leaf.id);
            if (&leaf == &leaves[2]) r.failure = "the teacher went";
            run.add(std::move(r), nullptr, sink);
        }
        files.finish(run, folder.path());
        stored.finish();
    }
    const sdg::leaf_store store(folder.path());
    BOOST_TEST(!store.complete(keys));
    BOOST_TEST(store.complete(std::vector<std::string>{"a", "b"}));
    BOOST_TEST(!store.contains("c"));  // it failed
    const auto known = store.known(leaves, keys);
    for (std::size_t l = 0; l < 2; ++l)
        BOOST_TEST(known(leaves[l]).value().kept.at(0).answer == "answer of " + leaves[l].id);
    BOOST_TEST(!known(leaves[2]).has_value());
    const auto text = read_file(folder / "leaves.json");
    const auto all = formats::parse_json(text, "leaves");
    BOOST_TEST(all["leaves"].size() == 2u);
    BOOST_TEST((formats::to_text(all) + "\n" == text));  // as if it had been written at once
    for (const std::string& broken : {text.substr(0, text.size() / 2), "[" + text, text.substr(1), std::string("{}"),
                                      std::string("{\"leaves\":[{}],\"samples_sha256\":\"\"}"), std::string()}) {
        write_file_atomically(folder / "leaves.json", broken);
        BOOST_CHECK_THROW(sdg::leaf_store(folder.path()), format_error);
    }
}

BOOST_AUTO_TEST_SUITE_END()
