// One server of a fleet (teacher_fleet.hpp): a single attempt at a request, without patience. What failed is told by
// kind, so that the fleet knows whether to wait, to ask another server or to give up. any_endpoint erases the type.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/text/request.hpp"

namespace lab::sdg {

/// An attempt that gave no answer.
struct server_fault : io_error {
    enum class kind : std::uint8_t {
        unreachable,  // nobody listens, the connection broke before an answer began
        busy,         // it asks for patience: 429, 503
        broken,       // it answered, and with nonsense: 500, garbage, half an answer, none in time
        final         // no retry can help: a wrong key, a wrong path, another model
    };
    server_fault(const std::string& text, kind k, std::optional<double> seconds = {})
        : io_error(text), what_kind(k), wait(seconds) {}
    kind what_kind;
    std::optional<double> wait;  // seconds that it asks for
};

/// A server. All but `look` are called from several threads at once.
/// `complete` gets requests that differ in their seeds alone, at most `seeds_at_once()`, and answers in their order.
/// @throws server_fault, request_refused; config_error for a request that no server could answer
template <class E>
concept endpoint = requires(E& e, const E& c, std::span<const text::request> requests, const text::score_request& s) {
    e.look();  // asks what it serves; called first, and again before it is used after an absence
    { e.complete(requests) } -> std::same_as<std::vector<text::completion>>;
    { e.score(s) } -> std::same_as<text::score>;
    { c.name() } -> std::convertible_to<std::string>;      // for people
    { c.identity() } -> std::convertible_to<std::string>;  // of model and engine, no address
    { c.can_score() } -> std::convertible_to<bool>;
    { c.seeds_at_once() } -> std::convertible_to<std::size_t>;
    { c.notes() } -> std::convertible_to<std::vector<std::string>>;
};

/// An endpoint that says how long its context is and how many tokens of it a prompt takes, with the chat format around
/// it and the opening of an answer; 0 where the server does not say. `prompt_tokens` throws as `complete` does.
template <class E>
concept measured_endpoint = endpoint<E> && requires(E& e, const text::messages& messages, const std::string& answer) {
    { e.context() } -> std::same_as<std::size_t>;
    { e.prompt_tokens(messages, answer) } -> std::same_as<std::size_t>;
};

/// Any endpoint, owned.
class any_endpoint {
public:
    template <endpoint E>
    explicit any_endpoint(std::unique_ptr<E> e) : self_(std::make_unique<model<E>>(std::move(e))) {}

    void look() { self_->look(); }
    [[nodiscard]] std::vector<text::completion> complete(std::span<const text::request> r) {
        return self_->complete(r);
    }
    [[nodiscard]] text::score score(const text::score_request& r) { return self_->score(r); }
    [[nodiscard]] std::string name() const { return self_->name(); }
    [[nodiscard]] std::string identity() const { return self_->identity(); }
    [[nodiscard]] bool can_score() const { return self_->can_score(); }
    [[nodiscard]] std::size_t seeds_at_once() const { return self_->seeds_at_once(); }
    [[nodiscard]] std::vector<std::string> notes() const { return self_->notes(); }
    [[nodiscard]] std::size_t context() const { return self_->context(); }
    [[nodiscard]] std::size_t prompt_tokens(const text::messages& messages, const std::string& answer) {
        return self_->prompt_tokens(messages, answer);
    }

private:
    struct concept_ {
        virtual ~concept_() = default;
        virtual void look() = 0;
        virtual std::vector<text::completion> complete(std::span<const text::request>) = 0;
        virtual text::score score(const text::score_request&) = 0;
        [[nodiscard]] virtual std::string name() const = 0;
        [[nodiscard]] virtual std::string identity() const = 0;
        [[nodiscard]] virtual bool can_score() const = 0;
        [[nodiscard]] virtual std::size_t seeds_at_once() const = 0;
        [[nodiscard]] virtual std::vector<std::string> notes() const = 0;
        [[nodiscard]] virtual std::size_t context() const = 0;
        [[nodiscard]] virtual std::size_t prompt_tokens(const text::messages&, const std::string& answer) = 0;
    };
    template <class E>
    struct model final : concept_ {
        explicit model(std::unique_ptr<E> e) : endpoint_(std::move(e)) {}
        void look() override { endpoint_->look(); }
        std::vector<text::completion> complete(std::span<const text::request> r) override {
            return endpoint_->complete(r);
        }
        text::score score(const text::score_request& r) override { return endpoint_->score(r); }
        std::string name() const override { return std::as_const(*endpoint_).name(); }
        std::string identity() const override { return std::as_const(*endpoint_).identity(); }
        bool can_score() const override { return std::as_const(*endpoint_).can_score(); }
        std::size_t seeds_at_once() const override { return std::as_const(*endpoint_).seeds_at_once(); }
        std::vector<std::string> notes() const override { return std::as_const(*endpoint_).notes(); }
        std::size_t context() const override {
            if constexpr (measured_endpoint<E>) return std::as_const(*endpoint_).context();
            return 0;
        }
        std::size_t prompt_tokens(const text::messages& messages, const std::string& answer) override {
            if constexpr (measured_endpoint<E>) return endpoint_->prompt_tokens(messages, answer);
            return 0;
        }
        std::unique_ptr<E> endpoint_;
    };
    std::unique_ptr<concept_> self_;
};

}  // namespace lab::sdg
