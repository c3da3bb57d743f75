// A JSON Lines dataset as an index: where each sample's line begins, its leaf, its tokens, digests of its id and
// content; never the samples themselves. 10^6 samples take about 60 MB however long they are, and the file's pages are
// given back as reading goes on. Lines are read again where they are needed.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/sha256.hpp"
#include "lab/formats/json.hpp"
#include "lab/sdg/mix_sample.hpp"

namespace lab::sdg {

/// 128 bits of a SHA-256: equal digests are taken for equal texts.
struct short_digest {
    std::uint64_t high = 0, low = 0;
    friend auto operator<=>(const short_digest&, const short_digest&) = default;
};
[[nodiscard]] inline short_digest short_digest_of(std::string_view text) {
    const auto hex = sha256_hex(text);
    const auto number = [&](std::size_t from) {
        std::uint64_t n = 0;
        for (std::size_t i = from; i < from + 16; ++i)
            n = n << 4 | static_cast<std::uint64_t>(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
        return n;
    };
    return {number(0), number(16)};
}

struct mix_row {
    std::uint64_t offset = 0;  // of the line's first byte
    std::uint32_t line = 0;    // from 1
    std::uint32_t leaf = 0;    // index into leaf_names
    std::uint32_t tokens = 0;
    std::uint32_t times = 0;  // how often it is taken
    bool renamed = false;     // its id belongs to another sample: it gets one of its own
    bool duplicate = false;   // a sample before it is the same: it goes
    short_digest id, content;
};

/// Leaves and kinds by number, shared by all datasets of a mix.
class leaf_names {
public:
    struct name {
        std::string leaf, kind;
        friend auto operator<=>(const name&, const name&) = default;
    };
    [[nodiscard]] std::uint32_t number(const std::string& leaf, const std::string& kind) {
        const auto [at, fresh] = numbers_.try_emplace({leaf, kind}, static_cast<std::uint32_t>(names_.size()));
        if (fresh) names_.push_back(at->first);
        return at->second;
    }
    [[nodiscard]] const name& operator[](std::uint32_t number) const { return names_[number]; }
    [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }

private:
    std::map<name, std::uint32_t> numbers_;
    std::vector<name> names_;
};

/// Tokens of a sample as a trainer would see them.
using sample_counter = std::function<std::size_t(const text::messages&)>;

/// 1.3 tokens a word, three for the marks around each message.
[[nodiscard]] inline std::size_t estimated_sample_tokens(const text::messages& messages) {
    std::size_t n = 0;
    for (const auto& m : messages) n += estimated_words_tokens(m.content) + 3;
    return n;
}

struct index_options {
    bool skip_broken = false;  // leave out lines that are no sample, and count them, instead of ending the work
    bool keep_empty = false;   // keep samples that nothing can be learnt from, as InstructLab does
    std::function<void(std::uint64_t bytes)> progress{};  // bytes read since the last call; may throw
};

/// What was left out, by reason: how many, and where the first ones stand.
struct left_out_count {
    std::size_t count = 0;
    std::vector<std::string> places{};  // three at most
    void add(const std::string& place) {
        if (count++ < 3) places.push_back(place);
    }
};

class dataset_index {
public:
    static constexpr std::size_t longest_line = std::size_t{256} << 20;

    /// Reads the whole file once. `name` stands in messages and places ("name:line"). `prepare` may change a sample
    /// before it is measured (a system prompt); it is called again when the sample is read back.
    /// @throws io_error; format_error naming the line
    dataset_index(const std::filesystem::path& file, std::string name, leaf_names& leaves, const sample_counter& count,
                  std::function<void(mix_sample&)> prepare, const index_options& options = {})
        : map_(open(file)), name_(std::move(name)), prepare_(std::move(prepare)) {
        const auto text = formats::as_text(map_.bytes());
        if (text.starts_with("\x1f\x8b"))
            throw format_error(explain(name_, "is compressed by gzip", "gunzip it first"));
        sha256 sum;
        std::size_t at = text.starts_with("\xef\xbb\xbf") ? 3 : 0, kept = 0;  // a byte-order mark is no JSON
        for (std::uint32_t number = 1; at < text.size(); ++number) {
            const auto end = std::min(text.find('\n', at), text.size());
            const auto line = text.substr(at, end - at);
            if (!mix_detail::blank(line)) add(line, at, number, leaves, count, options);
            at = end + 1;
            if (at - kept > stretch || at >= text.size()) {
                const auto upto = std::min(at, text.size());
                const auto part = map_.bytes().subspan(kept, upto - kept);
                sum.update(part);
                forget_pages(part);
                if (options.progress) options.progress(upto - kept);
                kept = upto;
            }
        }
        digest_ = sum.hex();
    }

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] const std::string& sha256_digest() const noexcept { return digest_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return map_.bytes().size(); }
    [[nodiscard]] std::vector<mix_row>& rows() noexcept { return rows_; }
    [[nodiscard]] const std::vector<mix_row>& rows() const noexcept { return rows_; }
    [[nodiscard]] const std::map<std::string, left_out_count>& left_out() const noexcept { return left_out_; }
    /// Takes the rows marked as duplicates out.
    void drop_duplicates() {
        for (const auto& row : rows_)
            if (row.duplicate) left_out_["a duplicate"].add(place(row.line));
        std::erase_if(rows_, [](const mix_row& row) { return row.duplicate; });
    }
    [[nodiscard]] std::string place(std::uint32_t line) const { return name_ + ":" + std::to_string(line); }

    /// The sample of a row, as prepared.
    [[nodiscard]] mix_sample read(const mix_row& row) const {
        const auto text = formats::as_text(map_.bytes());
        const auto end = std::min(text.find('\n', row.offset), text.size());
        auto s = parsed(text.substr(row.offset, end - row.offset), row.line);
        if (row.renamed) {
            s.metadata["id_in_source"] = s.id;
            s.id = sha256_hex(formats::to_text(json::array({s.id, s.messages}))).substr(0, 32);
        }
        return s;
    }
    /// Gives back the memory of what has been read up to a row. Call it now and then when reading in order.
    void forget_before(const mix_row& row) const {
        if (row.offset < forgotten_) forgotten_ = 0;
        if (row.offset - forgotten_ < stretch) return;
        forget_pages(map_.bytes().subspan(forgotten_, row.offset - forgotten_));
        forgotten_ = row.offset;
    }

private:
    static constexpr std::size_t stretch = std::size_t{16} << 20;

    [[nodiscard]] static mapped_file open(const std::filesystem::path& file) {
        std::error_code none;
        const auto status = std::filesystem::status(file, none);
        if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
            throw io_error(explain(file.string(), "is not a regular file", "name a messages JSON Lines file"));
        return mapped_file(file);
    }
    [[nodiscard]] mix_sample parsed(std::string_view line, std::uint32_t number) const {
        json value;
        try {
            value = formats::parse_json(line, "");
        } catch (const format_error& fault) {  // its own position is ":1:column: ..."
            throw format_error(place(number) + std::string(fault.what()).substr(2));
        }
        auto s = read_mix_sample(std::move(value), place(number));
        if (prepare_) prepare_(s);
        return s;
    }
    void add(std::string_view line, std::size_t offset, std::uint32_t number, leaf_names& leaves,
             const sample_counter& count, const index_options& options) {
        try {
            if (line.size() > longest_line)
                throw format_error(explain(place(number), "has " + std::to_string(line.size()) + " bytes, at most " +
                                                              std::to_string(longest_line) + " are read"));
            const auto s = parsed(line, number);
            const auto why = unusable(s);
            if (!why.empty() && !(options.keep_empty && why == nothing_to_learn)) {
                left_out_[std::string(why)].add(place(number));
                return;
            }
            mix_row row;
            row.offset = offset;
            row.line = number;
            row.leaf = leaves.number(s.leaf, s.kind);
            row.tokens = static_cast<std::uint32_t>(std::min<std::size_t>(count(text_messages(s)), 0xffffffffu));
            row.id = short_digest_of(s.id);
            row.content = short_digest_of(formats::to_text(s.messages) + (s.unmask ? "1" : "0"));
            rows_.push_back(row);
        } catch (const format_error& fault) {
            if (!options.skip_broken) throw;
            left_out_["a broken line"].add(fault.what());
        }
    }

    mapped_file map_;
    std::string name_, digest_;
    std::function<void(mix_sample&)> prepare_;
    std::vector<mix_row> rows_;
    std::map<std::string, left_out_count> left_out_;
    mutable std::size_t forgotten_ = 0;
};

}  // namespace lab::sdg
