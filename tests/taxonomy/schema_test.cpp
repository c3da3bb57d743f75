#include "lab/taxonomy/schema.hpp"

#include <boost/test/unit_test.hpp>

#include "lab/core/file.hpp"
#include "lab/formats/jsonl.hpp"
#include "lab/taxonomy/judge.hpp"
#include "lab/taxonomy/leaf_files.hpp"
#include "lab/taxonomy/load.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(schema)

using namespace lab::taxonomy;

namespace {

constexpr auto skill_head = "version: 2\ntask_description: twice\ncreated_by: me\nseed_examples:\n";

std::string seeds(std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += "- question: q" + std::to_string(i) + "\n  answer: a\n";
    return text;
}

/// The problems of a text, each as "line:column: severity: message" behind a line end.
std::string problems_of(const std::string& text, std::optional<root> kind = root::compositional) {
    problem_list problems("");
    (void)judge(text, kind, problems);
    std::string out = "\n";
    for (const auto& p : problems.all()) out.append(to_text(p).substr(1)).append("\n");
    return out;
}

void expect(const std::string& text, std::initializer_list<std::string_view> starts,
            std::optional<root> kind = root::compositional) {
    const auto found = problems_of(text, kind);
    for (const auto start : starts) {
        std::string line = "\n";
        line.append(start);
        BOOST_TEST(found.find(line) != std::string::npos, start << " not in:" << found);
    }
    BOOST_TEST(static_cast<std::size_t>(std::count(found.begin(), found.end(), '\n')) == starts.size() + 1, found);
}

}  // namespace

BOOST_AUTO_TEST_CASE(judges_as_instructlab_schema_does) {
    std::size_t cases = 0, valid = 0;
    lab::formats::for_each_json_line(lab::test::fixture("taxonomy/cases.jsonl"), [&](lab::formats::json line,
                                                                                     std::size_t number) {
        if (number == 1) return;  // versions and seed
        const auto name = line.at("name").get<std::string>();
        std::string text;
        if (line.contains("yaml")) {
            text = line.at("yaml").get<std::string>();
        } else {
            const auto wide = line.at("latin1").get<std::string>();  // U+0080..U+00FF stand for bytes
            for (std::size_t i = 0; i < wide.size(); ++i) {
                const auto c = static_cast<unsigned char>(wide[i]);
                text += c < 0x80 ? wide[i]
                                 : static_cast<char>(((c & 3u) << 6) | (static_cast<unsigned char>(wide[++i]) & 0x3fu));
            }
        }
        problem_list problems(name);
        const auto path = line.at("path").get<std::string>();
        const auto found = judge(text, root_from_folder(path.substr(0, path.find('/'))), problems);
        const bool expected = line.at("valid").get<bool>();
        BOOST_TEST((problems.errors() == 0) == expected,
                   name << ": instructlab-schema says " << (expected ? "valid" : "invalid")
                        << ", ours: " << (problems.all().empty() ? "no problem" : to_text(problems.all().front())));
        if (found) {
            std::string joined;
            for (const auto& s : found->seeds)
                for (const auto& pair : s.questions_and_answers)
                    joined.append(joined.empty() ? "" : "\x1f")
                        .append(s.context + "\x1f" + pair.question + "\x1f" + pair.answer);
            std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a, as the goldens' script
            for (const char c : joined) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
            char hex[17];
            std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(hash));
            BOOST_TEST(line.value("texts", "") == hex, name << ": the texts differ from PyYAML's");
        }
        ++cases;
        valid += expected ? 1 : 0;
    });
    BOOST_TEST(cases > 200U);
    BOOST_TEST(valid > 40U);
}

BOOST_AUTO_TEST_CASE(every_problem_has_its_place) {
    expect(skill_head + seeds(5), {});
    expect(skill_head + seeds(3), {"5:1: error: 'seed_examples' has 3 items, at least 5 are needed (add 2 more)"});
    expect("version: 2\n" + seeds(1), {"2:1: error: not valid YAML"});
    expect("version: 2\ntask_descripton: x\ncreated_by: ''\nseed_examples: no\n",
           {"1:1: error: 'task_description' is missing",
            "2:1: error: the key 'task_descripton' is not known (did you mean 'task_description'?)",
            "3:13: error: 'created_by' is empty",
            "4:16: error: 'seed_examples' must be a list, this is a boolean: YAML reads 'no' so"});
    expect(skill_head + seeds(4) + "- question: q\n  answer: yes\n  colour: red\n",
           {"14:11: error: 'seed_examples[4].answer' must be text, this is a boolean: YAML reads 'yes' so (put it in "
            "quotes)",
            "15:3: error: the key 'colour' is not known in seed_examples[4] (remove it; known are question, answer, "
            "context)"});
    expect(skill_head + seeds(5) + "- answer: a\n  question: q1\n",
           {"15:3: error: 'seed_examples[5]' is the same as the item in line 7 (change or remove it)"});
    expect(skill_head + seeds(5) + "- just text\n",
           {"15:3: error: seed_examples[5] must be a mapping of keys and values, this is text"});
    expect("version: 'two'\ntask_description: x\ncreated_by: x\nseed_examples: [{question: a, answer: b}]\n",
           {"1:10: error: 'version' must be the number 1, this is text"});
    expect("version: 9\n", {"1:10: error: 'version' must be 1, 2 or 3"});
    expect("- a\n", {"1:1: error: the file must hold keys and values"});
    expect("", {"1:1: warning: the file is empty"});
}

BOOST_AUTO_TEST_CASE(knowledge_of_old_versions_is_one_error) {
    expect("version: 2\ndomain: x\n", {"1:10: error: knowledge of versions 1 and 2 is not supported"}, root::knowledge);
    expect("domain: x\n", {"1:1: error: without a 'version' this is version 1; knowledge of versions 1 and 2"},
           root::knowledge);
    expect("document: {}\n", {"1:1: error: without a 'version' this is version 1; knowledge"}, std::nullopt);
}

BOOST_AUTO_TEST_CASE(layout_and_length_are_warnings) {
    expect(skill_head + seeds(4) + "- question: q  \n  answer: a\n\n\n\n  context: |\n    \xc3\xa4 \n",
           {"13:14: warning: blanks at the end of the line", "17:1: warning: more than two blank lines",
            "19:6: warning: blanks at the end", "13:3: warning: this example has a context, the first one has none"});
    expect(skill_head + seeds(5) + "created_by: you", {"15:1: warning: the key 'created_by' stands already in line 3",
                                                       "15:16: warning: the last line has no line end"});
    expect(skill_head + seeds(5) + "\n", {"15:1: warning: blank line at the end of the file"});
    expect("version: 2\r\ntask_description: x\r\ncreated_by: x\r\nseed_examples:\r\n" + seeds(5),
           {"1:11: warning: line ends are CR LF"});
    expect("created_by: x\ntask_description: x\nseed_examples: [{question: a, answer: ' '}]  \n",
           {"3:39: warning: 'seed_examples[0].answer' is blank"});
}

BOOST_AUTO_TEST_CASE(aliases_cannot_multiply_the_work) {
    std::string text = "version: 3\nx: &qa\n";
    for (int i = 0; i < 1000; ++i) text += "- {question: q" + std::to_string(i) + ", answer: a}\n";
    text += "seed_examples:\n";
    for (int i = 0; i < 2000; ++i) text += "- {context: c" + std::to_string(i) + ", questions_and_answers: *qa}\n";
    const auto found = problems_of(text, root::knowledge);
    BOOST_TEST(found.find("too many values to check") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(random_edits_never_crash) {
    const auto folder = std::filesystem::path(LAB_SOURCE_DIR) / "data" / "taxonomy";
    std::vector<std::string> texts;
    for (const auto& file : detail::find_files(folder)) texts.push_back(lab::read_file(file));
    BOOST_TEST_REQUIRE(!texts.empty());
    constexpr std::string_view spice = ":-'\"[]{}#&*!|>%@`,?= \t\n\\~<\x01\xc3\xff";
    std::uint64_t state = 12345;
    const auto next = [&](std::size_t below) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::size_t>(state >> 33) % below;
    };
    std::size_t invalid = 0;
    for (int round = 0; round < 500; ++round) {
        std::string text = texts[next(texts.size())];
        for (auto edits = 1 + next(4); edits > 0 && !text.empty(); --edits) {
            const auto at = next(text.size());
            switch (next(4)) {
                case 0:
                    text.erase(at, 1 + next(20));
                    break;
                case 1:
                    text.insert(at, 1, spice[next(spice.size())]);
                    break;
                case 2:
                    text.insert(at, text.substr(next(text.size()), 1 + next(60)));
                    break;
                default:
                    text.resize(at);
            }
        }
        problem_list problems("mutant");
        const auto found = judge(text, root::knowledge, problems);
        BOOST_TEST((!found || problems.errors() == 0));
        invalid += problems.errors() > 0 ? 1 : 0;
    }
    BOOST_TEST(invalid > 100U);
}

BOOST_AUTO_TEST_SUITE_END()
