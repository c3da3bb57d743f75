// One training run from files to files: samples and a model in; phases with replay, measured before and after each;
// the trained model twice (safetensors folder and GGUF), manifest and report out. Resumable, tells a listener what it
// does and prints nothing. Needs nothing of taxonomy/ and sdg/ that links: for training alone.
#pragma once

#include <array>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/folder.hpp"
#include "lab/core/sha256.hpp"
#include "lab/core/version.hpp"
#include "lab/nn/finite.hpp"
#include "lab/nn/save.hpp"
#include "lab/run/matrix_keeper.hpp"
#include "lab/run/measure.hpp"
#include "lab/run/model_digest.hpp"
#include "lab/run/phase_score.hpp"
#include "lab/run/self_replay.hpp"
#include "lab/run/student.hpp"
#include "lab/run/training_data.hpp"
#include "lab/run/training_report.hpp"
#include "lab/train/checkpoint.hpp"
#include "lab/train/sharded_update.hpp"
#include "lab/train/tensorboard.hpp"
#include "lab/train/trainer.hpp"

namespace lab::run {

struct train_run_options {
    std::filesystem::path model{};        // GGUF file or safetensors folder
    std::string format{};                 // chat format by name; empty: the model's own, or none for text alone
    std::filesystem::path data{};         // messages JSON Lines or plain text (.txt), a file or a folder
    std::filesystem::path preferences{};  // pairs of answers (replay/preferences.hpp), besides `data` or alone
    std::filesystem::path out{};          // everything is written here
    std::filesystem::path heldout{};  // heldout.jsonl files, asked before training and after each phase; empty: none
    std::filesystem::path text{};     // plain text whose perplexity is watched beside them, or its loss alone; or none
    std::size_t phrasings = 1;        // asked of each question; 0: all
    std::vector<replay::phase> phases{};
    replay::encode_options encode{.max_tokens = 0};  // 0: 1024, or the context of a model that has less
    train::optimizer_options update{};
    std::string best_by{};  // of trainer.result `best` and of patience: empty: held-out loss; "choice"; else a command
    train::trainer_options trainer{};               // its folder is `out`; its ranks make this call together
    std::size_t self_replay = 0;                    // conversations that the model makes up first (self_replay.hpp)
    std::size_t threads = 0;                        // 0: one per processor
    std::size_t processes_here = 1;                 // that share this machine's memory, this one among them
    lab::compute compute = lab::compute::f32;       // operands of products in training: f32 or bf16
    nn::recompute recompute = nn::recompute::none;  // activations that are computed again: less memory, more time
    dtype type = dtype::f32;                        // of the written weights
    std::optional<nn::lora_options> lora{};  // learn adapters beside the weights, not the weights; seeded as trainer
    std::filesystem::path adapter{};         // with `lora`: go on with these, a folder in PEFT's format
    std::optional<dtype> base_type{};        // with `lora`: of the linear layers beside them; unset: as stored
    bool tensorboard = false;                // an event file beside metrics.jsonl
};

/// Whether the run shows the model conversations: plain text alone needs no chat format.
[[nodiscard]] inline bool needs_chat_format(const train_run_options& o) {
    return (!o.data.empty() && replay::text_files(o.data).empty()) || !o.preferences.empty() || !o.heldout.empty() ||
           o.self_replay != 0;
}

/// The trainer's events, and what surrounds them. All optional.
struct listener : train::listener {
    std::function<void(const replay::encoded_dataset&)> data{};
    std::function<void(std::size_t done, std::size_t wanted)> made_up{};  // conversations for self-replay
    std::function<void(const nn::any_model&, const student&)> loaded{};
    measure_observer measured{};
    std::function<void(const eval::matrix_row&)> row{};  // of the matrix, measured now or kept from before
    std::function<void()> saving{};
};

struct train_run_result {
    bool finished = false;  // false: `stop` was heard; the same run goes on with trainer.resume
    std::uint64_t steps = 0, tokens = 0;
    eval::forgetting_matrix matrix{};
    formats::json manifest{};  // of a finished run
};

namespace train_run_detail {

/// @throws as run::open_student; config_error where a chat format is needed and there is none
[[nodiscard]] inline student open_student(const train_run_options& o) {
    student who = run::open_student(o.model, o.format);
    if (needs_chat_format(o)) who.require_format();
    return who;
}
/// How the student is loaded to learn: adapters beside its weights as they are stored, or the weights themselves in
/// f32.
[[nodiscard]] inline nn::load_options learning(const train_run_options& o) {
    nn::load_options options{.threads = o.threads, .training = o.compute, .recompute = o.recompute};
    if (o.lora) {
        options.lora = o.lora;
        options.lora->seed = o.trainer.seed;
        options.expand = o.base_type;
        options.adapter = o.adapter;
    }
    return options;
}
[[nodiscard]] inline nn::any_model load_to_learn(const student& who, const train_run_options& o) {
    return who.load(learning(o));
}

/// Samples whose loss is watched: the held-out questions' answers; without any, the text. Those that are too long are
/// told. @throws config_error where none is left
[[nodiscard]] inline std::vector<replay::training_sample> heldout_samples(const std::vector<eval::question>& questions,
                                                                          const train_run_options& o,
                                                                          const student& who, const listener& on) {
    const std::size_t max_tokens = o.encode.max_tokens;
    if (questions.empty())
        return o.text.empty() ? std::vector<replay::training_sample>{} : read_texts({o.text}, who, max_tokens).samples;
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
    auto all = replay::encode_samples(samples, replay::chat_encoder(who.tokens, who.format),
                                      {.max_tokens = std::numeric_limits<std::size_t>::max()})
                   .samples;
    const std::string limit = std::to_string(max_tokens) + " tokens (--max-tokens)";
    std::string names;
    const std::size_t dropped = std::erase_if(all, [&](const replay::training_sample& s) {
        const bool longer = s.tokens.size() > max_tokens;
        if (longer) names += (names.empty() ? "" : ", ") + s.id;
        return longer;
    });
    if (all.empty())
        throw config_error(explain(o.heldout.string(),
                                   "none of its " + std::to_string(dropped) + " held-out answers fits in " + limit +
                                       " together with its question",
                                   "allow longer samples, or hold out shorter ones"));
    if (dropped != 0 && on.notice)
        on.notice(std::to_string(dropped) + " of " + std::to_string(dropped + all.size()) +
                  " held-out answers do not fit in " + limit + " and are left out of the held-out loss: " + names);
    return all;
}

/// Removes what killed writes left in a run's folder, and the model that was being scored.
inline void clear_away(const std::filesystem::path& out) {
    constexpr std::array<std::string_view, 8> written{".gguf",        ".json", ".jsonl", ".html",
                                                      ".safetensors", ".txt",  ".jinja", ".model"};
    for (const char* part : {"", "eval", "model", "adapter"}) remove_unfinished(out / part, written);
    std::filesystem::remove_all(out / "candidate");
}

/// Writes the model twice, and its adapters apart, and returns the files with their digests.
[[nodiscard]] inline formats::json save_result(const nn::any_model& model, const student& who,
                                               const train_run_options& o) {
    nn::save_safetensors(model, o.out / "model", who.saving(o.type));
    nn::save_gguf(model, o.out / "model.gguf", who.saving(o.type, "lab"));
    if (model.lora() != nullptr) nn::save_adapter(model, o.out / "adapter", o.type);
    formats::json files = formats::json::object();
    const auto add = [&](const std::string& folder) {
        for (const auto& entry : std::filesystem::directory_iterator(o.out / folder))
            if (entry.path().extension() == ".safetensors")
                files[folder + "/" + entry.path().filename().string()] = sha256_of_file(entry.path());
    };
    add("model");
    if (model.lora() != nullptr) add("adapter");
    files["model.gguf"] = sha256_of_file(o.out / "model.gguf");
    return files;
}

/// The adapters as the manifest states them, and, as part of the run's identity, the weights beside them.
[[nodiscard]] inline formats::json lora_json(const nn::lora_options& l) {
    return {{"rank", l.rank},
            {"alpha", l.chosen_alpha()},
            {"dropout", l.dropout},
            {"rank_stabilised", l.rank_stabilised},
            {"targets", l.targets}};
}
[[nodiscard]] inline formats::json lora_json(const nn::any_model& model) {
    auto all = lora_json(*model.lora());
    all["parameters"] = model.adapter_parameter_count();
    return all;
}
[[nodiscard]] inline std::string digest_of_weights(const nn::any_model& model) {
    train::xxh64 sum;
    for (const auto& w : model.weights()) {
        sum.update(name_of(w.data.type));
        sum.update({w.data.data, w.data.rows * w.data.row_stride()});
    }
    return std::to_string(sum.digest());
}
/// Of the weights as they are stored; the file is mapped.
[[nodiscard]] inline std::string digest_of_weights(const std::filesystem::path& model) {
    return digest_of_weights(nn::load_model(model, {.threads = 1, .pack = false}));
}

/// Adds what the model makes up to the data, kept in self_replay.jsonl; the file is made anew where it comes of another
/// model, format, seed or number. False where `stop` was heard. Of several ranks the first makes them up.
/// @param weights the digest of the model's
[[nodiscard]] inline bool add_self_replay(replay::encoded_dataset& data, const student& who, const train_run_options& o,
                                          const std::string& weights, const listener& on) {
    if (!who.added.empty())
        throw config_error(
            explain("chat format " + who.format.name(),
                    "the model does not know its token " + who.added.front() + ", so it can make up no conversation",
                    "leave out self-replay"));
    const auto path = o.out / "self_replay.jsonl";
    const formats::json origin{
        {"model", weights}, {"format", who.format.name()}, {"seed", o.trainer.seed}, {"wanted", o.self_replay}};
    std::vector<formats::json> lines;
    if ((o.trainer.resume || !o.trainer.ranks.first()) && std::filesystem::exists(path))
        lines = formats::read_jsonl(path);
    if (lines.empty() || !lines[0].contains("origin") || lines[0]["origin"] != origin) {
        lines.clear();
        if (!o.trainer.ranks.first())
            throw config_error(explain(path.string(), "this rank does not see it", "ranks share the folder --out"));
        self_replay_options options{.count = o.self_replay, .seed = o.trainer.seed, .progress = [&](std::size_t done) {
                                        if (on.made_up) on.made_up(done, o.self_replay);
                                        return !on.stop || !on.stop();
                                    }};
        try {
            const auto model = nn::load_model(o.model, {.threads = o.threads});
            for (const auto& [s, cut] : make_up_conversations(model, who.tokens, who.format, options)) {
                formats::json messages = formats::json::array();
                for (const auto& m : s.messages) messages.push_back({{"role", m.role}, {"content", m.content}});
                lines.push_back({{"id", s.id},
                                 {"messages", std::move(messages)},
                                 {"metadata", {{"leaf", s.leaf}, {"kind", replay::to_string(s.kind)}}},
                                 {"cut", cut},
                                 {"origin", origin}});
            }
        } catch (const error&) {
            if (!on.stop || !on.stop()) throw;
            return false;
        }
        if (lines.empty())
            throw config_error(explain(o.model.string(), "makes up no conversation that ends",
                                       "it is no chat model, or not in this format: leave out self-replay"));
        formats::write_jsonl(path, lines);
    }
    std::vector<replay::sample> samples;
    std::set<std::string> cut;
    for (const auto& line : lines) {
        const std::string place = path.string() + ":" + std::to_string(samples.size() + 1);
        samples.push_back(replay::parse_sample(line, place));
        if (formats::field_or<bool>(line, "cut", false, place)) cut.insert(samples.back().id);
    }
    auto made = replay::encode_samples(samples, replay::chat_encoder(who.tokens, who.format),
                                       {.max_tokens = o.encode.max_tokens});
    for (auto& s : made.samples) {
        while (cut.contains(s.id) && !s.tokens.empty() && who.tokens.is_special(s.tokens.back()))
            s.tokens.pop_back(), s.trained.pop_back();
        data.samples.push_back(std::move(s));
    }
    data.leaves.merge(made.leaves);
    return true;
}

[[nodiscard]] inline formats::json leaves_json(const replay::encoded_dataset& data) {
    formats::json leaves = formats::json::object();
    for (const auto& [leaf, r] : data.leaves)
        leaves[leaf] = {{"kept", r.kept},
                        {"split", r.split},
                        {"dropped", r.dropped},
                        {"tokens", r.tokens},
                        {"trained_tokens", r.trained_tokens},
                        {"longest", r.longest}};
    return leaves;
}

[[nodiscard]] inline measuring what_to_measure(const train_run_options& o, const student& who, const listener& on) {
    measuring what{.qa = {.max_phrasings = o.phrasings}};
    if (!o.heldout.empty()) what.questions = eval::read_questions(o.heldout);
    if (!o.text.empty()) what.text = read_text_tokens(o.text, who.tokens);
    what.progress = [&on](const measure_event& e) {
        if (on.measured) on.measured(e);
        if (on.stop && on.stop()) throw stop_heard("stopped while questions were asked");
    };
    return what;
}

/// What was asked of which model before training, as a checksum: the rows of one matrix have the same.
/// @param weights the digest of the model's
[[nodiscard]] inline std::string asked(const measuring& what, const train_run_options& o, const std::string& weights) {
    formats::json start{{"what", digest_of(what)}, {"model", weights}};
    if (o.base_type) start["base"] = name_of(*o.base_type);
    if (!o.adapter.empty()) start["adapter"] = model_digest(o.adapter);
    return sha256_hex(formats::to_text(start));
}
}  // namespace train_run_detail

[[nodiscard]] inline bool has_checkpoints(const std::filesystem::path& out) {
    return !train::checkpoint_folder(out / "checkpoints").empty();
}
/// Whether `out` holds checkpoints of a run that has not come to its end.
[[nodiscard]] inline bool holds_unfinished_run(const std::filesystem::path& out) {
    return has_checkpoints(out) && !std::filesystem::exists(out / "manifest.json");
}

/// The row of the untouched model, measured where `out` does not hold it yet: what train_run would begin with.
[[nodiscard]] inline eval::matrix_row measure_base(const train_run_options& o, const listener& on = {}) {
    namespace detail = train_run_detail;
    const student who = detail::open_student(o);
    const auto what = detail::what_to_measure(o, who, on);
    matrix_keeper keeper(o.out / "eval", detail::asked(what, o, detail::digest_of_weights(o.model)));
    return keeper.row(untouched, [&] {
        const auto model = detail::load_to_learn(who, o);
        return measure(model, who.tokens, who.format, what, untouched);
    });
}

/// Runs to the end, or until `on.stop`. Of several ranks the first measures and writes; the result's matrix and
/// manifest are its alone. With `trainer.resume` it goes on where an earlier call was stopped or killed, and ends in
/// the same bytes. What killed writes left in `out` is removed. @throws io_error, also while another process trains
/// into `out`; format_error; config_error where the parts do not fit
template <replay::ReplayBuffer Buffer = replay::any_buffer>
[[nodiscard]] train_run_result train_run(const train_run_options& given, std::type_identity_t<Buffer> buffer,
                                         const listener& on = {}) {
    namespace detail = train_run_detail;
    auto o = given;
    o.encode.max_tokens = longest_sample(o.model, o.encode.max_tokens);
    const student who = detail::open_student(o);
    auto data = read_training_data(o.data, o.preferences, who, o.encode);
    make_folder(o.out);
    std::optional<folder_lock> alone;
    const auto& ranks = o.trainer.ranks;
    ranks.together([&] {
        if (!ranks.first()) return;
        alone.emplace(o.out);
        detail::clear_away(o.out);
    });
    const std::string weights =
        o.self_replay != 0 || !o.heldout.empty() ? detail::digest_of_weights(o.model) : std::string();
    if (o.self_replay != 0) {  // the first rank writes what the others then read
        bool stopped = false;
        ranks.together([&] { stopped = ranks.first() && !detail::add_self_replay(data, who, o, weights, on); });
        if (ranks.any(stopped)) return {};
        ranks.together([&] {
            if (!ranks.first()) static_cast<void>(detail::add_self_replay(data, who, o, weights, on));
        });
    }
    if (on.data) on.data(data);
    auto model = detail::load_to_learn(who, o);
    nn::require_finite(model, o.adapter);
    if (o.base_type)  // blocks of a value that is no number may hold numbers again
        nn::require_finite(nn::load_model(o.model, {.threads = o.threads, .pack = false}));
    if (on.loaded) on.loaded(model, who);

    auto settings = o.trainer;
    settings.folder = o.out;
    settings.arithmetic = name_of(o.compute);
    if (o.lora)
        settings.arithmetic +=
            " beside " + detail::digest_of_weights(model) + formats::to_text(detail::lora_json(model));
    const measuring what = detail::what_to_measure(o, who, on);
    if (!o.best_by.empty()) {
        settings.score_name = o.best_by;
        settings.score = [&](std::size_t phase) {
            if (o.best_by == "choice") return choice_score(model, who, what, o.phases[phase]);
            return command_score(model, who.saving(o.type), o.out / "candidate", o.best_by);
        };
    }
    train::trainer trainer(model,
                           train::sharded_update(o.update, optim::parameter_tensors(model, o.update.decay),
                                                 &model.pool(), o.trainer.ranks),
                           data.samples, o.phases, buffer, settings);
    trainer.set_heldout(detail::heldout_samples(what.questions, o, who, on));
    if (ranks.first() && !settings.resume) train::checkpoint_folder(o.out / "checkpoints").clear();
    const bool goes_on = ranks.by_first(has_checkpoints(o.out));
    if (ranks.first() && !goes_on) {  // what an earlier run left that this one writes anew
        for (const char* name : {"manifest.json", "metrics.jsonl", "report.html", "forgetting.json"})
            std::filesystem::remove(o.out / name);
        forget_rows(o.out / "eval", settings.resume);
    }
    matrix_keeper keeper(o.out / "eval", what.questions.empty() ? std::string() : detail::asked(what, o, weights));
    keeper.matrix.columns = eval::columns_of(what.questions, trainer.plans(), data.samples);
    const auto measure_now = [&](const std::string& name, bool is_now = true) {
        if (what.questions.empty()) return;
        bool stop = false;
        ranks.together([&] {
            if (!ranks.first()) return;
            try {
                const auto& row = keeper.row(name, [&] {
                    if (!is_now)
                        throw config_error(explain((o.out / "eval").string(), "has no row of the phase " + name,
                                                   "resume with the questions that the run began with"));
                    return measure(model, who.tokens, who.format, what, name);
                });
                if (on.row) on.row(row);
            } catch (const stop_heard&) {
                stop = true;
            }
        });
        if (ranks.any(stop)) throw stop_heard("stopped while questions were asked");
    };

    std::size_t measured = 0;  // rows of phases before a resume point are read from their files, in order
    train::listener inner = static_cast<const train::listener&>(on);
    inner.phase_end = [&](const train::phase_event& e) {
        if (on.phase_end) on.phase_end(e);
        for (; measured <= e.index; ++measured)
            if (!trainer.plans()[measured].skipped())
                measure_now(std::string(o.phases[measured].name.view()), measured == e.index);
    };
    train::tensorboard_follower board(o.out / "metrics.jsonl", o.out / "tensorboard" / "events.out.tfevents.0.lab");
    if (o.tensorboard && ranks.first()) {
        inner.step = [&](const train::step_event& e) {
            board.update();
            if (on.step) on.step(e);
        };
        inner.heldout = [&](const train::heldout_event& e) {
            board.update();
            if (on.heldout) on.heldout(e);
        };
    }
    const auto write_report = [&] {
        write_file_atomically(o.out / "report.html",
                              training_report(read_training_record(o.out / "metrics.jsonl"), o.phases,
                                              replay::policy_of(buffer), keeper.matrix));
        if (!keeper.matrix.rows.empty())
            write_file_atomically(o.out / "forgetting.json", formats::to_text(eval::to_json(keeper.matrix), 1) + "\n");
    };
    // Of a run that was stopped or failed, as far as it came. What ended it is told, not what fails here.
    const auto report_so_far = [&] {
        if (!ranks.first() || trainer.steps() == 0 || std::filesystem::exists(o.out / "manifest.json")) return;
        try {
            if (o.tensorboard) board.update();
            try {  // rows from before a resume inside a phase: else they are read when it ends
                for (; !what.questions.empty() && measured < o.phases.size(); ++measured)
                    if (!trainer.plans()[measured].skipped())
                        keeper.row(std::string(o.phases[measured].name.view()),
                                   []() -> eval::matrix_row { throw stop_heard("not measured yet"); });
            } catch (const stop_heard&) {
            }
            write_report();
        } catch (const std::exception&) {
        }
    };
    train_run_result result;
    try {
        measure_now(untouched);
        const auto trained = trainer.run(inner);
        if (o.tensorboard && ranks.first()) board.update();
        if (!trained.finished) report_so_far();
        result = {trained.finished, trained.steps, trainer.total_tokens(), keeper.matrix, {}};
        if (!trained.finished) return result;
        result.manifest["final_loss"] = trained.last_loss;
    } catch (const stop_heard&) {
        report_so_far();
        result.steps = trainer.steps();
        return result;
    } catch (const std::exception&) {
        report_so_far();
        throw;
    }

    if (!ranks.first()) return result;
    if (on.saving) on.saving();
    result.manifest.update({{"lab", std::string(lab::version)},
                            {"base_model", o.model.string()},
                            {"chat_format", who.format.name()},
                            {"added_tokens", who.added},
                            {"seed", settings.seed},
                            {"compute", name_of(o.compute)},
                            {"plan", replay::to_json(o.phases)},
                            {"leaves", detail::leaves_json(data)},
                            {"steps", result.steps},
                            {"tokens", result.tokens},
                            {"sha256", detail::save_result(model, who, o)}});
    if (const auto policy = replay::policy_of(buffer); policy != replay::stratified::name)
        result.manifest["replay"] = policy;
    if (o.self_replay != 0) result.manifest["self_replay"] = o.self_replay;
    if (trainer.shards() != 1) result.manifest["shards"] = trainer.shards();
    if (o.lora) result.manifest["lora"] = detail::lora_json(model);
    if (o.update.kind != train::optimizer::adamw)
        result.manifest["optimizer"] = train::optimizer_update(o.update, {}).describe();
    if (const auto more = train::further_settings(settings); !more.is_null()) result.manifest["settings"] = more;
    write_report();
    write_file_atomically(o.out / "manifest.json", formats::to_text(result.manifest, 1) + "\n");
    return result;
}

#ifdef LAB_COMPILED  // lab::compiled has it
extern template train_run_result train_run(const train_run_options&, replay::any_buffer, const listener&);
#endif

}  // namespace lab::run
