// Many texts as sequences of word numbers, four bytes a word, end to end in large blocks. Words are loose words
// (rouge.hpp), told apart by their 64-bit hashes alone.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"
#include "lab/sdg/hash_table.hpp"
#include "lab/sdg/rouge.hpp"

namespace lab::sdg {

/// hash64 of every loose word.
inline void loose_word_hashes(std::string_view text, std::vector<std::uint64_t>& hashes) {
    hashes.clear();
    constexpr std::uint64_t start = hash64("");
    std::uint64_t h = start;
    bool inside = false;
    for (const char c : text) {
        const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        if (detail::is_word_byte(lower) || static_cast<unsigned char>(lower) >= 0x80) {
            h = hash64({&lower, 1}, h);
            inside = true;
        } else if (inside) {
            hashes.push_back(std::exchange(h, start));
            inside = false;
        }
    }
    if (inside) hashes.push_back(h);
}
[[nodiscard]] inline std::vector<std::uint64_t> loose_word_hashes(std::string_view text) {
    std::vector<std::uint64_t> hashes;
    loose_word_hashes(text, hashes);
    return hashes;
}

/// One hash for a run of words.
[[nodiscard]] inline std::uint64_t hash_of_words(std::span<const std::uint64_t> hashes) noexcept {
    std::uint64_t h = hashes.size();
    for (const std::uint64_t w : hashes) h = std::rotl((h ^ w) * 0x9E3779B97F4A7C15u, 29);
    return h;
}

class word_store {
public:
    using word = prepared_sequence::word;
    static constexpr word unknown = hash_table::none;

    /// The words' numbers; `unknown` for those that no stored text has.
    void known(std::span<const std::uint64_t> hashes, std::vector<word>& numbers) const {
        numbers.clear();
        for (const std::uint64_t h : hashes) numbers.push_back(dictionary_.find(h));
    }
    /// Takes the text in and returns its index. @throws config_error beyond 2^32 - 2 texts or different words
    std::uint32_t add(std::span<const std::uint64_t> hashes) {
        if (hashes.size() >= unknown - dictionary_.size() || texts_.size() + 1 >= unknown)
            throw config_error(explain("word_store", "holds no more than 2^32 - 2 texts and different words"));
        if (free_.size() < hashes.size()) {
            const std::size_t size = std::max(block_size, hashes.size());
            blocks_.push_back(std::make_unique_for_overwrite<word[]>(size));
            free_ = {blocks_.back().get(), size};
        }
        const auto numbers = free_.first(hashes.size());
        free_ = free_.subspan(hashes.size());
        for (std::size_t i = 0; i < hashes.size(); ++i)
            numbers[i] = dictionary_.insert(hashes[i], static_cast<word>(dictionary_.size()));
        texts_.push_back({numbers.data(), static_cast<std::uint32_t>(numbers.size())});
        return static_cast<std::uint32_t>(texts_.size() - 1);
    }
    [[nodiscard]] std::span<const word> operator[](std::size_t item) const {
        return {texts_[item].begin, texts_[item].words};
    }
    [[nodiscard]] std::size_t size() const noexcept { return texts_.size(); }
    [[nodiscard]] std::size_t different_words() const noexcept { return dictionary_.size(); }

private:
    static constexpr std::size_t block_size = std::size_t{1} << 18;
    struct text {
        const word* begin;
        std::uint32_t words;
    };

    hash_table dictionary_;
    std::vector<std::unique_ptr<word[]>> blocks_;  // no text lies across two
    std::span<word> free_;                         // the rest of the last
    std::vector<text> texts_;
};

}  // namespace lab::sdg
