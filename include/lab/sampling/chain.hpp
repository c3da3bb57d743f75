// Samplers in a row. chain{...} fixes them at compile time; any_chain holds any chain behind one type; make_chain
// builds one from request options. The last element may be a selector (greedy, multinomial); without one,
// multinomial{0} draws.
#pragma once

#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "lab/core/error.hpp"
#include "lab/sampling/candidates.hpp"
#include "lab/sampling/samplers.hpp"
#include "lab/text/request.hpp"

namespace lab::sampling {

namespace detail {
template <class... S>
consteval bool samplers_then_selector() {
    bool fine = true;
    std::size_t i = 0;
    ((fine = fine && (Sampler<S> || (i + 1 == sizeof...(S) && Selector<S>)), ++i), ...);
    return fine;
}
template <class... S>
consteval bool ends_in_selector() {
    bool last = false;
    ((last = Selector<S>), ...);
    return last;
}
}  // namespace detail

/// What a chain offers on top of its own `apply` and `draw`.
template <class Chain>
class sampling_chain {
public:
    /// apply, then draw.
    [[nodiscard]] token pick(candidates& c, std::span<const token> history) const {
        const auto& self = static_cast<const Chain&>(*this);
        self.apply(c, history);
        return self.draw(c, history);
    }
    /// The next token for raw logits [vocabulary]. `scratch` keeps its memory between steps.
    [[nodiscard]] token sample(std::span<const float> logits, std::span<const token> history,
                               candidates& scratch) const {
        scratch.assign(logits);
        return pick(scratch, history);
    }
};

/// Every element is a Sampler, the last one a Sampler or a Selector.
template <class... S>
concept SamplersThenSelector = detail::samplers_then_selector<S...>();

template <class... S>
requires SamplersThenSelector<S...>
class chain : public sampling_chain<chain<S...>> {
public:
    explicit constexpr chain(S... samplers) : samplers_(std::move(samplers)...) {}

    /// Runs the samplers without drawing. This makes a chain a Sampler too: inside another chain only this part counts.
    void apply(candidates& c, std::span<const token> history) const {
        const auto one = [&]<class E>(const E& element) {
            if constexpr (Sampler<E>) element.apply(c, history);
        };
        std::apply([&](const auto&... each) { (one(each), ...); }, samplers_);
    }
    /// Draws from candidates that `apply` has been run on.
    [[nodiscard]] token draw(candidates& c, std::span<const token> history) const {
        if constexpr (detail::ends_in_selector<S...>())
            return std::get<sizeof...(S) - 1>(samplers_).select(c, history);
        else
            return multinomial{}.select(c, history);
    }

private:
    std::tuple<S...> samplers_;
};

/// Any chain, for choices made at run time. Copies share the chain, which has no state.
class any_chain : public sampling_chain<any_chain> {
public:
    template <class... S>
    any_chain(chain<S...> samplers)  // NOLINT: implicit
        : self_(std::make_shared<const model<chain<S...>>>(std::move(samplers))) {}

    void apply(candidates& c, std::span<const token> history) const { self_->apply(c, history); }
    [[nodiscard]] token draw(candidates& c, std::span<const token> history) const { return self_->draw(c, history); }

private:
    struct base {
        virtual ~base() = default;
        virtual void apply(candidates&, std::span<const token>) const = 0;
        virtual token draw(candidates&, std::span<const token>) const = 0;
    };
    template <class Chain>
    struct model final : base {
        explicit model(Chain c) : samplers(std::move(c)) {}
        void apply(candidates& c, std::span<const token> history) const override { samplers.apply(c, history); }
        token draw(candidates& c, std::span<const token> history) const override { return samplers.draw(c, history); }
        Chain samplers;
    };
    std::shared_ptr<const base> self_;
};

/// The chain that request options describe: repetition, top_k, top_p, min_p, temperature, multinomial{seed}; at
/// temperature 0 repetition and greedy. @throws config_error naming an option that is out of range.
[[nodiscard]] inline any_chain make_chain(const text::sampling_options& o) {
    const auto require = [](bool fine, const char* name, float value, const char* range) {
        if (!fine)
            throw config_error(std::string(name) + " is " + std::to_string(value) + " (it must be " + range + ")");
    };
    require(o.temperature >= 0.0f && std::isfinite(o.temperature), "temperature", o.temperature,
            "0 for greedy, or above");
    require(o.top_k >= 0, "top_k", static_cast<float>(o.top_k), "0 for off, or above");
    require(o.top_p > 0.0f && o.top_p <= 1.0f, "top_p", o.top_p, "above 0 and at most 1, which is off");
    require(o.min_p >= 0.0f && o.min_p <= 1.0f, "min_p", o.min_p, "0 for off, and at most 1");
    require(o.repetition_penalty > 0.0f && std::isfinite(o.repetition_penalty), "repetition_penalty",
            o.repetition_penalty, "above 0; 1 is off");
    const repetition penalty{.penalty = o.repetition_penalty};
    if (o.temperature == 0.0f) return chain{penalty, greedy{}};
    return chain{penalty,
                 top_k{o.top_k},
                 top_p{.p = o.top_p},
                 min_p{.p = o.min_p},
                 temperature{o.temperature},
                 multinomial{o.seed}};
}

}  // namespace lab::sampling
