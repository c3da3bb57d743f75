// What a run may choose about knowledge: whether facts are followed, which views of a document are asked about, who
// writes the questions.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "lab/core/error.hpp"

namespace lab::sdg {

/// A chunk as it is, or as the teacher puts it: summarised, as a list of facts, its main sentences copied, its spelling
/// corrected.
enum class document_view : std::uint8_t { original, summary, facts, extractive, corrected };

inline constexpr std::array<std::pair<document_view, std::string_view>, 5> view_names{
    {{document_view::original, "original"},
     {document_view::summary, "summary"},
     {document_view::facts, "facts"},
     {document_view::extractive, "extractive"},
     {document_view::corrected, "corrected"}}};
[[nodiscard]] constexpr std::string_view name_of(document_view v) noexcept {
    return view_names[static_cast<std::size_t>(v)].second;
}

/// Rules of grammar with a teacher that ranks and rewords, or the teacher alone.
enum class question_writer : std::uint8_t { automatic, rules, teacher };

inline constexpr std::array<std::pair<question_writer, std::string_view>, 3> writer_names{
    {{question_writer::automatic, "auto"}, {question_writer::rules, "rules"}, {question_writer::teacher, "teacher"}}};
[[nodiscard]] constexpr std::string_view name_of(question_writer w) noexcept {
    return writer_names[static_cast<std::size_t>(w)].second;
}

/// Views in the order in which they are asked about, each once at most.
class view_list {
public:
    view_list() = default;
    view_list(std::initializer_list<document_view> views) {
        for (const auto v : views) push_back(v);
    }
    /// Does nothing where the view is there already.
    void push_back(document_view v) {
        if (!contains(v)) kinds_[count_++] = v;
    }
    [[nodiscard]] bool contains(document_view v) const { return std::find(begin(), end(), v) != end(); }
    [[nodiscard]] const document_view* begin() const { return kinds_.data(); }
    [[nodiscard]] const document_view* end() const { return kinds_.data() + count_; }
    [[nodiscard]] std::size_t size() const { return count_; }
    friend bool operator==(const view_list& a, const view_list& b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end());
    }

private:
    std::array<document_view, view_names.size()> kinds_{};
    std::size_t count_ = 0;
};

struct knowledge_options {
    bool thorough = false;  // facts are listed and followed, answers cited, claims checked one by one
    view_list views{document_view::original};
    question_writer writer = question_writer::rules;  // automatic: the teacher, where the seeds show that it can
    std::size_t examples = 3;                         // seeds shown to a teacher that writes
    bool record_judges = false;                       // ask judges that are not trusted too; they refuse nothing
    friend bool operator==(const knowledge_options&, const knowledge_options&) = default;
};

/// Views, a teacher that writes and judges that are recorded come with thoroughness, asked for or not.
[[nodiscard]] inline bool is_thorough(const knowledge_options& o) {
    return o.thorough || o.record_judges || o.writer != question_writer::rules ||
           o.views != view_list{document_view::original};
}

namespace detail {
template <class Kind, std::size_t N>
[[nodiscard]] Kind named(std::string_view name, const std::array<std::pair<Kind, std::string_view>, N>& names,
                         std::string_view what) {
    std::string known;
    for (const auto& [kind, text] : names) {
        if (text == name) return kind;
        known.append(known.empty() ? "" : ", ").append(text);
    }
    throw config_error(explain(what, "'" + std::string(name) + "' is not known", "known are: " + known));
}
}  // namespace detail

/// "rules" to its kind. @throws config_error naming the known ones
[[nodiscard]] inline question_writer writer_from(std::string_view name) {
    return detail::named(name, writer_names, "questions");
}
/// "original,summary" to a list. @throws config_error naming the known ones, also for an empty or repeated name
[[nodiscard]] inline view_list views_from(std::string_view list) {
    view_list views;
    for (;;) {
        const auto comma = list.find(',');
        const document_view v = detail::named(list.substr(0, comma), view_names, "views");
        if (views.contains(v))
            throw config_error(explain("views", "'" + std::string(name_of(v)) + "' stands there twice"));
        views.push_back(v);
        if (comma == list.npos) return views;
        list.remove_prefix(comma + 1);
    }
}

}  // namespace lab::sdg
