// A plan bound to a data set: for each phase its own samples, and for each of its epochs the order of own and replayed
// samples. Pure function of (samples, phases, seed): a resumed run asks again and gets the same answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "lab/replay/buffer.hpp"
#include "lab/replay/packing.hpp"
#include "lab/replay/phase.hpp"
#include "lab/replay/sample.hpp"

namespace lab::replay {

/// One phase with the samples it will see. A phase without samples of its own has nothing to teach and is skipped.
struct phase_plan {
    phase options;
    std::vector<std::size_t> own;      // indices into the run's samples
    std::vector<replay_item> earlier;  // what it may replay
    [[nodiscard]] bool skipped() const noexcept { return own.empty(); }
};

/// Gives every phase the samples whose content it names, by its own threshold between short and long or by `buckets`;
/// what it replays, from earlier phases and of the general samples, excludes what it trains on anyway.
/// @throws config_error for an impossible plan, or where no phase finds a sample.
template <class Samples>
[[nodiscard]] std::vector<phase_plan> bind_phases(const Samples& samples, std::span<const phase> phases,
                                                  length_buckets buckets = {}) {
    check_phases(phases);
    std::vector<phase_plan> plans;
    for (const phase& p : phases) {
        phase_plan plan{.options = p, .own = {}, .earlier = {}};
        const length_buckets bucket_of = buckets.of(p);
        for (std::size_t i = 0; i < samples.size(); ++i)
            if (intersects(p.data, bucket_of(samples[i]))) plan.own.push_back(i);
        const std::set<std::size_t> mine(plan.own.begin(), plan.own.end());
        std::set<std::size_t> replayed;
        for (std::size_t j = 0; j < plans.size(); ++j)
            if ((p.replays >> j & 1u) != 0)
                for (const std::size_t i : plans[j].own)
                    if (!mine.contains(i)) replayed.insert(i);
        for (std::size_t i = 0; i < samples.size() && p.replay_ratio > 0 && !p.compares(); ++i)
            if (bucket_of(samples[i]) == content::general && !mine.contains(i)) replayed.insert(i);
        for (const std::size_t i : replayed) plan.earlier.push_back({i, samples[i].leaf, samples[i].tokens.size()});
        plans.push_back(std::move(plan));
    }
    bool any = false;
    for (const phase_plan& plan : plans) any |= !plan.skipped();
    if (!any)
        throw config_error("no phase of the plan finds a sample among " + std::to_string(samples.size()) +
                           " (check the samples' kinds, or use the plan 'stacked')");
    return plans;
}

/// The samples of one epoch in training order: the phase's own and the draw of the buffer, or of the phase's own
/// policy, shuffled together.
template <ReplayBuffer Buffer>
[[nodiscard]] std::vector<std::size_t> epoch_samples(const phase_plan& plan, const Buffer& buffer, std::uint64_t seed,
                                                     std::uint64_t phase_index, std::uint64_t epoch) {
    std::vector<std::size_t> pool = plan.own;
    const phase& p = plan.options;
    const auto drawn =
        p.replay_policy.view().empty()
            ? draw_share(buffer, plan.earlier, p.replay_ratio, p.replay_by, epoch)
            : draw_share(buffer_by_name(p.replay_policy, seed), plan.earlier, p.replay_ratio, p.replay_by, epoch);
    for (const std::size_t i : drawn) pool.push_back(plan.earlier[i].sample);
    std::vector<std::size_t> ordered;
    ordered.reserve(pool.size());
    for (const std::size_t i : epoch_order(pool.size(), seed, phase_index, epoch)) ordered.push_back(pool[i]);
    return ordered;
}

}  // namespace lab::replay
