// A byte-level BPE vocabulary learnt from text: the commonest pair of neighbours becomes a token, again and again
// (Sennrich et al. 2016). Vocabulary and merges are those of Hugging Face tokenizers' BpeTrainer over the same lines,
// with ByteLevel's alphabet as the initial one: pairs of equal counts go by their ids, special tokens and the 256 bytes
// come first. A merge touches only the words that hold its pair, whose counts it keeps up to date.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/tokenizer/byte_level_bpe.hpp"
#include "lab/tokenizer/pre_tokenizer.hpp"
#include "lab/tokenizer/unicode.hpp"
#include "lab/tokenizer/vocabulary.hpp"

namespace lab::tokenizer {

struct bpe_training {
    std::size_t vocab_size = 30'000;            // with special tokens and bytes; fewer where the text has no more pairs
    std::uint64_t min_frequency = 0;            // of a pair that is merged
    std::vector<std::string> special_tokens{};  // the first ids, in this order; text that looks like one is text
    pre_tokenizer splits{split_rule::gpt2};     // no token crosses its pieces
    std::function<void(std::size_t tokens)> progress{};  // told now and then how many there are
};

/// @throws config_error for a special token that is empty or given twice, and for a size below the 256 bytes and the
/// special tokens.
inline void check_bpe_training(const bpe_training& options) {
    std::unordered_set<std::string_view> given;
    for (const std::string& text : options.special_tokens) {
        if (text.empty())
            throw config_error(explain("special tokens", "one of them is empty", "give each a text: <|endoftext|>"));
        if (!given.insert(text).second)
            throw config_error(explain("special token '" + text + "'", "is given twice", "give each once"));
    }
    const std::size_t least = 256 + options.special_tokens.size();
    if (options.vocab_size < least)
        throw config_error(explain(
            "a vocabulary of " + std::to_string(options.vocab_size) + " tokens",
            "has no room for the 256 bytes and " + std::to_string(options.special_tokens.size()) + " special tokens",
            "ask for at least " + std::to_string(least)));
}

/// Cuts whole lines off the front of a text that is not empty: `least` bytes, and on to the end of that line.
[[nodiscard]] inline std::string_view cut_lines(std::string_view& text, std::size_t least) {
    const std::size_t end = text.find('\n', std::min(least, text.size()) - 1);
    const auto lines = text.substr(0, std::min(end, text.size() - 1) + 1);
    text.remove_prefix(lines.size());
    return lines;
}

/// How often each piece of a text comes, by the bytes.
class piece_counts {
public:
    /// Counts the pieces of each line, its end included; what is not UTF-8 as U+FFFD, as encoding has it.
    void add(std::string_view text, const pre_tokenizer& splits) {
        while (!text.empty()) {
            const std::string_view line = cut_lines(text, 1);
            if (valid_utf8_prefix(line) == line.size())
                splits.split(line, [&](std::string_view piece) { add_piece(piece, 1); });
            else
                splits.split(repair_utf8(line, utf8_rules::lenient),
                             [&](std::string_view piece) { add_piece(piece, 1); });
        }
    }
    /// The same by all threads. @throws what a thread threw
    void add(std::string_view text, const pre_tokenizer& splits, thread_pool& pool) {
        std::vector<std::string_view> parts;  // of whole lines
        for (const std::size_t share = text.size() / pool.size() + 1; !text.empty();)
            parts.push_back(cut_lines(text, share));
        std::vector<piece_counts> counts(parts.size());
        pool.share_out(parts.size(), 1, [&](std::size_t begin, std::size_t end, std::size_t) {
            for (std::size_t i = begin; i < end; ++i) counts[i].add(parts[i], splits);
        });
        for (const auto& part : counts)
            for (const auto& [piece, count] : part.all()) add_piece(piece, count);
    }

    struct hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view piece) const noexcept { return std::hash<std::string_view>{}(piece); }
    };
    using map = std::unordered_map<std::string, std::uint64_t, hash, std::equal_to<>>;
    [[nodiscard]] const map& all() const noexcept { return counts_; }

private:
    void add_piece(std::string_view piece, std::uint64_t count) {
        const auto found = counts_.find(piece);
        if (found != counts_.end())
            found->second += count;
        else
            counts_.emplace(piece, count);
    }
    map counts_;
};

namespace detail {

class bpe_learner {
public:
    bpe_learner(const piece_counts& counts, const bpe_training& options) : options_(options) {
        const auto& alphabet = byte_alphabet::get();
        for (const std::string& text : options.special_tokens) (void)token_of(text);
        std::array<unsigned char, 256> by_letter{};
        std::iota(by_letter.begin(), by_letter.end(), static_cast<unsigned char>(0));
        std::sort(by_letter.begin(), by_letter.end(),
                  [&](unsigned char a, unsigned char b) { return alphabet.letter(a) < alphabet.letter(b); });
        std::array<token, 256> bytes{};
        for (const unsigned char b : by_letter)
            bytes[b] = token_of(alphabet.spell(std::string(1, static_cast<char>(b))));
        for (const auto& [piece, count] : counts.all()) {
            words_.push_back({symbols_.size(), piece.size(), static_cast<std::int64_t>(count)});
            for (const char c : piece) symbols_.push_back(bytes[static_cast<unsigned char>(c)]);
        }
    }

    /// The merges, best first.
    std::vector<std::pair<token, token>> learn() {
        for (std::uint32_t w = 0; w < words_.size(); ++w)
            for (std::size_t i = 1; i < words_[w].size; ++i) {
                const token* s = &symbols_[words_[w].begin + i];
                change(key_of(s[-1], s[0]), words_[w].count, w);
            }
        queue_changed();
        std::vector<std::uint64_t> merges;
        while (texts_.size() < options_.vocab_size && !queue_.empty()) {
            candidate best = queue_.top();
            queue_.pop();
            const auto count = counts_.at(best.pair);
            if (best.count != count) {
                best.count = count;
                queue_.push(best);
                continue;
            }
            if (count < 1 || static_cast<std::uint64_t>(count) < options_.min_frequency) break;
            const auto left = static_cast<token>(best.pair >> 32), right = static_cast<token>(best.pair & 0xFFFFFFFF);
            const token joined =
                token_of(texts_[static_cast<std::size_t>(left)] + texts_[static_cast<std::size_t>(right)]);
            merges.push_back(best.pair);
            for (const std::uint32_t w : std::exchange(places_[best.places], {})) merge(w, left, right, joined);
            queue_changed();
            if (options_.progress && merges.size() % 256 == 0) options_.progress(texts_.size());
        }
        return last_of_each(merges);
    }
    [[nodiscard]] std::vector<std::string>& texts() noexcept { return texts_; }

private:
    struct word {
        std::size_t begin, size;  // in symbols_
        std::int64_t count;
    };
    struct candidate {
        std::int64_t count;
        std::uint64_t pair;
        std::size_t places;  // in places_: the words that had it when it was queued
        bool operator<(const candidate& other) const noexcept {
            return count != other.count ? count < other.count : pair > other.pair;
        }
    };

    [[nodiscard]] static std::uint64_t key_of(token left, token right) noexcept {
        return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
    }
    token token_of(const std::string& text) {
        const auto [at, is_new] = ids_.emplace(text, static_cast<token>(texts_.size()));
        if (is_new) texts_.push_back(text);
        return at->second;
    }
    /// A pair comes `count` times more (less, below 0) in word w.
    void change(std::uint64_t pair, std::int64_t count, std::uint32_t w) {
        counts_[pair] += count;
        if (count < 0) return;
        auto& words = grown_[pair];
        if (words.empty() || words.back() != w) words.push_back(w);
    }
    void queue_changed() {
        for (auto& [pair, words] : grown_)
            if (const auto count = counts_.at(pair); count > 0) {
                queue_.push({count, pair, places_.size()});
                places_.push_back(std::move(words));
            }
        grown_.clear();
    }
    void merge(std::uint32_t w, token left, token right, token joined) {
        token* const s = &symbols_[words_[w].begin];
        const std::size_t n = words_[w].size;
        const std::int64_t count = words_[w].count;
        std::size_t out = 0;
        for (std::size_t i = 0; i < n; ++out) {
            if (i + 1 == n || s[i] != left || s[i + 1] != right) {
                s[out] = s[i++];
                continue;
            }
            if (out > 0) {
                change(key_of(s[out - 1], left), -count, w);
                change(key_of(s[out - 1], joined), count, w);
            }
            if (i + 2 < n) {
                change(key_of(right, s[i + 2]), -count, w);
                change(key_of(joined, s[i + 2]), count, w);
            }
            s[out] = joined;
            i += 2;
        }
        words_[w].size = out;
    }
    /// A pair can be merged again where its token was made in two ways; its rank is that of the last time.
    [[nodiscard]] static std::vector<std::pair<token, token>> last_of_each(const std::vector<std::uint64_t>& merges) {
        std::unordered_map<std::uint64_t, std::size_t> last;
        for (std::size_t i = 0; i < merges.size(); ++i) last[merges[i]] = i;
        std::vector<std::pair<token, token>> out;
        for (std::size_t i = 0; i < merges.size(); ++i)
            if (last.at(merges[i]) == i)
                out.emplace_back(static_cast<token>(merges[i] >> 32), static_cast<token>(merges[i] & 0xFFFFFFFF));
        return out;
    }

    const bpe_training& options_;
    std::vector<std::string> texts_;  // by id, in the byte alphabet
    std::unordered_map<std::string, token> ids_;
    std::vector<token> symbols_;  // of all words
    std::vector<word> words_;
    std::unordered_map<std::uint64_t, std::int64_t> counts_;               // of each pair
    std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> grown_;  // pairs that came up since the last merge
    std::vector<std::vector<std::uint32_t>> places_;
    std::priority_queue<candidate> queue_;
};

}  // namespace detail

/// Of counted pieces, the vocabulary that BpeTrainer learns. Decodes to the very bytes it encodes, any bytes.
/// @throws as check_bpe_training
[[nodiscard]] inline vocabulary train_bpe(const piece_counts& counts, const bpe_training& options) {
    check_bpe_training(options);
    detail::bpe_learner learner(counts, options);
    const auto merges = learner.learn();
    vocabulary v;
    v.kind = algorithm::byte_level_bpe;
    v.splits = options.splits;
    v.splits.fold_long_s = true;
    v.mark = word_mark::never;
    v.texts = std::move(learner.texts());
    for (const auto& [left, right] : merges)
        v.merges.emplace_back(v.texts[static_cast<std::size_t>(left)], v.texts[static_cast<std::size_t>(right)]);
    v.kinds.assign(v.texts.size(), token_kind::normal);
    for (const std::string& text : options.special_tokens) {
        const token id = find_token(v, text);
        v.kinds[static_cast<std::size_t>(id)] = token_kind::control;
        v.added.push_back({.text = text, .id = id});
    }
    return v;
}

}  // namespace lab::tokenizer
