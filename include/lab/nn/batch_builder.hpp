// Builds a `ragged_batch` piece by piece and keeps its arrays; cleared and reused from step to step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lab/core/batch.hpp"

namespace lab::nn {

class batch_builder {
public:
    /// Appends the next tokens of one sequence; `first` is the absolute position of tokens[0].
    void add(std::span<const token> tokens, std::int32_t first = 0) {
        for (const token t : tokens) {
            tokens_.push_back(t);
            positions_.push_back(first++);
        }
        offsets_.push_back(static_cast<std::uint32_t>(tokens_.size()));
    }
    void clear() {
        tokens_.clear();
        positions_.clear();
        offsets_.assign(1, 0);
    }
    [[nodiscard]] std::size_t size() const { return tokens_.size(); }
    [[nodiscard]] std::size_t sequences() const { return offsets_.size() - 1; }
    /// Valid until the next change.
    [[nodiscard]] ragged_batch get() const { return {tokens_, positions_, offsets_}; }

private:
    std::vector<token> tokens_;
    std::vector<std::int32_t> positions_;
    std::vector<std::uint32_t> offsets_{0};
};

}  // namespace lab::nn
