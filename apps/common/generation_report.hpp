// What generation tells people at the end: kept and refused by leaf and reason, which facts have a question, how far
// the judges were trusted, two samples.
#pragma once

#include <algorithm>
#include <cstdio>
#include <iomanip>
#include <ostream>
#include <string>

#include "common/cli.hpp"
#include "lab/sdg/fact_table.hpp"
#include "lab/sdg/heldout_overlap.hpp"
#include "lab/sdg/run_result.hpp"

namespace lab::apps {

inline void show_sample(std::ostream& out, const painter& paint, const taxonomy::leaf& leaf, const sdg::candidate& c) {
    out << paint.dim("  " + leaf.id + " (" + c.origin + ")") << '\n'
        << paint.cyan("  user      ") << sdg::flat(sdg::user_text(leaf, c)) << '\n'
        << paint.green("  assistant ") << sdg::flat(c.answer) << '\n';
    for (const auto& turn : c.more)
        out << paint.cyan("  user      ") << sdg::flat(turn.question) << '\n'
            << paint.green("  assistant ") << sdg::flat(turn.answer) << '\n';
}

/// The leaves' mean, and the leaf whose samples repeat each other most.
inline void show_diversity(std::ostream& out, const sdg::run_result& run) {
    double distinct = 0, bleu = 0, nearest = 0, most = -1;
    std::size_t leaves = 0;
    std::string dullest;
    for (const auto& s : run.summaries) {
        if (s.kept < 2) continue;
        const auto& d = s.diversity;
        ++leaves, distinct += d.distinct[1], bleu += d.self_bleu, nearest += d.nearest_rouge_l;
        if (d.nearest_rouge_l > most) most = d.nearest_rouge_l, dullest = s.leaf->id;
    }
    if (leaves == 0) return;
    const auto n = static_cast<double>(leaves);
    char text[160];
    std::snprintf(text, sizeof text, "Diversity, mean of leaves: distinct-2 %.2f, self-BLEU %.2f, nearest ROUGE-L %.2f",
                  distinct / n, bleu / n, nearest / n);
    out << text;
    std::snprintf(text, sizeof text, " (%.2f)\n", most);
    out << "; least varied " << dullest << text;
}

/// By set: compared, refused, how much of a question the samples hold; then the leaves that lost samples.
inline void show_contamination(std::ostream& out, const painter& paint, const sdg::run_result& run,
                               const sdg::contamination_index& avoid) {
    std::map<std::string, sdg::contamination_tally> all;
    std::map<std::string, std::string> leaves;  // those that lost samples, by set
    for (const auto& s : run.summaries)
        for (const auto& [set, t] : s.contamination) {
            all[set].add(t);
            if (t.refused > 0) leaves[set] += "  " + std::to_string(t.refused) + " refused in " + s.leaf->id + "\n";
        }
    for (std::size_t s = 0; s < avoid.size(); ++s) {
        const auto& set = avoid.set(s);
        const auto& t = all[set.name];
        out << "Evaluation set " << set.name << " (" << set.items.size() << " items): " << t.compared
            << " samples compared, " << t.refused << " refused; share of a question that they hold:";
        constexpr const char* shares[] = {"none", "to 20 %", "to 40 %", "to 60 %", "to 80 %", "more"};
        for (std::size_t i = 0; i < t.shares.size(); ++i)
            out << (i == 0 ? " " : ", ") << shares[i] << " " << t.shares[i];
        out << '\n' << paint.yellow(leaves[set.name]);
        if (!set.skipped.empty())
            out << paint.dim("  " + std::to_string(set.skipped.size()) + " files hold no question, the first " +
                             set.skipped.front())
                << '\n';
    }
}

/// Which facts of the documents have a question, and the first of those that have none.
inline void show_coverage(std::ostream& out, const painter& paint, const sdg::run_result& run) {
    constexpr std::size_t most = 3;  // of a leaf
    for (const auto& s : run.summaries) {
        const auto& c = s.facts;
        if (c.facts == 0) continue;
        out << "Facts of " << s.leaf->id << ": " << c.covered << " of " << c.facts << " have a question\n";
        for (const auto& [why, n] : c.without) out << paint.dim("  " + std::to_string(n) + " without: " + why) << '\n';
        for (std::size_t i = 0; i < std::min(most, s.gaps.size()); ++i)
            out << paint.dim("    \"" + s.gaps[i].text + "\": " + s.gaps[i].why) << '\n';
    }
}

inline void show_report(std::ostream& out, const painter& paint, const sdg::run_result& run,
                        const sdg::fact_score& facts, const std::map<std::string, sdg::overlap_report>& overlap,
                        const sdg::contamination_index* avoid = nullptr) {
    std::size_t kept = 0, seeds = 0, refused = 0;
    for (const auto& s : run.summaries) kept += s.kept, seeds += s.seeds, refused += s.refused;
    out << paint.bold(std::to_string(kept) + " samples") << " (" << kept - seeds << " generated, " << seeds
        << " seeds), " << refused << " refused\n";
    for (const auto& s : run.summaries) {
        out << "  " << std::setw(3) << s.generated() << " of " << s.wanted << "  " << s.leaf->id;
        std::string why;
        for (const auto& [check, n] : s.refused_by)
            why.append(why.empty() ? "  refused: " : ", ").append(check).append(" ").append(std::to_string(n));
        out << paint.dim(why) << '\n';
        if (!s.shortfall.empty()) out << paint.yellow("         fell short: " + s.shortfall) << '\n';
    }
    show_coverage(out, paint, run);
    if (!run.judges.empty()) {
        out << "Judges" << (run.judge.empty() ? "" : " (" + run.judge + ")") << ", measured on the seeds:\n";
        for (const auto& [name, c] : run.judges) {
            char text[160];
            std::snprintf(text, sizeof text,
                          "  %-16s AUC %.2f [%.2f, %.2f] over %zu right and %zu wrong; keeps %.0f %% and %.0f %%  ",
                          name.c_str(), c.auc, c.low, c.high, c.right, c.wrong, 100 * c.right_kept, 100 * c.wrong_kept);
            out << text << (c.trusted ? "trusted" : paint.yellow("not obeyed: " + c.weakness)) << '\n';
        }
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
    show_diversity(out, run);
    if (avoid != nullptr) show_contamination(out, paint, run, *avoid);
    for (const auto& note : run.notes) out << paint.yellow("Note: " + note) << '\n';
    for (const auto& example : run.examples)
        if (example) show_sample(out, paint, *example->leaf, example->sample);
}

}  // namespace lab::apps
