// lab-generate inspect, diff and report as processes: what they select, say and return.
#include <filesystem>
#include <fstream>

#include "lab/formats/jsonl.hpp"
#include "support/data.hpp"
#include "support/process.hpp"

BOOST_AUTO_TEST_SUITE(inspect_app)

using namespace lab;
using formats::json;

namespace {

json sample(const std::string& id, const std::string& leaf, double gain, const std::string& refused_by = {}) {
    json s{
        {"id", id},
        {"messages", {{{"role", "user"}, {"content", "Question " + id}}, {{"role", "assistant"}, {"content", "yes"}}}},
        {"metadata", {{"leaf", leaf}, {"origin", "document"}, {"scores", {{"gain", gain}}}}}};
    if (!refused_by.empty()) s["refused_by"] = refused_by, s["reason"] = "because";
    return s;
}

struct two_runs {
    test::temporary_folder folder;

    two_runs() {
        write("a", {sample("one", "ferry", 2), sample("two", "ferry", 1), sample("three", "bread", 3)},
              {sample("four", "bread", 0.5, "grounded"), sample("five", "bread", 0.1, "quota")});
        write("b", {sample("one", "ferry", 2), sample("four", "bread", 0.5)}, {sample("two", "ferry", 1, "quota")});
    }
    void write(const std::string& name, const std::vector<json>& kept, const std::vector<json>& refused) const {
        std::filesystem::create_directories(folder / name);
        formats::write_jsonl(folder / name / "samples.jsonl", kept);
        formats::write_jsonl(folder / name / "rejected.jsonl", refused);
        std::ofstream(folder / name / "manifest.json") << R"({"leaves": [], "teacher": "t"})";
    }
    test::finished run(std::vector<std::string> args) const {
        args.insert(args.begin(), LAB_GENERATE_APP);
        return test::execute(args, folder.path(), [] { return false; });
    }
    std::string path(const std::string& name) const { return (folder / name).string(); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(samples_are_found_by_leaf_check_score_and_text) {
    const two_runs here;
    const auto ids = [&](std::vector<std::string> args) {
        args.insert(args.begin(), {"inspect", here.path("a"), "--json"});
        const auto done = here.run(args);
        BOOST_TEST_REQUIRE(done.code == 0, done.err);
        std::string found;
        formats::for_each_json_line(
            done.out, "out", [&](const json& line, std::size_t) { found += line["id"].get<std::string>() + " "; });
        return found;
    };
    BOOST_TEST(ids({}) == "one two three four five ");
    BOOST_TEST(ids({"--leaf", "bread", "--kept"}) == "three ");
    BOOST_TEST(ids({"--refused-by", "grounded"}) == "four ");
    BOOST_TEST(ids({"--refused"}) == "four five ");
    BOOST_TEST(ids({"--score", "gain>=1", "--score", "gain<=2"}) == "one two ");
    BOOST_TEST(ids({"--text", "Question th"}) == "three ");
    BOOST_TEST(ids({"--count", "2"}) == "one two ");
}

BOOST_AUTO_TEST_CASE(people_see_why_and_how_many) {
    const two_runs here;
    const auto done = here.run({"inspect", here.path("a"), "--refused"});
    BOOST_TEST_REQUIRE(done.code == 0, done.err);
    BOOST_TEST(done.out.find("refused by grounded: because") != std::string::npos);
    BOOST_TEST(done.out.find("2 samples") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_difference_says_what_the_other_run_did) {
    const two_runs here;
    const auto done = here.run({"diff", here.path("a"), here.path("b"), "--json"});
    BOOST_TEST(done.code == 1);
    const auto out = formats::parse_json(done.out, "out");
    BOOST_TEST(out["leaves"]["ferry"] == json({{"both", 1}, {"only_first", 1}, {"only_second", 0}}));
    BOOST_TEST(out["only_first"][1] == json({{"id", "two"}, {"other", "refused by quota"}}));
    BOOST_TEST(out["only_first"][0] == json({{"id", "three"}, {"other", "not proposed"}}));
    BOOST_TEST(out["only_second"][0] == json({{"id", "four"}, {"other", "refused by grounded"}}));
    BOOST_TEST(here.run({"diff", here.path("a"), here.path("a")}).code == 0);
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_said) {
    const two_runs here;
    BOOST_TEST(here.run({"inspect"}).code == 2);
    BOOST_TEST(here.run({"inspect", here.path("a"), "--score", "gain"}).code == 2);
    BOOST_TEST(here.run({"diff", here.path("a")}).code == 2);
    BOOST_TEST(here.run({"inspect", here.path("nowhere")}).code == 1);
    BOOST_TEST(here.run({"report", here.path("nowhere")}).code == 1);
    BOOST_TEST(here.run({"report", here.path("a")}).code == 0);
    BOOST_TEST(std::filesystem::exists(here.folder / "a" / "report.html"));
}

BOOST_AUTO_TEST_SUITE_END()
