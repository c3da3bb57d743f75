// lab-generate inspect, diff and report: a run that is there, looked through, compared with another, as a page.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cxxopts.hpp>
#include <filesystem>
#include <iostream>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/cli.hpp"
#include "common/stop.hpp"
#include "lab/sdg/run_report.hpp"

namespace lab::apps {

namespace inspect_detail {

/// "gain>=0.5": a score and the bound it must keep.
struct bound {
    std::string score;
    double least = -std::numeric_limits<double>::infinity(), most = std::numeric_limits<double>::infinity();
    [[nodiscard]] bool holds(const sdg::written_sample& s) const {
        const auto at = s.scores.find(score);
        return at != s.scores.end() && at->second >= least && at->second <= most;
    }
};
/// @throws usage_error
[[nodiscard]] inline bound parse_bound(const std::string& text) {
    const auto at = text.find_first_of("<>");
    const auto digits = at == text.npos ? text.size() : at + 1 + (text.compare(at + 1, 1, "=") == 0);
    char* end = nullptr;
    const double value = digits < text.size() ? std::strtod(text.c_str() + digits, &end) : 0;
    if (at == text.npos || at == 0 || digits >= text.size() || *end != '\0')
        throw usage_error("--score " + text + ": NAME>=NUMBER or NAME<=NUMBER");
    bound b{text.substr(0, at)};
    (text[at] == '<' ? b.most : b.least) = value;
    return b;
}

struct filter {
    std::string leaf, text, refused_by, origin, id;
    bool kept = true, refused = true;
    std::vector<bound> bounds;

    [[nodiscard]] bool takes(const sdg::written_sample& s) const {
        if (s.kept() ? !kept : !refused) return false;
        if (!refused_by.empty() && s.refused_by != refused_by) return false;
        if (s.leaf.find(leaf) == s.leaf.npos || (!origin.empty() && s.origin != origin) || !s.id.starts_with(id))
            return false;
        if (!text.empty() && std::none_of(s.messages.begin(), s.messages.end(),
                                          [&](const auto& m) { return m.second.find(text) != m.second.npos; }))
            return false;
        return std::all_of(bounds.begin(), bounds.end(), [&](const bound& b) { return b.holds(s); });
    }
};

inline void show(std::ostream& out, const painter& paint, const sdg::written_sample& s) {
    out << paint.bold(s.leaf) << "  " << s.origin << "  " << paint.dim(s.id) << '\n';
    if (!s.kept()) out << paint.yellow("refused by " + s.refused_by + ": " + s.reason) << '\n';
    for (const auto& [role, content] : s.messages) out << paint.green(role) << "  " << content << '\n';
    for (const auto& [name, score] : s.scores) out << name << ' ' << sdg::detail::number_text(score) << "  ";
    out << (s.scores.empty() ? "" : "\n") << paint.dim(formats::to_text(s.provenance)) << "\n\n";
}

}  // namespace inspect_detail

inline constexpr const char* inspect_examples = R"(
Examples:
  lab-generate inspect data/                                        what is there: leaves, checks, scores
  lab-generate inspect data/ --leaf ferries --refused-by grounded   what a check refused, and why
  lab-generate inspect data/ --kept --score 'gain<=1' --count 5
  lab-generate inspect data/ --text Tansley --json                  as JSON Lines, for a script
)";

inline int inspect_command(int argc, char** argv) {
    using namespace inspect_detail;
    cxxopts::Options spec("lab-generate inspect", "Shows samples of a run, kept and refused, with why.");
    std::string folder;
    std::vector<std::string> scores;
    std::size_t count = 20;
    filter wanted;
    spec.add_options()("folder", "what --out of a run was", cxxopts::value(folder))(
        "leaf", "part of the leaf's name", cxxopts::value(wanted.leaf))("kept", "only what was kept")(
        "refused", "only what was refused")("refused-by", "only what this check refused",
                                            cxxopts::value(wanted.refused_by))("origin", "seed, document, frame, ...",
                                                                               cxxopts::value(wanted.origin))(
        "score", "NAME>=NUMBER or NAME<=NUMBER; repeatable", cxxopts::value(scores))("text", "that some message holds",
                                                                                     cxxopts::value(wanted.text))(
        "id", "beginning of a sample's id", cxxopts::value(wanted.id))("count", "at most so many; 0: all",
                                                                       cxxopts::value(count)->default_value("20"))(
        "json", "the lines as they stand in the files")("help", "this text");
    spec.parse_positional({"folder"});
    spec.positional_help("FOLDER");
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0) return std::cout << spec.help() << inspect_examples, 0;
    if (folder.empty()) throw usage_error("the folder of a run is needed");
    wanted.kept = args.count("refused") == 0 && wanted.refused_by.empty();
    wanted.refused = args.count("kept") == 0;
    for (const auto& s : scores) wanted.bounds.push_back(parse_bound(s));
    const painter paint{shows_colours(stdout)};
    const bool json = args.count("json") != 0;
    std::size_t found = 0, shown = 0;
    std::map<std::string, std::size_t> leaves, checks;
    sdg::for_each_written(folder, [&](const sdg::written_sample& s) {
        if (!wanted.takes(s)) return;
        ++found, ++leaves[s.leaf];
        if (!s.kept()) ++checks[s.refused_by];
        if (count != 0 && shown == count) return;
        ++shown;
        if (json)
            std::cout << s.line << '\n';
        else
            show(std::cout, paint, s);
    });
    if (json) return 0;
    std::cout << found << " samples" << (shown < found ? ", the first " + std::to_string(shown) + " shown" : "")
              << '\n';
    for (const auto& [leaf, n] : leaves) std::cout << "  " << n << "  " << leaf << '\n';
    for (const auto& [check, n] : checks) std::cout << "  " << n << "  refused by " << check << '\n';
    return 0;
}

/// By sample id: what only one run kept, and what the other did with it.
inline int diff_command(int argc, char** argv) {
    cxxopts::Options spec("lab-generate diff", "Compares what two runs kept, by sample.");
    std::vector<std::string> folders;
    std::size_t count = 5;
    spec.add_options()("folders", "two folders of runs", cxxopts::value(folders))(
        "count", "samples shown of each kind; 0: all", cxxopts::value(count)->default_value("5"))(
        "json", "one JSON object")("help", "this text");
    spec.parse_positional({"folders"});
    spec.positional_help("A B");
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0)
        return std::cout << spec.help()
                         << "\nExample:\n  lab-generate diff data/ data-other-seed/\nExit code 1 where they differ.\n",
               0;
    if (folders.size() != 2) throw usage_error("two folders are needed");
    struct fate {
        bool kept = false;
        std::string leaf, why;
    };
    std::map<std::string, fate> of[2];
    for (std::size_t i = 0; i < 2; ++i)
        sdg::for_each_written(folders[i], [&](const sdg::written_sample& s) {
            auto& f = of[i][s.id];
            if (f.kept) return;  // kept once is kept
            f = {s.kept(), s.leaf, s.kept() ? "" : "refused by " + s.refused_by};
        });
    std::map<std::string, std::array<std::size_t, 3>> leaves;  // both, only the first, only the second
    std::vector<std::pair<std::string, std::string>> only[2];  // id, what the other did with it
    for (std::size_t i = 0; i < 2; ++i)
        for (const auto& [id, f] : of[i]) {
            if (!f.kept) continue;
            const auto other = of[1 - i].find(id);
            const bool both = other != of[1 - i].end() && other->second.kept;
            if (both && i == 1) continue;
            ++leaves[f.leaf][both ? 0 : 1 + i];
            if (!both) only[i].emplace_back(id, other == of[1 - i].end() ? "not proposed" : other->second.why);
        }
    const bool same = only[0].empty() && only[1].empty();
    if (args.count("json") != 0) {
        formats::json out{{"same", same}, {"leaves", formats::json::object()}};
        for (const auto& [leaf, n] : leaves)
            out["leaves"][leaf] = {{"both", n[0]}, {"only_first", n[1]}, {"only_second", n[2]}};
        for (std::size_t i = 0; i < 2; ++i)
            for (const auto& [id, why] : only[i])
                out[i == 0 ? "only_first" : "only_second"].push_back({{"id", id}, {"other", why}});
        std::cout << formats::to_text(out) << '\n';
        return same ? 0 : exit_failure;
    }
    std::cout << "   both  only first  only second\n";
    for (const auto& [leaf, n] : leaves) {
        char text[64];
        std::snprintf(text, sizeof text, "%7zu  %10zu  %11zu  ", n[0], n[1], n[2]);
        std::cout << text << leaf << '\n';
    }
    for (std::size_t i = 0; i < 2; ++i) {
        std::map<std::string, std::size_t> why;
        for (const auto& [id, reason] : only[i]) ++why[reason];
        for (const auto& [reason, n] : why)
            std::cout << n << " only in " << folders[i] << ": in the other " << reason << '\n';
        for (std::size_t k = 0; k < only[i].size() && (count == 0 || k < count); ++k)
            std::cout << "  " << only[i][k].first << "  " << only[i][k].second << '\n';
    }
    if (same) std::cout << "They kept the same samples.\n";
    return same ? 0 : exit_failure;
}

inline int report_command(int argc, char** argv) {
    cxxopts::Options spec("lab-generate report", "Writes a run's report.html anew.");
    std::string folder, out;
    std::size_t samples = 20;
    spec.add_options()("folder", "what --out of a run was", cxxopts::value(folder))(
        "out", "file to write; default: report.html in the folder", cxxopts::value(out))(
        "samples", "to show", cxxopts::value(samples)->default_value("20"))("help", "this text");
    spec.parse_positional({"folder"});
    spec.positional_help("FOLDER");
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0)
        return std::cout << spec.help() << "\nExample:\n  lab-generate report data/ --samples 100 --out look.html\n", 0;
    if (folder.empty()) throw usage_error("the folder of a run is needed");
    const auto file = out.empty() ? std::filesystem::path(folder) / "report.html" : std::filesystem::path(out);
    write_file_atomically(file, sdg::html_report_of(folder, samples));
    std::cout << "Written: " << file.string() << '\n';
    return 0;
}

}  // namespace lab::apps
