// Only texts of a grammar can come out. The grammar's states after each byte, and the tokens allowed in each, are
// computed when first met and kept, shared by all requests with the same grammar: a step in known country is a look-up.
// The end-of-generation token is allowed exactly where the text is complete.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/sampling/candidates.hpp"
#include "lab/sampling/grammar.hpp"
#include "lab/sampling/token_trie.hpp"

namespace lab::sampling {

struct grammar_options {
    bool leading_space = false;  // one space before the text is allowed, for models whose words begin with it
};

struct grammar_cache_limits {
    std::size_t states = 1 << 15;  // known states; beyond this all are forgotten and found again
    std::size_t memory = 1 << 21;  // entries of their stacks and tables
    std::size_t masks = 512;       // sets of allowed tokens, the least recently used goes first
    std::size_t walk = 1 << 15;    // new states that one mask may take
    std::size_t steps = 1 << 20;   // stacks that one mask may look at
};

/// A grammar over a vocabulary, with what is known about its states. Thread-safe. The trie must outlive it.
class token_grammar {
public:
    /// Where a text stands. Stays good when the cache forgets.
    struct position {
        std::shared_ptr<const grammar_state> state{};
        std::uint64_t epoch = 0;
        std::uint32_t id = 0;
    };
    struct token_mask {
        std::vector<std::uint64_t> bits;  // one a token
        std::size_t count = 0;
    };

    /// @throws config_error when no tokens of the vocabulary make a text of the grammar, or none within the limits.
    token_grammar(const token_trie& trie, grammar g, grammar_options options = {}, grammar_cache_limits limits = {})
        : trie_(&trie), grammar_(std::move(g)), limits_(limits) {
        number_bytes();
        std::bitset<256> single;
        for (const auto& child : trie.children(trie.root()))
            if (child.token_count > 0) single.set(child.byte);
        needs_ = stack_needs(grammar_.states(), single);
        auto first = grammar_.start();
        if (first.dead())
            throw config_error("grammar: every text nests deeper than " +
                               std::to_string(grammar_.limits().stack_depth) + " rules, or has too many readings");
        if (!can_be_completed(first))
            throw config_error(
                "grammar: the vocabulary lacks tokens of single bytes that every text of the grammar needs");
        takes_extra_space_ = options.leading_space && grammar_.step(first, ' ').dead();
        start_ = std::make_shared<const grammar_state>(std::move(first));
    }

    [[nodiscard]] const token_trie& trie() const noexcept { return *trie_; }
    /// Whether a space that is not part of the text may stand before it.
    [[nodiscard]] bool takes_extra_space() const noexcept { return takes_extra_space_; }
    [[nodiscard]] position start() {
        const std::lock_guard lock(mutex_);
        return at(find(*start_));
    }
    /// The position after a token's bytes; its state is dead when they do not go on from here.
    [[nodiscard]] position advance(const position& from, std::string_view bytes) {
        const std::lock_guard lock(mutex_);
        forget_when_full();
        std::uint32_t s = known(from);
        for (std::size_t i = 0; i < bytes.size() && s != dead; ++i) s = step(s, static_cast<unsigned char>(bytes[i]));
        if (s == dead || !states_[s].alive) return {std::make_shared<const grammar_state>(), epoch_, dead};
        return at(s);
    }
    /// The tokens allowed at a position. @throws config_error when the grammar is too ambiguous to tell, or none is
    /// left.
    [[nodiscard]] std::shared_ptr<const token_mask> mask(const position& here) {
        const std::lock_guard lock(mutex_);
        forget_when_full();
        return mask_of(known(here));
    }
    /// The tokens allowed at the start with a space before the text, where that may be.
    [[nodiscard]] std::shared_ptr<const token_mask> spaced_mask() {
        const std::lock_guard lock(mutex_);
        if (spaced_) return spaced_;
        forget_when_full();
        const std::uint32_t s = find(*start_);
        token_mask m = *mask_of(s);
        limit_walk();
        if (const auto* space = trie_->child(trie_->root(), ' ')) {
            for (const token id : trie_->tokens(*space)) allow(m, id);
            walk(*space, s, m);
        }
        return spaced_ = std::make_shared<const token_mask>(std::move(m));
    }
    /// How many masks were computed so far, for tests and benchmarks.
    [[nodiscard]] std::size_t masks_made() const {
        const std::lock_guard lock(mutex_);
        return masks_made_;
    }

private:
    std::shared_ptr<const token_mask> mask_of(std::uint32_t s) {
        if (states_[s].mask) {
            used_.splice(used_.begin(), used_, states_[s].use);
            return states_[s].mask;
        }
        token_mask m;
        m.bits.assign((trie_->vocabulary_size() + 63) / 64, 0);
        limit_walk();
        walk(trie_->root(), s, m);
        const auto& here = states_[s];
        if (here.state->accepts)
            for (const token id : trie_->end_tokens()) allow(m, id);
        if (m.count == 0 && here.alive && !here.state->accepts)
            throw config_error("grammar: too many readings, no token is left (simplify what repeats)");
        if (used_.size() >= limits_.masks) {
            states_[used_.back()].mask.reset();
            used_.pop_back();
        }
        used_.push_front(s);
        states_[s].use = used_.begin();
        ++masks_made_;
        return states_[s].mask = std::make_shared<const token_mask>(std::move(m));
    }

    static constexpr std::uint32_t unknown = std::numeric_limits<std::uint32_t>::max(), dead = unknown - 1;

    struct entry {
        std::shared_ptr<const grammar_state> state;
        bool alive = false;  // tokens of single bytes can complete the text
        std::shared_ptr<const token_mask> mask{};
        std::list<std::uint32_t>::iterator use{};  // where there is a mask
    };

    /// Bytes that no edge tells apart share a number.
    void number_bytes() {
        std::bitset<257> cuts;
        for (const auto& e : grammar_.states().byte_edges) {
            cuts.set(e.first);
            cuts.set(e.last + 1u);
        }
        std::uint32_t number = 0;
        for (unsigned b = 0; b < 256; ++b) {
            if (b > 0 && cuts[b]) ++number;
            byte_number_[b] = static_cast<std::uint8_t>(number);
        }
        byte_numbers_ = number + 1;
    }
    [[nodiscard]] bool can_be_completed(const grammar_state& s) const {
        const auto fine = [&](const grammar_state::stack& stack) {
            for (std::size_t i = 0; i < stack.size(); ++i)
                if (needs_[stack[i]] == automaton::never || i + needs_[stack[i]] > grammar_.limits().stack_depth)
                    return false;
            return true;
        };
        return s.accepts || std::any_of(s.stacks.begin(), s.stacks.end(), fine);
    }
    [[nodiscard]] position at(std::uint32_t s) const { return {states_[s].state, epoch_, s}; }
    [[nodiscard]] std::uint32_t known(const position& p) {
        return p.epoch == epoch_ && p.id < states_.size() ? p.id : find(*p.state);
    }
    std::uint32_t find(const grammar_state& state) {
        if (const auto it = ids_.find(&state); it != ids_.end()) return it->second;
        return add(std::make_shared<const grammar_state>(state));
    }
    std::uint32_t add(std::shared_ptr<const grammar_state> state) {
        const auto id = static_cast<std::uint32_t>(states_.size());
        memory_ += byte_numbers_;
        for (const auto& stack : state->stacks) memory_ += stack.size() + 8;
        ids_.emplace(state.get(), id);
        const bool alive = can_be_completed(*state);
        states_.push_back({std::move(state), alive});
        next_.resize(next_.size() + byte_numbers_, unknown);
        return id;
    }
    void forget_when_full() {
        if (states_.size() < limits_.states && memory_ < limits_.memory) return;
        ids_.clear();
        states_.clear();
        next_.clear();
        used_.clear();
        memory_ = 0;
        ++epoch_;
    }
    std::uint32_t step(std::uint32_t from, unsigned char byte) {
        const std::size_t slot = std::size_t{from} * byte_numbers_ + byte_number_[byte];
        if (next_[slot] == unknown) {
            auto state = grammar_.step(*states_[from].state, byte, work_);
            const std::uint32_t to = state.dead() ? dead : find(state);
            next_[slot] = to;  // after find, which may move the table
        }
        return next_[slot];
    }
    void limit_walk() {
        walk_limit_ = states_.size() + limits_.walk;
        work_limit_ = work_ + limits_.steps;
    }
    void walk(const token_trie::node& node, std::uint32_t s, token_mask& m) {
        for (const auto& child : trie_->children(node)) {
            const std::uint32_t to = step(s, child.byte);
            if (states_.size() > walk_limit_ || work_ > work_limit_ || memory_ > 4 * limits_.memory)
                throw config_error("grammar: too ambiguous, a token leads to too many states (simplify what repeats)");
            if (to == dead) continue;
            if (states_[to].alive)
                for (const token id : trie_->tokens(child)) allow(m, id);
            if (child.child_count > 0) walk(child, to, m);
        }
    }
    static void allow(token_mask& m, token id) {
        const auto i = static_cast<std::size_t>(id);
        m.bits[i / 64] |= std::uint64_t{1} << (i % 64);
        ++m.count;
    }

    struct by_value {
        bool operator()(const grammar_state* a, const grammar_state* b) const { return *a < *b; }
    };

    const token_trie* trie_;
    grammar grammar_;
    grammar_cache_limits limits_;
    std::array<std::uint8_t, 256> byte_number_{};
    std::uint32_t byte_numbers_ = 0;
    std::vector<std::uint32_t> needs_;  // as automaton::needs, with the bytes that are tokens
    std::shared_ptr<const grammar_state> start_;
    bool takes_extra_space_ = false;

    mutable std::mutex mutex_;  // over all below
    std::map<const grammar_state*, std::uint32_t, by_value> ids_;
    std::vector<entry> states_;
    std::vector<std::uint32_t> next_;  // [states, byte numbers]
    std::shared_ptr<const token_mask> spaced_;
    std::list<std::uint32_t> used_;  // states with masks, most recently used first
    std::size_t memory_ = 0, masks_made_ = 0;
    std::size_t work_ = 0, walk_limit_ = 0, work_limit_ = 0;  // work: stacks looked at so far
    std::uint64_t epoch_ = 0;
};

/// Same interface as choice_constraint. Copies are independent states that share the grammar.
class grammar_constraint {
public:
    /// @throws config_error when the grammar is too ambiguous to tell the first tokens.
    explicit grammar_constraint(std::shared_ptr<token_grammar> g) : grammar_(std::move(g)), here_(grammar_->start()) {
        (void)current();
    }

    /// The tokens that may come next, ascending.
    void allowed(std::vector<token>& out) const {
        out.clear();
        if (ended_) {
            out.assign(grammar_->trie().end_tokens().begin(), grammar_->trie().end_tokens().end());
            return;
        }
        const auto m = current();
        out.reserve(m->count);
        for (std::size_t w = 0; w < m->bits.size(); ++w)
            for (std::uint64_t rest = m->bits[w]; rest != 0; rest &= rest - 1)
                out.push_back(static_cast<token>(w * 64 + static_cast<std::size_t>(std::countr_zero(rest))));
    }
    /// Leaves only allowed tokens: where they are many the others are marked as removed, else they are dropped.
    void mask(candidates& c) const {
        if (ended_) {
            c.keep_ids(grammar_->trie().end_tokens());
            return;
        }
        const auto m = current();
        c.keep_bits(m->bits, m->count);
    }
    /// @throws config_error when the token is not allowed here.
    void advance(token id) {
        if (grammar_->trie().is_end(id) && can_end()) {
            ended_ = true;
            return;
        }
        std::string_view bytes = grammar_->trie().bytes(id);
        const bool fine = !bytes.empty() && !ended_;
        if (fine && may_take_space() && bytes.front() == ' ') {
            bytes.remove_prefix(1);
            spaced_ = true;
        }
        auto next = fine ? grammar_->advance(here_, bytes) : token_grammar::position{};
        if (!next.state || next.state->dead())
            throw config_error("token " + std::to_string(id) + " does not continue any text of the grammar");
        here_ = std::move(next);
        begun_ = begun_ || !bytes.empty();
    }
    /// Whether the text so far is complete.
    [[nodiscard]] bool can_end() const { return here_.state->accepts; }
    /// Whether nothing can follow.
    [[nodiscard]] bool finished() const { return ended_ || (can_end() && here_.state->stacks.empty()); }

    /// Whether a space may stand before the text that is not part of it.
    [[nodiscard]] bool takes_extra_space() const noexcept { return grammar_->takes_extra_space(); }

private:
    [[nodiscard]] bool may_take_space() const { return grammar_->takes_extra_space() && !begun_ && !spaced_; }
    [[nodiscard]] std::shared_ptr<const token_grammar::token_mask> current() const {
        return may_take_space() ? grammar_->spaced_mask() : grammar_->mask(here_);
    }

    std::shared_ptr<token_grammar> grammar_;
    token_grammar::position here_;
    bool begun_ = false, spaced_ = false, ended_ = false;
};

}  // namespace lab::sampling
