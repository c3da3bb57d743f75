// lab-model train-tokenizer: a byte-level BPE learnt from text files, as a Hugging Face folder.
#pragma once

#include <algorithm>
#include <cxxopts.hpp>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "common/cli.hpp"
#include "common/progress.hpp"
#include "lab/core/file.hpp"
#include "lab/core/thread_pool.hpp"
#include "lab/formats/text_bytes.hpp"
#include "lab/nn/save.hpp"
#include "lab/tokenizer/train_bpe.hpp"
#include "model/arguments.hpp"

namespace lab::apps {

/// The pre-tokenizer of a name that both tokenizer.json and GGUF can say. @throws usage_error
[[nodiscard]] inline tokenizer::pre_tokenizer splits_named(const std::string& name) {
    if (name == "gpt-2" || name == "smollm" || name == "qwen2") return tokenizer::pre_tokenizer_by_name(name)->rules;
    if (name == "llama-3") return tokenizer::pre_tokenizer_by_name("llama-bpe")->rules;
    throw usage_error("--pre is gpt-2, smollm, llama-3 or qwen2, not '" + name + "'");
}

inline int train_tokenizer(const cxxopts::ParseResult& args) {
    const auto& files = args.unmatched();
    if (files.empty()) throw usage_error("train-tokenizer needs text files");
    if (std::count(files.begin(), files.end(), "-") > 1) throw usage_error("standard input (-) is named twice");
    const auto out = required(args, "out");
    tokenizer::bpe_training options{.vocab_size = args["vocab-size"].as<std::size_t>(),
                                    .min_frequency = args["min-frequency"].as<std::size_t>(),
                                    .special_tokens = args["special"].as<std::vector<std::string>>(),
                                    .splits = splits_named(args["pre"].as<std::string>())};
    tokenizer::check_bpe_training(options);
    make_folder(out);  // before the work, so that it is not in vain
    thread_pool pool(chosen_threads(args));
    tokenizer::piece_counts counts;
    std::vector<mapped_file> maps;
    std::string input;  // all of standard input
    std::vector<std::string_view> texts;
    for (const auto& file : files) {
        if (file == "-") input.assign(std::istreambuf_iterator<char>(std::cin), {});
        texts.push_back(file == "-" ? std::string_view(input) : formats::as_text(maps.emplace_back(file).bytes()));
    }
    std::size_t read = 0, all = 0;
    for (const auto text : texts) all += text.size();
    {
        progress shown("reading", all, "bytes", style_of(args));
        constexpr std::size_t chunk = 16 << 20;  // bounds the memory of the threads' own counts
        for (auto text : texts)
            while (!text.empty()) {
                const auto part = tokenizer::cut_lines(text, chunk);
                counts.add(part, options.splits, pool);
                shown.update(read += part.size());
            }
    }
    if (counts.all().empty()) throw config_error(explain(files.front(), "holds no text to learn from"));
    tokenizer::vocabulary v;
    {
        progress shown("merging", options.vocab_size, "tokens", style_of(args));
        options.progress = [&](std::size_t tokens) { shown.update(tokens); };
        v = tokenizer::train_bpe(counts, options);
        shown.update(v.texts.size());
    }
    if (!v.added.empty()) v.eos = v.added.front().id;
    nn::save_tokenizer(v, out);
    if (args.count("quiet") == 0)
        std::cerr << "wrote " << out.string() << ": " << v.texts.size() << " tokens, " << v.merges.size()
                  << " merges from " << counts.all().size() << " different pieces of " << all << " bytes\n";
    if (v.texts.size() < options.vocab_size && args.count("quiet") == 0)
        std::cerr << "The text gives no more than these: no pair is left that comes often enough.\n";
    return 0;
}

}  // namespace lab::apps
