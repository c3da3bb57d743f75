// JSON (RFC 8259) through nlohmann-json, read strictly: well-formed UTF-8, no duplicate keys, at most 256 levels,
// nothing after the value. Errors name the place, line and column; the typed getters name the field.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/formats/text_bytes.hpp"

#ifdef LAB_COMPILED
extern template class nlohmann::basic_json<>;
extern template class nlohmann::detail::serializer<nlohmann::json>;
#endif

namespace lab::formats {

using json = nlohmann::json;
using ordered_json = nlohmann::ordered_json;  // keeps the order of an object's members

inline constexpr std::size_t json_depth_limit = 256;
inline constexpr std::size_t ordered_member_limit = 4096;  // of one object: ordered_json looks through all for a name

namespace json_detail {

/// Builds the value and refuses what nlohmann's own builder lets pass.
template <class Json>
class strict_builder {
public:
    strict_builder(std::string_view text, std::string_view place, const std::size_t& position)
        : text_(text), place_(place), position_(position) {}

    bool null() { return add(nullptr); }
    bool boolean(bool value) { return add(value); }
    bool number_integer(typename Json::number_integer_t value) { return add(value); }
    bool number_unsigned(typename Json::number_unsigned_t value) { return add(value); }
    bool number_float(typename Json::number_float_t value, const std::string&) { return add(value); }
    bool string(std::string& value) { return add(std::move(value)); }
    bool binary(typename Json::binary_t&) { return fail(position_, "binary values are not JSON"), false; }
    bool start_object(std::size_t) { return open(Json::object()); }
    bool start_array(std::size_t) { return open(Json::array()); }
    bool end_object() { return close(); }
    bool end_array() { return close(); }
    bool key(std::string& name) {
        if constexpr (!std::is_same_v<Json, json>)
            if (stack_.back()->size() >= ordered_member_limit)
                fail(position_, "an object with more than " + std::to_string(ordered_member_limit) + " members");
        auto [slot, fresh] =
            stack_.back()->template get_ref<typename Json::object_t&>().emplace(std::move(name), nullptr);
        if (!fresh) fail(position_, "duplicate key " + quote(slot->first));
        slot_ = &slot->second;
        return true;
    }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& fault) {
        std::string_view what = fault.what();
        what = what.substr(what.find("] ") + 2);  // "[json.exception...] parse error at line 1, column 2: what"
        if (const auto start = what.find("column "); start != what.npos) what = what.substr(what.find(": ", start) + 2);
        return fail(position, escape(what, 160)), false;
    }
    /// @param position bytes read so far, as the lexer counts: the offending byte is the last of them.
    [[noreturn]] void fail(std::size_t position, std::string_view what) const {
        std::size_t line = 1, column = 0;
        for (std::size_t i = 0; i < std::min(position, text_.size()); ++i) {
            ++column;
            if (text_[i] == '\n' && i + 1 < position) ++line, column = 0;
        }
        throw format_error(
            explain(std::string(place_) + ":" + std::to_string(line) + ":" + std::to_string(column), what));
    }
    Json take() { return std::move(root_); }

private:
    template <class V>
    bool add(V&& value) {
        place_value(Json(std::forward<V>(value)));
        return true;
    }
    bool open(Json container) {
        if (stack_.size() >= json_depth_limit)
            fail(position_, "nested deeper than " + std::to_string(json_depth_limit) + " levels");
        stack_.push_back(place_value(std::move(container)));
        return true;
    }
    bool close() {
        stack_.pop_back();
        return true;
    }
    Json* place_value(Json value) {
        if (stack_.empty()) return &(root_ = std::move(value));
        if (stack_.back()->is_object()) return &(*slot_ = std::move(value));
        return &stack_.back()->template get_ref<typename Json::array_t&>().emplace_back(std::move(value));
    }

    std::string_view text_, place_;
    const std::size_t& position_;
    Json root_;
    Json* slot_ = nullptr;
    std::vector<Json*> stack_;
};

/// Feeds the lexer and counts what it has read, so that every fault has a position.
struct counting_iterator {
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;
    const char* at;
    std::size_t* count;
    reference operator*() const { return *at; }
    counting_iterator& operator++() {
        ++at, ++*count;
        return *this;
    }
    counting_iterator operator++(int) {
        auto old = *this;
        ++*this;
        return old;
    }
    friend bool operator==(const counting_iterator& a, const counting_iterator& b) { return a.at == b.at; }
    friend bool operator!=(const counting_iterator& a, const counting_iterator& b) { return a.at != b.at; }
};

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;

}  // namespace json_detail

namespace json_detail {

template <class Json>
[[nodiscard]] Json parse(std::string_view text, std::string_view place) {
    std::size_t position = 0;
    strict_builder<Json> builder(text, place, position);
    // A NUL would end the value for the lexer and hide what follows.
    if (const auto nul = text.find('\0'); nul != text.npos) builder.fail(nul + 1, "NUL byte in JSON text");
    (void)Json::sax_parse(counting_iterator{text.data(), &position},
                          counting_iterator{text.data() + text.size(), &position}, &builder);
    return builder.take();
}
template <class Json>
[[nodiscard]] std::optional<Json> try_parse(std::string_view text) {
    auto value = Json::parse(text, nullptr, false);
    return value.is_discarded() ? std::nullopt : std::optional(std::move(value));
}
[[nodiscard]] inline std::string print(const json& value, int indent) {
    try {
        return value.dump(indent);
    } catch (const json::exception& fault) {
        throw format_error(explain("JSON output", fault.what()));
    }
}

}  // namespace json_detail

/// The one value in `text`; `place` (a file, "request body") opens every message.
/// @throws format_error "place:line:column: what".
template <class Json = json>
[[nodiscard]] Json parse_json(std::string_view text, std::string_view place) {
    return json_detail::parse<Json>(text, place);
}
#ifdef LAB_COMPILED  // lab::compiled has these
template <>
json parse_json<json>(std::string_view text, std::string_view place);
/// The value in a text that may be anything, such as a model's answer; nothing where it is no JSON. Of members with one
/// name the last counts.
[[nodiscard]] std::optional<json> try_parse_json(std::string_view text);
/// `value` as text. @throws format_error when a string in it is not UTF-8.
[[nodiscard]] std::string to_text(const json& value, int indent = -1);
#else
[[nodiscard]] inline std::optional<json> try_parse_json(std::string_view text) {
    return json_detail::try_parse<json>(text);
}
[[nodiscard]] inline std::string to_text(const json& value, int indent = -1) {
    return json_detail::print(value, indent);
}
#endif

namespace json_detail {

[[noreturn]] inline void refuse(const json& value, std::string_view where, std::string_view expected) {
    std::string found =
        value.is_string() ? quote(value.get_ref<const std::string&>(), 40) : std::string(value.type_name());
    if (value.is_number()) found = value.dump();
    throw format_error(explain(where, "expected " + std::string(expected) + ", found " + found));
}
/// @throws format_error where `value` is no whole number of [lowest, highest]
inline void expect_integer(const json& value, std::int64_t lowest, std::uint64_t highest, std::string_view where) {
    const auto fits = [&] {
        if (value.is_number_unsigned()) return value.get<std::uint64_t>() <= highest;
        return value.is_number_integer() && value.get<std::int64_t>() >= lowest &&
               std::cmp_less_equal(value.get<std::int64_t>(), highest);
    };
    if (!fits())
        refuse(value, where, "a whole number from " + std::to_string(lowest) + " to " + std::to_string(highest));
}

}  // namespace json_detail

/// `value` as a T: bool, an integer (range-checked), a finite float, std::string, json or a vector of those.
/// @throws format_error "where: expected ..., found ...".
template <class T>
[[nodiscard]] T value_as(const json& value, std::string_view where) {
    if constexpr (std::is_same_v<T, json>) {
        return value;
    } else if constexpr (std::is_same_v<T, bool>) {
        if (!value.is_boolean()) json_detail::refuse(value, where, "true or false");
        return value.get<bool>();
    } else if constexpr (std::integral<T>) {
        json_detail::expect_integer(value, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), where);
        return value.get<T>();
    } else if constexpr (std::floating_point<T>) {
        if (!value.is_number()) json_detail::refuse(value, where, "a number");
        const double number = value.get<double>();
        if (!std::isfinite(static_cast<T>(number))) json_detail::refuse(value, where, "a finite number");
        return static_cast<T>(number);
    } else if constexpr (std::is_same_v<T, std::string>) {
        if (!value.is_string()) json_detail::refuse(value, where, "a string");
        return value.get<std::string>();
    } else {
        static_assert(json_detail::is_vector<T>,
                      "value_as: bool, integer, float, std::string, json or a vector of them");
        if (!value.is_array()) json_detail::refuse(value, where, "an array");
        T items;
        items.reserve(value.size());
        for (const json& item : value)
            items.push_back(
                value_as<typename T::value_type>(item, std::string(where) + "[" + std::to_string(items.size()) + "]"));
        return items;
    }
}

/// "place: field 'key'"
[[nodiscard]] inline std::string field_place(std::string_view key, std::string_view place) {
    return std::string(place) + ": field '" + std::string(key) + "'";
}
/// Field `key` of `object`; nullptr where it is absent or null. @throws format_error where `object` is no object
[[nodiscard]] inline const json* find_field(const json& object, std::string_view key, std::string_view place) {
    if (!object.is_object())
        throw format_error(explain(place, "expected an object, found " + std::string(object.type_name())));
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

/// Field `key` of `object`, or nothing where it is absent or null. @throws format_error naming place and field.
template <class T>
[[nodiscard]] std::optional<T> optional_field(const json& object, std::string_view key, std::string_view place) {
    const json* found = find_field(object, key, place);
    if (found == nullptr) return std::nullopt;
    return value_as<T>(*found, field_place(key, place));
}

/// Field `key` of `object`. @throws format_error naming place and field, also where it is absent.
template <class T>
[[nodiscard]] T field(const json& object, std::string_view key, std::string_view place) {
    auto value = optional_field<T>(object, key, place);
    if (!value) throw format_error(explain(place, "field '" + std::string(key) + "' is missing"));
    return *std::move(value);
}

/// Field `key` of `object`, or `fallback` where it is absent or null.
template <class T>
[[nodiscard]] T field_or(const json& object, std::string_view key, T fallback, std::string_view place) {
    auto value = optional_field<T>(object, key, place);
    return value ? *std::move(value) : std::move(fallback);
}

}  // namespace lab::formats
