// A folder in which a small model, samples, held-out questions and a text wait for lab-train.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "lab/formats/json.hpp"
#include "lab/nn/save.hpp"
#include "support/data.hpp"
#include "support/process.hpp"
#include "train/tiny_llama.hpp"

namespace lab::test {

struct workplace {
    test::temporary_folder folder;
    std::string model, data, questions;

    workplace()
        : model((folder / "base").string()),
          data((folder / "data").string()),
          questions((folder / "taxonomy").string()) {
        nn::save_safetensors(tiny::llama(3, 1, 260), model, {.tokenizer = test::fixture("train/bytes")});
        std::filesystem::create_directories(data);
        std::ofstream samples(data + "/samples.jsonl");
        const auto add = [&](const std::string& leaf, const std::string& question, const std::string& answer) {
            const formats::json line{
                {"id", leaf + question},
                {"messages", {{{"role", "user"}, {"content", question}}, {{"role", "assistant"}, {"content", answer}}}},
                {"metadata", formats::to_text({{"leaf", leaf}})}};
            samples << formats::to_text(line) << "\n";
        };
        for (const auto& [q, a] : {std::pair{"ferry?", "heron"},
                                   {"captain?", "maud"},
                                   {"price?", "shells"},
                                   {"light?", "green"},
                                   {"beach?", "north"}})
            add("knowledge/islands", q, a);
        for (const auto& [q, a] :
             {std::pair{"reverse ab", "ba"}, {"reverse cde", "edc"}, {"reverse fog", "gof"}, {"reverse sun", "nus"}})
            add("compositional_skills/reverse", q, a);
        std::filesystem::create_directories(questions + "/knowledge/islands");
        std::ofstream(questions + "/knowledge/islands/heldout.jsonl")
            << R"({"id":"ferry","phrasings":["which ferry?","ferry, please?"],"answer":"heron","distractors":["otter","gulls","seals"]})"
            << "\n";
        std::ofstream(folder / "plain.txt")
            << std::string(40, 'x') + " some plain text, long enough for two windows of thirty-two bytes";
    }
    [[nodiscard]] std::vector<std::string> train(const std::string& out, std::vector<std::string> more = {}) const {
        std::vector<std::string> command{
            LAB_TRAIN_APP, "--model", model,      "--data",    data,      "--out", (folder / out).string(),
            "--lr",        "4e-3",    "--epochs", "6",         "--batch", "3",     "--warmup",
            "2",           "--seed",  "7",        "--heldout", questions};
        command.insert(command.end(), more.begin(), more.end());
        return command;
    }
    finished run(const std::vector<std::string>& command) const {
        return execute(command, folder.path(), [] { return false; });
    }
};

}  // namespace lab::test
