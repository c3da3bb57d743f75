// Rows in every form that circulates, written back with four keys; faults that name place and field; the estimate.
#include "lab/sdg/mix_sample.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(sdg_mix_sample)

using namespace lab;
using formats::json;

namespace {

sdg::mix_sample read(const std::string& line) {
    return sdg::read_mix_sample(formats::parse_json(line, "x"), "d.jsonl:7");
}

std::string fault_of(const std::string& line) {
    try {
        (void)read(line);
    } catch (const error& fault) {
        return fault.what();
    }
    return "none";
}

const std::string turns = R"("messages":[{"role":"user","content":"Q?"},{"role":"assistant","content":"A."}])";

}  // namespace

BOOST_AUTO_TEST_CASE(lab_s_own_line_comes_back_as_it_was) {
    const std::string line =
        R"({"id":"a1","messages":[{"content":"Q?","role":"user"},{"content":"A.","role":"assistant"}],)"
        R"("metadata":"{\"kind\":\"knowledge\",\"leaf\":\"knowledge->a\"}","unmask":false})";
    const auto s = read(line);
    BOOST_TEST(sdg::to_line(s) == line);
    BOOST_TEST(s.leaf == "knowledge->a");
    BOOST_TEST(s.kind == "knowledge");
}

BOOST_AUTO_TEST_CASE(further_columns_move_into_the_metadata) {
    const auto s =
        read(R"({"source":"p1","n":3,"metadata":{"source":"old","leaf":"compositional_skills_x"},)" + turns + "}");
    BOOST_TEST(s.metadata["source"] == "p1");
    BOOST_TEST(s.metadata["n"] == 3);
    BOOST_TEST(s.kind == "compositional");
    BOOST_TEST(s.id.size() == 32u);
    BOOST_TEST(s.id == read("{" + turns + "}").id);
    const auto line = formats::parse_json(sdg::to_line(s), "x");
    BOOST_TEST(line.size() == 4u);
    for (const char* key : {"id", "messages", "metadata", "unmask"}) BOOST_TEST(line.contains(key), key);
    BOOST_TEST(line["metadata"].is_string());
}

BOOST_AUTO_TEST_CASE(forms_of_metadata_and_id) {
    for (const char* metadata : {"null", "\"\"", "{}", "\"{}\"", "\"null\"", "\"  \""})
        BOOST_TEST(read(R"({"id":"a","metadata":)" + std::string(metadata) + "," + turns + "}").metadata ==
                   json::object());
    BOOST_TEST(read(R"({"id":17,)" + turns + "}").id == "17");
    BOOST_TEST(read(R"({"id":"","unmask":null,)" + turns + "}").id.size() == 32u);
    BOOST_TEST(read(R"({"metadata":{"dataset":"document_knowledge_qa"},)" + turns + "}").kind == "knowledge");
    BOOST_TEST(read(R"({"leaf_node_type":"freeform_skill",)" + turns + "}").kind == "compositional");
}

BOOST_AUTO_TEST_CASE(a_row_that_instructlab_s_pipeline_generated) {
    const auto s =
        read(R"({"document":"D.","domain":"d","question":" Why? ","response":"So.\n","leaf_node_path":"knowledge_a"})");
    BOOST_TEST(s.kind == "knowledge");
    BOOST_TEST(s.messages[0]["content"] == "Why?");
    BOOST_TEST(s.messages[1]["content"] == "So.");
    BOOST_TEST(s.metadata["document"] == "D.");
    BOOST_TEST(!s.metadata.contains("question"));
    const auto both = read(R"({"output":"Why is it? Because? Yes.","document":"D."})");
    BOOST_TEST(both.messages[0]["content"] == "Why is it?");
    BOOST_TEST(both.messages[1]["content"] == "Because? Yes.");
    const auto no_mark = read(R"({"output":"Just text.","document":"D."})");
    BOOST_TEST(sdg::unusable(no_mark) == "a message is empty");
}

BOOST_AUTO_TEST_CASE(the_old_role_pretraining) {
    const auto old = read(
        R"({"messages":[{"role":"system","content":"S"},{"role":"pretraining","content":"<|user|>\nWhat is a < b?\n<|assistant|>\nA < is less.<|endoftext|>\n"}]})");
    BOOST_TEST(old.unmask);
    BOOST_REQUIRE(old.messages.size() == 3u);
    BOOST_TEST(old.messages[1]["role"] == "user");
    BOOST_TEST(old.messages[1]["content"] == "What is a < b?");
    BOOST_TEST(old.messages[2]["content"] == "A < is less.");
    const auto newer = read(
        R"({"messages":[{"role":"pretraining","content":"<|start_of_role|>user<|end_of_role|>Q<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>A<|end_of_text|>\n"}]})");
    BOOST_REQUIRE(newer.messages.size() == 2u);
    BOOST_TEST(newer.messages[1]["content"] == "A");
    BOOST_TEST(fault_of(R"({"messages":[{"role":"pretraining","content":"no marks"}]})").find("pretraining") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_a_trainer_cannot_use) {
    BOOST_TEST(sdg::unusable(read("{" + turns + "}")).empty());
    BOOST_TEST(sdg::unusable(read(R"({"messages":[]})")) == sdg::nothing_to_learn);
    BOOST_TEST(sdg::unusable(read(R"({"messages":[{"role":"user","content":"Q"}]})")) == sdg::nothing_to_learn);
    BOOST_TEST(sdg::unusable(read(R"({"unmask":true,"messages":[{"role":"user","content":"Q"}]})")).empty());
    for (const char* content : {"null", "\"\"", "\" \\n\""})
        BOOST_TEST(sdg::unusable(read(R"({"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":)" +
                                      std::string(content) + "}]}")) == "a message is empty");
    BOOST_TEST(
        sdg::unusable(read(R"({"messages":[{"role":"system","content":""},{"role":"assistant","content":"A"}]})"))
            .empty());
}

BOOST_AUTO_TEST_CASE(the_system_prompt_is_set_or_replaced) {
    auto s = read("{" + turns + "}");
    sdg::set_system_prompt(s, "Be kind.");
    BOOST_REQUIRE(s.messages.size() == 3u);
    BOOST_TEST(s.messages[0]["role"] == "system");
    sdg::set_system_prompt(s, "Be brief.");
    BOOST_REQUIRE(s.messages.size() == 3u);
    BOOST_TEST(s.messages[0]["content"] == "Be brief.");
}

BOOST_AUTO_TEST_CASE(faults_name_place_and_field) {
    for (const auto& [line, part] : std::vector<std::pair<std::string, std::string>>{
             {"[1]", "is array, not an object"},
             {"{}", "has no field 'messages'"},
             {R"({"messages":"x"})", "field 'messages' is string"},
             {R"({"messages":[3]})", "messages[0]: expected an object"},
             {R"({"messages":[{"content":"x"}]})", "field 'role' is missing"},
             {R"({"messages":[{"role":"","content":"x"}]})", "empty role"},
             {R"({"messages":[{"role":"user","content":["x"]}]})", "messages[0]: field 'content'"},
             {R"({"unmask":"yes",)" + turns + "}", "field 'unmask'"},
             {R"({"metadata":"[1]",)" + turns + "}", "holds no JSON object"},
             {R"({"metadata":"{oops",)" + turns + "}", "field 'metadata'"},
             {R"({"metadata":3,)" + turns + "}", "field 'metadata'"},
             {R"({"id":[1],)" + turns + "}", "field 'id' is array"}}) {
        const auto fault = fault_of(line);
        BOOST_TEST(fault.find("d.jsonl:7") == 0u, line << " -> " << fault);
        BOOST_TEST(fault.find(part) != std::string::npos, line << " -> " << fault);
    }
}

BOOST_AUTO_TEST_CASE(estimated_tokens_by_words_and_by_characters_without_blanks) {
    BOOST_TEST(sdg::estimated_words_tokens("") == 0u);
    BOOST_TEST(sdg::estimated_words_tokens("one two  three\nfour") == 6u);  // 5.2
    BOOST_TEST(sdg::estimated_words_tokens("na\xc3\xafve caf\xc3\xa9 \xe2\x80\x94 yes") == 6u);
    BOOST_TEST(sdg::estimated_words_tokens("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e") == 4u);  // three characters: 3.9
}

BOOST_AUTO_TEST_SUITE_END()
