// The model that is to be trained, with the tokenizer and chat format it is trained in. A format that is named brings
// its control tokens along: those that the tokenizer lacks are appended to it, and the model's vocabulary grows by
// their rows (nn/load_options.hpp), so that a base model can be taught to chat. Plain text needs no format.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/nn/load.hpp"
#include "lab/nn/load_trainable.hpp"
#include "lab/nn/save_options.hpp"
#include "lab/text/choose_format.hpp"
#include "lab/text/pattern_template.hpp"
#include "lab/tokenizer/load.hpp"

namespace lab::run {

/// The chat format of a student that has none: enough for plain text, an error for the first conversation.
struct no_chat_format {
    std::string why;

    [[nodiscard]] std::string name() const { return "none"; }
    [[nodiscard]] std::vector<std::string> stop() const { return {}; }
    [[nodiscard]] std::vector<std::string> special_tokens() const { return {}; }
    /// @throws config_error always
    [[nodiscard]] std::vector<text::segment> render(std::span<const text::message>, const text::render_options&) const {
        throw config_error(why);
    }
};

struct student {
    std::filesystem::path source;
    tokenizer::tokenizer tokens;
    text::any_chat_format format;
    std::vector<std::string> added{};  // control tokens that the source lacks, in the order of their ids
    bool adopted = false;              // the format is not the source's own: what is saved must say so
    bool speaks = true;                // false: there is no format (no_chat_format)

    /// @throws config_error saying why there is no format, where there is none
    void require_format() const {
        if (!speaks) static_cast<void>(format.render({}, {}));
    }
    /// Ready to learn: the weights in f32, or, where `options` ask for adapters, as they are stored with these beside
    /// them. @throws as nn::load_trainable; config_error where the format brings tokens and adapters are asked for
    [[nodiscard]] nn::any_model load(nn::load_options options) const {
        if (!added.empty() && options.lora)
            throw config_error(explain("chat format " + format.name(),
                                       "its token " + added.front() +
                                           " is not in the tokenizer, and adapters cannot learn the row of a new token",
                                       "train without adapters, or in a format whose tokens the model knows"));
        if (!added.empty())  // a vocabulary that is padded has room
            if (const auto held = nn::load_model(source, {.threads = 1, .pack = false}).dims().vocab;
                tokens.size() > held)
                options.extra_tokens = tokens.size() - held;
        return nn::load_trainable(source, options);
    }
    /// How the trained model is to be written, so that other programs talk to it in the format it was trained in.
    [[nodiscard]] nn::save_options saving(dtype type, std::string name = {}) const {
        nn::save_options o{.type = type, .tokenizer = source, .special_tokens = added, .name = std::move(name)};
        if (adopted) {
            o.chat_template = text::template_of(text::chat_pattern_by_name(format.name()));
            o.end_of_turn = format.stop().front();
        }
        return o;
    }
};

/// @param format a known format's name; empty: the checkpoint's own, or none (no_chat_format)
/// @throws io_error, format_error; config_error where there is no such format
[[nodiscard]] inline student open_student(const std::filesystem::path& source, const std::string& format = {}) {
    auto vocabulary = tokenizer::load_vocabulary(source);
    tokenizer::tokenizer own(vocabulary);
    if (format.empty()) try {
            return {source, own, text::chat_format_of({}, own)};
        } catch (const config_error& fault) {
            return {.source = source, .tokens = own, .format = no_chat_format{fault.what()}, .speaks = false};
        }
    std::vector<std::string> added;
    for (const auto& token : text::chat_format_by_name(format).special_tokens())
        if (!own.find(token)) added.push_back(token);
    tokenizer::append_special_tokens(vocabulary, added);
    tokenizer::tokenizer tokens(std::move(vocabulary));
    bool same = false;
    try {
        same = text::chat_format_of({}, own).name() == format;
    } catch (const error&) {  // it has no format of its own
    }
    auto chosen = text::chat_format_of(format, tokens);
    return {source, std::move(tokens), std::move(chosen), std::move(added), !same};
}

}  // namespace lab::run
