// lab::generator: the run over a taxonomy.
#include "lab/sdg/generate_leaves.hpp"

#include "lab/sdg/generate.hpp"

namespace lab::sdg {

run_result generate(std::span<const taxonomy::leaf> leaves, any_teacher& teacher, const pipeline_options& options,
                    token_counter count, const run_observer& observer, const known_leaves& known, any_teacher* judge,
                    const leaf_sink& sink) {
    return detail::whole_run(teacher, options, count, observer, judge, sink)(leaves, known);
}

}  // namespace lab::sdg
