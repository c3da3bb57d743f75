// Replay buffers: which of the earlier phases' samples are mixed into a later phase's epoch. A buffer is any type with
// `draw(items, count, epoch)`; `reservoir` draws evenly over samples, `stratified` evenly over leaves and in rotation,
// `full` all; `any_buffer` erases the type. Draws are pure functions of (seed, epoch, items): nothing is stored, so
// resuming needs no buffer state.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"

namespace lab::replay {

/// One earlier sample as a buffer sees it.
struct replay_item {
    std::size_t sample = 0;  // index into the run's samples
    std::string_view leaf;
    std::size_t tokens = 0;
};

/// `draw` chooses about `count` of `items` to be mixed into the given epoch (from 0): positions in `items`, ascending
/// and without repeats.
template <class B>
concept ReplayBuffer = requires(const B& buffer, std::span<const replay_item> items, std::size_t count,
                                std::uint64_t epoch) {
    { buffer.draw(items, count, epoch) } -> std::same_as<std::vector<std::size_t>>;
};

/// How many of `count` samples a ratio stands for: the nearest number, at least one unless the ratio is 0.
[[nodiscard]] inline std::size_t replay_count(std::size_t count, double ratio) {
    if (!(ratio >= 0.0 && ratio <= 1.0))
        throw config_error("replay ratio " + std::to_string(ratio) +
                           " is not between 0 and 1 (it is the share of the earlier samples)");
    if (count == 0 || ratio == 0.0) return 0;
    const auto n = static_cast<std::size_t>(std::llround(ratio * static_cast<double>(count)));
    return std::clamp<std::size_t>(n, 1, count);
}

/// What a ratio is a share of. Long samples weigh more by tokens, as they do in the loss.
enum class replay_measure : std::uint8_t { samples, tokens };
inline constexpr std::array<std::pair<std::string_view, replay_measure>, 2> replay_measure_names{
    {{"samples", replay_measure::samples}, {"tokens", replay_measure::tokens}}};

/// The buffer's draw of that share of `items`, at least one. By tokens it is the draw that comes nearest among those of
/// about as many samples as a search by halves finds: whole samples seldom make up a share, and larger draws need not
/// hold the smaller ones.
template <ReplayBuffer B>
[[nodiscard]] std::vector<std::size_t> draw_share(const B& buffer, std::span<const replay_item> items, double ratio,
                                                  replay_measure by, std::uint64_t epoch) {
    const std::size_t count = replay_count(items.size(), ratio);
    if (by == replay_measure::samples || count == 0) return buffer.draw(items, count, epoch);
    const auto tokens_of = [&](const std::vector<std::size_t>& drawn) {
        double sum = 0;
        for (const std::size_t i : drawn) sum += static_cast<double>(items[i].tokens);
        return sum;
    };
    double wanted = 0;
    for (const auto& item : items) wanted += ratio * static_cast<double>(item.tokens);
    std::size_t least = 1, most = items.size();
    while (least < most) {
        const std::size_t middle = least + (most - least) / 2;
        if (tokens_of(buffer.draw(items, middle, epoch)) < wanted)
            least = middle + 1;
        else
            most = middle;
    }
    constexpr std::size_t near = 8;
    std::vector<std::size_t> best;
    for (std::size_t n = least - std::min(least - 1, near); n <= std::min(least + near, items.size()); ++n) {
        auto drawn = buffer.draw(items, n, epoch);
        if (best.empty() || std::abs(tokens_of(drawn) - wanted) < std::abs(tokens_of(best) - wanted))
            best = std::move(drawn);
    }
    return best;
}

/// Algorithm R (Vitter 1985): a uniform sample without replacement, drawn anew for each epoch.
struct reservoir {
    static constexpr std::string_view name = "reservoir";
    std::uint64_t seed = 0;

    [[nodiscard]] std::vector<std::size_t> draw(std::span<const replay_item> items, std::size_t count,
                                                std::uint64_t epoch) const {
        std::vector<std::size_t> kept(std::min(count, items.size()));
        std::iota(kept.begin(), kept.end(), std::size_t{0});
        if (kept.empty()) return kept;
        counter_rng rng(seed, hash64("reservoir") + epoch);
        for (std::size_t i = kept.size(); i < items.size(); ++i)
            if (const auto slot = static_cast<std::size_t>(rng.below(i + 1)); slot < kept.size()) kept[slot] = i;
        std::sort(kept.begin(), kept.end());
        return kept;
    }
};

/// The same number from every leaf, so that small leaves are not forgotten; what a small leaf cannot give goes to the
/// others. Each leaf is shuffled once and read in rotation: with leaves of one size, a third of the samples per epoch
/// brings every sample back once in three epochs.
struct stratified {
    static constexpr std::string_view name = "stratified";
    std::uint64_t seed = 0;

    [[nodiscard]] std::vector<std::size_t> draw(std::span<const replay_item> items, std::size_t count,
                                                std::uint64_t epoch) const {
        std::map<std::string_view, std::vector<std::size_t>> leaves;  // ordered: the result must not depend on hashing
        for (std::size_t i = 0; i < items.size(); ++i) leaves[items[i].leaf].push_back(i);
        std::vector<std::vector<std::size_t>*> order;
        for (auto& [leaf, members] : leaves) {
            counter_rng rng(seed, hash64(leaf, hash64("stratified")));
            shuffle(members, rng);
            order.push_back(&members);
        }
        std::vector<std::size_t> drawn;
        const auto quotas = share(order, std::min(count, items.size()), epoch);
        for (std::size_t l = 0; l < order.size(); ++l) {
            const auto& members = *order[l];
            for (std::size_t k = 0; k < quotas[l]; ++k)
                drawn.push_back(members[(static_cast<std::size_t>(epoch) * quotas[l] + k) % members.size()]);
        }
        std::sort(drawn.begin(), drawn.end());
        return drawn;
    }

private:
    /// Fills leaves level by level: each gets total / leaves, capped by its size; the odd ones out rotate with the
    /// epoch.
    [[nodiscard]] static std::vector<std::size_t> share(const std::vector<std::vector<std::size_t>*>& leaves,
                                                        std::size_t total, std::uint64_t epoch) {
        std::vector<std::size_t> quota(leaves.size(), 0);
        while (total > 0) {
            std::size_t open = 0;
            for (std::size_t l = 0; l < leaves.size(); ++l) open += quota[l] < leaves[l]->size();
            const std::size_t each = total / open;
            if (each == 0) break;
            for (std::size_t l = 0; l < leaves.size(); ++l) {
                const std::size_t more = std::min(each, leaves[l]->size() - quota[l]);
                quota[l] += more;
                total -= more;
            }
        }
        for (std::size_t i = 0; total > 0; ++i) {
            const std::size_t l = (i + static_cast<std::size_t>(epoch)) % leaves.size();
            if (quota[l] < leaves[l]->size()) ++quota[l], --total;
        }
        return quota;
    }
};

/// Everything in every epoch, whatever the ratio, unless that is 0.
struct full {
    static constexpr std::string_view name = "full";

    [[nodiscard]] std::vector<std::size_t> draw(std::span<const replay_item> items, std::size_t count,
                                                std::uint64_t) const {
        std::vector<std::size_t> all(count == 0 ? 0 : items.size());
        std::iota(all.begin(), all.end(), std::size_t{0});
        return all;
    }
};

/// What a buffer is called, its own `name` or "custom".
template <ReplayBuffer B>
[[nodiscard]] std::string policy_of(const B& buffer) {
    if constexpr (requires { buffer.name(); })
        return buffer.name();
    else if constexpr (requires { B::name; })
        return std::string(B::name);
    else
        return "custom";
}

/// Any buffer, owned. A type with a `name` is told apart from others by it.
class any_buffer {
public:
    template <ReplayBuffer B>
    requires(!std::same_as<B, any_buffer>) any_buffer(B buffer)
        : name_(policy_of(buffer)), draw_([buffer = std::move(buffer)](auto items, auto count, auto epoch) {
              return buffer.draw(items, count, epoch);
          }) {}
    [[nodiscard]] std::vector<std::size_t> draw(std::span<const replay_item> items, std::size_t count,
                                                std::uint64_t epoch) const {
        return draw_(items, count, epoch);
    }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
    std::string name_;
    std::function<std::vector<std::size_t>(std::span<const replay_item>, std::size_t, std::uint64_t)> draw_;
};

/// The buffers that a phase file and `--replay-policy` name.
struct replay_policy {
    std::string_view name;
    any_buffer (*make)(std::uint64_t seed);
};
inline constexpr std::array replay_policies{
    replay_policy{stratified::name, [](std::uint64_t seed) -> any_buffer { return stratified{.seed = seed}; }},
    replay_policy{reservoir::name, [](std::uint64_t seed) -> any_buffer { return reservoir{.seed = seed}; }},
    replay_policy{full::name, [](std::uint64_t) -> any_buffer { return full{}; }},
};
[[nodiscard]] inline std::string policy_names() {
    std::string names;
    for (const auto& policy : replay_policies) names.append(names.empty() ? "" : ", ").append(policy.name);
    return names;
}
[[nodiscard]] inline bool is_policy(std::string_view name) {
    return std::ranges::find(replay_policies, name, &replay_policy::name) != replay_policies.end();
}
/// The buffer called `name`. @throws config_error listing the known ones.
[[nodiscard]] inline any_buffer buffer_by_name(std::string_view name, std::uint64_t seed) {
    for (const auto& policy : replay_policies)
        if (policy.name == name) return policy.make(seed);
    throw config_error(explain("replay policy '" + std::string(name) + "'", "unknown", "one of " + policy_names()));
}

}  // namespace lab::replay
