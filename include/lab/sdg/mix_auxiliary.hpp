// Auxiliary samples: where a pipeline wrote another form of a document (corrected, summarised, as a list of facts),
// making that form is a task of its own. One sample for each such text: the document and an instruction, drawn by the
// seed, then the text. Instructions come from a pipeline file (`datamixing: auxiliary_instructions`), else from here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/core/rng.hpp"
#include "lab/sdg/mix_sample.hpp"
#include "lab/taxonomy/yaml_document.hpp"

namespace lab::sdg {

/// Instructions by the kind of text, InstructLab's `dataset_type`.
using auxiliary_instructions = std::map<std::string, std::vector<std::string>>;

[[nodiscard]] inline auxiliary_instructions default_auxiliary_instructions() {
    return {{"spellcheck", {"Correct the spelling of this text.", "Write this text again without spelling mistakes."}},
            {"summary_detailed",
             {"Summarise this text in detail.", "What does this text say? Give a thorough summary.",
              "Write a summary that leaves out nothing of importance."}},
            {"summary_extractive",
             {"Summarise this text with sentences taken from it.", "Which sentences of this text carry its content?"}},
            {"summary_atomic_facts",
             {"List the single facts that this text states.", "Break this text down into its facts, one a line."}}};
}

/// The instructions in a pipeline's YAML file, or in a mapping of kinds to lists. @throws io_error, format_error
[[nodiscard]] inline auxiliary_instructions read_auxiliary_instructions(const std::filesystem::path& file) {
    namespace yaml = taxonomy::yaml;
    const auto text = read_file(file);
    const auto at = [&](const auto& where) {
        return file.string() + ":" + std::to_string(where.line) + ":" + std::to_string(where.column);
    };
    yaml::document doc;
    try {
        doc = yaml::read(text);
    } catch (const yaml::syntax_error& fault) {
        throw format_error(explain(at(fault.at), fault.what()));
    }
    const yaml::node* top = &doc[doc.root];
    for (const auto* key : {"datamixing", "auxiliary_instructions"})
        if (top->kind == yaml::type::mapping)
            if (const auto* below = doc.find(*top, key)) top = below;
    if (top->kind != yaml::type::mapping)
        throw format_error(explain(at(top->at), "holds no auxiliary instructions",
                                   "write datamixing: {auxiliary_instructions: {KIND: [TEXT, ...]}}"));
    auxiliary_instructions out;
    for (const auto& m : top->members) {
        const auto& list = doc[m.value];
        const std::string& kind = doc[m.key].text;
        if (list.kind != yaml::type::sequence || list.items.empty())
            throw format_error(
                explain(at(list.at), "the instructions of " + formats::quote(kind) + " are no list of texts"));
        for (const auto id : list.items) {
            if (doc[id].kind != yaml::type::string || mix_detail::blank(doc[id].text))
                throw format_error(
                    explain(at(doc[id].at), "an instruction of " + formats::quote(kind) + " is no text"));
            out[kind].push_back(doc[id].text);
        }
    }
    return out;
}

/// The kind of text that a generated row is about; empty where it is the document itself.
[[nodiscard]] inline std::string auxiliary_kind(const mix_sample& s) {
    const auto kind = mix_detail::text_in(s.metadata, "dataset_type");
    const bool whole =
        mix_detail::text_in(s.metadata, "document").empty() || mix_detail::text_in(s.metadata, "raw_document").empty();
    return kind == "base_document" || whole ? std::string() : kind;
}

/// The auxiliary sample of a generated row. @return nothing where there is no instruction for its kind
[[nodiscard]] inline std::optional<mix_sample> auxiliary_sample(const mix_sample& s,
                                                                const auxiliary_instructions& instructions,
                                                                std::uint64_t seed) {
    const auto kind = auxiliary_kind(s);
    const auto known = instructions.find(kind);
    if (kind.empty() || known == instructions.end()) return std::nullopt;
    const auto raw = mix_detail::text_in(s.metadata, "raw_document"),
               made = mix_detail::text_in(s.metadata, "document");
    counter_rng rng(seed, hash64(made, hash64("auxiliary")));
    mix_sample out;
    out.messages =
        json::array({{{"role", "user"}, {"content", raw + "\n\n" + known->second[rng.below(known->second.size())]}},
                     {{"role", "assistant"}, {"content", made}}});
    out.leaf = s.leaf;
    out.kind = s.kind;
    out.metadata = {{"dataset_type", kind}, {"raw_document", raw}, {"dataset", "document_" + kind}};
    for (const auto* key : {"domain", "leaf", "leaf_node_path", "leaf_node_type", "kind"})
        if (s.metadata.contains(key)) out.metadata[key] = s.metadata[key];
    out.id = sha256_hex(formats::to_text(json::array({"auxiliary", kind, raw, made}))).substr(0, 32);
    return out;
}

}  // namespace lab::sdg
