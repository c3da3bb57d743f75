// Walks the tree of a template. Scopes follow jinja2: a loop's body, a macro, a call, filter or set block and "with"
// have their own; what is set inside does not leave them (namespaces are the way out); "if" has none.
#pragma once

#include <cstddef>
#include <ctime>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/text/jinja/ast.hpp"
#include "lab/text/jinja/filters.hpp"

namespace lab::text::jinja {

struct scope {
    scope* parent = nullptr;
    std::vector<std::pair<std::string, value>> names{};
    bool captured = false;  // a macro was defined in it or below: it must outlive its block

    void set(const std::string& name, value v) {
        for (auto& [key, old] : names)
            if (key == name) {
                old = std::move(v);
                return;
            }
        names.emplace_back(name, std::move(v));
    }
};

class interpreter {
public:
    interpreter(const value& context, const jinja_options& options) : rt_(options), context_(context) {}

    [[nodiscard]] std::string run(const block& program) {
        const scope_guard top(*this, nullptr);
        (void)execute(program, top.here);
        return std::move(main_output_);
    }

private:
    enum class flow : unsigned char { normal, leave_loop, next_item };

    struct scope_guard {
        scope_guard(interpreter& i, scope* parent) : owner(i), here(i.open_scope(parent)) {}
        scope_guard(const scope_guard&) = delete;
        scope_guard& operator=(const scope_guard&) = delete;
        ~scope_guard() {
            if (here.captured) return;
            here.names.clear();
            owner.free_scopes_.push_back(&here);
        }
        interpreter& owner;
        scope& here;
    };
    scope& open_scope(scope* parent) {
        rt_.step();
        scope* s = nullptr;
        if (!free_scopes_.empty()) {
            s = free_scopes_.back();
            free_scopes_.pop_back();
        } else {
            s = &scopes_.emplace_back();
            free_scopes_.reserve(scopes_.size());  // so that returning a scope cannot throw
        }
        s->parent = parent;
        return *s;
    }
    /// Runs f with the output going to a string of its own.
    template <class F>
    value captured(F f) {
        struct restore {
            std::string*& place;
            std::string* old;
            ~restore() { place = old; }
        };
        std::string text;
        {
            const restore back{out_, out_};
            out_ = &text;
            f();
        }
        return value(std::move(text));
    }
    void print(std::string_view text) {
        rt_.charge(text.size());
        out_->append(text);
    }

    // --- statements
    flow execute(const block& statements, scope& here) {
        const runtime::deeper guard(rt_);
        for (const stmt& s : statements) {
            rt_.line = s.line;
            rt_.step();
            if (const flow f = execute_one(s, here); f != flow::normal) return f;
        }
        return flow::normal;
    }
    flow execute_one(const stmt& s, scope& here) {
        switch (s.kind) {
            case stmt_kind::text:
                print(s.text);
                break;
            case stmt_kind::print:
                print(to_text(rt_, eval(*s.exprs[0], here)));
                break;
            case stmt_kind::if_else:
                for (std::size_t i = 0; i < s.bodies.size(); ++i)
                    if (i == s.exprs.size() || holds(*s.exprs[i], here)) return execute(s.bodies[i], here);
                break;
            case stmt_kind::for_loop:
                return run_loop(s, here);
            case stmt_kind::set:
                assign(s, here);
                break;
            case stmt_kind::set_block: {
                value text = captured_body(s, here);
                if (s.exprs[0]) text = filter_chain(*s.exprs[0], here, text);
                here.set(s.names[0], std::move(text));
                break;
            }
            case stmt_kind::filter_block: {
                const value text = captured_body(s, here);
                print(to_text(rt_, filter_chain(*s.exprs[0], here, text)));
                break;
            }
            case stmt_kind::macro:
                here.set(s.text, value(define(s, here)));
                break;
            case stmt_kind::call_block:
                call_with_block(s, here);
                break;
            case stmt_kind::scope: {
                const scope_guard inner(*this, &here);
                for (std::size_t i = 0; i < s.names.size(); ++i) inner.here.set(s.names[i], eval(*s.exprs[i], here));
                return execute(s.bodies[0], inner.here);
            }
            case stmt_kind::break_loop:
                return flow::leave_loop;
            case stmt_kind::continue_loop:
                return flow::next_item;
        }
        return flow::normal;
    }
    value captured_body(const stmt& s, scope& here) {
        const scope_guard inner(*this, &here);
        return captured([&] { (void)execute(s.bodies[0], inner.here); });
    }
    void assign(const stmt& s, scope& here) {
        value v = eval(*s.exprs[0], here);
        if (s.text.empty()) return unpack(s.names, v, here);
        const value target = look_up(s.names[0], here);
        if (!target.is_namespace() || target.names()->is_loop) rt_.fail("only attributes of a namespace can be set");
        rt_.step(1 + target.names()->names.entries.size() / 8);
        target.names()->names.set(s.text, std::move(v));
    }
    void unpack(const std::vector<std::string>& names, const value& v, scope& here) {
        if (names.size() == 1) return here.set(names[0], v);
        const list_data items = items_of(rt_, v);
        if (items.size() != names.size())
            rt_.fail("cannot unpack " + std::to_string(items.size()) + " values into " + std::to_string(names.size()) +
                     " names");
        for (std::size_t i = 0; i < names.size(); ++i) here.set(names[i], items[i]);
    }
    flow run_loop(const stmt& s, scope& here) {
        list_data items = items_of(rt_, eval(*s.exprs[0], here));
        if (s.exprs[1]) {
            list_data kept;
            for (const auto& v : items) {
                const scope_guard inner(*this, &here);
                unpack(s.names, v, inner.here);
                if (holds(*s.exprs[1], inner.here)) kept.push_back(v);
            }
            items = std::move(kept);
        }
        if (items.empty()) return s.bodies.size() > 1 ? execute(s.bodies[1], here) : flow::normal;
        namespace_data* loop = rt_.make_namespace();
        loop->is_loop = true;
        for (std::size_t i = 0; i < items.size(); ++i) {
            loop->loop_index = i;
            loop->names.entries = {{"index", i + 1},
                                   {"index0", i},
                                   {"first", i == 0},
                                   {"last", i + 1 == items.size()},
                                   {"length", items.size()},
                                   {"revindex", items.size() - i},
                                   {"revindex0", items.size() - i - 1},
                                   {"previtem", i > 0 ? items[i - 1] : value::undefined("previtem")},
                                   {"nextitem", i + 1 < items.size() ? items[i + 1] : value::undefined("nextitem")},
                                   {"depth", 1},
                                   {"depth0", 0}};
            const scope_guard inner(*this, &here);
            inner.here.set("loop", value(loop));
            unpack(s.names, items[i], inner.here);
            if (execute(s.bodies[0], inner.here) == flow::leave_loop) break;
        }
        return flow::normal;
    }

    // --- macros
    const callable_data* define(const stmt& s, scope& here) {
        for (scope* p = &here; p != nullptr && !p->captured; p = p->parent) p->captured = true;
        return rt_.make_callable({.what = callable_data::kind::macro, .name = s.text, .body = &s, .closure = &here});
    }
    value call_macro(const callable_data& macro, const arguments& args) {
        const runtime::deeper guard(rt_);
        const stmt& s = *macro.body;
        const std::size_t skipped = s.kind == stmt_kind::call_block ? 1 : 0;  // exprs[0] is the call itself
        const std::size_t defaults = s.exprs.size() - skipped;
        const scope_guard inner(*this, macro.closure);
        if (args.positional.size() > s.names.size())
            rt_.fail("macro \"" + macro.name + "\" takes at most " + std::to_string(s.names.size()) + " arguments");
        std::vector<bool> given(s.names.size());
        for (std::size_t i = 0; i < args.positional.size(); ++i) {
            inner.here.set(s.names[i], args.positional[i]);
            given[i] = true;
        }
        for (const auto& [name, v] : args.named) {
            const auto i = static_cast<std::size_t>(std::find(s.names.begin(), s.names.end(), name) - s.names.begin());
            if (i == s.names.size() && name != "caller")
                rt_.fail("macro \"" + macro.name + "\" has no parameter \"" + name + "\"");
            if (i < s.names.size()) given[i] = true;
            inner.here.set(name, v);
        }
        for (std::size_t i = 0; i < s.names.size(); ++i) {
            if (given[i]) continue;
            const bool has_default = i + defaults >= s.names.size();
            inner.here.set(s.names[i], has_default ? eval(*s.exprs[skipped + i + defaults - s.names.size()], inner.here)
                                                   : value::undefined(s.names[i]));
        }
        return captured([&] { (void)execute(s.bodies[0], inner.here); });
    }
    void call_with_block(const stmt& s, scope& here) {
        const expr& call = *s.exprs[0];
        arguments args = eval_arguments(call, here);
        args.named.emplace_back("caller", value(define(s, here)));
        print(to_text(rt_, call_value(eval(*call.args[0], here), args)));
    }

    // --- expressions
    value look_up(const std::string& name, const scope& here) {
        for (const scope* s = &here; s != nullptr; s = s->parent)
            for (const auto& [key, v] : s->names)
                if (key == name) return v;
        if (context_.is_dict())
            if (const value* v = context_.dict().find(name)) return *v;
        const bool global = name == "range" || name == "dict" || name == "namespace" || name == "raise_exception" ||
                            (name == "strftime_now" && rt_.options().now.has_value());
        return global ? value(rt_.make_callable({.name = name})) : value::undefined(name);
    }
    value eval(const expr& e, scope& here) {
        const runtime::deeper guard(rt_);
        rt_.line = e.line;
        rt_.step();
        switch (e.kind) {
            case expr_kind::constant:
                return e.literal;
            case expr_kind::name:
                return look_up(e.text, here);
            case expr_kind::list:
                return rt_.list(eval_all(e, here));
            case expr_kind::tuple:
                return rt_.list(eval_all(e, here), value::sequence::tuple);
            case expr_kind::dict:
                return eval_dict(e, here);
            case expr_kind::attribute:
                return attribute(eval(*e.args[0], here), e.text);
            case expr_kind::item: {
                const value object = eval(*e.args[0], here);
                return item(rt_, object, eval(*e.args[1], here));
            }
            case expr_kind::slice:
                return eval_slice(e, here);
            case expr_kind::call:
                return eval_call(e, here);
            case expr_kind::filter:
                return filter_chain(e, here, value());
            case expr_kind::test: {
                const value v = eval(*e.args[0], here);
                return value(apply_test(rt_, e.text, v, eval_arguments(e, here)));
            }
            case expr_kind::unary:
                return eval_unary(e, here);
            case expr_kind::binary:
                return eval_binary(e, here);
            case expr_kind::compare:
                return eval_compare(e, here);
            case expr_kind::conditional:
                break;
        }
        if (holds(*e.args[1], here)) return eval(*e.args[0], here);
        return e.args[2] ? eval(*e.args[2], here) : value::nothing("a condition without an else");
    }
    bool holds(const expr& e, scope& here) {
        const value v = eval(e, here);
        strictly_defined(rt_, v);
        return v.truth();
    }
    list_data eval_all(const expr& e, scope& here) {
        list_data out;
        for (const auto& a : e.args) out.push_back(eval(*a, here));
        return out;
    }
    value eval_dict(const expr& e, scope& here) {
        dict_data out;
        for (std::size_t i = 0; i + 1 < e.args.size(); i += 2) {
            const value key = eval(*e.args[i], here);
            if (!key.is_string()) rt_.fail("only strings can be keys of a dict here");
            out.set(key.string(), eval(*e.args[i + 1], here));
        }
        return value(std::move(out));
    }
    value eval_slice(const expr& e, scope& here) {
        const value object = eval(*e.args[0], here);
        value part[3] = {nullptr, nullptr, nullptr};
        for (std::size_t i = 0; i < 3; ++i)
            if (e.args[i + 1]) part[i] = eval(*e.args[i + 1], here);
        return slice(rt_, object, part[0], part[1], part[2]);
    }
    value eval_unary(const expr& e, scope& here) {
        if (e.text == "not") return value(!holds(*e.args[0], here));
        const value v = eval(*e.args[0], here);
        if (e.text == "-") return v.is_float() ? value(-v.number()) : arithmetic(rt_, "-", value(0), v);
        return arithmetic(rt_, "+", value(0), v);
    }
    value eval_binary(const expr& e, scope& here) {
        value left = eval(*e.args[0], here);
        if (e.text == "and" || e.text == "or") strictly_defined(rt_, left);
        if (e.text == "and") return left.truth() ? eval(*e.args[1], here) : left;
        if (e.text == "or") return left.truth() ? left : eval(*e.args[1], here);
        const value right = eval(*e.args[1], here);
        rt_.line = e.line;
        if (e.text == "~") return rt_.text(to_text(rt_, left) + to_text(rt_, right));
        return arithmetic(rt_, e.text, left, right);
    }
    value eval_compare(const expr& e, scope& here) {
        value left = eval(*e.args[0], here);
        for (std::size_t i = 0; i < e.names.size(); ++i) {
            value right = eval(*e.args[i + 1], here);
            const std::string& op = e.names[i];
            strictly_defined(rt_, left);
            strictly_defined(rt_, right);
            const bool holds = op == "=="       ? equal(left, right)
                               : op == "!="     ? !equal(left, right)
                               : op == "in"     ? contains(rt_, right, left)
                               : op == "not in" ? !contains(rt_, right, left)
                               : op == "<"      ? compare(rt_, left, right) < 0
                               : op == "<="     ? compare(rt_, left, right) <= 0
                               : op == ">"      ? compare(rt_, left, right) > 0
                                                : compare(rt_, left, right) >= 0;
            if (!holds) return value(false);
            left = std::move(right);
        }
        return value(true);
    }
    arguments eval_arguments(const expr& e, scope& here) {
        arguments out;
        for (std::size_t i = 1; i < e.args.size(); ++i) out.positional.push_back(eval(*e.args[i], here));
        for (const auto& [name, a] : e.named) out.named.emplace_back(name, eval(*a, here));
        return out;
    }
    /// A filter; `block_text` stands for the input that a filter block's chain lacks.
    value filter_chain(const expr& e, scope& here, const value& block_text) {
        value in = block_text;
        if (e.args[0])
            in = e.args[0]->kind == expr_kind::filter ? filter_chain(*e.args[0], here, block_text)
                                                      : eval(*e.args[0], here);
        const arguments args = eval_arguments(e, here);
        rt_.line = e.line;
        return apply_filter(rt_, e.text, in, args);
    }
    /// object.name: a method before a key, as Python finds it.
    value attribute(const value& object, const std::string& name) {
        require_defined(rt_, object);
        if (has_method(object, name))
            return value(rt_.make_callable({.what = callable_data::kind::method, .name = name, .self = object}));
        return item(rt_, object, value(name));
    }
    value eval_call(const expr& e, scope& here) {
        const expr& callee = *e.args[0];
        if (callee.kind != expr_kind::attribute) {
            const value function = eval(callee, here);
            return call_value(function, eval_arguments(e, here));
        }
        const value object = eval(*callee.args[0], here);
        require_defined(rt_, object);
        const arguments args = eval_arguments(e, here);
        rt_.line = e.line;
        if (has_method(object, callee.text)) return call_method(rt_, object, callee.text, args);
        if (object.is_namespace() && object.names()->is_loop && (callee.text == "cycle" || callee.text == "changed"))
            return call_loop_method(*object.names(), callee.text, args);
        return call_value(item(rt_, object, value(callee.text)), args);
    }
    value call_loop_method(namespace_data& loop, const std::string& name, const arguments& args) {
        if (name == "cycle") {
            if (args.positional.empty()) rt_.fail("loop.cycle needs values");
            return args.positional[loop.loop_index % args.positional.size()];
        }
        value seen = rt_.list(args.positional);
        const bool changed = !loop.has_seen || !equal(seen, loop.last_seen);
        loop.last_seen = std::move(seen);
        loop.has_seen = true;
        return value(changed);
    }
    value call_value(const value& function, const arguments& args) {
        require_defined(rt_, function);
        if (!function.is_callable())
            rt_.fail("a value of type " + std::string(function.type_name()) + " cannot be called");
        const callable_data& c = *function.callable();
        if (c.what == callable_data::kind::macro) return call_macro(c, args);
        if (c.what == callable_data::kind::method) return call_method(rt_, c.self, c.name, args);
        return call_global(c.name, args);
    }
    value call_global(const std::string& name, const arguments& args) {
        if (name == "raise_exception") {
            const value message = bound(rt_, "raise_exception", args, {"message"}).get(0);
            throw config_error("the chat template refuses the conversation: " + to_text(rt_, message));
        }
        if (name == "range") {
            const bound b(rt_, "range", args, {"start", "stop", "step"});
            const bool one = args.positional.size() + args.named.size() < 2;
            const std::int64_t from = one ? 0 : b.integer(rt_, 0, 0),
                               to = one ? b.integer(rt_, 0, 0) : b.integer(rt_, 1, 0);
            const std::int64_t step = b.integer(rt_, 2, 1);
            if (step == 0) rt_.fail("range cannot have a step of 0");
            list_data out;
            for (std::int64_t i = from; step > 0 ? i < to : i > to; i += step) {
                rt_.step();
                out.emplace_back(i);
                if (step > 0 ? step > to - i : step < to - i) break;
            }
            return value(std::move(out));
        }
        if (name == "strftime_now") return strftime_now(bound(rt_, "strftime_now", args, {"format"}).string(rt_, 0));
        dict_data names;  // namespace(...) and dict(...)
        if (args.positional.size() > 1 || (!args.positional.empty() && !args.positional[0].is_dict()))
            rt_.fail(name + " takes named values, or one dict");
        if (!args.positional.empty()) names = args.positional[0].dict();
        for (const auto& [key, v] : args.named) names.set(key, v);
        if (name == "dict") return value(std::move(names));
        namespace_data* made = rt_.make_namespace();
        made->names = std::move(names);
        return value(made);
    }
    value strftime_now(const std::string& format) {
        const std::tm now = *rt_.options().now;
        if (format.empty()) return value("");
        if (format.size() > 200 || format.find('\0') != std::string::npos)
            rt_.fail("strftime_now: the format is too long");
        std::string text(8192, '\0');  // a conversion yields few characters: 200 of them fit
        text.resize(std::strftime(text.data(), text.size(), format.c_str(), &now));
        return rt_.text(std::move(text));
    }

    runtime rt_;
    const value& context_;
    std::deque<scope> scopes_;
    std::vector<scope*> free_scopes_;
    std::string main_output_;
    std::string* out_ = &main_output_;
};

}  // namespace lab::text::jinja
