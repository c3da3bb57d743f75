#include "lab/sampling/grammar.hpp"

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <functional>

#include "lab/core/file.hpp"
#include "lab/core/rng.hpp"
#include "lab/sampling/grammar/gbnf.hpp"
#include "lab/sampling/grammar/json_schema.hpp"
#include "lab/sampling/grammar/regex.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(sampling_grammar)

using namespace lab::sampling;

namespace {

std::string refusal(const std::function<void()>& f) {
    try {
        f();
    } catch (const lab::config_error& e) {
        return e.what();
    } catch (const lab::format_error& e) {
        return e.what();
    }
    return "accepted";
}
std::string gbnf_refusal(std::string_view text) {
    return refusal([&] { (void)grammar_from_gbnf(text); });
}
std::string regex_refusal(std::string_view text) {
    return refusal([&] { (void)grammar_from_regex(text); });
}
std::string schema_refusal(std::string_view text) {
    return refusal([&] { (void)grammar_from_json_schema(text); });
}
void refused(const std::string& message, std::string_view part) {
    BOOST_TEST(message.find(part) != std::string::npos, message << " lacks " << part);
}
void check(const grammar& g, const std::vector<std::string>& yes, const std::vector<std::string>& no) {
    for (const auto& s : yes) BOOST_TEST(g.matches(s), "rejected: " << s);
    for (const auto& s : no) BOOST_TEST(!g.matches(s), "accepted: " << s);
}
/// A random text of the grammar, or nothing when it grows too long.
std::string random_text(const grammar& g, lab::counter_rng& rng) {
    std::string out;
    auto state = g.start();
    while (out.size() < 400 && !(state.accepts && (state.stacks.empty() || rng.below(6) == 0))) {
        std::vector<unsigned char> next;
        for (const auto& stack : state.stacks)
            for (const auto& e : g.states().bytes_of(g.states().states[stack.back()])) {
                next.push_back(e.first);
                next.push_back(static_cast<unsigned char>(e.first + rng.below(e.last - e.first + 1u)));
            }
        out += static_cast<char>(next[rng.below(next.size())]);
        state = g.step(state, static_cast<unsigned char>(out.back()));
    }
    return state.accepts ? out : std::string();
}

}  // namespace

BOOST_AUTO_TEST_CASE(gbnf_as_llama_cpp_writes_it) {
    check(
        grammar_from_gbnf("# arithmetic\nroot ::= expr\nexpr ::= term ([-+*/] term)*\nterm ::= num | \"(\" expr \")\"\n"
                          "num ::= [0-9]+ (\".\" [0-9]{1,2})?\n"),
        {"1", "1+2*3", "(1+2)*3.25", "((7))"}, {"", "1+", "(1", "1.", "1.234", "a"});
    check(grammar_from_gbnf(
              "root ::= (\"\\\"\" [^\"\\\\\\x00-\\x1F]* \"\\\"\"\n  | \"\\u00e9\" | \"a\"{2} | \"b\"{2,} )\n"),
          {"\"\"", "\"xé東😀\"", "é", "aa", "bbb"}, {"\"\n\"", "a", "aaa", "b", "\"\xc3\"", "\"\xed\xa0\x80\""});
    check(grammar_from_gbnf("root ::= a b |\n  \"z\"\n  | \"y\"\na ::= \"a\" | \"\"\nb ::= .\r\n"),
          {"ab", "q", "z", "y", "é"}, {"", "abc"});
    check(grammar_from_gbnf("root ::= \"ab\"* \"c\"?"), {"", "abab", "c", "abc"}, {"aab", "cc"});
    check(grammar_from_gbnf("root ::= [a^-] [^^]"), {"ab", "^a", "-a"}, {"b", "a^"});
}

BOOST_AUTO_TEST_CASE(json_in_gbnf) {
    const auto g = grammar_from_gbnf(R"(root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
# Optional space: by convention, applied in this grammar after literal chars when allowed
ws ::= | " " | "\n" [ \t]{0,20}
)");
    check(g, {"{}", R"({"a": [1, 2.5e3, {"b": null}], "c":"\u00e9\n"})"}, {"[]", "{\"a\"}", "{\"a\":01}"});
}

BOOST_AUTO_TEST_CASE(gbnf_refusals_say_where_and_what) {
    refused(gbnf_refusal("root ::= a\na ::= \"x\" | a \"y\""), "grammar:2:1: rule 'a' is left-recursive");
    refused(gbnf_refusal("root ::= n root | \"x\"\nn ::= \"\""), "'root' is left-recursive");
    refused(gbnf_refusal("root ::= a\na ::= b\nb ::= a | \"c\""), "left-recursive");
    refused(gbnf_refusal("root ::= x"), "grammar:1:10: rule 'x' is used but not defined");
    refused(gbnf_refusal("root ::= \"a\" root"), "matches no finite text");
    refused(gbnf_refusal("root ::= []"), "matches no finite text");
    refused(gbnf_refusal("a ::= \"b\""), "there is no rule 'root'");
    refused(gbnf_refusal(""), "there is no rule 'root'");
    refused(gbnf_refusal("root ::= \"a"), "grammar:1:10: this literal has no closing quote");
    refused(gbnf_refusal("root ::= (\"a\""), "this ( is not closed");
    refused(gbnf_refusal("root ::= \"a\")"), "closes nothing");
    refused(gbnf_refusal("root ::= [b-a]"), "backwards");
    refused(gbnf_refusal("root ::= \"\\q\""), "unknown escape");
    refused(gbnf_refusal("root ::= \"a\"{99999}"), "more than 10000 repetitions");
    refused(gbnf_refusal("root ::= \"a\"{3,2}"), "cannot be");
    refused(gbnf_refusal("root ::= * \"a\""), "nothing to repeat");
    refused(gbnf_refusal("root ::= <[3]>"), "tokens are not supported");
    refused(gbnf_refusal("root ::= \"a\"\nroot ::= \"b\""), "grammar:2:1: rule 'root' is defined twice");
    refused(gbnf_refusal("root ::= \"\xff\""), "not UTF-8");
    refused(gbnf_refusal("root ::= " + std::string(500, '(')), "nested deeper");
    refused(gbnf_refusal("root ::= \"a\" x ::= \"b\""), "a rule begins here");
}

BOOST_AUTO_TEST_CASE(hostile_grammars_end_soon) {
    std::string deep = "root ::= r0\n", doubling = "root ::= r0\n", wide = "root ::= ";
    for (int i = 0; i < 3000; ++i) deep += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + "\n";
    deep += "r3000 ::= \"x\"\n";
    for (int i = 0; i < 40; ++i) {
        const auto next = "r" + std::to_string(i + 1);
        doubling += "r" + std::to_string(i) + " ::= " + next + " | " + next + " \"x\"\n";
    }
    doubling += "r40 ::= \"y\"\n";
    for (int i = 0; i < 5000; ++i) wide += "\"word" + std::to_string(i) + "\" | ";
    wide += "\"end\"";
    const std::vector<std::string> hostile{deep,
                                           doubling,
                                           wide,
                                           "root ::= ((((\"a\"{1000}){1000}){1000}){1000}){1000}",
                                           "root ::= (((\"\"*)*)*)* \"a\"",
                                           "root ::= (\"a\" | \"b\")* \"a\" (\"a\" | \"b\"){200}",
                                           "root ::= (\"a\"? \"b\"? \"c\"?){9999}",
                                           "root ::= ([a-é] | [b-東]){0,9999}",
                                           "root ::= x \"}\" | \"y\"\nx ::= \"{\" root"};
    for (const auto& text : hostile) {
        const auto begin = std::chrono::steady_clock::now();
        const auto outcome = refusal([&] {
            const auto g = grammar_from_gbnf(text);
            (void)g.matches(std::string(300, 'a') + "{{{");
            (void)g.matches("yxxxxxxxxx");
        });
        const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
        BOOST_TEST(time.count() < 20.0, text.substr(0, 60) << ": " << outcome);
    }
    // Cut and changed texts of a good grammar are refused or compiled, nothing else.
    const std::string good = "root ::= (\"a\" | [b-z\\n]{2,3}) x* # c\nx ::= \"\\u00e9\" root? | .\n";
    lab::counter_rng rng(3);
    for (int i = 0; i < 3000; ++i) {
        std::string text = good.substr(0, rng.below(good.size() + 1));
        for (int k = 0; k < 2 && !text.empty(); ++k)
            text[rng.below(text.size())] = "\"[](){}|*+?\\:=#\n^-,ax\xc3"[rng.below(22)];
        (void)gbnf_refusal(text);
        (void)regex_refusal(text);
        (void)schema_refusal(text);
    }
}

BOOST_AUTO_TEST_CASE(what_matches_only_the_empty_text_costs_nothing) {
    check(grammar_from_regex("y(((((a{0}){9}){9}){9}){9}){9}x"), {"yx"}, {"y", "yax", "x"});
    std::string rows = "root ::= \"y\" r0 \"x\"\nr6 ::= \"\" | \"\"*\n";
    for (int i = 0; i < 6; ++i) {
        const auto next = " r" + std::to_string(i + 1);
        rows += "r" + std::to_string(i) + " ::=" + next + next + next + next + next + "\n";
    }
    check(grammar_from_gbnf(rows), {"yx"}, {"y", "x"});
    refused(gbnf_refusal("root ::= \"a\" x\nx ::= x"), "matches no finite text");
}

BOOST_AUTO_TEST_CASE(the_work_on_one_rule_leaves_enough_for_the_next) {
    std::string text = "root ::= ";
    for (int i = 0; i < 100; ++i) text += "r" + std::to_string(i) + " ";
    for (int i = 0; i < 100; ++i) text += "\nr" + std::to_string(i) + " ::= [ab]* \"a\" [ab]{1000} \"c\"";
    BOOST_TEST(gbnf_refusal(text) == "accepted");  // no rule becomes deterministic
    std::string one = "root ::= \"d\"";
    for (int i = 0; i < 100; ++i) one += " | [ab]* \"a\" [ab]{50} \"c\"";
    BOOST_TEST(gbnf_refusal(one) == "accepted");
    std::string operators = "\"a\"";
    for (int i = 0; i < 99; ++i) operators = "(" + operators + ")" + std::string(99, '?');
    refused(gbnf_refusal("root ::= " + operators), "too many repetitions of repetitions");
}

BOOST_AUTO_TEST_CASE(large_sources_are_read_in_reasonable_time) {
    std::string stars, dots, rules = "root ::= \"a\"\n", enums = "{\"oneOf\":[", all_of, value = "0";
    for (int i = 0; i < 131000; ++i) stars += "a*", dots += ".* ";
    for (int i = 0; i < 60000; ++i) rules += "r" + std::to_string(i) + " ::= \"a\"\n";
    for (int i = 0; i < 400; ++i) {
        enums += i == 0 ? "{\"enum\":[" : ",{\"enum\":[";
        for (int k = 0; k < 300; ++k) enums += (k == 0 ? "" : ",") + std::to_string(i * 300 + k);
        enums += "]}";
    }
    enums += "]}";
    for (int i = 0; i < 4000; ++i) all_of += (i == 0 ? "" : ",") + ("\"p" + std::to_string(i) + "\":{}");
    all_of = "{\"$defs\":{\"a\":{\"properties\":{" + all_of + "}}},\"allOf\":[";
    for (int i = 0; i < 1000; ++i) all_of += std::string(i == 0 ? "" : ",") + "{\"$ref\":\"#/$defs/a\"}";
    all_of += "]}";
    const auto soon = [](const char* what, const std::function<std::string()>& f) {
        const auto begin = std::chrono::steady_clock::now();
        const auto outcome = f();
        const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
        BOOST_TEST(time.count() < 4.0, what << " took " << time.count() << " s: " << outcome.substr(0, 200));
        BOOST_TEST_MESSAGE(what << " took " << time.count() << " s: " << outcome.substr(0, 200));
        return outcome;
    };
    (void)soon("pattern", [&] { return regex_refusal(stars); });
    (void)soon("repetitions", [&] { return gbnf_refusal("root ::= " + dots); });
    BOOST_TEST(soon("rules", [&] { return gbnf_refusal(rules); }) == "accepted");
    refused(soon("oneOf", [&] { return schema_refusal(enums); }), "schema#/oneOf: is too large to tell");
    BOOST_TEST(soon("allOf", [&] { return schema_refusal(all_of); }) == "accepted");
}

BOOST_AUTO_TEST_CASE(long_names_are_not_multiplied) {
    const std::string name(300000, 'n');
    refused(schema_refusal("{\"properties\":{\"" + name + "\":{\"properties\":{\"a\":{}}}}}"),
            "has more than 4096 bytes (shorten the names on it)");
    std::string many;
    for (int i = 0; i < 4000; ++i) many += (i == 0 ? "" : ",") + ("\"p" + std::to_string(i) + "\":{}");
    std::string wide = "{\"properties\":{\"" + std::string(4000, 'n') + "\":{\"properties\":{";
    for (int i = 0; i < 6; ++i)
        wide += std::string(i == 0 ? "" : ",") + "\"" + std::to_string(i) + "\":{\"properties\":{" + many + "}}";
    refused(schema_refusal(wide + "}}}}"), "the schema is too large");

    const auto g = grammar_from_gbnf("root ::= " + name + "\n" + name + " ::= (\"ab\"{3} \"é\"){5}");
    for (const auto& rule : g.states().rules) BOOST_TEST(rule.name.size() + rule.place.size() < 500u);
    grammar_builder builder;
    (void)builder.declare(std::string(199, 'x') + "éé", "");
    BOOST_TEST(builder.rules()[0].name == std::string(199, 'x') + "...");
}

BOOST_AUTO_TEST_CASE(places_are_lines_and_columns) {
    refused(gbnf_refusal("root ::= a\n\na ::= \"x\"{3,2}"), "grammar:3:10: ");
    refused(gbnf_refusal("root ::= a\na ::= \"x\"\n)"), "grammar:3:1: ");
    refused(gbnf_refusal("root ::= (\"a\"\n"), "grammar:1:10: ");
}

BOOST_AUTO_TEST_CASE(nesting_beyond_the_limit_is_not_begun) {
    const auto g = grammar_from_gbnf("root ::= \"[\" root? \"]\"");
    const auto nest = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
    BOOST_TEST(g.matches(nest(200)));
    auto state = g.start();
    std::size_t depth = 0;
    for (; !state.dead() && depth < 10000; ++depth) {
        const auto next = g.step(state, '[');
        if (next.dead()) break;
        state = next;
    }
    BOOST_TEST(depth < 1000u);
    for (std::size_t i = 0; i < depth; ++i) state = g.step(state, ']');
    BOOST_TEST(state.accepts);
    const auto right = grammar_from_gbnf("root ::= \"a\" root | \"b\"");  // a tail call takes no stack
    BOOST_TEST(right.matches(std::string(5000, 'a') + "b"));
}

BOOST_AUTO_TEST_CASE(patterns_match_what_pythons_re_matches) {
    const auto golden =
        lab::formats::parse_json(lab::read_file(lab::test::fixture("sampling/grammars.json")), "golden");
    std::size_t matched = 0;
    for (const auto& c : golden["regex"]) {
        const auto pattern = c["pattern"].get<std::string>();
        const auto g = grammar_from_regex(pattern);
        for (const auto& s : c["strings"]) {
            const auto text = s[0].get<std::string>();
            BOOST_TEST(g.matches(text) == s[1].get<bool>(), pattern << " and " << text);
            matched += s[1].get<bool>();
        }
    }
    BOOST_TEST(matched > 100u);
}

BOOST_AUTO_TEST_CASE(regex_refusals_say_why) {
    refused(regex_refusal("(a)\\1"), "regex:1:4: back-references are not supported");
    refused(regex_refusal("a(?=b)"), "look-around is not supported");
    refused(regex_refusal("(?<!b)a"), "look-around");
    refused(regex_refusal("(?P<n>a)"), "named groups");
    refused(regex_refusal("(?i)a"), "flags");
    refused(regex_refusal("a*?"), "lazy");
    refused(regex_refusal("a*+"), "possessive");
    refused(regex_refusal("a\\b"), "word boundaries");
    refused(regex_refusal("a^b"), "^ may stand only at the beginning");
    refused(regex_refusal("a$b"), "$ may stand only at the end");
    refused(regex_refusal("\\p{L}"), "properties");
    refused(regex_refusal("[a"), "no closing bracket");
    refused(regex_refusal("[z-a]"), "backwards");
    refused(regex_refusal("(a"), "not closed");
    refused(regex_refusal("a)"), "closes nothing");
    refused(regex_refusal("*a"), "nothing to repeat");
    refused(regex_refusal("a{x}"), "expected a number");
    for (const char* pattern : {"{2}", "({2})", "a|{2,3}", "a|{,3}"})
        refused(regex_refusal(pattern), "nothing to repeat");
    check(grammar_from_regex("{x}"), {"{x}"}, {});
    refused(regex_refusal("a\\"), "middle of an escape");
}

BOOST_AUTO_TEST_CASE(schemas_never_allow_what_jsonschema_finds_invalid) {
    const auto golden =
        lab::formats::parse_json(lab::read_file(lab::test::fixture("sampling/grammars.json")), "golden");
    for (const auto& c : golden["schemas"]) {
        const auto schema = c["schema"].get<std::string>();
        const auto g = grammar_from_json_schema(schema);
        std::size_t valid = 0, matched = 0;
        for (const auto& t : c["texts"]) {
            const auto text = t[0].get<std::string>();
            const bool matches = g.matches(text);
            valid += t[1].get<bool>();
            matched += matches;
            BOOST_TEST((!matches || t[1].get<bool>()), schema << " must not allow " << text);
        }
        BOOST_TEST(matched > 0u, schema);
        BOOST_TEST(matched * 4 >= valid, schema << ": " << matched << " of " << valid);
    }
}

BOOST_AUTO_TEST_CASE(schemas_by_hand) {
    check(grammar_from_json_schema(R"({"type":"object","properties":{"z":{"type":"integer"},"a":{"type":"null"}},
          "required":["z","a"]})"),
          {R"({"z":1,"a":null})", R"({"z": -12, "a": null})"},
          {R"({"a":null,"z":1})", R"({"z":1})", R"({"z":01,"a":null})", R"({ "z":1,"a":null})"});
    for (const auto& [low, high] : {std::pair{-13, 217}, {0, 9}, {5, 5}, {-120, -7}, {99, 1001}, {-1, 0}}) {
        const auto g = grammar_from_json_schema("{\"type\":\"integer\",\"minimum\":" + std::to_string(low) +
                                                ",\"maximum\":" + std::to_string(high) + "}");
        for (int i = -1500; i < 1500; ++i)
            BOOST_TEST(g.matches(std::to_string(i)) == (i >= low && i <= high), low << ".." << high << ": " << i);
    }
    const auto any = grammar_of_json_objects();
    check(any, {"{}", R"({"a": [1,2.5e-3,"\ud7ff😀",{"b":[]}], "c":false})"},
          {"[]", "{", R"({"a":1,})", R"({"a":"\ud800"})"});
    check(grammar_from_json_schema(R"({"type":"string","pattern":"^[\"\\\\\\n]x$"})"),
          {R"("\"x")", R"("\\x")", R"("\nx")"}, {R"("x")", "\"\nx\""});
    check(grammar_from_json_schema(R"({"type":"string","minLength":2,"maxLength":3})"), {R"("éé")", R"("a\n😀")"},
          {R"("é")", R"("abcd")"});
    check(grammar_from_json_schema(R"({"properties":{"ab":{"const":1}},"additionalProperties":{"const":2}})"),
          {"{}", R"({"ab":1})", R"({"ab":1,"a":2,"abc":2})", R"({"b":2})"}, {R"({"ab":2})", R"({"a":2,"ab":2})"});
}

BOOST_AUTO_TEST_CASE(patterns_in_schemas_are_ecma_262) {
    const auto quoted = [](std::string_view pattern, const std::string& text) {
        const auto schema = lab::formats::json{{"pattern", "^" + std::string(pattern) + "$"}};
        return grammar_from_json_schema(schema.dump()).matches("\"" + text + "\"");
    };
    for (const char* line_end : {"\\n", "\\r", "\u2028", "\u2029"}) BOOST_TEST(!quoted(".", line_end), line_end);
    for (const char* blank :
         {"\\t", " ", "\u00a0", "\ufeff", "\u1680", "\u2000", "\u200a", "\u2028", "\u202f", "\u205f", "\u3000"}) {
        BOOST_TEST(!quoted("\\S", blank), blank);
        BOOST_TEST(!quoted("[\\Sx]", blank), blank);
        BOOST_TEST(!quoted("[^\\s]", blank), blank);
    }
    for (const char* pattern : {"\\S", "[^\\s]", "."}) BOOST_TEST(quoted(pattern, "é"), pattern);
    for (const char* pattern : {"\\s", "[^\\S]", "."}) BOOST_TEST(quoted(pattern, " "), pattern);
    check(grammar_from_regex(".\\S"), {"\r\u00a0", "\u2028\u2003"}, {"\nx", "x "});
}

BOOST_AUTO_TEST_CASE(pythons_own_rules_are_not_those_of_schemas) {
    const auto of = [](std::string_view pattern) {
        return grammar_from_json_schema(lab::formats::json{{"pattern", pattern}}.dump());
    };
    const auto refusal_of = [&](std::string_view pattern) { return refusal([&] { (void)of(pattern); }); };
    refused(refusal_of("^[]a]{3}$"), "matches no finite text");  // the empty class, then a]]]
    check(of("^([]|b)$"), {"\"b\""}, {"\"\"", "\"]\"", "\"|\""});
    check(of("^x[]*$"), {"\"x\""}, {"\"x]\""});
    check(of("^[^]a]$"), {"\"Ia]\"", "\"]a]\"", "\"\\na]\"", "\"\u2028a]\""}, {"\"I\"", "\"Ia\"", "\"a]\""});
    check(of("^[^\\]a]$"), {"\"I\""}, {"\"]\"", "\"a\"", "\"Ia]\""});
    check(of("^[\\]a]$"), {"\"]\"", "\"a\""}, {"\"b\""});
    refused(refusal_of("^\\U00000041$"), "schema#/pattern:1:2: \\U is no escape of ECMA-262 (\\uHHHH");
    refused(refusal_of("[\\U00000041]"), "no escape of ECMA-262");
    check(of("^\\u0041$"), {"\"A\""}, {"\"U\""});
    check(grammar_from_regex("[]a]{3}[^]a]\\U00000041"), {"a]aIA"}, {"a]a]A"});
}

BOOST_AUTO_TEST_CASE(numbers_that_no_double_holds_are_refused) {
    for (const char* number : {"123456789012345678901234567890", "-123456789012345678901", "18446744073709551616.5",
                               "0.12345678901234567890123", "1e-400", "0.5e-9223372036854775808",
                               "1e-99999999999999999999", "9007199254740993.0", "36893488147419103233"}) {
        const std::string n = number;
        refused(schema_refusal("{\"type\":\"number\",\"enum\":[1," + n + "]}"),
                "schema#/enum: the number " + n + " cannot be kept exactly (round it to ");
        refused(schema_refusal("{\"const\":{\"a\":[" + n + "]}}"), "schema#/const: the number " + n);
        BOOST_TEST(schema_refusal("{\"type\":\"null\",\"default\":" + n + "}") == "accepted");
        BOOST_TEST(schema_refusal("{\"const\":\"" + n + " \\\" " + n + "\"}") == "accepted");
    }
    refused(schema_refusal(R"({"type":"integer","enum":[123456789012345678901234567890]})"), "cannot be kept exactly");
    refused(schema_refusal(R"({"type":"integer","minimum":5.00000000000000000001})"),
            "schema#/minimum: the number 5.00000000000000000001");
    check(
        grammar_from_json_schema(
            R"({"enum":[18446744073709551615,-9223372036854775808,0.10,1e2,1E+30,-0.0,0e5,12.50e-1,1.7976931348623157e308]})"),
        {"18446744073709551615", "-9223372036854775808", "0.1", "100.0", "1e+30", "-0.0", "0.0", "1.25",
         "1.7976931348623157e+308"},
        {"1.2"});
}

BOOST_AUTO_TEST_CASE(bounds_of_18_digits_are_exact) {
    const auto g = grammar_from_json_schema(
        R"({"type":"integer","minimum":-999999999999999990,"exclusiveMaximum":999999999999999991})");
    check(g, {"999999999999999990", "-999999999999999990", "0"}, {"999999999999999991", "-999999999999999991"});
    check(grammar_from_json_schema(R"({"type":"integer","minimum":999999999999999998})"),
          {"999999999999999998", "999999999999999999"}, {"999999999999999997"});
    check(grammar_from_json_schema(
              R"({"type":"integer","minimum":-18446744073709551615.0,"maximum":18446744073709551615})"),
          {"999999999999999999", "-999999999999999999"}, {});
    refused(schema_refusal(R"({"type":"integer","minimum":18446744073709551615})"), "beyond 18 digits");
    refused(schema_refusal(R"({"type":"integer","exclusiveMinimum":999999999999999999})"), "beyond 18 digits");
    refused(schema_refusal(R"({"type":"integer","maximum":-1e18})"), "beyond 18 digits");
}

BOOST_AUTO_TEST_CASE(one_of_means_exactly_one) {
    for (const char* schemas : {R"({"minLength":3},{"type":"integer"})", R"({"type":"integer"},{"minLength":3})",
                                R"({"minLength":3},{"const":5})", R"({"enum":[5,"a"]},{"properties":{"a":{}}})"})
        refused(schema_refusal("{\"oneOf\":[" + std::string(schemas) + "]}"), "exclude each other");
    for (const char* schemas :
         {R"({"type":"string","minLength":3},{"type":"integer"})", R"({"type":"string"},{"const":5})",
          R"({"const":5},{"type":"string","minLength":3})",
          R"({"properties":{"k":{"const":1}},"required":["k"]},{"properties":{"k":{"const":2}},"required":["k"]})"})
        BOOST_TEST(schema_refusal("{\"oneOf\":[" + std::string(schemas) + "]}") == "accepted");
}

BOOST_AUTO_TEST_CASE(schema_refusals_name_keyword_and_place) {
    refused(schema_refusal(R"({"properties":{"a":{"$id":"x","type":"null"}}})"), "schema#/properties/a/$id: inside");
    refused(schema_refusal(R"({"$defs":{"a":{"$id":"x","$defs":{"b":{}}}},"$ref":"#/$defs/a/$defs/b"})"),
            "schema#/$defs/a/$id: inside");
    BOOST_TEST(schema_refusal(R"({"$id":"x","properties":{"$id":{"type":"null"}}})") == "accepted");
    refused(schema_refusal(R"({"allOf":[{"properties":{"a":{}}},{"$ref":"#"}]})"), "in a circle");
    refused(schema_refusal(R"({"properties":{"a/b":{"not":{}}}})"),
            "schema#/properties/a~1b/not: this keyword is not supported");
    refused(schema_refusal(R"({"typo":1})"), "schema#/typo: this keyword is not known");
    refused(schema_refusal(R"({"type":"integer","minLength":1})"), "says nothing about type integer");
    refused(schema_refusal(R"({"type":"object","required":["a"]})"), "'a' is not among the properties");
    refused(schema_refusal(R"({"$ref":"http://x/y"})"), "outside this document");
    refused(schema_refusal(R"({"$ref":"#/$defs/x"})"), "nothing at this place");
    refused(schema_refusal(R"({"$ref":"#"})"), "matches no finite text");
    refused(schema_refusal(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})"),
            "matches no finite text");
    refused(schema_refusal(R"({"oneOf":[{"type":"integer"},{"type":"number"}]})"), "exclude each other");
    refused(schema_refusal(R"({"type":"number","multipleOf":2})"), "#/multipleOf");
    refused(schema_refusal(R"({"type":"integer","minimum":5,"maximum":4})"), "no integer lies between");
    refused(schema_refusal(R"({"type":"string","format":"email"})"), "format is not supported");
    refused(schema_refusal(R"({"type":"string","pattern":"(a)\\1"})"), "schema#/pattern:1:4: back-references");
    refused(schema_refusal(R"({"enum":[]})"), "one or more");
    refused(schema_refusal(R"({"anyOf":[{"type":"null"}],"type":"null"})"), "is not supported beside anyOf");
    refused(schema_refusal(R"({"uniqueItems":true})"), "#/uniqueItems");
    refused(schema_refusal("{"), "schema:1:");
    refused(schema_refusal("false"), "allows nothing");
}

BOOST_AUTO_TEST_CASE(random_texts_are_accepted_and_those_of_schemas_parse) {
    lab::counter_rng rng(9);
    const auto golden =
        lab::formats::parse_json(lab::read_file(lab::test::fixture("sampling/grammars.json")), "golden");
    for (const auto& c : golden["schemas"]) {
        const auto g = grammar_from_json_schema(c["schema"].get<std::string>());
        std::size_t made = 0;
        for (int i = 0; i < 60; ++i) {
            const auto text = random_text(g, rng);
            if (text.empty()) continue;
            ++made;
            BOOST_TEST(g.matches(text));
            BOOST_TEST(lab::formats::json::accept(text), text);
        }
        BOOST_TEST(made > 0u);
    }
}

BOOST_AUTO_TEST_SUITE_END()
