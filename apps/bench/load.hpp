// lab-bench load: a generator's work, through the whole engine. Requests share a prompt but for its last token and are
// sampled (top-k, top-p), so many at once; what ends is followed by the next. End tokens do not end a request.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "bench/measure.hpp"
#include "bench/output.hpp"
#include "bench/runner.hpp"
#include "common/stop.hpp"
#include "lab/core/rng.hpp"
#include "lab/infer/engine.hpp"
#include "lab/sampling/chain.hpp"
#include "lab/tokenizer/load.hpp"

namespace lab::apps {

struct load_test {
    std::size_t requests = 64, sequences = 16, prompt = 433, generate = 96;
    call_options call{};
    std::size_t cache_bytes = 0;  // of the engine; 0: what the test needs
};

/// Keeps the tokens that would end a text from being drawn, so that every request is as long as asked.
struct no_end {
    std::vector<token> ends;
    void apply(sampling::candidates& c, std::span<const token>) const {
        for (const token id : ends) c.remove(id);
    }
};

/// Seconds from the first request to the last answer. @throws stopped; config_error where the context is too short.
inline double run_test(infer::engine& engine, const load_test& t) {
    const std::size_t context = engine.context_length();
    if (t.prompt >= context || t.generate > context - t.prompt - 1)
        throw config_error(
            explain("load", "prompt and answer are longer than the context of " + std::to_string(context) + " tokens",
                    t.cache_bytes != 0 ? "shorten them, or raise --cache-mib" : "shorten them"));
    const auto& tokens = engine.tokens();
    no_end none;
    for (token id = 0; static_cast<std::size_t>(id) < tokens.size(); ++id)
        if (tokens.is_end_of_generation(id)) none.ends.push_back(id);
    counter_rng rng(1);
    const auto random_token = [&] { return static_cast<token>(rng.below(tokens.size())); };
    std::vector<token> prompt(t.prompt);
    for (token& id : prompt) id = random_token();
    std::vector<infer::generation> jobs(t.requests);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        jobs[i].prompt = prompt;
        jobs[i].prompt.push_back(random_token());
        jobs[i].max_tokens = t.generate;
        jobs[i].sampler = sampling::chain{none, sampling::top_k{40}, sampling::top_p{0.95f},
                                          sampling::temperature{0.8f}, sampling::multinomial{i}};
    }
    const double seconds = seconds_of([&] { (void)engine.run(jobs, {{}, [] { return !stop_asked(); }}); });
    if (stop_asked()) throw stopped{};
    return seconds;
}

/// Room for all that are answered at once and for the prompt that they share, so that none gives way to another; the
/// engine's own bound where that is enough.
[[nodiscard]] inline std::size_t cache_bytes(const nn::any_model& model, const load_test& t) {
    if (t.cache_bytes != 0) return t.cache_bytes;
    const std::size_t blocks = (t.prompt + 1 + t.generate + kv_block_size - 1) / kv_block_size;
    return std::max(infer::engine_options{}.cache_bytes,
                    checked_mul(checked_mul(t.sequences + 1, blocks), model.cache_block_bytes(t.call.cache)));
}

inline void load_row(const subject& s, const load_test& t, const status_line& status, result_writer& out) {
    if (t.cache_bytes == 0) require_memory(s.model, t.sequences + 1, t.prompt + 1 + t.generate, t.call.cache);
    const std::size_t room = cache_bytes(s.model, t);
    infer::engine engine(s.model, tokenizer::load_tokenizer(s.model.info().source),
                         {.max_sequences = t.sequences,
                          .max_batch_tokens = std::max(t.call.batch, t.sequences),
                          .cache_bytes = room,
                          .cache_type = t.call.cache});
    status.show(s.work.type + ": " + std::to_string(t.requests) + " requests, " + std::to_string(t.sequences) +
                " at once");
    (void)run_test(engine, {t.sequences, t.sequences, 16, 2, t.call});  // takes the memory
    engine.forget();
    if (s.profile) (void)s.profile->take();
    const double seconds = run_test(engine, t), rate = static_cast<double>(t.requests * t.generate) / seconds;
    status.show("");
    auto fields = s.fields;
    add_call(fields, t.call);
    fields.update({{"n_requests", t.requests},
                   {"pl", t.sequences},
                   {"pp", t.prompt},
                   {"tg", t.generate},
                   {"cache_bytes", room},
                   {"t", seconds},
                   {"speed_tg", rate}});
    std::vector<cell> cells{{"model", s.title(), 24, true},
                            {"requests", std::to_string(t.requests)},
                            {"at once", std::to_string(t.sequences)},
                            {"prompt", std::to_string(t.prompt)},
                            {"generated", std::to_string(t.generate)},
                            {"s", text_of("%.3f", seconds), 8},
                            {"t/s", text_of("%.2f", rate), 8}};
    if (s.limits.read > 0) {  // of the generated tokens: the prompt is computed once, in their time
        const limit l = generating_limit(s, rate, static_cast<double>(t.sequences));
        add_share(fields, "", l);
        cells.push_back({"of the limit", share_text(l), 24});
    }
    const auto where = s.profile ? s.profile->take() : op_times{};
    if (s.profile) fields["profile"] = profile_fields(where);
    out.row(fields, cells);
    if (s.profile) out.block(profile_text(where, seconds));
}

}  // namespace lab::apps
