// Each block by itself: what fits, what is dropped and why, what is a fault of the pipeline; parsers and patterns
// against Python's rules.
#include "lab/sdg/blocks/column_blocks.hpp"

#include "lab/sdg/blocks/filter_block.hpp"
#include "lab/sdg/blocks/llm_block.hpp"
#include "lab/sdg/blocks/pipeline.hpp"
#include "sdg/blocks/tables.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(sdg_blocks_columns)

using namespace lab;
using namespace lab::sdg::blocks;
using test::parse_table;
using test::text_of;

namespace {

pipeline_result run(any_block b, std::string_view rows) {
    sdg::any_teacher nobody(
        sdg::scripted_teacher([](const text::request&) -> text::completion { throw error("asked"); }));
    return run_pipeline(pipeline{{"b", std::move(b)}}, parse_table(rows), {&nobody, {}});
}
std::string fault(any_block b, std::string_view rows) {
    try {
        (void)run(std::move(b), rows);
    } catch (const config_error& e) {
        return e.what();
    }
    return "none";
}
/// The reasons of what was dropped, one a line.
std::string dropped(const pipeline_result& r) {
    std::string out;
    for (const auto& d : r.dropped) out += std::to_string(d.origin) + " " + d.kind + ": " + d.reason + "\n";
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(tables) {
    table t({"a", "b"});
    t.add({{1, "x"}, 0});
    BOOST_CHECK_THROW(t.add({{1}, 0}), error);
    BOOST_CHECK_THROW(t.add_column("a"), config_error);
    BOOST_CHECK_THROW(table({"a", "a"}), config_error);
    table other({"c", "a"});
    other.add({{true, 2}, 5});
    t.append(other);
    BOOST_TEST(text_of(t) == "{\"a\":1,\"b\":\"x\",\"c\":null}\n{\"a\":2,\"b\":null,\"c\":true}\n");
    BOOST_TEST(t.rows()[1].origin == 5);
    const std::vector<std::string> names{"b", "nobody"};
    t.drop_columns(names);
    BOOST_TEST(text_of(t) == "{\"a\":1,\"c\":null}\n{\"a\":2,\"c\":true}\n");
    table bytes({"a"});
    bytes.add({{"\xff"}, 0});
    BOOST_TEST(bytes.line(bytes.rows()[0]) == "{\"a\":\"\xef\xbf\xbd\"}\n");
}

BOOST_AUTO_TEST_CASE(combine) {
    const combine_columns b{{"a", "b"}, "a", " + "};
    const auto made = run(b, R"([{"a": "x", "b": "y"}, {"a": "x", "b": null}, {"a": 3, "b": "y"}])");
    BOOST_TEST(text_of(made.rows) == "{\"a\":\"x + y\",\"b\":\"y\"}\n");
    BOOST_TEST(dropped(made) ==
               "1 not text: b is nothing, no text to combine\n2 not text: a is 3, no text to combine\n");
    BOOST_TEST(fault(b, R"([{"a": "x"}])") ==
               "block 'b' (CombineColumnsBlock): the rows have no column 'b' (they have a)");
}

BOOST_AUTO_TEST_CASE(rename_and_duplicate) {
    const auto swapped = run(rename_columns{{{"a", "b"}, {"b", "a"}}}, R"([{"a": 1, "b": 2}])");
    BOOST_TEST(text_of(swapped.rows) == "{\"b\":1,\"a\":2}\n");
    BOOST_TEST(fault(rename_columns{{{"a", "b"}}}, R"([{"a": 1, "b": 2}])").find("a column 'b' already") !=
               std::string::npos);
    BOOST_TEST(fault(rename_columns{{{"x", "y"}}}, R"([{"a": 1}])").find("no column 'x'") != std::string::npos);
    const auto twice = run(duplicate_columns{{{"a", "c"}, {"c", "d"}}}, R"([{"a": 1, "b": 2}])");
    BOOST_TEST(text_of(twice.rows) == "{\"a\":1,\"b\":2,\"c\":1,\"d\":1}\n");
    BOOST_TEST(fault(duplicate_columns{{{"a", "b"}}}, R"([{"a": 1, "b": 2}])").find("already") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(flatten_and_majority) {
    const auto flat =
        run(flatten_columns{{"c", "a"}, "value", "name"}, R"([{"a": 1, "b": 2, "c": 3}, {"a": 4, "b": 5, "c": null}])");
    BOOST_TEST(text_of(flat.rows) ==
               "{\"b\":2,\"name\":\"c\",\"value\":3}\n{\"b\":5,\"name\":\"c\",\"value\":null}\n"
               "{\"b\":2,\"name\":\"a\",\"value\":1}\n{\"b\":5,\"name\":\"a\",\"value\":4}\n");
    BOOST_TEST(fault(flatten_columns{{"a"}, "b", "name"}, R"([{"a": 1, "b": 2}])").find("already") !=
               std::string::npos);
    const auto usual =
        run(set_to_majority_value{"a"}, R"([{"a": "z"}, {"a": "b"}, {"a": null}, {"a": null}, {"a": null}])");
    BOOST_TEST(text_of(usual.rows) == "{\"a\":\"b\"}\n{\"a\":\"b\"}\n{\"a\":\"b\"}\n{\"a\":\"b\"}\n{\"a\":\"b\"}\n");
    BOOST_TEST(text_of(run(set_to_majority_value{"a"}, R"([{"a": null}])").rows) == "{\"a\":null}\n");
}

BOOST_AUTO_TEST_CASE(select_and_populate) {
    selector_block select{{{"l", "one"}, {"r", "side"}}, "side", "picked"};
    const auto made = run(select, R"([{"side": "l", "one": 1}, {"side": "x", "one": 1}, {"side": "r", "one": 1}])");
    BOOST_TEST(text_of(made.rows) ==
               "{\"side\":\"l\",\"one\":1,\"picked\":1}\n{\"side\":\"r\",\"one\":1,\"picked\":\"r\"}\n");
    BOOST_TEST(dropped(made) == "1 no choice: side is 'x', for which no column is chosen\n");
    select.choices["never"] = "gone";  // found before any row chooses it
    BOOST_TEST(fault(select, R"([{"side": "r", "one": 1}])").find("no column 'gone'") != std::string::npos);
    sample_populator populate;
    populate.column = "drink";
    populate.values["tea"] = {{"hot", true}, {"price", 2}};
    populate.values["ale"] = {{"price", 5}};
    populate.more_columns = {"hot", "price"};
    const auto full =
        run(populate, R"([{"drink": "ale", "price": 1}, {"drink": "tea", "price": 1}, {"drink": "gin", "price": 1}])");
    BOOST_TEST(text_of(full.rows) ==
               "{\"drink\":\"ale\",\"price\":5,\"hot\":null}\n{\"drink\":\"tea\",\"price\":2,\"hot\":true}\n");
    BOOST_TEST(dropped(full) == "2 no file: drink is 'gin', for which there is no file\n");
}

BOOST_AUTO_TEST_CASE(filter_without_conversion) {
    const auto keep = [](comparison op, std::vector<cell> values, std::string_view rows) {
        return text_of(run(filter_by_value{.column = "a", .values = std::move(values), .operation = op}, rows).rows);
    };
    constexpr std::string_view numbers = R"([{"a": 1}, {"a": 2.0}, {"a": null}, {"a": true}])";
    BOOST_TEST(keep(comparison::eq, {1}, numbers) == "{\"a\":1}\n{\"a\":true}\n");
    BOOST_TEST(keep(comparison::ne, {2}, numbers) == "{\"a\":1}\n{\"a\":null}\n{\"a\":true}\n");
    BOOST_TEST(keep(comparison::ge, {2, 7}, numbers) == "{\"a\":2.0}\n");
    BOOST_TEST(keep(comparison::lt, {1.5}, numbers) == "{\"a\":1}\n{\"a\":true}\n");
    constexpr std::string_view texts = R"([{"a": "YES"}, {"a": "yes"}, {"a": "1"}, {"a": null}])";
    BOOST_TEST(keep(comparison::eq, {"YES"}, texts) == "{\"a\":\"YES\"}\n");
    BOOST_TEST(keep(comparison::eq, {1, "yes"}, texts) == "{\"a\":\"yes\"}\n");
    BOOST_TEST(keep(comparison::contains, {"E", "e"}, texts) == "{\"a\":\"YES\"}\n{\"a\":\"yes\"}\n");
    BOOST_TEST(keep(comparison::le, {"YES"}, texts) == "{\"a\":\"YES\"}\n{\"a\":\"1\"}\n");
    BOOST_TEST(keep(comparison::contains, {2}, R"([{"a": [1, 2]}, {"a": [3]}])") == "{\"a\":[1,2]}\n");
    const std::string said = fault(filter_by_value{.column = "a", .values = {1}, .operation = comparison::ge}, texts);
    BOOST_TEST(said.find("column 'a' holds 'YES', which cannot be compared with 1 (give convert_dtype") !=
               std::string::npos);
    BOOST_TEST(fault(filter_by_value{.column = "a", .values = {"x"}, .operation = comparison::contains}, numbers) !=
               "none");
}

BOOST_AUTO_TEST_CASE(filter_with_conversion) {
    const filter_by_value b{
        .column = "a", .values = {"2"}, .operation = comparison::ge, .convert = number_kind::floating};
    const auto made =
        run(b, R"([{"a": " 2 "}, {"a": "2,5"}, {"a": "1e1"}, {"a": null}, {"a": 1}, {"a": true}, {"a": [3]}])");
    BOOST_TEST(text_of(made.rows) == "{\"a\":2.0}\n{\"a\":10.0}\n");
    BOOST_TEST(dropped(made) ==
               "1 not a number: a is '2,5', which is no number and counts as 0.0; kept is what is ge '2'\n"
               "3 not a number: a is nothing, which is no number and counts as 0.0; kept is what is ge '2'\n"
               "4 filtered: a is 1; kept is what is ge '2'\n5 filtered: a is true; kept is what is ge '2'\n"
               "6 not a number: a is [3], which is no number and counts as 0.0; kept is what is ge '2'\n");
    filter_by_value small = b;
    small.operation = comparison::lt;
    const auto passed = run(small, R"([{"a": "many"}])");  // judged by the default value, as InstructLab does: and said
    BOOST_TEST(text_of(passed.rows) == "{\"a\":0.0}\n");
    BOOST_TEST(passed.report.notes.size() == 1);
    const auto number = [](number_kind kind, cell value) {
        const auto out = sdg::blocks::detail::converted(kind, value);
        return out ? out->dump() : "none";
    };
    using enum number_kind;
    for (const auto& [text, wanted] : {std::pair{"7", "7"},
                                       {"+7", "7"},
                                       {"-7", "-7"},
                                       {"1_000", "1000"},
                                       {"1__0", "none"},
                                       {"_1", "none"},
                                       {"7.0", "none"},
                                       {"", "none"},
                                       {"+-7", "none"},
                                       {"0x10", "none"}})
        BOOST_TEST(number(integer, text) == wanted, text);
    for (const auto& [text, wanted] : {std::pair{"-.5", "-0.5"},
                                       {"5.", "5.0"},
                                       {"1_0.5", "10.5"},
                                       {"x", "none"},
                                       {"1e", "none"},
                                       {"+1e-2", "0.01"},
                                       {"--1", "none"}})
        BOOST_TEST(number(floating, text) == wanted, text);
    BOOST_TEST(number(integer, 2.9) == "2");
    BOOST_TEST(number(integer, 1e300) == "none");
    BOOST_TEST(number(boolean, "False") == "true");  // Python's bool of a text that is not empty
    BOOST_TEST(number(boolean, "") == "false");
}

BOOST_AUTO_TEST_CASE(messages) {
    llm_messages_block b;
    b.input = "talk";
    b.output = "said";
    b.generation.n = 2;
    b.generation.sampling.temperature = 1;
    std::size_t asked = 0;
    sdg::any_teacher teacher(sdg::scripted_teacher([&](const text::request& r) {
        BOOST_TEST(!r.raw);
        if (r.messages[0].content == "long") throw config_error("too long");
        ++asked;
        return text::completion{" yes"};
    }));
    const auto made = run_pipeline(pipeline{{"b", b}}, parse_table(R"([{"talk": [{"role": "user", "content": "a"}]},
        {"talk": "a"}, {"talk": [{"role": "user"}]}, {"talk": []}, {"talk": [{"role": "user", "content": "long"}]}])"),
                                   {&teacher, {}});
    BOOST_TEST(text_of(made.rows) ==
               "{\"talk\":[{\"role\":\"user\",\"content\":\"a\"}],\"said\":[\" yes\",\" yes\"]}\n");
    BOOST_TEST(made.dropped.size() == 4);
    BOOST_TEST(made.dropped[3].reason == "too long");
    BOOST_TEST(asked >= 2u);
}

BOOST_AUTO_TEST_CASE(tags) {
    const auto parsed = [](std::string start, std::string end, const std::string& text) {
        output_parser p;
        p.columns = {"x"};
        p.start_tags = {std::move(start)};
        p.end_tags = {std::move(end)};
        return cell(p(text).at(0)).dump();
    };
    BOOST_TEST(parsed("<a>", "</a>", "<a> 1\n</a>x<a>2</a><a>3") == R"(["1","2"])");
    BOOST_TEST(parsed("<a>", "</a>", "<a><a>1</a>") == R"(["<a>1"])");
    BOOST_TEST(parsed("", "|", "a|b|c") == R"(["a","b"])");
    BOOST_TEST(parsed("|", "", "a|b|c") == R"(["",""])");
    BOOST_TEST(parsed("|", "|", "a|b|c|d|") == R"(["b","d"])");
    BOOST_TEST(parsed("", "", "  all \xc2\xa0") == R"(["all"])");
    BOOST_TEST(parsed("", "", "") == "[null]");
}

#ifdef LAB_PCRE2
BOOST_AUTO_TEST_CASE(patterns) {
    const auto all = [](const char* source, std::string_view text) {
        cell out = cell::array();
        for (const auto& groups : pattern(source).find_all(text)) out.push_back(groups);
        return out.dump();
    };
    // What Python's re.findall says, with DOTALL.
    BOOST_TEST(all("x*", "axb") == R"([[""],["x"],[""],[""]])");
    BOOST_TEST(all("(a)|(b)", "ab") == R"([["a",""],["","b"]])");
    BOOST_TEST(all("a.c", "a\nc") == "[[\"a\\nc\"]]");
    BOOST_TEST(all("b$", "b\n") == R"([["b"]])");
    BOOST_TEST(all("b\\Z", "b\n") == "[]");
    BOOST_TEST(all("\\\\Z", "\\Z") == "[[\"\\\\Z\"]]");
    BOOST_TEST(all("(?P<n>\\w+)-(?P=n)", "é-é") == R"([["é"]])");
    BOOST_TEST(all("\\s", "\xc2\xa0") == "[[\"\xc2\xa0\"]]");
    BOOST_TEST(all("", "é") == R"([[""],[""]])");
    BOOST_CHECK_EXCEPTION(pattern("a(b"), config_error, [](const auto& e) {
        return std::string(e.what()).find("'a(b' is wrong at character 4: missing closing parenthesis") !=
               std::string::npos;
    });
    BOOST_CHECK_THROW(pattern("\\C"), config_error);
    const std::string hostile(40, 'a');
    BOOST_CHECK_EXCEPTION((void)pattern("(a+)+$").find_all(hostile + "b"), config_error, [](const auto& e) {
        return std::string(e.what()).find("match limit exceeded") != std::string::npos;
    });
}
#endif

BOOST_AUTO_TEST_SUITE_END()
