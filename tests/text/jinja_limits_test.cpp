// Hostile templates end in an error, soon and without harm.
#include "lab/text/jinja/template.hpp"

#include <boost/test/unit_test.hpp>
#include <chrono>

#include "lab/core/rng.hpp"

BOOST_AUTO_TEST_SUITE(text_jinja_limits)

namespace jinja = lab::text::jinja;

namespace {

std::string failure(const std::string& source, const jinja::jinja_options& options = {}) {
    try {
        (void)jinja::render(source, jinja::value(jinja::dict_data{}), options);
    } catch (const lab::error& e) {
        return e.what();
    }
    return "rendered";
}
std::string times(std::size_t n, const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < n; ++i) out += text;
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(errors_name_the_line) {
    BOOST_TEST(failure("a\nb\n{{ 1 + }}").find("line 3") != std::string::npos);
    BOOST_TEST(failure("{# x\n\n #}\n{{ missing.x }}").find("line 4: \"missing\" is undefined") != std::string::npos);
    BOOST_TEST(failure("\n{% if x %}\n").find("missing {% endif %}") != std::string::npos);
    BOOST_TEST(failure("{{ 'x' | nope }}").find("unknown filter \"nope\"") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(loops_and_text_are_bounded) {
    const std::string steps = "too many steps", bytes = "too much text";
    BOOST_TEST(failure("{% for a in range(10000000000) %}{% endfor %}").find(steps) != std::string::npos);
    BOOST_TEST(failure("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}").find(steps) !=
               std::string::npos);
    BOOST_TEST(failure("{{ 'x' * 1000000000000 }}").find("too long") != std::string::npos);
    BOOST_TEST(failure("{{ [1] * 1000000000000 }}").find("too long") != std::string::npos);
    BOOST_TEST(
        failure("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}")
            .find(bytes) != std::string::npos);
    BOOST_TEST(failure("{{ 'x' | indent(100000000000) }}").find("too long") != std::string::npos);
    BOOST_TEST(failure("{{ '7'.zfill(100000000000) }}").find("too long") != std::string::npos);
    BOOST_TEST(failure("{{ ('x' * 100000).replace('', 'y' * 100000) }}").find(bytes) != std::string::npos);
    const jinja::jinja_options tight{.limits = {.steps = 50, .bytes = 10}, .now = {}};
    BOOST_TEST(failure("0123456789", tight) == "rendered");
    BOOST_TEST(failure("01234567890", tight).find(bytes) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(nesting_is_bounded) {
    const std::size_t n = 100000;
    BOOST_TEST(failure("{{ " + times(n, "(") + "1" + times(n, ")") + " }}") != "rendered");
    BOOST_TEST(failure("{{ " + times(n, "[") + times(n, "]") + " }}") != "rendered");
    BOOST_TEST(failure("{{ " + times(n, "not ") + "1 }}") != "rendered");
    BOOST_TEST(failure("{{ " + times(n, "-") + "1 }}") != "rendered");
    BOOST_TEST(failure("{{ 1" + times(n, " + 1") + " }}") != "rendered");
    BOOST_TEST(failure("{{ x" + times(n, ".x") + " }}") != "rendered");
    BOOST_TEST(failure("{{ 1" + times(n, " | abs") + " }}") != "rendered");
    BOOST_TEST(failure("{{ 1" + times(n, " if 1 else 1") + " }}") != "rendered");
    BOOST_TEST(failure("{{ 1" + times(n, " == 1") + " }}") == "rendered");  // a chain of comparisons is flat
    BOOST_TEST(failure(times(n, "{% if 1 %}") + times(n, "{% endif %}")) != "rendered");
    BOOST_TEST(failure("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").find("too deeply") != std::string::npos);
    BOOST_TEST(failure("{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}")
                   .find("nested deeper") != std::string::npos);
    BOOST_TEST(
        failure(
            "{% set ns = namespace(x=1) %}{% for i in range(100000) %}{% set ns = namespace(x=ns) %}{% endfor %}") ==
        "rendered");
    BOOST_TEST(failure("{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}{{ a == b }}") ==
               "rendered");
}

BOOST_AUTO_TEST_CASE(numbers_do_not_overflow) {
    for (const char* source :
         {"{{ 9223372036854775807 + 1 }}", "{{ -9223372036854775807 - 2 }}", "{{ 9223372036854775807 * 2 }}",
          "{{ 9 ** 99 }}", "{{ 99999999999999999999 }}", "{{ (-9223372036854775807 - 1) // -1 }}"})
        BOOST_TEST(failure(source) != "rendered", source);
    for (const char* source : {"{{ 'abc'[9223372036854775807:] }}", "{{ 'abc'[::9223372036854775807] }}",
                               "{{ 'abc'[-9223372036854775807:] }}", "{{ 'abc'[::-9223372036854775807] }}",
                               "{{ (-9223372036854775807 - 1) % -1 }}", "{{ 1e308 * 10 }}",
                               "{{ range(9223372036854775806, 9223372036854775807) | list }}"})
        BOOST_TEST(failure(source) == "rendered", source);
}

BOOST_AUTO_TEST_CASE(nothing_but_the_data_can_be_reached) {
    for (const char* source : {"{{ ''.__class__.x }}", "{{ namespace.__init__.__globals__ }}", "{{ [].__len__() }}",
                               "{% include '/etc/passwd' %}", "{{ open('/etc/passwd') }}", "{{ self.x.y }}",
                               "{{ cycler.x.y }}", "{{ {}.pop('x') }}"})
        BOOST_TEST(failure(source) != "rendered", source);
    BOOST_TEST(jinja::render("{{ strftime_now is defined }}", jinja::value(jinja::dict_data{})) == "False");
}

BOOST_AUTO_TEST_CASE(mutated_templates_never_crash) {
    const std::string seeds[] = {
        "{%- for m in messages[1:] if m.role != 'x' -%}{{ loop.index ~ m['content'] | trim | upper }}{%- else %}n{% "
        "endfor -%}",
        "{% macro f(a, b=[1,{'k':2}]) %}{{ a if b else caller() }}{% endmacro %}{% call f('x') %}y{% endcall %}{{ f(1, "
        "b=none) }}",
        "{% set ns = namespace(i=0) %}{% set ns.i = ns.i + 1 %}{{ ns.i ** 2 // 3 }}{# c #}{% raw %}{{}}{% endraw %}{{ "
        "'a\\u00e9'[::-1] }}",
        "{% if x is defined and x is not none or not 1 in [1,2] %}a{% elif 2 <= 3 < 4 %}b{% endif %}{{ "
        "[3,1]|sort|join(',')|replace('1','2') }}"};
    jinja::dict_data context, message;
    message.entries = {{"role", "user"}, {"content", "h\xc3\xa9 "}};
    context.set("messages", jinja::list_data{jinja::value(message), jinja::value(message)});
    const jinja::value data(context);
    lab::counter_rng rng(5, "jinja");
    const std::string alphabet = "{}%#-+'\"|()[].,:~*/=<>! \nabxif01\\\xc3";
    std::size_t rendered = 0;
    for (int round = 0; round < 4000; ++round) {
        std::string source = seeds[rng.below(4)];
        for (auto edits = 1 + rng.below(4); edits > 0; --edits) {
            const auto at = static_cast<std::size_t>(rng.below(source.size() + 1));
            switch (rng.below(3)) {
                case 0:
                    source.insert(at, 1, alphabet[rng.below(alphabet.size())]);
                    break;
                case 1:
                    source.erase(at, 1 + rng.below(4));
                    break;
                default:
                    source.insert(at, source.substr(rng.below(source.size() + 1), rng.below(12)));
                    break;
            }
            if (source.empty()) source = "x";
        }
        try {
            (void)jinja::render(source, data, {.limits = {.steps = 20000, .bytes = 100000}, .now = {}});
            ++rendered;
        } catch (const lab::error&) {
        }
    }
    BOOST_TEST(rendered > 100u);
    BOOST_TEST(rendered < 3900u);
}

BOOST_AUTO_TEST_SUITE_END()
