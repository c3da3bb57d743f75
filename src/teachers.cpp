// Part of lab::generator: teachers by what a user names.
#include "lab/run/open_teacher.hpp"

namespace lab::run {

teacher_source local_teacher_source(const std::filesystem::path& path, const std::string& format, std::size_t threads,
                                    const std::function<bool()>& keep_going, std::size_t cache_bytes) {
    return detail::model_source(path, format, threads, keep_going, cache_bytes);
}
teacher_source remote_teacher_source(const sdg::http_teacher_options& options) {
    return detail::server_source(options);
}

}  // namespace lab::run
