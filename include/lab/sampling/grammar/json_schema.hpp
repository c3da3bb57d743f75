// JSON Schema as grammars: texts that are valid under the schema, with properties in its order. The language is a part
// of what is valid, never more: one optional space after commas and colons, no properties beside the named ones unless
// additionalProperties says so. Keywords that cannot be met are refused with their JSON pointer; docs/reference/
// sampling.md lists them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/formats/json.hpp"
#include "lab/sampling/grammar.hpp"
#include "lab/sampling/grammar/json_text.hpp"
#include "lab/sampling/grammar/regex.hpp"
#include "lab/sampling/grammar/schema_document.hpp"

namespace lab::sampling {

class json_schema_reader {
public:
    json_schema_reader(std::string_view text, std::string name, const grammar_limits& limits)
        : out_(limits), json_(out_), doc_(text, std::move(name), limits) {}

    /// @throws config_error "name#/pointer: what (fix)"
    [[nodiscard]] grammar_builder run() {
        const auto root = out_.declare("root", doc_.place(""));
        out_.define(root, rule_at(""));
        while (!waiting_.empty()) {  // schemas that were referred to: no recursion as deep as a chain of references
            const auto [id, pointer] = waiting_.back();
            waiting_.pop_back();
            out_.define(id, schema(doc_.at(pointer), pointer));
        }
        return std::move(out_);
    }

private:
    using expression = grammar_builder::expression;
    using json = formats::ordered_json;
    static constexpr std::size_t unbounded = grammar_builder::unbounded;
    static constexpr std::size_t longest_pointer = 4096, most_pointers = 64 << 20;  // bytes

    [[noreturn]] void refuse(const std::string& pointer, std::string_view what, std::string_view fix = {}) const {
        doc_.refuse(pointer, what, fix);
    }
    /// A pointer that is kept: long ones, or too many, would take far more memory than the schema itself.
    std::string kept(std::string pointer) {
        if (pointer.size() > longest_pointer)
            refuse(pointer, "the way to this place has more than " + std::to_string(longest_pointer) + " bytes",
                   "shorten the names on it");
        if ((pointers_ += pointer.size()) > most_pointers)
            refuse(pointer, "the schema is too large, as it comes to this place", "shorten its names, or split it");
        return pointer;
    }
    expression rule_at(const std::string& pointer) {
        if (pointer.size() > longest_pointer) (void)kept(pointer);
        const auto [it, made] = rules_.emplace(pointer, 0);
        if (made) {
            it->second = out_.declare("#" + pointer, doc_.place(pointer));
            waiting_.emplace_back(it->second, kept(pointer));
        }
        return out_.call(it->second);
    }
    /// A schema inside the one at `pointer`, as a rule of its own.
    expression inner(const std::string& pointer, std::string_view key) {
        return rule_at(schema_document::join(pointer, key));
    }

    expression schema(const json& s, const std::string& pointer) {
        if (s.is_boolean()) {
            if (s.get<bool>()) return json_.value();
            refuse(pointer, "the schema false allows nothing", "take it out");
        }
        if (!s.is_object()) refuse(pointer, "a schema must be an object, true or false");
        doc_.check_keywords(s, pointer);
        if (s.contains("$ref")) {
            doc_.only(s, pointer, "$ref", {});
            return rule_at(doc_.target(s, pointer));
        }
        for (const char* key : {"anyOf", "oneOf"}) {
            if (!s.contains(key)) continue;
            doc_.only(s, pointer, key, {});
            const std::string here = schema_document::join(pointer, key);
            const auto& list = doc_.list(s, key, pointer);
            if (key == std::string_view("oneOf")) doc_.require_disjoint(list, here);
            std::vector<expression> parts;
            for (std::size_t i = 0; i < list.size(); ++i) parts.push_back(inner(here, std::to_string(i)));
            return out_.choice(std::move(parts));
        }
        if (s.contains("allOf")) return all_of(s, pointer);
        if (s.contains("const") || s.contains("enum")) return listed(s, pointer);
        std::vector<expression> parts;
        const auto types = doc_.types(s, pointer);
        if (types.empty()) return json_.value();
        doc_.check_applies(s, pointer, types);
        for (const auto& type : types) parts.push_back(of_type(s, type, pointer));
        return out_.choice(std::move(parts));
    }

    expression of_type(const json& s, const std::string& type, const std::string& pointer) {
        if (type == "null") return json_.null();
        if (type == "boolean") return json_.boolean();
        if (type == "string") return string(s, pointer);
        if (type == "integer") return integer(s, pointer);
        if (type == "number") return number(s, pointer);
        if (type == "array") return array(s, pointer);
        return object(s, pointer);
    }

    expression listed(const json& s, const std::string& pointer) {
        const std::string key = s.contains("const") ? "const" : "enum";
        doc_.only(s, pointer, key, {"type"});
        std::vector<expression> parts;
        for (const auto* value : doc_.values(s, pointer)) {
            doc_.require_exact(*value, schema_document::join(pointer, key));
            parts.push_back(literal(*value));
        }
        if (parts.empty()) refuse(pointer, "no listed value has the type that the schema asks for");
        return out_.choice(std::move(parts));
    }
    expression literal(const json& value) {  // parse_json has seen to it that strings are UTF-8
        return out_.bytes(value.dump());
    }

    expression string(const json& s, const std::string& pointer) {
        const auto [least, most] = doc_.bounds(s, "minLength", "maxLength", pointer);
        const bool bounded = least != 0 || most != unbounded;
        const auto pattern = [&](std::string_view text, const std::string& at, bool search) {
            if (bounded) refuse(at, "beside minLength or maxLength", "put the bounds into the pattern");
            return json_.quoted(
                regex_reader(out_, text, doc_.place(at), {.search = search, .json_string = true}).run());
        };
        if (s.contains("pattern") && s.contains("format"))
            refuse(pointer, "both pattern and format", "give one of them");
        if (s.contains("pattern")) {
            if (!s["pattern"].is_string()) refuse(pointer + "/pattern", "a pattern must be a string");
            return pattern(s["pattern"].get_ref<const std::string&>(), pointer + "/pattern", true);
        }
        if (s.contains("format"))
            return pattern(doc_.format_pattern(s["format"], pointer + "/format"), pointer + "/format", false);
        if (!bounded) return json_.string();
        return json_.quoted(out_.repeat(json_.character(), least, most, doc_.place(pointer)));
    }

    expression integer(const json& s, const std::string& pointer) {
        const auto [low, high] = doc_.range(s, pointer, true);
        if (!low && !high) return json_.integer();
        const std::int64_t least = low.value_or(-largest_json_integer), most = high.value_or(largest_json_integer);
        if (least > most) refuse(pointer, "no integer lies between minimum and maximum");
        return json_integer_range(out_)(least, most);
    }
    /// Bounds of numbers: a whole minimum of 0 or more, and a whole maximum, if any.
    expression number(const json& s, const std::string& pointer) {
        const auto [low, high] = doc_.range(s, pointer, false);
        if (!low && !high) return json_.number();
        if (!low || *low < 0)
            refuse(pointer, "bounds of a number are supported from a minimum of 0 or more only",
                   "use type integer, or give such a minimum");
        const std::int64_t most = high.value_or(largest_json_integer);
        if (*low > most) refuse(pointer, "no number lies between minimum and maximum");
        std::vector<expression> parts;
        json_integer_range range(out_);
        if (*low < most) parts.push_back(out_.sequence({range(*low, most - 1), out_.optional(json_.fraction())}));
        const auto zeros = out_.sequence({out_.bytes("."), out_.repeat(out_.bytes("0"), 1, 18, {})});
        parts.push_back(out_.sequence({out_.bytes(std::to_string(most)), out_.optional(zeros)}));
        return out_.choice(std::move(parts));
    }

    expression array(const json& s, const std::string& pointer) {
        auto [least, most] = doc_.bounds(s, "minItems", "maxItems", pointer);
        const std::string prefix = schema_document::join(pointer, "prefixItems");
        const std::size_t named = s.contains("prefixItems") ? doc_.list(s, "prefixItems", pointer).size() : 0;
        const bool closed = s.contains("items") && s["items"].is_boolean() && !s["items"].get<bool>();
        if (closed && least > named) refuse(pointer, "minItems asks for more items than there are, and items is false");
        // Without `items` any may follow the named ones; as many as minItems asks for do.
        if (closed || (named > 0 && !s.contains("items"))) most = std::min(most, std::max(named, least));
        if (named == 0) return json_.list("[", item(s, pointer), least, most, "]");
        std::vector<expression> rest;  // from the back: (comma item (comma item ...)?)?
        expression tail = out_.nothing();
        if (most > named) {
            const std::size_t more = most == unbounded ? most : most - named;
            tail = out_.repeat(out_.sequence({json_.comma(), item(s, pointer)}), least > named ? least - named : 0,
                               more, doc_.place(pointer));
        }
        for (std::size_t i = std::min(named, most); i-- > 0;) {
            tail = out_.sequence({i > 0 ? json_.comma() : out_.nothing(), inner(prefix, std::to_string(i)), tail});
            if (i >= least) tail = out_.optional(tail);
        }
        return out_.sequence({out_.bytes("["), tail, out_.bytes("]")});
    }
    expression item(const json& s, const std::string& pointer) {
        return s.contains("items") && !s["items"].is_boolean() ? inner(pointer, "items") : json_.value();
    }

    struct property {
        std::string name, pointer;  // of its schema
        bool required = false;
    };

    expression object(const json& s, const std::string& pointer) {
        std::vector<property> list;
        std::set<std::string> required = doc_.required(s, pointer);
        if (s.contains("properties")) {
            const std::string here = schema_document::join(pointer, "properties");
            if (!s["properties"].is_object()) refuse(here, "must be an object");
            for (const auto& [name, value] : s["properties"].items())
                list.push_back({name, kept(schema_document::join(here, name)), required.erase(name) > 0});
        }
        std::optional<std::string> extra;
        bool free = !s.contains("properties");
        if (s.contains("additionalProperties")) {
            const auto& more = s["additionalProperties"];
            free = more.is_boolean() && more.get<bool>();
            if (!more.is_boolean()) extra = schema_document::join(pointer, "additionalProperties");
        }
        if (!required.empty())
            refuse(pointer + "/required", "'" + *required.begin() + "' is not among the properties",
                   "describe it there");
        return members(list, free, extra);
    }
    /// The properties in order, optional ones left out or not, then any others if `free` or by the schema at `extra`.
    expression members(const std::vector<property>& list, bool free, const std::optional<std::string>& extra) {
        const auto member = [&](const property& p) {
            return out_.sequence({literal(json(p.name)), json_.colon(), rule_at(p.pointer)});
        };
        std::optional<expression> other;
        if (free || extra) {
            std::vector<std::string> names;
            for (const auto& p : list) names.push_back(p.name);
            const auto key = names.empty() ? json_.string() : json_.quoted(other_name(std::move(names)));
            other = out_.sequence({key, json_.colon(), extra ? rule_at(*extra) : json_.value()});
        }
        if (list.empty()) return other ? json_.list("{", *other, 0, unbounded, "}") : out_.bytes("{}");
        // after[i]: what may stand behind a member, with the properties from i on still to come; a rule each, so that
        // the ways to leave out properties cost nothing.
        std::vector<expression> after(list.size() + 1);
        expression tail = out_.bytes("}");
        if (other) tail = out_.sequence({out_.repeat(out_.sequence({json_.comma(), *other}), 0, unbounded, {}), tail});
        const auto as_rule = [&](expression body) {
            const auto id = out_.declare("members", list.front().pointer);
            out_.define(id, body);
            return out_.call(id);
        };
        after[list.size()] = as_rule(tail);
        for (std::size_t i = list.size(); i-- > 0;) {
            auto part = out_.sequence({json_.comma(), member(list[i])});
            if (!list[i].required) part = out_.optional(part);
            after[i] = as_rule(out_.sequence({part, after[i + 1]}));
        }
        std::vector<expression> first;
        bool may_be_empty = true;
        for (std::size_t i = 0; i < list.size() && may_be_empty; ++i) {
            first.push_back(out_.sequence({member(list[i]), after[i + 1]}));
            may_be_empty = !list[i].required;
        }
        if (may_be_empty && other) first.push_back(out_.sequence({*other, after[list.size()]}));
        if (may_be_empty) first.push_back(out_.bytes("}"));
        return out_.sequence({out_.bytes("{"), out_.choice(std::move(first))});
    }
    /// The inside of a string without escapes that is none of the names.
    expression other_name(std::vector<std::string> names) {
        std::sort(names.begin(), names.end());
        std::size_t total = 0;
        for (const auto& name : names) total += name.size();
        if (total > 20000 || std::any_of(names.begin(), names.end(), [](const auto& n) { return n.size() > 200; }))
            refuse("", "the names of properties beside additionalProperties are too long",
                   "at most 200 bytes each and 20000 in all");
        return differs(names, 0);
    }
    /// The rest of strings that agree with all of `names` before byte `at` and are none of them. Names beyond ASCII
    /// are told apart by their first character outside ASCII only.
    expression differs(const std::vector<std::string>& names, std::size_t at) {
        const auto plain = complement({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}});
        std::map<char32_t, std::vector<std::string>> next;
        bool complete = false;
        for (const auto& name : names) {
            if (name.size() == at) {
                complete = true;
            } else if (static_cast<unsigned char>(name[at]) < 0x80) {
                next[static_cast<char32_t>(name[at])].push_back(name);
            } else {
                next[0x80].push_back(name);
            }
        }
        code_set taken;
        std::vector<expression> parts;
        for (const auto& [c, list] : next) {
            taken.push_back({c, c == 0x80 ? last_code_point : c});
            if (c != 0x80 && c >= 0x20 && c != '"' && c != '\\')
                parts.push_back(out_.sequence({out_.chars({{c, c}}), differs(list, at + 1)}));
        }
        parts.push_back(
            out_.sequence({out_.chars(without(plain, taken)), out_.repeat(out_.chars(plain), 0, unbounded, {})}));
        if (!complete) parts.push_back(out_.nothing());
        return out_.choice(std::move(parts));
    }

    /// Objects merged: their properties one after another.
    expression all_of(const json& s, const std::string& pointer) {
        const std::string here = schema_document::join(pointer, "allOf");
        const auto& list = doc_.list(s, "allOf", pointer);
        const bool alone = doc_.has_only(s, {"allOf"});
        if (alone && list.size() == 1) return inner(here, "0");
        std::vector<property> merged;
        std::map<std::string, const json*> known;  // the properties' schemas
        std::map<const json*, bool> taken;         // schemas; whether they are still being read
        std::set<std::string> required;
        const auto take = [&](const json& part, const std::string& at, const auto& self, std::size_t depth) -> void {
            const auto [visit, first] = taken.emplace(&part, true);
            if (depth > 32 || (!first && visit->second))
                refuse(at, "allOf and $ref are nested too deep, or in a circle");
            if (!first) return;  // nothing new
            if (!part.is_object()) refuse(at, "only schemas of objects can be merged by allOf");
            doc_.check_keywords(part, at);
            if (part.contains("$ref")) {
                doc_.only(part, at, "$ref", {});
                const auto target = doc_.target(part, at);
                self(doc_.at(target), target, self, depth + 1);
                visit->second = false;
                return;
            }
            doc_.only(part, at, "allOf", {"type", "properties", "required", "allOf"});
            if (part.contains("type") && part["type"] != "object")
                refuse(at, "only schemas of objects can be merged by allOf", "write one schema instead");
            const auto names = doc_.required(part, at);
            required.insert(names.begin(), names.end());
            if (part.contains("properties")) {
                const std::string place = schema_document::join(at, "properties");
                if (!part["properties"].is_object()) refuse(place, "must be an object");
                for (const auto& [name, value] : part["properties"].items()) {
                    const auto [other, made] = known.emplace(name, &value);
                    if (made)
                        merged.push_back({name, kept(schema_document::join(place, name)), false});
                    else if (*other->second != value)
                        refuse(schema_document::join(place, name), "allOf gives the same property two schemas",
                               "describe it once");
                }
            }
            if (part.contains("allOf")) {
                const auto& parts = doc_.list(part, "allOf", at);
                const auto place = schema_document::join(at, "allOf");
                for (std::size_t i = 0; i < parts.size(); ++i)
                    self(parts[i], schema_document::join(place, std::to_string(i)), self, depth + 1);
            }
            visit->second = false;
        };
        take(s, pointer, take, 0);
        for (auto& p : merged) p.required = required.erase(p.name) > 0;
        if (!required.empty()) refuse(here, "'" + *required.begin() + "' is required but not among the properties");
        return members(merged, merged.empty(), std::nullopt);
    }

    grammar_builder out_;
    json_rules json_;
    schema_document doc_;
    std::map<std::string, grammar_builder::rule_id> rules_;  // by pointer
    std::vector<std::pair<grammar_builder::rule_id, std::string>> waiting_;
    std::size_t pointers_ = 0;  // bytes of those kept so far
};

/// `name` opens error messages. @throws config_error "name#/pointer: what (fix)", format_error when it is no JSON.
[[nodiscard]] inline grammar grammar_from_json_schema(std::string_view schema, std::string name = "schema",
                                                      const grammar_limits& limits = {}) {
    return grammar(json_schema_reader(schema, std::move(name), limits).run());
}

/// Any JSON object.
[[nodiscard]] inline grammar grammar_of_json_objects(const grammar_limits& limits = {}) {
    return grammar_from_json_schema(R"({"type":"object"})", "schema", limits);
}

}  // namespace lab::sampling
