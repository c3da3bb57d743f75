// A simple check of what may become training data: personal data by pattern (e-mail, telephone, payment card with a
// valid Luhn sum, IPv4 address, IBAN with a valid checksum) and terms of a block list. It knows only what it is told:
// it is a net for the obvious, no judge of meaning; a pipeline can add a teacher's judgement (see steps.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/sdg/rouge.hpp"
#include "lab/sdg/sentences.hpp"

namespace lab::sdg {

struct safety_options {
    bool personal_data = true;
    std::vector<std::string> blocked_terms{"kill yourself", "how to make a bomb", "child pornography",
                                           "credit card fraud"};
};

namespace detail {

[[nodiscard]] constexpr bool is_alnum(char c) noexcept { return is_digit(c) || is_upper(c) || is_lower(c); }

[[nodiscard]] inline bool has_email(std::string_view t) {
    for (std::size_t at = t.find('@'); at != t.npos; at = t.find('@', at + 1)) {
        if (at == 0 || !is_alnum(t[at - 1])) continue;
        std::size_t end = at + 1;
        while (end < t.size() && (is_alnum(t[end]) || t[end] == '-' || t[end] == '.')) ++end;
        const auto host = t.substr(at + 1, end - at - 1);
        const auto dot = host.find('.');
        if (dot != host.npos && dot > 0 && dot + 2 < host.size()) return true;
    }
    return false;
}

[[nodiscard]] inline bool luhn(std::string_view digits) {
    int sum = 0;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        int d = digits[digits.size() - 1 - i] - '0';
        if (i % 2 == 1) d = d > 4 ? 2 * d - 9 : 2 * d;
        sum += d;
    }
    return sum % 10 == 0;
}

/// Calls visit(digits, run) for each run of digits written with the separators that numbers of people are written with.
template <class Visit>
bool any_number(std::string_view t, Visit visit) {
    for (std::size_t i = 0; i < t.size(); ++i) {
        if (!is_digit(t[i]) || (i > 0 && is_alnum(t[i - 1]))) continue;
        std::size_t end = i;
        std::string digits;
        for (; end < t.size(); ++end) {
            if (is_digit(t[end])) {
                digits += t[end];
            } else if (!(end + 1 < t.size() && std::string_view(" -./()").find(t[end]) != std::string_view::npos &&
                         (is_digit(t[end + 1]) || std::string_view("(").find(t[end + 1]) == 0 || t[end] == ')'))) {
                break;
            }
        }
        const bool plus = i > 0 && t[i - 1] == '+';
        if (visit(std::string_view(digits), t.substr(i, end - i), plus)) return true;
        i = end;
    }
    return false;
}

[[nodiscard]] inline bool is_ipv4(std::string_view run) {
    int parts = 0;
    for (std::size_t at = 0; at <= run.size(); ++parts) {
        const auto end = std::min(run.find('.', at), run.size());
        const auto part = run.substr(at, end - at);
        if (part.empty() || part.size() > 3 || !std::all_of(part.begin(), part.end(), is_digit)) return false;
        if (std::stoi(std::string(part)) > 255) return false;
        at = end + 1;
    }
    return parts == 4;
}

[[nodiscard]] inline bool has_iban(std::string_view t) {
    for (std::size_t i = 0; i + 15 <= t.size(); ++i) {
        if (!is_upper(t[i]) || !is_upper(t[i + 1]) || !is_digit(t[i + 2]) || !is_digit(t[i + 3]) ||
            (i > 0 && is_alnum(t[i - 1])))
            continue;
        std::string compact;
        for (std::size_t j = i;
             j < t.size() && compact.size() < 34 && (is_upper(t[j]) || is_digit(t[j]) || t[j] == ' '); ++j)
            if (t[j] != ' ') compact += t[j];
        for (std::size_t length = compact.size(); length >= 15;
             --length) {  // ISO 7064: the rotated number is 1 modulo 97
            const std::string_view whole = std::string_view(compact).substr(0, length);
            int rest = 0;
            for (const char c : std::string(whole.substr(4)) + std::string(whole.substr(0, 4)))
                rest = is_digit(c) ? (rest * 10 + (c - '0')) % 97 : (rest * 100 + (c - 'A' + 10)) % 97;
            if (rest == 1) return true;
        }
    }
    return false;
}

}  // namespace detail

/// What is wrong with the text ("e-mail address", "blocked term 'x'"), or nothing.
[[nodiscard]] inline std::optional<std::string> safety_problem(std::string_view text,
                                                               const safety_options& options = {}) {
    if (options.personal_data) {
        if (detail::has_email(text)) return "e-mail address";
        if (detail::has_iban(text)) return "bank account number";
        std::optional<std::string> found;
        if (detail::any_number(text, [&](std::string_view digits, std::string_view run, bool plus) {
                if (detail::is_ipv4(run)) {
                    found = "IP address";
                } else if (digits.size() >= 13 && digits.size() <= 19 && detail::luhn(digits)) {
                    found = "payment card number";
                } else if ((plus && digits.size() >= 8 && digits.size() <= 15) ||
                           (digits.size() >= 9 && digits.size() <= 12 && digits.size() < run.size() &&
                            (digits[0] == '0' || digits.size() == 10))) {
                    found = "telephone number";
                }
                return found.has_value();
            }))
            return found;
    }
    if (options.blocked_terms.empty()) return std::nullopt;
    std::string words = " ";
    for (const auto& word : loose_words(text)) words += word + " ";
    for (const auto& term : options.blocked_terms) {
        std::string wanted = " ";
        for (const auto& word : loose_words(term)) wanted += word + " ";
        if (wanted != " " && words.find(wanted) != words.npos) return "blocked term '" + term + "'";
    }
    return std::nullopt;
}

}  // namespace lab::sdg
