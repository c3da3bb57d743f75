// Unicode normalisation form C (UAX #15): decompose, order marks by combining class, compose. Some tokenizer.json files
// (Qwen's) ask for it. Tables: unicode_tables.hpp; Hangul by arithmetic. No other form is offered.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lab/tokenizer/unicode.hpp"

namespace lab::tokenizer {

class composition_data {
public:
    [[nodiscard]] static const composition_data& get() {
        static const composition_data data;
        return data;
    }
    [[nodiscard]] std::uint8_t combining_class(char32_t c) const {
        if (c < 0x300) return 0;
        const auto next = std::upper_bound(class_runs_.begin(), class_runs_.end(), c,
                                           [](char32_t value, const class_run& r) { return value < r.first; });
        if (next == class_runs_.begin()) return 0;
        const class_run& run = *(next - 1);
        return c < run.first + run.length ? run.value : std::uint8_t{0};
    }
    void decompose(char32_t c, std::u32string& out) const {
        if (c >= hangul && c < hangul + hangul_count) {
            const char32_t s = c - hangul;
            out.push_back(0x1100 + s / 588);
            out.push_back(0x1161 + s % 588 / 28);
            if (s % 28 != 0) out.push_back(0x11A7 + s % 28);
        } else if (const auto found = parts_.find(c); found != parts_.end()) {
            out += found->second;
        } else {
            out.push_back(c);
        }
    }
    /// The code point that two compose to, or 0.
    [[nodiscard]] char32_t compose(char32_t first, char32_t second) const {
        if (first >= 0x1100 && first < 0x1113 && second >= 0x1161 && second < 0x1176)
            return hangul + ((first - 0x1100) * 21 + (second - 0x1161)) * 28;
        if (first >= hangul && first < hangul + hangul_count && (first - hangul) % 28 == 0 && second > 0x11A7 &&
            second < 0x11C3)
            return first + (second - 0x11A7);
        const auto found = pairs_.find(pair_key(first, second));
        return found == pairs_.end() ? U'\0' : found->second;
    }

private:
    static constexpr char32_t hangul = 0xAC00;
    static constexpr char32_t hangul_count = 11172;
    struct class_run {
        char32_t first;
        char32_t length;
        std::uint8_t value;
    };
    [[nodiscard]] static std::uint64_t pair_key(char32_t first, char32_t second) {
        return std::uint64_t{first} << 32 | std::uint64_t{second};
    }

    composition_data() {
        char32_t at = 0;
        for (packed_reader in(unicode_tables::combining_classes); !in.done();) {
            at += in.number();
            const char32_t length = in.number();
            class_runs_.push_back({at, length, static_cast<std::uint8_t>(in.number())});
            at += length;
        }
        std::unordered_map<std::string, char32_t> composites;  // keyed by the bytes of the parts
        const auto key = [](std::u32string_view parts) {
            return std::string(reinterpret_cast<const char*>(parts.data()), parts.size() * sizeof(char32_t));
        };
        char32_t c = 0;
        for (packed_reader in(unicode_tables::decompositions); !in.done();) {
            c += in.number();
            const std::uint32_t head = in.number();
            std::u32string parts;
            for (std::uint32_t i = 0; i < head / 2; ++i) parts.push_back(in.number());
            if ((head & 1U) != 0) composites.emplace(key(parts), c);
            parts_.emplace(c, std::move(parts));
        }
        // A composite of n parts is composed from that of its first n - 1 and the last.
        for (const auto& entry : composites) {
            const std::u32string& parts = parts_.at(entry.second);
            const auto first = std::u32string_view(parts).substr(0, parts.size() - 1);
            const char32_t head = first.size() == 1 ? first[0] : composites.at(key(first));
            pairs_.emplace(pair_key(head, parts.back()), entry.second);
        }
    }

    std::vector<class_run> class_runs_;
    std::unordered_map<char32_t, std::u32string> parts_;
    std::unordered_map<std::uint64_t, char32_t> pairs_;
};

/// False for text that is surely in form C already: nothing from U+0300 on.
[[nodiscard]] inline bool needs_composing(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0xCC; });
}

/// The text in normalisation form C. Broken bytes become U+FFFD.
[[nodiscard]] inline std::string compose(std::string_view text) {
    const auto& data = composition_data::get();
    std::u32string all;
    for (code_point c = decode_utf8(text, utf8_rules::lenient); c.length != 0;
         c = decode_utf8(text, utf8_rules::lenient)) {
        data.decompose(c.value, all);
        text.remove_prefix(c.length);
    }
    std::vector<std::uint8_t> classes(all.size());
    std::transform(all.begin(), all.end(), classes.begin(), [&](char32_t c) { return data.combining_class(c); });
    struct mark {
        std::uint8_t order;
        std::size_t place;
        char32_t character;
    };
    std::vector<mark> marks;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (classes[i] == 0) continue;
        const std::size_t first = i;
        marks.clear();
        for (; i < all.size() && classes[i] != 0; ++i) marks.push_back({classes[i], i, all[i]});
        std::sort(marks.begin(), marks.end(), [](const mark& a, const mark& b) {
            return a.order != b.order ? a.order < b.order : a.place < b.place;
        });
        for (std::size_t k = 0; k < marks.size(); ++k) {
            classes[first + k] = marks[k].order;
            all[first + k] = marks[k].character;
        }
    }
    std::u32string composed;
    std::size_t starter = std::u32string::npos;
    unsigned last_class = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const unsigned value = classes[i];
        const bool adjacent = starter != std::u32string::npos && starter + 1 == composed.size();
        // A mark is blocked from its starter by another of the same or a higher class in between.
        if (starter != std::u32string::npos && (adjacent || (last_class < value && last_class != 0))) {
            if (const char32_t joined = data.compose(composed[starter], all[i]); joined != 0) {
                composed[starter] = joined;
                continue;
            }
        }
        if (value == 0) starter = composed.size();
        last_class = value;
        composed.push_back(all[i]);
    }
    std::string out;
    for (const char32_t c : composed) append_utf8(out, c);
    return out;
}

}  // namespace lab::tokenizer
