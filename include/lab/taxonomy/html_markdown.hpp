// Makes Markdown of the elements of an HTML page, as a parser names them one after the other: headings, paragraphs,
// lists, tables and code stay; scripts, styles, navigation, forms and hidden parts go; of links and emphasis the words
// stay. Where a page has a <main> with text in it, only that is read. Knows no parser and no style sheet.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/taxonomy/markdown_writer.hpp"

namespace lab::taxonomy {

namespace detail {

template <class... Names>
constexpr bool is_one_of(std::string_view text, Names... names) {
    return ((text == names) || ...);
}

}  // namespace detail

class html_markdown {
public:
    /// The attributes of an element that say how to read it.
    struct attributes {
        std::string_view id, classes, role, style, alt_text;
        bool hidden = false;
        std::size_t columns = 1, rows = 1;  ///< that a cell spans
        std::size_t start = 1;              ///< of an ordered list
    };
    static constexpr std::size_t deepest = 512;

    /// @throws format_error when elements are nested too deeply.
    void open(std::string_view name, const attributes& a) {
        if (stack_.size() >= deepest)
            throw format_error("elements are nested deeper than " + std::to_string(deepest) + " levels");
        element e{std::string(name)};
        e.dropped = (!stack_.empty() && stack_.back().dropped) || is_dropped(name, a);
        if (!e.dropped && name == "math") {  // its formula stands in an attribute; the marks inside would be jumbled
            if (!a.alt_text.empty()) add(" " + squeezed(a.alt_text) + " ");
            e.dropped = true;
        }
        stack_.push_back(std::move(e));
        if (!stack_.back().dropped) begin(name, a);
    }
    void close(std::string_view name) {
        const auto known = [&](const element& e) { return e.name == name; };
        if (std::none_of(stack_.begin(), stack_.end(), known)) return;
        for (bool done = false; !done;) {
            const element e = std::move(stack_.back());
            stack_.pop_back();
            done = e.name == name;
            if (!e.dropped) end(e);
        }
    }
    void text(std::string_view piece) {
        if (!stack_.empty() && stack_.back().dropped) return;
        if (in_title_) {
            if (title_.size() < 1000) title_ += piece;
            return;
        }
        add(piece);
    }

    /// What was read. The page's title stands above it where no heading of the first level does.
    [[nodiscard]] std::string finish() {
        while (!stack_.empty()) close(std::string(stack_.back().name));
        flush();
        std::string all = std::move(writer().out).text();
        if (main_ && main_->second - main_->first >= least_main_)
            all = all.substr(main_->first, main_->second - main_->first);
        all.erase(0, std::min(all.find_first_not_of('\n'), all.size()));
        const bool headed = all.starts_with("# ") || all.find("\n# ") != all.npos;
        if (headed || squeezed(title_).empty() || all.empty()) return all;
        markdown_writer out;
        out.heading(1, title_);
        out.blocks(all);
        return std::move(out).text();
    }

private:
    static constexpr std::size_t least_main_ = 200, most_span_ = 100, most_cells_ = 200'000, longest_cell_ = 2000;

    struct element {
        std::string name;
        bool dropped = false;
        std::size_t mark = 0;  // where in the running text it begins
    };
    struct list {
        bool ordered = false;
        std::size_t number = 1;
        bool marked = false;   // the open item has its marker
        bool in_term = false;  // of a list of definitions: what comes is the term
        std::string term{};
    };
    /// Blocks go into the page or into a table's cell.
    struct sink {
        markdown_writer out;
        std::string running;  // text of the block that is open
        std::vector<list> lists;
        bool structured = false;  // headings, code or tables in it
    };
    struct cell {
        std::string text;
        std::size_t columns = 1, rows = 1;
    };
    struct table {
        std::vector<std::vector<cell>> rows;
        std::string blocks;  // all cells, one after the other, as a page laid out in a table wants
        std::string caption;
        bool layout = false, in_cell = false;
        cell open;
    };

    static bool has_token(std::string_view list, std::string_view token) {
        for (std::size_t at = list.find(token); at != list.npos; at = list.find(token, at + 1)) {
            const auto end = at + token.size();
            if ((at == 0 || list[at - 1] == ' ') && (end == list.size() || list[end] == ' ')) return true;
        }
        return false;
    }
    [[nodiscard]] bool inside(std::string_view name) const {
        return std::any_of(stack_.begin(), stack_.end(), [&](const element& e) { return e.name == name; });
    }
    [[nodiscard]] bool is_dropped(std::string_view name, const attributes& a) const {
        using detail::is_one_of;
        if (is_one_of(name, "script", "style", "template", "noscript", "nav", "svg", "iframe", "object", "canvas",
                      "audio", "video", "button", "select", "datalist", "textarea", "input", "dialog", "del", "rt",
                      "rp", "link", "meta"))
            return true;
        if (is_one_of(name, "footer", "aside") && !inside("main") && !inside("article")) return true;
        if (a.hidden || is_one_of(a.role, "navigation", "banner", "contentinfo", "search", "menu", "menubar", "dialog"))
            return true;
        if (a.style.find("display:none") != a.style.npos || a.style.find("display: none") != a.style.npos) return true;
        if (is_one_of(name, "html", "body", "main", "article")) return false;
        // What common makers of pages call the parts around the text.
        static constexpr std::string_view around[] = {
            "nav",           "navbar",      "navigation", "navheader",      "navfooter",     "sidebar",
            "sphinxsidebar", "related",     "breadcrumb", "breadcrumbs",    "toc",           "table-of-contents",
            "menu",          "noprint",     "navbox",     "mw-editsection", "mw-jump-link",  "footer",
            "site-footer",   "site-header", "page-toc",   "skip-link",      "cookie-banner", "printfooter"};
        for (const auto token : around)
            if (has_token(a.classes, token) || a.id == token) return true;
        if (name == "a")
            return has_token(a.classes, "headerlink") || has_token(a.classes, "anchor") ||
                   has_token(a.classes, "doc-anchor");
        return name == "sup" && has_token(a.classes, "reference");
    }

    [[nodiscard]] sink& writer() { return sinks_.back(); }
    void add(std::string_view piece) { writer().running += piece; }

    /// Ends the block of text that is open.
    void flush() {
        auto& s = writer();
        std::string text = squeezed(without_marks(std::exchange(s.running, {})));
        for (auto& e : stack_) e.mark = 0;
        if (text.empty()) return;
        if (s.lists.empty()) return s.out.paragraph(text);
        auto& l = s.lists.back();
        if (l.in_term) return void(l.term.append(l.term.empty() ? "" : ", ").append(text));
        if (l.marked) return s.out.continuation(s.lists.size(), text);
        if (!l.term.empty()) text = std::exchange(l.term, {}) + ": " + text;
        s.out.item(s.lists.size(), l.ordered ? std::to_string(l.number++) + "." : "-", text);
        l.marked = true;
    }
    /// Soft hyphens, zero-width spaces and byte-order marks say nothing.
    static std::string without_marks(std::string_view text) {
        std::string out;
        out.reserve(text.size());
        for (std::size_t i = 0; i < text.size(); ++i) {
            const auto rest = text.substr(i);
            if (rest.starts_with("\xc2\xad"))
                i += 1;
            else if (rest.starts_with("\xe2\x80\x8b") || rest.starts_with("\xef\xbb\xbf"))
                i += 2;
            else
                out += text[i];
        }
        return out;
    }

    void begin(std::string_view name, const attributes& a) {
        using detail::is_one_of;
        auto& s = writer();
        auto& e = stack_.back();
        if (name == "title") {
            in_title_ = !inside("body");
        } else if (name == "br") {
            const auto last = s.running.find_last_not_of(" \t");
            if (inside("pre"))
                add("\n");
            else if (last != std::string::npos && s.running[last] == '\v')
                flush();  // a second one: a new paragraph
            else
                add("\v");
        } else if (name == "pre") {
            flush();
            language_ = language_of(a.classes);
        } else if (is_one_of(name, "code", "tt", "kbd", "samp")) {
            e.mark = s.running.size();
            if (inside("pre") && language_.empty()) language_ = language_of(a.classes);
        } else if (is_one_of(name, "sup", "q")) {
            e.mark = s.running.size();
            if (name == "q") add("\"");
        } else if (is_one_of(name, "ul", "ol", "dl", "menu")) {
            flush();
            s.lists.push_back({name == "ol", a.start});
        } else if (is_one_of(name, "li", "dd", "dt")) {
            flush();
            if (!s.lists.empty()) s.lists.back().marked = false, s.lists.back().in_term = name == "dt";
        } else if (name == "table") {
            flush();
            tables_.push_back({});
            tables_.back().layout = a.role == "presentation";
        } else if (name == "tr" && !tables_.empty()) {
            end_cell();
            tables_.back().rows.emplace_back();
        } else if (is_one_of(name, "td", "th") && !tables_.empty()) {
            end_cell();
            if (tables_.back().rows.empty()) tables_.back().rows.emplace_back();
            tables_.back().in_cell = true;
            tables_.back().open = {
                {}, std::clamp<std::size_t>(a.columns, 1, most_span_), std::clamp<std::size_t>(a.rows, 1, most_span_)};
            sinks_.emplace_back();
        } else if (is_block(name)) {
            flush();
            if (name == "main" && sinks_.size() == 1 && !main_) main_begin_ = s.out.text().size();
        }
    }

    void end(const element& e) {
        using detail::is_one_of;
        const auto& name = e.name;
        auto& s = writer();
        if (name == "title") {
            in_title_ = false;
        } else if (name.size() == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6') {
            auto text = squeezed(without_marks(std::exchange(s.running, {})));
            for (const std::string_view sign : {"\xc2\xb6", "\xc2\xa7"})  // of a link to the heading itself
                if (text.ends_with(sign)) text.resize(text.size() - sign.size());
            s.out.heading(static_cast<std::size_t>(name[1] - '0'), text);
            s.structured = true;
        } else if (name == "pre") {
            s.out.code(without_marks(std::exchange(s.running, {})), std::exchange(language_, {}));
            s.structured = true;
        } else if (is_one_of(name, "code", "tt", "kbd", "samp") && !inside("pre")) {
            const auto inner = s.running.substr(std::min(e.mark, s.running.size()));
            if (squeezed(inner).empty() || inner.find('`') != inner.npos) return;
            s.running.resize(std::min(e.mark, s.running.size()));
            s.running += "`" + inner + "`";
        } else if (name == "sup") {
            auto inner = squeezed(s.running.substr(std::min(e.mark, s.running.size())));
            if (inner.starts_with("\xe2\x88\x92")) inner.replace(0, 3, "-");
            const bool power =
                !inner.empty() && inner.size() < 5 && inner.find_first_not_of("+-0123456789") == inner.npos;
            if (power) s.running.insert(std::min(e.mark, s.running.size()), "^");
        } else if (name == "q") {
            add("\"");
        } else if (name == "dt") {
            flush();
            if (!s.lists.empty()) s.lists.back().in_term = false;
        } else if (is_one_of(name, "ul", "ol", "dl", "menu")) {
            flush();
            if (s.lists.empty()) return;
            if (!s.lists.back().term.empty()) s.out.item(s.lists.size(), "-", s.lists.back().term);
            s.lists.pop_back();
            if (s.lists.empty()) s.out.end_list();
        } else if (is_one_of(name, "td", "th") && !tables_.empty()) {
            end_cell();
        } else if (name == "caption" && !tables_.empty()) {
            tables_.back().caption = squeezed(std::exchange(s.running, {}));
        } else if (name == "table" && !tables_.empty()) {
            end_cell();
            flush();
            end_table();
        } else if (is_block(name) || is_one_of(name, "li", "dd")) {
            flush();
            if (name == "dd" && !s.lists.empty() && !s.lists.back().term.empty())
                s.out.item(s.lists.size(), "-", std::exchange(s.lists.back().term, {}));
            if (name == "main" && sinks_.size() == 1 && !main_) main_.emplace(main_begin_, s.out.text().size());
        }
    }

    void end_cell() {
        auto& t = tables_.back();
        if (!std::exchange(t.in_cell, false)) return;
        const bool loose = writer().out.text().empty() && writer().lists.empty();
        std::string flat = loose ? squeezed(without_marks(writer().running)) : std::string{};
        flush();
        t.layout = t.layout || writer().structured || flat.size() > longest_cell_;
        const std::string markdown = std::move(writer().out).text();
        sinks_.pop_back();
        if (!markdown.empty()) t.blocks.append(t.blocks.empty() ? "" : "\n").append(markdown);
        t.open.text = loose ? std::move(flat) : squeezed(markdown);
        t.rows.back().push_back(std::move(t.open));
    }

    void end_table() {
        table t = std::move(tables_.back());
        tables_.pop_back();
        auto& s = writer();
        std::size_t cells = 0, widest = 0;
        std::vector<std::vector<std::string>> rows;
        std::vector<std::pair<std::size_t, std::string>> hanging;  // by column: rows still to be filled by a cell above
        for (const auto& row : t.rows) {
            if (row.empty()) continue;
            std::vector<std::string> out;
            const auto hang = [&] {
                while (out.size() < hanging.size() && hanging[out.size()].first > 0 && ++cells < most_cells_) {
                    --hanging[out.size()].first;
                    out.push_back(hanging[out.size()].second);
                }
            };
            for (const auto& c : row) {
                hang();
                for (std::size_t k = 0; k < c.columns && cells < most_cells_; ++k, ++cells) {
                    if (hanging.size() <= out.size()) hanging.resize(out.size() + 1);
                    hanging[out.size()] = {c.rows - 1, k == 0 ? c.text : std::string{}};
                    out.push_back(k == 0 ? c.text : std::string{});
                }
            }
            hang();
            widest = std::max(widest, out.size());
            if (std::any_of(out.begin(), out.end(), [](const auto& c) { return !c.empty(); }))
                rows.push_back(std::move(out));
        }
        for (std::size_t c = 0;
             c < widest && widest * rows.size() < most_cells_;) {  // an empty column held pictures, or nothing
            const bool empty =
                std::all_of(rows.begin(), rows.end(), [&](const auto& r) { return c >= r.size() || r[c].empty(); });
            if (!empty) {
                ++c;
                continue;
            }
            for (auto& r : rows)
                if (c < r.size()) r.erase(r.begin() + static_cast<std::ptrdiff_t>(c));
            --widest;
        }
        if (!t.caption.empty()) s.out.paragraph(t.caption);
        if (t.layout || widest < 2 || cells >= most_cells_ || widest * rows.size() >= most_cells_)
            s.out.blocks(t.blocks);
        else
            s.out.table(rows);
        s.structured = true;
    }

    static std::string language_of(std::string_view classes) {
        for (const std::string_view prefix : {"language-", "lang-", "highlight-source-", "highlight-"}) {
            const auto at = classes.find(prefix);
            if (at == classes.npos || (at > 0 && classes[at - 1] != ' ')) continue;
            const auto name = classes.substr(at + prefix.size());
            return std::string(name.substr(0, name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+#-")));
        }
        return {};
    }
    static bool is_block(std::string_view name) {
        using detail::is_one_of;
        return is_one_of(name, "p", "div", "section", "article", "main", "header", "footer", "aside", "address",
                         "blockquote", "center", "figure", "figcaption", "fieldset", "legend", "form", "details",
                         "summary", "body", "html", "head", "hr", "caption", "tr", "td", "th", "thead", "tbody",
                         "tfoot", "option", "hgroup") ||
               (name.size() == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6');
    }

    std::vector<element> stack_;
    std::vector<sink> sinks_{1};
    std::vector<table> tables_;
    std::string title_, language_;
    std::optional<std::pair<std::size_t, std::size_t>> main_;  // where <main> stands in the page's Markdown
    std::size_t main_begin_ = 0;
    bool in_title_ = false;
};

}  // namespace lab::taxonomy
