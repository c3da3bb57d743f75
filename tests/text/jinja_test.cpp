// Against jinja2: tests/data/text/jinja.json, written by tests/goldens/text_jinja.py.
#include "lab/text/jinja/from_json.hpp"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "lab/core/file.hpp"
#include "lab/text/jinja/template.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(text_jinja)

namespace jinja = lab::text::jinja;
using json = nlohmann::ordered_json;

namespace {

const json& goldens() {
    static const json data = json::parse(lab::read_file(lab::test::fixture("text/jinja.json")));
    return data;
}
jinja::jinja_options options() {
    jinja::jinja_options o;
    std::tm now{};
    const auto& t = goldens()["now"];
    now.tm_year = t[0].get<int>() - 1900, now.tm_mon = t[1].get<int>() - 1, now.tm_mday = t[2].get<int>();
    now.tm_hour = t[3].get<int>(), now.tm_min = t[4].get<int>(), now.tm_sec = t[5].get<int>();
    now.tm_wday = 6;  // 2026-03-07 was a Saturday
    o.now = now;
    return o;
}
void check(const std::string& what, const std::string& source, const json& context, const json& golden,
           bool strict = false) {
    std::string got, error;
    try {
        auto o = options();
        o.strict_undefined = strict;
        got = jinja::compiled(source, {.trim_blocks = !strict, .lstrip_blocks = !strict})
                  .render(jinja::from_json(context), o);
    } catch (const lab::error& e) {
        error = e.what();
    }
    if (golden.contains("error")) {
        BOOST_TEST(!error.empty(), what << " should fail with " << golden["error"] << " but gives " << got);
    } else {
        BOOST_TEST(error == "", what);
        BOOST_TEST(got == golden["expected"].get<std::string>(),
                   what << "\n got: " << got << "\nwant: " << golden["expected"].get<std::string>());
    }
}
void check_cases(const std::string& name, const std::string& source) {
    std::size_t checked = 0;
    for (const auto& golden : goldens()["cases"]) {
        if (golden["template"] != name) continue;
        json context = goldens()["conversations"][golden["conversation"].get<std::size_t>()];
        context["bos_token"] = "<s>";
        context["eos_token"] = "</s>";
        check(name + " " + golden["conversation"].dump(), source, context, golden);
        ++checked;
    }
    BOOST_TEST(checked == goldens()["conversations"].size());
}

}  // namespace

BOOST_AUTO_TEST_CASE(templates_in_the_styles_found_in_checkpoints) {
    for (const char* name :
         {"llama3_style", "qwen_style", "mistral_style", "zephyr_style", "gemma_style", "macro_style"})
        check_cases(name, lab::read_file(lab::test::fixture("text/templates/" + std::string(name) + ".jinja")));
}

BOOST_AUTO_TEST_CASE(the_template_of_smollm2) { check_cases("smollm2", goldens()["smollm2"].get<std::string>()); }

BOOST_AUTO_TEST_CASE(the_template_of_granite_7b_lab, *boost::unit_test::precondition(lab::test::needs(
                                                         "tokenizers/granite-7b-lab/tokenizer_config.json"))) {
    const auto config =
        json::parse(lab::read_file(lab::test::shared_data("tokenizers/granite-7b-lab/tokenizer_config.json")));
    check_cases("granite-7b-lab", config["chat_template"].get<std::string>());
}

BOOST_AUTO_TEST_CASE(snippets) {
    BOOST_TEST(goldens()["snippets"].size() > 150u);
    for (const auto& golden : goldens()["snippets"])
        check(golden["source"].get<std::string>(), golden["source"].get<std::string>(), goldens()["context"], golden);
}

/// jinja2's own white space, and what is undefined is an error.
BOOST_AUTO_TEST_CASE(snippets_as_jinja2_reads_them_by_itself) {
    for (const auto& golden : goldens()["snippets"]) {
        const bool unsupported = golden.value("error", "") == "not supported";
        if (unsupported || (golden.contains("strict") && golden["strict"].is_null())) continue;
        check("strictly: " + golden["source"].get<std::string>(), golden["source"].get<std::string>(),
              goldens()["context"], golden.contains("strict") ? golden["strict"] : golden, true);
    }
}

BOOST_AUTO_TEST_SUITE_END()
