// lab-generate select as a process: what is chosen, that it does not depend on threads, and what is refused.
#include <fstream>
#include <set>

#include "lab/formats/jsonl.hpp"
#include "support/data.hpp"
#include "support/process.hpp"

BOOST_AUTO_TEST_SUITE(select_app)

using namespace lab;
using formats::json;

namespace {

/// Two leaves: three kinds of question in one, each in several wordings; two in the other. Metadata in both forms.
struct workplace {
    test::temporary_folder folder;

    workplace() {
        std::string lines;
        const auto add = [&](const std::string& leaf, const std::string& question, const std::string& answer) {
            const json metadata{{"leaf", leaf}};
            json line{{"messages",
                       {{{"role", "system"}, {"content", "Be brief."}},
                        {{"role", "user"}, {"content", question}},
                        {{"role", "assistant"}, {"content", answer}}}},
                      {"metadata", lines.size() % 2 == 0 ? json(metadata) : json(metadata.dump())}};
            lines += line.dump() + "\n";
        };
        for (const char* when : {"today", "tomorrow", "on Sunday", "in June"})
            add("ferry", std::string("When does the ferry leave ") + when + "?", "The ferry leaves at noon.");
        for (const char* who : {"My goat", "A small goat", "Every goat"})
            add("ferry", std::string(who) + " wants to travel: what is the fare?", "Goats travel free of charge.");
        add("ferry", "Is there coffee aboard?", "Yes, and cake.");
        add("ferry", "IS there coffee, aboard?", "Yes and cake");
        add("bread", "What are oats good for?", "Dark bread.");
        add("bread", "Who sings on Friday?", "The bakers do.");
        std::ofstream(folder / "samples.jsonl") << lines;
    }
    test::finished run(std::vector<std::string> args) const {
        args.insert(args.begin(), {LAB_GENERATE_APP, "select", "--in", (folder / "samples.jsonl").string(), "--out",
                                   (folder / "out.jsonl").string()});
        return test::execute(args, folder.path(), [] { return false; });
    }
    std::vector<std::string> lines_of(const std::string& name) const {
        std::ifstream in(folder / name);
        std::vector<std::string> all;
        for (std::string line; std::getline(in, line);) all.push_back(line);
        return all;
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(one_of_each_kind_is_chosen_as_it_stands) {
    const workplace here;
    const auto all = here.lines_of("samples.jsonl");
    const auto done = here.run({"--count", "3", "--per-leaf", "--json", "--threads", "1"});
    BOOST_TEST_REQUIRE(done.code == 0, done.err);
    const auto chosen = here.lines_of("out.jsonl");
    std::set<char> kinds;
    std::vector<std::size_t> places;
    for (const auto& line : chosen) {
        const auto at = std::find(all.begin(), all.end(), line);
        BOOST_TEST_REQUIRE((at != all.end()));
        places.push_back(static_cast<std::size_t>(at - all.begin()));
        kinds.insert(places.back() < 4 ? 'f' : places.back() < 7 ? 'g' : places.back() < 9 ? 'c' : 'b');
    }
    BOOST_TEST(chosen.size() == 5u);  // three of the ferry, both of the bread
    BOOST_TEST(kinds.size() == 4u);
    BOOST_TEST(std::is_sorted(places.begin(), places.end()));
    const auto report = json::parse(done.out);
    BOOST_TEST(report["samples"] == 11);
    BOOST_TEST(report["chosen"] == 5);
    BOOST_TEST(report["leaves"].size() == 2u);
    BOOST_TEST(report["leaves"][0]["before"]["self_bleu"].get<double>() >
               report["leaves"][0]["after"]["self_bleu"].get<double>());
    const auto bytes = read_file(here.folder / "out.jsonl");
    BOOST_TEST(here.run({"--count", "3", "--per-leaf", "--threads", "3"}).code == 0);
    BOOST_TEST(read_file(here.folder / "out.jsonl") == bytes);
}

BOOST_AUTO_TEST_CASE(near_duplicates_are_left_out) {
    const workplace here;
    const auto all = here.lines_of("samples.jsonl");
    BOOST_TEST(here.run({"--near-duplicate", "1"}).code == 0);
    auto expected = all;
    expected.erase(expected.begin() + 8);  // the same words as the line before
    BOOST_TEST(here.lines_of("out.jsonl") == expected, boost::test_tools::per_element());
    const auto done = here.run({"--near-duplicate", "0.7", "--json"});
    BOOST_TEST(json::parse(done.out)["near_duplicates"].get<std::size_t>() >= 4u);
}

BOOST_AUTO_TEST_CASE(wrong_calls_and_broken_files_are_told) {
    const workplace here;
    BOOST_TEST(here.run({}).code == 2);
    BOOST_TEST(here.run({"--count", "0"}).code == 2);
    BOOST_TEST(here.run({"--count", "2", "--by", "colour"}).code == 2);
    BOOST_TEST(here.run({"--count", "2", "--by", "embedding"}).code == 2);
    BOOST_TEST(here.run({"--near-duplicate", "1.5"}).code == 2);
    BOOST_TEST(here.run({"--help"}).code == 0);
    std::ofstream(here.folder / "samples.jsonl", std::ios::app) << "{\"messages\": 7}\n";
    const auto done = here.run({"--count", "2"});
    BOOST_TEST(done.code == 1);
    BOOST_TEST(done.err.find("samples.jsonl:12") != std::string::npos, done.err);
    BOOST_TEST(!std::filesystem::exists(here.folder / "out.jsonl"));
}

BOOST_AUTO_TEST_SUITE_END()
