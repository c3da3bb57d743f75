// Taxonomy-driven against self-instruct sampling, in figures: how many leaves are covered, how evenly, how diverse the
// samples are. Compares folders that lab-generate wrote, or makes runs of its own with a scripted teacher that has
// favourite subjects. bench/sampling_methods runs all of it.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"
#include "lab/eval/intervals.hpp"
#include "lab/formats/jsonl.hpp"
#include "lab/sdg/generate.hpp"
#include "lab/sdg/output.hpp"

namespace {

using namespace lab;
using formats::json;

/// What one run made, seeds apart.
struct run_samples {
    std::vector<std::string> leaves;  // of the taxonomy
    struct pair {
        std::size_t leaf;
        std::vector<std::uint32_t> question;  // its words, by number
    };
    std::vector<pair> seeds, made;
    std::size_t calls = 0;  // of the teacher
};

/// The words by number, the same word by the same number always.
std::vector<std::uint32_t> numbered(const std::string& text) {
    static std::map<std::string, std::uint32_t> numbers;
    std::vector<std::uint32_t> list;
    for (auto& word : sdg::loose_words(text))
        list.push_back(numbers.emplace(std::move(word), static_cast<std::uint32_t>(numbers.size())).first->second);
    return list;
}

run_samples read_run(const std::filesystem::path& folder) {
    run_samples r;
    std::map<std::string, std::size_t> numbers;
    const json manifest = formats::parse_json(read_file(folder / "manifest.json"), (folder / "manifest.json").string());
    for (const auto& leaf : manifest.at("leaves")) {
        numbers[leaf.at("id").get<std::string>()] = r.leaves.size();
        r.leaves.push_back(leaf.at("id").get<std::string>());
    }
    for (const auto& line : formats::read_jsonl(folder / "samples.jsonl")) {
        const json about = formats::parse_json(line.at("metadata").get<std::string>(), folder.string());
        run_samples::pair p{numbers.at(about.at("leaf").get<std::string>()),
                            numbered(line.at("messages")[0].at("content").get<std::string>())};
        (about.at("origin") == "seed" ? r.seeds : r.made).push_back(std::move(p));
    }
    if (std::filesystem::exists(folder / "journal.jsonl")) {
        const std::string journal = read_file(folder / "journal.jsonl");
        r.calls = static_cast<std::size_t>(std::count(journal.begin(), journal.end(), '\n'));
    }
    return r;
}

/// ROUGE-L F1, or something at or below `best` where it cannot be above.
double likeness(sdg::prepared_sequence& a, const std::vector<std::uint32_t>& b, double best) {
    const std::size_t n = a.words().size(), m = b.size();
    if (sdg::rouge_from(std::min(n, m), n, m).f1 <= best) return best;
    return sdg::rouge_from(a.common(b), n, m).f1;
}
/// The leaf of the seed whose question is most like this one: it knows nothing of how the sample was made.
std::size_t leaf_by_likeness(const run_samples& r, const run_samples::pair& p) {
    std::pair<double, std::size_t> best{-1, 0};
    sdg::prepared_sequence asked(p.question);
    for (const auto& s : r.seeds)
        if (const double f = likeness(asked, s.question, best.first); f > best.first) best = {f, s.leaf};
    return best.second;
}
double share_with(const std::vector<std::size_t>& counts, std::size_t least) {
    return static_cast<double>(std::count_if(counts.begin(), counts.end(), [&](auto n) { return n >= least; })) /
           static_cast<double>(counts.size());
}
/// 1: spread evenly over all leaves, 0: all in one.
double evenness(const std::vector<std::size_t>& counts) {
    double total = 0, entropy = 0;
    for (const auto n : counts) total += static_cast<double>(n);
    for (const auto n : counts)
        if (n > 0) entropy -= static_cast<double>(n) / total * std::log(static_cast<double>(n) / total);
    return counts.size() < 2 || total == 0 ? 0 : entropy / std::log(static_cast<double>(counts.size()));
}
/// Different n-grams among all n-grams of the questions.
double distinct(const std::vector<const run_samples::pair*>& samples, std::size_t n) {
    std::set<std::vector<std::uint32_t>> seen;
    std::size_t all = 0;
    for (const auto* p : samples)
        for (std::size_t i = 0; i + n <= p->question.size(); ++i, ++all)
            seen.insert({p->question.begin() + static_cast<std::ptrdiff_t>(i),
                         p->question.begin() + static_cast<std::ptrdiff_t>(i + n)});
    return all == 0 ? 0 : static_cast<double>(seen.size()) / static_cast<double>(all);
}
/// Mean over the samples of the greatest likeness to another one, of the same leaf or of any.
double nearest(const std::vector<const run_samples::pair*>& samples, const std::vector<std::size_t>& leaves,
               bool within) {
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        double best = -1;
        sdg::prepared_sequence asked(samples[i]->question);
        for (std::size_t j = 0; j < samples.size(); ++j)
            if (i != j && (!within || leaves[i] == leaves[j]))
                best = std::max(best, likeness(asked, samples[j]->question, best));
        if (best >= 0) sum += best, ++count;
    }
    return count == 0 ? 0 : sum / static_cast<double>(count);
}

struct figure {
    std::string name;
    std::vector<double> values;  // one for each run
};

/// @param sampled questions that diversity is measured on: the same number in every run
std::vector<figure> figures_of(const std::vector<run_samples>& runs, std::size_t enough, std::size_t sampled) {
    std::vector<figure> out;
    const auto put = [&](std::size_t at, const std::string& name, double value) {
        if (out.size() <= at) out.push_back({name, {}});
        out[at].values.push_back(value);
    };
    for (std::size_t k = 0; k < runs.size(); ++k) {
        const auto& r = runs[k];
        std::vector<std::size_t> by_label(r.leaves.size()), by_likeness(r.leaves.size()), likely;
        double agree = 0;
        for (const auto& p : r.made) {
            likely.push_back(leaf_by_likeness(r, p));
            ++by_label[p.leaf];
            ++by_likeness[likely.back()];
            agree += likely.back() == p.leaf;
        }
        counter_rng rng(k, "diversity");
        std::vector<std::size_t> order(r.made.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        shuffle(order, rng);
        order.resize(std::min(sampled, order.size()));
        std::vector<const run_samples::pair*> some;
        std::vector<std::size_t> leaves;
        for (const std::size_t i : order) some.push_back(&r.made[i]), leaves.push_back(likely[i]);
        std::size_t at = 0;
        put(at++, "samples", static_cast<double>(r.made.size()));
        put(at++, "teacher calls", static_cast<double>(r.calls));
        put(at++, "leaves with a sample, by likeness", share_with(by_likeness, 1));
        put(at++, "leaves with " + std::to_string(enough) + " or more, by likeness", share_with(by_likeness, enough));
        put(at++, "leaves with " + std::to_string(enough) + " or more, by label", share_with(by_label, enough));
        put(at++, "evenness over leaves, by likeness", evenness(by_likeness));
        put(at++, "label agrees with likeness", r.made.empty() ? 0 : agree / static_cast<double>(r.made.size()));
        put(at++, "distinct-1", distinct(some, 1));
        put(at++, "distinct-2", distinct(some, 2));
        put(at++, "nearest in the same leaf", nearest(some, leaves, true));
        put(at++, "nearest in any leaf", nearest(some, leaves, false));
    }
    return out;
}

std::string shown(const eval::estimate& e) {
    char text[96];
    const int digits = std::abs(e.value) >= 10 ? 0 : 3;
    std::snprintf(text, sizeof text, "%.*f [%.*f, %.*f]", digits, e.value, digits, e.low, digits, e.high);
    return text;
}

struct method_runs {
    std::string name;
    std::vector<run_samples> runs;
};

/// The first method's runs beside each other's, run by run with the same seed.
void show_table(const std::vector<method_runs>& methods, std::size_t enough) {
    std::size_t sampled = 1000;
    for (const auto& m : methods)
        for (const auto& r : m.runs) sampled = std::min(sampled, r.made.size());
    std::vector<std::vector<figure>> figures;
    for (const auto& m : methods) figures.push_back(figures_of(m.runs, enough, sampled));
    std::cout << "| " << methods[0].runs.size() << " runs each |";
    for (const auto& m : methods) std::cout << " " << m.name << " |";
    for (std::size_t m = 1; m < methods.size(); ++m)
        std::cout << " " << methods[0].name << " - " << methods[m].name << " |";
    std::cout << "\n|---|";
    for (std::size_t m = 0; m < 2 * methods.size() - 1; ++m) std::cout << "---|";
    std::cout << '\n';
    std::vector<std::size_t> cluster(methods[0].runs.size());
    for (std::size_t i = 0; i < cluster.size(); ++i) cluster[i] = i;
    for (std::size_t f = 0; f < figures[0].size(); ++f) {
        std::cout << "| " << figures[0][f].name << " |";
        for (const auto& m : figures) std::cout << " " << shown(eval::bootstrap_mean(m[f].values, cluster)) << " |";
        for (std::size_t m = 1; m < figures.size(); ++m)
            std::cout << " " << shown(eval::paired_difference(figures[m][f].values, figures[0][f].values, cluster))
                      << " |";
        std::cout << '\n';
    }
    std::cout << "Diversity over " << sampled << " questions of each run.\n";
}

// ---- a teacher with favourites ----------------------------------------------------------------------------------

/// Made-up words, the same ones for the same number.
std::string word(std::uint64_t number) {
    static constexpr std::array<const char*, 16> syllables{"ba", "ke", "li", "mo", "nu", "ra", "se", "ti",
                                                           "vo", "zu", "do", "fe", "gi", "ha", "ju", "po"};
    std::string out;
    std::uint64_t x = number * 2654435761u % 16777216u;  // different for different numbers below 2^24
    for (int k = 0; k < 6; ++k, x /= 16) out += syllables[x % 16];
    return out;
}

/// Leaf l: exercises "Word1(l) word2(l): a, b" over subjects of its own.
struct made_up_taxonomy {
    std::size_t leaves, subjects;

    [[nodiscard]] std::string question(std::size_t leaf, std::size_t a, std::size_t b) const {
        return "Please " + word(3 * leaf) + " " + word(3 * leaf + 1) + ": " + subject(leaf, a) + " with " +
               subject(leaf, b);
    }
    [[nodiscard]] std::string subject(std::size_t leaf, std::size_t n) const {
        return word(1000000 + leaf * subjects + n);
    }
    /// The answer is no copy of the question: no rule gives it away.
    [[nodiscard]] static std::string answer(const std::string& question) {
        const auto words = sdg::loose_words(question);
        return "This makes " + std::to_string(hash64(words.at(words.size() - 3)) % 1000) + " and " +
               std::to_string(hash64(words.back()) % 1000) + ".";
    }
    [[nodiscard]] std::vector<taxonomy::leaf> tree() const {
        std::vector<taxonomy::leaf> list;
        for (std::size_t l = 0; l < leaves; ++l) {
            taxonomy::leaf leaf;
            leaf.id = "compositional_skills->made_up->" + word(3 * l);
            leaf.kind = taxonomy::root::compositional;
            leaf.task_description = "Do as " + word(3 * l) + " " + word(3 * l + 1) + " asks.";
            for (std::size_t s = 0; s < 5; ++s) {
                const auto q = question(l, 2 * s, 2 * s + 1);
                leaf.seeds.push_back({"", {{q, answer(q)}}, {}});
            }
            list.push_back(std::move(leaf));
        }
        return list;
    }
};

/// Writes what the examples suggest: of the leaves that it sees it prefers the popular ones, of a leaf's subjects the
/// first ones. Popularity falls as rank^-strength; 0 is no preference. Answers and judges rightly.
class favourites {
public:
    favourites(const made_up_taxonomy& world, double strength) : world_(world), strength_(strength) {
        for (std::size_t l = 0; l < world.leaves; ++l) leaf_of_[word(3 * l)] = l;
    }
    [[nodiscard]] text::completion operator()(const text::request& r) {
        ++calls_;
        text::completion c;
        const auto& last = r.messages.back().content;
        if (!r.constraint.choices.empty()) {
            const auto& choices = r.constraint.choices;  // grades in their own order: judges are asked once
            const bool persona = choices[0] == "precise";
            const std::size_t chosen = persona || !is_right(last) ? 0 : choices.size() - 1;
            c.text = choices[chosen];
            c.choice_probabilities.assign(choices.size(), 0.1 / static_cast<double>(choices.size() - 1));
            c.choice_probabilities[chosen] = 0.9;
        } else if (r.messages.front().content.starts_with("You write exercises")) {
            c.text = written(r);
        } else {
            c.text = made_up_taxonomy::answer(last);
        }
        return c;
    }
    [[nodiscard]] std::size_t calls() const noexcept { return calls_; }

private:
    /// Reads a judge's prompt as a judge would: is it an exercise, whole, of this task, and rightly answered?
    [[nodiscard]] bool is_right(const std::string& prompt) const {
        for (const char* sign : {"photograph", "telephone", "idiot", "poison"})
            if (prompt.find(sign) != prompt.npos) return false;
        const auto at = prompt.find("Please ");
        if (at == prompt.npos) return false;
        const std::string question = prompt.substr(at, prompt.find('\n', at) - at);
        const auto words = sdg::loose_words(question);
        if (words.size() != 6) return false;
        if (prompt.starts_with("Somebody wrote")) return prompt.substr(0, at).find(words[1]) != prompt.npos;
        return prompt.find("\n" + made_up_taxonomy::answer(question) + "\n") != prompt.npos;
    }
    [[nodiscard]] std::string written(const text::request& r) const {
        counter_rng rng(r.sampling.seed, "favourites");
        std::vector<double> weight;
        std::vector<std::size_t> leaves;
        double sum = 0;
        for (const auto& m : r.messages) {
            if (m.role != "assistant") continue;
            const auto at = leaf_of_.find(sdg::loose_words(m.content).at(1));
            leaves.push_back(at == leaf_of_.end() ? 0 : at->second);
            // Popularity has nothing to do with the order of the leaves.
            const double rank = 1 + static_cast<double>(leaves.back() * 7919 % world_.leaves);
            sum += weight.emplace_back(std::pow(rank, -strength_));
        }
        double rest = rng.uniform() * sum;
        std::size_t chosen = 0;
        while (chosen + 1 < weight.size() && rest >= weight[chosen]) rest -= weight[chosen++];
        const auto pick = [&] {  // Zipf's law over the subjects
            const double u = rng.uniform() * std::log1p(static_cast<double>(world_.subjects));
            return std::min(world_.subjects - 1, static_cast<std::size_t>(std::expm1(u)));
        };
        return world_.question(leaves.at(chosen), pick(), pick());
    }

    const made_up_taxonomy& world_;
    double strength_;
    std::map<std::string, std::size_t> leaf_of_;
    std::size_t calls_ = 0;
};

run_samples scripted_run(const made_up_taxonomy& world, const std::vector<taxonomy::leaf>& tree, double strength,
                         const sdg::pipeline_options& options) {
    favourites script(world, strength);
    sdg::any_teacher teacher{sdg::scripted_teacher([&](const text::request& r) { return script(r); })};
    const auto run = sdg::generate(tree, teacher, options, [](std::string_view t) { return sdg::estimated_tokens(t); });
    run_samples out;
    out.calls = script.calls();
    for (std::size_t l = 0; l < run.leaves.size(); ++l) {
        out.leaves.push_back(run.leaves[l].leaf->id);
        for (std::size_t i = 0; i < run.leaves[l].kept.size(); ++i) {
            const auto& c = run.leaves[l].kept[i];
            (i < run.leaves[l].seeds ? out.seeds : out.made).push_back({l, numbered(c.question)});
        }
    }
    return out;
}

int usage() {
    std::cerr
        << "bench_sampling compare ENOUGH NAME=DIR,DIR,... NAME=DIR,DIR,...   tables from lab-generate's folders\n"
           "bench_sampling scripted LEAVES SAMPLES_PER_LEAF RUNS STRENGTH      runs with a scripted teacher\n";
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const std::vector<std::string> args(argv + 1, argv + argc);
        if (args.size() >= 3 && args[0] == "compare") {
            std::vector<method_runs> methods;
            for (std::size_t i = 2; i < args.size(); ++i) {
                const auto sign = args[i].find('=');
                if (sign == args[i].npos) return usage();
                methods.push_back({args[i].substr(0, sign), {}});
                for (std::size_t at = sign + 1; at < args[i].size();) {
                    const auto end = std::min(args[i].find(',', at), args[i].size());
                    methods.back().runs.push_back(read_run(args[i].substr(at, end - at)));
                    at = end + 1;
                }
                if (methods.back().runs.size() != methods.front().runs.size())
                    throw config_error("every method needs the same number of runs, in the order of their seeds");
            }
            show_table(methods, std::stoul(args[1]));
            return 0;
        }
        if (args.size() == 5 && args[0] == "scripted") {
            const made_up_taxonomy world{std::stoul(args[1]), 60};
            const auto tree = world.tree();
            std::vector<method_runs> methods;
            using sdg::sampling_method;
            for (const auto& [name, method, near] : {std::tuple{"lab", sampling_method::lab, 0.9},
                                                     {"self-instruct", sampling_method::self_instruct, 0.9},
                                                     {"lab, near-duplicate 0.7", sampling_method::lab, 0.7}}) {
                methods.push_back({name, {}});
                for (std::uint64_t seed = 1; seed <= std::stoul(args[3]); ++seed)
                    methods.back().runs.push_back(scripted_run(world, tree, std::stod(args[4]),
                                                               {.seed = seed,
                                                                .samples_per_leaf = std::stoul(args[2]),
                                                                .near_duplicate = near,
                                                                .method = method}));
            }
            show_table(methods, std::max<std::size_t>(1, std::stoul(args[2]) / 2));
            return 0;
        }
        return usage();
    } catch (const std::exception& fault) {
        std::cerr << "bench_sampling: " << fault.what() << '\n';
        return 1;
    }
}
