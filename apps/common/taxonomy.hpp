// A taxonomy as an app reads it: its documents' repositories are fetched on request, and what is wrong with it is said
// on standard error.
#pragma once

#include <filesystem>
#include <iostream>
#include <string>

#include "common/stop.hpp"
#include "lab/taxonomy/load.hpp"

namespace lab::apps {

struct taxonomy_choice {
    std::filesystem::path from, documents;
    bool fetch = false;       // clone into `documents` what is missing there
    bool keep_going = false;  // use the valid leaves although others have errors
    bool quiet = false;
};

/// @throws as taxonomy::load
[[nodiscard]] inline taxonomy::tree read_taxonomy(const taxonomy_choice& c) {
    taxonomy::options how{.keep_going = c.keep_going, .documents_dir = c.documents};
    if (c.fetch) {
        how.fetch.emplace();
        how.fetch->keep_going = [] { return !stop_asked(); };
        if (!c.quiet) how.fetch->notice = [](const std::string& line) { std::cerr << line << std::endl; };
    }
    auto tree = taxonomy::load(c.from, how);
    if (!c.quiet)
        for (const auto& p : tree.problems) std::cerr << taxonomy::to_text(p) << '\n';
    return tree;
}

}  // namespace lab::apps
