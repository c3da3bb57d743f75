#include "lab/replay/preferences.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "lab/replay/packing.hpp"
#include "lab/replay/phase.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(replay_preferences)

using namespace lab;

namespace {
const auto with = boost::test_tools::per_element();

replay::preference parsed(const std::string& text) {
    return replay::parse_preference(formats::parse_json(text, "t"), "f.jsonl:1");
}
std::string refusal(const std::string& text) {
    try {
        (void)parsed(text);
    } catch (const format_error& e) {
        return e.what();
    }
    return "";
}
bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::vector<replay::preference> read_from(const std::string& text) {
    const test::temporary_folder folder;
    std::ofstream(folder / "pairs") << text;
    return replay::read_preferences(folder / "pairs");
}

/// A token for each byte; a message is learnt where it is the assistant's.
replay::encoded spell(const text::messages& messages, bool) {
    replay::encoded e;
    for (const auto& m : messages)
        for (const char c : "<" + m.content) {
            e.tokens.push_back(static_cast<token>(c));
            e.trained.push_back(m.role == "assistant" && c != '<');
        }
    return e;
}
}  // namespace

BOOST_AUTO_TEST_CASE(all_usual_forms_mean_the_same) {
    const auto plain = parsed(R"({"prompt": "Q?", "chosen": "A.", "rejected": "B."})");
    BOOST_TEST_REQUIRE(plain.chosen.size() == 2u);
    BOOST_TEST(plain.chosen[0].role == "user");
    BOOST_TEST(plain.chosen[0].content == "Q?");
    BOOST_TEST(plain.chosen[1].role == "assistant");
    BOOST_TEST(plain.chosen[1].content == "A.");
    BOOST_TEST(plain.rejected[1].content == "B.");
    BOOST_TEST(plain.id == "f.jsonl:1");
    const std::string user = R"({"role": "user", "content": "Q?"})", a = R"({"role": "assistant", "content": "A."})",
                      b = R"({"role": "assistant", "content": "B."})";
    for (const auto& text :
         {"{\"prompt\": [" + user + "], \"chosen\": [" + a + "], \"rejected\": [" + b + "]}",
          "{\"chosen\": [" + user + ", " + a + "], \"rejected\": [" + user + ", " + b + "]}",
          "{\"prompt\": \"Q?\", \"chosen\": [" + user + ", " + a + "], \"rejected\": [" + user + ", " + b + "]}",
          std::string(R"({"instruction": "Q?", "input": "", "output": "x", "chosen": "A.", "rejected": "B."})")}) {
        const auto p = parsed(text);
        BOOST_TEST_INFO(text);
        BOOST_TEST_REQUIRE(p.chosen.size() == 2u);
        BOOST_TEST(p.chosen[0].content == "Q?");
        BOOST_TEST(p.chosen[1].content == "A.");
        BOOST_TEST(p.rejected[1].content == "B.");
    }
    const auto more =
        parsed(R"({"id": "7", "system": "S", "instruction": "I", "input": "J", "chosen": "A", "rejected": "B"})");
    BOOST_TEST_REQUIRE(more.chosen.size() == 3u);
    BOOST_TEST(more.id == "7");
    BOOST_TEST(parsed(R"({"id": 7, "prompt": "Q?", "chosen": "A.", "rejected": "B."})").id == "7");
    BOOST_TEST(more.chosen[0].role == "system");
    BOOST_TEST(more.chosen[1].content == "I\n\nJ");
}

BOOST_AUTO_TEST_CASE(faults_name_the_place_and_the_field) {
    BOOST_TEST(mentions(refusal(R"({"prompt": "Q?", "rejected": "B."})"), "chosen"));
    BOOST_TEST(mentions(refusal(R"({"prompt": "Q?", "chosen": "A", "rejected": " "})"), "'rejected': has an empty"));
    BOOST_TEST(mentions(refusal(R"({"chosen": "A", "rejected": "B"})"), "no assistant's answer to a prompt"));
    BOOST_TEST(mentions(refusal(R"({"prompt": "Q", "chosen": [{"role": "user", "content": "A"}], "rejected": "B"})"),
                        "no assistant's answer"));
    BOOST_TEST(mentions(refusal(
                            R"({"chosen": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}],
                "rejected": [{"role": "user", "content": "R"}, {"role": "assistant", "content": "B"}]})"),
                        "answer different prompts"));
    BOOST_TEST(mentions(refusal("[1]"), "f.jsonl:1"));
    BOOST_TEST(mentions(refusal(R"({"prompt": 3, "chosen": "A", "rejected": "B"})"), "'prompt'"));
}

BOOST_AUTO_TEST_CASE(files_are_json_lines_or_an_array) {
    const std::string one = R"({"prompt": "Q", "chosen": "A", "rejected": "B"})";
    BOOST_TEST(read_from(one + "\n\n" + one + "\n").back().place.ends_with("pairs:3"));
    BOOST_TEST(read_from(" [" + one + ",\n" + one + "]").back().place.ends_with("pairs: [1]"));
    BOOST_CHECK_THROW((void)read_from(""), config_error);
    BOOST_CHECK_THROW((void)read_from("[]"), config_error);
    BOOST_CHECK_THROW((void)read_from(one + "\n{"), format_error);
}

BOOST_AUTO_TEST_CASE(only_the_last_answer_is_learnt_and_a_pair_is_two_sequences) {
    const replay::preference p{.id = "p",
                               .chosen = {{"user", "a"}, {"assistant", "bc"}, {"user", "d"}, {"assistant", "ef"}},
                               .rejected = {{"user", "a"}, {"assistant", "bc"}, {"user", "d"}, {"assistant", "g"}},
                               .place = "t"};
    auto tie = p;
    tie.rejected = tie.chosen;
    const std::vector<replay::preference> pairs{p, tie};
    const auto data = replay::encode_preferences(pairs, spell, 100);
    BOOST_TEST_REQUIRE(data.samples.size() == 1u);
    const auto& s = data.samples[0];
    BOOST_TEST(s.chosen_tokens == 10u);
    BOOST_TEST(s.tokens.size() == 19u);
    BOOST_TEST(replay::target_count(s) == 3u);
    const auto& report = data.leaves.at("(preferences)");
    BOOST_TEST(report.kept == 1u);
    BOOST_TEST(report.dropped == 1u);
    BOOST_TEST(report.trained_tokens == 3u);

    const std::vector<const replay::training_sample*> step{&s, &s};
    const auto batches = replay::pack(step, 0);
    BOOST_TEST_REQUIRE(batches.size() == 1u);
    BOOST_TEST(batches[0].seq_offsets == (std::vector<std::uint32_t>{0, 10, 19, 29, 38}), with);
    BOOST_TEST(batches[0].samples == (std::vector<std::size_t>{0, 1}), with);
    BOOST_TEST(batches[0].positions[10] == 0);
    BOOST_TEST(batches[0].targets[7] == 'e');
    BOOST_TEST(batches[0].targets[9] == no_token);  // the rejected conversation does not follow the chosen one
    BOOST_TEST(batches[0].targets[17] == 'g');
    BOOST_TEST(batches[0].target_tokens == 6u);
    BOOST_CHECK(replay::length_buckets{}(s) == replay::content::preferences);
    BOOST_CHECK_THROW((void)replay::encode_preferences(pairs, spell, 9), config_error);
}

BOOST_AUTO_TEST_CASE(what_an_encoder_refuses_is_told_with_its_place) {
    const std::vector<replay::preference> pairs{
        {.id = "p", .chosen = {{"user", "a"}, {"assistant", "b"}}, .rejected = {{"tool", "c"}}, .place = "f.jsonl:3"}};
    const auto encoder = [](const text::messages& messages, bool unmask) {
        if (messages[0].role == "tool") throw config_error("no role tool");
        return spell(messages, unmask);
    };
    BOOST_CHECK_EXCEPTION(
        (void)replay::encode_preferences(pairs, encoder, 100), config_error,
        [](const config_error& e) { return std::string_view(e.what()) == "f.jsonl:3: no role tool"; });
}

BOOST_AUTO_TEST_CASE(preferences_have_phases_of_their_own) {
    using replay::content, replay::phase;
    auto last = replay::preference_phase();
    const std::vector<phase> good{{.name = "a"}, last};
    BOOST_CHECK_NO_THROW(replay::check_phases(good));
    const auto refuse = [](std::vector<phase> phases) {
        BOOST_CHECK_THROW(replay::check_phases(phases), config_error);
    };
    auto mixed = last, replaying = last, doubtful = last, flat = last;
    mixed.data = content::preferences | content::all;
    replaying.replays = 1;
    doubtful.label_smoothing = 0.5;
    flat.beta = 0.0;
    for (const auto& bad : {mixed, replaying, doubtful, flat}) refuse({{.name = "a"}, bad});
    refuse({last, {.name = "b", .replays = 1}});
    BOOST_CHECK(!replay::intersects(content::all, content::preferences));
}

BOOST_AUTO_TEST_SUITE_END()
