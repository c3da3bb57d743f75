#include "lab/sdg/prompt_pack.hpp"

#include <cctype>
#include <fstream>

#include "lab/sdg/language.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(prompt_packs)

using namespace lab;
namespace prompts = sdg::prompts;
using text::field;

namespace {

void put(const std::filesystem::path& file, const std::string& content) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
}
/// The message of what `pack(folder)` throws.
template <class Fault>
std::string refusal(const std::filesystem::path& folder) {
    try {
        const prompts::pack pack(folder);
    } catch (const Fault& fault) {
        return fault.what();
    }
    return "no such fault";
}
bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

BOOST_AUTO_TEST_CASE(the_built_in_pack_renders_the_built_in_wordings) {
    const prompts::pack pack;
    BOOST_TEST(pack.render<prompts::one_more>(field<"list">("a, b")) == "One more of this kind: a, b");
    BOOST_TEST(pack.render_in<prompts::complete_sentence>("de", field<"document">("Leben"),
                                                          field<"beginning">("Ihr Grab liegt")) ==
               "Ergänze diesen Satz aus „Leben“: Ihr Grab liegt ...");
    BOOST_TEST(pack.render_in<prompts::recall_section>("fr", field<"document">("Vie"), field<"section">("Enfance")) ==
               "Que dit « Vie » au sujet de « Enfance » ?");
    BOOST_TEST(pack.render_in<prompts::recall_section>("", field<"document">("A"), field<"section">("B")) ==
               "What does \"A\" say about \"B\"?");
    BOOST_TEST(!pack.has<prompts::few_words>(""));
    BOOST_TEST(pack.has<prompts::few_words>("fr"));
    BOOST_TEST(pack.tag<prompts::one_more>() == "one_more " + prompts::version_of<prompts::one_more>());
    BOOST_TEST(pack.tag<prompts::few_words>("de") ==
               "few_words de " + prompts::version_of<prompts::few_words_german>());
    BOOST_TEST(pack.tag<prompts::is_grounded>("de") == pack.tag<prompts::is_grounded>());
    BOOST_TEST(pack.pairs<prompts::rephrasings>().size() == 4u);
    BOOST_TEST(pack.pairs<prompts::rephrasings>()[0].second == "How tall is the Alder tower?");
    BOOST_TEST(pack.edition(false) == prompts::edition);
    BOOST_TEST(pack.edition(true) == prompts::full_edition);
    BOOST_TEST((pack.languages() == std::vector<std::string>{"en", "de", "fr"}));
}

BOOST_AUTO_TEST_CASE(what_is_written_reads_back_as_the_same_edition) {
    const test::temporary_folder folder;
    prompts::pack().write(folder / "all");
    const prompts::pack read(folder / "all");
    BOOST_TEST(read.edition(true) == prompts::full_edition);
    BOOST_TEST(read.changed().empty());
    read.write(folder / "again");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "all"))
        if (entry.is_regular_file())
            BOOST_TEST(read_file(entry.path()) ==
                       read_file(folder / "again" / std::filesystem::relative(entry.path(), folder / "all")));
}

BOOST_AUTO_TEST_CASE(a_file_replaces_one_wording_and_no_other) {
    const test::temporary_folder folder;
    put(folder / "en/one_more.txt", "name: one_more\r\nfor: lists\r\n---\r\nAnd {{ list }},\r\nwhat else?\r\n");
    put(folder / "en/.one_more.txt.swp", "of an editor");
    put(folder / "en/one_more.txt~", "of another");
    const prompts::pack pack(folder.path());
    BOOST_TEST(pack.render<prompts::one_more>(field<"list">("{{list}}")) == "And {{list}},\nwhat else?");
    BOOST_TEST(pack.render<prompts::rephrase>(field<"question">("Why?")) == "Ask this in other words: Why?");
    BOOST_TEST(pack.edition(false) != prompts::edition);
    BOOST_TEST(pack.edition(true) != prompts::full_edition);
    BOOST_TEST((pack.changed() == std::vector<std::string>{"en/one_more"}));
    BOOST_TEST(pack.tag<prompts::one_more>() != prompts::pack().tag<prompts::one_more>());
    BOOST_TEST(pack.tag<prompts::rephrase>() == prompts::pack().tag<prompts::rephrase>());
}

BOOST_AUTO_TEST_CASE(a_folder_adds_a_language) {
    const test::temporary_folder folder;
    put(folder / "es/common_words.txt", "---\nel la los las de que y en un una es por con para del se no su lo al\n");
    put(folder / "es/few_words.txt", "---\nResponde con pocas palabras. {{question}}\n");
    const prompts::pack pack(folder.path());
    BOOST_TEST(sdg::language_of("El puente de la ciudad es de piedra y se abre por la noche.", pack) == "es");
    BOOST_TEST(sdg::language_of("The bridge of the town is made of stone.", pack) == "en");
    BOOST_TEST(pack.render_in<prompts::few_words>("es", field<"question">("¿Quién?")) ==
               "Responde con pocas palabras. ¿Quién?");
    BOOST_TEST(pack.render_in<prompts::recall_section>("es", field<"document">("A"), field<"section">("B")) ==
               "What does \"A\" say about \"B\"?");  // what it lacks stays English
    BOOST_TEST(pack.changed().size() == 2u);
    put(folder / "it/few_words.txt", "---\n{{question}}\n");
    BOOST_TEST(has(refusal<format_error>(folder.path()), "common_words.txt"));
}

BOOST_AUTO_TEST_CASE(errors_name_file_and_field) {
    const test::temporary_folder folder;
    BOOST_TEST(has(refusal<io_error>(folder / "nowhere"), "nowhere"));
    BOOST_TEST(has(refusal<format_error>(folder.path()), "no prompt in it"));
    const auto file = folder / "en" / "is_grounded.txt";
    const std::string sound = "---\n{{text}} {{question}} {{answer}}\n";
    for (const auto& [content, parts] : std::vector<std::pair<std::string, std::vector<std::string>>>{
             {"---\n{{text}} {{question}} {{answer}} {{colour}}\n", {"{{colour}}", "text, question, answer"}},
             {"---\n{{text}} {{question}}\n", {"{{answer}} is missing"}},
             {"---\n{{text}} {{question}} {{answer}\n", {"'{{'"}},
             {"{{text}} {{question}} {{answer}}\n", {"is_grounded.txt"}},
             {"name: is_relevant\n" + sound, {"is_relevant", "is_grounded"}},
             {"language: de\n" + sound, {"'language: de'", "'en'"}},
             {"fields: text\n" + sound, {"text, question, answer"}},
             {"colour: red\n" + sound, {":1:"}},
             {"for: a\nfor: b\n" + sound, {":2:", "twice"}},
             {"for: a", {"'---'"}},
             {"", {"'---'"}},
             {"---\n\xff{{text}}", {"UTF-8", "offset 4"}}}) {
        put(file, content);
        const auto message = refusal<format_error>(folder.path());
        BOOST_TEST(has(message, "is_grounded.txt"), content << " -> " << message);
        for (const auto& part : parts) BOOST_TEST(has(message, part), content << " -> " << message);
    }
    put(file, sound);
    put(folder / "en/rephrasings.txt", "---\nWhy? => How come?\nWhen?\n");
    BOOST_TEST(has(refusal<format_error>(folder.path()), "'When?' is no pair"));
    put(folder / "en/rephrasings.txt", "---\n\n");
    BOOST_TEST(has(refusal<format_error>(folder.path()), "empty"));
    std::filesystem::remove(folder / "en/rephrasings.txt");
    put(folder / "en/is_grunded.txt", sound);
    BOOST_TEST(has(refusal<format_error>(folder.path()), "is_grunded.txt"));
    std::filesystem::remove(folder / "en/is_grunded.txt");
    std::filesystem::create_directories(folder / "en/is_relevant.txt");
    BOOST_TEST(has(refusal<io_error>(folder.path()), "is_relevant.txt"));
    std::filesystem::remove(folder / "en/is_relevant.txt");
    put(folder / "en/is_relevant.txt", "---\n{{text}}" + std::string(std::size_t{1} << 20, ' ') + "\n");
    BOOST_TEST(has(refusal<format_error>(folder.path()), "1 MiB"));
    std::filesystem::remove(folder / "en/is_relevant.txt");
    put(folder / "English/is_grounded.txt", sound);
    BOOST_TEST(has(refusal<format_error>(folder.path()), "English"));
}

BOOST_AUTO_TEST_CASE(grades_keep_their_names) {
    const test::temporary_folder folder;
    const auto file = folder / "en" / "answer_grades.txt";
    put(file, "---\n3 => splendid\n1 => useless\n2 => fair\n");  // in any order
    BOOST_TEST(prompts::pack(folder.path()).pairs<prompts::answer_grades>().size() == 3u);
    for (const auto& [grades, part] :
         std::vector<std::pair<std::string, std::string>>{{"1 => useless\n3 => splendid\n", "the grade '2'"},
                                                          {"1 => a\n2 => b\n2 => c\n3 => d\n", "the grade '2'"},
                                                          {"1 => a\n2 => b\n3 => c\n4 => d\n", "has 4 grades"},
                                                          {"1: a\n2 => b\n3 => c\n", "'1: a' is no pair"}}) {
        put(file, "---\n" + grades);
        const auto message = refusal<format_error>(folder.path());
        BOOST_TEST(has(message, part), message);
    }
}

BOOST_AUTO_TEST_CASE(every_wording_goes_through_the_pack) {
    // One that is rendered by itself could not be replaced, and nobody would notice.
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(std::filesystem::path(LAB_SOURCE_DIR) / "include/lab/sdg")) {
        if (!entry.is_regular_file()) continue;
        const std::string header = read_file(entry.path());
        for (auto at = header.find("prompts::"); at != header.npos; at = header.find("prompts::", at + 1)) {
            auto end = at + 9;
            while (end < header.size() && (std::isalnum(static_cast<unsigned char>(header[end])) || header[end] == '_'))
                ++end;
            BOOST_TEST(header.substr(end, 9) != "::render(", entry.path().filename()
                                                                 << ": " << header.substr(at, end - at));
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
