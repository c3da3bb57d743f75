// The vocabulary as a trie over bytes, built once for a tokenizer: a constraint walks it along the bytes that it
// allows, so that a mask costs what is reachable and not the size of the vocabulary. Control tokens are not in it.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/token.hpp"

namespace lab::sampling {

/// What a trie needs of a tokenizer (lab::tokenizer::tokenizer is one).
template <class T>
concept Vocabulary = requires(const T& t, token id) {
    { t.size() } -> std::convertible_to<std::size_t>;
    { t.is_special(id) } -> std::convertible_to<bool>;
    { t.is_end_of_generation(id) } -> std::convertible_to<bool>;
    std::string(t.piece_bytes(id));
};

class token_trie {
public:
    /// Longer pieces can never be chosen under a constraint. Bounds the depth of the trie.
    static constexpr std::size_t longest_piece = 512;

    struct node {
        std::uint32_t first_child = 0, child_count = 0;  // children are neighbours, by rising byte
        std::uint32_t first_token = 0, token_count = 0;  // tokens whose bytes end here
        unsigned char byte = 0;                          // on the edge that leads here
    };

    template <Vocabulary T>
    explicit token_trie(const T& tokenizer) {
        const std::size_t n = tokenizer.size();
        std::vector<std::pair<std::string, token>> pieces;
        pieces.reserve(n);
        for (std::size_t i = 0; i < n; ++i) {
            const auto id = static_cast<token>(i);
            if (tokenizer.is_end_of_generation(id)) end_tokens_.push_back(id);
            if (tokenizer.is_special(id) || tokenizer.is_end_of_generation(id)) continue;
            std::string bytes(tokenizer.piece_bytes(id));
            if (!bytes.empty() && bytes.size() <= longest_piece) pieces.emplace_back(std::move(bytes), id);
        }
        build(std::move(pieces), n);
    }

    [[nodiscard]] const node& root() const noexcept { return nodes_.front(); }
    [[nodiscard]] std::span<const node> children(const node& of) const noexcept {
        return std::span(nodes_).subspan(of.first_child, of.child_count);
    }
    [[nodiscard]] std::span<const token> tokens(const node& of) const noexcept {
        return std::span(tokens_).subspan(of.first_token, of.token_count);
    }
    /// The child along a byte; null when there is none.
    [[nodiscard]] const node* child(const node& of, unsigned char byte) const noexcept {
        const auto list = children(of);
        const auto it =
            std::lower_bound(list.begin(), list.end(), byte, [](const node& n, unsigned char b) { return n.byte < b; });
        return it != list.end() && it->byte == byte ? &*it : nullptr;
    }
    /// The bytes of a token in the trie; empty for others.
    [[nodiscard]] std::string_view bytes(token id) const noexcept {
        const auto i = static_cast<std::size_t>(id);
        if (id < 0 || i + 1 >= offsets_.size()) return {};
        return std::string_view(bytes_).substr(offsets_[i], offsets_[i + 1] - offsets_[i]);
    }
    /// Tokens that end a generation, ascending.
    [[nodiscard]] std::span<const token> end_tokens() const noexcept { return end_tokens_; }
    [[nodiscard]] bool is_end(token id) const noexcept {
        return std::binary_search(end_tokens_.begin(), end_tokens_.end(), id);
    }
    [[nodiscard]] std::size_t vocabulary_size() const noexcept { return offsets_.size() - 1; }
    [[nodiscard]] std::size_t node_count() const noexcept { return nodes_.size(); }

private:
    void build(std::vector<std::pair<std::string, token>> pieces, std::size_t vocabulary) {
        offsets_.assign(vocabulary + 1, 0);
        for (const auto& [piece, id] : pieces) {  // still in order of ids
            offsets_[static_cast<std::size_t>(id) + 1] = static_cast<std::uint32_t>(piece.size());
            bytes_ += piece;
        }
        for (std::size_t i = 0; i < vocabulary; ++i) offsets_[i + 1] += offsets_[i];

        std::sort(pieces.begin(), pieces.end());
        struct range {
            std::size_t begin, end, depth;
        };
        std::vector<range> ranges{{0, pieces.size(), 0}};  // one for each node, in the same order: breadth first
        nodes_.emplace_back();
        for (std::size_t n = 0; n < nodes_.size(); ++n) {
            auto [begin, end, depth] = ranges[n];
            nodes_[n].first_token = static_cast<std::uint32_t>(tokens_.size());
            for (; begin < end && pieces[begin].first.size() == depth; ++begin) tokens_.push_back(pieces[begin].second);
            nodes_[n].token_count = static_cast<std::uint32_t>(tokens_.size()) - nodes_[n].first_token;
            nodes_[n].first_child = static_cast<std::uint32_t>(nodes_.size());
            while (begin < end) {
                const char byte = pieces[begin].first[depth];
                std::size_t next = begin;
                while (next < end && pieces[next].first[depth] == byte) ++next;
                node child;
                child.byte = static_cast<unsigned char>(byte);
                nodes_.push_back(child);
                ranges.push_back({begin, next, depth + 1});
                begin = next;
            }
            nodes_[n].child_count = static_cast<std::uint32_t>(nodes_.size()) - nodes_[n].first_child;
        }
    }

    std::vector<node> nodes_;
    std::vector<token> tokens_, end_tokens_;
    std::string bytes_;
    std::vector<std::uint32_t> offsets_;  // [vocabulary + 1] into bytes_
};

}  // namespace lab::sampling
