// lab-generate mix: datasets by a recipe, or generated samples by a preset, into the files that training reads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cxxopts.hpp>
#include <filesystem>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/cli.hpp"
#include "common/progress.hpp"
#include "common/stop.hpp"
#include "lab/core/file.hpp"
#include "lab/sdg/generate.hpp"
#include "lab/sdg/mix_manifest.hpp"
#include "lab/taxonomy/load.hpp"
#include "lab/text/choose_format.hpp"
#include "lab/text/encode_chat.hpp"
#include "lab/tokenizer/load.hpp"

namespace lab::apps {

struct mix_command_options {
    std::filesystem::path recipe, data, out, taxonomy, documents, model;
    std::string format;
    sdg::phase_options phases;
    sdg::mix_options mix;
    std::optional<std::size_t> chunk_tokens, chunk_overlap;
    bool json = false;
};

inline constexpr const char* mix_examples = R"(
Examples:
  lab-generate mix --recipe recipe.yaml --out mixed/
  lab-generate mix --data data/ --taxonomy taxonomy/ --out mixed/
  lab-generate mix --data data/ --taxonomy taxonomy/ --preset instructlab --precomputed community.jsonl --out mixed/
  lab-generate mix --data data/ --taxonomy taxonomy/ --out mixed/ --model smollm2.gguf \
      --budget knowledge=200k --budget compositional_skills/writing=50k
A recipe is a YAML file: datasets: [{path: FILE, sampling_size: 0.5}, {path: FILE, sampling_size: 1000}]
(a share, or a number of samples). docs/generate.md tells the rest.
)";

namespace mix_command_detail {

/// FILE or FILE:SIZE, the size as a recipe has it.
inline sdg::recipe_entry dataset_argument(const std::string& text) {
    sdg::recipe_entry entry;
    const auto colon = text.rfind(':');
    const auto size = colon == text.npos ? std::string() : text.substr(colon + 1);
    entry.path = text;
    if (!size.empty() && size.size() < 16 && size.find_first_not_of("0123456789.") == size.npos &&
        std::count(size.begin(), size.end(), '.') < 2 && size != ".") {
        entry.path = text.substr(0, colon);
        entry.size = size.find('.') == size.npos ? sdg::sampling_size::of_count(std::stoull(size))
                                                 : sdg::sampling_size::of_share(std::stod(size));
    }
    if (!std::filesystem::is_regular_file(entry.path))
        throw io_error(explain(entry.path, "there is no such file", "name a messages JSON Lines file"));
    entry.path = std::filesystem::absolute(entry.path).string();
    return entry;
}

/// Datasets of InstructLab's default recipes, knowledge.yaml and skills.yaml in one folder.
inline void add_default_recipes(const std::filesystem::path& folder, sdg::phase_options& phases) {
    bool any = false;
    for (auto [name, list] :
         {std::pair{"knowledge.yaml", &phases.more_knowledge}, {"skills.yaml", &phases.more_skills}}) {
        if (!std::filesystem::exists(folder / name)) continue;
        any = true;
        const auto recipe = sdg::read_recipe(folder / name);
        for (auto entry : recipe.datasets) {
            const auto file = recipe.file_of(entry);
            if (!std::filesystem::is_regular_file(file))
                throw io_error(
                    explain(recipe.name + ":" + std::to_string(entry.at.line) + ":" + std::to_string(entry.at.column),
                            "there is no dataset " + formats::quote(entry.path, 400)));
            entry.path = std::filesystem::absolute(file).string();
            list->push_back(std::move(entry));
        }
    }
    if (!any) throw io_error(explain(folder.string(), "holds neither knowledge.yaml nor skills.yaml"));
}

inline cxxopts::Options mix_spec() {
    cxxopts::Options spec("lab-generate mix", "Mixes datasets into training files, by a recipe or by a preset.");
    const auto text = [](const char* fallback = "") { return cxxopts::value<std::string>()->default_value(fallback); };
    const auto value = [] { return cxxopts::value<std::string>(); };
    spec.add_options("What")("recipe", "YAML file that names datasets and sizes", text())(
        "data", "generated samples: the --out of lab-generate, or a JSON Lines file", text())(
        "out", "folder for the training files and mix_manifest.json", text())(
        "preset", "for --data: raft, instructlab or plain", text("raft"))(
        "taxonomy", "what the samples were made from: their documents are looked up there", text())(
        "documents", "folder with checkouts of the leaves' document repositories", text());
    spec.add_options("How much")("budget",
                                 "PATH=TOKENS (knowledge=200k), for one file: skills_train:PATH=TOKENS; "
                                 "may be repeated",
                                 value())(
        "skills-size", "of each skill: a share (0.5) or a number (30); default: the preset's", text())(
        "precomputed", "FILE[:SIZE] that joins the skills; may be repeated", value())(
        "precomputed-knowledge", "FILE[:SIZE] that joins the knowledge; may be repeated", value())(
        "default-recipes", "folder with InstructLab's knowledge.yaml and skills.yaml", text())(
        "seed", "of everything random", cxxopts::value<std::uint64_t>()->default_value("0"))(
        "shuffle", "shuffle each file as a whole");
    spec.add_options("Documents in questions")("golden", "probability that the right document is shown", value())(
        "context-documents", "documents shown with a question", value())("distractors", "bm25 or random", value())(
        "distract-from", "documents of the same leaf, or of all: leaf or all", text("leaf"))(
        "bm25-k1", "", cxxopts::value<double>()->default_value("1.5"))("bm25-b", "",
                                                                       cxxopts::value<double>()->default_value("0.75"))(
        "auxiliary", "YAML file with auxiliary instructions (a pipeline of InstructLab's)", text())(
        "chunk-tokens", "as the samples' documents were cut; default: what their manifest says", value())(
        "chunk-overlap", "likewise", value());
    spec.add_options("Samples")("system-prompt", "of every sample; default: the recipe's", value())(
        "model", "count tokens with this model's tokenizer and chat format; default: an estimate", text())(
        "format", "chat format by name; default: the model's own", text())(
        "skip-broken", "leave out and count lines that are no sample")(
        "keep-empty", "keep samples without a message to learn from, as InstructLab does")(
        "keep-duplicates", "keep samples whose id and messages came before")(
        "inside", "refuse datasets outside the recipe's folder");
    spec.add_options("Output")("json", "the manifest on standard output, no progress")("help", "this text");
    return spec;
}

}  // namespace mix_command_detail

/// Nothing where only help was asked for. @throws usage_error, config_error
[[nodiscard]] inline std::optional<mix_command_options> parse_mix_options(int argc, char** argv) {
    auto spec = mix_command_detail::mix_spec();
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0) {
        std::cout << spec.help() << mix_examples;
        return std::nullopt;
    }
    if (!args.unmatched().empty()) throw usage_error("unexpected argument '" + args.unmatched().front() + "'");
    mix_command_options o;
    for (const auto& [name, path] : {std::pair{"recipe", &o.recipe},
                                     {"data", &o.data},
                                     {"out", &o.out},
                                     {"taxonomy", &o.taxonomy},
                                     {"documents", &o.documents},
                                     {"model", &o.model}})
        *path = args[name].as<std::string>();
    if (o.recipe.empty() == o.data.empty()) throw usage_error("either --recipe or --data is needed");
    if (o.out.empty()) throw usage_error("--out is needed");
    o.format = args["format"].as<std::string>();
    const auto preset = args["preset"].as<std::string>();
    const auto known = std::find_if(sdg::mix_presets.begin(), sdg::mix_presets.end(),
                                    [&](const auto& p) { return p.first == preset; });
    if (known == sdg::mix_presets.end()) throw usage_error("--preset is '" + preset + "' (raft, instructlab or plain)");
    o.phases = sdg::preset_options(known->second);

    const auto one_of = [&](const char* name, const char* yes, const char* no) {
        const auto given = args[name].as<std::string>();
        if (given != yes && given != no)
            throw usage_error(std::string("--") + name + " is '" + given + "' (" + yes + " or " + no + ")");
        return given == yes;
    };
    const auto number = [&](const char* name, auto& into) {
        using T = std::decay_t<decltype(into)>;
        if (args.count(name) == 0) return;
        const auto given = args[name].as<std::string>();
        try {
            std::size_t end = 0;
            if constexpr (std::is_same_v<T, double>)
                into = std::stod(given, &end);
            else
                into = given[0] == '-' ? throw std::invalid_argument("") : std::stoull(given, &end);
            if (end == given.size()) return;
        } catch (const std::exception&) {
        }
        throw usage_error(std::string("--") + name + " is '" + given + "', not a number");
    };
    auto& raft = o.phases.raft;
    number("golden", raft.golden);
    number("context-documents", raft.documents);
    if (args.count("distractors") != 0)
        raft.distractors =
            one_of("distractors", "bm25", "random") ? sdg::distractor_choice::bm25 : sdg::distractor_choice::random;
    o.phases.distract_across = one_of("distract-from", "all", "leaf");
    raft.bm25.k1 = args["bm25-k1"].as<double>();
    raft.bm25.b = args["bm25-b"].as<double>();
    raft.seed = o.phases.seed = o.mix.seed = args["seed"].as<std::uint64_t>();
    std::size_t n = 0;
    for (const auto& [name, into] : {std::pair{"chunk-tokens", &o.chunk_tokens}, {"chunk-overlap", &o.chunk_overlap}})
        if (args.count(name) != 0) number(name, n), *into = n;
    if (const auto size = args["skills-size"].as<std::string>(); !size.empty()) {
        const auto r = sdg::parse_recipe("datasets: [{path: x, sampling_size: " + size + "}]", "--skills-size");
        o.phases.skills = r.datasets.at(0).size;
    }
    if (const auto file = args["auxiliary"].as<std::string>(); !file.empty())
        o.phases.auxiliary = sdg::read_auxiliary_instructions(file);
    if (const auto folder = args["default-recipes"].as<std::string>(); !folder.empty())
        mix_command_detail::add_default_recipes(folder, o.phases);
    for (const auto& given : args.arguments()) {  // as they stand: cxxopts' lists would be cut at commas
        if (given.key() == "budget") o.mix.budgets.push_back(sdg::parse_budget(given.value()));
        if (given.key() == "precomputed")
            o.phases.more_skills.push_back(mix_command_detail::dataset_argument(given.value()));
        if (given.key() == "precomputed-knowledge")
            o.phases.more_knowledge.push_back(mix_command_detail::dataset_argument(given.value()));
    }
    if (args.count("system-prompt") != 0)
        o.phases.system_prompt = o.mix.system_prompt = args["system-prompt"].as<std::string>();
    o.phases.skip_broken = o.mix.skip_broken = args.count("skip-broken") != 0;
    for (const auto& [name, flag] : {std::pair{"keep-empty", &o.mix.keep_empty},
                                     {"keep-duplicates", &o.mix.keep_duplicates},
                                     {"inside", &o.mix.only_inside},
                                     {"shuffle", &o.mix.shuffle},
                                     {"json", &o.json}})
        *flag = args.count(name) != 0;
    if (!o.recipe.empty()) {
        if (!o.phases.more_skills.empty() || !o.phases.more_knowledge.empty())
            throw usage_error("precomputed datasets join --data; a recipe names its own");
        for (const auto& b : o.mix.budgets)
            if (!b.file.empty()) throw usage_error("--recipe writes one file: --budget PATH=TOKENS");
    }
    return o;
}

/// How tokens are counted, and in what words the manifest says so.
struct token_counting {
    std::shared_ptr<tokenizer::tokenizer> tokens;
    sdg::sample_counter of_sample = sdg::estimated_sample_tokens;
    std::function<std::size_t(std::string_view)> of_text = sdg::estimated_tokens;
    std::string words = "an estimate: 1.3 for each word, 3 for each message";
};

[[nodiscard]] inline token_counting counting_by(const std::filesystem::path& model, const std::string& format) {
    token_counting c;
    if (model.empty()) return c;
    c.tokens = std::make_shared<tokenizer::tokenizer>(tokenizer::load_tokenizer(model));
    c.of_text = [t = c.tokens](std::string_view text) { return t->encode(text).size(); };
    c.words = "the tokenizer of " + model.filename().string();
    if (format.empty() && c.tokens->chat_template().empty()) {
        c.words += ", contents alone: it has no chat format";
        c.of_sample = [t = c.tokens](const text::messages& messages) {
            std::size_t n = 0;
            for (const auto& m : messages) n += t->encode(m.content).size();
            return n;
        };
        return c;
    }
    c.words += ", in its chat format";
    c.of_sample = [t = c.tokens, f = std::make_shared<text::any_chat_format>(text::chat_format_of(format, *c.tokens))](
                      const text::messages& messages) {
        return text::encode_chat(*t, *f, std::span<const text::message>(messages), text::render_options{})
            .tokens.size();
    };
    return c;
}

/// How the generator cut the documents: as its manifest says, or as it does by default.
[[nodiscard]] inline sdg::chunk_options chunks_as_generated(const mix_command_options& o) {
    sdg::chunk_options chunks{.max_tokens = 200, .overlap_tokens = 20};
    const auto manifest = (std::filesystem::is_directory(o.data) ? o.data : o.data.parent_path()) / "manifest.json";
    if (std::filesystem::is_regular_file(manifest)) {
        const auto all = formats::parse_json(read_file(manifest), manifest.string());
        const auto how = formats::field_or<formats::json>(all, "options", formats::json::object(), manifest.string());
        chunks.max_tokens = formats::field_or<std::size_t>(how, "chunk_tokens", chunks.max_tokens, manifest.string());
        chunks.overlap_tokens =
            formats::field_or<std::size_t>(how, "chunk_overlap", chunks.overlap_tokens, manifest.string());
    }
    if (o.chunk_tokens) chunks.max_tokens = *o.chunk_tokens;
    if (o.chunk_overlap) chunks.overlap_tokens = *o.chunk_overlap;
    return chunks;
}

/// Progress of one stage after the other.
class mix_watch {
public:
    explicit mix_watch(bool quiet) : quiet_(quiet) {}
    [[nodiscard]] sdg::mix_observer stage(std::string what) {
        return [this, what = std::move(what)](const sdg::mix_progress& p) {
            const auto title = (p.writing ? "writing " : "reading ") + what;
            if (title != title_) {
                done();
                title_ = title;
                const bool small = p.writing ? p.total < 20'000 : p.total < (std::uint64_t{8} << 20);
                bar_.emplace(title, p.writing ? p.total : p.total >> 20, p.writing ? "samples" : "MiB",
                             quiet_ || small ? progress::style::quiet : progress::style::automatic);
            }
            bar_->update(p.writing ? p.done : p.done >> 20);
            return !stop_asked();
        };
    }
    void done() { bar_.reset(); }

private:
    bool quiet_;
    std::string title_;
    std::optional<progress> bar_;
};

inline void show_mix(std::ostream& out, const painter& paint, const std::filesystem::path& file,
                     const sdg::mix_report& r) {
    out << paint.bold(file.filename().string()) << ": " << r.samples << " samples, " << r.tokens << " tokens";
    if (r.unmasked > 0) out << ", " << r.unmasked << " of them learnt whole";
    out << '\n';
    std::map<std::string, std::pair<sdg::mix_report::leaf_count, std::size_t>> kinds;
    for (const auto& [name, n] : r.leaves) {
        auto& kind = kinds[name.kind.empty() ? "unknown" : name.kind];
        kind.first.samples += n.samples, kind.first.tokens += n.tokens, ++kind.second;
    }
    for (const auto& [kind, n] : kinds)
        out << "  " << std::left << std::setw(15) << kind << std::right << std::setw(9) << n.first.samples
            << " samples " << std::setw(11) << n.first.tokens << " tokens from " << n.second
            << (n.second == 1 ? " leaf\n" : " leaves\n");
    for (const auto& b : r.budgets)
        out << "  budget " << b.asked.path << ": " << b.tokens << " of " << b.asked.tokens << " tokens, " << b.samples
            << " of " << b.supply_samples << " samples\n";
}

inline int run_mix(mix_command_options o) {
    const auto counting = counting_by(o.model, o.format);
    o.mix.count = counting.of_sample;
    make_folder(o.out);
    mix_watch watch(o.json);
    formats::json phases, options;
    std::vector<formats::json> files;
    std::vector<std::string> warnings;
    std::map<std::string, std::uint64_t> supply;  // by budget, over all files
    const auto write = [&](const sdg::recipe& recipe, const std::string& name, std::string_view budget_name) {
        o.mix.observer = watch.stage(name);
        const auto report = sdg::mix(recipe, o.out / name, o.mix, budget_name);
        watch.done();
        files.push_back(sdg::to_json(report, name));
        warnings.insert(warnings.end(), report.warnings.begin(), report.warnings.end());
        for (const auto& b : report.budgets) supply[b.asked.path] += b.supply_samples;
        if (!o.json) show_mix(std::cout, {shows_colours(stdout)}, o.out / name, report);
    };
    if (!o.recipe.empty()) {
        write(sdg::read_recipe(o.recipe), "train_msgs.jsonl", "");
    } else {
        taxonomy::tree tree;
        if (!o.taxonomy.empty() && o.phases.preset != sdg::mix_preset::plain)
            tree = taxonomy::load(o.taxonomy, {.keep_going = true, .documents_dir = o.documents});
        sdg::document_library library(tree.leaves, chunks_as_generated(o), counting.of_text);
        o.phases.observer = watch.stage("samples");
        const auto prepared = sdg::prepare_phases(sdg::generated_files(o.data), o.out, library, o.phases);
        watch.done();
        warnings = prepared.report.warnings;
        phases = sdg::to_json(prepared.report);
        options = sdg::to_json(o.phases);
        if (!prepared.knowledge.datasets.empty())
            write(prepared.knowledge, "knowledge_train_msgs.jsonl", "knowledge_train");
        if (!prepared.skills.datasets.empty()) write(prepared.skills, "skills_train_msgs.jsonl", "skills_train");
    }
    if (files.size() > 1)
        for (const auto& [path, samples] : supply)
            if (samples == 0)
                warnings.push_back("the budget " + path +
                                   " finds no sample (a budget names a leaf's path or its beginning)");
    const auto manifest = sdg::mix_manifest(o.mix.seed, counting.words, options, phases, files);
    write_file_atomically(o.out / "mix_manifest.json", formats::to_text(manifest, 2) + "\n");
    if (o.json) {
        std::cout << formats::to_text(manifest) << '\n';
        return 0;
    }
    static constexpr std::size_t most = 12;
    for (std::size_t i = 0; i < std::min(warnings.size(), most); ++i)
        std::cerr << painter{shows_colours(stderr)}.yellow("warning: ") << warnings[i] << '\n';
    if (warnings.size() > most) std::cerr << warnings.size() - most << " more warnings stand in mix_manifest.json\n";
    std::cout << "Tokens are counted by " << counting.words << ".\n";
    return 0;
}

/// `argv[0]` is "mix". @return the exit code
inline int mix_command(int argc, char** argv) {
    return run_app("lab-generate mix", [&] {
        auto options = parse_mix_options(argc, argv);
        if (!options) return 0;
        try {
            return run_mix(*std::move(options));
        } catch (const lab::error&) {
            if (!stop_asked()) throw;
            std::cerr << "\nStopped; no training file was written or changed by this step.\n";
            return stopped_exit_code();
        }
    });
}

}  // namespace lab::apps
