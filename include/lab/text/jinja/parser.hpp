// Template tokens to a tree, with jinja2's grammar and precedence. Not supported, and refused with the line: extends,
// include, import, block, recursive loops, argument unpacking. Nesting is bounded.
#pragma once

#include <charconv>
#include <initializer_list>
#include <string_view>

#include "lab/text/jinja/ast.hpp"
#include "lab/text/jinja/lexer.hpp"

namespace lab::text::jinja {

class parser {
public:
    static constexpr std::size_t max_nesting = 100;     // tags in tags, brackets in brackets
    static constexpr std::size_t max_tree_depth = 200;  // of one expression, long chains of operators included

    explicit parser(std::string_view source, const syntax_options& syntax = {})
        : tokens_(lexer(source, syntax).run()) {}

    [[nodiscard]] block run() { return parse_block({}); }

private:
    struct nesting {
        explicit nesting(parser& p) : owner(p) {
            if (++owner.nesting_ > max_nesting) fail_at(owner.line(), "nested too deeply");
        }
        nesting(const nesting&) = delete;
        nesting& operator=(const nesting&) = delete;
        ~nesting() { --owner.nesting_; }
        parser& owner;
    };

    // --- tokens
    [[nodiscard]] const lexeme& now() const { return tokens_[at_]; }
    [[nodiscard]] std::size_t line() const { return now().line; }
    [[nodiscard]] bool is(token_kind kind) const { return now().kind == kind; }
    [[nodiscard]] bool is_op(std::string_view text) const { return is(token_kind::op) && now().text == text; }
    [[nodiscard]] bool is_word(std::string_view text) const { return is(token_kind::name) && now().text == text; }
    const lexeme& take() { return tokens_[is(token_kind::end) ? at_ : at_++]; }
    bool skip_op(std::string_view text) { return is_op(text) && (++at_, true); }
    bool skip_word(std::string_view text) { return is_word(text) && (++at_, true); }
    [[noreturn]] void unexpected(const std::string& wanted) const {
        const std::string seen = is(token_kind::end)                                      ? "the end of the template"
                                 : is(token_kind::block_end) || is(token_kind::print_end) ? "the end of the tag"
                                                                                          : "\"" + now().text + "\"";
        fail_at(line(), "expected " + wanted + ", found " + seen);
    }
    void want_op(std::string_view text) {
        if (!skip_op(text)) unexpected("\"" + std::string(text) + "\"");
    }
    std::string want_name(const char* what) {
        if (!is(token_kind::name)) unexpected(what);
        return take().text;
    }
    void want_block_end() {
        if (!is(token_kind::block_end)) unexpected("the end of the tag");
        ++at_;
    }

    // --- statements
    /// Statements up to one of the given tags, whose name is left as the current token; without any, to the end.
    block parse_block(std::initializer_list<std::string_view> ends) {
        const nesting guard(*this);
        block out;
        for (;;) {
            const std::size_t here = line();
            if (is(token_kind::end)) {
                if (ends.size() != 0) fail_at(here, "missing {% " + std::string(*(ends.end() - 1)) + " %}");
                return out;
            }
            if (is(token_kind::text)) {
                out.push_back({.kind = stmt_kind::text, .line = here, .text = take().text});
            } else if (is(token_kind::print_begin)) {
                ++at_;
                stmt s{.kind = stmt_kind::print, .line = here};
                s.exprs.push_back(parse_tuple());
                if (!is(token_kind::print_end)) unexpected("\"}}\"");
                ++at_;
                out.push_back(std::move(s));
            } else {
                ++at_;  // block_begin
                for (const auto end : ends)
                    if (is_word(end)) return out;
                parse_statement(out);
            }
        }
    }
    block parse_body(std::initializer_list<std::string_view> ends) {
        want_block_end();
        return parse_block(ends);
    }
    void end_tag() {
        ++at_;  // the name of the end tag
        want_block_end();
    }
    void parse_statement(block& out) {
        const std::size_t here = line();
        const std::string tag = want_name("the name of a tag");
        if (tag == "if") return parse_if(out, here);
        if (tag == "for") return parse_for(out, here);
        if (tag == "set") return parse_set(out, here);
        stmt s{.kind = stmt_kind::scope, .line = here};
        if (tag == "macro") {
            s.kind = stmt_kind::macro;
            s.text = want_name("the name of the macro");
            parse_parameters(s);
            s.bodies.push_back(parse_body({"endmacro"}));
            ++at_;
            if (is(token_kind::name)) ++at_;  // {% endmacro name %}
            want_block_end();
        } else if (tag == "call") {
            s.kind = stmt_kind::call_block;
            s.exprs.emplace_back();
            if (is_op("(")) parse_parameters(s);
            s.exprs[0] = parse_expression();
            if (s.exprs[0]->kind != expr_kind::call) fail_at(here, "a call block needs a call");
            s.bodies.push_back(parse_body({"endcall"}));
            end_tag();
        } else if (tag == "filter") {
            s.kind = stmt_kind::filter_block;
            s.exprs.push_back(parse_filter(nullptr));
            s.bodies.push_back(parse_body({"endfilter"}));
            end_tag();
        } else if (tag == "with") {
            while (is(token_kind::name)) {
                s.names.push_back(take().text);
                want_op("=");
                s.exprs.push_back(parse_expression());
                if (!skip_op(",")) break;
            }
            s.bodies.push_back(parse_body({"endwith"}));
            end_tag();
        } else if (tag == "generation") {  // marks the assistant's part for transformers; prints its body
            s.bodies.push_back(parse_body({"endgeneration"}));
            end_tag();
        } else if (tag == "break" || tag == "continue") {
            s.kind = tag == "break" ? stmt_kind::break_loop : stmt_kind::continue_loop;
            if (loops_ == 0) fail_at(here, "\"" + tag + "\" outside of a loop");
            want_block_end();
        } else {
            fail_at(here, "unknown or unsupported tag \"" + tag + "\"");
        }
        out.push_back(std::move(s));
    }
    void parse_if(block& out, std::size_t here) {
        stmt s{.kind = stmt_kind::if_else, .line = here};
        for (;;) {
            s.exprs.push_back(parse_tuple());
            s.bodies.push_back(parse_body({"elif", "else", "endif"}));
            if (!skip_word("elif")) break;
        }
        if (skip_word("else")) s.bodies.push_back(parse_body({"endif"}));
        end_tag();
        out.push_back(std::move(s));
    }
    void parse_for(block& out, std::size_t here) {
        stmt s{.kind = stmt_kind::for_loop, .line = here};
        parse_targets(s.names);
        if (!skip_word("in")) unexpected("\"in\"");
        s.exprs.push_back(parse_tuple(false));
        s.exprs.push_back(skip_word("if") ? parse_expression() : nullptr);
        if (is_word("recursive")) fail_at(here, "recursive loops are not supported");
        ++loops_;
        s.bodies.push_back(parse_body({"else", "endfor"}));
        --loops_;
        if (skip_word("else")) s.bodies.push_back(parse_body({"endfor"}));
        end_tag();
        out.push_back(std::move(s));
    }
    void parse_targets(std::vector<std::string>& names) {
        const bool bracket = skip_op("(");
        do {
            if (!names.empty() && (is_word("in") || is_op(")") || is_op("="))) break;  // trailing comma
            names.push_back(want_name("a variable"));
        } while (skip_op(","));
        if (bracket) want_op(")");
    }
    void parse_set(block& out, std::size_t here) {
        stmt s{.kind = stmt_kind::set, .line = here};
        parse_targets(s.names);
        if (skip_op(".")) s.text = want_name("the name of an attribute");
        if (skip_op("=")) {
            s.exprs.push_back(parse_tuple());
            want_block_end();
        } else {
            if (s.names.size() != 1 || !s.text.empty()) unexpected("\"=\"");
            s.kind = stmt_kind::set_block;
            s.exprs.push_back(skip_op("|") ? parse_filter(nullptr) : nullptr);
            s.bodies.push_back(parse_body({"endset"}));
            end_tag();
        }
        out.push_back(std::move(s));
    }
    void parse_parameters(stmt& s) {
        want_op("(");
        bool defaults = false;
        while (!is_op(")")) {
            s.names.push_back(want_name("a parameter"));
            if (skip_op("=")) {
                defaults = true;
                s.exprs.push_back(parse_expression());
            } else if (defaults) {
                fail_at(line(), "a parameter without a default follows one with a default");
            }
            if (!skip_op(",")) break;
        }
        want_op(")");
    }

    // --- expressions, from the loosest operator to the tightest
    template <class... Args>
    expr_ptr make(expr_kind kind, std::size_t here, std::string text, Args... args) {
        auto e = std::make_unique<expr>(expr{.kind = kind, .line = here, .text = std::move(text)});
        (e->args.push_back(std::move(args)), ...);
        return sized(std::move(e));
    }
    expr_ptr sized(expr_ptr e) const {
        for (const auto& a : e->args)
            if (a) e->depth = std::max(e->depth, a->depth + 1);
        for (const auto& [name, a] : e->named) e->depth = std::max(e->depth, a->depth + 1);
        if (e->depth > max_tree_depth) fail_at(e->line, "the expression is too long or nested too deeply");
        return e;
    }
    /// One expression, or several with commas, which make a tuple.
    expr_ptr parse_tuple(bool conditional = true) {
        const std::size_t here = line();
        expr_ptr first = conditional ? parse_expression() : parse_or();
        if (!is_op(",")) return first;
        auto e = std::make_unique<expr>(expr{.kind = expr_kind::tuple, .line = here});
        e->args.push_back(std::move(first));
        while (skip_op(",")) {
            if (is(token_kind::block_end) || is(token_kind::print_end) || is_op(")")) break;
            e->args.push_back(conditional ? parse_expression() : parse_or());
        }
        return sized(std::move(e));
    }
    expr_ptr parse_expression() {
        const nesting guard(*this);
        expr_ptr e = parse_or();
        while (is_word("if")) {
            const std::size_t here = take().line;
            expr_ptr condition = parse_or();
            expr_ptr otherwise = skip_word("else") ? parse_expression() : nullptr;
            e = make(expr_kind::conditional, here, {}, std::move(e), std::move(condition), std::move(otherwise));
        }
        return e;
    }
    expr_ptr parse_or() {
        expr_ptr e = parse_and();
        while (is_word("or")) {
            const std::size_t here = take().line;
            e = make(expr_kind::binary, here, "or", std::move(e), parse_and());
        }
        return e;
    }
    expr_ptr parse_and() {
        expr_ptr e = parse_not();
        while (is_word("and")) {
            const std::size_t here = take().line;
            e = make(expr_kind::binary, here, "and", std::move(e), parse_not());
        }
        return e;
    }
    expr_ptr parse_not() {
        if (!is_word("not")) return parse_compare();
        const nesting guard(*this);
        const std::size_t here = take().line;
        return make(expr_kind::unary, here, "not", parse_not());
    }
    expr_ptr parse_compare() {
        expr_ptr first = parse_sum();
        auto e = std::make_unique<expr>(expr{.kind = expr_kind::compare, .line = first->line});
        e->args.push_back(std::move(first));
        for (;;) {
            std::string op;
            for (const char* symbol : {"==", "!=", "<=", ">=", "<", ">"})
                if (op.empty() && skip_op(symbol)) op = symbol;
            if (op.empty() && skip_word("in")) op = "in";
            if (op.empty() && is_word("not") && tokens_[at_ + 1].kind == token_kind::name &&
                tokens_[at_ + 1].text == "in") {
                at_ += 2;
                op = "not in";
            }
            if (op.empty()) break;
            e->names.push_back(op);
            e->args.push_back(parse_sum());
        }
        return e->names.empty() ? std::move(e->args[0]) : sized(std::move(e));
    }
    /// Left-associative operators of one level.
    template <class Next>
    expr_ptr parse_level(std::initializer_list<const char*> ops, Next next) {
        expr_ptr e = next();
        for (bool found = true; found;) {
            found = false;
            for (const char* op : ops)
                if (is_op(op)) {
                    const std::size_t here = take().line;
                    e = make(expr_kind::binary, here, op, std::move(e), next());
                    found = true;
                    break;
                }
        }
        return e;
    }
    expr_ptr parse_sum() {
        return parse_level({"+", "-"}, [&] { return parse_level({"~"}, [&] { return parse_product(); }); });
    }
    expr_ptr parse_product() {
        return parse_level({"*", "//", "/", "%"},
                           [&] { return parse_level({"**"}, [&] { return parse_unary(true); }); });
    }
    expr_ptr parse_unary(bool with_filter) {
        const nesting guard(*this);
        const std::size_t here = line();
        expr_ptr e;
        if (skip_op("-"))
            e = make(expr_kind::unary, here, "-", parse_unary(false));
        else if (skip_op("+"))
            e = make(expr_kind::unary, here, "+", parse_unary(false));
        else
            e = parse_primary();
        e = parse_postfix(std::move(e));
        if (with_filter) e = parse_filters_and_tests(std::move(e));
        return e;
    }
    expr_ptr parse_primary() {
        const lexeme& t = now();
        switch (t.kind) {
            case token_kind::name: {
                ++at_;
                if (t.text == "true" || t.text == "True") return constant(t.line, true);
                if (t.text == "false" || t.text == "False") return constant(t.line, false);
                if (t.text == "none" || t.text == "None") return constant(t.line, nullptr);
                return make(expr_kind::name, t.line, t.text);
            }
            case token_kind::string: {
                std::string text;
                while (is(token_kind::string)) text += take().text;
                return constant(t.line, std::move(text));
            }
            case token_kind::integer: {
                ++at_;
                std::int64_t i = 0;
                const auto [end, failure] = std::from_chars(t.text.data(), t.text.data() + t.text.size(), i);
                if (failure != std::errc{}) fail_at(t.line, "the number " + t.text + " is too large");
                return constant(t.line, i);
            }
            case token_kind::real: {
                ++at_;
                double d = 0;
                const auto [end, failure] = std::from_chars(t.text.data(), t.text.data() + t.text.size(), d);
                if (failure != std::errc{}) fail_at(t.line, "the number " + t.text + " is out of range");
                return constant(t.line, d);
            }
            default:
                break;
        }
        if (skip_op("(")) {
            if (skip_op(")")) return make(expr_kind::tuple, t.line, {});
            expr_ptr e = parse_tuple();
            want_op(")");
            return e;
        }
        if (skip_op("[")) {
            auto e = std::make_unique<expr>(expr{.kind = expr_kind::list, .line = t.line});
            while (!is_op("]")) {
                e->args.push_back(parse_expression());
                if (!skip_op(",")) break;
            }
            want_op("]");
            return sized(std::move(e));
        }
        if (skip_op("{")) {
            auto e = std::make_unique<expr>(expr{.kind = expr_kind::dict, .line = t.line});
            while (!is_op("}")) {
                e->args.push_back(parse_expression());
                want_op(":");
                e->args.push_back(parse_expression());
                if (!skip_op(",")) break;
            }
            want_op("}");
            return sized(std::move(e));
        }
        unexpected("a value");
    }
    static expr_ptr constant(std::size_t here, value v) {
        return std::make_unique<expr>(expr{.kind = expr_kind::constant, .line = here, .literal = std::move(v)});
    }
    expr_ptr parse_postfix(expr_ptr e) {
        for (;;) {
            const std::size_t here = line();
            if (skip_op(".")) {
                if (is(token_kind::integer)) {
                    e = make(expr_kind::item, here, {}, std::move(e), parse_primary());
                } else {
                    std::string name = want_name("the name of an attribute");
                    e = make(expr_kind::attribute, here, std::move(name), std::move(e));
                }
            } else if (skip_op("[")) {
                e = parse_subscript(std::move(e), here);
            } else if (is_op("(")) {
                e = parse_call(make(expr_kind::call, here, {}, std::move(e)));
            } else {
                return e;
            }
        }
    }
    expr_ptr parse_subscript(expr_ptr e, std::size_t here) {
        expr_ptr part[3];
        std::size_t parts = 0;
        bool slice = false;
        for (;; ++parts) {
            if (!is_op(":") && !is_op("]")) part[parts] = parse_expression();
            if (parts == 2 || !skip_op(":")) break;
            slice = true;
        }
        if (!slice && !part[0]) unexpected("an index");
        want_op("]");
        if (!slice) return make(expr_kind::item, here, {}, std::move(e), std::move(part[0]));
        return make(expr_kind::slice, here, {}, std::move(e), std::move(part[0]), std::move(part[1]),
                    std::move(part[2]));
    }
    /// The bracketed arguments, added to a call, filter or test.
    expr_ptr parse_call(expr_ptr e) {
        want_op("(");
        while (!is_op(")")) {
            if (is_op("*") || is_op("**")) fail_at(line(), "argument unpacking is not supported");
            if (is(token_kind::name) && tokens_[at_ + 1].kind == token_kind::op && tokens_[at_ + 1].text == "=") {
                std::string name = take().text;
                ++at_;
                e->named.emplace_back(std::move(name), parse_expression());
            } else {
                if (!e->named.empty()) fail_at(line(), "a positional argument follows a named one");
                e->args.push_back(parse_expression());
            }
            if (!skip_op(",")) break;
        }
        want_op(")");
        return sized(std::move(e));
    }
    expr_ptr parse_filters_and_tests(expr_ptr e) {
        for (;;) {
            if (skip_op("|"))
                e = parse_filter(std::move(e));
            else if (is_word("is"))
                e = parse_test(std::move(e));
            else if (is_op("("))
                e = parse_call(make(expr_kind::call, line(), {}, std::move(e)));
            else
                return e;
        }
    }
    /// `name(args) | name ...` behind a bar; the input may be null, in a filter block.
    expr_ptr parse_filter(expr_ptr input) {
        for (;;) {
            const std::size_t here = line();
            std::string name = want_name("the name of a filter");
            input = make(expr_kind::filter, here, std::move(name), std::move(input));
            if (is_op("(")) input = parse_call(std::move(input));
            if (!skip_op("|")) return input;
        }
    }
    expr_ptr parse_test(expr_ptr input) {
        const std::size_t here = take().line;  // "is"
        const bool negated = skip_word("not");
        std::string name = want_name("the name of a test");
        expr_ptr e = make(expr_kind::test, here, std::move(name), std::move(input));
        if (is_op("(")) {
            e = parse_call(std::move(e));
        } else if (is(token_kind::string) || is(token_kind::integer) || is(token_kind::real) || is_op("[") ||
                   is_op("{") ||
                   (is(token_kind::name) && !is_word("else") && !is_word("or") && !is_word("and") && !is_word("if") &&
                    !is_word("is") && !is_word("in") && !is_word("not"))) {
            e->args.push_back(parse_postfix(parse_primary()));
            e = sized(std::move(e));
        }
        return negated ? make(expr_kind::unary, here, "not", std::move(e)) : std::move(e);
    }

    std::vector<lexeme> tokens_;
    std::size_t at_ = 0, nesting_ = 0, loops_ = 0;
};

}  // namespace lab::text::jinja
