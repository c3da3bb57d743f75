#include "lab/sdg/run_report.hpp"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>

#include "lab/core/error.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(run_report)

namespace {
using namespace lab;
using formats::json;

json line(const std::string& id, const std::string& question, const std::string& refused_by = {}) {
    json sample{{"id", id},
                {"messages", {{{"role", "user"}, {"content", question}}, {{"role", "assistant"}, {"content", "yes"}}}},
                {"metadata", formats::to_text({{"leaf", "knowledge->a->b"},
                                               {"kind", "knowledge"},
                                               {"origin", "document"},
                                               {"scores", {{"gain", refused_by.empty() ? 2.0 : 0.5}}},
                                               {"provenance", {{"document", "d.md"}}}})}};
    if (!refused_by.empty()) sample["refused_by"] = refused_by, sample["reason"] = "it <b>must</b>";
    return sample;
}

void write_run(const std::filesystem::path& folder, const json& leaves) {
    formats::write_jsonl(
        folder / "samples.jsonl",
        std::vector<json>{line("k1", "Is <script>alert(1)</script> shown & safe?"), line("k2", "Two?")});
    formats::write_jsonl(folder / "rejected.jsonl",
                         std::vector<json>{line("r1", "Three?", "grounded"), line("r2", "Four?", "quota")});
    write_file_atomically(folder / "manifest.json",
                          formats::to_text({{"teacher", "scripted"}, {"options", {{"seed", 1}}}, {"leaves", leaves}}));
}
std::size_t occurrences(const std::string& text, const std::string& part) {
    std::size_t n = 0;
    for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
    return n;
}
}  // namespace

BOOST_AUTO_TEST_CASE(the_page_has_the_counts_and_no_markup_of_the_samples) {
    const test::temporary_folder folder;
    write_run(folder.path(), {{{"id", "knowledge->a->b"},
                               {"kind", "knowledge"},
                               {"wanted", 3},
                               {"generated", 2},
                               {"seeds", 1},
                               {"proposed", 4},
                               {"refused_by", {{"grounded", 1}, {"quota", 1}}},
                               {"shortfall", "only <2> of 3"}}});
    const auto page = sdg::html_report_of(folder.path());
    BOOST_TEST(page.find("<script") == page.npos);
    BOOST_TEST(page.find("Is &lt;script&gt;alert(1)&lt;/script&gt; shown &amp; safe?") != page.npos);
    BOOST_TEST(page.find("only &lt;2&gt; of 3") != page.npos);
    // proposed, grounded, quota, generated, seeds refused: of the leaf, then of all
    const std::string row =
        "<td class=\"n\">4</td><td class=\"n\">1</td><td class=\"n\">1</td><td class=\"n\">2</td><td "
        "class=\"n\">0</td>";
    BOOST_TEST(occurrences(page, row) == 2u);
    BOOST_TEST(occurrences(page, "class=\"sample\"") == 2u);
    BOOST_TEST(page.find("gain <small>2 kept, 2 refused</small>") != page.npos);
    BOOST_TEST(page.find("http") == page.npos);  // nothing is fetched
    BOOST_TEST(page == sdg::html_report_of(folder.path()));
}

BOOST_AUTO_TEST_CASE(judges_have_their_curves_and_say_why_they_are_not_obeyed) {
    const test::temporary_folder folder;
    write_run(folder.path(),
              {{{"id", "compositional_skills->a"}, {"judges", {{"mark", {{"auc", 0.9}, {"trusted", true}}}}}}});
    auto manifest = formats::parse_json(read_file(folder / "manifest.json"), "manifest");
    manifest["judges"] = {{"mark",
                           {{"auc", 0.5},
                            {"auc_interval", {0.25, 0.75}},
                            {"threshold", 2},
                            {"trusted", false},
                            {"weakness", "too weak <to judge>"},
                            {"roc", {{1, 1, 1}, {2, 0.5, 0.25}}},
                            {"kinds", {{"altered", {{"auc", 0.4}, {"kept", 1}, {"examples", 7}}}}}}},
                          {"odd", {{"roc", {{"x"}}}}}};
    write_file_atomically(folder / "manifest.json", formats::to_text(manifest));
    const auto page = sdg::html_report_of(folder.path());
    BOOST_TEST(page.find("too weak &lt;to judge&gt;") != page.npos);
    BOOST_TEST(page.find("0.25 to 0.75") != page.npos);
    BOOST_TEST(page.find("<td>mark</td><td>compositional_skills-&gt;a</td><td class=\"n\">0.90</td>") != page.npos);
    BOOST_TEST(page.find("points=\"20,105 45.0,55.0 120.0,5.0 120,5\"") != page.npos);
    BOOST_TEST(page.find("<td>altered</td><td class=\"n\">7</td>") != page.npos);
    BOOST_TEST(occurrences(page, "<small>ROC</small>") == 1u);
}

BOOST_AUTO_TEST_CASE(a_folder_that_is_no_run_is_refused) {
    const test::temporary_folder folder;
    BOOST_CHECK_THROW((void)sdg::html_report_of(folder.path()), io_error);
    write_file_atomically(folder.path() / "manifest.json", "{\"leaves\": 3}");
    BOOST_CHECK_THROW((void)sdg::html_report_of(folder.path()), format_error);
    write_run(folder.path(), json::array());
    write_file_atomically(folder.path() / "samples.jsonl", "{\"messages\": [{\"role\": 1}]}\n");
    BOOST_CHECK_THROW((void)sdg::html_report_of(folder.path()), format_error);
}

BOOST_AUTO_TEST_CASE(a_histogram_counts_every_number_once) {
    sdg::histogram h;
    const auto all = [](auto take) {
        for (int i = 0; i <= 100; ++i) take(i / 100.0, i % 2 == 0);
        take(std::nan(""), true);
    };
    all([&](double x, bool) { h.measure(x); });
    all([&](double x, bool is_kept) { h.add(x, is_kept); });
    std::size_t kept = 0, refused = 0;
    for (std::size_t i = 0; i < sdg::histogram::bins; ++i) kept += h.kept[i], refused += h.refused[i];
    BOOST_TEST(kept == 51u);
    BOOST_TEST(refused == 50u);
    BOOST_TEST(h.low == 0.0);
    BOOST_TEST(h.high == 1.0);
}

BOOST_AUTO_TEST_CASE(checks_come_in_the_order_in_which_they_are_met) {
    const auto order = sdg::ordered_checks({"quota", "zeal", "duplicate", "form", "relevant"});
    BOOST_TEST((order == std::vector<std::string>{"form", "relevant", "zeal", "duplicate", "quota"}));
}

BOOST_AUTO_TEST_SUITE_END()
