// Plain text as samples, all of it learnt: continued pretraining, and models from scratch. A text is cut at the end
// token's own spelling into documents, each is encoded, closed by that token and cut into pieces of equal length.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/core/token.hpp"
#include "lab/formats/text_bytes.hpp"
#include "lab/replay/encode.hpp"
#include "lab/replay/sample.hpp"

namespace lab::replay {

/// The text files that `data` stands for: itself where its name ends in .txt, those of a folder that has no .jsonl.
/// Empty: it is no plain text. @throws io_error where a folder cannot be read
[[nodiscard]] inline std::vector<std::filesystem::path> text_files(const std::filesystem::path& data) {
    namespace fs = std::filesystem;
    if (!fs::is_directory(data)) return data.extension() == ".txt" ? std::vector{data} : std::vector<fs::path>{};
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(data)) {
        if (entry.path().extension() == ".jsonl") return {};
        if (entry.is_regular_file() && entry.path().extension() == ".txt") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

/// What closes a document, and where one ends in a text.
struct document_end {
    token id = no_token;      // none: nothing is appended
    std::string_view text{};  // empty: a file is one document
};

/// Pieces of at most `max_tokens` tokens, each beginning with the last token of the one before, so that every token
/// but a document's first is learnt once. They count as knowledge with long answers, of the leaf "text/FILE".
/// `encode(text)` gives tokens.
/// @throws io_error; config_error where there is nothing to learn
template <class Encode>
[[nodiscard]] encoded_dataset encode_texts(const std::vector<std::filesystem::path>& files, const Encode& encode,
                                           document_end end, std::size_t max_tokens) {
    if (max_tokens < 2) throw config_error("max tokens is below 2 (a sequence needs a token and its successor)");
    encoded_dataset result;
    for (const auto& file : files) {
        const std::string leaf = "text/" + file.filename().string();
        leaf_report& report = result.leaves[leaf];
        const mapped_file map(file);
        std::string_view rest = formats::as_text(map.bytes());
        for (std::size_t document = 0; !rest.empty(); ++document) {
            const std::size_t found = end.text.empty() ? rest.npos : rest.find(end.text);
            const std::string_view text = rest.substr(0, found);
            rest.remove_prefix(found == rest.npos ? rest.size() : found + end.text.size());
            std::vector<token> tokens = encode(text);
            if (end.id != no_token) tokens.push_back(end.id);
            for (std::size_t begin = 0; begin + 1 < tokens.size(); begin += max_tokens - 1) {
                const auto first = tokens.begin() + static_cast<std::ptrdiff_t>(begin);
                const std::size_t size = std::min(max_tokens, tokens.size() - begin);
                training_sample t{.id = file.string() + ":" + std::to_string(document) + "#" +
                                        std::to_string(begin / (max_tokens - 1)),
                                  .leaf = leaf,
                                  .kind = sample_kind::knowledge,
                                  .tokens = {first, first + static_cast<std::ptrdiff_t>(size)},
                                  .trained = std::vector<std::uint8_t>(size, 1),
                                  .response_tokens = always_long};
                ++report.kept;
                report.tokens += size;
                report.trained_tokens += size - 1;
                report.longest = std::max(report.longest, size);
                result.samples.push_back(std::move(t));
            }
        }
    }
    if (result.samples.empty())
        throw config_error(explain(files.empty() ? "plain text" : files.front().string(), "holds no text to learn"));
    return result;
}

}  // namespace lab::replay
