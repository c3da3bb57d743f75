// lab-train: messages JSON Lines -> samples -> phases with replay -> checkpoints -> safetensors folder and GGUF.
#include <chrono>
#include <iostream>

#include "common/chat_format.hpp"
#include "common/measure.hpp"
#include "journal.hpp"
#include "lab/core/version.hpp"
#include "lab/nn/load.hpp"
#include "lab/nn/save.hpp"
#include "lab/optim/adamw.hpp"
#include "lab/replay/chat_encoder.hpp"
#include "lab/replay/dataset.hpp"
#include "lab/sdg/digest.hpp"
#include "lab/tokenizer/load.hpp"
#include "lab/train/trainer.hpp"
#include "options.hpp"

namespace {

using namespace lab;
using formats::json;

/// What became of each leaf's samples, for the reader and for the manifest.
json describe_data(const replay::encoded_dataset& data, bool quiet) {
    json leaves = json::object();
    std::vector<std::vector<std::string>> rows{{"leaf", "samples", "tokens", "learnt", "longest", "dropped"}};
    for (const auto& [leaf, r] : data.leaves) {
        leaves[leaf] = {{"kept", r.kept},
                        {"split", r.split},
                        {"dropped", r.dropped},
                        {"tokens", r.tokens},
                        {"trained_tokens", r.trained_tokens},
                        {"longest", r.longest}};
        rows.push_back({leaf.empty() ? "(no leaf)" : leaf, std::to_string(r.kept + r.split), std::to_string(r.tokens),
                        std::to_string(r.trained_tokens), std::to_string(r.longest), std::to_string(r.dropped)});
    }
    if (!quiet) std::cerr << eval::table(rows) << '\n';
    return leaves;
}

/// The held-out questions' answers, as samples whose loss is watched.
std::vector<replay::training_sample> heldout_samples(const std::vector<eval::question>& questions, const auto& encoder,
                                                     std::size_t max_tokens) {
    std::vector<replay::sample> samples;
    for (const auto& q : questions) {
        replay::sample s{.id = q.id,
                         .messages = eval::ask(q, 0),
                         .leaf = q.leaf,
                         .kind = q.kind,
                         .place = "held-out question '" + q.id + "'"};
        s.messages.push_back({"assistant", q.answer});
        samples.push_back(std::move(s));
    }
    return samples.empty() ? std::vector<replay::training_sample>{}
                           : replay::encode_samples(samples, encoder, {.max_tokens = max_tokens}).samples;
}

/// Writes the model twice and returns its files with their digests.
json save_result(const nn::any_model& model, const apps::train_options& o) {
    const nn::save_options save{.type = o.type, .tokenizer = o.model};
    nn::save_safetensors(model, o.out / "model", save);
    nn::save_gguf(model, o.out / "model.gguf", {.type = o.type, .tokenizer = o.model, .name = "lab"});
    json files = json::object();
    for (const auto& entry : std::filesystem::directory_iterator(o.out / "model"))
        if (entry.path().extension() == ".safetensors")
            files["model/" + entry.path().filename().string()] = sdg::sha256_of_file(entry.path());
    files["model.gguf"] = sdg::sha256_of_file(o.out / "model.gguf");
    return files;
}

int run(const apps::train_options& o) {
    const auto style = o.json ? apps::progress::style::quiet : apps::progress::style::automatic;
    const auto say = [&](const std::string& line) {
        if (!o.json) std::cerr << line << '\n';
    };
    std::filesystem::create_directories(o.out);

    const auto tokens = tokenizer::load_tokenizer(o.model);
    const auto format = apps::chat_format_of(o.format, tokens);
    const replay::chat_encoder encoder(tokens, format);
    auto data = replay::encode_samples(replay::read_samples(o.data), encoder, o.encode);
    const json leaves = describe_data(data, o.json);

    auto model = nn::load_model(o.model, {.expand = dtype::f32, .threads = o.threads});
    say(model.info().family + " with " + std::to_string(model.parameter_count() / 1000000) +
        " million parameters, chat format " + format.name());
    train::trainer run(model, train::adamw_update(o.update, optim::decay_ranges(model.weights()), &model.pool()),
                       data.samples, o.phases, replay::stratified{.seed = o.trainer.seed}, o.trainer);

    apps::measuring what{.qa = {.max_phrasings = o.phrasings}, .style = style};
    if (!o.heldout.empty()) what.questions = eval::read_questions(o.heldout);
    if (!o.text.empty()) what.text = apps::read_text_tokens(o.text, tokens);
    run.set_heldout(heldout_samples(what.questions, encoder, o.encode.max_tokens));
    apps::matrix_keeper keeper(o.out / "eval", o.trainer.resume);
    keeper.matrix.columns = eval::columns_of(what.questions, run.plans(), data.samples);
    const auto measure = [&](const std::string& name) {
        if (!what.questions.empty()) keeper.row(name, [&] { return apps::measure(model, tokens, format, what, name); });
    };
    measure("untouched");

    apps::phase_progress shown(style);
    std::vector<std::string> ended;  // rows of phases before a resume point are read from their files, in order
    const auto catch_up = [&](std::size_t phase) {
        for (std::size_t p = ended.size(); p <= phase; ++p) {
            ended.emplace_back(o.phases[p].name.view());
            if (!run.plans()[p].skipped()) measure(ended.back());
        }
    };
    train::listener on;
    on.phase_begin = [&](const train::phase_event& e) { shown.begin(e); };
    on.step = [&](const train::step_event& e) { shown.step(e); };
    on.notice = say;
    on.phase_end = [&](const train::phase_event& e) { shown.end(), catch_up(e.index); };
    const auto began = std::chrono::steady_clock::now();
    const auto result = run.run(on);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();

    say("writing " + (o.out / "model").string() + " and model.gguf");
    const json files = save_result(model, o);
    const json manifest{{"lab", std::string(lab::version)},
                        {"base_model", o.model.string()},
                        {"chat_format", format.name()},
                        {"seed", o.trainer.seed},
                        {"plan", replay::to_json(o.phases)},
                        {"leaves", leaves},
                        {"steps", result.steps},
                        {"tokens", run.total_tokens()},
                        {"final_loss", result.last_loss},
                        {"sha256", files}};
    write_file_atomically(o.out / "manifest.json", formats::to_text(manifest, 1) + "\n");
    write_file_atomically(o.out / "report.html",
                          eval::html_report("lab-train", apps::loss_curves(o.out / "metrics.jsonl"), keeper.matrix));
    if (!keeper.matrix.rows.empty())
        write_file_atomically(o.out / "forgetting.json", formats::to_text(eval::to_json(keeper.matrix), 1) + "\n");

    if (o.json) {
        json all = manifest;
        all["seconds"] = seconds;
        if (!keeper.matrix.rows.empty()) all["forgetting"] = eval::to_json(keeper.matrix);
        std::cout << formats::to_text(all) << '\n';
        return 0;
    }
    if (!keeper.matrix.rows.empty()) std::cout << eval::to_text(keeper.matrix) << '\n';
    for (const auto& [name, digest] : files.items())
        std::cout << digest.get<std::string>() << "  " << (o.out / name).string() << '\n';
    std::cout << "Trained " << run.total_tokens() << " tokens in " << result.steps << " steps, "
              << apps::duration_text(seconds) << ". Report: " << (o.out / "report.html").string()
              << "\nTalk to it: lab-chat --model " << (o.out / "model.gguf").string() << '\n';
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return lab::apps::run_app("lab-train", [&] {
        const auto options = lab::apps::parse_train_options(argc, argv);
        return options ? run(*options) : 0;
    });
}
