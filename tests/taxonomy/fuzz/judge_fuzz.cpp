// libFuzzer target: any bytes as a qna.yaml, under each root. Build and run with clang:
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/taxonomy/fuzz/judge_fuzz.cpp
//   -lyaml-cpp -o judge_fuzz
//   ./judge_fuzz -max_len=8192 -timeout=10 corpus/   (a good start: the qna.yaml files of data/taxonomy)
#include <cstddef>
#include <cstdint>

#include "lab/taxonomy/judge.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace lab::taxonomy;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto kind : {root::knowledge, root::compositional}) {
        problem_list problems("fuzz");
        const auto found = judge(text, kind, problems);
        if (found && (problems.errors() > 0 || found->seeds.empty())) __builtin_trap();
    }
    return 0;
}
