#include "lab/replay/dataset.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(replay_dataset)

using namespace lab;
using replay::sample_kind;

namespace {
const std::string good =
    R"({"id":"a1","messages":[{"role":"system","content":""},{"role":"user","content":"Q?"},{"role":"assistant","content":"A."}],)"
    R"("metadata":"{\"leaf\": \"knowledge/islands/ferries\"}","unmask":false})";

std::string refusal(const std::string& line) {
    try {
        (void)replay::parse_samples("\n" + line + "\n", "f.jsonl");
    } catch (const format_error& e) {
        return e.what();
    }
    return "";
}
bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
}  // namespace

BOOST_AUTO_TEST_CASE(a_line_becomes_a_sample) {
    const auto samples = replay::parse_samples(good + "\n\n" + good, "f.jsonl");
    BOOST_REQUIRE(samples.size() == 2u);
    BOOST_TEST(samples[0].id == "a1");
    BOOST_TEST(samples[0].leaf == "knowledge/islands/ferries");
    BOOST_CHECK(samples[0].kind == sample_kind::knowledge);
    BOOST_TEST(!samples[0].unmask);
    BOOST_TEST(samples[0].messages.size() == 3u);
    BOOST_TEST(samples[1].place == "f.jsonl:3");
}

BOOST_AUTO_TEST_CASE(kind_and_leaf_come_from_what_the_metadata_offers) {
    const auto kind_of = [](const std::string& metadata) {
        const std::string line =
            R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"metadata":)" + metadata +
            "}";
        return replay::parse_samples(line, "f")[0];
    };
    BOOST_CHECK(kind_of(R"({"kind":"foundational","leaf":"knowledge/x"})").kind == sample_kind::foundational);
    BOOST_CHECK(kind_of(R"({"leaf_node_type":"knowledge","leaf_node_path":"a->b"})").kind == sample_kind::knowledge);
    BOOST_TEST(kind_of(R"({"leaf_node_type":"knowledge","leaf_node_path":"a->b"})").leaf == "a->b");
    BOOST_CHECK(kind_of(R"("{\"dataset\":\"document_knowledge_qa\"}")").kind == sample_kind::knowledge);
    BOOST_CHECK(kind_of("null").kind == sample_kind::compositional);
    BOOST_CHECK(kind_of(R"("")").kind == sample_kind::compositional);
    BOOST_TEST(kind_of("{}").id == "f:1");  // no id: the place names it
}

BOOST_AUTO_TEST_CASE(an_id_is_text_or_a_whole_number) {
    const auto id_of = [](const std::string& id) {
        return replay::parse_samples(R"({"id":)" + id + R"(,"messages":[{"role":"assistant","content":"a"}]})", "f")[0]
            .id;
    };
    BOOST_TEST(id_of("5") == "5");
    BOOST_TEST(id_of("-3") == "-3");
    BOOST_TEST(id_of("18446744073709551615") == "18446744073709551615");
    for (const char* none : {"null", "\"\""}) BOOST_TEST(id_of(none) == "f:1", none);
    for (const char* bad : {"1.5", "true", "[1]"})
        BOOST_CHECK_EXCEPTION((void)id_of(bad), format_error,
                              [](const format_error& e) { return mentions(e.what(), "f:1: field 'id'"); });
}

BOOST_AUTO_TEST_CASE(faults_name_file_line_and_field) {
    const std::string user = R"({"role":"user","content":"q"})";
    BOOST_TEST(refusal("{") != "");
    BOOST_TEST(mentions(refusal("{"), "f.jsonl:2"));
    BOOST_TEST(mentions(refusal("[]"), "f.jsonl:2"));
    BOOST_TEST(mentions(refusal(R"({"id":"x"})"), "'messages'"));
    BOOST_TEST(mentions(refusal(R"({"messages":[]})"), "no message to learn from"));
    BOOST_TEST(mentions(refusal(R"({"messages":[)" + user + "]}"), "no message to learn from"));
    BOOST_TEST(
        mentions(refusal(R"({"messages":[)" + user + R"(,{"role":"assistant","content":" \n"}]})"), "messages[1]"));
    BOOST_TEST(mentions(refusal(R"({"messages":[{"role":"assistant"}]})"), "'content'"));
    BOOST_TEST(mentions(refusal(R"({"messages":[{"role":"assistant","content":7}]})"), "'content'"));
    BOOST_TEST(mentions(refusal(R"({"messages":[{"role":"pretraining","content":"x"}]})"), "pretraining"));
    BOOST_TEST(mentions(refusal(R"({"messages":[)" + user + R"(],"unmask":1})"), "'unmask'"));
    BOOST_TEST(
        mentions(refusal(R"({"messages":[{"role":"assistant","content":"a"}],"metadata":"[1]"})"), "'metadata'"));
    BOOST_TEST(mentions(refusal(R"({"messages":[{"role":"assistant","content":"a"}],"metadata":"{x"})"), "'metadata'"));
    BOOST_TEST(refusal(R"({"unmask":true,"messages":[)" + user + "]}") == "");  // the user's words are learnt
}

BOOST_AUTO_TEST_CASE(a_folder_stands_for_its_samples_file_or_all_its_files) {
    const test::temporary_folder folder;
    const auto write = [&](const std::string& name, const std::string& text) { std::ofstream(folder / name) << text; };
    BOOST_CHECK_THROW((void)replay::read_samples(folder.path()), io_error);
    BOOST_CHECK_THROW((void)replay::read_samples(folder / "missing"), io_error);
    write("b.jsonl", good);
    write("a.jsonl", good + "\n" + good);
    write("notes.txt", "not data");
    const auto all = replay::read_samples(folder.path());
    BOOST_REQUIRE(all.size() == 3u);
    BOOST_TEST(mentions(all[0].place, "a.jsonl:1"));
    write("samples.jsonl", good);
    BOOST_TEST(replay::read_samples(folder.path()).size() == 1u);
    write("samples.jsonl", "\n");
    BOOST_CHECK_THROW((void)replay::read_samples(folder.path()), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
