// The whole run over a taxonomy: seeds first, then each leaf's source and pipeline until its quota is met or its budget
// is spent; a leaf that falls short or fails says why and the others go on. What is kept is chosen for coverage: one
// sample of every fact before a second of any. The result depends on taxonomy, options and the teacher's answers alone.
// Reads no held-out question. With lab::generator linked (LAB_COMPILED) it is a declaration and costs nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

#include "lab/sdg/pipeline.hpp"
#include "lab/sdg/run_result.hpp"
#ifndef LAB_COMPILED
#include "lab/sdg/generate_leaves.hpp"
#endif

namespace lab::sdg {

/// @param count tokens of a text, for the chunks; `leaves` must outlive the result
/// @param judge gives the grades in the teacher's place; null: the teacher does
/// @param sink takes each leaf's samples as soon as the work on it is over (run_writer.hpp writes them): the run then
/// holds one leaf's samples at a time, besides what near duplicates are found by, and the result their summaries. The
/// self-instruct baseline, which draws from all leaves at once, gives them all at its end. None: the result has them.
/// @throws io_error when the teacher is gone for good, interrupted when the observer says so
#ifdef LAB_COMPILED
[[nodiscard]] run_result generate(std::span<const taxonomy::leaf> leaves, any_teacher& teacher,
                                  const pipeline_options& options, token_counter count,
                                  const run_observer& observer = {}, const known_leaves& known = {},
                                  any_teacher* judge = nullptr, const leaf_sink& sink = {});
#else
[[nodiscard]] inline run_result generate(std::span<const taxonomy::leaf> leaves, any_teacher& teacher,
                                         const pipeline_options& options, token_counter count,
                                         const run_observer& observer = {}, const known_leaves& known = {},
                                         any_teacher* judge = nullptr, const leaf_sink& sink = {}) {
    return detail::whole_run(teacher, options, count, observer, judge, sink)(leaves, known);
}
#endif

/// A count of tokens where no tokenizer is at hand: four bytes a token, at least one a word.
[[nodiscard]] inline std::size_t estimated_tokens(std::string_view text) {
    return std::max((text.size() + 3) / 4, loose_words(text).size());
}

}  // namespace lab::sdg
