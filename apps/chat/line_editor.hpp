// Lines from a terminal with libedit: editing, history kept in a file under the XDG state folder, Ctrl-C told apart
// from the end of the input. Lines from anything else are read plainly, without a prompt.
#pragma once

#include <histedit.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include "common/repl.hpp"

namespace lab::apps {

/// $XDG_STATE_HOME/lab/chat_history, by default under ~/.local/state; empty where there is no home.
[[nodiscard]] inline std::filesystem::path history_path() {
    const char* state = std::getenv("XDG_STATE_HOME");
    const char* home = std::getenv("HOME");
    std::filesystem::path folder;
    if (state != nullptr && state[0] == '/')
        folder = state;
    else if (home != nullptr && *home != '\0')
        folder = std::filesystem::path(home) / ".local" / "state";
    return folder.empty() ? folder : folder / "lab" / "chat_history";
}

class line_editor {
public:
    explicit line_editor(std::filesystem::path history_file) : file_(std::move(history_file)) {
        if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) return;
        editor_.reset(::el_init("lab-chat", stdin, stdout, stderr));
        history_.reset(::history_init());
        if (!editor_ || !history_) return;
        ::el_set(editor_.get(), EL_CLIENTDATA, this);
        ::el_set(editor_.get(), EL_PROMPT_ESC, &line_editor::prompt, '\1');
        ::el_set(editor_.get(), EL_EDITOR, "emacs");
        ::el_set(editor_.get(), EL_HIST, ::history, history_.get());
        // Ctrl-C is a key here, not a signal: so it can drop the line without ending the program.
        ::el_set(editor_.get(), EL_SETTY, "-d", "-isig", nullptr);
        ::el_set(editor_.get(), EL_ADDFN, "lab-interrupt", "drop the line", &line_editor::interrupt);
        ::el_set(editor_.get(), EL_BIND, "^C", "lab-interrupt", nullptr);
        ::el_source(editor_.get(), nullptr);  // ~/.editrc
        HistEvent event;
        ::history(history_.get(), &event, H_SETSIZE, 1000);
        ::history(history_.get(), &event, H_SETUNIQUE, 1);
        std::error_code unreadable;  // then there is no history, which is only a comfort
        if (!file_.empty() && std::filesystem::exists(file_, unreadable))
            ::history(history_.get(), &event, H_LOAD, file_.c_str());
    }
    line_editor(const line_editor&) = delete;
    line_editor& operator=(const line_editor&) = delete;
    ~line_editor() { save(); }

    [[nodiscard]] bool interactive() const { return editor_ != nullptr; }

    input_event read(const std::string& prompt, std::string& line) {
        if (!editor_) return std::getline(std::cin, line) ? input_event::line : input_event::end;
        prompt_ = prompt;
        interrupted_ = false;
        int count = 0;
        const char* text = ::el_gets(editor_.get(), &count);
        if (interrupted_) {
            std::cout << "^C" << std::endl;
            return input_event::interrupted;
        }
        if (text == nullptr || count <= 0) {
            std::cout << std::endl;
            return input_event::end;
        }
        line.assign(text, static_cast<std::size_t>(count));
        while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
        if (!line.empty()) {
            HistEvent event;
            ::history(history_.get(), &event, H_ENTER, line.c_str());
        }
        return input_event::line;
    }

private:
    static line_editor& self(EditLine* editor) {
        void* data = nullptr;
        ::el_get(editor, EL_CLIENTDATA, &data);
        return *static_cast<line_editor*>(data);
    }
    /// The prompt; its colour codes stand between \1 marks, so that libedit does not count them.
    static char* prompt(EditLine* editor) {
        std::string& shown = self(editor).shown_;
        shown.clear();
        bool code = false;
        for (const char c : self(editor).prompt_) {
            if (c == '\033') shown += '\1', code = true;
            shown += c;
            if (code && c == 'm') shown += '\1', code = false;
        }
        return shown.data();
    }
    static unsigned char interrupt(EditLine* editor, int) {
        self(editor).interrupted_ = true;
        return CC_EOF;
    }
    /// History is a comfort: where it cannot be written, the chat goes on without a word.
    void save() {
        if (!editor_ || file_.empty()) return;
        std::error_code ignored;
        std::filesystem::create_directories(file_.parent_path(), ignored);
        const ::mode_t old = ::umask(0077);  // what was typed is nobody else's business
        HistEvent event;
        ::history(history_.get(), &event, H_SAVE, file_.c_str());
        ::umask(old);
    }

    struct close {
        void operator()(EditLine* e) const { ::el_end(e); }
        void operator()(History* h) const { ::history_end(h); }
    };
    std::filesystem::path file_;
    std::unique_ptr<History, close> history_;
    std::unique_ptr<EditLine, close> editor_;
    std::string prompt_, shown_;
    bool interrupted_ = false;
};

}  // namespace lab::apps
