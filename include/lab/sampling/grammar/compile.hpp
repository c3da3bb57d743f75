// From a grammar_builder's expressions to automata: Thompson's construction for each rule, then subsets without empty
// edges, calls being symbols like bytes. Where subsets would explode the automaton stays nondeterministic.
#pragma once

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/sampling/grammar/automaton.hpp"
#include "lab/sampling/grammar/builder.hpp"

namespace lab::sampling {

class grammar_compiler {
public:
    explicit grammar_compiler(const grammar_builder& source) : source_(source), limits_(source.limits()) {}

    /// @throws config_error: a rule that is not defined, derives no finite string or is left-recursive; a grammar over
    /// its limits.
    [[nodiscard]] automaton run() {
        for (const auto& r : source_.rules()) {
            if (r.body == grammar_builder::undefined)
                throw config_error(explain(r.place, "rule '" + r.name + "' is used but not defined", "define it"));
            bodies_.push_back(r.body);
            out_.rules.push_back({r.name, r.place, 0});
        }
        if (bodies_.empty()) throw config_error("grammar: there are no rules");
        find_empty();
        for (rule_ = 0; rule_ < bodies_.size(); ++rule_) {  // repeat() adds rules behind the last
            steps_.clear();
            const auto start = fresh();
            const auto end = build(bodies_[rule_], start);
            determinise(start, end);
        }
        mark_tails();
        std::bitset<256> all;
        out_.needs = stack_needs(out_, all.set());
        for (const auto& r : out_.rules)
            if (out_.needs[r.start] == automaton::never)
                throw config_error(explain(r.place, "rule '" + r.name + "' matches no finite text",
                                           "give it an alternative that does not call the rule itself"));
        refuse_left_recursion(out_);
        drop_dead_ends();
        return std::move(out_);
    }

private:
    using index = std::uint32_t;
    using kind = grammar_builder::kind;
    struct nfa_state {
        std::vector<automaton::byte_edge> bytes{};
        std::vector<std::pair<index, index>> calls{};  // rule, to
        std::vector<index> empty{};
    };

    /// Marks the expressions that plainly match nothing but the empty text. They become no states and no calls: rows of
    /// calls that return at once would use up what the matcher may look at in one step.
    void find_empty() {
        const auto& nodes = source_.nodes();
        std::vector<index> missing(nodes.size());  // parts not known to be empty
        std::vector<std::vector<index>> users(nodes.size());
        std::vector<index> found;
        empty_.assign(nodes.size(), false);
        const auto mark = [&](index e) {
            empty_[e] = true;
            found.push_back(e);
        };
        for (index e = 0; e < nodes.size(); ++e) {
            const auto& n = nodes[e];
            missing[e] = static_cast<index>(n.is == kind::call ? 1 : n.parts.size());
            for (const auto part : n.parts) users[part].push_back(e);
            if (n.is == kind::call) users[bodies_[n.rule]].push_back(e);
            if ((n.is == kind::bytes && n.bytes.empty()) || (n.is == kind::repeat && n.max == 0)) mark(e);
        }
        while (!found.empty()) {
            const index e = found.back();
            found.pop_back();
            for (const index user : users[e])
                if (!empty_[user] && --missing[user] == 0) mark(user);
        }
    }

    [[noreturn]] void too_large() const {
        const auto& r = out_.rules[rule_];
        throw config_error(explain(r.place, "the grammar is too large, as it comes to rule '" + r.name + "'",
                                   "lower the bounds of repetitions, or split it"));
    }
    void work(std::size_t amount) {
        if ((work_ += amount) > 32 * limits_.states) too_large();
    }
    index fresh() {
        if (steps_.size() + out_.states.size() >= limits_.states) too_large();
        steps_.emplace_back();
        return static_cast<index>(steps_.size() - 1);
    }
    /// Adds what leads from `from` through the expression; returns where it ends.
    index build(grammar_builder::expression e, index from) {
        work(1);
        if (empty_[e]) return from;
        const auto& n = source_.nodes()[e];
        switch (n.is) {
            case kind::bytes:
                for (const char c : n.bytes) {
                    const auto byte = static_cast<std::uint8_t>(c);
                    const index to = fresh();
                    steps_[from].bytes.push_back({byte, byte, to});
                    from = to;
                }
                return from;
            case kind::chars:
                return build_chars(n.chars, from);
            case kind::sequence:
                for (const auto part : n.parts) from = build(part, from);
                return from;
            case kind::choice: {
                const index to = fresh();
                for (const auto part : n.parts) {
                    const index end = build(part, from);
                    steps_[end].empty.push_back(to);
                }
                return to;
            }
            case kind::repeat:
                return build_repeat(e, from);
            case kind::call: {
                const index to = fresh();
                steps_[from].calls.emplace_back(n.rule, to);
                return to;
            }
        }
        return from;
    }
    index build_chars(const code_set& set, index from) {
        const index to = fresh();
        std::map<std::pair<unsigned, index>, index> tails;  // rows that end alike share their states
        for (const auto& range : set)
            utf8_rows(range, [&](std::span<const byte_range> row) {
                work(row.size());
                index next = to;
                for (std::size_t i = row.size(); i-- > 1;) {
                    const auto [it, made] = tails.emplace(std::pair(row[i].first * 256u + row[i].last, next), 0);
                    if (made) {
                        it->second = fresh();
                        steps_[it->second].bytes.push_back({row[i].first, row[i].last, next});
                    }
                    next = it->second;
                }
                steps_[from].bytes.push_back({row[0].first, row[0].last, next});
            });
        return to;
    }
    index build_repeat(grammar_builder::expression e, index from) {
        const auto& n = source_.nodes()[e];
        const bool open = n.max == grammar_builder::unbounded;
        const std::size_t copies = open ? std::max<std::size_t>(n.min, 1) : n.max;
        const auto part = n.parts[0];
        const bool shared = copies > 2 && !is_small(part);
        const auto once = [&](index at) {
            if (!shared) return build(part, at);
            const index to = fresh();
            steps_[at].calls.emplace_back(rule_of(part), to);
            return to;
        };
        const index end = fresh();
        for (std::size_t i = 0; i < copies; ++i) {
            work(1);
            if (i >= n.min) steps_[from].empty.push_back(end);
            if (open && i + 1 == copies) {  // the last one loops
                const index loop = fresh();
                steps_[from].empty.push_back(loop);
                from = once(loop);
                steps_[from].empty.push_back(loop);
            } else {
                from = once(from);
            }
        }
        steps_[from].empty.push_back(end);
        return end;
    }
    [[nodiscard]] bool is_small(grammar_builder::expression e) const {
        const auto& n = source_.nodes()[e];
        return n.is == kind::call || (n.is == kind::bytes && n.bytes.size() <= 1) ||
               (n.is == kind::chars && (n.chars.empty() || n.chars.back().last < 0x80));
    }
    /// A rule of its own for what is repeated, so that a copy costs one state.
    index rule_of(grammar_builder::expression e) {
        const auto [it, made] = hoisted_.emplace(e, static_cast<index>(bodies_.size()));
        if (made) {
            if (bodies_.size() >= limits_.rules) too_large();
            bodies_.push_back(e);
            out_.rules.push_back({out_.rules[rule_].name, out_.rules[rule_].place, 0});
        }
        return it->second;
    }

    /// The states reached over empty edges, those without further edges left out unless they end the rule.
    std::vector<index> closure(const std::vector<index>& seeds, index end) {
        std::vector<index> todo = seeds, out;
        ++round_;
        seen_.resize(steps_.size(), 0);
        while (!todo.empty()) {
            const index s = todo.back();
            todo.pop_back();
            if (std::exchange(seen_[s], round_) == round_) continue;
            const auto& step = steps_[s];
            work(1 + step.empty.size());
            if (!step.bytes.empty() || !step.calls.empty() || s == end) out.push_back(s);
            todo.insert(todo.end(), step.empty.begin(), step.empty.end());
        }
        std::sort(out.begin(), out.end());
        return out;
    }
    void determinise(index start, index end) {
        const std::size_t first_state = out_.states.size(), first_byte = out_.byte_edges.size(),
                          first_call = out_.call_edges.size();
        seen_.assign(steps_.size(), 0);
        const std::size_t work_before = work_;
        if (wasted_ < 8 * limits_.states && subsets(start, end, true, 8 * steps_.size() + 64)) return;
        wasted_ += work_ - work_before;
        work_ = work_before;
        out_.states.resize(first_state);
        out_.byte_edges.resize(first_byte);
        out_.call_edges.resize(first_call);
        subsets(start, end, false, limits_.states);
    }
    /// False when there would be more states than that, or it is too much work to make them deterministic.
    bool subsets(index start, index end, bool deterministic, std::size_t most) {
        std::map<std::vector<index>, index> known;
        std::vector<const std::vector<index>*> sets;
        const std::size_t base = out_.states.size(), work_before = work_;
        const auto id_of = [&](const std::vector<index>& seeds) {
            const auto [it, made] = known.emplace(closure(seeds, end), static_cast<index>(base + known.size()));
            if (made) sets.push_back(&it->first);
            return it->second;
        };
        out_.rules[rule_].start = id_of({start});
        for (std::size_t i = 0; i < sets.size(); ++i) {
            if (sets.size() > most || (deterministic && work_ - work_before > 8 * limits_.states)) return false;
            if (base + sets.size() > limits_.states) too_large();
            const auto& set = *sets[i];
            automaton::state state;
            state.rule = rule_;
            state.bytes_begin = static_cast<index>(out_.byte_edges.size());
            state.calls_begin = static_cast<index>(out_.call_edges.size());
            std::vector<automaton::byte_edge> bytes;
            std::map<index, std::vector<index>> calls;
            for (const index s : set) {
                state.final = state.final || s == end;
                bytes.insert(bytes.end(), steps_[s].bytes.begin(), steps_[s].bytes.end());
                for (const auto& [rule, to] : steps_[s].calls) calls[rule].push_back(to);
            }
            work(bytes.size());
            if (deterministic) {
                split(bytes, id_of);
            } else {
                for (const auto& e : bytes) out_.byte_edges.push_back({e.first, e.last, id_of({e.to})});
            }
            for (const auto& [rule, to] : calls) out_.call_edges.push_back({rule, id_of(to), false});
            state.bytes_end = static_cast<index>(out_.byte_edges.size());
            state.calls_end = static_cast<index>(out_.call_edges.size());
            out_.states.push_back(state);
        }
        return true;
    }
    /// Edges whose ranges overlap become edges whose ranges do not.
    template <class IdOf>
    void split(const std::vector<automaton::byte_edge>& edges, const IdOf& id_of) {
        std::bitset<257> cuts;
        for (const auto& e : edges) {
            cuts.set(e.first);
            cuts.set(e.last + 1u);
        }
        std::vector<index> to;
        const std::size_t first = out_.byte_edges.size();
        for (unsigned low = 0; low < 256;) {
            unsigned high = low + 1;
            while (high < 256 && !cuts[high]) ++high;
            to.clear();
            for (const auto& e : edges)
                if (e.first <= low && low <= e.last) to.push_back(e.to);
            work(edges.size() / 8);
            if (!to.empty()) {
                const index id = id_of(to);
                auto& list = out_.byte_edges;
                if (list.size() > first && list.back().to == id && list.back().last + 1u == low)
                    list.back().last = static_cast<std::uint8_t>(high - 1);
                else
                    list.push_back({static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(high - 1), id});
            }
            low = high;
        }
    }
    void mark_tails() {
        for (auto& call : out_.call_edges) {
            const auto& s = out_.states[call.to];
            call.tail = s.final && s.bytes_begin == s.bytes_end && s.calls_begin == s.calls_end;
        }
    }
    /// Takes out edges from which the end of the rule cannot be reached.
    void drop_dead_ends() {
        std::vector<automaton::byte_edge> bytes;
        std::vector<automaton::call_edge> calls;
        for (auto& s : out_.states) {
            const auto old = s;
            s.bytes_begin = static_cast<index>(bytes.size());
            for (const auto& e : out_.bytes_of(old))
                if (out_.needs[e.to] != automaton::never) bytes.push_back(e);
            s.bytes_end = static_cast<index>(bytes.size());
            s.calls_begin = static_cast<index>(calls.size());
            for (const auto& e : out_.calls_of(old))
                if (out_.needs[e.to] != automaton::never) calls.push_back(e);
            s.calls_end = static_cast<index>(calls.size());
        }
        out_.byte_edges = std::move(bytes);
        out_.call_edges = std::move(calls);
    }

    const grammar_builder& source_;
    const grammar_limits& limits_;
    automaton out_;
    std::vector<grammar_builder::expression> bodies_;  // of the rules
    std::vector<bool> empty_;                          // expressions, see find_empty
    std::map<grammar_builder::expression, index> hoisted_;
    index rule_ = 0;
    std::vector<nfa_state> steps_;  // of the rule at hand
    std::vector<std::uint32_t> seen_;
    std::uint32_t round_ = 0;
    std::size_t work_ = 0, wasted_ = 0;  // without and in attempts at a deterministic automaton that came to nothing
};

}  // namespace lab::sampling
