// Mixing: the datasets of a recipe become one training file. A sample is taken at most once before all of its dataset
// have been; which ones make up an incomplete pass is random by the seed and keeps the file's order. Samples whose id
// another dataset already gave are left out, budgets of tokens hold (token_budget.hpp), and the report accounts for
// every row. Memory holds an index, never the samples; the file appears complete or not at all.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/rng.hpp"
#include "lab/core/sha256.hpp"
#include "lab/sdg/mix_index.hpp"
#include "lab/sdg/recipe.hpp"

namespace lab::sdg {

/// How far the work is, in bytes read and samples written.
struct mix_progress {
    bool writing = false;
    std::uint64_t done = 0, total = 0;  // bytes of the inputs, or samples
};
/// False stops the work with lab::error; nothing is left behind.
using mix_observer = std::function<bool(const mix_progress&)>;

struct mix_options {
    std::uint64_t seed = 0;
    std::optional<std::string> system_prompt{};  // over the recipe's own
    std::vector<token_budget> budgets{};         // beside the recipe's own
    bool skip_broken = false, keep_empty = false;
    bool keep_duplicates = false;  // samples whose id and messages came before
    bool shuffle = false;      // the order of the whole; else dataset by dataset, pass by pass, as the files have it
    bool only_inside = false;  // refuse datasets outside the recipe's folder
    sample_counter count = estimated_sample_tokens;
    mix_observer observer{};
};

struct part_report {
    std::string path, sha256;
    sampling_size size{};
    std::uint64_t bytes = 0, found = 0, usable = 0, asked = 0, taken = 0, tokens = 0;
    std::uint64_t over_budget = 0, repeats_refused = 0;  // asked for and not taken
    bool outside = false;                                // of the recipe's folder
    std::map<std::string, left_out_count> left_out;
};

struct mix_report {
    std::vector<part_report> parts;
    std::vector<budget_report> budgets;
    struct leaf_count {
        std::uint64_t samples = 0, tokens = 0;
    };
    std::map<leaf_names::name, leaf_count> leaves;
    std::uint64_t samples = 0, tokens = 0, unmasked = 0, bytes = 0;
    std::uint64_t repeats = 0;  // of the samples: taken again because a sampling_size asks for more than there is
    std::string sha256;
    std::vector<std::string> warnings;
};

namespace mix_detail {

/// Writes through a buffer and sums up what is written.
class line_writer {
public:
    explicit line_writer(const std::filesystem::path& file) : file_(file) {}
    void write(const std::string& line) {
        buffer_ += line;
        buffer_ += '\n';
        if (buffer_.size() >= (std::size_t{1} << 20)) flush();
    }
    /// @return the digest of the whole
    std::string commit() {
        flush();
        file_.commit();
        return sum_.hex();
    }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return file_.written() + buffer_.size(); }

private:
    void flush() {
        sum_.update(buffer_);
        file_.write(buffer_);
        buffer_.clear();
    }
    atomic_file file_;
    sha256 sum_;
    std::string buffer_;
};

/// Whether `file` lies below `folder`, links resolved.
[[nodiscard]] inline bool lies_below(const std::filesystem::path& file, const std::filesystem::path& folder) {
    std::error_code fault;
    const auto real = std::filesystem::weakly_canonical(file, fault);
    if (fault) return false;
    const auto top = std::filesystem::weakly_canonical(folder.empty() ? "." : folder, fault);
    return !fault && std::mismatch(top.begin(), top.end(), real.begin(), real.end()).first == top.end();
}

class mixer {
public:
    mixer(const recipe& r, const mix_options& options, std::string_view file)
        : recipe_(r),
          options_(options),
          file_(file),
          prompt_(options.system_prompt ? options.system_prompt : r.system_prompt) {
        for (const auto* list : {&r.budgets, &options.budgets})
            for (const auto& b : *list)
                if (b.file.empty() || b.file == file) report_.budgets.push_back({b, 0, 0, 0, 0, 0});
        report_.warnings = r.warnings;
    }

    [[nodiscard]] mix_report run(const std::filesystem::path& output) {
        read_all(output);
        std::uint64_t found = 0;
        for (const auto& part : report_.parts) found += part.found;
        if (found == 0) throw config_error(explain(recipe_.name, "its datasets hold no sample"));
        drop_duplicates();
        for (std::size_t p = 0; p < parts_.size(); ++p) sample(p);
        spend_budgets();
        write_all(output);
        account();
        return std::move(report_);
    }

private:
    void read_all(const std::filesystem::path& output) {
        std::uint64_t total = 0, done = 0;
        for (const auto& entry : recipe_.datasets) {
            std::error_code none;
            const auto file = recipe_.file_of(entry);
            if (!std::filesystem::exists(file, none))
                throw io_error(explain(place_of(entry), "there is no dataset " + formats::quote(entry.path, 400),
                                       "a relative path starts from the recipe's folder, " + recipe_.folder.string()));
            if (std::filesystem::is_directory(file, none))
                throw io_error(explain(place_of(entry), formats::quote(entry.path, 400) + " is a folder",
                                       "name a messages JSON Lines file"));
            const auto size = std::filesystem::file_size(file, none);
            total += none ? 0 : size;
        }
        for (const auto& entry : recipe_.datasets) {
            if (std::error_code none; std::filesystem::equivalent(recipe_.file_of(entry), output, none))
                throw config_error(explain(place_of(entry),
                                           "the result would replace the dataset " + formats::quote(entry.path, 400),
                                           "write it elsewhere"));
            part_report part;
            part.path = entry.path;
            part.size = entry.size;
            part.outside = !entry.expected && !lies_below(recipe_.file_of(entry), recipe_.folder);
            if (part.outside && options_.only_inside)
                throw config_error(explain(place_of(entry),
                                           formats::quote(entry.path, 400) + " lies outside the recipe's folder",
                                           "copy it there, or allow it"));
            index_options how{options_.skip_broken, options_.keep_empty, [&](std::uint64_t bytes) {
                                  tell({false, done += bytes, total});
                              }};
            std::function<void(mix_sample&)> prepare;
            if (prompt_) prepare = [this](mix_sample& s) { set_system_prompt(s, *prompt_); };
            auto index = std::make_unique<dataset_index>(recipe_.file_of(entry), entry.path, names_, options_.count,
                                                         std::move(prepare), how);
            part.bytes = index->bytes();
            part.sha256 = index->sha256_digest();
            part.found = index->rows().size();
            for (const auto& [reason, n] : index->left_out()) part.found += n.count;
            report_.parts.push_back(std::move(part));
            parts_.push_back(std::move(index));
        }
    }

    /// Of samples with one id and the same messages the first stays; others with a known id get a new one.
    void drop_duplicates() {
        struct known {
            short_digest id, content;
            std::uint32_t part, row;
        };
        std::vector<known> all;
        for (std::uint32_t p = 0; p < parts_.size(); ++p)
            for (std::uint32_t r = 0; r < parts_[p]->rows().size(); ++r)
                all.push_back({parts_[p]->rows()[r].id, parts_[p]->rows()[r].content, p, r});
        std::sort(all.begin(), all.end(), [](const known& a, const known& b) {
            return std::tie(a.id, a.part, a.row) < std::tie(b.id, b.part, b.row);
        });
        std::uint64_t renamed = 0;
        std::string example;
        for (std::size_t first = 0; first < all.size();) {
            std::size_t end = first + 1;
            while (end < all.size() && all[end].id == all[first].id) ++end;
            for (std::size_t i = first + 1; i < end; ++i) {
                bool twin = false;
                for (std::size_t k = first; k < i && !twin; ++k) twin = all[k].content == all[i].content;
                auto& row = parts_[all[i].part]->rows()[all[i].row];
                if (twin && !options_.keep_duplicates) {
                    row.duplicate = true;
                } else if (!twin) {
                    row.renamed = true;
                    if (renamed++ == 0)
                        example = parts_[all[i].part]->place(row.line) + " and " +
                                  parts_[all[first].part]->place(parts_[all[first].part]->rows()[all[first].row].line);
                }
            }
            first = end;
        }
        for (auto& part : parts_) part->drop_duplicates();
        if (renamed > 0)
            report_.warnings.push_back(std::to_string(renamed) + " samples have an id that other messages have too (" +
                                       example + (renamed > 1 ? " first" : "") +
                                       "); they are kept and given ids of their own");
    }

    /// Whole passes, and a random part of one more.
    void sample(std::size_t p) {
        auto& rows = parts_[p]->rows();
        auto& part = report_.parts[p];
        part.usable = rows.size();
        part.asked = rows.empty() ? 0 : part.size.of(rows.size());
        if (rows.empty()) {
            report_.warnings.push_back(part.path + (part.found == 0 ? " is empty" : " holds no usable sample"));
            return;
        }
        const auto passes = part.asked / rows.size(), rest = part.asked % rows.size();
        if (static_cast<double>(passes) > most_passes)
            throw config_error(explain(place_of(recipe_.datasets[p]),
                                       "sampling_size " + part.size.text() + " takes each of " +
                                           std::to_string(rows.size()) + " samples more than 1000 times",
                                       "lower it"));
        for (auto& row : rows) row.times = static_cast<std::uint32_t>(passes);
        if (rest == 0) return;
        std::size_t same_before = 0;  // a dataset named twice gives two different draws
        for (std::size_t q = 0; q < p; ++q) same_before += report_.parts[q].path == part.path;
        counter_rng rng(options_.seed, hash64(part.path, hash64("mix", same_before + 1)));
        std::vector<std::uint32_t> order(rows.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
        for (std::uint64_t i = 0; i < rest; ++i) {
            std::swap(order[i], order[i + rng.below(order.size() - i)]);
            ++rows[order[i]].times;
        }
    }

    void spend_budgets() {
        auto& budgets = report_.budgets;
        if (budgets.empty()) return;
        std::vector<std::vector<std::uint32_t>> of_leaf(names_.size());
        for (std::uint32_t l = 0; l < names_.size(); ++l)
            for (std::uint32_t b = 0; b < budgets.size(); ++b)
                if (in_subtree(budgets[b].asked.path, names_[l].leaf, names_[l].kind)) of_leaf[l].push_back(b);
        std::vector<budget_candidate> candidates;
        std::vector<std::pair<std::uint32_t, std::uint32_t>> rows;  // part, row
        for (std::uint32_t p = 0; p < parts_.size(); ++p)
            for (std::uint32_t r = 0; r < parts_[p]->rows().size(); ++r) {
                auto& row = parts_[p]->rows()[r];
                if (row.times == 0 || of_leaf[row.leaf].empty()) continue;
                report_.parts[p].repeats_refused += row.times - 1;
                for (const auto b : of_leaf[row.leaf]) budgets[b].repeats += row.times - 1;
                candidates.push_back({row.tokens, row.leaf, &of_leaf[row.leaf], false});
                rows.emplace_back(p, r);
            }
        fill_budgets(candidates, budgets, options_.seed);
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            parts_[rows[i].first]->rows()[rows[i].second].times = candidates[i].taken;
            report_.parts[rows[i].first].over_budget += !candidates[i].taken;
        }
        for (const auto& b : budgets) {
            const bool elsewhere = b.supply_samples == 0 && b.asked.file.empty() && !file_.empty();  // in another file
            if (!elsewhere) report_.warnings.push_back(shortfall(b));
        }
        std::erase(report_.warnings, std::string());
    }
    [[nodiscard]] static std::string shortfall(const budget_report& b) {
        const auto n = [](std::uint64_t number) { return std::to_string(number); };
        const std::string head = "the budget " + b.asked.path + "=" + n(b.asked.tokens);
        if (b.supply_samples == 0) return head + " finds no sample (a budget names a leaf's path or its beginning)";
        std::string text;
        if (b.tokens < b.asked.tokens && b.supply_tokens < b.asked.tokens)
            text = head + " is short by " + n(b.short_by()) + " tokens: there are " + n(b.supply_samples) +
                   " samples with " + n(b.supply_tokens) + " tokens, and none is taken twice";
        else if (b.samples == 0)
            text = head + " is smaller than each of its " + n(b.supply_samples) +
                   " samples, or another budget is: none is taken";
        if (b.repeats > 0)
            text += (text.empty() ? head : ";") + " takes a sample once: " + n(b.repeats) +
                    " repeats that a sampling_size asked for are left out";
        return text;
    }

    void write_all(const std::filesystem::path& output) {
        std::uint64_t total = 0;
        for (const auto& part : parts_)
            for (const auto& row : part->rows()) total += row.times;
        line_writer file(output);
        const auto put = [&](std::uint32_t p, std::uint32_t r) {
            const auto& row = parts_[p]->rows()[r];
            const auto s = parts_[p]->read(row);
            file.write(to_line(s));
            auto& part = report_.parts[p];
            auto& leaf = report_.leaves[names_[row.leaf]];
            ++part.taken, ++leaf.samples, ++report_.samples;
            part.tokens += row.tokens, leaf.tokens += row.tokens, report_.tokens += row.tokens;
            report_.unmasked += s.unmask;
            if (report_.samples % 256 == 0) tell({true, report_.samples, total});
        };
        if (options_.shuffle) {
            std::vector<std::pair<std::uint32_t, std::uint32_t>> order;
            order.reserve(total);
            for (std::uint32_t p = 0; p < parts_.size(); ++p)
                for (std::uint32_t r = 0; r < parts_[p]->rows().size(); ++r)
                    order.insert(order.end(), parts_[p]->rows()[r].times, {p, r});
            counter_rng rng(options_.seed, "mix order");
            lab::shuffle(order, rng);
            for (const auto& [p, r] : order) put(p, r);
        } else {
            for (std::uint32_t p = 0; p < parts_.size(); ++p)
                for (std::uint32_t pass = 0, more = 1; more != 0; ++pass) {
                    more = 0;
                    for (std::uint32_t r = 0; r < parts_[p]->rows().size(); ++r) {
                        const auto& row = parts_[p]->rows()[r];
                        if (row.times > pass) put(p, r);
                        more |= row.times > pass + 1;
                        parts_[p]->forget_before(row);
                    }
                }
        }
        report_.bytes = file.bytes();
        report_.sha256 = file.commit();
    }

    void account() {
        std::uint64_t found = 0, repeating = 0;
        const part_report* first = nullptr;
        for (std::size_t p = 0; p < parts_.size(); ++p) {
            std::uint64_t again = 0;
            for (const auto& row : parts_[p]->rows()) again += row.times > 1 ? row.times - 1 : 0;
            report_.repeats += again;
            if (again > 0 && repeating++ == 0) first = &report_.parts[p];
        }
        if (report_.repeats > 0)
            report_.warnings.push_back(
                std::to_string(report_.repeats) + " samples are repeats: sampling sizes ask for more than " +
                std::to_string(repeating) + (repeating == 1 ? " dataset has (" : " datasets have (") + first->path +
                ": " + std::to_string(first->taken) + " of " + std::to_string(first->usable) +
                (repeating > 1 ? ", first)" : ")"));
        for (std::size_t p = 0; p < parts_.size(); ++p) {
            report_.parts[p].left_out = parts_[p]->left_out();
            found += report_.parts[p].found;
            for (const auto& [reason, n] : report_.parts[p].left_out)
                report_.warnings.push_back(report_.parts[p].path + ": " + std::to_string(n.count) +
                                           (n.count == 1 ? " sample is" : " samples are") + " left out: " + reason +
                                           " (" + n.places.front() + (n.count > 1 ? " first)" : ")"));
            if (report_.parts[p].outside)
                report_.warnings.push_back(report_.parts[p].path + " lies outside the recipe's folder");
        }
        if (report_.samples == 0 && found > 0) report_.warnings.push_back("the result holds no sample");
    }

    void tell(const mix_progress& p) const {
        if (options_.observer && !options_.observer(p)) throw error("interrupted: nothing was written");
    }
    [[nodiscard]] std::string place_of(const recipe_entry& entry) const {
        return recipe_.name + ":" + std::to_string(entry.at.line) + ":" + std::to_string(entry.at.column);
    }

    const recipe& recipe_;
    const mix_options& options_;
    std::string file_;
    std::optional<std::string> prompt_;
    leaf_names names_;
    std::vector<std::unique_ptr<dataset_index>> parts_;
    mix_report report_;
};

}  // namespace mix_detail

/// Mixes the datasets of `r` into the file `output`. `file` is what budgets for one file alone call it.
/// @throws format_error, io_error naming file and line; config_error where there is nothing to mix, or a size or a
/// place is not allowed; lab::error when the observer stops it. Then `output` is as it was.
inline mix_report mix(const recipe& r, const std::filesystem::path& output, const mix_options& options = {},
                      std::string_view file = {}) {
    if (r.datasets.empty())
        throw config_error(explain(r.name, "names no dataset", "write datasets: [{path: FILE, sampling_size: 1.0}]"));
    return mix_detail::mixer(r, options, file).run(output);
}

}  // namespace lab::sdg
