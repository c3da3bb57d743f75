#include "lab/formats/hf_config.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(hf_configuration)

using lab::formats::hf_config;
using lab::formats::json;
using lab::formats::parse_hf_config;

namespace {

// As transformers 4 writes a Llama: rope_theta at the top, no head_dim.
json llama4() {
    return json{{"architectures", {"LlamaForCausalLM"}},
                {"model_type", "llama"},
                {"hidden_size", 64},
                {"intermediate_size", 96},
                {"num_hidden_layers", 2},
                {"num_attention_heads", 4},
                {"num_key_value_heads", 2},
                {"vocab_size", 100},
                {"max_position_embeddings", 512},
                {"rms_norm_eps", 1e-5},
                {"rope_theta", 50000.0},
                {"rope_scaling", nullptr},
                {"torch_dtype", "float16"},
                {"bos_token_id", 1},
                {"eos_token_id", 2},
                {"tie_word_embeddings", true}};
}
void refused(const json& value, std::string_view what) {
    BOOST_CHECK_EXCEPTION(
        (void)parse_hf_config(value, "config.json"), lab::format_error, [&](const lab::format_error& fault) {
            const std::string_view message = fault.what();
            const bool good = message.starts_with("config.json: ") && message.find(what) != message.npos;
            if (!good) BOOST_ERROR("unexpected message: " << message);
            return good;
        });
}
hf_config load(const std::string& name) {
    return lab::formats::load_hf_config(lab::test::fixture("formats/config_" + name + ".json"));
}

}  // namespace

BOOST_AUTO_TEST_CASE(reads_transformers_4) {
    const hf_config c = parse_hf_config(llama4(), "config.json");
    BOOST_TEST(c.head_dim == 16u);
    BOOST_TEST(c.num_key_value_heads == 2u);
    BOOST_TEST(c.rope.theta == 50000.0);
    BOOST_TEST(c.rope.type == "default");
    BOOST_TEST(c.rms_norm_eps == 1e-5);
    BOOST_TEST(c.tie_word_embeddings);
    BOOST_TEST(c.dtype == "float16");
    BOOST_TEST(c.eos_token_ids.size() == 1u);
    BOOST_TEST(!c.pad_token_id);
    BOOST_TEST(!c.sliding_window);
    BOOST_TEST(c.num_local_experts == 0u);
    json scaled = llama4();
    scaled["rope_scaling"] = {{"type", "linear"}, {"factor", 2.0}};
    BOOST_TEST(parse_hf_config(scaled, "p").rope.type == "linear");
    BOOST_TEST(parse_hf_config(scaled, "p").rope.factor == 2.0);
    BOOST_TEST(parse_hf_config(scaled, "p").rope.theta == 50000.0);
}

BOOST_AUTO_TEST_CASE(reads_what_transformers_5_writes) {
    const hf_config llama = load("llama");
    BOOST_TEST(llama.head_dim == 32u);  // explicit, not 64 / 4
    BOOST_TEST(llama.tie_word_embeddings);
    BOOST_TEST(llama.dtype == "bfloat16");
    BOOST_TEST(llama.eos_token_ids == (std::vector<std::int64_t>{2, 7}), boost::test_tools::per_element());
    BOOST_TEST(llama.rope.theta == 10000.0);
    const hf_config llama3 = load("llama3");
    BOOST_TEST(llama3.rope.type == "llama3");
    BOOST_TEST(llama3.rope.theta == 500000.0);
    BOOST_TEST(llama3.rope.factor == 8.0);
    BOOST_TEST(llama3.rope.original_max_position.value_or(0) == 8192u);
    const hf_config mistral = load("mistral");
    BOOST_TEST(mistral.sliding_window.value_or(0) == 16u);
    BOOST_TEST(mistral.head_dim == 16u);
    const hf_config mixtral = load("mixtral");
    BOOST_TEST(mixtral.num_local_experts == 8u);
    BOOST_TEST(mixtral.num_experts_per_tok == 2u);
    BOOST_TEST(!mixtral.sliding_window);
    BOOST_TEST(mixtral.head_dim == 16u);  // null in the file
    BOOST_TEST(mixtral.rope.theta == 1e6);
}

BOOST_AUTO_TEST_CASE(absent_fields_take_the_defaults_of_their_class) {
    json c{{"model_type", "mistral"}, {"hidden_size", 64},         {"intermediate_size", 96},
           {"num_hidden_layers", 1},  {"num_attention_heads", 16}, {"vocab_size", 9}};
    BOOST_TEST(parse_hf_config(c, "p").num_key_value_heads == 8u);
    BOOST_TEST(parse_hf_config(c, "p").sliding_window.value_or(0) == 4096u);
    c["num_key_value_heads"] = nullptr;
    c["sliding_window"] = nullptr;
    BOOST_TEST(parse_hf_config(c, "p").num_key_value_heads == 16u);
    BOOST_TEST(!parse_hf_config(c, "p").sliding_window);
    c["model_type"] = "llama";
    c.erase("num_key_value_heads");
    BOOST_TEST(parse_hf_config(c, "p").num_key_value_heads == 16u);
    c["model_type"] = "mixtral";
    BOOST_TEST(parse_hf_config(c, "p").num_local_experts == 8u);
    BOOST_TEST(parse_hf_config(c, "p").rms_norm_eps == 1e-5);
}

BOOST_AUTO_TEST_CASE(what_is_written_reads_back_the_same) {
    for (const char* name : {"llama", "llama3", "mistral", "mixtral"}) {
        const hf_config c = load(name);
        BOOST_TEST((parse_hf_config(lab::formats::to_json(c), name) == c), name);
    }
}

BOOST_AUTO_TEST_CASE(faults_name_the_field) {
    for (const char* key :
         {"model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size"}) {
        json c = llama4();
        c.erase(key);
        refused(c, "field '" + std::string(key) + "' is missing");
        c[key] = json::array();
        refused(c, "field '" + std::string(key) + "'");
    }
    const auto with = [](const char* key, json value) {
        json c = llama4();
        c[key] = std::move(value);
        return c;
    };
    refused(with("hidden_size", 0), "field 'hidden_size' is 0");
    refused(with("hidden_size", -64), "field 'hidden_size'");
    refused(with("hidden_size", 1e3), "field 'hidden_size'");
    refused(with("num_hidden_layers", std::size_t{1} << 40), "field 'num_hidden_layers' is 1099511627776");
    refused(with("hidden_size", 66), "hidden_size 66 is not a multiple of num_attention_heads 4");
    refused(with("num_key_value_heads", 3), "num_attention_heads 4 is not a multiple of num_key_value_heads 3");
    refused(with("head_dim", 15), "field 'head_dim' is 15");
    refused(with("rms_norm_eps", 0.0), "field 'rms_norm_eps'");
    refused(with("rope_theta", -1.0), "field 'rope_theta'");
    refused(with("rope_scaling", "linear"), "field 'rope_scaling'");
    refused(with("rope_parameters", {{"full_attention", {{"rope_theta", 1.0}}}}), "one table per layer type");
    refused(with("rope_parameters", {{"partial_rotary_factor", 0.5}}), "partial_rotary_factor");
    refused(with("sliding_window", 0), "field 'sliding_window'");
    refused(with("eos_token_id", "two"), "field 'eos_token_id'");
    refused(json::array(), "expected an object");
}

BOOST_AUTO_TEST_SUITE_END()
