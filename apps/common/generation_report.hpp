// What generation tells people at the end: kept and refused by leaf and reason, how far the judges were trusted, two
// samples.
#pragma once

#include <algorithm>
#include <cstdio>
#include <iomanip>
#include <ostream>
#include <string>

#include "common/cli.hpp"
#include "lab/sdg/fact_table.hpp"
#include "lab/sdg/output.hpp"

namespace lab::apps {

inline void show_sample(std::ostream& out, const painter& paint, const taxonomy::leaf& leaf, const sdg::candidate& c) {
    out << paint.dim("  " + leaf.id + " (" + c.origin + ")") << '\n'
        << paint.cyan("  user      ") << sdg::flat(sdg::user_text(leaf, c)) << '\n'
        << paint.green("  assistant ") << sdg::flat(c.answer) << '\n';
}

inline void show_report(std::ostream& out, const painter& paint, const sdg::run_result& run,
                        const sdg::fact_score& facts, const std::map<std::string, sdg::overlap_report>& overlap) {
    std::size_t kept = 0, seeds = 0, refused = 0;
    for (const auto& r : run.leaves) kept += r.kept.size(), seeds += r.seeds, refused += r.refused.size();
    out << paint.bold(std::to_string(kept) + " samples") << " (" << kept - seeds << " generated, " << seeds
        << " seeds), " << refused << " refused\n";
    for (const auto& r : run.leaves) {
        out << "  " << std::setw(3) << r.kept.size() - r.seeds << " of " << r.wanted << "  " << r.leaf->id;
        std::string why;
        for (const auto& [check, n] : r.refused_by())
            why.append(why.empty() ? "  refused: " : ", ").append(check).append(" ").append(std::to_string(n));
        out << paint.dim(why) << '\n';
        if (!r.shortfall.empty()) out << paint.yellow("         fell short: " + r.shortfall) << '\n';
    }
    if (!run.judges.empty()) {
        out << "Judges, measured on the seeds:";
        for (const auto& [name, c] : run.judges) {
            char text[96];
            std::snprintf(text, sizeof text, " %s AUC %.2f (%s)", name.c_str(), c.auc,
                          c.trusted ? "trusted" : "not obeyed");
            out << text;
        }
        out << '\n';
    }
    if (facts.judged > 0) {
        char text[160];
        std::snprintf(text, sizeof text,
                      "Against the fact tables: %zu of %zu judged samples right (%.0f %%), %zu of %zu facts covered\n",
                      facts.right, facts.judged,
                      100.0 * static_cast<double>(facts.right) / static_cast<double>(facts.judged), facts.covered,
                      facts.facts);
        out << text;
        for (const auto& line : facts.wrong) out << paint.dim("  not as the table has it: " + line) << '\n';
    }
    std::size_t equal = 0, near = 0;
    for (const auto& [leaf, o] : overlap) equal += o.equal, near += o.near;
    out << "Held-out questions, compared afterwards: " << equal << " samples ask one of them word for word, " << near
        << " nearly so\n";
    for (const auto& note : run.notes) out << paint.yellow("Note: " + note) << '\n';
    for (const bool knowledge : {true, false})
        for (const auto& r : run.leaves) {
            if ((r.leaf->kind == taxonomy::root::knowledge) != knowledge || r.kept.size() == r.seeds) continue;
            show_sample(out, paint, *r.leaf, r.kept[r.seeds]);
            break;
        }
}

}  // namespace lab::apps
