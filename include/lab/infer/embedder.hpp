// Vectors for texts from a language model: the mean of its last hidden states (after the final norm) over the text's
// tokens. Good enough to tell topics and wordings apart, no substitute for a model trained to embed. A text's vector
// depends on that text alone, bit for bit, however texts are batched.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/tensor.hpp"
#include "lab/nn/any_model.hpp"
#include "lab/nn/batch_builder.hpp"
#include "lab/tokenizer/tokenizer.hpp"

namespace lab::infer {

struct embedder_options {
    std::size_t max_tokens = 512;                    // of a text; the rest is left out
    std::size_t batch_tokens = 1024;                 // run at once, more only where one text has more
    std::size_t cache_bytes = std::size_t{1} << 30;  // of keys and values, likewise
};

class embedder {
public:
    /// @throws config_error for limits of zero
    embedder(nn::any_model model, tokenizer::tokenizer tokens, embedder_options options = {})
        : model_(std::move(model)), tokens_(std::move(tokens)), options_(options) {
        if (options_.max_tokens == 0 || options_.batch_tokens == 0)
            throw config_error(explain("embedder", "max_tokens and batch_tokens must be at least 1"));
        if (const std::size_t context = model_.info().context_length; context != 0)
            options_.max_tokens = std::min(options_.max_tokens, context);
        block_bytes_ = model_.cache_block_bytes(nn::kv_cache_options{}.type);
    }

    [[nodiscard]] std::size_t dim() const { return model_.dims().dim; }

    /// Vectors [texts, dim]; of zeros for a text without a token. @param tick called with texts done; false ends the
    /// work with lab::error
    [[nodiscard]] tensor<float> operator()(std::span<const std::string_view> texts,
                                           const std::function<bool(std::size_t)>& tick = {}) {
        tensor<float> vectors({texts.size(), dim()});
        std::vector<std::vector<token>> batch;
        std::size_t first = 0, held = 0, blocks = 0;  // the batch's first text, its tokens, the cache's blocks for them
        const auto flush = [&](std::size_t done) {
            run(batch, vectors.get().slice(first, first + batch.size()));
            batch.clear();
            first = done, held = blocks = 0;
            if (tick && !tick(done)) throw error("interrupted");
        };
        for (std::size_t t = 0; t < texts.size(); ++t) {
            auto ids = tokens_.encode(texts[t], {.add_bos = tokens_.adds_bos()});
            ids.resize(std::min(ids.size(), options_.max_tokens));
            const std::size_t own = (ids.size() + kv_block_size - 1) / kv_block_size;
            if (!batch.empty() &&
                (held + ids.size() > options_.batch_tokens || blocks + own > options_.cache_bytes / block_bytes_))
                flush(t);
            held += ids.size(), blocks += own;
            batch.push_back(std::move(ids));
        }
        if (!batch.empty()) flush(texts.size());
        return vectors;
    }

private:
    void run(std::span<const std::vector<token>> texts, view<float> vectors) {
        nn::batch_builder batch;
        auto cache = model_.make_cache({.max_bytes = nn::kv_cache_options::unbounded});  // the batch bounds it
        std::vector<nn::sequence_id> sequences;
        std::vector<std::uint32_t> rows;
        for (const auto& ids : texts) {
            if (ids.empty()) continue;
            batch.add(ids);
            sequences.push_back(cache.create());
            for (std::size_t i = 0; i < ids.size(); ++i) rows.push_back(static_cast<std::uint32_t>(rows.size()));
        }
        if (rows.empty()) return;
        const auto states = model_.hidden(batch.get(), cache, sequences, rows);
        std::vector<double> sum(dim());
        for (std::size_t t = 0, row = 0; t < texts.size(); ++t) {
            std::fill(sum.begin(), sum.end(), 0.0);
            for (std::size_t i = 0; i < texts[t].size(); ++i, ++row)
                for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += static_cast<double>(states(row, k));
            const auto count = static_cast<double>(std::max<std::size_t>(1, texts[t].size()));
            for (std::size_t k = 0; k < sum.size(); ++k) vectors(t, k) = static_cast<float>(sum[k] / count);
        }
    }

    nn::any_model model_;
    tokenizer::tokenizer tokens_;
    embedder_options options_;
    std::size_t block_bytes_ = 1;
};

}  // namespace lab::infer
