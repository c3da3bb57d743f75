// Texts to look for duplicates in, each a pure function of (seed, number): `edits` are sentences of given files put
// together anew, a quarter of them copies of earlier texts with a share of words changed; `frames` are few frames with
// slots filled from a list, where texts of one frame resemble each other closely without being duplicates. Lengths are
// uniform.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/core/rng.hpp"
#include "lab/formats/jsonl.hpp"

namespace lab::bench {

struct text_options {
    std::uint64_t seed = 1;
    std::size_t least_words = 20, most_words = 300;
    std::size_t per_frame = 1000;                  // texts of one frame
    double least_slots = 0.08, most_slots = 0.45;  // share of a frame's words that are filled in
};

class sample_texts {
public:
    /// `files` are for `edits`: plain text, or JSON and JSON Lines, of which all strings are taken.
    sample_texts(std::string kind, std::size_t count, const std::vector<std::filesystem::path>& files,
                 text_options options = {})
        : options_(options), frames_(count / options.per_frame + 1), edits_(kind == "edits") {
        if (!edits_ && kind != "frames") throw config_error(explain("--kind", "is 'edits' or 'frames'"));
        for (const auto& file : files) read(file);
        if (edits_ && sentences_.size() < 1000)
            throw config_error(explain("--data", "'edits' needs files with a thousand sentences or more"));
    }

    [[nodiscard]] std::string operator()(std::uint64_t number) const {
        return edits_ ? edited(number) : framed(number);
    }

private:
    using words = std::vector<std::string>;
    static constexpr std::size_t vocabulary = 20000, fillers = 2000;

    void read(const std::filesystem::path& file) {
        const std::string text = read_file(file);
        if (file.extension() == ".jsonl") {
            for (const auto& line : formats::read_jsonl(file)) take(line);
        } else if (file.extension() == ".json") {
            take(formats::parse_json(text, file.string()));
        } else {
            take(std::string_view(text));
        }
    }
    void take(const formats::json& value) {
        if (value.is_string()) take(std::string_view(value.get_ref<const std::string&>()));
        if (value.is_structured())
            for (const auto& part : value) take(part);
    }
    void take(std::string_view text) {
        words sentence;
        std::string word;
        for (const char c : text) {
            if (c > ' ') {
                word += c;
                continue;
            }
            if (word.empty()) continue;
            const bool last = std::string_view(".?!").find(word.back()) != std::string_view::npos;
            sentence.push_back(std::move(word));
            word.clear();
            if (last || sentence.size() >= 40) sentences_.push_back(std::move(sentence)), sentence.clear();
        }
        if (!word.empty()) sentence.push_back(word);
        if (!sentence.empty()) sentences_.push_back(std::move(sentence));
    }

    [[nodiscard]] counter_rng stream(std::string_view purpose, std::uint64_t number) const {
        return counter_rng(options_.seed, hash64(purpose) + number);
    }
    [[nodiscard]] std::size_t length(counter_rng& rng) const {
        return options_.least_words + rng.below(options_.most_words - options_.least_words + 1);
    }
    /// Rank r with probability about 1 / r.
    static std::size_t zipf(counter_rng& rng, std::size_t n) {
        return static_cast<std::size_t>(std::pow(static_cast<double>(n), rng.uniform())) - 1;
    }
    static std::string join(const words& list) {
        std::string text;
        for (const auto& word : list) text.append(word).push_back(' ');
        return text;
    }

    [[nodiscard]] words fresh(std::uint64_t number) const {
        auto rng = stream("fresh", number);
        words text;
        for (const std::size_t n = length(rng); text.size() < n;) {
            const auto& sentence = sentences_[rng.below(sentences_.size())];
            text.insert(text.end(), sentence.begin(), sentence.end());
            if (text.size() > n) text.resize(n);
        }
        return text;
    }
    [[nodiscard]] std::string edited(std::uint64_t number) const {
        auto rng = stream("edit", number);
        if (number % 2 == 0 || rng.below(2) == 0) return join(fresh(number));
        constexpr double rates[] = {0, 0.02, 0.05, 0.1, 0.2};
        const double rate = rates[rng.below(5)];
        words text;
        for (auto& word : fresh(2 * rng.below(number / 2 + 1))) {
            if (rng.uniform() >= rate) {
                text.push_back(std::move(word));
                continue;
            }
            const auto other = [&] {
                const auto& sentence = sentences_[rng.below(sentences_.size())];
                return sentence[rng.below(sentence.size())];
            };
            const auto how = rng.below(3);  // replace, remove, insert
            if (how == 2) text.push_back(std::move(word));
            if (how != 1) text.push_back(other());
        }
        return join(text);
    }
    [[nodiscard]] std::string framed(std::uint64_t number) const {
        const std::uint64_t frame = number / options_.per_frame % frames_;
        auto shape = stream("frame", frame);
        auto rng = stream("fill", number);
        const double slots = options_.least_slots + (options_.most_slots - options_.least_slots) * shape.uniform();
        std::string text;
        for (std::size_t n = length(shape); n > 0; --n) {
            const auto word = zipf(shape, vocabulary);
            const bool slot = shape.uniform() < slots;
            text.append(slot ? "f" : "w").append(std::to_string(slot ? zipf(rng, fillers) : word)).push_back(' ');
        }
        return text;
    }

    text_options options_;
    std::size_t frames_;
    bool edits_;
    std::vector<words> sentences_;
};

}  // namespace lab::bench
