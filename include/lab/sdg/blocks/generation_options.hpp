// `gen_kwargs` of the blocks that ask a teacher: temperature 0 and 4096 tokens where nothing else is said, `n` answers
// a prompt (`scaled`: as many as the run wants), vLLM's constraints in `extra_body`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "lab/sdg/blocks/block.hpp"
#include "lab/sdg/blocks/config_reader.hpp"
#include "lab/text/request.hpp"

namespace lab::sdg::blocks {

struct generation_options {
    std::string model{};  // "": the run's teacher
    std::size_t max_tokens = 4096;
    std::size_t n = 1;
    bool scaled = false;  // n is the run's `scaled`
    std::optional<std::uint64_t> seed{};
    text::sampling_options sampling{};  // its seed is not used
    text::output_constraint constraint{};
    std::vector<std::string> stop{};

    [[nodiscard]] std::size_t draws(const run_options& run) const noexcept { return scaled ? run.scaled : n; }

    /// Draw number `draw` for a prompt that was asked `repeat` times before. A seed of the file's own stays: equal
    /// prompts get equal answers then, as from a server.
    [[nodiscard]] text::request request(const block_run& run, text::messages messages, std::size_t repeat,
                                        std::size_t draw) const {
        text::request r;
        r.max_tokens = max_tokens;
        r.sampling = sampling;
        r.sampling.seed = 0;
        if (sampling.temperature > 0) {
            if (!seed)
                r.sampling.seed = run.seed_of(messages.empty() ? "" : messages.back().content, repeat, draw);
            else
                r.sampling.seed = draw + run.iteration() == 0
                                      ? *seed
                                      : counter_rng(*seed, (std::uint64_t{run.iteration()} << 32) + draw).next64();
        }
        r.constraint = constraint;
        r.stop = stop;
        r.messages = std::move(messages);
        return r;
    }
};

namespace detail {

inline void read_extra_body(config_reader& extra, generation_options& out) {
    constexpr auto most = std::numeric_limits<std::int32_t>::max();
    auto& c = out.constraint;
    if (auto choices = extra.optional_texts("guided_choice")) c.choices = std::move(*choices);
    c.regex = extra.optional_text("guided_regex").value_or("");
    c.grammar = extra.optional_text("guided_grammar").value_or("");
    if (const auto schema = extra.optional_value("guided_json"))
        c.json_schema = schema->is_string() ? schema->get<std::string>() : schema->dump();
    if (!c.choices.empty() + !c.regex.empty() + !c.grammar.empty() + !c.json_schema.empty() > 1)
        extra.fail(extra.node(), "asks for several constraints at once (keep one of them)");
    (void)extra.has("guided_decoding_backend");  // how a server does it: nothing to say here
    auto& s = out.sampling;
    if (const auto p = extra.optional_real("top_p")) s.top_p = static_cast<float>(*p);
    if (const auto p = extra.optional_real("min_p")) s.min_p = static_cast<float>(*p);
    if (const auto p = extra.optional_real("repetition_penalty")) s.repetition_penalty = static_cast<float>(*p);
    if (const auto k = extra.optional_count("top_k", 0, static_cast<std::size_t>(most)))
        s.top_k = static_cast<std::int32_t>(*k);
    if (auto stop = extra.optional_texts("stop")) out.stop = std::move(*stop);
    extra.done();
}

}  // namespace detail

/// @throws config_fault
[[nodiscard]] inline generation_options read_generation(config_reader& config) {
    generation_options out;
    out.model = config.optional_text("model_id").value_or("");
    auto given = config.optional_mapping("gen_kwargs");
    if (!given) return out;
    if (auto model = given->optional_text("model")) out.model = std::move(*model);
    out.max_tokens = given->optional_count("max_tokens", 1, 1u << 30).value_or(out.max_tokens);
    if (const auto t = given->optional_real("temperature")) {
        if (*t < 0) given->fail("temperature", "is not below 0");
        out.sampling.temperature = static_cast<float>(*t);
    }
    if (const auto* n = given->find("n"); n != nullptr && n->kind == yaml::type::string) {
        if (n->text != "scaled") given->fail("n", "is a number, or 'scaled'");
        out.scaled = true;
    } else {
        out.n = given->optional_count("n", 1, 10'000).value_or(1);
    }
    if (const auto seed = given->optional_count("seed", 0, std::numeric_limits<std::int64_t>::max())) out.seed = *seed;
    if (auto extra = given->optional_mapping("extra_body")) detail::read_extra_body(*extra, out);
    given->done();
    return out;
}

}  // namespace lab::sdg::blocks
