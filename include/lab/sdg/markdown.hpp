// The block structure of a Markdown document through cmark-gfm (tables on): top-level blocks as byte ranges of the
// source, with the path of headings above each. Works on the source text; renders nothing.
#pragma once

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm-extension_api.h>
#include <cmark-gfm.h>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/sdg/sentences.hpp"

namespace lab::sdg {

enum class block_kind : std::uint8_t { heading, paragraph, list, table, code, other };

struct markdown_block {
    block_kind kind = block_kind::other;
    text_range span;                    // bytes of the source, trailing line break left out
    std::vector<std::string> headings;  // outermost first; a heading's own text is the last of its own path
    std::vector<text_range> parts;      // where a block may be cut if it must: sentences, list items, lines
};

namespace detail {

struct node_deleter {
    void operator()(cmark_node* node) const { cmark_node_free(node); }
};
struct parser_deleter {
    void operator()(cmark_parser* parser) const { cmark_parser_free(parser); }
};

/// Offsets of the lines' starts; one more for the end.
[[nodiscard]] inline std::vector<std::size_t> line_starts(std::string_view text) {
    std::vector<std::size_t> starts{0};
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
        if (text[i] == '\n' || text[i] == '\r') starts.push_back(i + 1);
    }
    if (starts.back() != text.size()) starts.push_back(text.size());
    return starts;
}

[[nodiscard]] inline std::string plain_text(cmark_node* node) {
    std::string out;
    std::unique_ptr<cmark_iter, void (*)(cmark_iter*)> walk(cmark_iter_new(node), cmark_iter_free);
    for (cmark_event_type event; (event = cmark_iter_next(walk.get())) != CMARK_EVENT_DONE;) {
        cmark_node* at = cmark_iter_get_node(walk.get());
        if (event != CMARK_EVENT_ENTER) continue;
        const auto type = cmark_node_get_type(at);
        if (type == CMARK_NODE_TEXT || type == CMARK_NODE_CODE) out += cmark_node_get_literal(at);
        if (type == CMARK_NODE_SOFTBREAK || type == CMARK_NODE_LINEBREAK) out += ' ';
    }
    return out;
}

/// Whether a document without a Markdown heading has this line as one: short, by itself, without a full stop.
[[nodiscard]] inline bool looks_like_heading(std::string_view line) {
    if (line.empty() || line.size() > 60 || line.find('\n') != line.npos) return false;
    if (is_lower(line[0]) || std::string_view("-*|>\"'").find(line[0]) != std::string_view::npos) return false;
    return std::string_view(".,;:!?|").find(line.back()) == std::string_view::npos;
}
/// Headings of plain text: the first line by itself is the title, later ones open sections; a line that nothing
/// follows is none.
inline void find_plain_headings(std::vector<markdown_block>& blocks, std::string_view text) {
    for (const auto& b : blocks)
        if (b.kind == block_kind::heading) return;
    std::string title, section;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        auto& b = blocks[i];
        const auto line = b.span.of(text);
        const bool follows = i + 1 < blocks.size() && !looks_like_heading(blocks[i + 1].span.of(text));
        if (b.kind == block_kind::paragraph && looks_like_heading(line) && (follows || i == 0)) {
            b.kind = block_kind::heading;
            (i == 0 ? title : section) = std::string(line);
        }
        if (!title.empty()) b.headings.push_back(title);
        if (!section.empty()) b.headings.push_back(section);
    }
}

}  // namespace detail

/// Top-level blocks in order. @throws error when cmark-gfm cannot be set up
[[nodiscard]] inline std::vector<markdown_block> markdown_blocks(std::string_view text) {
    cmark_gfm_core_extensions_ensure_registered();
    const std::unique_ptr<cmark_parser, detail::parser_deleter> parser(cmark_parser_new(CMARK_OPT_DEFAULT));
    cmark_syntax_extension* tables = cmark_find_syntax_extension("table");
    if (!parser || tables == nullptr) throw error("cmark-gfm: the table extension is missing");
    cmark_parser_attach_syntax_extension(parser.get(), tables);
    cmark_parser_feed(parser.get(), text.data(), text.size());
    const std::unique_ptr<cmark_node, detail::node_deleter> root(cmark_parser_finish(parser.get()));

    const auto starts = detail::line_starts(text);
    const auto lines = [&](int first, int last) -> text_range {
        const auto count = static_cast<int>(starts.size()) - 1;
        if (first < 1 || count < 1) return {};
        last = std::min(std::max(first, last), count);
        first = std::min(first, count);
        text_range r{starts[static_cast<std::size_t>(first) - 1], starts[static_cast<std::size_t>(last)]};
        while (r.end > r.begin && detail::is_space(text[r.end - 1])) --r.end;
        return r;
    };
    std::vector<markdown_block> blocks;
    std::vector<std::pair<int, std::string>> path;
    for (cmark_node* node = cmark_node_first_child(root.get()); node != nullptr; node = cmark_node_next(node)) {
        const int first = cmark_node_get_start_line(node);
        int last = cmark_node_get_end_line(node);
        if (cmark_node* next = cmark_node_next(node))
            last = std::min(std::max(last, first), std::max(first, cmark_node_get_start_line(next) - 1));
        markdown_block b;
        b.span = lines(first, last);
        const auto type = cmark_node_get_type(node);
        if (type == CMARK_NODE_HEADING) {
            const int level = cmark_node_get_heading_level(node);
            while (!path.empty() && path.back().first >= level) path.pop_back();
            path.emplace_back(level, detail::plain_text(node));
            b.kind = block_kind::heading;
        }
        for (const auto& [level, title] : path) b.headings.push_back(title);
        if (type == CMARK_NODE_PARAGRAPH) {
            b.kind = block_kind::paragraph;
            for (auto s : sentences_of(b.span.of(text)))
                b.parts.push_back({b.span.begin + s.begin, b.span.begin + s.end});
        } else if (type == CMARK_NODE_LIST) {
            b.kind = block_kind::list;
            for (cmark_node* item = cmark_node_first_child(node); item != nullptr; item = cmark_node_next(item)) {
                cmark_node* next = cmark_node_next(item);
                b.parts.push_back(lines(cmark_node_get_start_line(item),
                                        next != nullptr ? cmark_node_get_start_line(next) - 1 : last));
            }
        } else if (type != CMARK_NODE_HEADING) {
            b.kind = type == CMARK_NODE_CODE_BLOCK                                 ? block_kind::code
                     : std::strcmp(cmark_node_get_type_string(node), "table") == 0 ? block_kind::table
                                                                                   : block_kind::other;
            for (int line = first; line <= last; ++line)
                if (const auto r = lines(line, line); r.size() > 0) b.parts.push_back(r);
        }
        if (b.span.size() > 0) blocks.push_back(std::move(b));
    }
    detail::find_plain_headings(blocks, text);
    return blocks;
}

}  // namespace lab::sdg
