#include "lab/taxonomy/load.hpp"

#include <sys/stat.h>
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "lab/taxonomy/check.hpp"
#include "lab/taxonomy/documents.hpp"
#include "lab/taxonomy/heldout.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(load_and_check)

using namespace lab::taxonomy;
namespace fs = std::filesystem;

namespace {

const fs::path own = fs::path(LAB_SOURCE_DIR) / "data" / "taxonomy";

void write(const fs::path& file, std::string_view text) {
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
}

std::string skill(std::string_view author = "me", std::string_view question = "q") {
    std::string text =
        "version: 2\ntask_description: say it twice\ncreated_by: " + std::string(author) + "\nseed_examples:\n";
    for (char c = 'a'; c < 'f'; ++c)
        text.append("  - question: ").append(question).append(1, c).append("\n    answer: x\n");
    return text;
}

std::string knowledge(std::string_view repo, std::string_view patterns) {
    std::string text = "version: 3\ndomain: d\ncreated_by: me\nseed_examples:\n";
    for (char c = 'a'; c < 'f'; ++c) {
        text += std::string("  - context: c") + c + "\n    questions_and_answers:\n";
        for (char d = 'a'; d < 'd'; ++d) text += std::string("      - question: q") + c + d + "\n        answer: x\n";
    }
    return text + "document_outline: o\ndocument:\n  repo: " + std::string(repo) +
           "\n  commit: " + std::string(40, 'c') + "\n  patterns: " + std::string(patterns) + "\n";
}

bool has_error(const std::vector<problem>& problems, std::string_view what) {
    for (const auto& p : problems)
        if (p.message.find(what) != std::string::npos && p.severity == severity_level::error) return true;
    for (const auto& p : problems) BOOST_TEST_MESSAGE(to_text(p));
    return false;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_projects_own_taxonomy) {
    const auto found = load(own);
    BOOST_TEST(found.problems.empty());
    BOOST_TEST_REQUIRE(found.leaves.size() == 6U);
    std::size_t knowledge_leaves = 0, foundational = 0, grounded = 0;
    for (const auto& l : found.leaves) {
        BOOST_TEST(l.version == 3);
        BOOST_TEST(l.seeds.size() >= 5U);
        knowledge_leaves += l.kind == root::knowledge ? 1 : 0;
        foundational += l.kind == root::foundational ? 1 : 0;
        grounded += l.grounded ? 1 : 0;

        const auto questions = heldout_beside(l.folder);
        BOOST_TEST(questions.size() >= 7U, l.id);
        for (const auto& q : questions)
            for (const auto& phrasing : q.phrasings)
                for (const auto& s : l.seeds)
                    for (const auto& pair : s.questions_and_answers)
                        BOOST_TEST((pair.question != phrasing || s.context != q.context),
                                   "a held-out question is a seed: " << phrasing);
        if (l.kind != root::knowledge) continue;
        std::string text;
        for (const auto& d : l.documents) text += d.text + "\n";
        std::replace(text.begin(), text.end(), '\n', ' ');
        const auto facts = facts_beside(l.folder);
        BOOST_TEST(facts.size() == questions.size());
        for (std::size_t i = 0; i < facts.size(); ++i) {
            BOOST_TEST(facts[i].id == questions[i].id);
            BOOST_TEST(facts[i].answer == questions[i].answer);
            BOOST_TEST(text.find(facts[i].answer) != std::string::npos, facts[i].answer << " is in no document");
            bool seeded = false;
            for (const auto& s : l.seeds)
                for (const auto& pair : s.questions_and_answers)
                    seeded = seeded || pair.answer.find(facts[i].answer) != std::string::npos;
            BOOST_TEST(seeded == facts[i].in_seeds, facts[i].id);
        }
        for (const auto& s : l.seeds)
            for (const auto& pair : s.questions_and_answers)
                BOOST_TEST(s.context.find(pair.answer) != std::string::npos, pair.answer);
    }
    BOOST_TEST(knowledge_leaves == 2U);
    BOOST_TEST(foundational == 1U);
    BOOST_TEST(grounded == 1U);
    const auto& ferries = *std::find_if(found.leaves.begin(), found.leaves.end(),
                                        [](const leaf& l) { return l.id.ends_with("ferries"); });
    BOOST_TEST(ferries.id == "knowledge->travel->islands->pellamy_ferries");
    BOOST_TEST(ferries.documents.size() == 2U);
    BOOST_TEST(ferries.documents[0].path == "documents/ferries.md");
    for (const auto& report : check(own)) BOOST_TEST((report.valid && report.problems.empty()), report.path);
}

BOOST_AUTO_TEST_CASE(real_leaves_are_valid, *boost::unit_test::precondition(lab::test::needs("taxonomy"))) {
    const auto reports = check(lab::test::shared_data("taxonomy"));
    BOOST_TEST(reports.size() == 15U);
    for (const auto& report : reports) BOOST_TEST(report.valid, to_json_line(report));
    const auto found = load(lab::test::shared_data("taxonomy"), {.read_documents = false});
    BOOST_TEST(found.leaves.size() == 15U);
    for (const auto& l : found.leaves) BOOST_TEST(((l.kind == root::knowledge) == l.id.starts_with("knowledge->")));
}

BOOST_AUTO_TEST_CASE(good_leaves_survive_bad_ones) {
    const lab::test::temporary_folder top;
    write(top / "compositional_skills/a/qna.yaml", skill());
    write(top / "compositional_skills/b/qna.yaml", skill("7"));
    write(top / "foundational_skills/c/qna.yaml", skill("me", "r"));
    write(top / "foundational_skills/d/QNA.yml", skill());
    write(top / "foundational_skills/e/other.yaml", "x");
    write(top / "foundational_skills/f/qna.yaml", "");
    BOOST_CHECK_THROW((void)load(top.path()), taxonomy_error);
    try {
        (void)load(top.path());
    } catch (const taxonomy_error& fault) {
        BOOST_TEST(fault.problems.size() == 3U);
        BOOST_TEST(
            std::string(fault.what()).find("b/qna.yaml:3:13: error: 'created_by' must be text") != std::string::npos,
            fault.what());
    }
    const auto found = load(top.path(), {.keep_going = true});
    BOOST_TEST_REQUIRE(found.leaves.size() == 2U);
    BOOST_TEST(found.leaves[0].id == "compositional_skills->a");
    BOOST_TEST((found.leaves[1].kind == root::foundational));
    BOOST_TEST(has_error(found.problems, "must be called qna.yaml"));

    const auto reports = check(top.path());
    BOOST_TEST(reports.size() == 5U);
    BOOST_TEST(!all_valid(reports));
    BOOST_TEST(to_text(reports).find("3 of 5 files valid, 1 warning") != std::string::npos, to_text(reports));
    const auto line = lab::formats::parse_json(to_json_line(reports[1]), "report");
    BOOST_TEST(line.at("valid") == false);
    BOOST_TEST(line.at("problems").at(0).at("line") == 3);
    BOOST_TEST(line.at("problems").at(0).at("column") == 13);
    BOOST_TEST(line.at("problems").at(0).at("severity") == "error");

    BOOST_TEST(load(top / "compositional_skills/a/qna.yaml").leaves.at(0).id == "compositional_skills->a");
    BOOST_CHECK_THROW((void)load(top / "nothing"), lab::io_error);
    fs::create_directories(top / "empty");
    BOOST_CHECK_THROW((void)check(top / "empty"), lab::format_error);
}

BOOST_AUTO_TEST_CASE(documents_of_a_checkout) {
    const lab::test::temporary_folder top;
    const auto file = top / "taxonomy/knowledge/a/qna.yaml";
    write(file, knowledge("https://example.org/x/facts.git/", "['**/*.md', top.txt]"));
    const options how{.keep_going = true, .documents_dir = top / "clones"};
    BOOST_TEST(has_error(load(file, {.keep_going = true}).problems, "name DIR by --documents"));
    BOOST_TEST(has_error(load(file, how).problems, "there is no folder"));
    BOOST_TEST(load(file, {.read_documents = false}).leaves.size() == 1U);
    BOOST_TEST(all_valid(check(file)));
    BOOST_TEST(check(file)[0].problems.empty());

    write(top / "clones/facts/one.md", "\xef\xbb\xbf# One\r\n");
    write(top / "clones/facts/deep/er/two.md", "# Two\n");
    write(top / "clones/facts/.git/three.md", "x");
    write(top / "clones/facts/.git/HEAD", "0123456789012345678901234567890123456789\n");
    BOOST_TEST(has_error(load(file, how).problems, "'top.txt' matches no file"));
    const auto missing = check(file, top / "clones");
    BOOST_TEST(all_valid(missing));
    BOOST_TEST(missing[0].problems.size() == 2U);

    write(top / "clones/facts/top.txt", "three\n");
    const auto found = load(file, how);
    BOOST_TEST_REQUIRE(found.leaves.size() == 1U);
    const auto& documents = found.leaves[0].documents;
    BOOST_TEST_REQUIRE(documents.size() == 3U);
    BOOST_TEST(documents[0].path == "deep/er/two.md");
    BOOST_TEST(documents[1].text == "# One\n");
    BOOST_TEST_REQUIRE(found.problems.size() == 1U);
    BOOST_TEST(found.problems[0].message.find("stands at commit 0123") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(documents_outside_are_refused) {
    const lab::test::temporary_folder top;
    write(top / "secret.md", "secret");
    const auto file = top / "knowledge/a/qna.yaml";
    const auto problems = [&](std::string_view patterns) {
        write(file, knowledge(".", patterns));
        const auto found = load(file, {.keep_going = true});
        BOOST_TEST(found.leaves.empty());
        return found.problems;
    };
    BOOST_TEST(has_error(problems("[../../secret.md]"), "leads out of its folder"));
    BOOST_TEST(has_error(problems("[" + (top / "secret.md").string() + "]"), "leads out of its folder"));
    fs::create_symlink(top / "secret.md", top / "knowledge/a/link.md");
    BOOST_TEST(has_error(problems("['*.md']"), "is a link that leads out"));
    fs::remove(top / "knowledge/a/link.md");
    fs::create_directory_symlink(top.path(), top / "knowledge/a/folder");
    BOOST_TEST(has_error(problems("['**/*.md']"), "matches no file"));
    write(top / "knowledge/a/doc.pdf", "%PDF");
    BOOST_TEST(has_error(problems("[doc.pdf]"), "is no PDF"));
    write(top / "knowledge/a/doc.docx", "PK");
    BOOST_TEST(has_error(problems("[doc.docx]"), "neither Markdown, plain text, HTML nor PDF"));
    write(top / "knowledge/a/bad.md", "a\xff");
    BOOST_TEST(has_error(problems("[bad.md]"), "not UTF-8 at offset 1"));
    write(top / "knowledge/a/blank.md", " \n");
    BOOST_TEST(has_error(problems("[blank.md]"), "is empty"));
    for (const auto* repo : {"..", "https://example.org/..", "'/'"}) {
        write(file, knowledge(repo, "[secret.md]"));
        BOOST_TEST(
            has_error(load(file, {.keep_going = true, .documents_dir = top / "knowledge"}).problems, "has no name"),
            repo);
    }

    problem_list limits_reached("x");
    write(file, knowledge(".", "['*.md']"));
    auto l = load(file, {.read_documents = false}).leaves.at(0);
    fs::remove(top / "knowledge/a/bad.md");
    write(top / "knowledge/a/blank.md", "twelve bytes");
    read_documents(l, {}, limits_reached, {.file_bytes = 11});
    BOOST_TEST(has_error(limits_reached.all(), "too large"));
    BOOST_TEST(l.documents.empty());
}

BOOST_AUTO_TEST_CASE(names_of_repositories) {
    BOOST_TEST(repository_name("https://github.com/a/Summit_knowledge.git") == "Summit_knowledge");
    BOOST_TEST(repository_name("git@host:name.git/") == "name");
    BOOST_TEST(repository_name("name") == "name");
    BOOST_TEST(repository_name("https://x/..").empty());
}

BOOST_AUTO_TEST_CASE(heldout_files_are_checked) {
    const lab::test::temporary_folder top;
    const auto refused = [&](std::string_view line, std::string_view what) {
        write(top / "heldout.jsonl", "\n" + std::string(line) + "\n");
        try {
            (void)heldout_beside(top.path());
            BOOST_ERROR("accepted " << line);
        } catch (const lab::format_error& fault) {
            BOOST_TEST(std::string_view(fault.what()).find(what) != std::string_view::npos, fault.what());
            BOOST_TEST(std::string_view(fault.what()).find("heldout.jsonl:") != std::string_view::npos, fault.what());
        }
    };
    BOOST_TEST(heldout_beside(top.path()).empty());
    BOOST_TEST(facts_beside(top.path()).empty());
    refused(R"({"id": "a", "phrasings": [], "answer": "x", "distractors": ["1", "2", "3"]})", "at least one question");
    refused(R"({"id": "a", "phrasings": ["q"], "answer": "x", "distractors": ["1", "2"]})", "exactly three");
    refused(R"({"id": "a", "phrasings": ["q"], "answer": "1", "distractors": ["1", "2", "3"]})", "must all differ");
    refused(R"({"id": "a", "phrasings": ["q"], "answer": "", "distractors": ["1", "2", "3"]})", "'answer' is empty");
    refused(R"({"id": "a", "phrasings": [""], "answer": "x", "distractors": ["1", "2", "3"]})", "empty text");
    refused(R"({"id": "a", "phrasings": ["q"], "answer": "x", "distractors": ["1", "2", "3"], "extra": 1})",
            "not known");
    refused(R"({"phrasings": ["q"], "answer": "x", "distractors": ["1", "2", "3"]})", "'id' is missing");
    refused(R"({"id": "a", "phrasings": "q", "answer": "x", "distractors": ["1", "2", "3"]})", "expected an array");
    refused("{\"id\": \"a\"", ":2:");
    const std::string good = R"({"id": "a", "phrasings": ["q"], "answer": "x", "distractors": ["1", "2", "3"]})";
    refused(good + "\n" + good, "stands twice");
    write(top / "heldout.jsonl", good);
    BOOST_TEST(heldout_beside(top.path()).at(0).distractors.size() == 3U);
    write(top / "facts.jsonl", R"({"fact": "a", "subject": "s", "answer": "x", "in_seeds": true})");
    BOOST_TEST(facts_beside(top.path()).at(0).in_seeds);
    write(top / "facts.jsonl", R"({"fact": "a", "subject": "s"})");
    BOOST_CHECK_THROW((void)facts_beside(top.path()), lab::format_error);
}

BOOST_AUTO_TEST_CASE(a_pipe_is_refused_not_waited_for) {
    const lab::test::temporary_folder top;
    fs::create_directories(top / "compositional_skills");
    const auto pipe = top / "compositional_skills" / "qna.yaml";
    BOOST_TEST_REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    const auto reports = check(top.path());
    BOOST_TEST_REQUIRE(reports.size() == 1U);
    BOOST_TEST(!reports[0].valid);
    BOOST_TEST(reports[0].problems.at(0).message.find("no ordinary file") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
