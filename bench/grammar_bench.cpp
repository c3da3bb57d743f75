// What grammars cost a step: masks and advances along JSON texts, with a real vocabulary:
// bench_grammar [--benchmark_...] with LAB_TOKENIZER naming a GGUF file or tokenizer folder.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/sampling/constraint.hpp"
#include "lab/tokenizer/load.hpp"

namespace {

using namespace lab;

const tokenizer::tokenizer& tokens() {
    static const auto loaded = tokenizer::load_tokenizer(std::getenv("LAB_TOKENIZER"));
    return loaded;
}
const sampling::token_trie& trie() {
    static const sampling::token_trie made(tokens());
    return made;
}
const std::string person = R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer",
  "minimum":0,"maximum":150},"email":{"type":"string","maxLength":60},"tags":{"type":"array","items":{"type":"string"},
  "maxItems":8},"address":{"type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"},
  "kind":{"enum":["home","work"]}},"required":["street","city"],"additionalProperties":false}},
  "required":["name","age"],"additionalProperties":false})";
const std::string any_object = R"({"type":"object"})";
/// A different text each time, as 32 sequences would write it.
std::string text_of(bool free, std::uint64_t n) {
    const std::string s = std::to_string(n);
    std::string name, mail = "u" + s + "@example.org";
    counter_rng rng(n);
    for (int i = 0; i < 6; ++i)
        name += std::vector<std::string>{"Ada ", "Lovelace ", "née ", "東京 ", "Finch ", "Odo "}[rng.below(6)];
    std::string out = R"({"name": ")" + name + R"(", "age": )" + std::to_string(n % 150) + R"(, "email": ")" + mail +
                      R"(", "tags": ["a)" + s + R"(", "ferry"], "address": {"street": "Quay )" + s +
                      R"(", "city": "Port Haven", "kind": "home"}})";
    if (free) out = R"({"list": [1.5, {"x": [true, null, "deep"]}], "person": )" + out + "}";
    return out;
}

struct recording {
    std::vector<std::vector<token>> texts;
};
recording record(bool free, std::size_t count) {
    recording r;
    for (std::size_t i = 0; i < count; ++i) r.texts.push_back(tokens().encode(text_of(free, i * 37 + 11), {}));
    return r;
}
std::vector<float> random_logits() {
    std::vector<float> logits(tokens().size());
    counter_rng rng(1);
    for (float& x : logits) x = static_cast<float>(rng.uniform());
    return logits;
}

/// First requests: everything is computed anew. Items are tokens.
void cold(benchmark::State& state, const std::string& schema, bool free) {
    const auto texts = record(free, 32);
    std::size_t count = 0, masks = 0;
    for (auto _ : state) {
        const auto shared =
            std::make_shared<sampling::token_grammar>(trie(), sampling::grammar_from_json_schema(schema));
        for (const auto& text : texts.texts) {
            sampling::grammar_constraint c(shared);
            for (const token id : text) {
                std::vector<token> ids;
                c.allowed(ids);
                c.advance(id);
                ++count;
            }
        }
        masks += shared->masks_made();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(count));
    state.counters["masks"] = static_cast<double>(masks) / static_cast<double>(state.iterations());
    state.counters["us_per_token"] =
        benchmark::Counter(static_cast<double>(count) / 1e6, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
/// What the constraint adds to a step of a sequence: mask on fresh candidates and advance. assign alone is subtracted
/// by comparing with `unconstrained`.
void warm(benchmark::State& state, const std::string& schema, bool free) {
    const auto texts = record(free, 32);
    const auto shared = std::make_shared<sampling::token_grammar>(trie(), sampling::grammar_from_json_schema(schema));
    const auto logits = random_logits();
    sampling::candidates c;
    const auto all = [&](auto f) {
        for (const auto& text : texts.texts) {
            sampling::grammar_constraint constraint(shared);
            for (const token id : text) {
                f(constraint);
                constraint.advance(id);
            }
        }
    };
    std::size_t count = 0;
    all([&](const auto& constraint) { c.assign(logits), constraint.mask(c), ++count; });
    const std::size_t before = shared->masks_made();
    for (auto _ : state) all([&](const auto& constraint) { c.assign(logits), constraint.mask(c); });
    state.counters["masks"] = static_cast<double>(shared->masks_made() - before);
    state.counters["us_per_token"] = benchmark::Counter(
        static_cast<double>(count) / 1e6, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
void unconstrained(benchmark::State& state) {
    const auto logits = random_logits();
    sampling::candidates c;
    for (auto _ : state) {
        c.assign(logits);
        benchmark::DoNotOptimize(c.items().data());
    }
}
void compile(benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(sampling::grammar_from_json_schema(person));
}
/// One mask inside a free string, computed anew: the widest walk there is.
void one_mask(benchmark::State& state) {
    const auto any = sampling::grammar_from_json_schema(any_object);
    for (auto _ : state) {
        state.PauseTiming();
        const auto shared = std::make_shared<sampling::token_grammar>(trie(), any);
        const auto here = shared->advance(shared->start(), "{\"a\": \"b");
        state.ResumeTiming();
        benchmark::DoNotOptimize(shared->mask(here));
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (std::getenv("LAB_TOKENIZER") == nullptr) {
        std::cerr << "bench_grammar: LAB_TOKENIZER must name a GGUF file or a tokenizer's folder\n";
        return 2;
    }
    using benchmark::RegisterBenchmark;
    RegisterBenchmark("assign_only", unconstrained)->Unit(benchmark::kMicrosecond);
    RegisterBenchmark("warm/schema", [](auto& s) { warm(s, person, false); })->Unit(benchmark::kMillisecond);
    RegisterBenchmark("warm/any_object", [](auto& s) { warm(s, any_object, true); })->Unit(benchmark::kMillisecond);
    RegisterBenchmark("cold/schema", [](auto& s) { cold(s, person, false); })->Unit(benchmark::kMillisecond);
    RegisterBenchmark("cold/any_object", [](auto& s) { cold(s, any_object, true); })->Unit(benchmark::kMillisecond);
    RegisterBenchmark("one_mask_in_a_string", one_mask)->Unit(benchmark::kMicrosecond);
    RegisterBenchmark("compile/schema", compile)->Unit(benchmark::kMicrosecond);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
