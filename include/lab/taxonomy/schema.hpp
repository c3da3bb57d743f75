// The JSON Schemas of qna.yaml, versions 1 to 3, as tables, and the check of a document against them. Valid means what
// instructlab-schema means when it takes the version from the file (https://github.com/instructlab/schema).
// Word limits of the contribution guide and layout are no part of the schema: they are warnings.
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/taxonomy/problem.hpp"
#include "lab/taxonomy/root.hpp"
#include "lab/taxonomy/yaml_document.hpp"

namespace lab::taxonomy {

namespace schema {

struct object_rule;

/// What the schema says about one property.
struct property {
    std::string_view key;
    yaml::type type = yaml::type::string;
    bool required = true;
    std::size_t least = 1;  ///< characters of a text, items of a list
    bool unique = false;    ///< items of a list
    const object_rule* object =
        nullptr;  ///< the property itself, or each item of a list; a list without one holds texts
};

struct object_rule {
    std::span<const property> properties;
    bool closed = true;  ///< other keys are errors
};

using yaml::type;
inline constexpr property version_optional{"version", type::integer, false};
inline constexpr property version_required{"version", type::integer, true};

inline constexpr property skill_seed_properties[] = {{"question"}, {"answer"}, {"context", type::string, false}};
inline constexpr object_rule skill_seed{skill_seed_properties};

inline constexpr property skill_v1_properties[] = {version_optional,
                                                   {"created_by"},
                                                   {"task_description", type::string, true, 0},
                                                   {"seed_examples", type::sequence, true, 1, false, &skill_seed}};
inline constexpr object_rule skill_v1{skill_v1_properties};

inline constexpr property skill_v2_properties[] = {version_required,
                                                   {"created_by"},
                                                   {"task_description"},
                                                   {"seed_examples", type::sequence, true, 5, true, &skill_seed}};
inline constexpr object_rule skill_v2{skill_v2_properties};

inline constexpr property qa_properties[] = {{"question"}, {"answer"}};
inline constexpr object_rule qa_rule{qa_properties, false};
inline constexpr property knowledge_seed_properties[] = {
    {"context"}, {"questions_and_answers", type::sequence, true, 3, true, &qa_rule}};
inline constexpr object_rule knowledge_seed{knowledge_seed_properties};
inline constexpr property document_properties[] = {{"repo"}, {"commit"}, {"patterns", type::sequence, true, 1, true}};
inline constexpr object_rule document_rule{document_properties};
inline constexpr property knowledge_v3_properties[] = {
    version_required,     {"created_by"},
    {"domain"},           {"seed_examples", type::sequence, true, 5, true, &knowledge_seed},
    {"document_outline"}, {"document", type::mapping, true, 0, false, &document_rule}};
inline constexpr object_rule knowledge_v3{knowledge_v3_properties};

inline constexpr long long newest_version = 3;

/// Compares a document with the tables; every fault becomes a problem at its node.
class checker {
public:
    checker(const yaml::document& doc, problem_list& problems, long long version)
        : doc_(doc), problems_(problems), version_(version) {}

    void check_object(const yaml::node& node, const object_rule& rule, const std::string& where) {
        if (!spend(node)) return;
        if (node.kind != type::mapping) {
            problems_.error(node.at, where + " must be a mapping of keys and values, this is " + describe(node));
            return;
        }
        for (const auto& p : rule.properties) {
            const yaml::node* value = doc_.find(node, p.key);
            if (value != nullptr)
                check_property(*value, p, where.empty() ? std::string(p.key) : where + "." + std::string(p.key));
            else if (p.required)
                problems_.error(node.at, "'" + std::string(p.key) + "' is missing" +
                                             (where.empty() ? "" : " in " + where) + " (add a line '" +
                                             std::string(p.key) + ": ...')");
        }
        if (!rule.closed) return;
        for (const auto& m : node.members) {
            const yaml::node& key = doc_[m.key];
            const bool known =
                key.kind == type::string && std::any_of(rule.properties.begin(), rule.properties.end(),
                                                        [&](const property& p) { return p.key == key.text; });
            if (!known) problems_.error(key.at, unknown_key(key, rule, where));
        }
    }

private:
    static constexpr std::size_t most_visits_ = 200'000;

    /// Aliases may repeat a list many times over: the work is bounded, not only the file.
    bool spend(const yaml::node& node) {
        if (visits_ > most_visits_) return false;
        if (++visits_ > most_visits_)
            problems_.error(node.at, "too many values to check: aliases repeat whole lists (write them out)");
        return visits_ <= most_visits_;
    }

    std::string describe(const yaml::node& node) const {
        std::string text(yaml::name(node.kind));
        const bool container = node.kind == type::sequence || node.kind == type::mapping || node.kind == type::other;
        if (!container && !node.text.empty()) text += ": YAML reads " + formats::quote(node.text, 40) + " so";
        return text;
    }

    void check_property(const yaml::node& node, const property& p, const std::string& where) {
        if (p.object != nullptr && p.type == type::mapping) return check_object(node, *p.object, where);
        if (!spend(node)) return;
        if (p.type == type::integer) return check_version(node);
        if (node.kind != p.type) {
            const bool list = p.type == type::sequence;
            const bool empty = node.kind == type::null;
            const bool scalar = node.kind == type::boolean || node.kind == type::integer ||
                                node.kind == type::floating || node.kind == type::timestamp;
            problems_.error(node.at,
                            "'" + where + "' must be " + std::string(yaml::name(p.type)) + ", this is " +
                                describe(node) +
                                (list    ? " (write its items on lines of their own, each after '- ')"
                                 : empty ? " (write something behind the colon)"
                                         : " (put it in quotes)"),
                            scalar && !list && !empty ? mending::quotes : mending::by_hand);
            return;
        }
        if (p.type == type::string) {
            if (node.text.size() < p.least)
                problems_.error(node.at, "'" + where + "' is empty (write something, or remove an optional key)");
            else if (p.least > 0 && node.text.find_first_not_of(" \t\n") == node.text.npos)
                problems_.warning(node.at, "'" + where + "' is blank");
            return;
        }
        if (node.items.size() < p.least)
            problems_.error(node.at, "'" + where + "' has " + count(node.items.size(), "item") + ", at least " +
                                         std::to_string(p.least) + " are needed (add " +
                                         std::to_string(p.least - node.items.size()) + " more)");
        if (p.unique) check_unique(node, where);
        for (std::size_t i = 0; i < node.items.size(); ++i) {
            const std::string item = where + "[" + std::to_string(i) + "]";
            if (p.object != nullptr)
                check_object(doc_[node.items[i]], *p.object, item);
            else
                check_property(doc_[node.items[i]], {p.key}, item);
            if (visits_ > most_visits_) return;
        }
    }

    void check_unique(const yaml::node& list, const std::string& where) {
        std::vector<std::pair<std::uint32_t, std::size_t>> values;
        for (std::size_t i = 0; i < list.items.size(); ++i) values.emplace_back(doc_[list.items[i]].value_id, i);
        std::sort(values.begin(), values.end());
        for (std::size_t i = 1; i < values.size(); ++i) {
            if (values[i].first != values[i - 1].first) continue;
            const auto& again = doc_[list.items[values[i].second]];
            const auto& before = doc_[list.items[values[i - 1].second]];
            problems_.error(again.at, "'" + where + "[" + std::to_string(values[i].second) +
                                          "]' is the same as the item in line " + std::to_string(before.at.line) +
                                          " (change or remove it)");
        }
    }

    void check_version(const yaml::node& node) {
        const bool whole = node.kind == type::integer || node.kind == type::floating;
        if (!whole || node.integer != version_)
            problems_.error(node.at, "'version' must be the number " + std::to_string(version_) + ", this is " +
                                         describe(node) + (node.kind == type::string ? " (remove the quotes)" : ""));
    }

    std::string unknown_key(const yaml::node& key, const object_rule& rule, const std::string& where) const {
        std::string known;
        std::string_view nearest;
        std::size_t least = 3;
        for (const auto& p : rule.properties) {
            known.append(known.empty() ? "" : ", ").append(p.key);
            const auto d = distance(p.key, std::string_view(key.text).substr(0, 40));
            if (d < least) least = d, nearest = p.key;
        }
        std::string text =
            "the key " + formats::quote(key.text, 40) + " is not known" + (where.empty() ? "" : " in " + where);
        if (key.kind != type::string) text += "; YAML reads it as " + std::string(yaml::name(key.kind));
        return text + (nearest.empty() ? " (remove it; known are " + known + ")"
                                       : " (did you mean '" + std::string(nearest) + "'?)");
    }

    static std::string count(std::size_t n, std::string_view noun) {
        return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
    }

    /// Edits between two short words (Levenshtein).
    static std::size_t distance(std::string_view a, std::string_view b) {
        std::vector<std::size_t> row(b.size() + 1);
        for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
        for (std::size_t i = 1; i <= a.size(); ++i) {
            std::size_t diagonal = std::exchange(row[0], i);
            for (std::size_t j = 1; j <= b.size(); ++j) {
                const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
            }
        }
        return row.back();
    }

    const yaml::document& doc_;
    problem_list& problems_;
    long long version_;
    std::size_t visits_ = 0;
};

/// The version that a file claims; without one it is 1. Nothing when the claim names no version at all.
[[nodiscard]] inline std::optional<long long> claimed_version(const yaml::node* value) {
    if (value == nullptr) return 1;
    if (value->kind == type::integer) return value->integer;
    if (value->kind == type::floating) {  // 2.5 is judged by the tables of version 2, where it fails
        const double number = yaml::detail::float_value(value->text);
        return std::abs(number) < 1e15 ? std::optional(static_cast<long long>(number)) : std::nullopt;
    }
    if (value->kind == type::string && value->text.size() == 1 && value->text[0] >= '1' && value->text[0] <= '3')
        return value->text[0] - '0';
    return value->kind == type::boolean ? std::nullopt : std::optional(1LL);
}

/// Nothing, an empty text, list or mapping, zero or false: what Python calls false, and instructlab-schema an empty
/// file.
[[nodiscard]] inline bool is_empty(const yaml::node& top) {
    switch (top.kind) {
        case type::null:
            return true;
        case type::string:
            return top.text.empty();
        case type::boolean:
        case type::integer:
        case type::floating:
            return top.integer == 0;
        case type::timestamp:
        case type::binary:
            return false;
        default:
            return top.items.empty() && top.members.empty();
    }
}

/// Checks a whole file. @return the version, or nothing when the file has no rules to be judged by (empty, not a
/// mapping, unknown or deprecated version).
inline std::optional<long long> check(const yaml::document& doc, root kind, problem_list& problems) {
    const yaml::node& top = doc[doc.root];
    if (is_empty(top)) {
        problems.warning(top.at, "the file is empty: it makes no leaf");
        return std::nullopt;
    }
    if (top.kind != type::mapping) {
        problems.error(top.at, "the file must hold keys and values at its top level, this is " +
                                   std::string(yaml::name(top.kind)));
        return std::nullopt;
    }
    const yaml::node* claim = doc.find(top, "version");
    const position where = claim != nullptr ? claim->at : top.at;
    const auto version = claimed_version(claim);
    if (!version || *version < 1 || *version > newest_version) {
        problems.error(where, "'version' must be 1, 2 or 3 (write 'version: 3')");
        return std::nullopt;
    }
    const bool knowledge = kind == root::knowledge;
    if (knowledge && *version < newest_version) {
        problems.error(where,
                       (claim == nullptr ? "without a 'version' this is version 1; knowledge" : "knowledge") +
                           std::string(" of versions 1 and 2 is not supported any more (write it as version 3: seed "
                                       "examples with a context and three questions_and_answers, document_outline)"));
        return std::nullopt;
    }
    checker(doc, problems, *version)
        .check_object(top,
                      knowledge       ? knowledge_v3
                      : *version == 1 ? skill_v1
                                      : skill_v2,
                      "");
    return version;
}

}  // namespace schema
}  // namespace lab::taxonomy
