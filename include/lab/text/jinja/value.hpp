// Values of the template language: Python's None, bool, int, float, str, list, dict, as far as chat templates use them,
// and Jinja's undefined, namespaces and callables. Lists, dicts and strings are shared and never change once made
// (templates run in an immutable sandbox); only namespaces do. Depth is bounded when a value is made, so recursion over
// values is too.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lab/core/error.hpp"

namespace lab::text::jinja {

class value;
struct namespace_data;
struct callable_data;

using list_data = std::vector<value>;

/// Ordered, with string keys, as JSON objects are.
struct dict_data {
    std::vector<std::pair<std::string, value>> entries;
    [[nodiscard]] const value* find(std::string_view key) const;
    void set(std::string key, value v);
};

inline constexpr std::size_t max_value_depth = 300;

class value {
public:
    struct undefined_type {
        std::string name;  // of the variable or attribute that was not there
        bool harmless;     // not an error where the run is strict either
    };
    /// What a list is in Python: the difference shows in its printed form, and a generator is always true.
    enum class sequence : std::uint8_t { list, tuple, generator };
    struct shared_list {
        std::shared_ptr<const list_data> items;
        std::size_t depth = 1;
        sequence kind = sequence::list;
    };
    struct shared_dict {
        std::shared_ptr<const dict_data> items;
        std::size_t depth = 1;
    };

    value() : data_(undefined_type{std::string(), false}) {}
    value(std::nullptr_t) : data_(nullptr) {}
    value(bool b) : data_(b) {}
    value(std::int64_t i) : data_(i) {}
    value(int i) : data_(std::int64_t{i}) {}
    value(std::size_t n) : data_(static_cast<std::int64_t>(n)) {}
    value(double d) : data_(d) {}
    value(std::string s) : data_(std::make_shared<const std::string>(std::move(s))) {}
    value(std::string_view s) : value(std::string(s)) {}
    value(const char* s) : value(std::string(s)) {}
    value(list_data items, sequence kind = sequence::list);
    value(dict_data items);
    value(namespace_data* n) : data_(n) {}
    value(const callable_data* c) : data_(c) {}
    static value undefined(std::string name) {
        value v;
        v.data_ = undefined_type{std::move(name), false};
        return v;
    }

    /// Undefined as jinja2 has it also in strict environments.
    static value nothing(std::string name) {
        value v;
        v.data_ = undefined_type{std::move(name), true};
        return v;
    }

    [[nodiscard]] bool is_harmless() const { return is_undefined() && std::get<undefined_type>(data_).harmless; }
    [[nodiscard]] bool is_undefined() const { return std::holds_alternative<undefined_type>(data_); }
    [[nodiscard]] bool is_none() const { return std::holds_alternative<std::nullptr_t>(data_); }
    [[nodiscard]] bool is_bool() const { return std::holds_alternative<bool>(data_); }
    [[nodiscard]] bool is_integer() const { return std::holds_alternative<std::int64_t>(data_); }
    [[nodiscard]] bool is_float() const { return std::holds_alternative<double>(data_); }
    [[nodiscard]] bool is_number() const { return is_bool() || is_integer() || is_float(); }
    [[nodiscard]] bool is_string() const { return std::holds_alternative<std::shared_ptr<const std::string>>(data_); }
    [[nodiscard]] bool is_list() const { return std::holds_alternative<shared_list>(data_); }
    [[nodiscard]] bool is_dict() const { return std::holds_alternative<shared_dict>(data_); }
    [[nodiscard]] bool is_namespace() const { return std::holds_alternative<namespace_data*>(data_); }
    [[nodiscard]] bool is_callable() const { return std::holds_alternative<const callable_data*>(data_); }
    [[nodiscard]] bool is_iterable() const { return is_string() || is_list() || is_dict() || is_undefined(); }

    // Each only for its own kind.
    [[nodiscard]] const std::string& undefined_name() const { return std::get<undefined_type>(data_).name; }
    [[nodiscard]] bool boolean() const { return std::get<bool>(data_); }
    [[nodiscard]] const std::string& string() const { return *std::get<std::shared_ptr<const std::string>>(data_); }
    [[nodiscard]] const list_data& list() const { return *std::get<shared_list>(data_).items; }
    [[nodiscard]] bool is_tuple() const { return is_list() && std::get<shared_list>(data_).kind == sequence::tuple; }
    [[nodiscard]] bool is_generator() const {
        return is_list() && std::get<shared_list>(data_).kind == sequence::generator;
    }
    [[nodiscard]] const dict_data& dict() const { return *std::get<shared_dict>(data_).items; }
    [[nodiscard]] namespace_data* names() const { return std::get<namespace_data*>(data_); }
    [[nodiscard]] const callable_data* callable() const { return std::get<const callable_data*>(data_); }
    /// Of an integer or a bool, as in Python.
    [[nodiscard]] std::int64_t integer() const {
        return is_bool() ? std::int64_t{boolean()} : std::get<std::int64_t>(data_);
    }
    /// Of any number.
    [[nodiscard]] double number() const {
        return is_float() ? std::get<double>(data_) : static_cast<double>(integer());
    }

    /// Python's truth of a value.
    [[nodiscard]] bool truth() const {
        if (is_undefined() || is_none()) return false;
        if (is_bool()) return boolean();
        if (is_integer()) return integer() != 0;
        if (is_float()) return number() != 0.0;
        if (is_string()) return !string().empty();
        if (is_list()) return is_generator() || !list().empty();
        if (is_dict()) return !dict().entries.empty();
        return true;
    }
    [[nodiscard]] std::size_t depth() const {
        if (const auto* l = std::get_if<shared_list>(&data_)) return l->depth;
        if (const auto* d = std::get_if<shared_dict>(&data_)) return d->depth;
        return 0;
    }
    /// For messages: "str", "list" ...
    [[nodiscard]] const char* type_name() const {
        constexpr const char* names[] = {"undefined", "NoneType", "bool", "int",       "float",
                                         "str",       "list",     "dict", "namespace", "function"};
        return names[data_.index()];
    }

private:
    std::variant<undefined_type, std::nullptr_t, bool, std::int64_t, double, std::shared_ptr<const std::string>,
                 shared_list, shared_dict, namespace_data*, const callable_data*>
        data_;
};

/// What namespace(...) makes: the only thing that templates can change. Owned by the run that made it.
struct namespace_data {
    dict_data names{};
    bool is_loop = false;  // the loop variable: templates cannot change it, and it has the methods cycle and changed
    std::size_t loop_index = 0;
    value last_seen{};  // what loop.changed(...) was last called with
    bool has_seen = false;
};

inline const value* dict_data::find(std::string_view key) const {
    for (const auto& [name, v] : entries)
        if (name == key) return &v;
    return nullptr;
}

inline void dict_data::set(std::string key, value v) {
    for (auto& [name, old] : entries)
        if (name == key) {
            old = std::move(v);
            return;
        }
    entries.emplace_back(std::move(key), std::move(v));
}

namespace detail {
inline std::size_t deeper(std::size_t depth, const value& v) { return std::max(depth, v.depth() + 1); }
inline std::size_t checked_depth(std::size_t depth) {
    if (depth > max_value_depth)
        throw format_error("template value: nested deeper than " + std::to_string(max_value_depth));
    return depth;
}
}  // namespace detail

inline value::value(list_data items, sequence kind) {
    std::size_t depth = 1;
    for (const auto& v : items) depth = detail::deeper(depth, v);
    data_ = shared_list{std::make_shared<const list_data>(std::move(items)), detail::checked_depth(depth), kind};
}

inline value::value(dict_data items) {
    std::size_t depth = 1;
    for (const auto& [name, v] : items.entries) depth = detail::deeper(depth, v);
    data_ = shared_dict{std::make_shared<const dict_data>(std::move(items)), detail::checked_depth(depth)};
}

/// Python's ==. Numbers compare by value, lists and dicts by content.
[[nodiscard]] inline bool equal(const value& a, const value& b) {
    if (a.is_number() && b.is_number())
        return a.is_float() || b.is_float() ? a.number() == b.number() : a.integer() == b.integer();
    if (a.is_string() && b.is_string()) return a.string() == b.string();
    if (a.is_list() && b.is_list())
        return a.is_tuple() == b.is_tuple() &&
               std::equal(a.list().begin(), a.list().end(), b.list().begin(), b.list().end(), equal);
    if (a.is_dict() && b.is_dict()) {
        if (a.dict().entries.size() != b.dict().entries.size()) return false;
        return std::all_of(a.dict().entries.begin(), a.dict().entries.end(), [&](const auto& entry) {
            const value* other = b.dict().find(entry.first);
            return other != nullptr && equal(entry.second, *other);
        });
    }
    if (a.is_namespace() && b.is_namespace()) return a.names() == b.names();
    if (a.is_callable() && b.is_callable()) return a.callable() == b.callable();
    return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

}  // namespace lab::text::jinja
