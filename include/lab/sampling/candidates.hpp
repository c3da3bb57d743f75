// The tokens that may come next, with their logits: what samplers narrow down and reshape.
// Kept in one of two canonical orders (by id, or by falling logit with the lower id first), so that every result is a
// function of the logits alone. Logits of minus infinity stand for removed tokens; NaN counts as removed, and infinity
// as the largest float, so that the difference of a logit and the largest one is a number.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/token.hpp"

namespace lab::sampling {

inline constexpr float removed_logit = -std::numeric_limits<float>::infinity();

/// exp(x) for x <= 0, relative error below 3e-7, 0 below -87 and for NaN. Own code: it vectorises, and gives the same
/// bits wherever contraction is off, whatever the C library. Range reduction to |r| <= ln2/2, then the Taylor series to
/// degree 7.
[[nodiscard]] inline float exp_nonpositive(float x) noexcept {
    const float clamped = x >= -87.0f ? x : -87.0f;
    const float n = (clamped * 1.44269504f + 12582912.0f) - 12582912.0f;  // adding 1.5 * 2^23 rounds to an integer
    const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;    // ln 2 in two parts
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const float scale = std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
    return x >= -87.0f ? p * scale : 0.0f;
}

struct candidate {
    token id;
    float logit;
    friend bool operator==(const candidate&, const candidate&) = default;
};

/// Falling logit, lower id first among equals.
[[nodiscard]] inline bool likelier(const candidate& a, const candidate& b) noexcept {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

class candidates {
public:
    candidates() = default;
    explicit candidates(std::span<const float> logits) { assign(logits); }

    /// Every token of the vocabulary. logits: [vocabulary]. Reuses the memory of the step before.
    void assign(std::span<const float> logits) {
        items_.resize(logits.size());
        for (std::size_t i = 0; i < logits.size(); ++i) items_[i] = {static_cast<token>(i), tamed(logits[i])};
        order_ = order::by_id;
    }

    [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
    [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
    [[nodiscard]] const candidate& operator[](std::size_t i) const noexcept { return items_[i]; }
    [[nodiscard]] std::span<const candidate> items() const noexcept { return items_; }
    [[nodiscard]] auto begin() const noexcept { return items_.begin(); }
    [[nodiscard]] auto end() const noexcept { return items_.end(); }
    [[nodiscard]] bool is_sorted() const noexcept { return order_ == order::by_logit; }

    /// The logit of a token; minus infinity when it is not a candidate.
    [[nodiscard]] float logit(token id) const noexcept {
        const std::size_t i = find(id);
        return i < size() ? items_[i].logit : removed_logit;
    }
    [[nodiscard]] bool contains(token id) const noexcept { return logit(id) > removed_logit; }

    /// Sets one token's logit; nothing happens when it is not a candidate.
    void set_logit(token id, float value) noexcept {
        const std::size_t i = find(id);
        if (i == size()) return;
        items_[i].logit = tamed(value);
        if (order_ == order::by_logit) order_ = order::none;
    }
    void remove(token id) noexcept { set_logit(id, removed_logit); }

    /// Calls f(candidate&) on each; a change of logits that may change their order must say so by keeps_order = false.
    template <class F>
    void transform(F f, bool keeps_order) {
        for (auto& c : items_) {
            f(c);
            c.logit = tamed(c.logit);
        }
        if (!keeps_order && order_ == order::by_logit) order_ = order::none;
    }
    /// Keeps the candidates for which keep(candidate) holds; the order stays.
    template <class F>
    void keep_if(F keep) {
        std::erase_if(items_, [&](const candidate& c) { return !keep(c); });
    }
    /// Keeps the given tokens only. ids: ascending, unique; those that are no candidates are ignored.
    void keep_ids(std::span<const token> ids) {
        if (order_ == order::by_id) {
            std::size_t kept = 0, at = 0;
            for (const token id : ids) {
                // Dense ids (a fresh vocabulary) are found at once, others by search in what is left.
                const auto guess = static_cast<std::size_t>(id);
                if (guess >= at && guess < size() && items_[guess].id == id) {
                    at = guess;
                } else {
                    const auto from = items_.begin() + static_cast<std::ptrdiff_t>(at);
                    at = static_cast<std::size_t>(
                        std::lower_bound(from, items_.end(), id, [](const candidate& c, token t) { return c.id < t; }) -
                        items_.begin());
                    if (at == size()) break;
                    if (items_[at].id != id) continue;
                }
                items_[kept++] = items_[at++];
            }
            items_.resize(kept);
        } else {
            keep_if([&](const candidate& c) { return std::binary_search(ids.begin(), ids.end(), c.id); });
        }
    }
    /// Leaves the tokens whose bits are set. Where most of a whole vocabulary stay, the others are marked as removed
    /// instead of dropped, which costs less. count: of the bits that are set.
    void keep_bits(std::span<const std::uint64_t> bits, std::size_t count) {
        const auto whole = order_ == order::by_id && !empty() && items_.back().id == static_cast<token>(size()) - 1;
        if (!whole || bits.size() * 64 < size()) {
            keep_if([&](const candidate& c) {
                const auto i = static_cast<std::size_t>(c.id);
                return i / 64 < bits.size() && ((bits[i / 64] >> (i % 64)) & 1) != 0;
            });
            return;
        }
        const bool drop = count < size() / 2;
        std::size_t kept = 0;
        for (std::size_t base = 0; base < size(); base += 64) {
            const std::uint64_t inside =
                size() - base >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << (size() - base)) - 1;
            const std::uint64_t word = bits[base / 64];
            for (std::uint64_t rest = (drop ? word : ~word) & inside; rest != 0; rest &= rest - 1) {
                auto& item = items_[base + static_cast<std::size_t>(std::countr_zero(rest))];
                if (drop)
                    items_[kept++] = item;
                else
                    item.logit = removed_logit;
            }
        }
        if (drop) items_.resize(kept);
    }
    void drop_removed() {
        keep_if([](const candidate& c) { return c.logit > removed_logit; });
    }

    /// Keeps the first n of the current order.
    void truncate(std::size_t n) {
        if (n < size()) items_.resize(n);
    }
    /// Orders by falling logit.
    void sort() {
        if (order_ != order::by_logit) std::sort(items_.begin(), items_.end(), likelier);
        order_ = order::by_logit;
    }
    /// Keeps the k likeliest, ordered.
    void keep_top(std::size_t k) {
        if (k < size() && order_ != order::by_logit) {
            const auto middle = items_.begin() + static_cast<std::ptrdiff_t>(k);
            if (k < 512) {  // a heap of k: nearly always one comparison for each candidate
                std::partial_sort(items_.begin(), middle, items_.end(), likelier);
                order_ = order::by_logit;
            } else {
                std::nth_element(items_.begin(), middle, items_.end(), likelier);
                order_ = order::none;
            }
        }
        truncate(k);
        sort();
    }
    /// Takes candidates by rising key(candidate) >= 0 (lower id first among equals) until their weight reaches `wanted`
    /// (exceeds it, if `beyond`) and at least min_keep are taken; drops the rest. Needs weigh() before. The order
    /// stays. O(size): keys are counted into buckets, and only the bucket in which the limit falls is sorted.
    template <class Key>
    void keep_mass(Key key, double wanted, bool beyond, std::size_t min_keep) {
        constexpr std::size_t buckets = 2048;
        constexpr double per_unit = 32.0;  // keys are in nats; the last bucket takes all from 64 nats on
        const auto bucket_of = [](double k) {
            return k < (buckets - 1) / per_unit ? static_cast<std::size_t>(k * per_unit) : buckets - 1;
        };
        std::vector<double> mass(buckets);
        std::vector<std::size_t> count(buckets);
        for (std::size_t i = 0; i < size(); ++i) {
            const std::size_t b = bucket_of(key(items_[i]));
            mass[b] += static_cast<double>(weights_[i]);
            ++count[b];
        }
        const auto enough = [&](double sum, std::size_t taken) {
            return taken >= std::max<std::size_t>(min_keep, 1) && (beyond ? sum > wanted : sum >= wanted);
        };
        double sum = 0.0;
        std::size_t limit = 0, taken = 0;
        while (limit < buckets && !enough(sum + mass[limit], taken + count[limit])) {
            sum += mass[limit];
            taken += count[limit++];
        }
        if (limit == buckets) return;  // rounding: all together do not reach the limit
        struct entry {
            double key;
            candidate item;
            float weight;
        };
        std::vector<entry> last;
        for (std::size_t i = 0; i < size(); ++i)
            if (const double k = key(items_[i]); bucket_of(k) == limit) last.push_back({k, items_[i], weights_[i]});
        const auto before = [](const entry& x, const entry& y) {
            return x.key < y.key || (x.key == y.key && x.item.id < y.item.id);
        };
        std::sort(last.begin(), last.end(), before);
        std::size_t n = 0;
        do sum += static_cast<double>(last[n++].weight);
        while (n < last.size() && !enough(sum, taken + n));
        const entry final = last[n - 1];
        keep_if([&](const candidate& c) {
            const double k = key(c);
            return k < final.key || (k == final.key && c.id <= final.item.id);
        });
    }

    /// The likeliest candidate, lowest id first among equals. @throws config_error when none is left.
    [[nodiscard]] candidate best() const {
        const auto it = std::min_element(items_.begin(), items_.end(), likelier);
        if (it == items_.end() || !(it->logit > removed_logit)) throw config_error("no token is left to choose from");
        return *it;
    }

    /// The largest logit; minus infinity when none is left. In lanes, as weights are summed: cheaper than `best`.
    [[nodiscard]] float largest() const noexcept {
        std::array<float, 8> lanes;
        lanes.fill(removed_logit);
        std::size_t i = 0;
        for (; i + 8 <= size(); i += 8)
            for (std::size_t j = 0; j < 8; ++j) lanes[j] = std::max(lanes[j], items_[i + j].logit);
        for (std::size_t j = 0; i < size(); ++i, ++j) lanes[j] = std::max(lanes[j], items_[i].logit);
        return *std::max_element(lanes.begin(), lanes.end());
    }

    /// Computes exp(logit - max) of every candidate and returns the sum, added in a fixed order.
    double weigh(float max) {
        weights_.resize(size());
        for (std::size_t i = 0; i < size(); ++i) weights_[i] = exp_nonpositive(items_[i].logit - max);
        double total = 0.0;
        for (std::size_t i = 0; i < size(); i += block) total += block_weight(i);
        return total;
    }
    /// What weigh() computed, in the candidates' order.
    [[nodiscard]] std::span<const float> weights() const noexcept { return weights_; }
    /// The candidate at which the running sum of weights first exceeds `wanted`; the last with any weight if none does.
    [[nodiscard]] const candidate& at_weight(double wanted) const {
        double sum = 0.0;
        std::size_t i = 0;
        for (double next = 0.0; i < size(); i += block, sum = next)
            if ((next = sum + block_weight(i)) > wanted) break;
        for (; i < size(); ++i)
            if ((sum += static_cast<double>(weights_[i])) > wanted && weights_[i] > 0.0f) return items_[i];
        i = size();  // rounding, or wanted is beyond the total
        while (i > 1 && !(weights_[i - 1] > 0.0f)) --i;
        return items_[i - 1];
    }
    /// Softmax over the candidates, in their order.
    [[nodiscard]] std::vector<double> probabilities() {
        const double total = weigh(best().logit);
        std::vector<double> p(size());
        for (std::size_t i = 0; i < size(); ++i) p[i] = static_cast<double>(weights_[i]) / total;
        return p;
    }
    /// Brings the candidates into one of the two canonical orders, where an operation left none.
    void settle() {
        if (order_ == order::none) sort();
    }

private:
    enum class order : std::uint8_t { by_id, by_logit, none };

    [[nodiscard]] static float tamed(float x) noexcept {
        return x == x ? std::min(x, std::numeric_limits<float>::max()) : removed_logit;
    }
    [[nodiscard]] std::size_t find(token id) const noexcept {
        const auto guess = static_cast<std::size_t>(id);
        if (guess < size() && items_[guess].id == id) return guess;
        if (order_ == order::by_id) {
            const auto it = std::lower_bound(items_.begin(), items_.end(), id,
                                             [](const candidate& c, token t) { return c.id < t; });
            return it != items_.end() && it->id == id ? static_cast<std::size_t>(it - items_.begin()) : size();
        }
        return static_cast<std::size_t>(
            std::find_if(items_.begin(), items_.end(), [&](const candidate& c) { return c.id == id; }) -
            items_.begin());
    }

    static constexpr std::size_t block = 64;
    /// Sum of the weights from i on, of one block, in eight lanes: the compiler may vectorise without reordering.
    [[nodiscard]] double block_weight(std::size_t i) const noexcept {
        std::array<double, 8> lanes{};
        const std::size_t end = std::min(size(), i + block);
        for (; i + 8 <= end; i += 8)
            for (std::size_t j = 0; j < 8; ++j) lanes[j] += static_cast<double>(weights_[i + j]);
        for (std::size_t j = 0; i < end; ++i, ++j) lanes[j] += static_cast<double>(weights_[i]);
        return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
    }

    std::vector<candidate> items_;
    std::vector<float> weights_;
    order order_ = order::by_id;
};

}  // namespace lab::sampling
