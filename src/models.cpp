// Part of lab::compiled: the models of all families, once, for everything that links it.
#include "lab/nn/synthetic_weights.hpp"

#include "lab/nn/load.hpp"
#include "lab/nn/load_trainable.hpp"
#include "lab/nn/load_trainable_files.hpp"
#include "lab/nn/synthetic.hpp"

namespace lab::nn {

any_model load_model(const std::filesystem::path& path, const load_options& options) {
    return load_files(path, options);
}
any_model load_trainable(const std::filesystem::path& path, const load_options& options) {
    return load_trainable_files(path, options);
}
any_model make_synthetic(const runtime_dims& dims, dtype type, const load_options& options, std::uint64_t seed) {
    return load_synthetic(dims, type, options, seed);
}
any_model make_trainable_synthetic(const runtime_dims& dims, dtype type, const load_options& options,
                                   std::uint64_t seed) {
    return load_trainable_synthetic(dims, type, options, seed);
}

}  // namespace lab::nn
