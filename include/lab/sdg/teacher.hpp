// A teacher answers batches of requests and, where it can, says how likely a given answer is. Models of the concept:
// scripted_teacher (here, for tests), http_teacher (http_teacher.hpp), the in-process one (infer/teacher.hpp).
// Holds no model code; any_teacher erases the type.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/function_ref.hpp"
#include "lab/text/request.hpp"

namespace lab::sdg {

/// This request cannot be answered as it is (too long for the context, against the server's rules); others can.
struct request_refused : io_error {
    using io_error::io_error;
};

/// Answers come back in the order of the requests; the same request gives the same answer (as far as the engine behind
/// it can promise that). `identity` names model and engine; it is part of the journal's keys, so it must not hold
/// addresses.
/// @throws request_refused, and the requests beside it are answered; io_error when the teacher cannot be reached.
template <class T>
concept teacher = requires(T& t, const T& c, std::span<const text::request> requests,
                           std::span<const text::score_request> scores) {
    { t.complete(requests) } -> std::same_as<std::vector<text::completion>>;
    { t.score(scores) } -> std::same_as<std::vector<text::score>>;
    { c.identity() } -> std::convertible_to<std::string>;
};

using completion_sink = function_ref<void(std::size_t, const text::completion&)>;
using score_sink = function_ref<void(std::size_t, const text::score&)>;

/// Whether `score` works; a teacher that does not say can.
template <teacher T>
[[nodiscard]] bool can_score(const T& t) {
    if constexpr (requires {
                      { t.can_score() } -> std::convertible_to<bool>;
                  })
        return t.can_score();
    return true;
}

/// Whether it takes `raw` requests, prompts that no chat format is put around; a teacher that does not say cannot.
template <teacher T>
[[nodiscard]] bool takes_raw(const T& t) {
    if constexpr (requires {
                      { t.takes_raw() } -> std::convertible_to<bool>;
                  })
        return t.takes_raw();
    return false;
}

/// What the teacher could not do as asked (a constraint it cannot enforce), one sentence each, for the manifest.
template <teacher T>
[[nodiscard]] std::vector<std::string> notes_of(const T& t) {
    if constexpr (requires {
                      { t.notes() } -> std::convertible_to<std::vector<std::string>>;
                  })
        return t.notes();
    return {};
}

/// Hands over each completion as soon as it is there (any order, one call at a time), so that a failure half-way loses
/// nothing. Teachers without `complete_each` deliver when the batch is done.
template <teacher T>
void complete_each(T& t, std::span<const text::request> requests, completion_sink sink) {
    if constexpr (requires { t.complete_each(requests, sink); }) {
        t.complete_each(requests, sink);
    } else {
        const auto answers = t.complete(requests);
        if (answers.size() != requests.size()) throw error("teacher: as many completions as requests are needed");
        for (std::size_t i = 0; i < answers.size(); ++i) sink(i, answers[i]);
    }
}
template <teacher T>
void score_each(T& t, std::span<const text::score_request> requests, score_sink sink) {
    if constexpr (requires { t.score_each(requests, sink); }) {
        t.score_each(requests, sink);
    } else {
        const auto answers = t.score(requests);
        if (answers.size() != requests.size()) throw error("teacher: as many scores as requests are needed");
        for (std::size_t i = 0; i < answers.size(); ++i) sink(i, answers[i]);
    }
}

/// Any teacher, owned.
class any_teacher {
public:
    template <class T>
    requires(!std::same_as<std::remove_cvref_t<T>, any_teacher> &&
             teacher<std::remove_cvref_t<T>>) explicit any_teacher(T t)
        : self_(std::make_unique<model<T>>(std::make_unique<T>(std::move(t)))) {}
    template <teacher T>
    explicit any_teacher(std::unique_ptr<T> t) : self_(std::make_unique<model<T>>(std::move(t))) {}

    [[nodiscard]] std::vector<text::completion> complete(std::span<const text::request> requests) {
        std::vector<text::completion> answers(requests.size());
        self_->complete_each(requests, [&](std::size_t i, const text::completion& c) { answers[i] = c; });
        return answers;
    }
    [[nodiscard]] std::vector<text::score> score(std::span<const text::score_request> requests) {
        std::vector<text::score> answers(requests.size());
        self_->score_each(requests, [&](std::size_t i, const text::score& s) { answers[i] = s; });
        return answers;
    }
    void complete_each(std::span<const text::request> requests, completion_sink sink) {
        self_->complete_each(requests, sink);
    }
    void score_each(std::span<const text::score_request> requests, score_sink sink) {
        self_->score_each(requests, sink);
    }
    [[nodiscard]] std::string identity() const { return self_->identity(); }
    [[nodiscard]] bool can_score() const { return self_->can_score(); }
    [[nodiscard]] bool takes_raw() const { return self_->takes_raw(); }
    [[nodiscard]] std::vector<std::string> notes() const { return self_->notes(); }

private:
    struct concept_ {
        virtual ~concept_() = default;
        virtual void complete_each(std::span<const text::request>, completion_sink) = 0;
        virtual void score_each(std::span<const text::score_request>, score_sink) = 0;
        [[nodiscard]] virtual std::string identity() const = 0;
        [[nodiscard]] virtual bool can_score() const = 0;
        [[nodiscard]] virtual bool takes_raw() const = 0;
        [[nodiscard]] virtual std::vector<std::string> notes() const = 0;
    };
    template <class T>
    struct model final : concept_ {
        explicit model(std::unique_ptr<T> t) : teacher_(std::move(t)) {}
        void complete_each(std::span<const text::request> r, completion_sink s) override {
            sdg::complete_each(*teacher_, r, s);
        }
        void score_each(std::span<const text::score_request> r, score_sink s) override {
            sdg::score_each(*teacher_, r, s);
        }
        std::string identity() const override { return std::as_const(*teacher_).identity(); }
        bool can_score() const override { return sdg::can_score(*teacher_); }
        bool takes_raw() const override { return sdg::takes_raw(*teacher_); }
        std::vector<std::string> notes() const override { return notes_of(*teacher_); }
        std::unique_ptr<T> teacher_;
    };
    std::unique_ptr<concept_> self_;
};

/// A teacher whose answers are a function of the request: tests, and the smallest example of the concept.
class scripted_teacher {
public:
    using completer = std::function<text::completion(const text::request&)>;
    using scorer = std::function<text::score(const text::score_request&)>;

    explicit scripted_teacher(completer complete, scorer score = {}, std::string identity = "scripted")
        : complete_(std::move(complete)), score_(std::move(score)), identity_(std::move(identity)) {}

    [[nodiscard]] std::vector<text::completion> complete(std::span<const text::request> requests) {
        std::vector<text::completion> answers;
        for (const auto& r : requests) answers.push_back(complete_(r));
        return answers;
    }
    [[nodiscard]] std::vector<text::score> score(std::span<const text::score_request> requests) {
        if (!score_) throw config_error("scripted teacher: has no score function");
        std::vector<text::score> answers;
        for (const auto& r : requests) answers.push_back(score_(r));
        return answers;
    }
    [[nodiscard]] bool can_score() const { return static_cast<bool>(score_); }
    [[nodiscard]] static bool takes_raw() { return true; }
    [[nodiscard]] std::string identity() const { return identity_; }

private:
    completer complete_;
    scorer score_;
    std::string identity_;
};
static_assert(teacher<scripted_teacher> && teacher<any_teacher>);

}  // namespace lab::sdg
