// Pre-tokenizers of byte-level BPE: cuts text into the pieces inside which merges may happen. The regular expressions
// of the known families are data (`word_pattern`) for one hand-written matcher; names as in GGUF's tokenizer.ggml.pre.
// Patterns that only a checkpoint knows are not run here: `split_rule_from_regex` does not find them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "lab/core/error.hpp"
#include "lab/tokenizer/unicode.hpp"

namespace lab::tokenizer {

enum class contractions : std::uint8_t { none, lower_case, any_case };

/// The alternatives in which the known patterns differ; the comment beside each gives its regular expression.
struct word_pattern {
    contractions apostrophes = contractions::lower_case;  // 's|'t|'re|'ve|'m|'ll|'d
    bool any_prefix = false;                              // [^\r\n\p{L}\p{N}]?\p{L}+ instead of ' ?\p{L}+'
    bool marks_in_words = false;                          // [\p{L}\p{M}]+ instead of \p{L}+
    bool by_case = false;       // upper_like* lower_like+ | upper_like+ lower_like*, contraction as a suffix
    std::uint8_t digits = 0;    // \p{N}{1,digits}; 0: ' ?\p{N}+'
    bool digits_apart = false;  // digits are cut out first: what stands before them ends there
    bool newline_tail = false;  // punctuation takes [\r\n]* with it
    bool slash_tail = false;    // ... and '/'
    bool newline_runs = false;  // \s*[\r\n]+
};

enum class split_rule : std::uint8_t {
    gpt2,
    smollm,
    llama3,
    qwen2,
    qwen35,
    seed_coder,
    no_contractions,
    gpt4o,
    tekken,
    each_number,
    three_numbers,
    number_runs,
    digit_triples,
    punctuation_runs,
    punctuation_runs_falcon,
};

namespace patterns {
inline constexpr word_pattern gpt2{};
inline constexpr word_pattern smollm{.digits = 1, .digits_apart = true};
inline constexpr word_pattern llama3{
    .apostrophes = contractions::any_case, .any_prefix = true, .digits = 3, .newline_tail = true, .newline_runs = true};
inline constexpr word_pattern qwen2{
    .apostrophes = contractions::any_case, .any_prefix = true, .digits = 1, .newline_tail = true, .newline_runs = true};
inline constexpr word_pattern qwen35{.apostrophes = contractions::any_case,
                                     .any_prefix = true,
                                     .marks_in_words = true,
                                     .digits = 1,
                                     .newline_tail = true,
                                     .newline_runs = true};
inline constexpr word_pattern seed_coder{
    .apostrophes = contractions::any_case, .any_prefix = true, .digits = 1, .newline_runs = true};
inline constexpr word_pattern no_contractions{
    .apostrophes = contractions::none, .any_prefix = true, .digits = 1, .newline_tail = true, .newline_runs = true};
inline constexpr word_pattern gpt4o{.apostrophes = contractions::any_case,
                                    .any_prefix = true,
                                    .by_case = true,
                                    .digits = 3,
                                    .newline_tail = true,
                                    .slash_tail = true,
                                    .newline_runs = true};
inline constexpr word_pattern tekken{.apostrophes = contractions::none,
                                     .any_prefix = true,
                                     .by_case = true,
                                     .digits = 1,
                                     .newline_tail = true,
                                     .slash_tail = true,
                                     .newline_runs = true};
}  // namespace patterns

/// Finds piece ends. `data` is the class table, fetched once per text.
class splitter {
public:
    /// @param fold_long_s (?i:'s) also takes U+017F, as the Unicode case folding of HF's regex engine has it;
    /// llama.cpp's matcher folds ASCII only.
    explicit splitter(bool fold_long_s, const unicode_data& data = unicode_data::get())
        : data_(&data), fold_long_s_(fold_long_s) {}

    /// End of the piece that starts at p < end; always beyond p.
    [[nodiscard]] const char* piece_end(split_rule rule, const char* p, const char* end) const {
        switch (rule) {
            case split_rule::gpt2:
                return word_end<patterns::gpt2>(p, end);
            case split_rule::smollm:
                return word_end<patterns::smollm>(p, end);
            case split_rule::llama3:
                return word_end<patterns::llama3>(p, end);
            case split_rule::qwen2:
                return word_end<patterns::qwen2>(p, end);
            case split_rule::qwen35:
                return word_end<patterns::qwen35>(p, end);
            case split_rule::seed_coder:
                return word_end<patterns::seed_coder>(p, end);
            case split_rule::no_contractions:
                return word_end<patterns::no_contractions>(p, end);
            case split_rule::gpt4o:
                return word_end<patterns::gpt4o>(p, end);
            case split_rule::tekken:
                return word_end<patterns::tekken>(p, end);
            case split_rule::punctuation_runs:
                return run_end(p, end, [](const look& c) { return old_punctuation(c, false); });
            case split_rule::punctuation_runs_falcon:
                return run_end(p, end, [](const look& c) { return old_punctuation(c, true); });
            case split_rule::each_number:
                return numbers_end(p, end, 1);
            case split_rule::three_numbers:
                return numbers_end(p, end, 3);
            case split_rule::number_runs:
                return run_end(p, end, [](const look& c) { return c.is(char_class::number); });
            case split_rule::digit_triples:
                return triple_end(p, end);
        }
        return end;
    }

private:
    struct look {
        char32_t value = 0;
        std::uint32_t length = 0;  // 0 at the end
        std::uint8_t classes = 0;
        [[nodiscard]] bool is(unsigned mask) const { return (classes & mask) != 0; }
        [[nodiscard]] bool newline() const { return value == '\n' || value == '\r'; }
    };

    [[nodiscard]] look at(const char* p, const char* end) const {
        if (p == end) return {};
        const auto byte = static_cast<unsigned char>(*p);
        if (byte < 0x80) return {byte, 1, data_->classes(byte)};
        const code_point c = decode_utf8({p, static_cast<std::size_t>(end - p)}, utf8_rules::lenient);
        return {c.value, c.length, data_->classes(c.value)};
    }

    template <class Predicate>
    [[nodiscard]] const char* skip(const char* p, const char* end, Predicate inside) const {
        for (look c = at(p, end); c.length != 0 && inside(c); c = at(p, end)) p += c.length;
        return p;
    }
    [[nodiscard]] const char* skip_classes(const char* p, const char* end, unsigned mask) const {
        return skip(p, end, [mask](const look& c) { return c.is(mask); });
    }

    template <bool AnyCase>
    [[nodiscard]] std::size_t contraction_length(const char* p, const char* end) const {
        if (end - p < 2 || *p != '\'') return 0;
        const auto fold = [](char c) { return AnyCase && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
        const char a = fold(p[1]);
        if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
        if (end - p < 3) return 0;
        if (AnyCase && fold_long_s_ && a == '\xC5' && p[2] == '\xBF') return 3;
        const char b = fold(p[2]);
        return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
    }

    template <word_pattern P>
    [[nodiscard]] const char* word_end(const char* p, const char* end) const {
        constexpr unsigned word = char_class::letter | (P.marks_in_words ? char_class::mark : 0U);
        constexpr unsigned not_other = word | char_class::number | char_class::space;
        constexpr bool any_case = P.apostrophes == contractions::any_case;
        const look first = at(p, end);
        if constexpr (P.apostrophes != contractions::none && !P.by_case) {
            if (const std::size_t n = contraction_length<any_case>(p, end); n != 0) return p + n;
        }
        const bool space_first = first.value == ' ';
        const look second = space_first || P.any_prefix ? at(p + first.length, end) : look{};

        if constexpr (P.by_case) {
            if (const char* q = cased_word_end(p, end); q != p) {
                if constexpr (P.apostrophes != contractions::none) q += contraction_length<any_case>(q, end);
                return q;
            }
        } else {
            if (first.is(word)) return skip_classes(p + first.length, end, word);
            const bool prefix = P.any_prefix ? !first.newline() && !first.is(char_class::number) : space_first;
            if (prefix && second.is(word)) return skip_classes(p + first.length + second.length, end, word);
        }
        if (first.is(char_class::number))
            return P.digits == 0 ? skip_classes(p, end, char_class::number) : numbers_end(p, end, P.digits);
        if (P.digits == 0 && space_first && second.is(char_class::number))
            return skip_classes(p + first.length, end, char_class::number);

        const look& other = space_first ? second : first;
        if (other.length != 0 && !other.is(not_other)) {
            p = skip(p + (space_first ? 1 : 0), end, [&](const look& c) { return !c.is(not_other); });
            if constexpr (P.newline_tail) {
                while (p != end && (*p == '\r' || *p == '\n' || (P.slash_tail && *p == '/'))) ++p;
            }
            return p;
        }
        return white_space_end<P>(p, end);
    }

    template <word_pattern P>
    [[nodiscard]] const char* white_space_end(const char* p, const char* end) const {
        const char* const start = p;
        const char* last = p;  // start of the run's last character
        const char* newline_end = nullptr;
        look c = at(p, end);
        for (; c.is(char_class::space); c = at(p, end)) {
            last = p;
            p += c.length;
            if (c.newline()) newline_end = p;
        }
        if (p == start) return p + c.length;  // no alternative matches: the code point stands alone
        if (P.newline_runs && newline_end != nullptr) return newline_end;
        const bool at_end = c.length == 0 || (P.digits_apart && c.is(char_class::number));
        return at_end || last == start ? p : last;
    }

    // [^\r\n\p{L}\p{N}]?U*L+ | [^\r\n\p{L}\p{N}]?U+L*, U and L sharing \p{Lm}\p{Lo}\p{M}; p when neither matches.
    [[nodiscard]] const char* cased_word_end(const char* p, const char* end) const {
        const look first = at(p, end);
        const bool may_prefix =
            !first.newline() && !first.is(char_class::letter | char_class::number) && first.length != 0;
        const char* const starts[] = {may_prefix ? p + first.length : p, p};
        for (const bool lower_needed : {true, false}) {
            for (const char* from : starts) {
                const char* q = from;
                const char* after_shared = nullptr;  // where U* would end if it gave back its last shared character
                for (look c = at(q, end); c.is(char_class::upper_like); c = at(q, end)) {
                    q += c.length;
                    if (c.is(char_class::lower_like)) after_shared = q;
                }
                const char* r = skip_classes(q, end, char_class::lower_like);
                if (lower_needed && r == q) {
                    if (after_shared != nullptr) return after_shared;
                    continue;
                }
                if (!lower_needed && q == from) continue;
                return r;
            }
        }
        return p;
    }

    // Up to `most` numbers, or all that is no number.
    [[nodiscard]] const char* numbers_end(const char* p, const char* end, unsigned most) const {
        look c = at(p, end);
        if (!c.is(char_class::number)) return skip(p, end, [](const look& d) { return !d.is(char_class::number); });
        for (unsigned n = 0; n < most && c.is(char_class::number); ++n, c = at(p, end)) p += c.length;
        return p;
    }
    template <class Predicate>
    [[nodiscard]] const char* run_end(const char* p, const char* end, Predicate inside) const {
        const bool matching = inside(at(p, end));
        return skip(p, end, [&](const look& c) { return inside(c) == matching; });
    }
    [[nodiscard]] static bool old_punctuation(const look& c, bool grave) {
        if (c.is(char_class::punctuation)) return true;
        constexpr std::string_view extra = "$+<=>^~|";
        return c.value < 0x80 && (extra.find(static_cast<char>(c.value)) != extra.npos || (grave && c.value == '`'));
    }
    [[nodiscard]] static const char* triple_end(const char* p, const char* end) {
        const auto triple = [end](const char* q) {
            const auto digit = [](char c) { return c >= '0' && c <= '9'; };
            return end - q >= 3 && digit(q[0]) && digit(q[1]) && digit(q[2]);
        };
        if (triple(p)) return p + 3;
        while (p != end && !triple(p)) ++p;
        return p;
    }

    const unicode_data* data_;
    bool fold_long_s_;
};

/// A sequence of at most four rules, each cutting what the one before it left; none: the text stays whole.
class pre_tokenizer {
public:
    pre_tokenizer() = default;
    pre_tokenizer(std::initializer_list<split_rule> rules) {
        for (const split_rule rule : rules) add(rule);
    }
    /// @throws config_error for a fifth rule.
    void add(split_rule rule) {
        if (count_ == rules_.size()) throw config_error(explain("pre-tokenizer", "has more than four steps"));
        rules_[count_++] = rule;
        // Digits cut out before GPT-2's pattern: the same pieces in one pass.
        if (count_ == 2 && rules_[0] == split_rule::each_number && rule == split_rule::gpt2) {
            rules_ = {split_rule::smollm};
            count_ = 1;
        }
    }
    [[nodiscard]] bool empty() const { return count_ == 0; }
    template <class Sink>
    void split(std::string_view text, Sink&& sink) const {
        if (!text.empty()) split(splitter(fold_long_s), 0, text, sink);
    }
    bool operator==(const pre_tokenizer&) const = default;

    bool fold_long_s = false;  // see splitter

private:
    template <class Sink>
    void split(const splitter& s, std::size_t depth, std::string_view text, Sink& sink) const {
        if (depth == count_) return sink(text);
        const char* p = text.data();
        for (const char* const end = p + text.size(); p != end;) {
            const char* const q = s.piece_end(rules_[depth], p, end);
            split(s, depth + 1, std::string_view(p, static_cast<std::size_t>(q - p)), sink);
            p = q;
        }
    }
    std::array<split_rule, 4> rules_{};
    std::size_t count_ = 0;
};

/// A GGUF pre-tokenizer name with llama.cpp's defaults for it.
struct named_pre_tokenizer {
    pre_tokenizer rules;
    bool ignore_merges = false;
    bool add_bos = false;
};

/// Looks up tokenizer.ggml.pre; nothing for a name whose pattern is not built in.
[[nodiscard]] inline std::optional<named_pre_tokenizer> pre_tokenizer_by_name(std::string_view name) {
    using enum split_rule;
    const auto any = [name](std::initializer_list<std::string_view> names) {
        for (const auto n : names)
            if (n == name) return true;
        return false;
    };
    if (any({"gpt-2", "phi-2", "jina-es", "jina-de", "jina-v1-en", "jina-v2-es", "jina-v2-de", "jina-v2-code",
             "roberta-bpe", "gigachat", "a.x-4.0", "mellum", "modern-bert", "exaone4", "mpt", "olmo", "jais",
             "trillion", "granite-docling"}))
        return named_pre_tokenizer{{gpt2}};
    if (any({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"}))
        return named_pre_tokenizer{{smollm}};
    if (any({"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"}))
        return named_pre_tokenizer{{llama3}, true, true};
    if (any({"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"})) return named_pre_tokenizer{{llama3}};
    if (any({"qwen2", "deepseek-r1-qwen", "stablelm2", "megrez", "hunyuan", "solar-open", "grok-2", "kormo",
             "f2llmv2"}))
        return named_pre_tokenizer{{qwen2}};
    if (name == "qwen35") return named_pre_tokenizer{{qwen35}};
    if (name == "minicpm5") return named_pre_tokenizer{{three_numbers, llama3}, true};
    if (name == "seed-coder") return named_pre_tokenizer{{seed_coder}};
    if (name == "ufakzeka") return named_pre_tokenizer{{no_contractions}};
    if (any({"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"})) return named_pre_tokenizer{{gpt4o}};
    if (name == "tekken") return named_pre_tokenizer{{tekken}, true, true};
    if (name == "falcon") return named_pre_tokenizer{{punctuation_runs_falcon, gpt2, digit_triples}};
    if (name == "default" || name.empty())
        return named_pre_tokenizer{{punctuation_runs, gpt2, number_runs, digit_triples}};
    return std::nullopt;
}

/// Recognises the regular expressions found in the tokenizer.json files of the known families.
[[nodiscard]] inline std::optional<split_rule> split_rule_from_regex(std::string_view regex) {
    struct known {
        std::string_view regex;
        split_rule rule;
    };
    static constexpr known table[] = {
        {R"(\p{N})", split_rule::each_number},
        {R"(\p{N}{1,3})", split_rule::three_numbers},
        {R"(\p{N}+)", split_rule::number_runs},
        {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", split_rule::gpt2},
        {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", split_rule::gpt2},
        {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
         split_rule::llama3},
        {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
         split_rule::qwen2},
        {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
         split_rule::qwen35},
        {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)",
         split_rule::seed_coder},
        {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
         split_rule::gpt4o},
        {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
         split_rule::tekken},
    };
    for (const known& k : table)
        if (k.regex == regex) return k.rule;
    return std::nullopt;
}

}  // namespace lab::tokenizer
