// The loop of lab-chat with a model that answers by echo.
#include "common/repl.hpp"

#include <boost/test/unit_test.hpp>
#include <sstream>
#include <vector>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(apps_repl)

namespace {

using lab::apps::input_event;
using lab::text::message;

struct echo_chat {
    struct reply {
        std::vector<int> tokens;
        lab::text::finish_reason finish;
    };
    lab::text::messages list{};
    bool broken = false;

    reply say(std::string_view line, const lab::apps::piece_callback& on_piece) {
        if (broken) throw lab::config_error("the model is out");
        list.push_back({"user", std::string(line)});
        return answer(on_piece);
    }
    reply regenerate(const lab::apps::piece_callback& on_piece) {
        if (list.empty() || list.back().role != "assistant") throw lab::config_error("nothing to redo");
        list.pop_back();
        return answer(on_piece);
    }
    reply answer(const lab::apps::piece_callback& on_piece) {
        const std::string text = "<" + list.back().content + ">";
        std::string shown;
        for (const char c : text) {
            shown += c;
            if (!on_piece(std::string_view(&c, 1))) break;
        }
        const bool whole = shown == text;
        list.push_back({"assistant", shown});
        return {std::vector<int>(shown.size()),
                whole ? lab::text::finish_reason::stop : lab::text::finish_reason::cancelled};
    }
    void reset() { list.clear(); }
    void set_system(std::string text) { list = {{"system", std::move(text)}}; }
    const lab::text::messages& messages() const { return list; }
    void set_messages(lab::text::messages m) { list = std::move(m); }
};

constexpr const char* ctrl_c = "^C";

/// Feeds lines to the loop and returns what it wrote.
std::string play(echo_chat& chat, std::vector<std::string> lines, std::size_t stop_after = 1000) {
    std::ostringstream out;
    std::size_t next = 0, pieces = 0;
    const auto read = [&](const std::string&, std::string& line) {
        if (next == lines.size()) return input_event::end;
        line = lines[next++];
        return line == ctrl_c ? input_event::interrupted : input_event::line;
    };
    lab::apps::repl loop(chat, read, out, [&] { return ++pieces == stop_after; }, {.show_speed = false});
    loop.run();
    return out.str();
}

}  // namespace

BOOST_AUTO_TEST_CASE(lines_are_answered_until_quit) {
    echo_chat chat;
    BOOST_TEST(play(chat, {"Hi", "", "  ", "/quit", "never"}) == "<Hi>\n");
    BOOST_TEST(chat.list.size() == 2u);
}

BOOST_AUTO_TEST_CASE(input_may_span_lines) {
    echo_chat chat;
    (void)play(
        chat, {"one\\", "two\\", "three", "\"\"\"", "a", "", "b", "\"\"\"", "\"\"\"x", "y\"\"\"", "\"\"\"/quit\"\"\""});
    BOOST_REQUIRE(chat.list.size() == 8u);
    BOOST_TEST(chat.list[0].content == "one\ntwo\nthree");
    BOOST_TEST(chat.list[2].content == "a\n\nb");
    BOOST_TEST(chat.list[4].content == "x\ny");
    BOOST_TEST(chat.list[6].content == " /quit");
}

BOOST_AUTO_TEST_CASE(ctrl_c_stops_the_answer_and_keeps_the_chat) {
    echo_chat chat;
    const std::string out = play(chat, {"Hello", "again"}, 3);
    BOOST_TEST(out.starts_with("<He\n[stopped"));
    BOOST_TEST(out.find("<again>") != std::string::npos);
    BOOST_TEST(chat.list[1].content == "<He");
}

BOOST_AUTO_TEST_CASE(ctrl_c_twice_at_the_prompt_quits) {
    echo_chat chat;
    const std::string out = play(chat, {ctrl_c, "Hi", ctrl_c, ctrl_c, "never"});
    BOOST_TEST(out.find("<Hi>") != std::string::npos);
    BOOST_TEST(out.find("never") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(commands_act_on_the_conversation) {
    echo_chat chat;
    (void)play(chat, {"/system Be brief.", "Hi", "/regen"});
    BOOST_TEST((chat.list == lab::text::messages{{"system", "Be brief."}, {"user", "Hi"}, {"assistant", "<Hi>"}}));
    BOOST_TEST(play(chat, {"/system"}) == "Be brief.\n");
    (void)play(chat, {"/reset"});
    BOOST_TEST(chat.list.empty());
    BOOST_TEST(play(chat, {"/nope"}).find("unknown command /nope") != std::string::npos);
    BOOST_TEST(play(chat, {" /nope"}) == "< /nope>\n");
    BOOST_TEST(play(chat, {"/help"}).find("/regen") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(conversations_are_saved_and_loaded) {
    const lab::test::temporary_folder folder;
    const std::string file = (folder / "chat.json").string();
    echo_chat chat, other;
    (void)play(chat, {"Zo\xc3\xab \"x\"", "/save " + file});
    (void)play(other, {"/load " + file});
    BOOST_TEST((other.list == chat.list));
    lab::write_file_atomically(folder / "bad.json", "{\"messages\": [{\"role\": 1}]}");
    BOOST_TEST(play(other, {"/load " + (folder / "bad.json").string()}).find("lacks \"role\"") != std::string::npos);
    BOOST_TEST(play(other, {"/load /nowhere/x"}).find("cannot open") != std::string::npos);
    BOOST_TEST(play(other, {"/save"}).find("which file") != std::string::npos);
    BOOST_TEST((other.list == chat.list));
}

BOOST_AUTO_TEST_CASE(a_fault_is_told_and_the_loop_goes_on) {
    echo_chat chat;
    (void)play(chat, {"Hi"});
    chat.broken = true;
    BOOST_TEST(play(chat, {"more"}) == "the model is out\n");
    BOOST_TEST(chat.list.size() == 2u);
    chat.list.clear();
    BOOST_TEST(play(chat, {"/regen"}) == "nothing to redo\n");
}

BOOST_AUTO_TEST_SUITE_END()
