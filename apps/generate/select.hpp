// lab-generate select: from samples that are there, without their near duplicates if asked for, a varied part: by
// facility location over the samples' words or a model's vectors. Chosen lines are written as they stand, in their
// order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cxxopts.hpp>
#include <filesystem>
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
#include "lab/infer/embedder.hpp"
#include "lab/nn/load.hpp"
#include "lab/sdg/dedup.hpp"
#include "lab/sdg/diversity.hpp"
#include "lab/sdg/facility_location.hpp"
#include "lab/tokenizer/load.hpp"

namespace lab::apps {

struct select_options {
    std::filesystem::path in, out, model;
    std::optional<std::size_t> count;
    double near_duplicate = 0;
    std::size_t threads = 0;
    bool per_leaf = false, by_vectors = false, json = false;
};

inline constexpr const char* select_examples = R"(
Examples:
  lab-generate select --in data/samples.jsonl --out few.jsonl --count 1000
  lab-generate select --in data/samples.jsonl --out few.jsonl --count 50 --per-leaf --by embedding --model smollm2.gguf
  lab-generate select --in all.jsonl --out once.jsonl --near-duplicate 0.9      only without near duplicates
More than 32768 samples are chosen from in parts of that size at most, which --per-leaf mostly avoids.
)";

/// Nothing where only help was asked for. @throws usage_error
[[nodiscard]] inline std::optional<select_options> parse_select_options(int argc, char** argv) {
    cxxopts::Options spec("lab-generate select", "Chooses a varied part of samples (facility location).");
    const auto text = [](const char* fallback = "") { return cxxopts::value<std::string>()->default_value(fallback); };
    spec.add_options()("in", "samples: JSON Lines with messages", text())("out", "file for the chosen ones", text())(
        "count", "how many to choose; without it, all", cxxopts::value<std::size_t>())(
        "per-leaf", "choose so many of each leaf")("by", "what resemblance is: 'words' (tf-idf) or 'embedding'",
                                                   text("words"))(
        "model", "for --by embedding: GGUF file or safetensors folder, whose hidden states are the vectors", text())(
        "near-duplicate", "before that, leave out what repeats an earlier sample at this ROUGE-L; 0: nothing",
        cxxopts::value<double>()->default_value("0"))("threads", "0: one per processor",
                                                      cxxopts::value<std::size_t>()->default_value("0"))(
        "json", "machine-readable output, no progress")("help", "this text");
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0) {
        std::cout << spec.help() << select_examples;
        return std::nullopt;
    }
    if (!args.unmatched().empty()) throw usage_error("unexpected argument '" + args.unmatched().front() + "'");
    select_options o;
    o.in = args["in"].as<std::string>();
    o.out = args["out"].as<std::string>();
    o.model = args["model"].as<std::string>();
    if (args.count("count") != 0) o.count = args["count"].as<std::size_t>();
    o.near_duplicate = args["near-duplicate"].as<double>();
    o.threads = chosen_threads(args);
    o.per_leaf = args.count("per-leaf") != 0;
    o.json = args.count("json") != 0;
    const auto by = args["by"].as<std::string>();
    o.by_vectors = by == "embedding";
    if (o.in.empty() || o.out.empty()) throw usage_error("--in and --out are needed");
    if (by != "words" && by != "embedding") throw usage_error("--by is 'words' or 'embedding'");
    if (o.by_vectors == o.model.empty()) throw usage_error("--by embedding and --model go together");
    if (o.count == 0u) throw usage_error("--count must be at least 1");
    if (!(o.near_duplicate >= 0 && o.near_duplicate <= 1)) throw usage_error("--near-duplicate lies in [0, 1]");
    if (!o.count && o.near_duplicate == 0) throw usage_error("--count or --near-duplicate is needed");
    return o;
}

namespace select_detail {

using formats::json;

struct sample {
    std::string_view line;  // in the file
    std::string text;       // what is said in it, without the system's part
    std::size_t leaf = 0;
};

struct samples {
    mapped_file file;
    std::vector<sample> list;
    std::vector<std::string> leaves;  // in order of appearance
};

/// @throws format_error naming the line
[[nodiscard]] inline samples read(const std::filesystem::path& path, bool quiet) {
    samples all{mapped_file(path), {}, {}};
    std::map<std::string, std::size_t> numbers;
    progress shown("reading", all.file.bytes().size(), "bytes",
                   quiet ? progress::style::quiet : progress::style::automatic);
    const std::string_view whole = formats::as_text(all.file.bytes());
    for (std::size_t at = 0, number = 1; at < whole.size(); ++number) {
        const std::size_t end = std::min(whole.find('\n', at), whole.size());
        const auto line = whole.substr(at, end - at);
        at = end + 1;
        if (line.find_first_not_of(" \t\r") == line.npos) continue;
        const auto place = path.string() + ":" + std::to_string(number);
        const json value = formats::parse_json(line, place);
        sample s{line, {}, 0};
        for (const auto& m : formats::field<std::vector<json>>(value, "messages", place))
            if (formats::field<std::string>(m, "role", place) != "system")
                s.text.append(formats::field<std::string>(m, "content", place)).push_back('\n');
        json metadata = value.value("metadata", json());  // a string that holds JSON, or the object itself
        if (metadata.is_string() && !metadata.get_ref<const std::string&>().empty())
            metadata = formats::parse_json(metadata.get<std::string>(), place + ": metadata");
        const auto leaf =
            metadata.is_object() ? formats::field_or(metadata, "leaf", std::string(), place) : std::string();
        s.leaf = numbers.emplace(leaf, numbers.size()).first->second;
        if (s.leaf == all.leaves.size()) all.leaves.push_back(leaf);
        all.list.push_back(std::move(s));
        shown.update(at);
        if (stop_asked()) throw error("interrupted");
    }
    return all;
}

/// Numbers of the samples that repeat no earlier one.
[[nodiscard]] inline std::vector<std::size_t> without_duplicates(const samples& all, const select_options& o,
                                                                 thread_pool& pool) {
    std::vector<std::size_t> kept;
    if (o.near_duplicate == 0) {
        for (std::size_t i = 0; i < all.list.size(); ++i) kept.push_back(i);
        return kept;
    }
    constexpr std::size_t block = 4096;
    sdg::duplicate_index index(o.near_duplicate);
    progress shown("near duplicates", all.list.size(), "samples",
                   o.json ? progress::style::quiet : progress::style::automatic);
    for (std::size_t at = 0; at < all.list.size(); at += block) {
        std::vector<std::string_view> texts;
        for (std::size_t i = at; i < std::min(at + block, all.list.size()); ++i) texts.emplace_back(all.list[i].text);
        const auto found = index.keep_new(texts, pool);
        for (std::size_t i = 0; i < found.size(); ++i)
            if (!found[i]) kept.push_back(at + i);
        shown.update(at + texts.size(), std::to_string(kept.size()) + " kept");
        if (stop_asked()) throw error("interrupted");
    }
    return kept;
}

/// What `--by` says resemblance is.
class chooser {
public:
    chooser(const samples& all, const select_options& o, std::size_t candidates, thread_pool& pool)
        : all_(all),
          pool_(pool),
          shown_("choosing", candidates, "samples", o.json ? progress::style::quiet : progress::style::automatic) {
        if (o.by_vectors)
            embed_ = std::make_unique<infer::embedder>(nn::load_model(o.model, {.threads = o.threads}),
                                                       tokenizer::load_tokenizer(o.model));
    }

    /// `count` of these samples, the most telling first. Above the limit, parts of them, every so-manyth sample, give
    /// their share.
    [[nodiscard]] std::vector<std::size_t> choose(const std::vector<std::size_t>& from, std::size_t count) {
        constexpr std::size_t most = 32768;
        const std::size_t parts = (from.size() + most - 1) / most;
        std::vector<std::size_t> chosen;
        for (std::size_t p = 0; p < parts; ++p) {
            std::vector<std::size_t> part;
            for (std::size_t i = p; i < from.size(); i += parts) part.push_back(from[i]);
            const std::size_t share = count * (p + 1) / parts - count * p / parts;
            for (const std::size_t i : choose_part(part, share)) chosen.push_back(part[i]);
        }
        return chosen;
    }
    /// Mean similarity of a sample to the nearest of the chosen.
    [[nodiscard]] double coverage() const { return items_ == 0 ? 0 : value_ / static_cast<double>(items_); }

private:
    std::vector<std::size_t> choose_part(const std::vector<std::size_t>& part, std::size_t count) {
        const auto run = [&](const auto& rows) {
            const auto result = sdg::facility_location(part.size(), count, rows, pool_, [&](std::size_t done) {
                shown_.update(items_ + done);
                if (stop_asked()) throw error("interrupted");
            });
            items_ += part.size();
            value_ += result.value();
            return result.items;
        };
        if (embed_ != nullptr) {
            std::vector<std::string_view> texts;
            for (const std::size_t i : part) texts.emplace_back(all_.list[i].text);
            const auto vectors = (*embed_)(texts, [&](std::size_t done) {
                shown_.update(items_,
                              std::to_string(done) + " of " + std::to_string(part.size()) + " read by the model");
                return !stop_asked();
            });
            return run(sdg::cosine_rows(vectors));
        }
        std::vector<sdg::hashed_text> texts;
        for (const std::size_t i : part) texts.push_back(sdg::loose_word_hashes(all_.list[i].text));
        return run(sdg::word_rows(texts));
    }

    const samples& all_;
    thread_pool& pool_;
    progress shown_;
    std::unique_ptr<infer::embedder> embed_;
    std::size_t items_ = 0;
    double value_ = 0;
};

[[nodiscard]] inline sdg::text_diversity diversity_of(const samples& all, const std::vector<std::size_t>& numbers) {
    std::vector<sdg::hashed_text> texts;
    for (const std::size_t i : numbers) texts.push_back(sdg::loose_word_hashes(all.list[i].text));
    return sdg::diversity_of(std::span<const sdg::hashed_text>(texts));
}

}  // namespace select_detail

/// The subcommand; `argv[0]` is its own name. @return the exit code
inline int select_command(int argc, char** argv) {
    using namespace select_detail;
    const auto options = parse_select_options(argc, argv);
    if (!options) return 0;
    const auto& o = *options;
    thread_pool pool(o.threads);
    try {
        const samples all = read(o.in, o.json);
        const auto alone = without_duplicates(all, o, pool);
        auto chosen = alone;
        json report{{"samples", all.list.size()}, {"near_duplicates", all.list.size() - alone.size()}};
        if (o.count) {
            std::map<std::size_t, std::vector<std::size_t>> groups;
            for (const std::size_t i : alone) groups[o.per_leaf ? all.list[i].leaf : 0].push_back(i);
            chooser choice(all, o, alone.size(), pool);
            chosen.clear();
            for (const auto& [leaf, group] : groups)
                for (const std::size_t i : choice.choose(group, std::min(*o.count, group.size()))) chosen.push_back(i);
            std::sort(chosen.begin(), chosen.end());
            report["coverage"] = choice.coverage();
        }
        atomic_file out(o.out);
        std::map<std::size_t, std::pair<std::vector<std::size_t>, std::vector<std::size_t>>> leaves;  // before, after
        for (std::size_t i = 0; i < all.list.size(); ++i) leaves[all.list[i].leaf].first.push_back(i);
        for (const std::size_t i : chosen) {
            out.write(std::string(all.list[i].line) + "\n");
            leaves[all.list[i].leaf].second.push_back(i);
        }
        out.commit();
        report["chosen"] = chosen.size();
        for (const auto& [leaf, numbers] : leaves)
            report["leaves"].push_back({{"leaf", all.leaves[leaf]},
                                        {"before", sdg::to_json(diversity_of(all, numbers.first))},
                                        {"after", sdg::to_json(diversity_of(all, numbers.second))}});
        if (o.json) {
            std::cout << formats::to_text(report) << '\n';
            return 0;
        }
        std::cout << chosen.size() << " of " << all.list.size() << " samples chosen";
        if (o.near_duplicate > 0) std::cout << ", " << all.list.size() - alone.size() << " near duplicates left out";
        char text[200];
        if (o.count) {
            std::snprintf(text, sizeof text, "; a sample's similarity to the nearest chosen one is %.3f on average",
                          report["coverage"].get<double>());
            std::cout << text;
        }
        std::cout << "\n  samples        distinct-2     self-BLEU      nearest        leaf\n";
        for (const auto& leaf : report["leaves"]) {
            const auto &a = leaf["before"], &b = leaf["after"];
            const auto number = [](const json& d, const char* key) { return d[key].get<double>(); };
            std::snprintf(text, sizeof text, "  %5zu -> %-5zu %.3f -> %.3f %.3f -> %.3f %.3f -> %.3f ",
                          a["texts"].get<std::size_t>(), b["texts"].get<std::size_t>(), number(a, "distinct_2"),
                          number(b, "distinct_2"), number(a, "self_bleu"), number(b, "self_bleu"),
                          number(a, "nearest_rouge_l"), number(b, "nearest_rouge_l"));
            const auto name = leaf["leaf"].get<std::string>();
            std::cout << text << (name.empty() ? "(no leaf)" : name) << '\n';
        }
        std::cout << "Written to " << o.out.string() << '\n';
        return 0;
    } catch (const error&) {
        if (!stop_asked()) throw;
        std::cerr << "Stopped; nothing was written.\n";
        return stopped_exit_code();
    }
}

}  // namespace lab::apps
