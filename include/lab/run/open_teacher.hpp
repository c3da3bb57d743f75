// Opening the teachers that teacher_source.hpp names: a model over the engine, servers over HTTP.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/infer/teacher.hpp"
#include "lab/nn/load.hpp"
#include "lab/run/model_digest.hpp"
#include "lab/run/teacher_source.hpp"
#include "lab/sdg/http_teacher.hpp"
#include "lab/text/choose_format.hpp"
#include "lab/tokenizer/load.hpp"

namespace lab::run {
namespace detail {

/// A model as a teacher, with what lives as long as it.
struct local_model {
    tokenizer::tokenizer tokens;
    infer::engine engine;
    infer::local_teacher teacher;
    local_model(const std::filesystem::path& from, const std::string& named, std::size_t n, std::size_t cache_bytes,
                std::string name)
        : tokens(tokenizer::load_tokenizer(from)),
          engine(nn::load_model(from, {.threads = n}), tokens, {.cache_bytes = cache_bytes}),
          teacher(engine, text::chat_format_of(named, tokens), std::move(name)) {}
    [[nodiscard]] std::vector<text::completion> complete(std::span<const text::request> r) {
        return teacher.complete(r);
    }
    [[nodiscard]] std::vector<text::score> score(std::span<const text::score_request> r) { return teacher.score(r); }
    void complete_each(std::span<const text::request> r, sdg::completion_sink s) { teacher.complete_each(r, s); }
    void score_each(std::span<const text::score_request> r, sdg::score_sink s) { teacher.score_each(r, s); }
    [[nodiscard]] std::string identity() const { return teacher.identity(); }
    [[nodiscard]] bool takes_raw() const { return teacher.takes_raw(); }
};

/// The teacher_source of a model in this process.
[[nodiscard]] inline teacher_source model_source(const std::filesystem::path& path, const std::string& format,
                                                 std::size_t threads, const std::function<bool()>& keep_going,
                                                 std::size_t cache_bytes) {
    const auto key = "local:" + path.filename().string() + " sha256=" + model_digest(path).substr(0, 16) +
                     (format.empty() ? "" : " format=" + format);
    return {key, [=] {
                auto whole = std::make_unique<local_model>(path, format, threads, cache_bytes, key);
                if (keep_going) whole->teacher.set_keep_going(keep_going);
                auto count = [tokens = whole->tokens](std::string_view text) { return tokens.encode(text).size(); };
                sdg::context_limit context{whole->engine.context_length(),
                                           [&teacher = whole->teacher](const auto& messages, const auto& answer) {
                                               return teacher.prompt_tokens(messages, answer);
                                           }};
                return opened_teacher{sdg::any_teacher(std::move(whole)), std::move(count), std::move(context)};
            }};
}

/// The teacher_source of servers.
[[nodiscard]] inline teacher_source server_source(const sdg::http_teacher_options& options) {
    return {"http:" + options.http.base_url + " " + options.model, [=] {
                auto servers = std::make_unique<sdg::http_teacher>(options);
                auto context = sdg::server_context(*servers, options.context, sdg::estimated_tokens);
                return opened_teacher{.teacher = sdg::any_teacher(std::move(servers)), .context = std::move(context)};
            }};
}

}  // namespace detail

#ifndef LAB_COMPILED
inline teacher_source local_teacher_source(const std::filesystem::path& path, const std::string& format,
                                           std::size_t threads, const std::function<bool()>& keep_going,
                                           std::size_t cache_bytes) {
    return detail::model_source(path, format, threads, keep_going, cache_bytes);
}
inline teacher_source remote_teacher_source(const sdg::http_teacher_options& options) {
    return detail::server_source(options);
}
#endif

}  // namespace lab::run
