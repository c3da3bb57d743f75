// A conversation with a model: keeps the messages, renders them in a chat format, streams the answer. The engine's kept
// prefixes make each turn cost only its new tokens. When the context is full the oldest exchanges are left out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/infer/engine.hpp"
#include "lab/sampling/chain.hpp"
#include "lab/sampling/constraint.hpp"
#include "lab/text/chat_format.hpp"
#include "lab/text/encode_chat.hpp"
#include "lab/text/message.hpp"

namespace lab::infer {

struct chat_options {
    std::string system;            // empty: the format's default, if it has one
    std::size_t max_tokens = 512;  // of one answer
};

class chat {
public:
    using piece_callback = std::function<bool(std::string_view)>;

    /// The engine must outlive the chat.
    chat(engine& e, text::any_chat_format format, sampling::any_chain sampler, chat_options options = {})
        : engine_(&e), format_(std::move(format)), sampler_(std::move(sampler)), options_(std::move(options)) {
        reset();
    }

    /// Adds a user message and generates the answer; `on_piece` sees the text as it grows and stops it by returning
    /// false. A stopped answer stays in the conversation as far as it came; what throws leaves the conversation as it
    /// was. @throws config_error where the message does not fit the context
    generated say(std::string_view line, const piece_callback& on_piece = {}) {
        auto asked = messages_;
        asked.push_back({"user", std::string(line)});
        return answer(std::move(asked), on_piece);
    }
    /// Generates the last answer anew. @throws config_error when there is none, and as say
    generated regenerate(const piece_callback& on_piece = {}) {
        if (messages_.empty() || messages_.back().role != "assistant")
            throw config_error("chat: there is no answer to redo yet");
        return answer({messages_.begin(), std::prev(messages_.end())}, on_piece);
    }
    /// Forgets all but the system message.
    void reset() {
        messages_.clear();
        if (!options_.system.empty()) messages_.push_back({"system", options_.system});
    }
    /// Sets the system message; the conversation begins anew.
    void set_system(std::string system) {
        options_.system = std::move(system);
        reset();
    }
    [[nodiscard]] const text::messages& messages() const { return messages_; }
    void set_messages(text::messages conversation) { messages_ = std::move(conversation); }
    /// What each answer must look like from now on. An empty constraint takes it off.
    void set_constraint(sampling::any_constraint constraint) { constraint_ = std::move(constraint); }
    void set_sampler(sampling::any_chain sampler) { sampler_ = std::move(sampler); }
    /// Asked after each step of the engine, also while a long prompt is read; false stops the answer.
    void set_keep_going(std::function<bool()> keep_going) { keep_going_ = std::move(keep_going); }
    [[nodiscard]] const text::any_chat_format& format() const { return format_; }
    /// Messages that the last answer did not see, because the context was full.
    [[nodiscard]] std::size_t left_out() const { return left_out_; }

private:
    generated answer(text::messages asked, const piece_callback& on_piece) {
        generation job{.prompt = fitting_prompt(asked),
                       .max_tokens = options_.max_tokens,
                       .sampler = sampler_,
                       .stop = format_.stop()};
        job.constraint = constraint_;
        job.on_text = on_piece;
        generated result = std::move(engine_->run(std::span(&job, 1), {{}, keep_going_}).front());
        asked.push_back({"assistant", result.text});
        messages_ = std::move(asked);
        return result;
    }

    /// The rendered conversation, without its oldest exchanges where it would not leave room for an answer.
    std::vector<token> fitting_prompt(const text::messages& asked) {
        const std::size_t context = engine_->context_length();
        const std::size_t room = context - std::min(options_.max_tokens, context / 2);
        const std::size_t head = !asked.empty() && asked.front().role == "system" ? 1 : 0;
        text::messages shown = asked;
        for (;;) {
            auto tokens = text::encode_chat(engine_->tokens(), format_, shown, true).tokens;
            left_out_ = asked.size() - shown.size();
            if (tokens.size() <= room || shown.size() <= head + 1) return tokens;
            const std::size_t drop = std::min<std::size_t>(2, shown.size() - head - 1);
            shown.erase(shown.begin() + static_cast<std::ptrdiff_t>(head),
                        shown.begin() + static_cast<std::ptrdiff_t>(head + drop));
        }
    }

    engine* engine_;
    text::any_chat_format format_;
    sampling::any_chain sampler_;
    sampling::any_constraint constraint_;
    std::function<bool()> keep_going_;
    chat_options options_;
    text::messages messages_;
    std::size_t left_out_ = 0;
};

}  // namespace lab::infer
