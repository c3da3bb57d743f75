// A data-mixing recipe as InstructLab reads and writes it: `datasets: [{path, sampling_size}]` and the system prompt
// (`metadata: sys_prompt`, or `sys_prompt` at the top). A sampling_size with a decimal point is a share of the samples
// (2.0: each twice), a whole number counts samples, except that 1 means all, as in InstructLab. `budgets: {path:
// tokens}` is lab's own key, which InstructLab passes over. Unknown keys become warnings; faults name line and column.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/sdg/token_budget.hpp"
#include "lab/taxonomy/yaml_document.hpp"

namespace lab::sdg {

/// How much of a dataset is taken.
struct sampling_size {
    bool counts = false;  // `count` samples; else `share` of them
    double share = 1.0;
    std::uint64_t count = 0;

    [[nodiscard]] static sampling_size of_share(double s) { return {false, s, 0}; }
    [[nodiscard]] static sampling_size of_count(std::uint64_t n) { return {true, 1.0, n}; }
    /// How many are taken of so many: a share is rounded down.
    [[nodiscard]] std::uint64_t of(std::uint64_t samples) const {
        return counts ? count : static_cast<std::uint64_t>(static_cast<double>(samples) * share);
    }
    /// As a recipe writes it.
    [[nodiscard]] std::string text() const {
        return counts ? std::to_string(count) : formats::to_text(formats::json(share));
    }
};

inline constexpr double most_passes = 1000;  // over one dataset: more is a slip of the pen

struct recipe_entry {
    std::string path;  // as written: relative to the recipe's folder, or absolute
    sampling_size size{};
    taxonomy::position at{};
    bool expected = false;  // whoever runs the mix named it: it may lie anywhere
};

struct recipe {
    std::vector<recipe_entry> datasets;
    std::optional<std::string> system_prompt;
    std::vector<token_budget> budgets;
    std::vector<std::string> warnings;
    std::filesystem::path folder;  // what relative paths start from
    std::string name = "recipe";   // for messages

    [[nodiscard]] std::filesystem::path file_of(const recipe_entry& entry) const { return folder / entry.path; }
};

namespace mix_detail {

class recipe_reader {
public:
    recipe_reader(std::string_view text, const std::string& place) : place_(place) {
        try {
            doc_ = taxonomy::yaml::read(text);
        } catch (const taxonomy::yaml::syntax_error& fault) {
            throw format_error(explain(where(fault.at), fault.what()));
        }
    }

    [[nodiscard]] recipe read() {
        recipe out;
        out.name = place_;
        const node& top = doc_[doc_.root];
        if (top.kind == type::null) return out;
        if (top.kind != type::mapping)
            fail(top, "a recipe is a mapping with the key 'datasets', this is " + std::string(name(top.kind)));
        warn_of_others(out, top, {"datasets", "metadata", "sys_prompt", "budgets"}, "a recipe has");
        if (const node* list = doc_.find(top, "datasets"); list != nullptr && list->kind != type::null) {
            if (list->kind != type::sequence)
                fail(*list, "'datasets' is " + std::string(name(list->kind)) + ", not a list");
            for (const auto id : list->items) out.datasets.push_back(entry(out, doc_[id]));
        }
        const node* metadata = doc_.find(top, "metadata");
        if (metadata != nullptr && metadata->kind == type::mapping)
            out.system_prompt = prompt(doc_.find(*metadata, "sys_prompt"));
        if (!out.system_prompt) out.system_prompt = prompt(doc_.find(top, "sys_prompt"));
        if (const node* budgets = doc_.find(top, "budgets"); budgets != nullptr && budgets->kind != type::null) {
            if (budgets->kind != type::mapping) fail(*budgets, "'budgets' is no mapping of paths to numbers of tokens");
            for (const auto& m : budgets->members) {
                token_budget b;
                b.path = doc_[m.key].text;
                b.tokens = parse_token_count(doc_[m.value].text, where(doc_[m.value].at) + ": budget " + b.path);
                out.budgets.push_back(std::move(b));
            }
        }
        for (const auto& [at, message] : doc_.warnings) out.warnings.push_back(explain(where(at), message));
        return out;
    }

private:
    using node = taxonomy::yaml::node;
    using type = taxonomy::yaml::type;

    [[nodiscard]] std::string where(taxonomy::position at) const {
        return place_ + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
    }
    [[noreturn]] void fail(const node& at, std::string_view what, std::string_view fix = {}) const {
        throw format_error(explain(where(at.at), what, fix));
    }
    void warn_of_others(recipe& out, const node& mapping, std::initializer_list<std::string_view> known,
                        const char* has) const {
        for (const auto& m : mapping.members) {
            const node& key = doc_[m.key];
            if (std::find(known.begin(), known.end(), key.text) != known.end()) continue;
            std::string list;
            for (const auto each : known) list += (list.empty() ? "" : ", ") + std::string(each);
            out.warnings.push_back(explain(where(key.at), "the key " + formats::quote(key.text) + " is passed over",
                                           std::string(has) + " " + list));
        }
    }
    [[nodiscard]] std::optional<std::string> prompt(const node* value) const {
        if (value == nullptr || value->kind == type::null) return std::nullopt;
        if (value->kind != type::string)
            fail(*value, "'sys_prompt' is " + std::string(name(value->kind)) + ", not text");
        return value->text;
    }
    [[nodiscard]] recipe_entry entry(recipe& out, const node& at) const {
        if (at.kind != type::mapping)
            fail(at, "a dataset is a mapping with 'path' and 'sampling_size', this is " + std::string(name(at.kind)));
        warn_of_others(out, at, {"path", "sampling_size"}, "a dataset has");
        const node* path = doc_.find(at, "path");
        const node* size = doc_.find(at, "sampling_size");
        if (path == nullptr) fail(at, "the dataset has no 'path'", "name a messages JSON Lines file");
        if (path->kind != type::string || path->text.empty())
            fail(*path, "the path is " + std::string(path->text.empty() ? "empty" : name(path->kind)),
                 "name a messages JSON Lines file, in quotes where need be");
        if (path->text.find('\0') != std::string::npos) fail(*path, "the path holds a NUL byte");
        if (size == nullptr)
            fail(at, "the dataset " + formats::quote(path->text) + " has no 'sampling_size'",
                 "write sampling_size: 1.0 for all samples");
        return {path->text, sampling(out, *size), at.at, false};
    }
    [[nodiscard]] sampling_size sampling(recipe& out, const node& at) const {
        if (at.kind == type::integer) {
            if (at.text.starts_with('-')) fail(at, "sampling_size " + at.text + " is negative", "0 takes nothing");
            if (!at.integer || *at.integer > 1'000'000'000'000)
                fail(at, "sampling_size " + at.text + " is more than any dataset has");
            const auto n = static_cast<std::uint64_t>(*at.integer);
            if (n == 0) out.warnings.push_back(explain(where(at.at), "sampling_size 0 takes nothing"));
            if (n != 1) return sampling_size::of_count(n);
            out.warnings.push_back(explain(where(at.at), "sampling_size 1 takes all samples, as InstructLab reads it",
                                           "1.0 says so plainly"));
            return {};
        }
        if (at.kind != type::floating)
            fail(at, "sampling_size " + formats::quote(at.text) + " is " + std::string(name(at.kind)),
                 "write a share such as 0.5, or a number of samples such as 500");
        const double share = taxonomy::yaml::detail::float_value(at.text);
        if (!std::isfinite(share) || share < 0)
            fail(at, "sampling_size " + at.text + " is no share of a dataset",
                 "write 0.5 for half of it, 2.0 for it twice");
        if (share > most_passes)
            fail(at, "sampling_size " + at.text + " asks for the dataset more than 1000 times",
                 "a number of samples is written without a decimal point");
        if (share == 0) out.warnings.push_back(explain(where(at.at), "sampling_size 0 takes nothing"));
        return sampling_size::of_share(share);
    }

    std::string place_;
    taxonomy::yaml::document doc_;
};

}  // namespace mix_detail

/// @throws format_error "place:line:column: what (how to mend it)"
[[nodiscard]] inline recipe parse_recipe(std::string_view text, const std::string& place) {
    return mix_detail::recipe_reader(text, place).read();
}

/// @throws io_error, format_error
[[nodiscard]] inline recipe read_recipe(const std::filesystem::path& file) {
    auto out = parse_recipe(read_file(file), file.string());
    out.folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    return out;
}

/// The recipe as YAML, which InstructLab reads too.
[[nodiscard]] inline std::string to_yaml(const recipe& r) {
    std::string out = r.datasets.empty() ? "datasets: []\n" : "datasets:\n";
    for (const auto& d : r.datasets)
        out += "- path: " + formats::to_text(formats::json(d.path)) + "\n  sampling_size: " + d.size.text() + "\n";
    if (r.system_prompt) out += "metadata:\n  sys_prompt: " + formats::to_text(formats::json(*r.system_prompt)) + "\n";
    if (!r.budgets.empty()) out += "budgets:\n";
    for (const auto& b : r.budgets)
        out += "  " + formats::to_text(formats::json(b.path)) + ": " + std::to_string(b.tokens) + "\n";
    return out;
}

}  // namespace lab::sdg
