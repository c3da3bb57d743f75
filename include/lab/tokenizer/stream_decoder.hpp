// Turns a stream of ids into text that may be shown at once: only whole code points come out, bytes that can no longer
// become valid UTF-8 are replaced by U+FFFD (one for each maximal broken part, as Unicode 15, section 3.9 recommends).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "lab/tokenizer/tokenizer.hpp"

namespace lab::tokenizer {

class stream_decoder {
public:
    explicit stream_decoder(tokenizer t, decode_options options = {}) : tokenizer_(std::move(t)), options_(options) {}

    /// The text that this id completes; may be empty. @throws config_error for an id outside the vocabulary.
    std::string push(token id) {
        tokenizer_.append_decoded(id, options_, at_start_, pending_);
        return take(false);
    }
    /// What is left: an unfinished sequence becomes U+FFFD. The decoder then stands at the start of a new text.
    std::string flush() {
        at_start_ = true;
        return take(true);
    }

private:
    std::string take(bool last) {
        std::string out;
        std::string_view rest = pending_;
        while (!rest.empty()) {
            const std::size_t good = valid_utf8_prefix(rest);
            out.append(rest.substr(0, good));
            rest.remove_prefix(good);
            if (rest.empty()) break;
            const std::size_t part = broken_part(rest);
            const auto lead = static_cast<unsigned char>(rest[0]);
            const bool may_go_on = part == rest.size() && lead >= 0xC2 && lead <= 0xF4 && part < utf8_length(lead);
            if (may_go_on && !last) break;
            append_utf8(out, replacement_character);
            rest.remove_prefix(part);
        }
        pending_.erase(0, pending_.size() - rest.size());
        return out;
    }
    // Length of the longest start of a valid sequence at the front, at least 1.
    static std::size_t broken_part(std::string_view text) {
        const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
        const unsigned char lead = byte(0);
        if (lead < 0xC2 || lead > 0xF4) return 1;
        std::size_t n = 1;
        for (const std::size_t length = utf8_length(lead); n < length && n < text.size(); ++n) {
            unsigned char low = 0x80;
            unsigned char high = 0xBF;
            if (n == 1) {
                if (lead == 0xE0) low = 0xA0;
                if (lead == 0xED) high = 0x9F;
                if (lead == 0xF0) low = 0x90;
                if (lead == 0xF4) high = 0x8F;
            }
            if (byte(n) < low || byte(n) > high) break;
        }
        return n;
    }

    tokenizer tokenizer_;
    decode_options options_;
    std::string pending_;
    bool at_start_ = true;
};

}  // namespace lab::tokenizer
