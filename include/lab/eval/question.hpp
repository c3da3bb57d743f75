// Held-out questions: every heldout.jsonl under a folder (beside each leaf of a taxonomy), with the leaf's path and
// kind. Their phrasings are never trained on; the generator never reads them.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/replay/sample.hpp"
#include "lab/taxonomy/heldout.hpp"
#include "lab/text/message.hpp"

namespace lab::eval {

struct question {
    std::string id{};
    std::string leaf{};  // path of its folder, "knowledge/travel/islands/pellamy_ferries"
    replay::sample_kind kind = replay::sample_kind::knowledge;
    std::string context{};                 // text the answer is to be found in; may be empty
    std::vector<std::string> phrasings{};  // at least one
    std::string answer{};
    std::vector<std::string> aliases{};      // right as well
    std::vector<std::string> distractors{};  // plausible, wrong
};

/// The conversation that asks one phrasing. A context stands before the question, separated as in generated samples.
[[nodiscard]] inline text::messages ask(const question& q, std::size_t phrasing, std::string_view system = {}) {
    text::messages conversation;
    if (!system.empty()) conversation.push_back({"system", std::string(system)});
    const std::string& asked = q.phrasings.at(phrasing);
    conversation.push_back({"user", q.context.empty() ? asked : q.context + "\n\n" + asked});
    return conversation;
}

/// Reads `path` itself (a heldout.jsonl) or all of them under it, in order of their paths. A leaf whose path does not
/// begin with a branch's name counts as knowledge. @throws io_error, format_error; config_error where there is none.
[[nodiscard]] inline std::vector<question> read_questions(const std::filesystem::path& path) {
    namespace fs = std::filesystem;
    std::vector<fs::path> files;
    if (!fs::exists(path)) throw io_error(explain(path.string(), "there is no such file or folder"));
    if (fs::is_directory(path)) {
        for (const auto& entry : fs::recursive_directory_iterator(path))
            if (entry.is_regular_file() && entry.path().filename() == "heldout.jsonl") files.push_back(entry.path());
        std::sort(files.begin(), files.end());
    } else {
        files.push_back(path);
    }
    std::vector<question> questions;
    for (const auto& file : files) {
        const std::string leaf = fs::is_directory(path) ? file.parent_path().lexically_relative(path).generic_string()
                                                        : file.stem().string();
        const auto kind = replay::parse_kind(leaf).value_or(replay::sample_kind::knowledge);
        for (auto& h : taxonomy::read_heldout(file))
            questions.push_back({std::move(h.id), leaf, kind, std::move(h.context), std::move(h.phrasings),
                                 std::move(h.answer), std::move(h.aliases), std::move(h.distractors)});
    }
    if (questions.empty())
        throw config_error(
            explain(path.string(), "holds no held-out question", "put a heldout.jsonl beside each qna.yaml"));
    return questions;
}

}  // namespace lab::eval
