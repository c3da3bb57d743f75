// What is wrong with a taxonomy file, and where: errors make a leaf unusable, warnings are advice.
// Lines and columns count from 1; a column counts characters, not bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"

namespace lab::taxonomy {

struct position {
    std::size_t line = 1, column = 1;
    friend bool operator==(const position&, const position&) = default;
};

enum class severity_level { warning, error };

[[nodiscard]] constexpr std::string_view name(severity_level level) noexcept {
    return level == severity_level::error ? "error" : "warning";
}

/// What a program may do about a problem by itself.
enum class mending { by_hand, quotes };

struct problem {
    std::string path;
    std::size_t line = 1, column = 1;
    severity_level severity = severity_level::error;
    std::string message;  ///< what is wrong and how to mend it
    mending mend = mending::by_hand;
};

/// "path:line:column: severity: message", as compilers write it and editors read it.
[[nodiscard]] inline std::string to_text(const problem& p) {
    return p.path + ":" + std::to_string(p.line) + ":" + std::to_string(p.column) + ": " +
           std::string(name(p.severity)) + ": " + p.message;
}

/// Gathers the problems of one file.
class problem_list {
public:
    explicit problem_list(std::string path) : path_(std::move(path)) {}

    void error(position at, std::string message, mending mend = mending::by_hand) {
        add(at, severity_level::error, std::move(message), mend);
    }
    void warning(position at, std::string message) {
        add(at, severity_level::warning, std::move(message), mending::by_hand);
    }

    [[nodiscard]] std::size_t errors() const noexcept { return errors_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] const std::vector<problem>& all() const noexcept { return problems_; }
    [[nodiscard]] std::vector<problem> take() && { return std::move(problems_); }

private:
    // A file of nothing but faults is not worth a report without end.
    static constexpr std::size_t most_ = 1000;
    void add(position at, severity_level level, std::string message, mending mend) {
        if (level == severity_level::error) ++errors_;
        if (problems_.size() == most_) return;
        if (problems_.size() + 1 == most_)
            message = "more than " + std::to_string(most_) + " problems: the rest is not shown";
        problems_.push_back({path_, at.line, at.column, level, std::move(message), mend});
    }

    std::string path_;
    std::vector<problem> problems_;
    std::size_t errors_ = 0;
};

/// Thrown by `load` when a file has errors and the caller did not ask to keep going; holds every problem of every file.
struct taxonomy_error : format_error {
    taxonomy_error(const std::string& what, std::vector<problem> list)
        : format_error(what), problems(std::move(list)) {}
    std::vector<problem> problems;
};

}  // namespace lab::taxonomy
