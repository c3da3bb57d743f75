// libFuzzer: any bytes are a grammar, a pattern or a schema (the first byte says which) that texts can be held against,
// or a typed error. What follows the first NUL is the text.
#include <cstdint>
#include <string_view>

#include "lab/sampling/grammar/gbnf.hpp"
#include "lab/sampling/grammar/json_schema.hpp"
#include "lab/sampling/grammar/regex.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view all(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto source = all.substr(0, all.find('\0'));
    const auto text = source.size() < all.size() ? all.substr(source.size() + 1) : std::string_view();
    try {
        using namespace lab::sampling;
        const grammar g = data[0] % 3 == 0   ? grammar_from_gbnf(source)
                          : data[0] % 3 == 1 ? grammar_from_regex(source)
                                             : grammar_from_json_schema(source);
        (void)g.matches(text);
    } catch (const lab::error&) {
    }
    return 0;
}
