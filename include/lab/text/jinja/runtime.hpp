// What a run of a template may use up, and what lives as long as the run: namespaces, bound methods, macros.
#pragma once

#include <cstddef>
#include <deque>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "lab/text/jinja/lexer.hpp"
#include "lab/text/jinja/options.hpp"
#include "lab/text/jinja/value.hpp"

namespace lab::text::jinja {

struct arguments {
    std::vector<value> positional{};
    std::vector<std::pair<std::string, value>> named{};
};

struct stmt;
struct scope;

struct callable_data {
    enum class kind : unsigned char { global, method, macro };
    kind what = kind::global;
    std::string name{};
    value self{};                // of a method
    const stmt* body = nullptr;  // of a macro or call block
    scope* closure = nullptr;    // where the macro was defined
};

/// Counters and owners of one run. Every operation that makes something pays here first.
class runtime {
public:
    explicit runtime(const jinja_options& options) : options_(options) {}
    runtime(const runtime&) = delete;
    runtime& operator=(const runtime&) = delete;

    std::size_t line = 1;  // of the expression being evaluated, for messages

    [[noreturn]] void fail(const std::string& what) const { fail_at(line, what); }
    void step(std::size_t n = 1) {
        if (n > options_.limits.steps - steps_)
            fail("the template takes too many steps (limit " + std::to_string(options_.limits.steps) + ")");
        steps_ += n;
    }
    void charge(std::size_t n) {
        if (n > options_.limits.bytes - bytes_)
            fail("the template makes too much text (limit " + std::to_string(options_.limits.bytes) + " bytes)");
        bytes_ += n;
    }
    value text(std::string s) {
        charge(s.size());
        return value(std::move(s));
    }
    value list(list_data items, value::sequence kind = value::sequence::list) {
        step(items.size());
        return value(std::move(items), kind);
    }
    namespace_data* make_namespace() {
        step();
        return &namespaces_.emplace_back();
    }
    const callable_data* make_callable(callable_data c) {
        step();
        return &callables_.emplace_back(std::move(c));
    }
    [[nodiscard]] const jinja_options& options() const { return options_; }

    struct deeper {
        explicit deeper(runtime& r) : owner(r) {
            if (++owner.depth_ > owner.options_.limits.depth)
                owner.fail("the template is nested or calls itself too deeply");
        }
        deeper(const deeper&) = delete;
        deeper& operator=(const deeper&) = delete;
        ~deeper() { --owner.depth_; }
        runtime& owner;
    };

private:
    jinja_options options_;
    std::size_t steps_ = 0, bytes_ = 0, depth_ = 0;
    std::deque<namespace_data> namespaces_;
    std::deque<callable_data> callables_;
};

inline void require_defined(const runtime& rt, const value& v) {
    if (v.is_undefined())
        rt.fail(v.undefined_name().empty() ? "a value is undefined" : "\"" + v.undefined_name() + "\" is undefined");
}
/// Only where the run is strict.
inline void strictly_defined(const runtime& rt, const value& v) {
    if (rt.options().strict_undefined && !v.is_harmless()) require_defined(rt, v);
}

/// Takes arguments by position or name, as a Python function with these parameters would.
class bound {
public:
    bound(const runtime& rt, const char* function, const arguments& args, std::initializer_list<const char*> names)
        : values_(names.size()) {
        if (args.positional.size() > names.size())
            rt.fail(std::string(function) + " takes at most " + std::to_string(names.size()) + " arguments");
        for (std::size_t i = 0; i < args.positional.size(); ++i) values_[i] = &args.positional[i];
        for (const auto& [name, v] : args.named) {
            std::size_t i = 0;
            while (i < names.size() && name != names.begin()[i]) ++i;
            if (i == names.size()) rt.fail(std::string(function) + " has no argument \"" + name + "\"");
            values_[i] = &v;
        }
    }
    [[nodiscard]] bool has(std::size_t i) const { return values_[i] != nullptr && !values_[i]->is_none(); }
    [[nodiscard]] value get(std::size_t i, const value& otherwise = nullptr) const {
        return values_[i] != nullptr ? *values_[i] : otherwise;
    }
    [[nodiscard]] bool truth(std::size_t i, bool otherwise = false) const {
        return values_[i] != nullptr ? values_[i]->truth() : otherwise;
    }
    [[nodiscard]] std::int64_t integer(const runtime& rt, std::size_t i, std::int64_t otherwise) const {
        if (values_[i] == nullptr) return otherwise;
        if (!values_[i]->is_integer() && !values_[i]->is_bool())
            rt.fail("expected a whole number, found " + std::string(values_[i]->type_name()));
        return values_[i]->integer();
    }
    [[nodiscard]] const std::string& string(const runtime& rt, std::size_t i) const {
        if (values_[i] == nullptr) rt.fail("an argument is missing");
        if (!values_[i]->is_string()) rt.fail("expected a string, found " + std::string(values_[i]->type_name()));
        return values_[i]->string();
    }

private:
    std::vector<const value*> values_;
};

}  // namespace lab::text::jinja
