// A checkpoint's own Jinja template as a chat format. Which parts of the text are messages is found by rendering a
// second time with every message between private-use marks: so message text is never parsed for control tokens, and the
// loss mask covers the answers with the end-of-turn token behind them, whatever the template. The text itself is the
// unmarked one's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/token.hpp"
#include "lab/text/chat_format.hpp"
#include "lab/text/jinja/template.hpp"
#include "lab/text/jinja/unicode.hpp"

namespace lab::text {

struct template_options {
    std::string name = "template";
    std::string bos_token{}, eos_token{};    // the template's variables of these names
    std::vector<std::string> end_of_turn{};  // texts that end an answer; the eos token is always one
    jinja::dict_data variables{};            // further variables, e.g. tools
    jinja::jinja_options run{};
};

/// Models ChatFormat.
class template_format {
public:
    /// @throws format_error for a template that does not parse.
    explicit template_format(std::string_view source, template_options options = {})
        : options_(std::move(options)), program_(std::make_shared<const jinja::compiled>(source)) {
        auto& ends = options_.end_of_turn;
        if (!options_.eos_token.empty() && std::find(ends.begin(), ends.end(), options_.eos_token) == ends.end())
            ends.push_back(options_.eos_token);
    }

    [[nodiscard]] std::string name() const { return options_.name; }
    [[nodiscard]] std::vector<std::string> stop() const { return options_.end_of_turn; }
    [[nodiscard]] std::vector<std::string> special_tokens() const { return {}; }  // the checkpoint's tokenizer has them

    /// What the template prints. @throws format_error; config_error where the template refuses the conversation.
    [[nodiscard]] std::string render_text(std::span<const message> conversation,
                                          bool add_generation_prompt = false) const {
        jinja::dict_data context = options_.variables;
        jinja::list_data list;
        for (const message& m : conversation) {
            jinja::dict_data entry;
            entry.entries = {{"role", m.role}, {"content", m.content}};
            list.emplace_back(std::move(entry));
        }
        context.set("messages", std::move(list));
        context.set("add_generation_prompt", add_generation_prompt);
        context.set("bos_token", options_.bos_token);
        context.set("eos_token", options_.eos_token);
        for (const char* optional : {"tools", "documents"})
            if (context.find(optional) == nullptr) context.set(optional, nullptr);
        return program_->render(std::move(context), options_.run);
    }

    /// @throws config_error when the template changes a message beyond trimming it, so that it cannot be found again.
    [[nodiscard]] std::vector<segment> render(std::span<const message> conversation,
                                              const render_options& options = {}) const {
        const std::string rendered = render_text(conversation, options.add_generation_prompt);
        const std::string_view text = rendered;
        std::vector<segment> out;
        std::size_t at = 0;
        bool after_answer = false;
        const auto frame = [&](std::string_view part) {
            const std::size_t end = after_answer ? end_of_turn(part) : 0;
            detail::append_segment(out, part.substr(0, end), true, true);
            detail::append_segment(out, part.substr(end), true, false);
        };
        for (region r : find_messages(conversation, rendered, options.add_generation_prompt)) {
            const std::string& role = conversation[r.index].role;
            const bool answer = role == "assistant";
            if (answer) include_leading_space(conversation, text, at, r);
            frame(text.substr(at, r.begin - at));
            detail::append_segment(out, text.substr(r.begin, r.size), false,
                                   answer || (options.unmask && role != "system"));
            at = r.begin + r.size;
            after_answer = answer;
        }
        frame(text.substr(at));
        if (options.add_generation_prompt) {
            detail::append_segment(out, missing_header(conversation, rendered), true, false);
            detail::append_segment(out, options.assistant_prefix, false, false);
        }
        return out;
    }

private:
    struct region {  // bytes of the rendered text that message `index` fills
        std::size_t index, begin, size;
    };

    /// Three characters of a private-use plane that no message contains: begin, end of the number, end of the message.
    struct marks {
        explicit marks(std::span<const message> conversation) {
            for (std::uint32_t c = 0x100000; c < 0x10FFF0; c += 3) {
                for (std::uint32_t i = 0; i < 3; ++i) jinja::append_code_point(mark[i] = {}, c + i);
                const bool taken = std::any_of(conversation.begin(), conversation.end(), [&](const message& m) {
                    return std::any_of(mark, mark + 3,
                                       [&](const auto& x) { return m.content.find(x) != std::string::npos; });
                });
                if (!taken) return;
            }
            throw config_error("a message holds every private-use character");
        }
        [[nodiscard]] std::string wrap(std::size_t index, std::string_view content) const {
            return mark[0] + std::to_string(index) + mark[1] + std::string(content) + mark[2] + std::to_string(index) +
                   mark[1];
        }
        std::string mark[3];
    };
    enum class how : std::uint8_t { whole, trimmed, unmarked };

    /// Renders with the messages marked as told; the regions, or nothing when the marks changed the text.
    [[nodiscard]] std::optional<std::vector<region>> try_marks(std::span<const message> conversation,
                                                               const std::string& text, bool prompt, const marks& m,
                                                               std::span<const how> ways) const {
        messages marked(conversation.begin(), conversation.end());
        for (std::size_t i = 0; i < marked.size(); ++i) {
            const std::string_view content = conversation[i].content;
            if (ways[i] == how::unmarked) continue;
            marked[i].content =
                m.wrap(i, ways[i] == how::whole ? content : jinja::strip_left(jinja::strip_right(content)));
        }
        std::string rendered;
        try {
            rendered = render_text(marked, prompt);
        } catch (const error&) {
            return std::nullopt;  // a test on the content that the marks upset
        }
        std::string clean;
        std::vector<region> regions;
        region open{0, 0, 0};
        bool inside = false;
        std::string_view rest = rendered;
        while (!rest.empty()) {
            const std::size_t begin = std::min(rest.find(m.mark[0]), rest.find(m.mark[2]));
            clean += rest.substr(0, begin);
            if (begin == std::string_view::npos) break;
            const bool opens = rest.compare(begin, m.mark[0].size(), m.mark[0]) == 0;
            rest.remove_prefix(begin + m.mark[0].size());
            std::size_t index = 0;
            while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9' && index < conversation.size()) {
                index = index * 10 + static_cast<std::size_t>(rest.front() - '0');
                rest.remove_prefix(1);
            }
            if (!rest.starts_with(m.mark[1]) || index >= conversation.size()) return std::nullopt;
            rest.remove_prefix(m.mark[1].size());
            if (opens == inside || (inside && open.index != index)) return std::nullopt;
            if (opens) {
                open = {index, clean.size(), 0};
            } else {
                open.size = clean.size() - open.begin;
                regions.push_back(open);
            }
            inside = opens;
        }
        if (inside || clean != text) return std::nullopt;
        return regions;
    }
    [[nodiscard]] std::vector<region> find_messages(std::span<const message> conversation, const std::string& text,
                                                    bool prompt) const {
        const marks m(conversation);
        std::vector<how> ways(conversation.size(), how::whole);
        if (auto found = try_marks(conversation, text, prompt, m, ways)) return *found;
        std::fill(ways.begin(), ways.end(), how::trimmed);
        if (auto found = try_marks(conversation, text, prompt, m, ways)) return *found;
        // The template treats messages differently: settle each alone, then mark all.
        for (std::size_t i = 0; i < ways.size(); ++i) {
            std::vector<how> alone(ways.size(), how::unmarked);
            bool settled = false;
            for (const how way : {how::whole, how::trimmed}) {
                alone[i] = way;
                if (settled) break;
                settled = try_marks(conversation, text, prompt, m, alone).has_value();
                ways[i] = way;
            }
            if (settled) continue;
            if (!jinja::strip_left(conversation[i].content).empty())
                throw config_error(options_.name + ": the chat template rewrites message " + std::to_string(i) + " (" +
                                   conversation[i].role +
                                   "), so the loss mask cannot be found (choose a chat format by name)");
            ways[i] = how::unmarked;
        }
        if (auto found = try_marks(conversation, text, prompt, m, ways)) return *found;
        throw config_error(options_.name +
                           ": the chat template rewrites messages, so the loss mask cannot be found (choose a "
                           "chat format by name)");
    }

    /// Length of the part up to and including the first end-of-turn text; 0 where there is none.
    [[nodiscard]] std::size_t end_of_turn(std::string_view part) const {
        std::size_t first = std::string_view::npos, end = 0;
        for (const std::string& text : options_.end_of_turn)
            if (const std::size_t at = part.find(text);
                at < first || (at == first && at != std::string_view::npos && at + text.size() > end)) {
                first = at;
                end = at + text.size();
            }
        return end;
    }
    /// A space between the generation prompt and the answer is written by the model, so it belongs to the answer.
    void include_leading_space(std::span<const message> conversation, std::string_view text, std::size_t from,
                               region& r) const {
        if (r.begin <= from || text[r.begin - 1] != ' ') return;
        std::string prompt;
        try {
            prompt = render_text(conversation.first(r.index), true);
        } catch (const error&) {
            return;
        }
        if (prompt.size() < from || prompt.size() >= r.begin || !text.starts_with(prompt)) return;
        if (text.substr(prompt.size(), r.begin - prompt.size()).find_first_not_of(' ') != std::string_view::npos)
            return;
        r.size += r.begin - prompt.size();
        r.begin = prompt.size();
    }
    /// For templates that know no add_generation_prompt: what they print between a conversation and an answer to it.
    [[nodiscard]] std::string missing_header(std::span<const message> conversation, const std::string& text) const {
        try {
            if (render_text(conversation, false) != text) return {};
            messages answered(conversation.begin(), conversation.end());
            const marks m(conversation);
            answered.push_back({"assistant", m.mark[0]});
            const std::string longer = render_text(answered, false);
            const std::size_t answer = longer.find(m.mark[0]);
            if (!longer.starts_with(text) || answer == std::string::npos || answer < text.size()) return {};
            std::string header = longer.substr(text.size(), answer - text.size());
            return jinja::strip_left(header).empty() ? std::string() : header;
        } catch (const error&) {
            return {};
        }
    }

    template_options options_;
    std::shared_ptr<const jinja::compiled> program_;
};

/// The chat format inside a checkpoint, with the control tokens of its tokenizer. @throws config_error when it has
/// none.
template <class Tokenizer>
[[nodiscard]] template_format checkpoint_format(const Tokenizer& tokenizer, template_options options = {}) {
    if (tokenizer.chat_template().empty())
        throw config_error("the checkpoint holds no chat template (choose a chat format by name)");
    const auto text = [&](token id) { return id == no_token ? std::string() : std::string(tokenizer.piece_bytes(id)); };
    options.bos_token = text(tokenizer.bos());
    options.eos_token = text(tokenizer.eos());
    for (std::size_t i = 0; i < tokenizer.size(); ++i)
        if (tokenizer.is_end_of_generation(static_cast<token>(i)))
            options.end_of_turn.push_back(text(static_cast<token>(i)));
    return template_format(tokenizer.chat_template(), std::move(options));
}

}  // namespace lab::text
