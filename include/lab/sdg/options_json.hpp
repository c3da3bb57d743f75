// The options of a run as its manifest has them: what the samples depend on, nothing that only takes time or place.
#pragma once

#include "lab/formats/json.hpp"
#include "lab/sdg/contamination_check.hpp"
#include "lab/sdg/pipeline.hpp"

namespace lab::sdg::detail {

[[nodiscard]] inline json options_json(const pipeline_options& o) {
    json options{{"seed", o.seed},
                 {"samples_per_leaf", o.samples_per_leaf},
                 {"budget", o.budget},
                 {"chunk_tokens", o.chunks.max_tokens},
                 {"chunk_overlap", o.chunks.overlap_tokens},
                 {"near_duplicate", o.near_duplicate},
                 {"least_auc", o.least_auc},
                 {"calibration_examples", o.calibration_examples},
                 {"per_group", o.per_group},
                 {"seeds_as_samples", o.seeds_as_samples},
                 {"safety_judge", o.safety_judge},
                 {"blocked_terms", o.safety.blocked_terms},
                 {"personal_data", o.safety.personal_data}};
    if (o.avoid != nullptr) options["avoid"] = to_json(*o.avoid);
    if (o.method != sampling_method::lab) options["method"] = name_of(o.method);
    if (o.turns > 1) options["turns"] = o.turns;
    if (o.judge_samples > 1) options["judge_samples"] = o.judge_samples;
    if (!is_thorough(o.knowledge)) return options;
    json views = json::array();
    for (const auto v : o.knowledge.views) views.push_back(name_of(v));
    options["knowledge"] = {{"views", views},
                            {"questions_by", name_of(o.knowledge.writer)},
                            {"examples", o.knowledge.examples},
                            {"record_judges", o.knowledge.record_judges}};
    return options;
}

}  // namespace lab::sdg::detail
