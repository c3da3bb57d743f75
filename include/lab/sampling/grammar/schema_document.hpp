// A JSON Schema as a document: places by JSON pointer (RFC 6901), references inside it, checked reading of keywords.
// What a schema means is json_schema.hpp's matter.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/formats/json.hpp"
#include "lab/sampling/grammar/builder.hpp"
#include "lab/sampling/grammar/json_text.hpp"

namespace lab::sampling {

class schema_document {
public:
    using json = formats::ordered_json;

    /// @throws format_error when the text is no JSON, config_error when it is too long.
    schema_document(std::string_view text, std::string name, const grammar_limits& limits) : name_(std::move(name)) {
        if (text.size() > limits.text)
            throw config_error(explain(name_, "has " + std::to_string(text.size()) + " bytes, at most " +
                                                  std::to_string(limits.text) + " are read"));
        root_ = formats::parse_json<json>(text, name_);
        note_inexact(text);
    }

    [[nodiscard]] std::string place(const std::string& pointer) const { return name_ + "#" + pointer; }
    [[noreturn]] void refuse(const std::string& pointer, std::string_view what, std::string_view fix = {}) const {
        throw config_error(explain(place(formats::escape(pointer, 300)), what, fix));
    }
    [[nodiscard]] static std::string join(const std::string& pointer, std::string_view key) {
        std::string out = pointer + "/";
        for (const char c : key) {
            if (c == '~')
                out += "~0";
            else if (c == '/')
                out += "~1";
            else
                out += c;
        }
        return out;
    }
    /// The value at a pointer. @throws config_error when there is none.
    [[nodiscard]] const json& at(const std::string& pointer) const {
        const json* here = &root_;
        for (std::size_t begin = 0; begin < pointer.size();) {
            const std::size_t end = std::min(pointer.find('/', begin + 1), pointer.size());
            std::string key;
            for (std::size_t i = begin + 1; i < end; ++i) {
                const bool escaped =
                    pointer[i] == '~' && i + 1 < end && (pointer[i + 1] == '0' || pointer[i + 1] == '1');
                key += !escaped ? pointer[i] : pointer[i + 1] == '0' ? '~' : '/';
                i += escaped ? 1 : 0;
            }
            const json* next = nullptr;
            if (here->is_object()) {
                if (const auto found = here->find(key); found != here->end()) next = &*found;
            } else if (here->is_array() && !key.empty() && key.size() < 8 &&
                       key.find_first_not_of("0123456789") == key.npos) {
                const auto index = static_cast<std::size_t>(std::stoul(key));
                if (index < here->size()) next = &(*here)[index];
            }
            if (next == nullptr) refuse(pointer, "there is nothing at this place", "mend the $ref that leads here");
            here = next;
            begin = end;
            if (here->is_object())
                if (const auto id = here->find("$id"); id != here->end() && id->is_string())
                    refuse_id(pointer.substr(0, end));
        }
        return *here;
    }
    /// Where a schema's $ref leads, as a pointer.
    [[nodiscard]] std::string target(const json& s, const std::string& pointer) const {
        const auto& ref = s["$ref"];
        if (!ref.is_string()) refuse(pointer + "/$ref", "must be a string");
        const auto& text = ref.get_ref<const std::string&>();
        if (text != "#" && !text.starts_with("#/"))
            refuse(pointer + "/$ref", "leads to " + formats::quote(text) + ", outside this document",
                   "copy that schema into $defs and write #/$defs/NAME");
        if (text.find('%') != text.npos)
            refuse(pointer + "/$ref", "percent signs are not supported", "rename the target");
        return text.substr(1);
    }

    /// @throws config_error for a keyword that is not understood.
    void check_keywords(const json& s, const std::string& pointer) const {
        static const std::set<std::string, std::less<>> known{"type",
                                                              "enum",
                                                              "const",
                                                              "anyOf",
                                                              "oneOf",
                                                              "allOf",
                                                              "$ref",
                                                              "minLength",
                                                              "maxLength",
                                                              "pattern",
                                                              "format",
                                                              "minimum",
                                                              "maximum",
                                                              "exclusiveMinimum",
                                                              "exclusiveMaximum",
                                                              "items",
                                                              "prefixItems",
                                                              "minItems",
                                                              "maxItems",
                                                              "properties",
                                                              "required",
                                                              "additionalProperties"};
        static const std::set<std::string, std::less<>> unsupported{"not",
                                                                    "if",
                                                                    "then",
                                                                    "else",
                                                                    "multipleOf",
                                                                    "uniqueItems",
                                                                    "contains",
                                                                    "minContains",
                                                                    "maxContains",
                                                                    "additionalItems",
                                                                    "patternProperties",
                                                                    "propertyNames",
                                                                    "minProperties",
                                                                    "maxProperties",
                                                                    "dependencies",
                                                                    "dependentRequired",
                                                                    "dependentSchemas",
                                                                    "unevaluatedItems",
                                                                    "unevaluatedProperties",
                                                                    "$dynamicRef",
                                                                    "$recursiveRef",
                                                                    "contentEncoding",
                                                                    "contentMediaType",
                                                                    "contentSchema"};
        for (const auto& [key, value] : s.items()) {
            if (key == "$id" && !pointer.empty()) refuse_id(pointer);
            if (known.contains(key) || is_annotation(key)) continue;
            if (key == "uniqueItems" && value == false) continue;
            refuse(join(pointer, key),
                   unsupported.contains(key) ? "this keyword is not supported" : "this keyword is not known",
                   "take it out, or say it with what is supported; docs/reference/sampling.md has the list");
        }
    }
    [[nodiscard]] bool has_only(const json& s, std::initializer_list<std::string_view> keys) const {
        for (const auto& [key, value] : s.items())
            if (!is_annotation(key) && std::find(keys.begin(), keys.end(), key) == keys.end()) return false;
        return true;
    }
    /// @throws config_error when there are keywords beside `main` and those allowed with it.
    void only(const json& s, const std::string& pointer, std::string_view main,
              std::initializer_list<std::string_view> beside) const {
        for (const auto& [key, value] : s.items())
            if (key != main && !is_annotation(key) && std::find(beside.begin(), beside.end(), key) == beside.end())
                refuse(join(pointer, key), "is not supported beside " + std::string(main),
                       "move it into the schemas there");
    }
    /// A keyword's value that must be a list of at least one.
    [[nodiscard]] const json& list(const json& s, const char* key, const std::string& pointer) const {
        const auto& value = s[key];
        if (!value.is_array() || value.empty()) refuse(join(pointer, key), "must be a list of one or more");
        if (value.size() > 1000) refuse(join(pointer, key), "has more than 1000 entries");
        return value;
    }

    /// The types that a schema names, or that its keywords speak of; empty: any.
    [[nodiscard]] std::vector<std::string> types(const json& s, const std::string& pointer) const {
        std::vector<std::string> out;
        if (s.contains("type")) {
            const auto& type = s["type"];
            const auto add = [&](const json& one) {
                static const std::set<std::string, std::less<>> names{"null",   "boolean", "string", "integer",
                                                                      "number", "array",   "object"};
                if (!one.is_string() || !names.contains(one.get_ref<const std::string&>()))
                    refuse(join(pointer, "type"), "is no type of JSON Schema",
                           "null, boolean, string, integer, number, array, object");
                const auto& text = one.get_ref<const std::string&>();
                if (std::find(out.begin(), out.end(), text) == out.end()) out.push_back(text);
            };
            if (!type.is_array()) {
                add(type);
            } else {
                for (const auto& one : list(s, "type", pointer)) add(one);
            }
            return out;
        }
        for (const auto& [key, value] : s.items())
            if (const auto type = std::string(type_of_keyword(key));
                !type.empty() && std::find(out.begin(), out.end(), type) == out.end())
                out.push_back(type);
        if (out.size() > 1) refuse(pointer, "its keywords speak of more than one type", "add type");
        return out;
    }
    /// @throws config_error for a keyword that says nothing about any of the types.
    void check_applies(const json& s, const std::string& pointer, const std::vector<std::string>& types) const {
        for (const auto& [key, value] : s.items()) {
            const auto type = type_of_keyword(key);
            const auto is = [&](std::string_view name) {
                return std::find(types.begin(), types.end(), name) != types.end();
            };
            if (!type.empty() && !is(type) && !(type == "number" && is("integer")))
                refuse(join(pointer, key), "says nothing about type " + types.front(), "take it out or mend the type");
        }
    }
    /// What const or enum list, without those that are not of the schema's type.
    [[nodiscard]] std::vector<const json*> values(const json& s, const std::string& pointer) const {
        std::vector<const json*> out;
        if (s.contains("const")) {
            out.push_back(&s["const"]);
        } else {
            for (const auto& value : list(s, "enum", pointer)) out.push_back(&value);
        }
        if (!s.contains("type")) return out;
        const auto wanted = types(s, pointer);
        std::erase_if(out, [&](const json* value) {
            return std::none_of(wanted.begin(), wanted.end(), [&](const std::string& t) { return is_a(*value, t); });
        });
        return out;
    }
    /// @throws config_error for a number in `value` whose text says another one than the double that was read from it.
    void require_exact(const json& value, const std::string& pointer) const {
        if (value.is_structured())
            for (const auto& item : value) require_exact(item, pointer);
        if (!value.is_number_float()) return;
        if (const auto found = inexact_.find(value.get<double>()); found != inexact_.end())
            refuse(pointer, "the number " + formats::escape(found->second, 60) + " cannot be kept exactly",
                   "round it to " + value.dump() + ", or make it a string");
    }
    /// Bounds of a length or count. @throws config_error when nothing lies between them.
    [[nodiscard]] std::pair<std::size_t, std::size_t> bounds(const json& s, const char* low, const char* high,
                                                             const std::string& pointer) const {
        const auto read = [&](const char* key, std::size_t otherwise) {
            if (!s.contains(key)) return otherwise;
            const auto& value = s[key];
            if (!value.is_number_unsigned()) refuse(join(pointer, key), "must be a whole number of 0 or more");
            return value.get<std::size_t>();
        };
        const std::size_t least = read(low, 0), most = read(high, grammar_builder::unbounded);
        if (least > most) refuse(join(pointer, low), "is above " + std::string(high));
        return {least, most};
    }
    /// Whole bounds of an integer or number, both included.
    [[nodiscard]] std::pair<std::optional<std::int64_t>, std::optional<std::int64_t>> range(const json& s,
                                                                                            const std::string& pointer,
                                                                                            bool integer) const {
        const auto read = [&](const char* key, bool upper, bool exclusive, std::optional<std::int64_t>& bound) {
            if (!s.contains(key)) return;
            const auto& value = s[key];
            const std::string here = join(pointer, key);
            if (!value.is_number()) refuse(here, "must be a number");
            constexpr std::int64_t most = largest_json_integer;
            bool whole = true;
            std::int64_t number = most + 1;  // for all that are greater
            if (value.is_number_unsigned()) {
                if (value.get<std::uint64_t>() <= std::uint64_t{most}) number = value.get<std::int64_t>();
            } else if (value.is_number_integer()) {
                number = std::max(value.get<std::int64_t>(), -most - 1);
            } else {
                const double exact = value.get<double>(), rounded = upper ? std::floor(exact) : std::ceil(exact);
                whole = rounded == exact;
                constexpr double beyond = 1e18;  // most + 1
                if (whole && std::abs(exact) < beyond) require_exact(value, here);
                number = static_cast<std::int64_t>(std::clamp(rounded, -beyond, beyond));
            }
            if (!integer && (exclusive || !whole))
                refuse(here, "bounds of a number must be whole and included", "use type integer, minimum or maximum");
            if (exclusive && whole) number += upper ? -1 : 1;
            if (upper ? number < -most : number > most) refuse(here, "lies beyond 18 digits", "widen it");
            if (upper ? number >= most : number <= -most) return;  // no bound beyond the one on digits
            if (!bound || (upper ? number < *bound : number > *bound)) bound = number;
        };
        std::optional<std::int64_t> low, high;
        read("minimum", false, false, low);
        read("exclusiveMinimum", false, true, low);
        read("maximum", true, false, high);
        read("exclusiveMaximum", true, true, high);
        return {low, high};
    }
    [[nodiscard]] std::set<std::string> required(const json& s, const std::string& pointer) const {
        std::set<std::string> out;
        if (!s.contains("required")) return out;
        if (!s["required"].is_array()) refuse(join(pointer, "required"), "must be a list of names");
        for (const auto& name : s["required"]) {
            if (!name.is_string()) refuse(join(pointer, "required"), "must be a list of names");
            out.insert(name.get<std::string>());
        }
        return out;
    }
    /// A whole pattern for the formats that are known. The 29th of February is left out.
    [[nodiscard]] std::string format_pattern(const json& format, const std::string& pointer) const {
        static const std::string date =
            "[1-9]\\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-"
            "8]))";
        static const std::string time =
            "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)";
        if (format == "date") return date;
        if (format == "time") return time;
        if (format == "date-time") return date + "T" + time;
        if (format == "uuid") return "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
        refuse(pointer, "this format is not supported", "date, time, date-time and uuid are; else write a pattern");
    }

    /// oneOf means exactly one. @throws config_error when two of the schemas are not plainly exclusive.
    void require_disjoint(const json& schemas, const std::string& pointer) const {
        std::vector<const json*> all;
        for (std::size_t i = 0; i < schemas.size(); ++i)
            all.push_back(&resolved(schemas[i], join(pointer, std::to_string(i))));
        std::size_t left = std::size_t{1} << 25;
        for (std::size_t i = 0; i < all.size(); ++i)
            for (std::size_t j = i + 1; j < all.size(); ++j) {
                if (disjoint(*all[i], *all[j], left)) continue;
                if (left == 0)
                    refuse(pointer, "is too large to tell whether its schemas exclude each other", "write anyOf");
                refuse(pointer,
                       "cannot tell that " + std::to_string(i) + " and " + std::to_string(j) + " exclude each other",
                       "write anyOf, give both a type, or both a required property with different const values");
            }
    }

private:
    /// Keeps the numbers of a valid JSON text that a double does not hold.
    void note_inexact(std::string_view text) {
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '"') {
                while (text[++i] != '"') i += text[i] == '\\' ? 1 : 0;
            } else if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9')) {
                const auto raw = text.substr(i, text.find_first_not_of("0123456789+-.eE", i) - i);
                i += raw.size() - 1;
                if (raw.size() <= 18 && raw.find_first_of(".eE") == raw.npos) continue;
                const auto value = json::parse(raw);
                if (value.is_number_float() && decimal(raw) != decimal(value.dump()))
                    inexact_.emplace(value.get<double>(), raw);
            }
        }
    }
    /// A number's text in the one form that all texts of this number share: sign, digits without zeros around,
    /// exponent.
    [[nodiscard]] static std::string decimal(std::string_view number) {
        const auto mark = std::min(number.find_first_of("eE"), number.size());
        std::int64_t exponent = 0;
        if (mark < number.size()) {
            const auto text = number.substr(mark + (number[mark + 1] == '+' ? 2 : 1));
            constexpr std::int64_t most = std::int64_t{1} << 40;
            if (std::from_chars(text.data(), text.data() + text.size(), exponent).ec != std::errc{})
                exponent = text.front() == '-' ? -most : most;
            exponent = std::clamp(exponent, -most, most);
        }
        std::string digits;
        bool fraction = false;
        for (const char c : number.substr(0, mark)) {
            if (c == '.') fraction = true;
            if (c < '0' || c > '9') continue;
            exponent -= fraction ? 1 : 0;
            if (c != '0' || !digits.empty()) digits += c;
        }
        for (; digits.ends_with('0'); ++exponent) digits.pop_back();
        if (digits.empty()) return "0";
        return (number.front() == '-' ? "-" : "") + digits + "e" + std::to_string(exponent);
    }
    [[noreturn]] void refuse_id(const std::string& pointer) const {
        refuse(join(pointer, "$id"), "inside a schema it changes what its references mean", "take it out");
    }
    [[nodiscard]] static bool is_annotation(std::string_view key) {
        static const std::set<std::string, std::less<>> names{"title",    "description", "default",  "examples",
                                                              "$schema",  "$id",         "$comment", "deprecated",
                                                              "readOnly", "writeOnly",   "$defs",    "definitions"};
        return names.contains(key);
    }
    [[nodiscard]] static std::string_view type_of_keyword(std::string_view key) {
        const auto one_of = [&](std::initializer_list<std::string_view> names) {
            return std::find(names.begin(), names.end(), key) != names.end();
        };
        if (one_of({"properties", "required", "additionalProperties"})) return "object";
        if (one_of({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"})) return "array";
        if (one_of({"minLength", "maxLength", "pattern", "format"})) return "string";
        if (one_of({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})) return "number";
        return {};
    }
    [[nodiscard]] static bool is_a(const json& value, std::string_view type) {
        if (type == "null") return value.is_null();
        if (type == "boolean") return value.is_boolean();
        if (type == "string") return value.is_string();
        if (type == "array") return value.is_array();
        if (type == "object") return value.is_object();
        if (type == "number") return value.is_number();
        return value.is_number_integer() ||
               (value.is_number_float() && value.get<double>() == std::floor(value.get<double>()));
    }
    [[nodiscard]] const json& resolved(const json& s, const std::string& pointer) const {
        const json* here = &s;
        for (int steps = 0; here->is_object() && here->contains("$ref"); ++steps) {
            if (steps > 32) refuse(pointer, "$ref leads in a circle");
            here = &at(target(*here, pointer));
        }
        return *here;
    }
    [[nodiscard]] static bool lists(const json& s) {
        return s.is_object() && (s.contains("const") || s.contains("enum"));
    }
    [[nodiscard]] static bool lists(const json& s, const json& value) {
        if (s.contains("const")) return s["const"] == value;
        return std::find(s["enum"].begin(), s["enum"].end(), value) != s["enum"].end();
    }
    /// How many values stand in a schema's keywords.
    [[nodiscard]] static std::size_t weight(const json& s) {
        std::size_t sum = 1;
        for (const auto& value : s) sum += value.size();
        return sum;
    }
    /// Whether no text generated for one is valid under the other; false too when `left` steps do not tell.
    [[nodiscard]] bool disjoint(const json& a, const json& b, std::size_t& left) const {
        if (!a.is_object() || !b.is_object()) return false;
        const bool both = lists(a) && lists(b);
        const std::size_t weight_a = weight(a), weight_b = weight(b);
        left -= std::min(left, both ? weight_a * weight_b : weight_a + weight_b);
        if (left == 0) return false;
        if (both) {
            if (a.contains("const")) return !lists(b, a["const"]);
            return a["enum"].is_array() &&
                   std::none_of(a["enum"].begin(), a["enum"].end(), [&](const json& v) { return lists(b, v); });
        }
        if (lists(a)) return disjoint(b, a, left);
        const auto own = types(a, "");
        if (own.empty()) return false;
        if (lists(b)) {
            if (!a.contains("type")) return false;  // then values of other types are valid, though not generated
            const auto listed = values(b, "");
            return std::none_of(listed.begin(), listed.end(), [&](const json* v) {
                return std::any_of(own.begin(), own.end(), [&](const std::string& t) { return is_a(*v, t); });
            });
        }
        const auto other = types(b, "");
        const auto kind = [](const std::string& t) { return t == "integer" ? std::string("number") : t; };
        bool shared = other.empty();
        for (const auto& x : own)
            for (const auto& y : other) shared = shared || kind(x) == kind(y);
        if (!shared && a.contains("type") && b.contains("type")) return true;
        if (own != other || own.size() != 1 || own[0] != "object" || !a.contains("properties") ||
            !b.contains("properties"))
            return false;
        const auto needs_a = required(a, ""), needs_b = required(b, "");
        for (const auto& name : needs_a) {
            left -= std::min(left, a["properties"].size() + b["properties"].size());
            if (left == 0) return false;
            if (!needs_b.contains(name) || !a["properties"].contains(name) || !b["properties"].contains(name)) continue;
            const auto &x = a["properties"][name], &y = b["properties"][name];
            if (lists(x) && lists(y) && disjoint(x, y, left)) return true;
        }
        return false;
    }

    std::string name_;
    json root_;
    std::map<double, std::string> inexact_;  // numbers whose text says more than the double, and that text
};

}  // namespace lab::sampling
