#include "lab/taxonomy/fix.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "lab/core/rng.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(fixing)

using namespace lab;
using namespace lab::taxonomy;
namespace fs = std::filesystem;

namespace {

std::string skill(std::string_view last = "a5") {
    std::string text = "version: 3\ntask_description: Say it.\ncreated_by: me\nseed_examples:\n";
    for (char c = '1'; c < '5'; ++c) text += std::string("  - question: q") + c + "\n    answer: a" + c + "\n";
    return text + "  - question: q5\n    answer: " + std::string(last) + "\n";
}

std::string fixed(std::string_view text) { return fix(text, root::compositional).text; }

std::size_t errors_of(std::string_view text) {
    problem_list found("q");
    (void)judge(text, root::compositional, found);
    return found.errors();
}

}  // namespace

BOOST_AUTO_TEST_CASE(layout_is_mended) {
    BOOST_TEST(fixed(skill()) == skill());
    auto text = skill();
    for (std::size_t at = 0; (at = text.find('\n', at)) != text.npos; at += 4) text.replace(at, 1, "  \r\n");
    BOOST_TEST(fixed(text) == skill());
    BOOST_TEST(fixed("\n\n\n\n" + skill() + "\n\n\n \n") == "\n\n" + skill());
    BOOST_TEST(fixed(skill().substr(0, skill().size() - 1)) == skill());
    const auto done = fix(skill() + "\n# end  ", root::compositional);
    BOOST_TEST(done.text == skill() + "\n# end\n");
    BOOST_TEST(done.lines == 2U);
    BOOST_TEST(done.quoted == 0U);
}

BOOST_AUTO_TEST_CASE(what_counts_is_left_alone) {
    for (const std::string_view last :
         {"|\n      a  \n      b", "|+\n      a\n\n\n\n\n", "\"a\n\n\n\n\n      b\"", "|\n      a\n\n\n\n      b"}) {
        const auto text = skill(last);
        const auto before = yaml::read(text);
        const auto after = fixed(text);
        BOOST_TEST(taxonomy::detail::same_values(before, yaml::read(after)), after);
        BOOST_TEST(after.find(last.substr(0, last.find_last_not_of('\n') + 1)) != std::string::npos, after);
    }
    // A blank that counts does not keep others from going.
    const auto mixed = fixed(skill("|\n      a  \n      b") + "# x  \n");
    BOOST_TEST(mixed == skill("|\n      a  \n      b") + "# x\n");
    for (const std::string_view broken : {"a: [", "\x01", "a: b: c  \n\n\n\n", "a: b \t\nc: d \n"})
        BOOST_TEST(fixed(broken) == broken);
    BOOST_TEST(fixed("") == "");
}

BOOST_AUTO_TEST_CASE(texts_that_yaml_reads_otherwise_get_quotes) {
    for (const std::string_view value : {"yes", "42", "07.30", "12:30", "2024-01-31", "1.5e+3", ".5"}) {
        const auto text = skill(value);
        BOOST_TEST(errors_of(text) == 1U);
        BOOST_TEST(fixed(text) == skill("\"" + std::string(value) + "\""));
    }
    BOOST_TEST(fixed(skill("no # why")) == skill("\"no\" # why"));
    BOOST_TEST(fixed(skill("on   ")) == skill("\"on\""));
    const std::string flow =
        "created_by: x\ntask_description: x\nseed_examples: [{question: 1, answer: no}, {question: "
        "yes, answer: 2}]\n";
    const auto done = fix(flow, root::compositional);
    BOOST_TEST(done.quoted == 4U);
    BOOST_TEST(errors_of(done.text) == 0U);
    BOOST_TEST(done.text ==
               "created_by: x\ntask_description: x\nseed_examples: [{question: \"1\", answer: \"no\"}, "
               "{question: \"yes\", answer: \"2\"}]\n");
    BOOST_TEST(fixed(skill("!!bool yes")) == skill("!!bool yes"));                   // somebody meant it
    BOOST_TEST(fixed(skill("")) == skill("").replace(skill("").size() - 2, 1, ""));  // nothing to quote
    BOOST_TEST(fixed("version: '3'\n" + skill().substr(11)) == "version: '3'\n" + skill().substr(11));
}

BOOST_AUTO_TEST_CASE(values_and_errors_never_get_worse) {
    std::vector<std::string> texts{skill("|\n      a  \n\n\n\n      b"), skill("yes")};
    for (const auto& file : taxonomy::detail::find_files(fs::path(LAB_SOURCE_DIR) / "data" / "taxonomy"))
        texts.push_back(read_file(file));
    counter_rng rng(3, "edits");
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(rng.next64() % n); };
    static constexpr std::string_view some[] = {" ", "\t", "\r", "\n", "\n\n\n\n", " \n", "yes", "#", "|", "\"", "5"};
    for (int round = 0; round < 300; ++round) {
        auto text = texts[below(texts.size())];
        for (auto n = 1 + below(5); n > 0; --n)
            text.insert(below(4) == 0 ? text.find('\n', below(text.size())) % text.size() : below(text.size()),
                        some[below(std::size(some))]);
        const auto done = fix(text, std::nullopt);
        const auto before = taxonomy::detail::read_if_possible(text),
                   after = taxonomy::detail::read_if_possible(done.text);
        BOOST_TEST(before.has_value() == after.has_value());
        if (before && after && done.quoted == 0) BOOST_TEST(taxonomy::detail::same_values(*before, *after), text);
        if (!before) BOOST_TEST(done.text == text);
        problem_list worse("q"), better("q");
        (void)judge(text, std::nullopt, worse);
        (void)judge(done.text, std::nullopt, better);
        BOOST_TEST(better.errors() + done.quoted == worse.errors());
        BOOST_TEST(fix(done.text, std::nullopt).text == done.text);
    }
}

BOOST_AUTO_TEST_CASE(files_are_mended_in_place) {
    const test::temporary_folder top;
    const auto write = [&](const fs::path& file, std::string_view text) {
        fs::create_directories((top / file).parent_path());
        std::ofstream(top / file, std::ios::binary) << text;
    };
    write("compositional_skills/a/qna.yaml", skill("yes") + "\n");
    write("compositional_skills/b/qna.yaml", skill());
    write("compositional_skills/c/qna.yml", skill() + "\n");
    fs::permissions(top / "compositional_skills/a/qna.yaml", fs::perms::owner_read | fs::perms::owner_write);
    const auto changed = fix_files(top.path());
    BOOST_TEST_REQUIRE(changed.size() == 1U);
    BOOST_TEST(changed[0].quoted == 1U);
    BOOST_TEST(changed[0].lines == 1U);
    BOOST_TEST(read_file(top / "compositional_skills/a/qna.yaml") == skill("\"yes\""));
    BOOST_TEST((fs::status(top / "compositional_skills/a/qna.yaml").permissions() ==
                (fs::perms::owner_read | fs::perms::owner_write)));
    BOOST_TEST(read_file(top / "compositional_skills/c/qna.yml") == skill() + "\n");
    BOOST_TEST(fix_files(top.path()).empty());
}

BOOST_AUTO_TEST_SUITE_END()
