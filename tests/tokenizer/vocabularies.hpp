// What the loading tests share; the functions are compiled once, in the test of the header they exercise.
#pragma once

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "lab/tokenizer/tokenizer.hpp"
#include "support/data.hpp"

namespace lab::test {

/// lab::tokenizer::load_tokenizer, defined in load_test.cpp.
tokenizer::tokenizer load_tokenizer_file(const std::filesystem::path& path);

/// The byte-level fixture as one tokenizer.json with GPT-2's pre-tokenizer, defined in load_json_test.cpp.
std::string byte_level_json();

/// The byte-level GGUF fixture under another pre-tokenizer name, defined in load_gguf_test.cpp.
void write_gguf_fixture(const std::filesystem::path& path, const std::string& pre);

// Loading throws an E whose message holds `part`.
template <class E>
void refuses(const std::function<void()>& load, std::string_view part) {
    BOOST_CHECK_EXCEPTION(load(), E,
                          [&](const E& e) { return std::string_view(e.what()).find(part) != std::string_view::npos; });
}

}  // namespace lab::test
