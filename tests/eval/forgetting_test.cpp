#include "lab/eval/forgetting.hpp"

#include <boost/test/unit_test.hpp>

#include "lab/eval/report.hpp"

BOOST_AUTO_TEST_SUITE(eval_forgetting)

using namespace lab;
using replay::sample_kind;

namespace {
eval::qa_item item(sample_kind kind, std::string id, bool exact) {
    eval::qa_item i;
    i.kind = kind;
    i.leaf = std::string(replay::to_string(kind));
    i.id = std::move(id);
    i.exact = i.choice_by_sum = exact;
    i.f1 = exact ? 1.0 : 0.25;
    i.log_likelihood = exact ? -1.0 : -20.0;
    return i;
}
// Knowledge is learnt in row 1 and half forgotten in row 2, where the skill is learnt.
eval::forgetting_matrix forgetful() {
    eval::forgetting_matrix m;
    m.columns = {{"knowledge", sample_kind::knowledge, 1}, {"compositional", sample_kind::compositional, 2}};
    const bool facts[3][2] = {{false, false}, {true, true}, {true, false}};
    for (std::size_t r = 0; r < 3; ++r)
        m.rows.push_back(
            {r == 0 ? "untouched" : "phase-" + std::to_string(r),
             {item(sample_kind::knowledge, "a", facts[r][0]), item(sample_kind::knowledge, "b", facts[r][1]),
              item(sample_kind::compositional, "s", r == 2)},
             eval::perplexity_result{20.0 + static_cast<double>(r), 0.5, 3.0, 0.1, 100, 2}});
    return m;
}
}  // namespace

BOOST_AUTO_TEST_CASE(cells_and_backward_transfer) {
    const auto m = forgetful();
    BOOST_TEST(m.cell(1, 0).exact.value == 1.0);
    BOOST_TEST(m.cell(2, 0).exact.value == 0.5);
    BOOST_TEST(m.cell(2, 1).exact.value == 1.0);
    BOOST_TEST(*eval::backward_transfer(m, &eval::qa_summary::exact) ==
               -0.5);  // the skill, learnt last, does not count
    BOOST_TEST(*eval::backward_transfer(m, &eval::qa_summary::log_likelihood) == -9.5);
    auto early = m;
    early.rows.pop_back();
    BOOST_CHECK(!eval::backward_transfer(early, &eval::qa_summary::exact));
}

BOOST_AUTO_TEST_CASE(columns_know_after_which_row_they_were_learnt) {
    std::vector<replay::training_sample> samples(3);
    samples[0].kind = sample_kind::knowledge, samples[0].response_tokens = 4;
    samples[1].kind = sample_kind::foundational;
    samples[2].kind = sample_kind::compositional;
    const auto plans =
        replay::bind_phases(samples, replay::lab_phases());  // knowledge-2 finds nothing and makes no row
    std::vector<eval::question> questions(2);
    questions[0].kind = sample_kind::compositional;
    questions[1].kind = sample_kind::knowledge;
    const auto columns = eval::columns_of(questions, plans, samples);
    BOOST_REQUIRE(columns.size() == 2u);
    BOOST_TEST(columns[0].name == "knowledge");
    BOOST_TEST(*columns[0].learnt == 1u);
    BOOST_TEST(*columns[1].learnt == 2u);
}

BOOST_AUTO_TEST_CASE(rows_survive_json) {
    const auto m = forgetful();
    for (const auto& row : m.rows) {
        const auto j = eval::to_json(row);
        BOOST_TEST(formats::to_text(eval::to_json(eval::matrix_row_from(j, "f"))) == formats::to_text(j));
    }
    const auto j = eval::to_json(m);
    BOOST_TEST(j["rows"][2]["cells"]["knowledge"]["exact"]["value"] == 0.5);
    BOOST_TEST(j["backward_transfer"]["exact"] == -0.5);
    BOOST_CHECK_THROW((void)eval::matrix_row_from(formats::json::parse(R"({"name":"x"})"), "f"), format_error);
}

BOOST_AUTO_TEST_CASE(the_table_is_aligned_and_marks_what_was_learnt_where) {
    const std::string text = eval::to_text(forgetful());
    BOOST_TEST(text.find("0.50 [") != std::string::npos);
    BOOST_TEST(text.find("] *") != std::string::npos);
    BOOST_TEST(text.find("backward transfer): -0.50") != std::string::npos);
    BOOST_TEST(text.find("22.00 +/- 0.50") != std::string::npos);
    BOOST_TEST(eval::table({{"a", "b"}, {"çé", "x"}, {"longer", "y"}}) ==
               "a       b\n---------\nçé      x\nlonger  y\n");
}

BOOST_AUTO_TEST_CASE(the_page_is_self_contained_and_escaped) {
    auto m = forgetful();
    m.rows[1].name = "<b>&\"";
    const std::vector<eval::curve> curves{{"loss", "#336", {{1, 3.0}, {2, std::nan("")}, {3, 1.0}}}};
    const std::vector<eval::chart_mark> marks{{1.5, "<second>"}};
    const std::string html = eval::html_report("a <run>", eval::svg_chart(curves, "step", "nats", marks), m);
    BOOST_TEST(html.find("a &lt;run&gt;") != std::string::npos);
    BOOST_TEST(html.find("&lt;second&gt;") != std::string::npos);
    BOOST_TEST(html.find("<b>") == std::string::npos);
    BOOST_TEST(html.find("nan") == std::string::npos);
    BOOST_TEST(html.find("http") == std::string::npos);
    BOOST_TEST(html.find("<polyline") != std::string::npos);
    const auto count = [&](std::string_view part) {
        std::size_t n = 0;
        for (std::size_t at = 0; (at = html.find(part, at)) != std::string::npos; ++at) ++n;
        return n;
    };
    BOOST_TEST(count("<table>") == count("</table>"));
    BOOST_TEST(count("<td") == count("</td>"));
    BOOST_TEST(count("<svg") == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
