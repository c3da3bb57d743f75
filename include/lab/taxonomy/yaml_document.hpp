// One YAML document as a tree of typed nodes with their positions: yaml-cpp's events, YAML 1.1 typing as PyYAML's safe
// loader, merge keys, last value of a repeated key. Aliases share nodes, so a file cannot grow when it is read; size,
// depth and count are bounded. Refuses what PyYAML refuses: unknown tags, second documents, control characters, broken
// UTF-8.
#pragma once

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "lab/taxonomy/yaml_scalar.hpp"
#include "lab/taxonomy/yaml_text.hpp"

namespace lab::taxonomy::yaml {

using node_id = std::uint32_t;

struct member {
    node_id key, value;
};

struct node {
    type kind = type::null;
    position at;
    std::string text;                  ///< a scalar's characters
    std::optional<long long> integer;  ///< a whole number's value, 0 or 1 of a boolean
    std::vector<node_id> items;        ///< of a sequence
    std::vector<member> members;       ///< of a mapping, keys unique
    std::uint32_t value_id = 0;        ///< equal for equal values, whatever their spelling
    bool open = false;                 ///< still being read
};

struct document {
    std::vector<node> nodes;
    node_id root = 0;                                        ///< a null node for an empty file
    std::vector<std::pair<position, std::string>> warnings;  ///< repeated keys

    [[nodiscard]] const node& operator[](node_id id) const { return nodes[id]; }
    /// Value of a mapping's text key, or nullptr.
    [[nodiscard]] const node* find(const node& mapping, std::string_view key) const {
        for (const auto& m : mapping.members)
            if (nodes[m.key].kind == type::string && nodes[m.key].text == key) return &nodes[m.value];
        return nullptr;
    }
};

namespace detail {

/// Builds the tree from yaml-cpp's events, without recursion.
class builder final : public YAML::EventHandler {
public:
    builder(std::string_view text, const limits& bounds) : text_(text), bounds_(bounds) {}

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (documents_++ > 0) throw syntax_error(at(mark), "a second document begins here (the file holds one)");
    }
    void OnDocumentEnd() override {}
    void OnAnchor(const YAML::Mark& mark, const std::string& anchor_name) override {
        if (anchor_name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
            anchor_name.npos)
            throw syntax_error(at(mark), "the anchor " + shown("&" + anchor_name) +
                                             " is no word (put text that begins with & in quotes)");
        for (const auto& known : anchor_names_)
            if (known == anchor_name)
                throw syntax_error(at(mark),
                                   "the anchor " + shown("&" + anchor_name) + " is already used (rename one of them)");
        if (anchor_names_.size() == most_anchors_) throw syntax_error(at(mark), "too many anchors");
        anchor_names_.push_back(anchor_name);
    }
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add_scalar(mark, anchor, type::null, ""); }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end()) throw syntax_error(at(mark), "this alias has no anchor");
        if (out.nodes[found->second].open)
            throw syntax_error(at(mark), "this alias stands inside the value that it repeats");
        place(found->second, mark);
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        const auto text = detail::with_whole_characters(value);
        add_scalar(mark, anchor, scalar_type(mark, tag, text), text);
        if (tag != "?" || (text != "<<" && text != "=")) return;
        const auto id = static_cast<node_id>(out.nodes.size() - 1);
        if (!is_key(id))
            throw syntax_error(at(mark), "a lone " + text + " has a special meaning in YAML 1.1 (put it in quotes)");
        if (text == "<<") merge_keys_.push_back(id);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(mark, anchor, collection_type(mark, tag, type::sequence));
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(mark, anchor, collection_type(mark, tag, type::mapping));
    }
    void OnMapEnd() override { close(); }

    document out;
    std::vector<std::size_t> starts;  ///< byte offsets of the events

private:
    struct frame {
        node_id id;
        bool mapping;
        bool has_key = false;
        node_id key = 0;
    };
    static constexpr std::string_view core_ = "tag:yaml.org,2002:";
    static constexpr std::size_t most_anchors_ = 1000;  // names are compared one by one

    [[nodiscard]] position at(const YAML::Mark& mark) {
        const auto line = static_cast<std::size_t>(std::max(mark.line, 0));
        if (line < line_) line_ = 0, line_start_ = 0;  // aliases and errors may look back
        for (; line_ < line && line_start_ < text_.size(); ++line_) {
            const auto end = text_.find('\n', line_start_);
            line_start_ = end == text_.npos ? text_.size() : end + 1;
        }
        auto p = character_position(text_.substr(line_start_), 0, static_cast<std::size_t>(std::max(mark.column, 0)));
        return {line + 1, p.column};
    }
    [[noreturn]] void unknown_tag(const YAML::Mark& mark, const std::string& tag) {
        throw syntax_error(at(mark), "the tag " + shown(tag) + " is not known here (remove it)");
    }
    type scalar_type(const YAML::Mark& mark, const std::string& tag, const std::string& text) {
        if (tag == "?") return plain_type(text);
        if (tag == "!") return type::string;
        if (tag.starts_with(core_)) {
            const auto kind = std::string_view(tag).substr(core_.size());
            if (kind == "str") return type::string;
            if (kind == "int") return type::integer;
            if (kind == "float") return type::floating;
            if (kind == "bool") return type::boolean;
            if (kind == "null") return type::null;
            if (kind == "timestamp") return type::timestamp;
            if (kind == "binary") return type::binary;
        }
        unknown_tag(mark, tag);
    }
    type collection_type(const YAML::Mark& mark, const std::string& tag, type kind) {
        const bool mapping = kind == type::mapping;
        if (tag == "?" || tag == "!" || tag == std::string(core_) + (mapping ? "map" : "seq")) return kind;
        if (tag == std::string(core_) + "set" && mapping) return type::other;
        unknown_tag(mark, tag);
    }
    node_id add(const YAML::Mark& mark, YAML::anchor_t anchor, type kind) {
        if (out.nodes.size() >= bounds_.nodes)
            throw syntax_error(at(mark), "more than " + std::to_string(bounds_.nodes) + " values (split the file)");
        const auto id = static_cast<node_id>(out.nodes.size());
        starts.push_back(static_cast<std::size_t>(std::max(mark.pos, 0)));
        out.nodes.push_back({kind, at(mark), {}, {}, {}, {}, 0, false});
        if (anchor != 0) anchors_[anchor] = id;
        return id;
    }
    void add_scalar(const YAML::Mark& mark, YAML::anchor_t anchor, type kind, const std::string& text) {
        const node_id id = add(mark, anchor, kind);
        auto value = read_as(kind, text);
        if (!value.fault.empty())
            throw syntax_error(at(mark), shown(text) + " " + value.fault + " (put text in quotes)");
        out.nodes[id].text = text;
        out.nodes[id].integer = value.integer;
        out.nodes[id].value_id = intern(value.canonical);
        place(id, mark);
    }
    void open(const YAML::Mark& mark, YAML::anchor_t anchor, type kind) {
        if (stack_.size() >= bounds_.depth)
            throw syntax_error(at(mark), "nested deeper than " + std::to_string(bounds_.depth) + " levels");
        const node_id id = add(mark, anchor, kind);
        out.nodes[id].open = true;
        if (!stack_.empty() && stack_.back().mapping && !stack_.back().has_key)
            throw syntax_error(at(mark), "a list or mapping cannot be a key (a key is a single word or text)");
        stack_.push_back({id, kind != type::sequence});
    }
    void place(node_id id, const YAML::Mark& mark) {
        if (stack_.empty()) {
            out.root = id;
            return;
        }
        auto& top = stack_.back();
        if (!top.mapping) {
            out.nodes[top.id].items.push_back(id);
        } else if (!top.has_key) {
            if (out.nodes[id].kind == type::sequence || out.nodes[id].kind == type::mapping)
                throw syntax_error(at(mark), "a list or mapping cannot be a key (a key is a single word or text)");
            top.key = id;
            top.has_key = true;
        } else {
            out.nodes[top.id].members.push_back({top.key, id});
            top.has_key = false;
        }
    }
    [[nodiscard]] bool is_key(node_id id) const {
        return !stack_.empty() && stack_.back().has_key && stack_.back().key == id;
    }
    void close() {
        const node_id id = stack_.back().id;
        stack_.pop_back();
        node& done = out.nodes[id];
        done.open = false;
        std::string canonical;
        if (done.kind == type::sequence) {
            canonical = "[";
            for (const auto item : done.items)
                canonical.append(std::to_string(out.nodes[item].value_id)).append(1, ' ');
        } else {
            settle_members(done);
            std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;
            for (const auto& m : done.members)
                pairs.emplace_back(out.nodes[m.key].value_id, out.nodes[m.value].value_id);
            std::sort(pairs.begin(), pairs.end());
            canonical = "{";
            for (const auto& [key, value] : pairs)
                canonical.append(std::to_string(key)).append(1, ':').append(std::to_string(value)).append(1, ' ');
        }
        done.value_id = intern(canonical);
        place(id, {});
    }
    /// Merge keys first, so that own members win; of a repeated key the last value counts, as for PyYAML.
    void settle_members(node& mapping) {
        std::vector<member> merged, own;
        for (const auto& m : mapping.members) {
            if (!std::binary_search(merge_keys_.begin(), merge_keys_.end(), m.key)) {
                own.push_back(m);
                continue;
            }
            const node& source = out.nodes[m.value];
            std::vector<node_id> sources{m.value};
            if (source.kind == type::sequence) sources.assign(source.items.rbegin(), source.items.rend());
            for (const auto id : sources) {
                const node& from = out.nodes[id];
                if (from.kind != type::mapping)
                    throw syntax_error(out.nodes[m.key].at,
                                       "<< merges mappings only, this is " + std::string(name(from.kind)));
                if ((merged_ += from.members.size()) > bounds_.merged)
                    throw syntax_error(out.nodes[m.key].at, "merge keys (<<) copy more than this reader allows");
                merged.insert(merged.end(), from.members.begin(), from.members.end());
            }
        }
        std::unordered_map<std::uint32_t, std::size_t> index;
        std::unordered_set<std::uint32_t> own_keys;
        std::vector<member> unique;
        const auto put = [&](const member& m, bool is_own) {
            const bool again = is_own && !own_keys.insert(out.nodes[m.key].value_id).second;
            const auto [where, fresh] = index.try_emplace(out.nodes[m.key].value_id, unique.size());
            if (fresh) {
                unique.push_back(m);
                return;
            }
            member& kept = unique[where->second];
            if (again)
                out.warnings.emplace_back(out.nodes[m.key].at, "the key " + shown(out.nodes[m.key].text) +
                                                                   " stands already in line " +
                                                                   std::to_string(out.nodes[kept.key].at.line) +
                                                                   "; the last one counts (delete one of them)");
            if (is_own) kept.key = m.key;
            kept.value = m.value;
        };
        for (const auto& m : merged) put(m, false);
        for (const auto& m : own) put(m, true);
        mapping.members = std::move(unique);
    }
    std::uint32_t intern(const std::string& canonical) {
        return values_.try_emplace(canonical, static_cast<std::uint32_t>(values_.size())).first->second;
    }

    std::string_view text_;
    limits bounds_;
    std::size_t documents_ = 0, merged_ = 0, line_ = 0, line_start_ = 0;
    std::vector<frame> stack_;
    std::vector<std::string> anchor_names_;
    std::vector<node_id> merge_keys_;  // ascending
    std::unordered_map<YAML::anchor_t, node_id> anchors_;
    std::unordered_map<std::string, std::uint32_t> values_;
};

}  // namespace detail

/// Reads the one document in `text`.
/// @throws syntax_error with the position and how to mend it.
[[nodiscard]] inline document read(std::string_view text, const limits& bounds = {}) {
    std::string clean = detail::clean_text(text, bounds);
    detail::refuse_lone_directives(clean);
    const auto size = clean.size();
    // At the end of its input yaml-cpp closes an open quote; an end of document inside a quote it refuses.
    if (size > 0) clean += clean.back() == '\n' ? "...\n" : "\n...\n";
    std::istringstream stream(clean);
    detail::builder builder(clean, bounds);
    try {
        YAML::Parser parser(stream);
        while (parser.HandleNextDocument(builder)) {
        }
        const auto own = std::string_view(clean).substr(0, size);
        detail::refuse_loose_scalars(own, builder.starts);
        if (clean.find('\t') != clean.npos) detail::refuse_tabs(own, builder.starts);
    } catch (const YAML::Exception& fault) {
        const auto line = static_cast<std::size_t>(std::max(fault.mark.line, 0));
        throw syntax_error(
            detail::character_position(clean, line, static_cast<std::size_t>(std::max(fault.mark.column, 0))),
            "not valid YAML: " + fault.msg +
                " (check the indentation; text with ': ', ' #' or a leading quote, star or bracket needs quotes)");
    }
    if (builder.out.nodes.empty()) builder.out.nodes.emplace_back();
    return std::move(builder.out);
}

}  // namespace lab::taxonomy::yaml
