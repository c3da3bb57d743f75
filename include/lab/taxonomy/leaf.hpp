// A leaf of the taxonomy: one task or one field of knowledge, its seed examples and its documents.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/taxonomy/problem.hpp"
#include "lab/taxonomy/root.hpp"

namespace lab::taxonomy {

struct qa {
    std::string question, answer;
};

/// A seed example: knowledge has one context and several questions, a skill one question and perhaps a context.
struct seed {
    std::string context;
    std::vector<qa> questions_and_answers;
    position at;  ///< in the qna.yaml, for provenance
};

struct document {
    std::string path;         ///< below the checkout or the leaf's folder
    std::string text;         ///< UTF-8, line ends \n
    std::string sha256{};     ///< of the file's own bytes
    std::string converter{};  ///< what made the text of them; "text" where they are the text
};

/// Where a knowledge leaf says that its documents are.
struct document_source {
    std::string repo, commit;
    std::vector<std::string> patterns;
    position at;                              ///< of the `document` mapping
    std::vector<position> pattern_positions;  ///< one for each pattern
};

struct leaf {
    std::string id;                ///< "knowledge->travel->islands->pellamy_ferries"
    std::filesystem::path file;    ///< its qna.yaml, as found
    std::filesystem::path folder;  ///< which holds documents, heldout.jsonl, facts.jsonl
    root kind = root::compositional;
    bool grounded = false;  ///< the seeds of a skill have contexts
    int version = 3;
    std::string created_by, task_description, domain, document_outline;
    std::vector<seed> seeds;
    std::optional<document_source> source;
    std::vector<document> documents;
};

[[nodiscard]] inline std::string trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\n\r");
    if (first == text.npos) return {};
    return std::string(text.substr(first, text.find_last_not_of(" \t\n\r") - first + 1));
}

}  // namespace lab::taxonomy
