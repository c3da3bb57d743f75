// Which files of a folder are leaves, and the judgement on one of them by its name, place and content.
#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/formats/text_bytes.hpp"
#include "lab/taxonomy/judge.hpp"

namespace lab::taxonomy {

namespace detail {

inline bool same_without_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x + 32 : x) == y; });
}

/// Files that are, or were meant to be, a qna.yaml.
inline std::vector<std::filesystem::path> find_files(const std::filesystem::path& top) {
    namespace fs = std::filesystem;
    std::error_code fault;
    if (!fs::is_directory(top, fault)) {
        if (!fs::exists(top, fault)) throw io_error(explain(top.string(), "there is no such folder or file"));
        return {top};
    }
    static constexpr std::size_t most = 1'000'000, deepest = 100;
    std::vector<fs::path> files;
    std::size_t entries = 0;
    auto walk = fs::recursive_directory_iterator(top, fault);
    for (; !fault && walk != fs::recursive_directory_iterator(); walk.increment(fault)) {
        if (++entries > most || walk.depth() > static_cast<int>(deepest))
            throw format_error(explain(top.string(), "too many or too deeply nested files for a taxonomy"));
        const auto name = walk->path().filename().string();
        if (name == ".git") walk.disable_recursion_pending();
        std::error_code no;
        if (walk->is_directory(no)) continue;
        if (same_without_case(name, "qna.yaml") || same_without_case(name, "qna.yml")) files.push_back(walk->path());
    }
    if (fault) throw io_error(explain(top.string(), "cannot read the folder: " + fault.message()));
    std::sort(files.begin(), files.end());
    if (files.empty())
        throw format_error(
            explain(top.string(), "no qna.yaml below this folder", "a leaf is a folder with a file of that name"));
    return files;
}

/// Root and leaf id from the folders above a file: what follows the last folder that has a root's name.
struct place {
    std::optional<root> kind;
    std::string id;
};
inline place place_of(const std::filesystem::path& file, const std::filesystem::path& top) {
    namespace fs = std::filesystem;
    std::error_code fault;
    auto real = fs::canonical(file, fault);
    if (fault) real = fs::absolute(file).lexically_normal();
    place out;
    for (const auto& part : real.parent_path()) {
        if (const auto r = root_from_folder(part.string())) out = {r, ""};
        if (out.kind) out.id += (out.id.empty() ? "" : "->") + part.string();
    }
    if (out.kind) return out;
    const auto folder = file.parent_path().lexically_relative(fs::is_directory(top, fault) ? top : top.parent_path());
    for (const auto& part : folder)
        if (part != ".") out.id += (out.id.empty() ? "" : "->") + part.string();
    if (out.id.empty()) out.id = real.parent_path().filename().string();
    return out;
}

/// Judges one file by its name and content.
inline std::optional<leaf> judge_file(const std::filesystem::path& file, const std::filesystem::path& top,
                                      problem_list& problems) {
    const auto name = file.filename().string();
    if (name != "qna.yaml") {
        problems.error({}, "the file must be called qna.yaml, not " + formats::quote(name) + " (rename it)");
        return std::nullopt;
    }
    const auto where = place_of(file, top);
    std::optional<leaf> out;
    try {
        std::error_code unknown;  // what cannot be looked at is left to the opening below, which says why
        const auto kind = std::filesystem::status(file, unknown).type();
        if (kind == std::filesystem::file_type::fifo || kind == std::filesystem::file_type::socket ||
            kind == std::filesystem::file_type::character || kind == std::filesystem::file_type::block)
            throw io_error(explain(file.string(), "is no ordinary file"));
        const mapped_file map(file);
        out = judge(formats::as_text(map.bytes()), where.kind, problems);
    } catch (const io_error& fault) {
        problems.error({}, fault.what());
    }
    if (!out) return out;
    if (where.kind == root::foundational && out->kind == root::compositional) out->kind = root::foundational;
    out->id = where.id;
    out->file = file;
    out->folder = file.parent_path();
    return out;
}

}  // namespace detail

}  // namespace lab::taxonomy
