#include "lab/taxonomy/documents.hpp"

#include <stdlib.h>
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "lab/taxonomy/fetch.hpp"
#include "lab/taxonomy/load.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(documents_of_leaves)

using namespace lab;
using namespace lab::taxonomy;
namespace fs = std::filesystem;

namespace {

void write(const fs::path& file, std::string_view text) {
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
}

leaf leaf_of(const fs::path& folder, std::string repo, std::vector<std::string> patterns,
             std::string commit = "c0ffee") {
    leaf l;
    l.folder = folder;
    l.source.emplace();
    l.source->repo = std::move(repo);
    l.source->commit = std::move(commit);
    l.source->pattern_positions.resize(patterns.size());
    l.source->patterns = std::move(patterns);
    return l;
}

std::string all(const problem_list& problems) {
    std::string out;
    for (const auto& p : problems.all()) out += to_text(p) + "\n";
    return out;
}

void expect_problem(const problem_list& problems, std::string_view what) {
    BOOST_TEST(all(problems).find(what) != std::string::npos, what << " not in: " << all(problems));
}

boost::test_tools::assertion_result has_git(boost::unit_test::test_unit_id) {
    boost::test_tools::assertion_result found(git::is_installed());
    found.message() << "git is not installed";
    return found;
}

/// A repository with two commits: one.md is changed in the second, and only the first has old.md.
struct repository {
    explicit repository(const fs::path& where) : folder(where) {
        fs::create_directories(folder);
        git({"init", "-q"});
        write(folder / "docs/one.md", "# One\r\n\r\nfirst\r\n");
        write(folder / "docs/old.md", "gone later");
        write(folder / "-n.md", "a name like an option");
        first = commit();
        write(folder / "docs/one.md", "# One\n\nsecond\n");
        fs::remove(folder / "docs/old.md");
        second = commit();
    }
    std::string git(std::vector<std::string> command) const {
        command.insert(command.begin(), {"-C", folder.string(), "-c", "user.name=t", "-c", "user.email=t@example.org",
                                         "-c", "commit.gpgsign=false", "-c", "core.autocrlf=false"});
        const auto result = git::run(command);
        BOOST_TEST_REQUIRE(result.ok(), to_text(result));
        return result.out;
    }
    std::string commit() const {
        git({"add", "-A"});
        git({"commit", "-q", "-m", "x"});
        return git({"rev-parse", "HEAD"}).substr(0, 40);
    }
    fs::path folder;
    std::string first, second;
};

void refused(const document_source& source, const fs::path& folder, std::string_view what,
             const fetch_options& how = {}) {
    try {
        fetch_documents(source, folder, how);
        BOOST_ERROR("fetched although: " << what);
    } catch (const lab::error& fault) {
        BOOST_TEST(std::string_view(fault.what()).find(what) != std::string_view::npos, fault.what());
    }
    for (const auto& entry : fs::directory_iterator(folder))
        BOOST_TEST(entry.path().filename() == ".lab-fetch.lock", "left behind: " << entry.path());
}

/// Sets a variable of the environment for as long as it lives.
struct environment_variable {
    environment_variable(const char* name, const std::string& value) : name_(name) {
        if (const char* now = std::getenv(name)) before_ = now;
        ::setenv(name, value.c_str(), 1);
    }
    ~environment_variable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }
    const char* name_;
    std::optional<std::string> before_{};
};

}  // namespace

BOOST_AUTO_TEST_CASE(every_kind_with_its_digest_and_converter) {
    const test::temporary_folder top;
    write(top / "a.md", "\xef\xbb\xbf# A\r\n");
    write(top / "-b.TXT", "b");
    std::vector<std::string> patterns{"*.md", "*.TXT"};
#if defined(LAB_HTML)
    write(top / "--help.html", "<h1>C</h1><p>d");
    patterns.emplace_back("*.html");
#endif
    const bool pdf = find_program("pdftotext").has_value();
    if (pdf) {
        fs::copy_file(test::fixture("taxonomy/harbour.pdf"), top / "-x.pdf");
        patterns.emplace_back("*.pdf");
    }
    auto l = leaf_of(top.path(), ".", patterns);
    problem_list problems("q");
    read_documents(l, {}, problems);
    BOOST_TEST(all(problems).empty(), all(problems));
    std::map<std::string, document> found;
    for (const auto& d : l.documents) found[d.path] = d;
    BOOST_TEST(found.size() == patterns.size());
    BOOST_TEST(found["a.md"].text == "# A\n");
    BOOST_TEST(found["a.md"].sha256 == sha256_hex("\xef\xbb\xbf# A\r\n"));
    BOOST_TEST(found["a.md"].converter == "text");
    BOOST_TEST(found["-b.TXT"].text == "b");
#if defined(LAB_HTML)
    BOOST_TEST(found["--help.html"].text == "# C\n\nd\n");
    BOOST_TEST(found["--help.html"].sha256 == sha256_hex("<h1>C</h1><p>d"));
    BOOST_TEST(found["--help.html"].converter.starts_with("html 1 libxml2 2."));
#endif
    if (pdf) {
        BOOST_TEST(found["-x.pdf"].text.starts_with("# Harbour rules"));
        BOOST_TEST(found["-x.pdf"].converter.starts_with("pdf 1 pdftotext 2"));
        BOOST_TEST(found["-x.pdf"].sha256 == sha256_of_file(test::fixture("taxonomy/harbour.pdf")));
    }
}

BOOST_AUTO_TEST_CASE(a_missing_program_is_the_leafs_error) {
    const test::temporary_folder top;
    write(top / "a.pdf", "%PDF-1.4");
    write(top / "b.md", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
    auto l = leaf_of(top.path(), ".", {"*"});
    problem_list problems("q");
    read_documents(l, {}, problems, {}, {.program = "lab-no-pdftotext"});
    expect_problem(problems, "the document 'a.pdf' a PDF is read by the program lab-no-pdftotext");
    expect_problem(problems, "package poppler-utils");
    expect_problem(problems, "pointer of Git LFS");
    BOOST_TEST(l.documents.empty());
}

BOOST_AUTO_TEST_CASE(the_commit_that_the_leaf_asks_for, *boost::unit_test::precondition(has_git)) {
    const test::temporary_folder top;
    const repository repo(top / "clones/facts");
    const auto read = [&](const std::string& commit, std::vector<std::string> patterns, problem_list& problems) {
        auto l = leaf_of(top.path(), "https://example.org/facts.git", std::move(patterns), commit);
        read_documents(l, top / "clones", problems);
        return l.documents;
    };
    problem_list none("q");
    for (const auto& name : {repo.first, repo.first.substr(0, 10)}) {
        const auto old = read(name, {"**/*.md"}, none);
        BOOST_TEST_REQUIRE(old.size() == 3U);
        BOOST_TEST(old[0].path == "-n.md");
        BOOST_TEST(old[1].path == "docs/old.md");
        BOOST_TEST(old[2].text == "# One\n\nfirst\n");
        BOOST_TEST(old[2].sha256 == sha256_hex("# One\r\n\r\nfirst\r\n"));
    }
    // The commit that is checked out: its files as they lie there, changed or not.
    write(repo.folder / "docs/one.md", "edited");
    const auto now = read(repo.second, {"docs/*.md"}, none);
    BOOST_TEST_REQUIRE(now.size() == 1U);
    BOOST_TEST(now[0].text == "edited");
    BOOST_TEST(all(none).empty(), all(none));

    problem_list odd("q");
    BOOST_TEST(read("0123456789012345678901234567890123456789", {"docs/*.md"}, odd).size() == 1U);
    expect_problem(odd, "stands at commit " + repo.second + ", the leaf asks for '0123456789");
    problem_list options("q");
    (void)read("--output=/tmp/x", {"docs/*.md"}, options);
    expect_problem(options, "warning: the checkout");

    problem_list patterns("q");
    (void)read(repo.first, {"*.txt", "../x.md"}, patterns);
    expect_problem(patterns, "'*.txt' matches no file in commit " + repo.first);
    expect_problem(patterns, "leads out of its folder");
    fs::create_symlink("/etc/passwd", repo.folder / "link.md");
    const auto third = repo.commit();
    repo.git({"checkout", "-q", repo.second});
    problem_list links("q");
    BOOST_TEST(read(third, {"link.md"}, links).empty());
    expect_problem(links, "'link.md' is a link in commit");
    problem_list large("q");
    auto l = leaf_of(top.path(), "x/facts", {"docs/*.md"}, repo.first);
    read_documents(l, top / "clones", large, {.file_bytes = 12});
    expect_problem(large, "'docs/one.md' is too large: 16 bytes");
}

BOOST_AUTO_TEST_CASE(fetched_once_and_then_offline, *boost::unit_test::precondition(has_git)) {
    const test::temporary_folder top;
    const auto checkouts = top / "documents";
    std::vector<std::string> told;
    const fetch_options how{.notice = [&](const std::string& line) { told.push_back(line); }};
    std::string first, second;
    const auto address = "file://" + (top / "origin/facts").string();
    {
        const repository origin(top / "origin/facts");
        first = origin.first, second = origin.second;
        const auto l = leaf_of(top.path(), address, {"docs/*.md"}, first);
        write(checkouts / ".lab-fetch-dead/facts/x", "left by a killed run");
        fetch_documents(*l.source, checkouts, how);
        BOOST_TEST(!fs::exists(checkouts / ".lab-fetch-dead"));
        BOOST_TEST(read_file(checkouts / "facts/docs/old.md") == "gone later");
    }
    fs::remove_all(top / "origin");  // no network any more
    for (const auto& commit : {first, second}) {
        auto l = leaf_of(top.path(), address, {"docs/*.md"}, commit);
        fetch_documents(*l.source, checkouts, how);
        problem_list problems("q");
        read_documents(l, checkouts, problems);
        BOOST_TEST(all(problems).empty(), all(problems));
        BOOST_TEST(l.documents.size() == (commit == first ? 2U : 1U));
    }
    BOOST_TEST(told.size() == 1U);
    BOOST_TEST(told[0].starts_with("cloning 'file://"));
}

BOOST_AUTO_TEST_CASE(a_clone_without_the_commit_is_brought_up_to_date, *boost::unit_test::precondition(has_git)) {
    const test::temporary_folder top;
    const repository origin(top / "origin/facts");
    const auto address = (top / "origin/facts").string();
    const auto checkouts = top / "documents";
    fetch_documents(*leaf_of({}, address, {"*"}, origin.second).source, checkouts);
    write(origin.folder / "new.md", "new");
    const auto third = origin.commit();
    origin.git({"reset", "-q", "--hard", origin.second});  // then no branch holds it any more
    fetch_documents(*leaf_of({}, address, {"*"}, third).source, checkouts);
    BOOST_TEST(git::full_commit(checkouts / "facts", third).value_or("") == third);
    BOOST_TEST(git::full_commit(checkouts / "facts", "HEAD").value_or("") == origin.second);
    try {
        fetch_documents(*leaf_of({}, address, {"*"}, std::string(40, 'e')).source, checkouts);
        BOOST_ERROR("found a commit that is not there");
    } catch (const io_error& fault) {
        BOOST_TEST(std::string_view(fault.what()).find("has no commit 'eeee") != std::string_view::npos, fault.what());
    }
    write(checkouts / "plain/a.md", "no clone: left alone");
    fetch_documents(*leaf_of({}, "https://invalid.example/plain", {"*"}).source, checkouts);
}

BOOST_AUTO_TEST_CASE(what_may_not_be_fetched, *boost::unit_test::precondition(has_git)) {
    const test::temporary_folder top;
    const auto folder = top / "documents";
    fs::create_directories(folder);
    const auto source = [](std::string repo, std::string commit = "c0ffee") {
        return *leaf_of({}, std::move(repo), {"*"}, std::move(commit)).source;
    };
    for (const char* address : {"http://example.org/x", "git://example.org/x", "ext::sh -c touch% x", "ext::sh/x",
                                "../x", "x/y", "ftp://example.org/x", "fd::17/x", "host:x"})
        refused(source(address), folder, "the address");
    refused(source("--upload-pack=touch x/y"), folder, "the address holds a blank");
    refused(source("--upload-pack=touch/y"), folder, "the address looks like an option");
    refused(source("https://example.org/x", "--help"), folder, "is no commit's name");
    refused(source("https://example.org/x", "a..b"), folder, "is no commit's name");
    refused(source("file:///nowhere/at/all"), folder, "cannot be cloned: git ended with status 128: fatal: ");
    const repository origin(top / "origin/facts");
    refused(source("file://" + origin.folder.string(), "0123456789"), folder, "has no commit '0123456789'");
    BOOST_TEST(without_password("https://me:secret@example.org/x@y") == "https://example.org/x@y");
    BOOST_TEST(without_password("git@host:x") == "git@host:x");
    {
        const environment_variable slow("GIT_SSH_COMMAND", "sleep 60 #");
        refused(source("ssh://example.org/x"), folder, "took too long", {.seconds = 0.3});
        refused(source("git@example.org:a/x"), folder, "interrupted",
                {.keep_going = [n = 0]() mutable { return ++n < 3; }});
    }
    {
        const environment_variable path("PATH", "/nonexistent");
        refused(source("https://example.org/x"), folder, "install the package git");
    }
}

BOOST_AUTO_TEST_CASE(no_hook_runs, *boost::unit_test::precondition(has_git)) {
    const test::temporary_folder top;
    const repository origin(top / "origin/facts");
    const auto hook = top / "template/hooks/post-checkout";
    write(hook, "#!/bin/sh\ntouch '" + (top / "hooked").string() + "'\n");
    fs::permissions(hook, fs::perms::owner_all);
    const environment_variable with("GIT_TEMPLATE_DIR", (top / "template").string());
    fetch_documents(*leaf_of({}, origin.folder.string(), {"*"}, origin.first).source, top / "documents");
    BOOST_TEST(fs::exists(top / "documents/facts/docs/old.md"));
    BOOST_TEST(!fs::exists(top / "hooked"));
}

BOOST_AUTO_TEST_CASE(loading_fetches_only_when_told, *boost::unit_test::precondition(has_git)) {
    const test::temporary_folder top;
    const repository origin(top / "origin/facts");
    std::string text = "version: 3\ndomain: d\ncreated_by: me\nseed_examples:\n";
    for (char c = 'a'; c < 'f'; ++c) {
        text += std::string("  - context: c") + c + "\n    questions_and_answers:\n";
        for (char d = 'a'; d < 'd'; ++d) text += std::string("      - question: q") + d + "\n        answer: x\n";
    }
    const auto leaf_with = [&](const std::string& repo) {
        write(top / "knowledge/a/qna.yaml", text + "document_outline: o\ndocument:\n  repo: " + repo +
                                                "\n  commit: " + origin.first + "\n  patterns: ['docs/*.md']\n");
    };
    leaf_with(origin.folder.string());
    options how{.keep_going = true, .documents_dir = top / "documents"};
    BOOST_TEST(load(top / "knowledge", how).leaves.empty());
    how.fetch.emplace();
    const auto found = load(top / "knowledge", how);
    BOOST_TEST_REQUIRE(found.leaves.size() == 1U);
    BOOST_TEST(found.leaves[0].documents.size() == 2U);
    leaf_with("/nowhere/else");
    const auto failed = load(top / "knowledge", how);
    BOOST_TEST(failed.leaves.empty());
    BOOST_TEST_REQUIRE(failed.problems.size() == 1U);
    BOOST_TEST(
        failed.problems[0].message.find("cannot be fetched: '/nowhere/else': cannot be cloned") != std::string::npos,
        failed.problems[0].message);
}

BOOST_AUTO_TEST_SUITE_END()
