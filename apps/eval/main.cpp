// lab-eval: perplexity of plain text, held-out questions, and the forgetting matrix of several models or of a lab-train
// run.
#include <cxxopts.hpp>
#include <iostream>

#include "common/answers.hpp"
#include "common/cli.hpp"
#include "common/run_progress.hpp"
#include "lab/eval/report.hpp"
#include "lab/nn/load.hpp"
#include "lab/run/matrix_keeper.hpp"
#include "lab/text/choose_format.hpp"
#include "lab/tokenizer/load.hpp"

namespace {

using namespace lab;
using apps::usage_error;
using formats::json;

constexpr const char* usage = R"(lab-eval: measures what a model knows and what it has forgotten.

  lab-eval perplexity --model FILE|DIR --file TEXT [--ctx 512]
  lab-eval qa         --model FILE|DIR --questions DIR [--show 5] [--out ITEMS.json] [--before ITEMS.json]
  lab-eval forgetting --questions DIR [--text TEXT] MODEL MODEL...     one row a model, in the order of training
  lab-eval forgetting --run DIR                                        the matrix of a lab-train run

)";

struct options {
    std::vector<std::string> models;
    std::filesystem::path file, questions, out, before, run;
    std::string format, system;
    std::size_t context = 512, threads = 0, show = 0, phrasings = 0, max_tokens = 32, cache_bytes = 0;
    bool json = false;
};

std::optional<options> parse(int argc, char** argv, std::string& command) {
    cxxopts::Options spec("lab-eval", "");
    options o;
    const auto path = [] { return cxxopts::value<std::string>()->default_value(""); };
    spec.add_options()("command", "", cxxopts::value<std::string>())("models", "models to measure",
                                                                     cxxopts::value<std::vector<std::string>>())(
        "model", "GGUF file or safetensors folder", cxxopts::value<std::string>()->default_value(""))(
        "file,text", "plain text", path())("questions", "a heldout.jsonl, or a folder searched for them", path())(
        "run", "output folder of lab-train", path())("out", "write each answer to this file", path())(
        "before", "answers of another model, to compare with", path())(
        "format", "chat format; default: the model's own", cxxopts::value(o.format))(
        "system", "system message; default: the format's", cxxopts::value(o.system))("ctx", "tokens of a window",
                                                                                     cxxopts::value(o.context))(
        "phrasings", "of each question, 0: all", cxxopts::value(o.phrasings))("max-tokens", "of a free answer",
                                                                              cxxopts::value(o.max_tokens))(
        "show", "answers to print", cxxopts::value(o.show))("threads", "0: one per processor",
                                                            cxxopts::value<std::size_t>()->default_value("0"))(
        "cache-mib", apps::cache_help, cxxopts::value<std::size_t>()->default_value("1024"))(
        "json", "one JSON object on standard output")("help", "this text");
    spec.parse_positional({"command", "models"});
    const auto args = spec.parse(argc, argv);
    if (args.count("help") != 0 || args.count("command") == 0) {
        std::cout << usage << spec.help();
        if (args.count("help") == 0) throw usage_error("perplexity, qa or forgetting?");
        return std::nullopt;
    }
    command = args["command"].as<std::string>();
    if (args.count("models") != 0) o.models = args["models"].as<std::vector<std::string>>();
    if (const auto model = args["model"].as<std::string>(); !model.empty()) o.models.insert(o.models.begin(), model);
    for (const auto& [name, target] : {std::pair{"file", &o.file},
                                       {"questions", &o.questions},
                                       {"out", &o.out},
                                       {"before", &o.before},
                                       {"run", &o.run}})
        *target = args[name].as<std::string>();
    o.threads = apps::chosen_threads(args);
    o.cache_bytes = apps::chosen_cache_bytes(args);
    o.json = args.count("json") != 0;
    return o;
}

struct opened {
    tokenizer::tokenizer tokens;
    nn::any_model model;
};
opened open(const std::string& path, const options& o) {
    return {tokenizer::load_tokenizer(path), nn::load_model(path, {.threads = o.threads})};
}
/// Questions are asked in it; plain text needs none. @throws config_error where the model has none and none is named
text::any_chat_format format_of(const opened& m, const options& o) { return text::chat_format_of(o.format, m.tokens); }

run::measuring what_to_measure(const options& o) {
    return {
        .qa = {.max_phrasings = o.phrasings, .max_tokens = o.max_tokens, .system = o.system},
        .context = o.context,
        .cache_bytes = o.cache_bytes,
        .progress = apps::measure_progress(o.json ? apps::progress::style::quiet : apps::progress::style::automatic)};
}

int perplexity(const options& o) {
    if (o.models.size() != 1 || o.file.empty()) throw usage_error("perplexity needs --model and --file");
    auto m = open(o.models[0], o);
    auto what = what_to_measure(o);
    what.text = run::read_text_tokens(o.file, m.tokens);
    const auto result = run::measure_text(m.model, m.tokens, what, o.models[0]);
    if (o.json)
        std::cout << formats::to_text(eval::to_json(result)) << '\n';
    else
        std::cout << "perplexity: " << eval::fixed(result.perplexity, 4) << " +/- " << eval::fixed(result.error, 4)
                  << '\n';
    return 0;
}

int qa(const options& o) {
    if (o.models.size() != 1 || o.questions.empty()) throw usage_error("qa needs --model and --questions");
    auto m = open(o.models[0], o);
    auto what = what_to_measure(o);
    what.questions = eval::read_questions(o.questions);
    const eval::matrix_row row{
        o.models[0], run::measure_answers(m.model, m.tokens, format_of(m, o), what, o.models[0]), {}};
    if (!o.out.empty()) write_file_atomically(o.out, formats::to_text(eval::to_json(row), 1) + "\n");
    std::vector<eval::qa_item> before;
    std::optional<eval::qa_change> change;
    if (!o.before.empty()) {
        before =
            eval::matrix_row_from(formats::parse_json(read_file(o.before), o.before.string()), o.before.string()).items;
        change = eval::compare(before, row.items);
    }
    if (o.json) {
        json all{{"summary", eval::to_json(eval::summarise(row.items))}};
        if (change)
            all["change"] = {{"choice_by_sum", eval::to_json(change->choice_by_sum)},
                             {"exact", eval::to_json(change->exact)},
                             {"f1", eval::to_json(change->f1)},
                             {"log_likelihood", eval::to_json(change->log_likelihood)}};
        std::cout << formats::to_text(all) << '\n';
        return 0;
    }
    apps::show_answers(std::cout, row.items, before, o.show);
    std::cout << eval::to_text(row.items);
    if (change)
        std::cout << "\nchange: choice " << eval::to_text(change->choice_by_sum) << ", exact "
                  << eval::to_text(change->exact) << ", F1 " << eval::to_text(change->f1) << ", log-likelihood "
                  << eval::to_text(change->log_likelihood, 1) << '\n';
    return 0;
}

int forgetting(const options& o) {
    eval::forgetting_matrix matrix;
    if (!o.run.empty()) {
        std::cout << (o.json ? read_file(o.run / "forgetting.json") : eval::to_text(run::stored_matrix(o.run)));
        return 0;
    }
    if (o.models.size() < 2 || o.questions.empty())
        throw usage_error("forgetting needs --questions and at least two models, or --run");
    auto what = what_to_measure(o);
    what.questions = eval::read_questions(o.questions);
    matrix.columns = eval::columns_of(what.questions, {}, std::vector<replay::training_sample>{});
    for (const auto& path : o.models) {
        auto m = open(path, o);
        if (!o.file.empty()) what.text = run::read_text_tokens(o.file, m.tokens);
        matrix.rows.push_back(run::measure(m.model, m.tokens, format_of(m, o), what, path));
    }
    std::cout << (o.json ? formats::to_text(eval::to_json(matrix)) + "\n" : eval::to_text(matrix));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return lab::apps::run_app("lab-eval", [&] {
        std::string command;
        const auto o = parse(argc, argv, command);
        if (!o) return 0;
        if (command == "perplexity") return perplexity(*o);
        if (command == "qa") return qa(*o);
        if (command == "forgetting") return forgetting(*o);
        throw usage_error("unknown command '" + command + "' (perplexity, qa, forgetting)");
    });
}
