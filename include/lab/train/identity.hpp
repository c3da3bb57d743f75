// What makes two training runs the same one, as a checksum: settings, plan, samples. The trainer adds to it the orders
// that follow from them and the weights that it begins with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lab/core/error.hpp"
#include "lab/core/token.hpp"
#include "lab/formats/json.hpp"
#include "lab/replay/phase_file.hpp"
#include "lab/replay/sample.hpp"
#include "lab/train/heldout.hpp"
#include "lab/train/trainer_options.hpp"
#include "lab/train/xxh64.hpp"

namespace lab::train {

/// @param update the optimizer's own description @param shards of a step's gradient
[[nodiscard]] inline xxh64 identity_of(const trainer_options& options, std::span<const replay::phase> phases,
                                       std::string_view update, const heldout_watch& watch, std::size_t shards,
                                       std::span<const replay::training_sample> samples) {
    xxh64 sum;
    sum.update(formats::to_text(replay::to_json(phases)));
    sum.update(update);
    sum.update(options.arithmetic);
    if (const auto more = further_settings(options); !more.is_null()) {
        sum.update(formats::to_text(more));
        for (const auto& batch : watch.all()) {
            sum.update_values(std::span<const token>(batch.tokens));
            sum.update_values(std::span<const token>(batch.targets));
        }
    }
    if (shards != 1) sum.update("shards " + std::to_string(shards));
    for (const std::uint64_t n :
         {options.seed, std::uint64_t{options.micro_batch_tokens}, std::uint64_t{samples.size()}})
        sum.update_values(std::span(&n, 1));
    for (const auto& s : samples) {
        sum.update(s.leaf);
        sum.update_values(std::span<const token>(s.tokens));
        sum.update_values(std::span<const std::uint8_t>(s.trained));
        if (s.chosen_tokens != 0) sum.update_values(std::span(&s.chosen_tokens, 1));
    }
    return sum;
}

/// @param state of a checkpoint that a run with this optimizer and fingerprint is to go on from
/// @throws config_error where it is another run's; format_error
inline void require_same_run(const formats::json& state, const std::string& update, const std::string& fingerprint,
                             const std::string& place) {
    const auto written_by = formats::field_or<std::string>(state, "optimizer", update, place);
    if (written_by != update)
        throw config_error(explain(place,
                                   "was written by the optimizer '" + written_by + "', this run's is '" + update + "'",
                                   "resume with the same optimizer and settings, or start afresh"));
    if (formats::field<std::string>(state, "fingerprint", place) != fingerprint)
        throw config_error(
            explain(place, "belongs to a run with another model, data, plan, seed, number of shards or the like",
                    "use those of that run, another output folder, or start afresh without resuming"));
}

}  // namespace lab::train
