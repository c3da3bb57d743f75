// lab-train and lab-eval run as processes: what they write, what they refuse, and that kill -9 costs time but no byte.
#include "lab/run/estimate.hpp"

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <csignal>
#include <fstream>
#include <limits>

#include "lab/core/folder.hpp"
#include "lab/core/sha256.hpp"
#include "lab/formats/jsonl.hpp"
#include "lab/nn/load.hpp"
#include "lab/nn/load_trainable.hpp"
#include "lab/nn/save.hpp"
#include "lab/text/choose_format.hpp"
#include "lab/tokenizer/load.hpp"
#include "support/data.hpp"
#include "support/process.hpp"
#include "train/apps/workplace.hpp"
#include "train/tiny_llama.hpp"

BOOST_AUTO_TEST_SUITE(train_apps)

using namespace lab;

using test::execute;
using test::workplace;

namespace {

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_CASE(a_run_writes_its_model_twice_and_says_what_it_did) {
    const workplace w;
    const auto result = w.run(w.train("run", {"--json"}));
    BOOST_REQUIRE_MESSAGE(result.code == 0, result.err);
    const auto summary = formats::parse_json(result.out, "stdout");
    BOOST_TEST(summary["sha256"].size() == 2u);
    BOOST_TEST(summary["sha256"]["model.gguf"].get<std::string>().size() == 64u);
    BOOST_TEST(summary["forgetting"]["rows"].size() ==
               3u);  // untouched, knowledge-1, skills; there is no long knowledge
    for (const char* name : {"model/model.safetensors", "model/config.json", "model/tokenizer.json", "model.gguf",
                             "manifest.json", "metrics.jsonl", "report.html", "forgetting.json"})
        BOOST_TEST(std::filesystem::exists(w.folder / ("run/" + std::string(name))), name);

    const auto gguf = (w.folder / "run/model.gguf").string();
    const auto qa = w.run({LAB_EVAL_APP, "qa", "--model", gguf, "--questions", w.questions, "--json"});
    BOOST_REQUIRE_MESSAGE(qa.code == 0, qa.err);
    BOOST_TEST(formats::parse_json(qa.out, "qa")["summary"]["items"] == 2);
    // The trained model is the same through either container.
    const auto text = (w.folder / "plain.txt").string();
    const auto from = [&](const std::string& model) {
        return w.run({LAB_EVAL_APP, "perplexity", "--model", model, "--file", text, "--ctx", "32"});
    };
    const auto a = from(gguf), b = from((w.folder / "run/model").string());
    BOOST_TEST(a.code == 0, a.err);
    BOOST_TEST(a.out == b.out);
    BOOST_TEST(mentions(a.out, "perplexity: "));
    BOOST_TEST(mentions(a.out, " +/- "));
    const auto matrix = w.run({LAB_EVAL_APP, "forgetting", "--run", (w.folder / "run").string()});
    BOOST_TEST(matrix.code == 0, matrix.err);
    BOOST_TEST(mentions(matrix.out, "knowledge-1"));
}

BOOST_AUTO_TEST_CASE(kill_9_at_any_moment_and_the_same_final_bytes) {
    const workplace w;
    BOOST_REQUIRE(w.run(w.train("whole")).code == 0);
    // Killed at ten points spread over the run, found by the growth of the metrics; each life resumes the one before.
    const auto metrics = w.folder / "killed/metrics.jsonl";
    std::size_t kills = 0;
    for (std::uintmax_t size = 200; size < std::filesystem::file_size(w.folder / "whole/metrics.jsonl"); size += 500) {
        const auto died = execute(w.train("killed", {"--resume", "--checkpoint-minutes", "0"}), w.folder.path(), [&] {
            std::error_code none;
            const auto now = std::filesystem::file_size(metrics, none);
            return !none && now >= size;
        });
        kills += died.code == -1;
    }
    BOOST_TEST(kills >= 5u);
    BOOST_REQUIRE(w.run(w.train("killed", {"--resume"})).code == 0);
    for (const char* name : {"model.gguf", "model/model.safetensors", "metrics.jsonl", "forgetting.json"})
        BOOST_TEST((read_file(w.folder / ("killed/" + std::string(name))) ==
                    read_file(w.folder / ("whole/" + std::string(name)))),
                   name);
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_said_and_costs_no_byte) {
    const workplace w;
    BOOST_REQUIRE(w.run(w.train("whole")).code == 0);
    std::uintmax_t whole = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(w.folder / "whole"))
        if (entry.is_regular_file()) whole += entry.file_size();
    for (const unsigned quarters : {1u, 2u, 3u}) {
        const std::string name = "small" + std::to_string(quarters);
        const auto out = w.folder / name;
        std::filesystem::create_directory(out);
        auto command = w.train(name, {"--resume", "--checkpoint-minutes", "0"});
        command.insert(command.begin(), {LAB_SOURCE_DIR "/tests/train/apps/small_disk", out.string(),
                                         std::to_string(whole * quarters / 4 / 1024)});
        const auto result = w.run(command);
        if (result.code == 77) {
            BOOST_TEST_MESSAGE(result.err);
            return;
        }
        BOOST_REQUIRE_MESSAGE(result.code == 0, result.code << ": " << result.err);
        BOOST_TEST(mentions(result.err, "No space left on device"), result.err);
        for (const char* file : {"model.gguf", "model/model.safetensors", "metrics.jsonl", "forgetting.json"})
            BOOST_TEST((read_file(w.folder / (name + "-kept/" + file)) == read_file(w.folder / "whole" / file)),
                       name << '/' << file);
    }
}

BOOST_AUTO_TEST_CASE(what_killed_writes_left_is_cleared_away_and_two_runs_do_not_share_a_folder) {
    const workplace w;
    BOOST_REQUIRE(w.run(w.train("run")).code == 0);
    const auto out = w.folder / "run";
    const std::vector<std::filesystem::path> left{out / "model.gguf.Ab12Cd", out / "eval/1-knowledge-1.json.Ab12Cd",
                                                  out / "model/model.safetensors.Ab12Cd"};
    for (const auto& file : left) std::ofstream(file) << "half";
    std::ofstream(out / "notes.txt") << "a person's";
    {
        const folder_lock other(out);
        const auto refused = w.run(w.train("run", {"--resume"}));
        BOOST_TEST(refused.code == 1);
        BOOST_TEST(mentions(refused.err, "another process is writing to this folder"), refused.err);
        BOOST_TEST(std::filesystem::exists(left[0]));
        auto scratch = w.train("run", {"--shape", "dim=32,layers=2,heads=4,hidden=64", "--fresh"});
        *std::find(scratch.begin(), scratch.end(), "--model") = "--tokenizer";
        const auto beginning = w.run(scratch);
        BOOST_TEST(beginning.code == 1);
        BOOST_TEST(mentions(beginning.err, "another process is writing to this folder"), beginning.err);
        BOOST_TEST(!std::filesystem::exists(out / "start"));
    }
    BOOST_TEST(w.run(w.train("run", {"--resume"})).code == 0);
    for (const auto& file : left) BOOST_TEST(!std::filesystem::exists(file), file);
    BOOST_TEST(std::filesystem::exists(out / "notes.txt"));
    const auto matrix = w.run({LAB_EVAL_APP, "forgetting", "--run", out.string()});
    BOOST_TEST(matrix.code == 0, matrix.err);
}

BOOST_AUTO_TEST_CASE(a_run_begun_anew_takes_nothing_over_from_the_one_before) {
    const workplace w;
    const auto out = w.folder / "run";
    BOOST_REQUIRE(w.run(w.train("run")).code == 0);
    const auto matrix = read_file(out / "forgetting.json");
    // Killed as soon as it begins: before it has measured or written anything of its own, or hardly so.
    const auto died =
        execute(w.train("run"), w.folder.path(), [&] { return !std::filesystem::exists(out / "manifest.json"); });
    BOOST_REQUIRE(died.code != 0);
    const auto rest = w.run(w.train("run", {"--resume"}));
    BOOST_REQUIRE_MESSAGE(rest.code == 0, rest.err);
    BOOST_TEST(read_file(out / "forgetting.json") == matrix);
    // Without checkpoints there is nothing to go on from: rows of the trained model are not those of the next.
    std::filesystem::remove_all(out / "checkpoints");
    const auto other = w.run(w.train("run", {"--resume", "--epochs", "1"}));
    BOOST_REQUIRE_MESSAGE(other.code == 0, other.err);
    BOOST_TEST(read_file(out / "forgetting.json") != matrix);
    // The untouched model's row stays its own.
    const auto strange = (w.folder / "strange").string();
    nn::save_safetensors(tiny::llama(4, 1, 260), strange, {.tokenizer = test::fixture("train/bytes")});
    std::filesystem::remove_all(out / "checkpoints");
    auto command = w.train("run", {"--resume"});
    *std::find(command.begin(), command.end(), w.model) = strange;
    const auto refused = w.run(command);
    BOOST_TEST(refused.code == 1);
    BOOST_TEST(mentions(refused.err, "of another model"), refused.err);
}

BOOST_AUTO_TEST_CASE(every_option_survives_kill_9) {
    const workplace w;
    const std::vector<std::string> options{
        "--optimizer",  "adafactor", "--result",   "ema", "--ema-decay",       "0.8", "--guard-norm",    "50",
        "--neftune",    "5",         "--schedule", "wsd", "--label-smoothing", "0.1", "--heldout-every", "2",
        "--regression", "report",    "--patience", "4",   "--tensorboard"};
    const auto train = [&](const std::string& out, std::vector<std::string> more) {
        more.insert(more.end(), options.begin(), options.end());
        return w.train(out, more);
    };
    const auto whole = w.run(train("whole", {}));
    BOOST_REQUIRE_MESSAGE(whole.code == 0, whole.err);
    const auto metrics = w.folder / "killed/metrics.jsonl";
    for (std::uintmax_t size = 400; size < std::filesystem::file_size(w.folder / "whole/metrics.jsonl"); size += 900)
        (void)execute(train("killed", {"--resume", "--checkpoint-minutes", "0"}), w.folder.path(), [&] {
            std::error_code none;
            const auto now = std::filesystem::file_size(metrics, none);
            return !none && now >= size;
        });
    BOOST_REQUIRE(w.run(train("killed", {"--resume", "--threads", "3", "--recompute", "full"})).code == 0);
    for (const char* name : {"model.gguf", "metrics.jsonl", "manifest.json", "tensorboard/events.out.tfevents.0.lab"})
        BOOST_TEST((read_file(w.folder / ("killed/" + std::string(name))) ==
                    read_file(w.folder / ("whole/" + std::string(name)))),
                   name);
    const auto other = w.run(w.train("killed", {"--resume", "--optimizer", "sgd"}));
    BOOST_TEST(other.code == 1);
    BOOST_TEST(mentions(other.err, "was written by the optimizer 'adafactor"), other.err);
}

BOOST_AUTO_TEST_CASE(the_best_weights_are_chosen_by_answers_or_by_a_command) {
    const workplace w;
    const auto scores = [&](const std::string& out, const std::string& by, std::vector<std::string> more = {}) {
        more.insert(more.end(), {"--result", "best", "--heldout-every", "2", "--best-by", by});
        const auto run = w.run(w.train(out, more));
        BOOST_REQUIRE_MESSAGE(run.code == 0, run.err);
        std::vector<double> list;
        formats::for_each_json_line(w.folder / (out + "/metrics.jsonl"), [&](const formats::json& line, std::size_t) {
            if (line["event"] == "score") list.push_back(line["score"].get<double>());
        });
        return list;
    };
    const auto chosen = scores("chosen", "choice");
    BOOST_TEST(chosen.size() > 4u);
    for (const double s : chosen) BOOST_TEST((s == 0.0 || s == 1.0));  // there is one question
    // The command sees the weights as they are: the last one, where nothing else is handed on.
    const auto sizes = scores("counted", "ls {model} | wc -l; stat -c %s {model}/model.safetensors");
    const auto size = static_cast<double>(std::filesystem::file_size(w.folder / "counted/model/model.safetensors"));
    BOOST_TEST(!sizes.empty());
    for (const double s : sizes) BOOST_TEST(s == size);
    BOOST_TEST(!std::filesystem::exists(w.folder / "counted/candidate"));
}

BOOST_AUTO_TEST_CASE(a_stop_while_a_command_scores_loses_nothing) {
    const workplace w;
    const auto told = (w.folder / "told").string();
    const std::vector<std::string> more{
        "--result", "best",      "--heldout-every",
        "2",        "--best-by", "test -e " + told + " || { touch " + told + "; kill -INT $PPID; }; echo 1 # {model}"};
    const auto stopped = w.run(w.train("run", more));
    BOOST_TEST(stopped.code == 130);
    BOOST_TEST(mentions(stopped.err, "Stopped after 3 steps"), stopped.err);
    auto again = more;
    again.push_back("--resume");
    BOOST_TEST(w.run(w.train("run", again)).code == 0);
    BOOST_TEST(w.run(w.train("whole", more)).code == 0);  // was told already
    for (const char* file : {"model/model.safetensors", "metrics.jsonl"})
        BOOST_TEST(sha256_of_file(w.folder / "run" / file) == sha256_of_file(w.folder / "whole" / file), file);
}

BOOST_AUTO_TEST_CASE(preferences_are_learnt_last_or_alone_and_survive_kill_9) {
    const workplace w;
    const auto pairs = (w.folder / "pairs.jsonl").string();
    for (const auto& [question, chosen, rejected] : {std::array{"ferry?", "heron", "otter"},
                                                     {"captain?", "maud", "mad"},
                                                     {"price?", "shells", "pearls and gold"},
                                                     {"light?", "green", "red"},
                                                     {"beach?", "north", "south"}})
        std::ofstream(pairs, std::ios::app)
            << formats::to_text({{"prompt", question}, {"chosen", chosen}, {"rejected", rejected}}) << "\n";
    std::ofstream(w.folder / "plan.yaml") << "phases:\n"
                                             "  - {name: all, data: [all], epochs: 1, learning_rate: 0.001}\n"
                                             "  - {name: better, data: [preferences], learning_rate: 0.001, epochs: 4, "
                                             "batch_size: 2, beta: 0.5}\n";
    const auto train = [&](const std::string& out, std::vector<std::string> more) {
        std::vector<std::string> command{LAB_TRAIN_APP,
                                         "--model",
                                         w.model,
                                         "--data",
                                         w.data,
                                         "--out",
                                         (w.folder / out).string(),
                                         "--phases",
                                         (w.folder / "plan.yaml").string(),
                                         "--preferences",
                                         pairs,
                                         "--heldout",
                                         w.questions,
                                         "--tensorboard"};
        command.insert(command.end(), more.begin(), more.end());
        return command;
    };
    const auto whole = w.run(train("whole", {}));
    BOOST_REQUIRE_MESSAGE(whole.code == 0, whole.err);
    BOOST_TEST(mentions(whole.err, "(preferences)"), whole.err);
    BOOST_TEST(mentions(whole.out, "better"), whole.out);  // a row of the matrix
    const auto metrics = w.folder / "killed/metrics.jsonl";
    std::size_t kills = 0;
    for (std::uintmax_t size = 300; size < std::filesystem::file_size(w.folder / "whole/metrics.jsonl"); size += 300)
        kills += execute(train("killed", {"--resume", "--checkpoint-minutes", "0"}), w.folder.path(), [&] {
                     std::error_code none;
                     const auto now = std::filesystem::file_size(metrics, none);
                     return !none && now >= size;
                 }).code == -1;
    BOOST_TEST(kills >= 5u);
    BOOST_REQUIRE(w.run(train("killed", {"--resume", "--threads", "3"})).code == 0);
    for (const char* name : {"model.gguf", "metrics.jsonl", "manifest.json", "tensorboard/events.out.tfevents.0.lab"})
        BOOST_TEST((read_file(w.folder / ("killed/" + std::string(name))) ==
                    read_file(w.folder / ("whole/" + std::string(name)))),
                   name);

    const auto alone = w.run({LAB_TRAIN_APP, "--model", w.model, "--preferences", pairs, "--out",
                              (w.folder / "alone").string(), "--lr", "0.001", "--epochs", "3", "--beta", "0.2"});
    BOOST_REQUIRE_MESSAGE(alone.code == 0, alone.err);
    const auto lines = formats::read_jsonl(w.folder / "alone/metrics.jsonl");
    BOOST_TEST(lines[0]["phase"] == "preferences");
    BOOST_TEST(lines[1]["loss"].get<double>() == std::log(2.0), boost::test_tools::tolerance(1e-4));
    BOOST_TEST(lines.back()["reward_accuracy"].get<double>() == 1.0);
    // Behind other phases it keeps its own rate, whatever theirs.
    BOOST_REQUIRE(w.run(w.train("last", {"--preferences", pairs})).code == 0);
    std::size_t late = 0;
    for (const auto& line : formats::read_jsonl(w.folder / "last/metrics.jsonl"))
        if (line["event"] == "step" && line["phase"] == "preferences") {
            BOOST_TEST(line["learning_rate"].get<double>() < 1e-6);
            ++late;
        }
    BOOST_TEST(late > 0u);

    std::ofstream(pairs, std::ios::app) << R"({"prompt":"x","chosen":"y"})"
                                        << "\n";
    const auto bad = w.run(w.train("bad", {"--preferences", pairs}));
    BOOST_TEST(bad.code == 1);
    BOOST_TEST(mentions(bad.err, "pairs.jsonl:6"), bad.err);
    BOOST_TEST(mentions(bad.err, "rejected"), bad.err);
}

// A student that has learnt a few conversations by heart makes these up again.
BOOST_AUTO_TEST_CASE(a_model_replays_what_it_makes_up_itself) {
    const workplace w;
    BOOST_REQUIRE(w.run(w.train("first", {"--epochs", "80", "--phases", "stacked"})).code == 0);
    const auto again = [&](const std::string& out, std::vector<std::string> more) {
        std::vector<std::string> command{LAB_TRAIN_APP,
                                         "--model",
                                         (w.folder / "first/model").string(),
                                         "--data",
                                         w.data,
                                         "--out",
                                         (w.folder / out).string(),
                                         "--epochs",
                                         "2",
                                         "--self-replay",
                                         "6",
                                         "--seed",
                                         "5"};
        command.insert(command.end(), more.begin(), more.end());
        return w.run(command);
    };
    const auto whole = again("whole", {});
    BOOST_REQUIRE_MESSAGE(whole.code == 0, whole.err);
    BOOST_TEST(mentions(whole.err, "self"), whole.err);
    const auto made = formats::read_jsonl(w.folder / "whole/self_replay.jsonl");
    BOOST_TEST_REQUIRE(!made.empty());
    BOOST_TEST(made.size() <= 6u);
    const std::string learnt = read_file(w.data + "/samples.jsonl");
    std::size_t known = 0;
    for (const auto& line : made) {
        BOOST_TEST(line["metadata"]["kind"] == "general");
        known += mentions(learnt, line["messages"][1]["content"].get<std::string>());
    }
    BOOST_TEST(2 * known >= made.size());  // most of what it knows to say it has learnt
    const auto metrics = formats::read_jsonl(w.folder / "whole/metrics.jsonl");
    BOOST_TEST(metrics[0]["phase"] == "knowledge-1");
    BOOST_TEST(metrics[0]["replayed_per_epoch"].get<std::size_t>() > 0u);

    // The file is kept by a resume of the same run, and made anew by a run with another seed.
    const auto digest = sha256_of_file(w.folder / "whole/model.gguf");
    const auto resumed = again("whole", {"--resume", "--threads", "3"});
    BOOST_REQUIRE_MESSAGE(resumed.code == 0, resumed.err);
    BOOST_TEST(sha256_of_file(w.folder / "whole/model.gguf") == digest);
    const auto before = read_file(w.folder / "whole/self_replay.jsonl");
    BOOST_REQUIRE(again("other", {"--seed", "6"}).code == 0);
    BOOST_TEST((read_file(w.folder / "other/self_replay.jsonl") != before));
    BOOST_REQUIRE(again("again", {"--threads", "1"}).code == 0);
    BOOST_TEST((read_file(w.folder / "again/self_replay.jsonl") == before));
    BOOST_TEST(sha256_of_file(w.folder / "again/model.gguf") == digest);

    const auto mute = w.run(w.train("mute", {"--format", "granite_lab", "--self-replay", "3"}));
    BOOST_TEST(mute.code == 1);
    BOOST_TEST(mentions(mute.err, "leave out self-replay"), mute.err);
}

BOOST_AUTO_TEST_CASE(recomputing_changes_nothing_and_a_replay_policy_what_is_replayed) {
    const workplace w;
    const auto digest = [&](const std::string& out, std::vector<std::string> more) {
        more.emplace_back("--json");
        const auto result = w.run(w.train(out, std::move(more)));
        BOOST_REQUIRE_MESSAGE(result.code == 0, result.err);
        const auto summary = formats::parse_json(result.out, "stdout");
        return std::pair(summary["sha256"]["model.gguf"].get<std::string>(), summary.value("replay", "stratified"));
    };
    const auto plain = digest("plain", {});
    BOOST_TEST((digest("selective", {"--recompute", "selective"}) == plain));
    BOOST_TEST((digest("full", {"--recompute", "full"}) == plain));
    const auto all = digest("all", {"--replay-policy", "full"});
    BOOST_TEST(all.second == "full");
    BOOST_TEST(all.first != plain.first);
    BOOST_TEST(digest("none", {"--replay-policy", "full", "--no-replay"}).first == digest("no", {"--no-replay"}).first);
    BOOST_TEST(mentions(w.run(w.train("x", {"--replay-policy", "some"})).err, "stratified, reservoir, full"));
    BOOST_TEST(mentions(w.run(w.train("x", {"--recompute", "all"})).err, "none, selective, full"));
}

BOOST_AUTO_TEST_CASE(a_model_with_a_weight_that_is_no_number_costs_nothing) {
    const workplace w;
    BOOST_REQUIRE(w.run(w.train("run")).code == 0);
    const auto before = read_file(w.folder / "run/metrics.jsonl");
    auto broken = tiny::llama(3, 1, 260);
    broken.parameters()[7] = std::numeric_limits<float>::quiet_NaN();
    nn::save_safetensors(broken, w.model, {.tokenizer = test::fixture("train/bytes")});
    const auto result = w.run(w.train("run"));
    BOOST_TEST(result.code == 1);
    BOOST_TEST(mentions(result.err, "row 0, column 7 is not a number"), result.err);
    BOOST_TEST((read_file(w.folder / "run/metrics.jsonl") == before));
    BOOST_TEST(!std::filesystem::is_empty(w.folder / "run/eval"));
}

BOOST_AUTO_TEST_CASE(a_weight_that_is_no_number_is_named_beside_adapters_and_in_them) {
    const workplace w;
    const auto refused = [&](const std::vector<std::string>& options, const std::string& file,
                             const std::string& place) {
        const auto result = w.run(w.train("x", options));
        BOOST_TEST(result.code == 1);
        BOOST_TEST(mentions(result.err, file), result.err);
        BOOST_TEST(mentions(result.err, place), result.err);
        BOOST_TEST(mentions(result.err, " is not a number"), result.err);
    };
    BOOST_REQUIRE(w.run(w.train("run", {"--lora", "4"})).code == 0);
    const auto adapter = w.folder / "run/adapter";
    {
        const auto path = adapter / "adapter_model.safetensors";
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        const float nan = std::numeric_limits<float>::quiet_NaN();
        file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path) - sizeof nan));
        file.write(reinterpret_cast<const char*>(&nan), sizeof nan);
    }
    refused({"--adapter", adapter.string()}, "adapter_model.safetensors", "of the adapter of tensor 'model.layers.1.");
    auto broken = tiny::llama(3, 1, 260);
    broken.parameters()[7] = std::numeric_limits<float>::quiet_NaN();
    nn::save_safetensors(broken, w.model, {.tokenizer = test::fixture("train/bytes")});
    refused({"--lora", "4", "--base-type", "q8_0"}, w.model, "row 0, column 7");
    nn::save_safetensors(broken, w.model, {.type = dtype::bf16, .tokenizer = test::fixture("train/bytes")});
    refused({"--lora", "4"}, w.model, "row 0, column 7");
}

BOOST_AUTO_TEST_CASE(samples_stay_within_the_models_context_and_what_is_left_out_is_told) {
    const workplace w;
    auto config = formats::parse_json(read_file(w.model + "/config.json"), "config");
    config["max_position_embeddings"] = 100;
    write_file_atomically(w.model + "/config.json", formats::to_text(config));
    std::ofstream(w.data + "/samples.jsonl", std::ios::app)
        << formats::to_text(
               {{"id", "long"},
                {"messages",
                 {{{"role", "user"}, {"content", std::string(100, 'x')}}, {{"role", "assistant"}, {"content", "y"}}}},
                {"metadata", {{"leaf", "knowledge/islands"}}}})
        << "\n";
    const auto asked = [&](const std::string& first, const std::string& second) {
        std::ofstream lines(w.questions + "/knowledge/islands/heldout.jsonl");
        for (const auto& q : {first, second})
            lines << formats::to_text({{"id", "about " + q.substr(0, 1)},
                                       {"phrasings", {q}},
                                       {"answer", "heron"},
                                       {"distractors", {"otter", "gulls", "seals"}}})
                  << "\n";
    };
    asked("ferry?", std::string(50, 'z'));
    const auto beyond = w.run(w.train("run", {"--max-tokens", "101"}));
    BOOST_TEST(beyond.code == 1);
    BOOST_TEST(mentions(beyond.err, "has a context of 100 tokens, samples of up to 101 are asked for"), beyond.err);
    BOOST_TEST(mentions(beyond.err, "--max-tokens 100 or less"), beyond.err);
    BOOST_TEST(w.run(w.train("run", {"--max-tokens", "101", "--estimate"})).code == 1);

    const auto within = w.run(w.train("run", {}));
    BOOST_REQUIRE_MESSAGE(within.code == 0, within.err);
    const auto manifest = formats::parse_json(read_file(w.folder / "run/manifest.json"), "manifest");
    BOOST_TEST(manifest["leaves"]["knowledge/islands"]["dropped"] == 1);
    BOOST_TEST(!mentions(within.err, "held-out answers do not fit"), within.err);
    const auto short_ones = w.run(w.train("short", {"--max-tokens", "64"}));
    BOOST_REQUIRE_MESSAGE(short_ones.code == 0, short_ones.err);
    BOOST_TEST(mentions(short_ones.err, "1 of 2 held-out answers do not fit in 64 tokens"), short_ones.err);
    BOOST_TEST(mentions(short_ones.err, "held-out loss: about z"), short_ones.err);
    asked(std::string(50, 'a'), std::string(50, 'z'));
    const auto none = w.run(w.train("none", {"--max-tokens", "64"}));
    BOOST_TEST(none.code == 1);
    BOOST_TEST(mentions(none.err, "none of its 2 held-out answers fits in 64 tokens"), none.err);
}

BOOST_AUTO_TEST_CASE(an_estimate_says_what_a_run_takes_and_writes_nothing) {
    const workplace w;
    const auto result = w.run(w.train("run", {"--estimate", "--json", "--optimizer", "sgd", "--result", "ema"}));
    BOOST_REQUIRE_MESSAGE(result.code == 0, result.err);
    BOOST_TEST(!std::filesystem::exists(w.folder / "run"));
    const auto e = formats::parse_json(result.out, "stdout");
    const auto parameters = e["parameters"].get<std::uint64_t>();
    for (const char* part : {"weights", "gradients", "optimizer", "result"})
        BOOST_TEST(e["bytes"][part].get<std::uint64_t>() == 4 * parameters, part);
    BOOST_TEST(e["measured"].get<bool>());
    BOOST_TEST(e["fits"].get<bool>());
    BOOST_TEST(e["tokens_per_second"].get<double>() > 0.0);
    const auto& kept = e["bytes"]["kept_each_token"];
    BOOST_TEST(kept["full"].get<std::uint64_t>() <= kept["selective"].get<std::uint64_t>());
    BOOST_TEST(kept["selective"].get<std::uint64_t>() <= kept["none"].get<std::uint64_t>());

    const auto run = w.run(w.train("run", {"--json"}));  // what it announced is what happens
    const auto manifest = formats::parse_json(run.out, "stdout");
    BOOST_TEST(manifest["steps"] == e["steps"]);
    BOOST_TEST(manifest["tokens"] == e["tokens"]);

    const auto sharded = w.run(w.train("run", {"--estimate", "--json", "--shards", "4"}));  // two halves wait at most
    BOOST_TEST(formats::parse_json(sharded.out, "stdout")["bytes"]["gradients"] == 3 * 4 * parameters);

    const auto text = w.run(w.train("run", {"--estimate"}));
    BOOST_TEST(text.code == 0, text.err);
    BOOST_TEST(mentions(text.out, "tokens a second"), text.out);
}

BOOST_AUTO_TEST_CASE(a_run_that_does_not_fit_is_refused_before_it_begins) {
    const workplace w;
    const std::vector<std::string> far_too_much{"--micro-batch", "99999999999"};
    const auto refused = w.run(w.train("run", far_too_much));
    BOOST_TEST(refused.code == 1);
    BOOST_TEST(mentions(refused.err, "this run does not fit: at least "), refused.err);
    BOOST_TEST(mentions(refused.err, "--micro-batch 49999999999"), refused.err);
    BOOST_TEST(!std::filesystem::exists(w.folder / "run"));
    const auto forced = w.run(w.train("run", {"--micro-batch", "99999999999", "--ignore-memory"}));
    BOOST_TEST(forced.code == 0, forced.err);
}

BOOST_AUTO_TEST_CASE(a_run_that_does_not_fit_is_told_what_to_change) {
    const run::training_estimate small{.parameters = 1000,
                                       .longest_micro_batch = 1024,
                                       .weights = 4000,
                                       .gradients = 4000,
                                       .optimizer = 8000,
                                       .result = 4000,
                                       .activations = 20480,
                                       .activations_each = 20,
                                       .kept_each = {16, 10, 4},
                                       .available = 40479};
    BOOST_TEST(small.total() == 40480u);
    BOOST_TEST(!small.fits());
    auto roomy = small;
    roomy.available = 40480;
    BOOST_TEST(roomy.fits());
    const auto list = run::savings(small, {});
    BOOST_REQUIRE(list.size() == 6u);
    BOOST_TEST(mentions(list[0].first, "--recompute full"));
    BOOST_TEST(list[0].second == 12288u);
    BOOST_TEST(mentions(list[1].first, "--micro-batch 512"));
    BOOST_TEST(list[1].second == 10240u);
    BOOST_TEST(mentions(list[2].first, "adafactor"));
    BOOST_TEST(list[2].second == 7960u);
    BOOST_TEST(run::savings(small, {.recompute = nn::recompute::full}).size() == 4u);
    BOOST_TEST(run::to_json(small)["fits"] == false);
}

BOOST_AUTO_TEST_CASE(a_signal_ends_the_run_with_a_checkpoint) {
    const workplace w;
    BOOST_REQUIRE(w.run(w.train("whole")).code == 0);
    const auto size = std::filesystem::file_size(w.folder / "whole/metrics.jsonl");
    for (const auto& [signal, code] : {std::pair{SIGINT, 130}, {SIGTERM, 143}}) {
        const auto metrics = w.folder / "stopped/metrics.jsonl";
        std::filesystem::remove_all(w.folder / "stopped");
        const auto stopped = execute(
            w.train("stopped"), w.folder.path(),
            [&] {
                std::error_code none;
                const auto now = std::filesystem::file_size(metrics, none);
                return !none && now >= size / 8;
            },
            signal);
        BOOST_TEST(stopped.code == code, stopped.err);
        BOOST_TEST(mentions(stopped.err, "--resume"), stopped.err);
        BOOST_TEST(!std::filesystem::is_empty(w.folder / "stopped/checkpoints"));
        BOOST_TEST(!std::filesystem::exists(w.folder / "stopped/model.gguf"));
    }
    // Not unasked is it begun anew, and then nothing of it is left.
    const auto before = read_file(w.folder / "stopped/metrics.jsonl");
    const auto refused = w.run(w.train("stopped"));
    BOOST_TEST(refused.code == 1);
    BOOST_TEST(mentions(refused.err, "--resume goes on with it, --fresh begins anew"), refused.err);
    BOOST_TEST((read_file(w.folder / "stopped/metrics.jsonl") == before));
    BOOST_TEST(w.run(w.train("stopped", {"--resume", "--fresh"})).code == 2);
    std::filesystem::copy(w.folder / "stopped", w.folder / "anew", std::filesystem::copy_options::recursive);
    BOOST_TEST(w.run(w.train("anew", {"--fresh"})).code == 0);
    BOOST_TEST((read_file(w.folder / "anew/metrics.jsonl") == read_file(w.folder / "whole/metrics.jsonl")));
    BOOST_TEST(w.run(w.train("anew")).code == 0);  // it has finished
    BOOST_REQUIRE(w.run(w.train("stopped", {"--resume"})).code == 0);
    for (const char* name : {"model.gguf", "metrics.jsonl", "forgetting.json"})
        BOOST_TEST((read_file(w.folder / ("stopped/" + std::string(name))) ==
                    read_file(w.folder / ("whole/" + std::string(name)))),
                   name);
}

BOOST_AUTO_TEST_CASE(a_base_model_learns_a_format_with_its_control_tokens) {
    const workplace w;
    const auto base = tokenizer::load_tokenizer(w.model);
    BOOST_REQUIRE(!base.find("<|assistant|>"));
    const auto result = w.run(w.train("lab", {"--format", "granite_lab", "--json", "--max-tokens", "512"}));
    BOOST_REQUIRE_MESSAGE(result.code == 0, result.err);
    const auto summary = formats::parse_json(result.out, "stdout");
    const auto added = summary["added_tokens"].get<std::vector<std::string>>();
    BOOST_TEST(added.size() >= 3u);
    const auto known = text::formats::granite_lab{};
    const text::messages chat{{"user", "ferry?"}, {"assistant", "heron"}, {"user", "<|user|> price?"}};
    for (const char* name : {"model", "model.gguf"}) {
        const auto path = w.folder / "lab" / name;
        const auto tokens = tokenizer::load_tokenizer(path);
        BOOST_TEST(nn::load_model(path, {.threads = 1}).dims().vocab == tokens.size());
        const auto id = tokens.find("<|assistant|>");
        BOOST_REQUIRE(id);
        BOOST_TEST(tokens.is_special(*id));
        BOOST_TEST(static_cast<std::size_t>(*id) >= base.size());
        BOOST_TEST(tokens.is_end_of_generation(*tokens.find("<|endoftext|>")));
        // Unasked, the result is taken to speak the format it was trained in.
        const auto own = text::chat_format_of({}, tokens);
        BOOST_TEST(own.name() == "granite_lab");
        const auto ids = [&](const auto& format) {
            return text::encode_chat(tokens, format, chat, text::render_options{.add_generation_prompt = true}).tokens;
        };
        BOOST_TEST(ids(own) == ids(known), boost::test_tools::per_element());
        const auto shown = ids(own);
        BOOST_TEST(std::count(shown.begin(), shown.end(), *id) == 2);
    }
    const auto qa = w.run(
        {LAB_EVAL_APP, "qa", "--model", (w.folder / "lab/model.gguf").string(), "--questions", w.questions, "--json"});
    BOOST_TEST(qa.code == 0, qa.err);
}

BOOST_AUTO_TEST_CASE(adapters_are_learnt_saved_and_merged_and_survive_kill_9) {
    const workplace w;
    const std::vector<std::string> lora{"--lora", "4", "--lora-dropout", "0.2", "--threads", "1"};
    BOOST_REQUIRE(w.run(w.train("whole", lora)).code == 0);
    const auto at = [&](const std::string& name) { return w.folder / name; };
    const auto manifest = formats::parse_json(read_file(at("whole/manifest.json")), "manifest");
    BOOST_TEST(manifest["lora"]["rank"] == 4);
    BOOST_TEST(manifest["lora"]["alpha"] == 8);
    BOOST_TEST(manifest["sha256"].size() == 3u);

    // The adapter beside its base is what was merged.
    const auto merged = nn::load_model(at("whole/model"), {.threads = 1});
    const auto beside = nn::load_trainable(w.model, {.threads = 1, .pack = false, .adapter = at("whole/adapter")});
    BOOST_TEST(beside.adapter_parameter_count() == manifest["lora"]["parameters"].get<std::size_t>());
    nn::save_safetensors(beside, at("again"), {.tokenizer = w.model});
    BOOST_TEST((read_file(at("again/model.safetensors")) == read_file(at("whole/model/model.safetensors"))));
    const auto base = nn::load_model(w.model, {.threads = 1});
    std::size_t changed = 0;
    for (std::size_t i = 0; i < base.weights().size(); ++i) {
        const auto &a = base.weights()[i].data, &b = merged.weights()[i].data;
        const bool same = std::equal(a.data, a.data + a.rows * a.row_stride(), b.data);
        BOOST_TEST(same == nn::linear_module(base.weights()[i].info).empty(), base.weights()[i].info.name);
        changed += !same;
    }
    BOOST_TEST(changed == 14u);

    // Killed, and gone on with on more threads.
    const auto metrics = at("killed/metrics.jsonl");
    std::size_t kills = 0;
    for (std::uintmax_t size = 400; size < std::filesystem::file_size(at("whole/metrics.jsonl")); size += 1500) {
        auto more = lora;
        more.back() = std::to_string(1 + kills % 3);
        more.insert(more.end(), {"--resume", "--checkpoint-minutes", "0"});
        const auto died = execute(w.train("killed", more), w.folder.path(), [&] {
            std::error_code none;
            const auto now = std::filesystem::file_size(metrics, none);
            return !none && now >= size;
        });
        kills += died.code == -1;
    }
    BOOST_TEST(kills >= 2u);
    auto more = lora;
    more.push_back("--resume");
    BOOST_REQUIRE(w.run(w.train("killed", more)).code == 0);
    for (const char* name : {"adapter/adapter_model.safetensors", "model.gguf", "metrics.jsonl", "forgetting.json"})
        BOOST_TEST((read_file(w.folder / ("killed/" + std::string(name))) ==
                    read_file(w.folder / ("whole/" + std::string(name)))),
                   name);

    // Another adapter, or another base, is another run.
    const auto refused = [&](std::vector<std::string> options, const std::string& part, int code) {
        const auto result = w.run(w.train("killed", std::move(options)));
        BOOST_TEST(result.code == code, result.err);
        BOOST_TEST(mentions(result.err, part), result.err);
    };
    refused({"--lora", "4", "--lora-dropout", "0.1", "--resume"}, "another model, data, plan, seed", 1);
    refused({"--lora", "4", "--lora-dropout", "0.2", "--base-type", "q8_0", "--resume"}, "another model", 1);
    refused({"--lora-rs"}, "--lora-rs needs --lora", 2);
    refused({"--lora", "4", "--lora-targets", "q,x"}, "target 'x'", 1);
    refused({"--lora", "4", "--format", "granite_lab"}, "adapters cannot learn the row of a new token", 1);

    // A base in blocks, and an adapter that is gone on with.
    const auto quantised = w.run(w.train(
        "quantised", {"--adapter", at("whole/adapter").string(), "--base-type", "q8_0", "--type", "bf16", "--json"}));
    BOOST_REQUIRE_MESSAGE(quantised.code == 0, quantised.err);
    const auto start = [&](const std::string& run) {
        std::ifstream lines(at(run + "/metrics.jsonl"));
        for (std::string line; std::getline(lines, line);)
            if (const auto event = formats::parse_json(line, "metrics"); event["event"] == "step")
                return event["loss"].get<double>();
        return 0.0;
    };
    BOOST_TEST(start("quantised") < start("whole") - 0.1);  // it begins near where the adapter had come to
}

BOOST_AUTO_TEST_CASE(wrong_calls_and_wrong_data_get_one_clear_line) {
    const workplace w;
    BOOST_TEST(w.run({LAB_TRAIN_APP, "--help"}).code == 0);
    BOOST_TEST(w.run({LAB_EVAL_APP, "--help"}).code == 0);
    const auto expect = [&](const std::vector<std::string>& command, int code, const std::string& part) {
        const auto result = w.run(command);
        BOOST_TEST(result.code == code, result.err);
        BOOST_TEST(mentions(result.err, part), result.err);
    };
    expect({LAB_TRAIN_APP}, 2, "--model (or --shape), --data or --preferences, and --out are needed");
    expect({LAB_EVAL_APP}, 2, "perplexity, qa or forgetting?");
    expect({LAB_EVAL_APP, "guess"}, 2, "unknown command");
    expect({LAB_EVAL_APP, "qa", "--threads", "1000000"}, 2, "--threads 1000000");
    expect({LAB_EVAL_APP, "qa", "--cache-mib", "0"}, 2, "--cache-mib 0");
    expect(w.train("x", {"--threads", "1000000"}), 2, "--threads 1000000");
    expect(w.train("x", {"--phases", "none-such"}), 2, "lab-paper");
    expect(w.train("x", {"--replay-ratio", "3"}), 1, "replay ratio");
    expect(w.train("x", {"--format", "klingon"}), 1, "chatml");
    expect(w.train("x", {"--optimizer", "lion"}), 1, "one of adamw, sgd, adafactor");
    expect(w.train("x", {"--momentum", "0.5"}), 2, "--momentum is not for --optimizer adamw");
    expect(w.train("x", {"--tolerance", "0.2"}), 2, "--tolerance is of --regression");
    expect(w.train("x", {"--ema-decay", "0.9", "--result", "average"}), 2, "--ema-decay is of --result ema");
    expect(w.train("x", {"--average-last", "3"}), 2, "--average-last is of --result average");
    expect(w.train("x", {"--average-every", "3", "--result", "ema"}), 2, "--average-every is of --result average");
    for (const auto& [option, value] :
         {std::pair{"--replay-ratio", "0.2"}, {"--replay-by", "tokens"}, {"--replay-policy", "full"}})
        expect(w.train("x", {"--phases", "stacked", option, value}), 2, "phases that replay: here none does");
    expect(w.train("x", {"--no-replay", "--replay-ratio", "0.2"}), 2, "exclude each other");
    expect(w.train("x", {"--schedule-floor", "0.1"}), 2, "--schedule-floor needs a schedule that falls");
    expect(w.train("x", {"--schedule", "linear", "--stable-share", "0.5"}), 2, "--stable-share needs --schedule wsd");
    expect(w.train("x", {"--beta", "0.2"}), 2, "--beta needs --preferences");
    expect(w.train("x", {"--checkpoint-minutes=-1"}), 2, "--checkpoint-minutes is 0 or more");
    expect(w.train("x", {"--checkpoint-minutes=nan"}), 2, "nan");
    expect({LAB_TRAIN_APP, "--model", w.model, "--data", w.data, "--out", "x", "--heldout-every", "2"}, 2,
           "--heldout-every needs --heldout or --text");
    expect(w.train("x", {"--no-decay", "heads"}), 1, "no matrix has the role 'heads'");
    expect(w.train("x", {"--result", "best"}), 2, "need --heldout-every");
    const auto best_by = [&](const std::string& by) {
        return w.train("scored", {"--fresh", "--result", "best", "--heldout-every", "2", "--best-by", by});
    };
    expect(best_by("accuracy"), 2, "a command with {model} in it");
    expect(best_by("echo {model} none"), 1, "ends in 'none', which is no number");
    expect(best_by("echo {model} nan"), 1, "ends in 'nan', which is no number");
    expect(best_by("echo oh dear >&2; test -d {model}/x"), 1, "failed with code 1: oh dear");
    expect(w.train("x", {"--best-by", "choice"}), 2, "goes with --result best or --patience");
    expect(w.train("x", {"--schedule", "step"}), 2, "wsd");
    expect(w.train("x", {"--label-smoothing", "1"}), 1, "label smoothing");
    std::ofstream(w.folder / "plan.yaml")
        << "phases:\n  - name: a\n    data: [all]\n  - name: b\n    data: [none-such]\n";
    expect(w.train("x", {"--phases", (w.folder / "plan.yaml").string()}), 1, "plan.yaml:4:5: phases[1]");
    std::ofstream(w.data + "/samples.jsonl", std::ios::app)
        << R"({"id":"bad","messages":[{"role":"user","content":"?"}]})"
        << "\n";
    expect(w.train("x"), 1, "samples.jsonl:10");
}

BOOST_AUTO_TEST_CASE(a_model_from_scratch_learns_a_text) {
    const workplace w;
    const auto book = (w.folder / "book.txt").string(), held = (w.folder / "held.txt").string();
    const std::string line = "the ferry leaves at nine and the bell is rung. ";
    {
        std::ofstream text(book);
        for (int i = 0; i < 60; ++i) text << line;
        std::ofstream(held) << line << line;
    }
    const auto scratch = [&](const std::string& out, std::vector<std::string> more) {
        std::vector<std::string> command{LAB_TRAIN_APP,
                                         "--tokenizer",
                                         test::fixture("train/bytes").string(),
                                         "--data",
                                         book,
                                         "--text",
                                         held,
                                         "--out",
                                         (w.folder / out).string(),
                                         "--lr",
                                         "1e-2",
                                         "--warmup",
                                         "2",
                                         "--epochs",
                                         "4",
                                         "--batch",
                                         "4",
                                         "--phases",
                                         "stacked",
                                         "--max-tokens",
                                         "65",
                                         "--seed",
                                         "3"};
        command.insert(command.end(), more.begin(), more.end());
        return w.run(command);
    };
    const std::string sizes = "dim=32,layers=2,heads=4,hidden=64";
    const auto result = scratch("run", {"--shape", sizes});
    BOOST_REQUIRE_MESSAGE(result.code == 0, result.err);
    std::vector<double> heldout;
    formats::for_each_json_line(w.folder / "run/metrics.jsonl", [&](const formats::json& m, std::size_t) {
        if (m["event"] == "heldout") heldout.push_back(m["loss"].get<double>());
    });
    BOOST_REQUIRE(heldout.size() >= 2u);
    BOOST_TEST(heldout.front() > 5);  // ln 260 is 5.6
    BOOST_TEST(heldout.back() < 1.5);
    BOOST_TEST(text::chat_format_of({}, tokenizer::load_tokenizer(w.folder / "run/model.gguf")).name() == "chatml");

    // An estimate needs the sizes alone; a run that goes on leaves its beginning as it is.
    const auto estimate = scratch("planned", {"--shape", sizes, "--estimate", "--json"});
    BOOST_REQUIRE_MESSAGE(estimate.code == 0, estimate.err);
    BOOST_TEST(!std::filesystem::exists(w.folder / "planned"));
    const auto planned = formats::parse_json(estimate.out, "stdout");
    BOOST_TEST(planned["measured"].get<bool>());
    BOOST_TEST(planned["parameters"] == nn::load_model(w.folder / "run/model", {.threads = 1}).parameter_count());
    const auto huge = scratch("huge", {"--shape", "granite-7b", "--micro-batch", "99999999999"});
    BOOST_TEST(huge.code == 1);
    BOOST_TEST(mentions(huge.err, "this run does not fit"), huge.err);
    BOOST_TEST(!std::filesystem::exists(w.folder / "huge"));
    const auto written = std::filesystem::last_write_time(w.folder / "run/start/model.safetensors");
    BOOST_TEST(scratch("run", {"--shape", sizes, "--resume"}).code == 0);
    BOOST_TEST((std::filesystem::last_write_time(w.folder / "run/start/model.safetensors") == written));
    BOOST_TEST(mentions(scratch("run", {"--shape", "dim=32,layers=3,heads=4,hidden=64", "--resume"}).err,
                        "began with a model of another shape"));

    BOOST_TEST(scratch("again", {"--shape", sizes}).code == 0);
    BOOST_TEST(sha256_of_file(w.folder / "again/model.gguf") == sha256_of_file(w.folder / "run/model.gguf"));
    BOOST_TEST(scratch("bad", {}).code == 2);                                      // neither model nor shape
    BOOST_TEST(scratch("bad", {"--shape", sizes, "--model", w.model}).code == 2);  // both
    BOOST_TEST(mentions(scratch("bad", {"--shape", "dim=32"}).err, "layer count is 0"));
    const auto vocabulary = scratch("bad", {"--shape", sizes + ",vocab=5"});
    BOOST_TEST(vocabulary.code == 2);
    BOOST_TEST(mentions(vocabulary.err, "leave out vocab="), vocabulary.err);
}

BOOST_AUTO_TEST_SUITE_END()
