// From a teacher's answer to column values: what stands between start and end tags (the whole answer for empty tags),
// or what a pattern's groups match: Python's `re` syntax with DOTALL, by PCRE2 over UTF-8 (LAB_PCRE2 says that the
// program links it), the work of a search bounded. Each column gets a list; rows are made by going through the lists
// side by side, to the shortest. Semantics and corner cases are those of InstructLab's LLMBlock.
#pragma once

#ifdef LAB_PCRE2
#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/formats/text_bytes.hpp"
#include "lab/sdg/blocks/prompt_config.hpp"

namespace lab::sdg::blocks {

/// A regular expression. What PCRE2 means otherwise than Python is translated (\Z).
class pattern {
public:
    static constexpr std::uint32_t match_limit = 2'000'000;  // steps of the matcher for one match

    /// @throws config_error for a pattern that is none, with the place of the fault; where PCRE2 is not linked
    explicit pattern(std::string source) : source_(std::move(source)) { compile(); }

    [[nodiscard]] const std::string& source() const noexcept { return source_; }
    /// Capturing groups in the pattern.
    [[nodiscard]] std::size_t groups() const noexcept { return groups_; }
    /// As `findall`: for every match its groups, or the whole match where there are none. A group that took no part is
    /// empty. @throws config_error where a match needs more than match_limit steps
    [[nodiscard]] std::vector<std::vector<std::string>> find_all(std::string_view text) const;

private:
    void compile();

    std::string source_;
    std::size_t groups_ = 0;
    std::shared_ptr<void> code_;
};

#ifdef LAB_PCRE2

namespace detail {

[[nodiscard]] inline std::string pcre2_message(int code) {
    PCRE2_UCHAR8 text[256] = {};
    pcre2_get_error_message_8(code, text, sizeof(text));
    return reinterpret_cast<const char*>(text);
}

/// Python's \Z is the very end, PCRE2's \Z may stand before a last line break.
[[nodiscard]] inline std::string to_pcre2(std::string_view python) {
    std::string out;
    for (std::size_t i = 0; i < python.size(); ++i) {
        out += python[i];
        if (python[i] != '\\' || i + 1 == python.size()) continue;
        ++i;
        out += python[i] == 'Z' ? 'z' : python[i];
    }
    return out;
}

}  // namespace detail

inline void pattern::compile() {
    const std::string text = detail::to_pcre2(source_);
    int code = 0;
    PCRE2_SIZE at = 0;
    auto* compiled =
        pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(text.data()), text.size(),
                        PCRE2_UTF | PCRE2_UCP | PCRE2_DOTALL | PCRE2_NEVER_BACKSLASH_C, &code, &at, nullptr);
    if (compiled == nullptr)
        throw config_error("the pattern " + formats::quote(source_) + " is wrong at character " +
                           std::to_string(at + 1) + ": " + detail::pcre2_message(code));
    code_ = std::shared_ptr<void>(compiled, [](void* c) { pcre2_code_free_8(static_cast<pcre2_code_8*>(c)); });
    std::uint32_t count = 0;
    pcre2_pattern_info_8(compiled, PCRE2_INFO_CAPTURECOUNT, &count);
    groups_ = count;
}

inline std::vector<std::vector<std::string>> pattern::find_all(std::string_view text) const {
    const auto* code = static_cast<const pcre2_code_8*>(code_.get());
    const std::unique_ptr<pcre2_match_data_8, void (*)(pcre2_match_data_8*)> data(
        pcre2_match_data_create_from_pattern_8(code, nullptr), pcre2_match_data_free_8);
    const std::unique_ptr<pcre2_match_context_8, void (*)(pcre2_match_context_8*)> context(
        pcre2_match_context_create_8(nullptr), pcre2_match_context_free_8);
    if (!data || !context) throw std::bad_alloc();
    pcre2_set_match_limit_8(context.get(), match_limit);
    pcre2_set_heap_limit_8(context.get(), 65536);  // KiB
    std::vector<std::vector<std::string>> found;
    bool after_empty = false;  // a second empty match at one place would go on for ever
    for (std::size_t at = 0; at <= text.size();) {
        const std::uint32_t flags =
            (after_empty ? PCRE2_NOTEMPTY_ATSTART : 0u) | (found.empty() ? 0u : PCRE2_NO_UTF_CHECK);
        const int n = pcre2_match_8(code, reinterpret_cast<PCRE2_SPTR8>(text.data()), text.size(), at, flags,
                                    data.get(), context.get());
        if (n == PCRE2_ERROR_NOMATCH) break;
        if (n < 0)
            throw config_error("the pattern " + formats::quote(source_) + " cannot be matched against a text: " +
                               detail::pcre2_message(n) + " (simplify the pattern)");
        const PCRE2_SIZE* ends = pcre2_get_ovector_pointer_8(data.get());
        auto& groups = found.emplace_back();
        for (std::size_t g = groups_ == 0 ? 0 : 1; g <= groups_; ++g) {
            const bool took_part = static_cast<int>(g) < n && ends[2 * g] != PCRE2_UNSET;
            groups.emplace_back(took_part ? text.substr(ends[2 * g], ends[2 * g + 1] - ends[2 * g]) : "");
        }
        after_empty = ends[1] == ends[0];
        at = ends[1];
    }
    return found;
}

#else

inline void pattern::compile() {
    throw config_error(
        "patterns need PCRE2, which this program was built without (install libpcre2-dev and build again)");
}
inline std::vector<std::vector<std::string>> pattern::find_all(std::string_view) const { return {}; }

#endif

struct output_parser {
    std::vector<std::string> columns{};                 // that the block writes
    std::vector<std::string> start_tags{}, end_tags{};  // one of each for a column
    std::optional<pattern> custom{};                    // instead of tags
    std::vector<std::string> cleanup_tags{};            // cut out of what a pattern with several groups found

    /// The columns that answers can fill: tags may be given for the first few only.
    [[nodiscard]] std::size_t filled() const noexcept {
        return custom ? columns.size() : std::min({columns.size(), start_tags.size(), end_tags.size()});
    }
    /// A list of values for each column filled.
    [[nodiscard]] std::vector<std::vector<cell>> operator()(const std::string& answer) const {
        std::vector<std::vector<cell>> lists(filled());
        if (custom) {
            by_pattern(answer, lists);
        } else {
            for (std::size_t c = 0; c < lists.size(); ++c) {
                if (!start_tags[c].empty() || !end_tags[c].empty())
                    between(answer, start_tags[c], end_tags[c], lists[c]);
                else
                    lists[c].push_back(answer.empty() ? cell() : cell(stripped(answer)));
            }
        }
        return lists;
    }

private:
    static void between(std::string_view text, std::string_view start, std::string_view end, std::vector<cell>& out) {
        for (std::size_t at = 0;;) {
            const std::size_t opens = text.find(start, at);
            if (opens == text.npos) return;
            const std::size_t from = opens + start.size(), closes = text.find(end, from);
            if (closes == text.npos) return;
            out.emplace_back(stripped(text.substr(from, closes - from)));
            at = closes + end.size();
        }
    }
    void by_pattern(std::string_view text, std::vector<std::vector<cell>>& lists) const {
        for (const auto& groups : custom->find_all(text)) {
            if (custom->groups() < 2) {  // one text a match: all for the first column, tags left in
                if (!lists.empty()) lists[0].emplace_back(stripped(groups[0]));
                continue;
            }
            for (std::size_t c = 0; c < std::min(lists.size(), groups.size()); ++c) {
                std::string value = stripped(groups[c]);
                for (const auto& tag : cleanup_tags) remove_all(value, tag);
                lists[c].emplace_back(std::move(value));
            }
        }
    }
    static void remove_all(std::string& text, std::string_view part) {
        if (part.empty()) return;
        std::string out;
        std::size_t at = 0;
        for (std::size_t next = 0; (next = text.find(part, at)) != text.npos; at = next + part.size())
            out.append(text, at, next - at);
        text = out.append(text, at);
    }
};

/// The parser of an LLM block, from its configuration and its prompt's. @throws config_fault
[[nodiscard]] inline output_parser read_parser(config_reader& config, const prompt_config& prompt) {
    output_parser out;
    out.columns = config.texts("output_cols");
    out.start_tags = prompt.start_tags;
    out.end_tags = prompt.end_tags;
    if (auto more = config.optional_mapping("parser_kwargs")) {
        const auto name = more->optional_text("parser_name");
        const auto source = more->optional_text("parsing_pattern");
        out.cleanup_tags = more->optional_texts("parser_cleanup_tags").value_or(std::vector<std::string>{});
        if (name == "custom") {
            if (!source) more->fail(more->node(), "parser_name custom needs a parsing_pattern");
            try {
                out.custom.emplace(*source);
            } catch (const config_error& fault) {
                more->fail("parsing_pattern", fault.what());
            }
        } else if (name && name != "default") {
            more->warn("parser_name", formats::quote(*name) +
                                          " is no parser known here: the prompt's tags are used, as "
                                          "InstructLab does (known: custom)");
        }
        more->done();
    }
    if (out.columns.empty()) config.fail("output_cols", "names no column");
    if (out.filled() == 0)
        config.fail("output_cols",
                    "gets nothing: the prompt has no start_tags and end_tags (\"\" takes the whole "
                    "answer), and no pattern is given");
    return out;
}

}  // namespace lab::sdg::blocks
