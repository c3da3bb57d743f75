// LAB's phased training as data (arXiv 2403.01081 section 3.3): each phase says which samples it trains on, which
// earlier phases it replays and how much, and the optimizer's numbers. Three plans are built in; a user's own is an
// array of `phase` or a JSON file (replay/phase_file.hpp). A phase starts its optimizer and warm-up afresh, as a run of
// its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/replay/buffer.hpp"
#include "lab/replay/sample.hpp"

namespace lab::replay {

/// A short name that can live in constexpr data and be read from a file; longer ones are refused.
class phase_name {
public:
    static constexpr std::size_t capacity = 47;
    constexpr phase_name() = default;
    constexpr phase_name(const char* text) : phase_name(std::string_view(text)) {}
    constexpr phase_name(std::string_view text) {
        if (text.size() > capacity)
            throw config_error("phase name '" + std::string(text) + "' is longer than 47 bytes");
        for (const char c : text) text_[size_++] = c;
    }
    [[nodiscard]] constexpr std::string_view view() const noexcept { return {text_.data(), size_}; }
    constexpr operator std::string_view() const noexcept { return view(); }
    friend constexpr bool operator==(const phase_name& a, const phase_name& b) noexcept { return a.view() == b.view(); }

private:
    std::array<char, capacity + 1> text_{};
    std::size_t size_ = 0;
};

/// Parts of a data set, as bits: knowledge is split by the length of its responses, the skills are not. Preferences are
/// pairs of answers (train/preference.hpp), general are samples of what the model could do before any phase; `all` is
/// all that is to be learnt word for word.
enum class content : std::uint8_t {
    none = 0,
    knowledge_short = 1,
    knowledge_long = 2,
    knowledge = 3,
    foundational = 4,
    compositional = 8,
    all = 15,
    preferences = 16,
    general = 32
};
[[nodiscard]] constexpr content operator|(content a, content b) noexcept {
    return static_cast<content>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool intersects(content a, content b) noexcept {
    return (static_cast<unsigned>(a) & static_cast<unsigned>(b)) != 0;
}

/// Names as phase files spell them; every bit of `content` has one.
inline constexpr std::array<std::pair<std::string_view, content>, 8> content_names{
    {{"knowledge_short", content::knowledge_short},
     {"knowledge_long", content::knowledge_long},
     {"knowledge", content::knowledge},
     {"foundational", content::foundational},
     {"compositional", content::compositional},
     {"all", content::all},
     {"preferences", content::preferences},
     {"general", content::general}}};

/// Names the model before any phase in what a run measures: no phase may have this name.
inline constexpr const char* untouched = "untouched";

/// Learning rate over a phase, after a linear warm-up from 0. LAB keeps it constant: a decay to 0 upsets the next
/// phase.
enum class schedule_kind : std::uint8_t { constant, linear, cosine, wsd };
inline constexpr std::array<std::pair<std::string_view, schedule_kind>, 4> schedule_names{
    {{"constant", schedule_kind::constant},
     {"linear", schedule_kind::linear},
     {"cosine", schedule_kind::cosine},
     {"wsd", schedule_kind::wsd}}};

struct phase {
    phase_name name;
    content data = content::all;                // what it trains on
    std::optional<std::size_t> short_tokens{};  // of its longest short response (`length_buckets`); unset: the run's
    std::uint32_t replays = 0;                  // bit i: replays what phase i (from 0, earlier than this) trained on
    double replay_ratio = 0.0;  // share of those samples, and of the general ones, mixed into each epoch
    replay_measure replay_by = replay_measure::samples;
    phase_name replay_policy{};  // which of them (`buffer_by_name`); empty: what the run's buffer draws
    double learning_rate = 2e-5;
    std::size_t warmup_steps = 10;
    std::size_t epochs = 4;
    std::size_t batch_size = 8;  // samples per optimizer step
    schedule_kind schedule = schedule_kind::constant;
    double schedule_floor = 0.0;   // lowest rate of a schedule that falls, as a share of the learning rate
    double stable_share = 0.8;     // wsd: share of the steps after the warm-up before the rate falls
    double label_smoothing = 0.0;  // share of each target that is spread evenly over the vocabulary
    double router_loss = 0.0;      // weight of the experts' load balancing, in a mixture of experts
    double neftune_alpha = 0.0;    // noise on embeddings (NEFTune, arXiv:2310.05914); the paper's are 5 to 15
    double beta = 0.1;             // preferences: how far the model may go from the one the phase began with (DPO)

    /// Learns from pairs of answers, not from answers; label smoothing is then the share of pairs that are mistaken.
    [[nodiscard]] constexpr bool compares() const noexcept { return data == content::preferences; }
    /// Asks for more of a training pass than the loss' gradient (nn/training_settings.hpp).
    [[nodiscard]] constexpr bool regularises() const noexcept {
        return label_smoothing > 0 || neftune_alpha > 0 || router_loss > 0;
    }
};

/// Responses of at most `short_tokens` tokens (end token included) are short. The paper names no number: 48 tokens
/// holds an answer of two sentences.
struct length_buckets {
    std::size_t short_tokens = 48;

    /// Those of a phase, whose own threshold goes first.
    [[nodiscard]] constexpr length_buckets of(const phase& p) const noexcept {
        return {p.short_tokens.value_or(short_tokens)};
    }
    [[nodiscard]] constexpr content operator()(sample_kind kind, std::size_t response_tokens) const noexcept {
        switch (kind) {
            case sample_kind::knowledge:
                return response_tokens <= short_tokens && response_tokens != always_long ? content::knowledge_short
                                                                                         : content::knowledge_long;
            case sample_kind::foundational:
                return content::foundational;
            case sample_kind::general:
                return content::general;
            case sample_kind::compositional:
                break;
        }
        return content::compositional;
    }
    [[nodiscard]] constexpr content operator()(const training_sample& s) const noexcept {
        return s.chosen_tokens != 0 ? content::preferences : (*this)(s.kind, s.response_tokens);
    }
};

/// The plan of the granite-7b-lab and merlinite-7b model cards: short knowledge, long knowledge, all skills.
[[nodiscard]] constexpr std::array<phase, 3> lab_phases() {
    return {phase{.name = "knowledge-1", .data = content::knowledge_short},
            phase{.name = "knowledge-2", .data = content::knowledge_long, .replays = 0b1, .replay_ratio = 0.34},
            phase{.name = "skills",
                  .data = content::foundational | content::compositional,
                  .replays = 0b11,
                  .replay_ratio = 0.34}};
}

/// The plan of the paper's table 2 with its numbers for Labradorite-13B, meant for samples by the hundred thousand:
/// foundational skills join long knowledge.
[[nodiscard]] constexpr std::array<phase, 3> lab_paper_phases() {
    phase one{.name = "KT/1", .data = content::knowledge_short};
    one.warmup_steps = 385, one.epochs = 5, one.batch_size = 3840;
    phase two = one;
    two.name = "KT/2", two.data = content::knowledge_long | content::foundational;
    two.replays = 0b1, two.replay_ratio = 0.34, two.epochs = 7;
    phase three = two;
    three.name = "ST", three.data = content::compositional, three.replays = 0b11;
    return {one, two, three};
}

/// All data at once, which later work by the same group found no worse at 3B-7B (arXiv 2412.13337).
[[nodiscard]] constexpr std::array<phase, 1> stacked_phases() { return {phase{.name = "stacked"}}; }

/// Direct preference optimisation, for after the phases that teach: Zephyr's beta, rate and schedule (arXiv
/// 2310.16944).
[[nodiscard]] constexpr phase preference_phase() {
    return {.name = "preferences",
            .data = content::preferences,
            .learning_rate = 5e-7,
            .epochs = 1,
            .schedule = schedule_kind::linear};
}

/// A built-in plan by name: "lab", "lab-paper" or "stacked".
[[nodiscard]] inline std::optional<std::vector<phase>> find_phases(std::string_view name) {
    const auto plan = [](const auto& phases) { return std::vector<phase>(phases.begin(), phases.end()); };
    if (name == "lab") return plan(lab_phases());
    if (name == "lab-paper") return plan(lab_paper_phases());
    if (name == "stacked") return plan(stacked_phases());
    return std::nullopt;
}

/// @throws config_error naming the phase and what is wrong with it.
inline void check_phases(std::span<const phase> phases) {
    if (phases.empty()) throw config_error("the plan has no phase (use lab, lab-paper, stacked or a file)");
    if (phases.size() > 32) throw config_error("the plan has more than 32 phases");
    for (std::size_t i = 0; i < phases.size(); ++i) {
        const phase& p = phases[i];
        const auto refuse = [&](std::string_view what, std::string_view fix) {
            throw config_error(explain("phase '" + std::string(p.name.view()) + "'", what, fix));
        };
        if (p.name.view().empty()) refuse("has no name", "give each phase one");
        if (p.name.view() == untouched) refuse("has the name of the model before any phase", "give it another");
        for (std::size_t j = 0; j < i; ++j)
            if (phases[j].name == p.name) refuse("appears twice", "names must differ");
        if (p.data == content::none) refuse("selects no data", "name at least one content");
        if (intersects(p.data, content::preferences)) {
            if (!p.compares()) refuse("learns from preferences and from other data", "give each a phase of its own");
            if (p.replays != 0) refuse("learns from preferences and replays a phase", "leave out the replay");
            if (p.label_smoothing >= 0.5)
                refuse("takes half of its preferences for mistaken", "lower the label smoothing");
        }
        for (std::size_t j = 0; j < i; ++j)
            if ((p.replays >> j & 1u) != 0 && phases[j].compares())
                refuse("replays preferences", "name phases that learn from answers");
        if (!(p.beta > 0.0 && p.beta < 1e4)) refuse("has a beta that is not above 0", "0.1 is usual");
        if ((p.replays >> i) != 0) refuse("replays itself or a later phase", "name earlier phases only");
        if (!(p.replay_ratio >= 0.0 && p.replay_ratio <= 1.0))
            refuse("has a replay ratio outside 0 to 1", "it is the share of the earlier samples");
        if (!p.replay_policy.view().empty() && !is_policy(p.replay_policy))
            refuse("has an unknown replay policy '" + std::string(p.replay_policy.view()) + "'",
                   "one of " + policy_names());
        if (!(p.learning_rate > 0.0 && p.learning_rate < 1e3))
            refuse("has a learning rate that is not above 0", "try 2e-5");
        if (p.batch_size == 0) refuse("has batch size 0", "use 1 or more samples per step");
        if (!(p.schedule_floor >= 0.0 && p.schedule_floor <= 1.0))
            refuse("has a schedule floor outside 0 to 1", "it is a share of the learning rate");
        if (!(p.stable_share >= 0.0 && p.stable_share < 1.0))
            refuse("has a stable share outside 0 to 1", "wsd must have some steps left to fall in");
        if (!(p.label_smoothing >= 0.0 && p.label_smoothing < 1.0))
            refuse("has a label smoothing outside 0 to 1", "0.1 is usual");
        if (!(p.router_loss >= 0.0 && p.router_loss < 1e4))
            refuse("has a router loss that is negative", "0.02 is usual");
        if (!(p.neftune_alpha >= 0.0 && p.neftune_alpha < 1e4))
            refuse("has a NEFTune alpha that is negative", "5 is usual");
        if (p.epochs == 0) refuse("has 0 epochs", "remove the phase instead");
        if (p.epochs > 100'000) refuse("has more than 100000 epochs", "a handful is usual");
    }
}

}  // namespace lab::replay
