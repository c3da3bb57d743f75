// lab-model's command line: its commands, and the options each of them takes.
#pragma once

#include <array>
#include <cstddef>
#include <cxxopts.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lab::apps {

inline constexpr const char* model_overview =
    R"(lab-model: looks into, converts and measures models (GGUF files, safetensors folders).

  lab-model info FILE|DIR [--tensors] [--full] [--json]
  lab-model tokenize --model FILE (--text T | --file F) [--bos] [--eos] [--parse-special]
  lab-model tokenize --model FILE (--text IDS | --file F) --decode
  lab-model perplexity --model FILE --file TEXT [--ctx 512] [--json]
  lab-model logits --model FILE --tokens 1,2,3 --out F.npy
  lab-model convert IN OUT [--type TYPE]     OUT: a name in .gguf, or a folder for safetensors
  lab-model quantize IN OUT.gguf --type q4_k_m     as llama.cpp mixes types: more bits where errors cost most
  lab-model merge BASE ADAPTER OUT [--type TYPE]   an adapter of lab-train or PEFT into the weights it was made for
  lab-model train-tokenizer TEXT... --vocab-size 8000 --out DIR     a byte-level BPE of your own
  lab-model kl --model QUANTISED --against ORIGINAL --file TEXT [--ctx 512] [--json]     how far apart they predict

'lab-model COMMAND --help' shows all options of a command. A file of '-' is standard input.
)";

struct model_command {
    const char* name;
    const char* help;
    std::string_view options;  // names, each between spaces
};
inline constexpr std::array model_commands{
    model_command{"info", "FILE|DIR: what a weight file holds", " tensors full json "},
    model_command{"tokenize", "text to token ids (one JSON array), or back with --decode",
                  " model text file bos eos parse-special decode "},
    model_command{"perplexity", "non-overlapping windows, the second half of each scored",
                  " model text file ctx compute threads json quiet "},
    model_command{"logits", "fp32 logits [tokens, vocab] as .npy", " model tokens out compute threads quiet "},
    model_command{"quantize", "IN OUT.gguf: to fewer bits, in the mixtures of llama.cpp",
                  " mix tokenizer threads quiet "},
    model_command{"kl", "divergence of a model's predictions from another's",
                  " model against text file ctx compute threads json quiet "},
    model_command{"merge", "BASE ADAPTER OUT: an adapter (LoRA) into its base; OUT: a name in .gguf, or a folder",
                  " type tokenizer threads quiet "},
    model_command{"train-tokenizer", "TEXT...: learns a byte-level BPE, as Hugging Face's BpeTrainer does",
                  " vocab-size min-frequency special pre out threads quiet "},
    model_command{"convert", "IN OUT: between GGUF and safetensors, to another type", " type tokenizer threads quiet "},
};

[[nodiscard]] inline cxxopts::Options options_of(const model_command& c) {
    cxxopts::Options spec("lab-model " + std::string(c.name), c.help);
    const auto add = [&](const char* name, const char* help,
                         std::shared_ptr<cxxopts::Value> value = cxxopts::value<bool>()) {
        if (c.options.find(" " + std::string(name) + " ") != c.options.npos)
            spec.add_options()(name, help, std::move(value));
    };
    const auto text = [] { return cxxopts::value<std::string>(); };
    const auto count = [](const char* fallback) { return cxxopts::value<std::size_t>()->default_value(fallback); };
    add("model", "GGUF file or folder", text());
    add("text", "the text itself", text());
    add("file", "a file with the text; - is standard input", text());
    add("bos", "begin with the beginning-of-text token");
    add("eos", "end with the end-of-text token");
    add("parse-special", "special tokens in the text become their ids");
    add("decode", "ids (JSON array, or 1,2,3) to text");
    add("ctx", "tokens of a window", count("512"));
    add("tokens", "ids: 1,2,3", text());
    add("out", "file (or, for a tokenizer, folder) to write", text());
    add("vocab-size", "tokens, special ones and the 256 bytes included", count("30000"));
    add("min-frequency", "how often a pair must come to be merged", count("0"));
    add("special", "special tokens by commas, the first ends a text",
        cxxopts::value<std::vector<std::string>>()->default_value("<|endoftext|>,<|im_start|>,<|im_end|>"));
    add("pre", "how text is cut before merges: gpt-2, smollm (digits apart), llama-3, qwen2",
        cxxopts::value<std::string>()->default_value("smollm"));
    add("against", "the model to compare with", text());
    add("type",
        "of all matrices: f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k, q6_k; as stored where not given. "
        "Rows that are no whole blocks go to the type that llama.cpp takes then (q4_k: q5_0, q5_k: q5_1, q6_k: q8_0, "
        "else f16). merge also takes q4_k_m and q5_k_m",
        text());
    if (c.options.find(" mix ") != c.options.npos)
        spec.add_options()(
            "type",
            "q4_k_m, q5_k_m; f32, f16, bf16, q8_0, q6_k; or q5_k, q5_1, q5_0, q4_k, q4_1, q4_0 with a head of 6 bits",
            cxxopts::value<std::string>()->default_value("q4_k_m"));
    add("tokenizer", "file or folder whose tokenizer goes with the model; default: IN's own", text());
    add("tensors", "list every tensor");
    add("full", "print long values in full");
    add("compute",
        "native: products in what the weights are stored in (8-bit activations for block formats); f32: exact",
        cxxopts::value<std::string>()->default_value("native"));
    add("threads", "0: one per processor", count("0"));
    add("json", "one JSON object on standard output");
    add("quiet", "no progress");
    spec.add_options()("h,help", "this text");
    return spec;
}

}  // namespace lab::apps
