// Are all weights numbers? One NaN in a checkpoint makes every loss NaN; better to say where it is.
#pragma once

#include <cmath>
#include <cstddef>
#include <string>

#include "lab/core/error.hpp"
#include "lab/nn/any_model.hpp"

namespace lab::nn {

/// @throws config_error naming the first of the weights held in f32 that is infinite or no number
inline void require_finite(const any_model& model) {
    for (const auto& [info, data] : model.weights()) {
        if (data.type != dtype::f32) continue;
        const auto* values = reinterpret_cast<const float*>(data.data);
        for (std::size_t i = 0; i < info.size(); ++i)
            if (!std::isfinite(values[i]))
                throw config_error(explain(model.info().source.string(),
                                           "tensor '" + info.name + "', row " + std::to_string(i / info.columns) +
                                               ", column " + std::to_string(i % info.columns) + " is " +
                                               (std::isnan(values[i]) ? "not a number" : "infinite"),
                                           "the file is damaged or its training failed: take an earlier one"));
    }
}

}  // namespace lab::nn
