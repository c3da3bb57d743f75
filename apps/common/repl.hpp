// The read-answer loop of a chat, apart from terminal and model: lines come from a function, text goes to a stream, and
// the conversation is anything that models `Conversation` (lab::infer::chat does). Multi-line input: a backslash at the
// end of a line, or lines between """ fences.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include "common/cli.hpp"
#include "common/progress.hpp"
#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/text/message.hpp"
#include "lab/text/request.hpp"

namespace lab::apps {

using piece_callback = std::function<bool(std::string_view)>;

/// What `say` and `regenerate` throw leaves the messages as they were.
template <class C>
concept Conversation = requires(C& c, std::string_view line, const piece_callback& on_piece, text::messages list) {
    { c.say(line, on_piece).tokens.size() } -> std::convertible_to<std::size_t>;
    { c.say(line, on_piece).finish } -> std::convertible_to<text::finish_reason>;
    c.regenerate(on_piece);
    c.reset();
    c.set_system(std::string(line));
    { c.messages() } -> std::convertible_to<const text::messages&>;
    c.set_messages(std::move(list));
};

enum class input_event : unsigned char { line, end, interrupted };

struct repl_options {
    painter paint{};
    bool show_speed = true;
    std::string prompt = "> ", continuation = ". ";
};

/// Reads a line for the given prompt into the string.
using line_reader = std::function<input_event(const std::string& prompt, std::string& line)>;

template <Conversation Chat>
class repl {
public:
    /// `stop_requested` is asked after each piece of an answer (Ctrl-C); all arguments must outlive the loop.
    repl(Chat& chat, line_reader read, std::ostream& out, std::function<bool()> stop_requested,
         repl_options options = {})
        : chat_(&chat),
          read_(std::move(read)),
          out_(&out),
          stop_requested_(std::move(stop_requested)),
          options_(std::move(options)) {}

    /// Until /quit, the end of the input, or a second Ctrl-C in a row at the prompt.
    void run() {
        bool warned = false;
        for (std::string input; !quit_;) {
            const input_event event = read_input(input);
            if (event == input_event::end) break;
            if (event == input_event::interrupted) {
                if (std::exchange(warned, true)) break;
                note("press Ctrl-C again, or type /quit, to leave");
                continue;
            }
            warned = false;
            try {
                handle(input);
            } catch (const lab::error& fault) {
                *out_ << options_.paint.red(fault.what()) << '\n';
            }
            out_->flush();
        }
    }

    /// One line of input: a command, or a message to the model. A message that begins with a space is never a command.
    void handle(const std::string& input) {
        const std::size_t first = input.find_first_not_of(" \t\n");
        if (first == std::string::npos) return;
        if (input[0] != '/') return answer([&](const piece_callback& on_piece) { return chat_->say(input, on_piece); });
        const std::size_t space = input.find_first_of(" \t\n");
        const std::string command = input.substr(0, space);
        const std::size_t begin = space == std::string::npos ? space : input.find_first_not_of(" \t\n", space);
        const std::string argument =
            begin == std::string::npos ? "" : input.substr(begin, input.find_last_not_of(" \t\n") - begin + 1);
        if (command == "/help") return help();
        if (command == "/quit" || command == "/exit") {
            quit_ = true;
        } else if (command == "/reset") {
            chat_->reset();
            note("the conversation begins anew");
        } else if (command == "/regen") {
            answer([&](const piece_callback& on_piece) { return chat_->regenerate(on_piece); });
        } else if (command == "/system") {
            system(argument);
        } else if (command == "/save") {
            save(path_of(argument));
        } else if (command == "/load") {
            load(path_of(argument));
        } else {
            throw config_error("unknown command " + command +
                               " (/help lists them; begin with a space to send the line as it is)");
        }
    }

private:
    /// A line, or several joined by backslashes or fences.
    input_event read_input(std::string& input) {
        input_event event = read_(options_.paint.bold(options_.prompt), input);
        if (event != input_event::line) return event;
        constexpr std::string_view fence = "\"\"\"";
        std::string more;
        if (input.starts_with(fence)) {
            input.erase(0, fence.size());
            while (!input.ends_with(fence)) {
                event = read_(options_.continuation, more);
                if (event == input_event::interrupted) return event;
                if (event == input_event::end) return event;
                if (!input.empty()) input += '\n';
                input += more;
            }
            input.erase(input.size() - fence.size());
            if (input.ends_with('\n')) input.pop_back();
            if (input.starts_with('/')) input.insert(0, " ");  // text in fences is never a command
            return input_event::line;
        }
        while (input.ends_with('\\')) {
            input.back() = '\n';
            event = read_(options_.continuation, more);
            if (event != input_event::line) return event;
            input += more;
        }
        return input_event::line;
    }

    /// Streams an answer.
    template <class Say>
    void answer(Say say) {
        const auto start = std::chrono::steady_clock::now();
        auto first = start;
        bool any = false;
        try {
            const auto result = say([&](std::string_view piece) {
                if (!std::exchange(any, true)) first = std::chrono::steady_clock::now();
                *out_ << piece << std::flush;
                return !stop_requested_();
            });
            *out_ << '\n';
            const auto now = std::chrono::steady_clock::now();
            after_answer(result.finish, result.tokens.size(), std::chrono::duration<double>(now - first).count(),
                         std::chrono::duration<double>(first - start).count());
        } catch (...) {
            if (any) *out_ << '\n';
            throw;
        }
    }
    void after_answer(text::finish_reason finish, std::size_t tokens, double seconds, double wait) {
        if (finish == text::finish_reason::cancelled) note("stopped; the answer stays as far as it came");
        if (finish == text::finish_reason::length) note("the answer reached --max-tokens, or the end of the context");
        if constexpr (requires { chat_->left_out(); })
            if (chat_->left_out() > 0)
                note("the context is full: the model no longer sees the oldest " + std::to_string(chat_->left_out()) +
                     " messages");
        // The first token's time is the prompt's, so the rate counts the others.
        if (options_.show_speed && tokens > 1 && seconds > 0)
            note(std::to_string(tokens) + " tokens, " + rate_text(static_cast<double>(tokens - 1) / seconds) +
                 " tokens/s, first after " + rate_text(wait) + " s");
    }
    void note(const std::string& text) { *out_ << options_.paint.dim("[" + text + "]") << '\n'; }

    void help() {
        *out_ << "/reset        begin a new conversation\n"
                 "/system TEXT  set the system message and begin anew; alone: show it\n"
                 "/regen        answer the last message again\n"
                 "/save FILE    write the conversation as JSON\n"
                 "/load FILE    go on with a saved conversation\n"
                 "/quit         leave (also Ctrl-D)\n"
                 "End a line with \\ to go on in the next, or put lines between \"\"\". Ctrl-C stops an answer.\n";
    }
    void system(const std::string& argument) {
        if (!argument.empty()) {
            chat_->set_system(argument);
            return note("the conversation begins anew with this system message");
        }
        const auto& list = chat_->messages();
        const bool has = !list.empty() && list.front().role == "system";
        *out_ << (has ? list.front().content : "the format's own system message, if it has one") << '\n';
    }
    static std::filesystem::path path_of(const std::string& argument) {
        if (argument.empty()) throw config_error("which file? (/save FILE, /load FILE)");
        const char* home = std::getenv("HOME");
        return argument.starts_with("~/") && home != nullptr ? std::filesystem::path(home) / argument.substr(2)
                                                             : std::filesystem::path(argument);
    }
    void save(const std::filesystem::path& path) {
        auto list = formats::json::array();
        for (const auto& m : chat_->messages()) list.push_back({{"role", m.role}, {"content", m.content}});
        write_file_atomically(path, formats::json{{"messages", std::move(list)}}.dump(
                                        -1, ' ', false, formats::json::error_handler_t::replace) +
                                        "\n");
        note("saved to " + path.string());
    }
    void load(const std::filesystem::path& path) {
        const auto data = formats::parse_json(read_file(path), path.string());
        text::messages list;
        if (!data.is_object() || !data.contains("messages") || !data["messages"].is_array())
            throw format_error(explain(path.string(), "holds no list \"messages\""));
        for (const auto& m : data["messages"]) {
            if (!m.is_object() || !m.contains("role") || !m["role"].is_string() || !m.contains("content") ||
                !m["content"].is_string())
                throw format_error(explain(path.string(), "a message lacks \"role\" or \"content\""));
            list.push_back({m["role"].get<std::string>(), m["content"].get<std::string>()});
        }
        note("loaded " + std::to_string(list.size()) + " messages");
        chat_->set_messages(std::move(list));
    }

    Chat* chat_;
    line_reader read_;
    std::ostream* out_;
    std::function<bool()> stop_requested_;
    repl_options options_;
    bool quit_ = false;
};

}  // namespace lab::apps
