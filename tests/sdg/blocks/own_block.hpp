// A block of a user's own, in one file: cuts texts to a number of words, and drops rows whose text has fewer.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "lab/sdg/blocks/block.hpp"
#include "lab/sdg/blocks/config_reader.hpp"

struct shorten {
    static constexpr std::string_view type = "ShortenBlock";
    std::string column;
    std::size_t words = 1;

    static shorten read(lab::sdg::blocks::config_reader& config) {
        shorten s{config.text("column"), 1};
        s.words = config.optional_count("words", 1, 1000).value_or(1);
        return s;
    }
    lab::sdg::blocks::table operator()(lab::sdg::blocks::block_run& run, lab::sdg::blocks::table rows) const {
        const std::size_t c = rows.at(column);
        auto out = rows.like();
        for (auto& r : rows.rows()) {
            const std::string text = r.cells[c].is_string() ? r.cells[c].get<std::string>() : "";
            std::size_t end = 0, found = 0;
            for (; end < text.size() && found < words; ++found) end = std::min(text.find(' ', end + 1), text.size());
            if (found < words) {
                run.drop(rows, r, "too short", column + " has " + std::to_string(found) + " words");
                continue;
            }
            r.cells[c] = text.substr(0, end);
            out.add(std::move(r));
        }
        return out;
    }
};
