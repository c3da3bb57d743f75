// Part of lab::compiled: the models of all families, once, for everything that links it.
#include "lab/nn/load.hpp"
#include "lab/nn/load_files.hpp"

namespace lab::nn {

any_model load_model(const std::filesystem::path& path, const load_options& options) {
    return load_files(path, options);
}

}  // namespace lab::nn
