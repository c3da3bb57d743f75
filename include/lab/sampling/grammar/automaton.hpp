// The compiled form of a grammar: one automaton over bytes for each rule, whose edges are ranges of bytes or calls of
// other rules. A text is matched by running the root's automaton with a stack of places to return to (stacks.hpp).
#pragma once

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <queue>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"

namespace lab::sampling {

struct automaton {
    static constexpr std::uint32_t never = std::numeric_limits<std::uint32_t>::max();

    struct byte_edge {
        std::uint8_t first, last;
        std::uint32_t to;
    };
    struct call_edge {
        std::uint32_t rule, to;
        bool tail;  // nothing is left to do on return, so that no place needs to be kept
    };
    struct state {
        std::uint32_t bytes_begin = 0, bytes_end = 0, calls_begin = 0, calls_end = 0;
        bool final = false;
        std::uint32_t rule = 0;
    };
    struct rule {
        std::string name, place;
        std::uint32_t start = 0;
    };

    std::vector<state> states;
    std::vector<byte_edge> byte_edges;
    std::vector<call_edge> call_edges;
    std::vector<rule> rules;           // the first is the root
    std::vector<std::uint32_t> needs;  // [states] see stack_needs, with all bytes

    [[nodiscard]] std::span<const byte_edge> bytes_of(const state& s) const {
        return std::span(byte_edges).subspan(s.bytes_begin, s.bytes_end - s.bytes_begin);
    }
    [[nodiscard]] std::span<const call_edge> calls_of(const state& s) const {
        return std::span(call_edges).subspan(s.calls_begin, s.calls_end - s.calls_begin);
    }
};

/// For each state: how many places to return to it takes at least to come to the end of its rule using the given bytes
/// only; `never` when there is no way. With no bytes at all: which states need none. Knuth's generalisation of
/// Dijkstra's algorithm ("A generalization of Dijkstra's algorithm", 1977): the need of an edge is a maximum, that of a
/// state the minimum over its edges. O(edges * log(states)).
[[nodiscard]] inline std::vector<std::uint32_t> stack_needs(const automaton& a, const std::bitset<256>& bytes) {
    const std::size_t n = a.states.size();
    // Who has to be looked at again when a state's need becomes known: (from, call edge or never).
    struct user {
        std::uint32_t from, call;
    };
    std::vector<std::uint32_t> begin(n + 1, 0);
    std::vector<user> users;
    const auto each_use = [&](const auto& f) {
        for (std::uint32_t s = 0; s < n; ++s) {
            for (const auto& e : a.bytes_of(a.states[s])) {
                bool usable = false;
                for (unsigned b = e.first; b <= e.last && !usable; ++b) usable = bytes[b];
                if (usable) f(e.to, user{s, automaton::never});
            }
            for (std::uint32_t c = a.states[s].calls_begin; c < a.states[s].calls_end; ++c) {
                f(a.call_edges[c].to, user{s, c});
                f(a.rules[a.call_edges[c].rule].start, user{s, c});
            }
        }
    };
    each_use([&](std::uint32_t of, user) { ++begin[of + 1]; });
    for (std::size_t s = 0; s < n; ++s) begin[s + 1] += begin[s];
    users.resize(begin[n]);
    std::vector<std::uint32_t> at(begin.begin(), begin.end() - 1);
    each_use([&](std::uint32_t of, user u) { users[at[of]++] = u; });

    std::vector<std::uint32_t> need(n, automaton::never);
    using entry = std::pair<std::uint32_t, std::uint32_t>;  // need, state
    std::priority_queue<entry, std::vector<entry>, std::greater<>> open;
    const auto improve = [&](std::uint32_t s, std::uint32_t value) {
        if (value < need[s]) open.emplace(need[s] = value, s);
    };
    for (std::uint32_t s = 0; s < n; ++s)
        if (a.states[s].final) improve(s, 0);
    while (!open.empty()) {
        const auto [value, s] = open.top();
        open.pop();
        if (value != need[s]) continue;
        for (std::uint32_t i = begin[s]; i < begin[s + 1]; ++i) {
            const user u = users[i];
            if (u.call == automaton::never) {
                improve(u.from, value);
                continue;
            }
            const auto& call = a.call_edges[u.call];
            const std::uint32_t inside = need[a.rules[call.rule].start], after = need[call.to];
            if (inside != automaton::never && after != automaton::never)
                improve(u.from, std::max(after, inside + (call.tail ? 0 : 1)));
        }
    }
    return need;
}

/// @throws config_error naming a rule that comes back to itself before it has taken a byte: matching would not end.
inline void refuse_left_recursion(const automaton& a) {
    const auto empty = stack_needs(a, {});
    const auto nullable = [&](std::uint32_t rule) { return empty[a.rules[rule].start] != automaton::never; };
    // Which rules each rule may call before its first byte.
    std::vector<std::vector<std::uint32_t>> first(a.rules.size());
    std::vector<std::uint32_t> seen(a.states.size(), automaton::never), todo;
    for (std::uint32_t r = 0; r < a.rules.size(); ++r) {
        todo.assign(1, a.rules[r].start);
        while (!todo.empty()) {
            const std::uint32_t s = todo.back();
            todo.pop_back();
            if (seen[s] == r) continue;
            seen[s] = r;
            for (const auto& call : a.calls_of(a.states[s])) {
                first[r].push_back(call.rule);
                if (nullable(call.rule)) todo.push_back(call.to);
            }
        }
    }
    enum : std::uint8_t { fresh, open, done };
    std::vector<std::uint8_t> mark(a.rules.size(), fresh);
    std::vector<std::pair<std::uint32_t, std::size_t>> path;
    for (std::uint32_t root = 0; root < a.rules.size(); ++root) {
        if (mark[root] != fresh) continue;
        path.assign(1, {root, 0});
        mark[root] = open;
        while (!path.empty()) {
            auto& [r, next] = path.back();
            if (next == first[r].size()) {
                mark[r] = done;
                path.pop_back();
                continue;
            }
            const std::uint32_t called = first[r][next++];
            if (mark[called] == open) {
                const auto& rule = a.rules[called];
                throw config_error(explain(rule.place,
                                           "rule '" + rule.name + "' is left-recursive: it can call itself " +
                                               "before it has matched anything",
                                           "put what repeats first, as in list ::= item (\",\" item)*"));
            }
            if (mark[called] == fresh) {
                mark[called] = open;
                path.emplace_back(called, 0);
            }
        }
    }
}

}  // namespace lab::sampling
