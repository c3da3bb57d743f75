// Chat formats as data: how a conversation becomes the text a model was trained on, which parts of that text are
// control tokens and which parts are learnt. Only text that the format itself writes may contain control tokens: a
// message that spells one ("<|im_end|>") stays plain text. For a checkpoint's own template see template_format.hpp.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/text/message.hpp"

namespace lab::text {

/// A stretch of the rendered conversation. Control tokens are recognised in it only where parse_special is set; its
/// tokens count in the training loss where trained is set.
struct segment {
    std::string text;
    bool parse_special = false;
    bool trained = false;
    friend bool operator==(const segment&, const segment&) = default;
};

struct render_options {
    bool add_generation_prompt = false;  // end with the assistant's header, ready for an answer
    bool unmask = false;                 // learn every role but "system", not only "assistant"
    std::string assistant_prefix{};      // put in the model's mouth after the generation prompt
};

/// Anything that renders conversations. `stop` lists the texts that end an answer, `special_tokens` those that a
/// tokenizer has to know as single tokens (training adds them to a base model).
template <class F>
concept ChatFormat = requires(const F& format, std::span<const message> conversation, const render_options& options) {
    { format.name() } -> std::convertible_to<std::string>;
    { format.stop() } -> std::convertible_to<std::vector<std::string>>;
    { format.special_tokens() } -> std::convertible_to<std::vector<std::string>>;
    { format.render(conversation, options) } -> std::same_as<std::vector<segment>>;
};

/// What surrounds one role's message: before + [lead + content + end] + after. The bracketed part is what the model
/// itself writes when the role is the assistant, so that is what is learnt.
struct role_pattern {
    std::string_view before{}, lead{}, end{}, after{};
};

/// A chat format as a constant. `system_open` non-empty: the system message is written inside the first user message.
struct chat_pattern {
    std::string_view name;
    std::string_view bos{};             // once, at the very beginning
    std::string_view default_system{};  // used when the conversation does not begin with a system message
    role_pattern system{}, user{}, assistant{};
    bool system_in_user =
        false;               // system message goes between system.before and system.end inside the next user message
    bool trim = false;       // white space around messages is dropped
    bool after_last = true;  // whether assistant.after follows the last message too
    std::array<std::string_view, 4> special_tokens{};  // empty entries are none
    std::array<std::string_view, 2> stop{};
};

namespace patterns {

/// granite-7b-lab: LAB's own format and the system prompt of the model card.
inline constexpr chat_pattern granite_lab{
    .name = "granite_lab",
    .default_system =
        "You are an AI language model developed by IBM Research. You are a cautious assistant. You carefully "
        "follow instructions. You are helpful and harmless and you follow ethical guidelines and promote "
        "positive behavior.",
    .system = {.before = "<|system|>\n", .after = "\n"},
    .user = {.before = "<|user|>\n", .after = "\n"},
    .assistant = {.before = "<|assistant|>\n", .end = "<|endoftext|>", .after = "\n"},
    .after_last = false,
    .special_tokens = {"<|system|>", "<|user|>", "<|assistant|>", "<|endoftext|>"},
    .stop = {"<|endoftext|>"}};

inline constexpr chat_pattern chatml{
    .name = "chatml",
    .system = {.before = "<|im_start|>system\n", .end = "<|im_end|>", .after = "\n"},
    .user = {.before = "<|im_start|>user\n", .end = "<|im_end|>", .after = "\n"},
    .assistant = {.before = "<|im_start|>assistant\n", .end = "<|im_end|>", .after = "\n"},
    .special_tokens = {"<|im_start|>", "<|im_end|>"},
    .stop = {"<|im_end|>"}};

/// ChatML with SmolLM2's default system prompt.
inline constexpr chat_pattern smollm2 = [] {
    chat_pattern p = chatml;
    p.name = "smollm2";
    p.default_system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
    return p;
}();

inline constexpr chat_pattern llama2{.name = "llama2",
                                     .system = {.before = "<<SYS>>\n", .end = "\n<</SYS>>\n\n"},
                                     .user = {.before = "<s>[INST] ", .after = " [/INST]"},
                                     .assistant = {.lead = " ", .end = " </s>"},
                                     .system_in_user = true,
                                     .trim = true,
                                     .special_tokens = {"<s>", "</s>"},
                                     .stop = {"</s>"}};

inline constexpr chat_pattern mistral{.name = "mistral",
                                      .bos = "<s>",
                                      .system = {.end = "\n\n"},
                                      .user = {.before = "[INST] ", .after = " [/INST]"},
                                      .assistant = {.lead = " ", .end = "</s>"},
                                      .system_in_user = true,
                                      .special_tokens = {"<s>", "</s>"},
                                      .stop = {"</s>"}};

inline constexpr chat_pattern zephyr{.name = "zephyr",
                                     .system = {.before = "<|system|>\n", .end = "</s>", .after = "\n"},
                                     .user = {.before = "<|user|>\n", .end = "</s>", .after = "\n"},
                                     .assistant = {.before = "<|assistant|>\n", .end = "</s>", .after = "\n"},
                                     .special_tokens = {"</s>"},
                                     .stop = {"</s>"}};

inline constexpr chat_pattern vicuna{
    .name = "vicuna",
    .bos = "<s>",
    .default_system =
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
        "detailed, and polite answers to the user's questions.",
    .system = {.after = " "},
    .user = {.before = "USER: ", .after = " "},
    .assistant = {.before = "ASSISTANT:", .lead = " ", .end = "</s>"},
    .special_tokens = {"<s>", "</s>"},
    .stop = {"</s>"}};

inline constexpr std::array all{&granite_lab, &chatml, &smollm2, &llama2, &mistral, &zephyr, &vicuna};

}  // namespace patterns

namespace detail {

inline std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t\n\r\f\v";
    const std::size_t begin = text.find_first_not_of(blank);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(blank) - begin + 1);
}

inline void append_segment(std::vector<segment>& out, std::string_view text, bool parse_special, bool trained) {
    if (text.empty()) return;
    if (!out.empty() && out.back().parse_special == parse_special && out.back().trained == trained)
        out.back().text.append(text);
    else
        out.push_back({std::string(text), parse_special, trained});
}

}  // namespace detail

/// Renders a conversation by a pattern. @throws config_error for a role that the pattern does not know.
[[nodiscard]] inline std::vector<segment> render(const chat_pattern& pattern, std::span<const message> conversation,
                                                 const render_options& options = {}) {
    std::vector<segment> out;
    const auto own = [&](std::string_view text, bool trained = false) {
        detail::append_segment(out, text, true, trained);
    };
    const auto content = [&](std::string_view text, bool trained) {
        detail::append_segment(out, text, false, trained);
    };
    const auto fit = [&](std::string_view text) { return pattern.trim ? detail::trimmed(text) : text; };

    const std::string* pending_system = nullptr;  // waits for the user message it is written into
    const auto write_system = [&](const std::string& text) {
        if (pattern.system_in_user) {
            if (pending_system != nullptr)
                throw config_error("chat format " + std::string(pattern.name) +
                                   ": two system messages without a user message between");
            pending_system = &text;
            return;
        }
        own(pattern.system.before);
        content(fit(text), false);
        own(pattern.system.end);
        own(pattern.system.after);
    };

    own(pattern.bos);
    const std::string default_system(pattern.default_system);
    if (!default_system.empty() && (conversation.empty() || conversation.front().role != "system"))
        write_system(default_system);
    for (std::size_t i = 0; i < conversation.size(); ++i) {
        const message& m = conversation[i];
        if (m.role == "system") {
            write_system(m.content);
        } else if (m.role == "user") {
            own(pattern.user.before);
            if (pending_system != nullptr) {
                own(pattern.system.before);
                content(fit(*std::exchange(pending_system, nullptr)), false);
                own(pattern.system.end);
            }
            content(pattern.user.lead, options.unmask);
            content(fit(m.content), options.unmask);
            own(pattern.user.end);
            own(pattern.user.after);
        } else if (m.role == "assistant") {
            own(pattern.assistant.before);
            content(pattern.assistant.lead, true);
            content(fit(m.content), true);
            own(pattern.assistant.end, true);
            if (pattern.after_last || i + 1 < conversation.size() || options.add_generation_prompt)
                own(pattern.assistant.after);
        } else {
            throw config_error("chat format " + std::string(pattern.name) + " has no role \"" + m.role +
                               "\" (it knows system, user and assistant; the checkpoint's own template may know more)");
        }
    }
    if (pending_system != nullptr)
        throw config_error("chat format " + std::string(pattern.name) +
                           " writes the system message inside a user message, and none follows");
    if (options.add_generation_prompt) {
        own(pattern.assistant.before);
        if (!options.assistant_prefix.empty()) {
            content(pattern.assistant.lead, false);
            content(options.assistant_prefix, false);
        }
    }
    return out;
}

/// The rendered text as one string, for showing and for tests.
[[nodiscard]] inline std::string to_string(std::span<const segment> segments) {
    std::string text;
    for (const segment& s : segments) text += s.text;
    return text;
}

/// A format whose pattern is known at compile time: formats::chatml{} and friends.
template <const chat_pattern& Pattern>
struct fixed_format {
    static constexpr const chat_pattern& pattern = Pattern;
    [[nodiscard]] static std::string name() { return std::string(Pattern.name); }
    [[nodiscard]] static std::vector<std::string> stop() { return list(Pattern.stop); }
    [[nodiscard]] static std::vector<std::string> special_tokens() { return list(Pattern.special_tokens); }
    [[nodiscard]] static std::vector<segment> render(std::span<const message> conversation,
                                                     const render_options& options = {}) {
        return text::render(Pattern, conversation, options);
    }

private:
    template <std::size_t N>
    static std::vector<std::string> list(const std::array<std::string_view, N>& entries) {
        std::vector<std::string> result;
        for (const auto entry : entries)
            if (!entry.empty()) result.emplace_back(entry);
        return result;
    }
};

namespace formats {
using granite_lab = fixed_format<patterns::granite_lab>;
using chatml = fixed_format<patterns::chatml>;
using smollm2 = fixed_format<patterns::smollm2>;
using llama2 = fixed_format<patterns::llama2>;
using mistral = fixed_format<patterns::mistral>;
using zephyr = fixed_format<patterns::zephyr>;
using vicuna = fixed_format<patterns::vicuna>;
}  // namespace formats

/// Any ChatFormat behind one type, for formats chosen at run time.
class any_chat_format {
public:
    template <ChatFormat F>
    requires(!std::same_as<F, any_chat_format>) any_chat_format(F format)
        : self_(std::make_shared<const model<F>>(std::move(format))) {}  // NOLINT: implicit

    [[nodiscard]] std::string name() const { return self_->name(); }
    [[nodiscard]] std::vector<std::string> stop() const { return self_->stop(); }
    [[nodiscard]] std::vector<std::string> special_tokens() const { return self_->special_tokens(); }
    [[nodiscard]] std::vector<segment> render(std::span<const message> conversation,
                                              const render_options& options = {}) const {
        return self_->render(conversation, options);
    }

private:
    struct base {
        virtual ~base() = default;
        virtual std::string name() const = 0;
        virtual std::vector<std::string> stop() const = 0;
        virtual std::vector<std::string> special_tokens() const = 0;
        virtual std::vector<segment> render(std::span<const message>, const render_options&) const = 0;
    };
    template <class F>
    struct model final : base {
        explicit model(F f) : format(std::move(f)) {}
        std::string name() const override { return format.name(); }
        std::vector<std::string> stop() const override { return format.stop(); }
        std::vector<std::string> special_tokens() const override { return format.special_tokens(); }
        std::vector<segment> render(std::span<const message> conversation,
                                    const render_options& options) const override {
            return format.render(conversation, options);
        }
        F format;
    };
    std::shared_ptr<const base> self_;
};

/// The names that chat_format_by_name knows.
[[nodiscard]] inline std::vector<std::string> chat_format_names() {
    std::vector<std::string> names;
    names.reserve(std::size(patterns::all));
    for (const auto* pattern : patterns::all) names.emplace_back(pattern->name);
    return names;
}

/// @throws config_error that lists the known names.
[[nodiscard]] inline any_chat_format chat_format_by_name(std::string_view name) {
    const auto pick = [&]<class... F>(F... format) {
        std::optional<any_chat_format> found;
        ((F::pattern.name == name ? void(found = any_chat_format(format)) : void()), ...);
        return found;
    };
    using namespace formats;
    if (const auto found = pick(granite_lab{}, chatml{}, smollm2{}, llama2{}, mistral{}, zephyr{}, vicuna{}))
        return *found;
    std::string known;
    for (const auto& each : chat_format_names()) known += (known.empty() ? "" : ", ") + each;
    throw config_error("no chat format is called \"" + std::string(name) + "\" (known: " + known + ")");
}

}  // namespace lab::text
