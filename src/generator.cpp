// lab::generator: the run over a taxonomy, and writing it.
#include "lab/sdg/generate_leaves.hpp"

#include "lab/sdg/generate.hpp"
#include "lab/sdg/output.hpp"
#include "lab/sdg/run_writer.hpp"

namespace lab::sdg {

run_result generate(std::span<const taxonomy::leaf> leaves, any_teacher& teacher, const pipeline_options& options,
                    token_counter count, const run_observer& observer, const known_leaves& known, any_teacher* judge,
                    const leaf_sink& sink) {
    return detail::whole_run(teacher, options, count, observer, judge, sink)(leaves, known);
}
json write_run(const std::filesystem::path& folder, const run_result& run, const pipeline_options& options,
               const std::filesystem::path& taxonomy, const std::map<std::string, overlap_report>& overlap,
               const json& more) {
    return detail::write_held_run(folder, run, options, taxonomy, overlap, more);
}

}  // namespace lab::sdg
