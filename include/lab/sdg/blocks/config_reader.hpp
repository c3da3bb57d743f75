// The configuration of one block as the pipeline's YAML has it: typed values, faults with file, line and column, keys
// that nobody asked for refused. Files are named relative to the pipeline's folder, as InstructLab does.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/sha256.hpp"
#include "lab/sdg/blocks/table.hpp"
#include "lab/taxonomy/problem.hpp"
#include "lab/taxonomy/yaml_document.hpp"

namespace lab::sdg::blocks {

namespace yaml = taxonomy::yaml;

/// One fault in a pipeline or in a file that it names; pipeline_error gathers them.
struct config_fault : config_error {
    explicit config_fault(taxonomy::problem p) : config_error(taxonomy::to_text(p)), where(std::move(p)) {}
    taxonomy::problem where;
};

/// A YAML document with its place, and what was read along with it.
struct yaml_file {
    std::filesystem::path path;
    std::string name;  // for messages and provenance: no absolute path
    yaml::document document;
    std::string sha256;

    /// @throws config_fault for broken YAML, io_error
    [[nodiscard]] static yaml_file read(const std::filesystem::path& path, std::string name) {
        yaml_file f{path, std::move(name), {}, {}};
        const mapped_file map(path);
        const std::string_view text = formats::as_text(map.bytes());
        if (text.size() > yaml::limits{}.bytes)
            f.fail({1, 1}, "is larger than " + std::to_string(yaml::limits{}.bytes) + " bytes");
        f.sha256 = sha256_hex(text);
        try {
            f.document = yaml::read(text);
        } catch (const yaml::syntax_error& fault) {
            f.fail(fault.at, fault.what());
        }
        return f;
    }
    [[nodiscard]] const yaml::node& top() const { return document[document.root]; }
    [[noreturn]] void fail(taxonomy::position at, std::string what) const {
        throw config_fault({path.string(), at.line, at.column, taxonomy::severity_level::error, std::move(what)});
    }
};

namespace detail {

/// Aliases share nodes; a value that repeats them grows, to `left` nodes at most.
[[nodiscard]] inline cell to_cell(const yaml_file& file, const yaml::node& node, std::size_t& left) {
    if (left == 0) file.fail(node.at, "the value has too many parts (aliases repeat what they stand for)");
    --left;
    switch (node.kind) {
        case yaml::type::null:
            return nullptr;
        case yaml::type::boolean:
            return node.integer.value_or(0) != 0;
        case yaml::type::integer:
            if (node.integer) return static_cast<std::int64_t>(*node.integer);
            file.fail(node.at, "the number " + node.text + " does not fit in 64 bits");
        case yaml::type::floating:
            return yaml::real_value(node.text);
        case yaml::type::string:
        case yaml::type::timestamp:
            return node.text;
        case yaml::type::sequence: {
            cell list = cell::array();
            for (const auto id : node.items) list.push_back(to_cell(file, file.document[id], left));
            return list;
        }
        case yaml::type::mapping: {
            cell object = cell::object();
            if (node.members.size() > table::most_columns) file.fail(node.at, "too many members");
            for (const auto& m : node.members) {
                const auto& key = file.document[m.key];
                if (key.kind != yaml::type::string)
                    file.fail(key.at,
                              "a key here is text, not " + std::string(yaml::name(key.kind)) + " (put it in quotes)");
                object[key.text] = to_cell(file, file.document[m.value], left);
            }
            return object;
        }
        default:
            file.fail(node.at, std::string(yaml::name(node.kind)) + " has no use here");
    }
}

}  // namespace detail

/// The value of a node as JSON. @throws config_fault for binary data, special types and keys that are no text
[[nodiscard]] inline cell to_cell(const yaml_file& file, const yaml::node& node) {
    std::size_t left = yaml::limits{}.nodes;
    return detail::to_cell(file, node, left);
}

class block_registry;

/// A mapping, read key by key. `done` refuses the keys that were not asked for.
class config_reader {
public:
    /// What the blocks of one pipeline share while it is read.
    struct shared {
        const block_registry* registry = nullptr;
        std::map<std::string, std::string> files{};     // read for the blocks: name, SHA-256
        std::vector<taxonomy::problem> warnings{};      // advice
        std::map<std::string, std::string> families{};  // model families besides the known ones
    };

    config_reader(const yaml_file& file, const yaml::node& node, std::string what, shared& common)
        : file_(&file), node_(&node), what_(std::move(what)), common_(&common) {
        if (node.kind != yaml::type::mapping)
            fail(node, "is a mapping, \"key: value\", not " + std::string(yaml::name(node.kind)));
    }

    [[noreturn]] void fail(const yaml::node& at, const std::string& message) const {
        file_->fail(at.at, what_ + ": " + message);
    }
    /// A fault of the value of `key`, or of the whole where the key is missing.
    [[noreturn]] void fail(std::string_view key, const std::string& message) const {
        const auto* found = file_->document.find(*node_, key);
        fail(found == nullptr ? *node_ : *found, std::string(key) + " " + message);
    }
    void warn(std::string_view key, const std::string& message) const {
        const auto* found = file_->document.find(*node_, key);
        const auto at = (found == nullptr ? *node_ : *found).at;
        common_->warnings.push_back({file_->path.string(), at.line, at.column, taxonomy::severity_level::warning,
                                     what_ + ": " + std::string(key) + " " + message});
    }

    /// The value of a key, or nullptr where it is missing.
    [[nodiscard]] const yaml::node* find(std::string_view key) {
        known_.emplace_back(key);
        return file_->document.find(*node_, key);
    }
    [[nodiscard]] bool has(std::string_view key) { return find(key) != nullptr; }
    [[nodiscard]] const yaml::node& at(std::string_view key) {
        const auto* found = find(key);
        if (found == nullptr) fail(*node_, "needs " + formats::quote(key));
        return *found;
    }

    [[nodiscard]] std::string text(std::string_view key) { return text_of(at(key), key); }
    [[nodiscard]] std::optional<std::string> optional_text(std::string_view key) {
        const auto* found = find(key);
        if (found == nullptr || found->kind == yaml::type::null) return std::nullopt;
        return text_of(*found, key);
    }
    [[nodiscard]] std::vector<std::string> texts(std::string_view key) { return texts_of(at(key), key); }
    [[nodiscard]] std::optional<std::vector<std::string>> optional_texts(std::string_view key) {
        const auto* found = find(key);
        if (found == nullptr || found->kind == yaml::type::null) return std::nullopt;
        return texts_of(*found, key);
    }
    [[nodiscard]] std::vector<std::string> texts_of(const yaml::node& list, std::string_view key) const {
        if (list.kind != yaml::type::sequence)
            fail(list, std::string(key) + " is a list, not " + std::string(yaml::name(list.kind)));
        std::vector<std::string> out;
        for (const auto id : list.items) out.push_back(text_of(file_->document[id], key));
        return out;
    }
    /// A list's items, or a mapping's members, which come in the file's order.
    [[nodiscard]] std::vector<const yaml::node*> items(std::string_view key) {
        const auto& list = at(key);
        if (list.kind != yaml::type::sequence)
            fail(list, std::string(key) + " is a list, not " + std::string(yaml::name(list.kind)));
        std::vector<const yaml::node*> out;
        for (const auto id : list.items) out.push_back(&file_->document[id]);
        return out;
    }
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> text_pairs(std::string_view key) {
        const auto& mapping = at(key);
        if (mapping.kind != yaml::type::mapping)
            fail(mapping,
                 std::string(key) + " is a mapping, \"name: name\", not " + std::string(yaml::name(mapping.kind)));
        std::vector<std::pair<std::string, std::string>> out;
        for (const auto& m : mapping.members)
            out.emplace_back(text_of(file_->document[m.key], key), text_of(file_->document[m.value], key));
        return out;
    }
    /// A whole number from `least` to `most`; 3.0 is one.
    [[nodiscard]] std::optional<std::size_t> optional_count(std::string_view key, std::size_t least, std::size_t most) {
        const auto* found = find(key);
        if (found == nullptr) return std::nullopt;
        const bool number = found->kind == yaml::type::integer || found->kind == yaml::type::floating;
        if (!number || !found->integer || *found->integer < static_cast<long long>(least) ||
            static_cast<unsigned long long>(*found->integer) > most)
            fail(*found,
                 std::string(key) + " is a whole number from " + std::to_string(least) + " to " + std::to_string(most));
        return static_cast<std::size_t>(*found->integer);
    }
    [[nodiscard]] std::optional<double> optional_real(std::string_view key) {
        const auto* found = find(key);
        if (found == nullptr) return std::nullopt;
        const bool number = found->kind == yaml::type::integer || found->kind == yaml::type::floating;
        const double value = number ? yaml::real_value(found->text) : NAN;
        if (!std::isfinite(value)) fail(*found, std::string(key) + " is a number");
        return value;
    }
    [[nodiscard]] cell value(std::string_view key) { return to_cell(*file_, at(key)); }
    [[nodiscard]] std::optional<cell> optional_value(std::string_view key) {
        const auto* found = find(key);
        if (found == nullptr) return std::nullopt;
        return to_cell(*file_, *found);
    }
    /// A mapping inside this one.
    [[nodiscard]] std::optional<config_reader> optional_mapping(std::string_view key) {
        const auto* found = find(key);
        if (found == nullptr) return std::nullopt;
        return config_reader(*file_, *found, what_ + ": " + std::string(key), *common_);
    }
    /// A file that a value names. Its digest becomes part of the pipeline's provenance.
    /// @throws config_fault where it cannot be read
    [[nodiscard]] yaml_file open(const yaml::node& at, const std::string& name) const {
        const std::filesystem::path named(name);
        const auto path = named.is_absolute() ? named : file_->path.parent_path() / named;
        const std::string shown_name = named.is_absolute() ? named.filename().string() : named.generic_string();
        try {
            auto opened = yaml_file::read(path, shown_name);
            common_->files[shown_name] = opened.sha256;
            return opened;
        } catch (const io_error& fault) {
            fail(at, fault.what());
        }
    }
    /// @throws config_fault for a key that was not asked for
    void done() const {
        for (const auto& m : node_->members) {
            const auto& key = file_->document[m.key];
            if (std::find(known_.begin(), known_.end(), key.text) != known_.end()) continue;
            auto sorted = known_;
            std::sort(sorted.begin(), sorted.end());
            sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
            std::string list;
            for (const auto& k : sorted) list += (list.empty() ? "" : ", ") + k;
            fail(key, "does not know " + formats::quote(key.text) + " (it knows " + list + ")");
        }
    }
    [[nodiscard]] const yaml_file& file() const noexcept { return *file_; }
    [[nodiscard]] const yaml::node& node() const noexcept { return *node_; }
    [[nodiscard]] shared& common() const noexcept { return *common_; }
    [[nodiscard]] const std::string& what() const noexcept { return what_; }

private:
    [[nodiscard]] std::string text_of(const yaml::node& n, std::string_view key) const {
        if (n.kind != yaml::type::string && n.kind != yaml::type::timestamp)
            fail(n, std::string(key) + " takes text, not " + std::string(yaml::name(n.kind)) +
                        (n.text.empty() ? "" : " (put it in quotes)"));
        return n.text;
    }

    const yaml_file* file_;
    const yaml::node* node_;
    std::string what_;
    shared* common_;
    std::vector<std::string> known_;
};

}  // namespace lab::sdg::blocks
