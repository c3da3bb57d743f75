// metrics.jsonl: one JSON object a line for every step, held-out loss and phase, a function of seed and data alone,
// hence the same bytes in every run. Times go to a file of their own. After a resume the log goes on where the
// checkpoint was taken: what a killed run wrote beyond that is cut off.
#pragma once

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/train/events.hpp"

namespace lab::train {

[[nodiscard]] inline formats::json line_of(const step_event& e) {
    formats::json line{{"event", "step"},
                       {"phase", e.phase},
                       {"epoch", e.epoch},
                       {"step", e.step},
                       {"total_step", e.total_step},
                       {"loss", e.loss},
                       {"learning_rate", e.learning_rate},
                       {"gradient_norm", e.gradient_norm},
                       {"tokens", e.tokens},
                       {"target_tokens", e.target_tokens}};
    if (e.rewards) {
        line["reward_chosen"] = e.rewards->chosen;
        line["reward_rejected"] = e.rewards->rejected;
        line["reward_accuracy"] = e.rewards->accuracy;
    }
    return line;
}
/// The line of a step that was passed over; numbers that are not finite become null.
[[nodiscard]] inline formats::json line_of(const skipped_event& e) {
    return {{"event", "skipped"},
            {"phase", e.phase},
            {"step", e.step},
            {"total_step", e.total_step},
            {"loss", e.loss},
            {"gradient_norm", e.gradient_norm},
            {"median_loss", e.median_loss},
            {"median_norm", e.median_norm},
            {"why", e.why}};
}
[[nodiscard]] inline formats::json line_of(const regression_event& e, std::uint64_t total_step) {
    return {{"event", "earlier phase"}, {"phase", e.phase}, {"earlier", e.earlier}, {"total_step", total_step},
            {"before", e.before},       {"loss", e.now},    {"worse", e.worse}};
}

class metrics_log {
public:
    metrics_log() = default;  // writes nothing

    /// Opens `path`, keeping its first `keep` bytes. @throws io_error
    explicit metrics_log(const std::filesystem::path& path, std::uint64_t keep = 0) : path_(path) {
        if (path.has_parent_path()) make_folder(path.parent_path());
        fd_ = file_descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
        if (fd_.get() < 0) throw_errno(path, "open for appending");
        if (std::filesystem::file_size(path) < keep)
            throw io_error(
                explain(path.string(), "is shorter than when the checkpoint was taken", "start the run afresh"));
        cut(keep);
    }

    void write(const formats::json& line) {
        if (path_.empty()) return;
        const std::string text = formats::to_text(line) + "\n";
        for (std::string_view rest = text; !rest.empty();) {
            const ssize_t n = ::write(fd_.get(), rest.data(), rest.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno(path_, "append");
            rest.remove_prefix(static_cast<std::size_t>(n));
        }
        size_ += text.size();
    }
    /// Takes back what was written behind the first `keep` bytes. @throws io_error
    void cut(std::uint64_t keep) {
        if (path_.empty()) return;
        if (::ftruncate(fd_.get(), static_cast<off_t>(keep)) != 0) throw_errno(path_, "truncate");
        size_ = keep;
    }
    /// Waits until the disk has it all: a checkpoint that counts these bytes must not outlive them.
    void sync() {
        if (!path_.empty() && ::fdatasync(fd_.get()) != 0) throw_errno(path_, "flush");
    }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

private:
    std::filesystem::path path_;
    file_descriptor fd_;
    std::uint64_t size_ = 0;
};

}  // namespace lab::train
