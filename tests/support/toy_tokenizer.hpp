// A tokenizer of a dozen lines for tests that must not depend on a real one: longest match over a list of pieces,
// single bytes otherwise, control tokens on request, and SentencePiece's habit of putting a space before a beginning.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/token.hpp"

namespace lab::test {

struct toy_tokenizer {
    struct encode_options {
        bool add_bos = false, add_eos = false, parse_special = false;
    };
    std::vector<std::string> special, pieces;  // ids: 256 bytes, then specials, then pieces
    bool dummy_prefix = false;

    [[nodiscard]] std::vector<token> encode(std::string_view text, encode_options options) const {
        std::vector<token> ids;
        std::string run;
        const auto flush = [&] {
            if (run.empty()) return;
            if (dummy_prefix) run.insert(0, " ");
            for (std::size_t at = 0; at < run.size();) {
                std::size_t best = pieces.size();
                for (std::size_t i = 0; i < pieces.size(); ++i)
                    if (run.compare(at, pieces[i].size(), pieces[i]) == 0 &&
                        (best == pieces.size() || pieces[i].size() > pieces[best].size()))
                        best = i;
                if (best < pieces.size()) {
                    ids.push_back(static_cast<token>(256 + special.size() + best));
                    at += pieces[best].size();
                } else {
                    ids.push_back(static_cast<unsigned char>(run[at++]));
                }
            }
            run.clear();
        };
        while (!text.empty()) {
            bool found = false;
            for (std::size_t i = 0; options.parse_special && i < special.size() && !found; ++i)
                if (text.starts_with(special[i])) {
                    flush();
                    ids.push_back(static_cast<token>(256 + i));
                    text.remove_prefix(special[i].size());
                    found = true;
                }
            if (!found) {
                run += text.front();
                text.remove_prefix(1);
            }
        }
        flush();
        return ids;
    }
    [[nodiscard]] bool is_special(token id) const { return id >= 256 && id < static_cast<token>(256 + special.size()); }
    [[nodiscard]] bool is_end_of_generation(token id) const { return !special.empty() && id == 256; }
    [[nodiscard]] std::size_t size() const { return 256 + special.size() + pieces.size(); }
    [[nodiscard]] std::string piece_bytes(token id) const {
        const auto i = static_cast<std::size_t>(id);
        if (i < 256) return std::string(1, static_cast<char>(i));
        return i < 256 + special.size() ? special[i - 256] : pieces[i - 256 - special.size()];
    }
};

}  // namespace lab::test
