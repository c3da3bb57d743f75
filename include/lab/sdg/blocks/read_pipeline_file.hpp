// How pipelines are read from YAML (the way in is pipeline_file.hpp): the top, the blocks one by one through a
// registry, every fault gathered.
#pragma once

#include <charconv>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lab/sdg/blocks/pipeline.hpp"
#include "lab/sdg/blocks/standard.hpp"

namespace lab::sdg::blocks {

class pipeline_reader {
public:
    pipeline_reader(const std::filesystem::path& path, const block_registry& registry,
                    std::map<std::string, std::string> families) {
        common_.registry = &registry;
        common_.families = std::move(families);
        const auto folder = std::filesystem::absolute(path).parent_path().filename();
        out_.name = (folder / path.filename()).generic_string();
    }
    pipeline read(const std::filesystem::path& path) {
        gather([&] { whole(yaml_file::read(path, out_.name)); });
        if (!problems_.empty()) throw pipeline_error(std::move(problems_));
        out_.files = std::move(common_.files);
        for (const auto& w : common_.warnings) out_.warnings.push_back(to_text(w));
        return std::move(out_);
    }

private:
    template <class Read>
    void gather(Read read) {
        try {
            read();
        } catch (const config_fault& fault) {
            problems_.push_back(fault.where);
        }
    }
    void whole(const yaml_file& file) {
        out_.sha256 = file.sha256;
        config_reader top(file, file.top(), "pipeline", common_);
        gather([&] { version(top); });
        gather([&] {
            for (const auto* node : top.items("blocks")) gather([&] { block(file, *node); });
            if (out_.stages.empty() && problems_.empty()) top.fail("blocks", "has no block");
        });
        gather([&] {
            if (auto mixing = top.optional_mapping("datamixing")) datamixing(*mixing);
        });
        gather([&] { top.done(); });
    }
    void version(config_reader& top) {
        const std::string given = top.text("version");
        unsigned major = 0, minor = 0;
        const char* const end = given.data() + given.size();
        auto [at, code] = std::from_chars(given.data(), end, major);
        const bool dot = code == std::errc() && at != end && *at == '.';
        const auto rest =
            dot ? std::from_chars(at + 1, end, minor) : std::from_chars_result{at, std::errc::invalid_argument};
        if (!dot || rest.ec != std::errc() || rest.ptr != end)
            top.fail("version", "is \"MAJOR.MINOR\", such as \"1.0\", not " + formats::quote(given));
        if (major > 1) top.fail("version", given + " is of the future: this reader knows 1.0");
        if (minor > 0) top.warn("version", given + " may have features that are not known here");
    }
    void block(const yaml_file& file, const yaml::node& node) {
        config_reader entry(file, node, "block " + std::to_string(++blocks_), common_);
        const std::string name = entry.text("name");
        config_reader named(file, node, "block " + formats::quote(name), common_);
        (void)named.text("name");
        const std::string type = named.text("type");
        auto drop_columns = named.optional_texts("drop_columns").value_or(std::vector<std::string>{});
        auto drop_duplicates = named.optional_texts("drop_duplicates").value_or(std::vector<std::string>{});
        auto config = named.optional_mapping("config");
        if (!config) named.fail(node, "needs 'config'");
        gather([&] { named.done(); });
        config_reader its(file, config->node(), named.what(), common_);
        any_block made = read_block(*common_.registry, type, named.at("type"), its);
        its.done();
        out_.stages.push_back({name, std::move(made), std::move(drop_columns), std::move(drop_duplicates)});
    }
    void datamixing(config_reader& mixing) {
        if (auto all = mixing.optional_mapping("auxiliary_instructions"))
            for (const auto& m : all->node().members) {
                const std::string& name = all->file().document[m.key].text;
                out_.auxiliary[name] = all->texts(name);
            }
        mixing.done();
    }

    config_reader::shared common_;
    pipeline out_;
    std::vector<taxonomy::problem> problems_;
    std::size_t blocks_ = 0;
};

}  // namespace lab::sdg::blocks
