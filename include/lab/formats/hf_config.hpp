// config.json of a Hugging Face model folder, as transformers 4 (`rope_theta`, `rope_scaling`) and 5
// (`rope_parameters`) write it, for decoder families of the Llama kind. Absent fields take the defaults of
// transformers' own configuration classes. Fields that change the arithmetic are read or refused, never ignored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"

namespace lab::formats {

/// `type` is transformers' rope_type: "default", "linear", "llama3", ... The rest belongs to the type that needs it.
struct rope_config {
    double theta = 10000.0;
    std::string type = "default";
    double factor = 1.0;
    double low_freq_factor = 1.0, high_freq_factor = 4.0;
    std::optional<std::size_t> original_max_position;
    friend bool operator==(const rope_config&, const rope_config&) = default;
};

struct hf_config {
    std::string model_type;                  ///< "llama", "mistral", "mixtral", ...
    std::vector<std::string> architectures;  ///< "LlamaForCausalLM"
    std::size_t hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
    std::size_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
    std::size_t vocab_size = 0, max_position_embeddings = 0;
    double rms_norm_eps = 1e-6;
    rope_config rope;
    std::string hidden_act = "silu";
    bool tie_word_embeddings = false, attention_bias = false, mlp_bias = false;
    std::optional<std::size_t> sliding_window;                   ///< positions that a query sees, itself included
    std::size_t num_local_experts = 0, num_experts_per_tok = 0;  ///< 0: a dense feed-forward
    std::optional<std::int64_t> bos_token_id, pad_token_id;
    std::vector<std::int64_t> eos_token_ids;  ///< one or several
    std::string dtype;                        ///< "bfloat16"; empty where the file does not say
    friend bool operator==(const hf_config&, const hf_config&) = default;
};

namespace hf_detail {

/// Larger than any real size, small enough that products of three sizes fit in 64 bits.
inline constexpr std::size_t size_limit = std::size_t{1} << 21;

[[nodiscard]] inline std::size_t bounded(std::optional<std::size_t> value, std::string_view key, std::string_view place,
                                         std::size_t limit = size_limit) {
    if (!value) throw format_error(explain(place, "field '" + std::string(key) + "' is missing"));
    if (*value == 0 || *value > limit)
        throw format_error(explain(place, "field '" + std::string(key) + "' is " + std::to_string(*value) +
                                              ", expected 1 to " + std::to_string(limit)));
    return *value;
}

[[nodiscard]] inline rope_config parse_rope(const json& object, double default_theta, std::string_view place) {
    rope_config rope;
    rope.theta = field_or<double>(object, "rope_theta", default_theta, place);
    for (const std::string_view key : {"rope_scaling", "rope_parameters"}) {
        const auto table = optional_field<json>(object, key, place);
        if (!table) continue;
        const std::string inside = field_place(key, place);
        if (!table->is_object())
            throw format_error(explain(inside, "expected an object, found " + std::string(table->type_name())));
        for (const auto& [name, value] : table->items())
            if (value.is_object())
                throw format_error(
                    explain(inside, "holds one table per layer type (" + quote(name) + "), which is not supported"));
        rope.theta = field_or<double>(*table, "rope_theta", rope.theta, inside);
        auto type = optional_field<std::string>(*table, "rope_type", inside);
        if (!type) type = optional_field<std::string>(*table, "type", inside);
        rope.type = type.value_or("default");
        rope.factor = field_or<double>(*table, "factor", 1.0, inside);
        rope.low_freq_factor = field_or<double>(*table, "low_freq_factor", 1.0, inside);
        rope.high_freq_factor = field_or<double>(*table, "high_freq_factor", 4.0, inside);
        rope.original_max_position = optional_field<std::size_t>(*table, "original_max_position_embeddings", inside);
        if (field_or<double>(*table, "partial_rotary_factor", 1.0, inside) != 1.0)
            throw format_error(explain(inside, "partial_rotary_factor other than 1 is not supported"));
    }
    if (!(rope.theta > 0)) throw format_error(explain(place, "field 'rope_theta' must be positive"));
    if (!(rope.factor > 0)) throw format_error(explain(place, "field 'factor' of the rope scaling must be positive"));
    return rope;
}

}  // namespace hf_detail

/// @param place opens every message: the file.
/// @throws format_error naming the field that is missing, of the wrong type, or contradicts another.
[[nodiscard]] inline hf_config parse_hf_config(const json& object, std::string_view place) {
    using hf_detail::bounded;
    const auto size = [&](std::string_view key) {
        return bounded(optional_field<std::size_t>(object, key, place), key, place);
    };
    const auto size_or = [&](std::string_view key, std::size_t fallback) {
        return bounded(field_or<std::size_t>(object, key, fallback, place), key, place);
    };
    const auto refuse = [&](const std::string& what) { throw format_error(explain(place, what)); };

    hf_config c;
    c.model_type = field<std::string>(object, "model_type", place);
    const bool mistral = c.model_type == "mistral", mixtral = c.model_type == "mixtral";
    c.architectures = field_or<std::vector<std::string>>(object, "architectures", {}, place);
    c.hidden_size = size("hidden_size");
    c.intermediate_size = size("intermediate_size");
    c.num_hidden_layers = size("num_hidden_layers");
    c.num_attention_heads = size("num_attention_heads");
    // Present but null means "as many as there are heads"; absent takes the class's default.
    const bool grouped_by_default = (mistral || mixtral) && !object.contains("num_key_value_heads");
    c.num_key_value_heads = size_or("num_key_value_heads", grouped_by_default ? 8 : c.num_attention_heads);
    c.vocab_size = size("vocab_size");
    c.max_position_embeddings =
        bounded(field_or<std::size_t>(object, "max_position_embeddings", mistral || mixtral ? 131072 : 2048, place),
                "max_position_embeddings", place, std::size_t{1} << 31);
    c.head_dim = field_or<std::size_t>(object, "head_dim", 0, place);
    if (c.head_dim == 0) {
        if (c.hidden_size % c.num_attention_heads != 0)
            refuse("hidden_size " + std::to_string(c.hidden_size) + " is not a multiple of num_attention_heads " +
                   std::to_string(c.num_attention_heads) + " and field 'head_dim' is missing");
        c.head_dim = c.hidden_size / c.num_attention_heads;
    }
    (void)bounded(c.head_dim, "head_dim", place);
    if (c.head_dim % 2 != 0)
        refuse("field 'head_dim' is " + std::to_string(c.head_dim) + ", rotary embeddings need an even one");
    if (c.num_attention_heads % c.num_key_value_heads != 0)
        refuse("num_attention_heads " + std::to_string(c.num_attention_heads) +
               " is not a multiple of num_key_value_heads " + std::to_string(c.num_key_value_heads));

    c.rms_norm_eps = field_or<double>(object, "rms_norm_eps", mixtral ? 1e-5 : 1e-6, place);
    if (!(c.rms_norm_eps > 0)) refuse("field 'rms_norm_eps' must be positive");
    c.rope = hf_detail::parse_rope(object, mixtral ? 1e6 : 1e4, place);
    c.hidden_act = field_or<std::string>(object, "hidden_act", "silu", place);
    c.tie_word_embeddings = field_or<bool>(object, "tie_word_embeddings", false, place);
    c.attention_bias = field_or<bool>(object, "attention_bias", false, place);
    c.mlp_bias = field_or<bool>(object, "mlp_bias", false, place);

    if (!object.contains("sliding_window")) {
        if (mistral) c.sliding_window = 4096;
    } else if (field_or<bool>(object, "use_sliding_window", true, place)) {
        c.sliding_window = optional_field<std::size_t>(object, "sliding_window", place);
        if (c.sliding_window == std::size_t{0}) refuse("field 'sliding_window' must be positive or null");
    }
    c.num_local_experts = field_or<std::size_t>(object, "num_local_experts", mixtral ? 8 : 0, place);
    if (c.num_local_experts != 0) {
        (void)bounded(c.num_local_experts, "num_local_experts", place, 4096);
        c.num_experts_per_tok = bounded(field_or<std::size_t>(object, "num_experts_per_tok", 2, place),
                                        "num_experts_per_tok", place, c.num_local_experts);
    }

    c.bos_token_id = optional_field<std::int64_t>(object, "bos_token_id", place);
    c.pad_token_id = optional_field<std::int64_t>(object, "pad_token_id", place);
    if (const auto eos = optional_field<json>(object, "eos_token_id", place)) {
        if (eos->is_array())
            c.eos_token_ids = field<std::vector<std::int64_t>>(object, "eos_token_id", place);
        else
            c.eos_token_ids = {field<std::int64_t>(object, "eos_token_id", place)};
    }
    c.dtype = field_or<std::string>(object, "dtype", field_or<std::string>(object, "torch_dtype", "", place), place);
    return c;
}

/// @param path config.json, or the folder that holds it.
[[nodiscard]] inline hf_config load_hf_config(const std::filesystem::path& path) {
    const auto file = std::filesystem::is_directory(path) ? path / "config.json" : path;
    return parse_hf_config(parse_json(read_file(file), file.string()), file.string());
}

/// A config.json that transformers 4 and 5 both read as `c`.
[[nodiscard]] inline json to_json(const hf_config& c) {
    const auto or_null = [](const auto& value) { return value ? json(*value) : json(nullptr); };
    json rope{{"rope_type", c.rope.type}};
    if (c.rope.type != "default") rope["factor"] = c.rope.factor;
    if (c.rope.type == "llama3")
        rope["low_freq_factor"] = c.rope.low_freq_factor, rope["high_freq_factor"] = c.rope.high_freq_factor;
    if (c.rope.original_max_position) rope["original_max_position_embeddings"] = *c.rope.original_max_position;
    json rope_with_theta = rope;
    rope_with_theta["rope_theta"] = c.rope.theta;

    json out{{"architectures", c.architectures},
             {"model_type", c.model_type},
             {"hidden_size", c.hidden_size},
             {"intermediate_size", c.intermediate_size},
             {"num_hidden_layers", c.num_hidden_layers},
             {"num_attention_heads", c.num_attention_heads},
             {"num_key_value_heads", c.num_key_value_heads},
             {"head_dim", c.head_dim},
             {"vocab_size", c.vocab_size},
             {"max_position_embeddings", c.max_position_embeddings},
             {"rms_norm_eps", c.rms_norm_eps},
             {"rope_theta", c.rope.theta},
             {"rope_scaling", c.rope.type == "default" ? json(nullptr) : rope},
             {"rope_parameters", rope_with_theta},
             {"hidden_act", c.hidden_act},
             {"tie_word_embeddings", c.tie_word_embeddings},
             {"bos_token_id", or_null(c.bos_token_id)},
             {"pad_token_id", or_null(c.pad_token_id)},
             {"use_cache", true}};
    if (c.attention_bias) out["attention_bias"] = true;
    if (c.mlp_bias) out["mlp_bias"] = true;
    if (c.eos_token_ids.empty())
        out["eos_token_id"] = nullptr;
    else
        out["eos_token_id"] = c.eos_token_ids.size() == 1 ? json(c.eos_token_ids.front()) : json(c.eos_token_ids);
    if (c.sliding_window || c.model_type == "mistral" || c.model_type == "mixtral")
        out["sliding_window"] = or_null(c.sliding_window);
    if (c.num_local_experts != 0)
        out["num_local_experts"] = c.num_local_experts, out["num_experts_per_tok"] = c.num_experts_per_tok;
    if (!c.dtype.empty()) out["torch_dtype"] = c.dtype;
    return out;
}

}  // namespace lab::formats
