// Every answer of a teacher, kept as it arrives in an append-only JSON Lines file and keyed by SHA-256 of (teacher,
// kind, request). A run that was killed repeats no call: known requests are answered from the journal, in any order. A
// torn last line (kill -9, full disk) is cut off; damage elsewhere is refused with its line.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lab/core/sha256.hpp"
#include "lab/formats/jsonl.hpp"
#include "lab/sdg/request_json.hpp"
#include "lab/sdg/teacher.hpp"

namespace lab::sdg {

class journal {
public:
    explicit journal(std::filesystem::path path) : path_(std::move(path)), file_(path_) {
        formats::for_each_json_line(path_, [&](json line, std::size_t number) {
            if (!line.is_object() || !line.contains("key") || !line["key"].is_string() || !line.contains("answer"))
                throw format_error(explain(path_.string() + ":" + std::to_string(number), "is not a journal line",
                                           "delete the file to start afresh"));
            entries_[line["key"].get<std::string>()] = std::move(line["answer"]);
        });
    }
    [[nodiscard]] const json* find(const std::string& key) const {
        const auto at = entries_.find(key);
        return at == entries_.end() ? nullptr : &at->second;
    }
    void add(const std::string& key, json answer) {
        file_.append({{"key", key}, {"answer", answer}});
        entries_[key] = std::move(answer);
    }
    void sync() { file_.sync(); }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
    formats::jsonl_appender file_;
    std::unordered_map<std::string, json> entries_;
};

/// A teacher behind a journal.
template <teacher T>
class journaled {
public:
    journaled(T& inner, journal& log) : inner_(&inner), journal_(&log), identity_(inner.identity()) {}

    [[nodiscard]] std::vector<text::completion> complete(std::span<const text::request> requests) {
        return answer<text::completion>(
            requests, "complete", [](const json& j) { return completion_from_json(j); },
            [&](std::span<const text::request> missing, auto& sink) { complete_each(*inner_, missing, sink); });
    }
    [[nodiscard]] std::vector<text::score> score(std::span<const text::score_request> requests) {
        return answer<text::score>(
            requests, "score", [](const json& j) { return score_from_json(j); },
            [&](std::span<const text::score_request> missing, auto& sink) { score_each(*inner_, missing, sink); });
    }
    [[nodiscard]] std::string identity() const { return identity_; }
    [[nodiscard]] bool can_score() const { return sdg::can_score(*inner_); }
    [[nodiscard]] bool takes_raw() const { return sdg::takes_raw(*inner_); }
    [[nodiscard]] std::vector<std::string> notes() const { return notes_of(*inner_); }
    /// Calls that went to the teacher, and those answered from the journal.
    [[nodiscard]] std::size_t asked() const noexcept { return asked_; }
    [[nodiscard]] std::size_t remembered() const noexcept { return remembered_; }

private:
    template <class Answer, class Request, class Read, class Ask>
    std::vector<Answer> answer(std::span<const Request> requests, const char* kind, Read read, Ask ask) {
        std::vector<std::string> keys;
        std::vector<Request> missing;
        std::vector<std::string> missing_keys;
        std::unordered_map<std::string, std::size_t> pending;  // equal requests of one batch are asked once
        for (const auto& r : requests) {
            keys.push_back(
                sha256_hex(formats::to_text(json{{"teacher", identity_}, {"kind", kind}, {"request", to_json(r)}})));
            if (journal_->find(keys.back()) != nullptr) {
                ++remembered_;
            } else if (pending.emplace(keys.back(), missing.size()).second) {
                missing.push_back(r);
                missing_keys.push_back(keys.back());
            }
        }
        if (!missing.empty()) {
            auto sink = [&](std::size_t i, const Answer& a) {
                journal_->add(missing_keys[i], to_json(a));
                ++asked_;
            };
            try {
                ask(std::span<const Request>(missing), sink);
            } catch (...) {
                journal_->sync();
                throw;
            }
            journal_->sync();
        }
        std::vector<Answer> answers;
        for (const auto& key : keys) {
            const json* found = journal_->find(key);
            if (found == nullptr) throw error("teacher: a request was left without an answer");
            answers.push_back(read(*found));
        }
        return answers;
    }

    T* inner_;
    journal* journal_;
    std::string identity_;
    std::size_t asked_ = 0, remembered_ = 0;
};

}  // namespace lab::sdg
