// What a pipeline is made of. A block takes rows and gives rows; it asks the teacher and drops rows through its
// block_run, which keeps every dropped row with the reason. A block of one's own is any type with `type`, `read` (from
// the pipeline's YAML) and a call operator, added to a block_registry (registry.hpp).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/sdg/blocks/table.hpp"
#include "lab/sdg/teacher.hpp"

namespace lab::sdg::blocks {

/// How a block's prompt reaches the teacher.
enum class prompt_form : std::uint8_t {
    chat,   // as a user's message, in the teacher's own chat format
    family  // wrapped as InstructLab wraps it for a model family, and sent as it is
};

struct run_options {
    std::uint64_t seed = 0;
    std::string stream{};               // name of this run's random streams, such as the leaf's
    std::size_t scaled = 30;            // what `n: scaled` means
    std::size_t max_num_tokens = 4096;  // other than 4096: of a block called gen_knowledge, whatever it asks for itself
    prompt_form form = prompt_form::chat;
    std::string model_family{};                     // before that of a block
    std::map<std::string, std::string> families{};  // further model families: Jinja templates of `prompt`, `messages`
    std::size_t batch_rows = 1024;                  // rows that pass through a block at a time
};

struct dropped_row {
    std::string block;   // its name in the pipeline
    std::string kind;    // a few words, the same for all rows dropped for the same cause
    std::string reason;  // the whole story
    std::size_t origin = 0;
    cell values;  // of the row, as the block saw it, and what the block adds
};

/// The teacher's answer, or why it refused the request.
struct reply {
    text::completion answer;
    std::string refused;
};

/// Teachers by the name that a block calls its model; the first is for every other name.
struct teacher_set {
    any_teacher* usual = nullptr;
    std::map<std::string, any_teacher*> by_model{};

    [[nodiscard]] any_teacher& of(const std::string& model) const {
        const auto at = by_model.find(model);
        return at == by_model.end() ? *usual : *at->second;
    }
};

/// What a block sees of the run around it.
class block_run {
public:
    using drop_sink = std::function<void(dropped_row)>;
    using watch = std::function<void(const block_run&)>;  // called after answers; may throw to end the run

    block_run(teacher_set teachers, const run_options& options, drop_sink dropped, watch after_answers = {})
        : teachers_(std::move(teachers)),
          options_(&options),
          dropped_(std::move(dropped)),
          after_answers_(std::move(after_answers)) {}

    [[nodiscard]] const run_options& options() const noexcept { return *options_; }
    [[nodiscard]] const std::string& block() const noexcept { return block_; }
    /// Which round of an IterBlock this is; 0 outside of one.
    [[nodiscard]] std::size_t iteration() const noexcept { return iteration_; }
    void enter(std::string block) { block_ = std::move(block); }
    void set_iteration(std::size_t n) { iteration_ = n; }

    void drop(const table& from, const row& r, std::string kind, std::string reason, cell more = cell::object()) {
        cell values = from.object(r);
        for (auto& [name, value] : more.items()) values[name] = std::move(value);
        dropped_({block_, std::move(kind), std::move(reason), r.origin, std::move(values)});
    }
    /// Something that the user should know of the run, once.
    void note(std::string what) { notes_.insert(block_ + ": " + std::move(what)); }
    [[nodiscard]] const std::set<std::string>& notes() const noexcept { return notes_; }

    [[nodiscard]] bool takes_raw(const std::string& model) const { return teachers_.of(model).takes_raw(); }
    /// Answers in the order of the requests. A request that the teacher cannot take at all (a prompt longer than its
    /// context) is told apart from the others. @throws io_error when the teacher is gone
    [[nodiscard]] std::vector<reply> ask(std::span<const text::request> requests, const std::string& model) {
        std::vector<reply> replies(requests.size());
        ask_part(requests, teachers_.of(model), replies);
        return replies;
    }
    [[nodiscard]] std::size_t asked() const noexcept { return asked_; }

    /// A seed for draw number `draw` of this prompt. Equal prompts of one block get different ones, and which rows they
    /// came with does not matter. `repeat` counts the earlier rows with this prompt.
    [[nodiscard]] std::uint64_t seed_of(std::string_view prompt, std::size_t repeat, std::size_t draw) const {
        const std::string number =
            std::to_string(iteration_) + "/" + std::to_string(repeat) + "/" + std::to_string(draw);
        return counter_rng(options_->seed, hash64(options_->stream, hash64(block_, hash64(number, hash64(prompt)))))
            .next64();
    }
    /// How often this block has asked this before, in this round.
    std::size_t repeat_of(std::string_view prompt) {
        return repeats_[hash64(block_, hash64(std::to_string(iteration_), hash64(prompt)))]++;
    }

private:
    void ask_part(std::span<const text::request> requests, any_teacher& teacher, std::span<reply> replies) {
        if (requests.empty()) return;
        std::string why;
        try {
            teacher.complete_each(requests, [&](std::size_t i, const text::completion& c) { replies[i].answer = c; });
            asked_ += requests.size();
            if (after_answers_) after_answers_(*this);
            return;
        } catch (const config_error& fault) {
            why = fault.what();
        } catch (const request_refused& fault) {
            why = fault.what();
        }
        if (requests.size() == 1) {
            replies[0].refused = why;
        } else {
            const std::size_t half = requests.size() / 2;
            ask_part(requests.first(half), teacher, replies.first(half));
            ask_part(requests.subspan(half), teacher, replies.subspan(half));
        }
    }

    teacher_set teachers_;
    const run_options* options_;
    drop_sink dropped_;
    watch after_answers_;
    std::string block_;
    std::size_t iteration_ = 0, asked_ = 0;
    std::set<std::string> notes_;
    std::unordered_map<std::uint64_t, std::size_t> repeats_;
};

class config_reader;

/// A model: `struct echo { static constexpr std::string_view type = "EchoBlock"; static echo read(config_reader&);
/// table operator()(block_run&, table rows) const { return rows; } };` A static member `whole_table = true` asks for
/// all rows at once; without it, rows come in batches, and where these end must not matter.
template <class B>
concept Block = requires(const B& b, block_run& run, table rows) {
    { B::type } -> std::convertible_to<std::string_view>;
    { b(run, std::move(rows)) } -> std::same_as<table>;
};
/// A block that a pipeline file can name.
template <class B>
concept ReadableBlock = Block<B> && requires(config_reader& config) {
    { B::read(config) } -> std::same_as<B>;
};

template <class B>
[[nodiscard]] constexpr bool wants_whole_table() {
    if constexpr (requires { B::whole_table; }) return B::whole_table;
    return false;
}

/// Any block; copies share it.
class any_block {
public:
    template <class B>
    requires(!std::same_as<B, any_block> && Block<B>) any_block(B block)  // NOLINT: implicit
        : self_(std::make_shared<const model<B>>(std::move(block))) {}

    [[nodiscard]] std::string_view type() const { return self_->type(); }
    [[nodiscard]] bool whole_table() const { return self_->whole_table(); }
    [[nodiscard]] table operator()(block_run& run, table rows) const { return self_->call(run, std::move(rows)); }

private:
    struct base {
        virtual ~base() = default;
        [[nodiscard]] virtual std::string_view type() const = 0;
        [[nodiscard]] virtual bool whole_table() const = 0;
        [[nodiscard]] virtual table call(block_run& run, table rows) const = 0;
    };
    template <class B>
    struct model final : base {
        explicit model(B b) : block(std::move(b)) {}
        std::string_view type() const override { return B::type; }
        bool whole_table() const override { return wants_whole_table<B>(); }
        table call(block_run& run, table rows) const override { return block(run, std::move(rows)); }
        B block;
    };
    std::shared_ptr<const base> self_;
};

}  // namespace lab::sdg::blocks
