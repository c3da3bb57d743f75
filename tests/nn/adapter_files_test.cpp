// Adapters in and out of files, against PEFT and PyTorch (tests/goldens/lora_goldens.py), and what is learnt beside a
// frozen base.
#include "lab/nn/adapter_files.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "lab/nn/batch_builder.hpp"
#include "lab/nn/load.hpp"
#include "lab/nn/load_trainable.hpp"
#include "lab/nn/save.hpp"
#include "lab/optim/adamw.hpp"
#include "lab/optim/clip.hpp"
#include "nn/difference.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(adapter_files)

namespace {

using namespace lab;

struct golden {
    golden(const std::string& base_name, const std::string& adapter_name)
        : base(test::fixture("nn") / base_name),
          adapter(test::fixture("nn") / adapter_name),
          given(formats::open_safetensors(base / "golden.safetensors")),
          expected(formats::open_safetensors(adapter / "golden.safetensors")),
          targets(tokens("train.targets")) {
        const auto all = tokens("train.tokens"), offsets = tokens("train.offsets");
        for (std::size_t s = 0; s + 1 < offsets.size(); ++s)
            batch.add(std::span(all).subspan(static_cast<std::size_t>(offsets[s]),
                                             static_cast<std::size_t>(offsets[s + 1] - offsets[s])));
        for (const token t : targets) count += t != no_token ? 1.0 : 0.0;
    }
    [[nodiscard]] std::vector<token> tokens(const std::string& key) const {
        std::vector<token> list;
        for (const float x : formats::to_floats(given.require(key))) list.push_back(static_cast<token>(x));
        return list;
    }
    [[nodiscard]] std::vector<float> floats(const std::string& key) const {
        return formats::to_floats(expected.require(key));
    }
    [[nodiscard]] nn::any_model load(std::size_t threads = 2) const {
        return nn::load_trainable(base,
                                  {.threads = threads, .compute = compute::f32, .pack = false, .adapter = adapter});
    }

    std::filesystem::path base, adapter;
    formats::checkpoint given, expected;
    nn::batch_builder batch;
    std::vector<token> targets;
    double count = 0;
};
const std::pair<const char*, const char*> pairs[] = {
    {"llama", "lora_llama"}, {"mistral", "lora_mistral"}, {"mixtral", "lora_mixtral"}};

std::vector<float> all_logits(nn::any_model model, const std::vector<token>& tokens) {
    auto cache = model.make_cache();
    const std::vector ids{cache.create()};
    nn::batch_builder batch;
    batch.add(tokens);
    std::vector<std::uint32_t> rows(tokens.size());
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::uint32_t>(i);
    const auto logits = model.forward(batch.get(), cache, ids, rows);
    return {logits.flat().begin(), logits.flat().end()};
}
/// Largest difference, as a share of the expected values' range.
double apart(const std::vector<float>& actual, const std::vector<float>& expected) {
    BOOST_REQUIRE(actual.size() == expected.size());
    const auto [low, high] = std::minmax_element(expected.begin(), expected.end());
    double worst = 0;
    for (std::size_t i = 0; i < actual.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(actual[i] - expected[i])));
    return worst / static_cast<double>(*high - *low);
}
/// A tensor of the adapter as PEFT holds it.
std::vector<float> as_peft(const nn::low_rank<const float>& layout, std::span<const float> values, char which) {
    const std::size_t rank = layout.a.extent(0), in = layout.a.extent(1), out = layout.b_turned.extent(1);
    if (which == 'A') return {values.begin(), values.begin() + static_cast<std::ptrdiff_t>(rank * in)};
    std::vector<float> b(out * rank);
    for (std::size_t k = 0; k < rank; ++k)
        for (std::size_t i = 0; i < out; ++i) b[i * rank + k] = values[rank * in + k * out + i];
    return b;
}

/// A copy of an adapter's folder to spoil.
struct copy_of {
    explicit copy_of(const std::filesystem::path& from) {
        for (const char* name : {"adapter_config.json", "adapter_model.safetensors"})
            std::filesystem::copy_file(from / name, folder / name);
    }
    void set(const char* field, const formats::json& value) const {
        auto config = formats::parse_json(read_file(folder / "adapter_config.json"), "config");
        config[field] = value;
        std::ofstream(folder / "adapter_config.json") << config.dump();
    }
    test::temporary_folder folder;
};

}  // namespace

BOOST_AUTO_TEST_CASE(logits_loss_and_gradients_match_peft) {
    for (const auto& names : pairs) {
        BOOST_TEST_CONTEXT(names.second) {
            const golden g(names.first, names.second);
            auto model = g.load();
            BOOST_TEST(apart(all_logits(model, g.tokens("tokens")), g.floats("logits")) < 1e-4);
            const double sum = model.loss_and_gradients(g.batch.get(), g.targets, 1.0 / g.count);
            BOOST_TEST(sum / g.count == static_cast<double>(g.floats("train.loss")[0]),
                       boost::test_tools::tolerance(1e-5));
            BOOST_TEST(model.loss(g.batch.get(), g.targets) == sum);
            std::size_t at = 0;
            for (std::size_t i = 0; i < model.weights().size(); ++i) {
                const auto layout = model.adapters()[i];
                if (!layout) continue;
                const auto size = layout.a.size() + layout.b_turned.size();
                for (const char which : {'A', 'B'}) {
                    const auto name = nn::detail::adapter_tensor_name(model.weights()[i].info, which);
                    const auto expected = g.floats("grad." + name);
                    const auto actual = as_peft(layout, model.gradients().subspan(at, size), which);
                    BOOST_REQUIRE(expected.size() == actual.size());
                    BOOST_TEST_INFO(name);
                    BOOST_TEST(test::relative_difference(actual, expected) < 1e-4);
                }
                at += size;
            }
            BOOST_TEST(at == model.parameters().size());
        }
    }
}

BOOST_AUTO_TEST_CASE(ten_adamw_steps_match_pytorch) {
    for (const auto& names : pairs) {
        BOOST_TEST_CONTEXT(names.second) {
            const golden g(names.first, names.second);
            auto model = g.load();
            optim::adamw optimizer({.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1},
                                   optim::decay_ranges(model), &model.pool());
            for (const float expected : g.floats("train.losses")) {
                model.zero_gradients();
                const double loss = model.loss_and_gradients(g.batch.get(), g.targets, 1.0 / g.count) / g.count;
                BOOST_TEST(loss == static_cast<double>(expected), boost::test_tools::tolerance(1e-4));
                const double norm = optim::global_norm(model.gradients(), &model.pool());
                optimizer.step(model.parameters(), model.gradients(), 1e-2, optim::clip_scale(norm, 1.0));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_fresh_adapter_gives_the_loss_of_its_base_to_the_bit) {
    const golden g("llama", "lora_llama");
    const test::temporary_folder folder;
    const auto check = [&](const std::filesystem::path& path, std::optional<dtype> expand) {
        auto base = nn::load_trainable(path, {.threads = 2});
        auto adapted = nn::load_trainable(path, {.expand = expand, .threads = 1, .lora = nn::lora_options{.rank = 5}});
        BOOST_TEST(adapted.loss(g.batch.get(), g.targets) == base.loss(g.batch.get(), g.targets));
        BOOST_TEST(adapted.loss_and_gradients(g.batch.get(), g.targets, 1.0) == base.loss(g.batch.get(), g.targets));
        BOOST_TEST(adapted.parameters().size() == adapted.adapter_parameter_count());
        BOOST_TEST(adapted.parameters().size() < base.parameters().size());
        // B is zero, so A has no gradient yet, and B has one.
        const auto layout = adapted.adapters()[2];
        const auto gradients = adapted.gradients();
        BOOST_TEST(std::all_of(gradients.begin(), gradients.begin() + static_cast<std::ptrdiff_t>(layout.a.size()),
                               [](float x) { return x == 0.0f; }));
        BOOST_TEST(gradients[layout.a.size()] != 0.0f);
        return adapted;
    };
    check(g.base, {});
    const auto stored = nn::load_model(g.base, {.threads = 1, .pack = false});
    for (const auto type : {dtype::q8_0, dtype::q4_0, dtype::bf16}) {
        BOOST_TEST_CONTEXT(name_of(type)) {
            const auto file = folder / (std::string(name_of(type)) + ".gguf");
            nn::save_gguf(stored, file, {.type = type});
            const auto from_file = check(file, {});
            BOOST_TEST((from_file.weights()[2].data.type == type));
            // Quantised while it is loaded: the same layers, beside tables as stored.
            const auto on_the_way =
                nn::load_trainable(g.base, {.expand = type, .threads = 1, .lora = nn::lora_options{.rank = 5}});
            BOOST_TEST((on_the_way.weights()[0].data.type == dtype::f32));
            BOOST_TEST((on_the_way.weights()[2].data.type == type));
        }
    }
}

BOOST_AUTO_TEST_CASE(dropout_depends_on_the_step_and_on_nothing_else) {
    const golden g("llama", "lora_llama");
    const auto learn = [&](std::size_t threads, std::uint64_t step, double rate) {
        auto model = nn::load_trainable(
            g.base, {.threads = threads, .lora = nn::lora_options{.dropout = rate, .seed = 4}, .adapter = g.adapter});
        model.begin_step(step);
        double sum = 0;
        for (int pass = 0; pass < 2; ++pass) sum += model.loss_and_gradients(g.batch.get(), g.targets, 1.0);
        BOOST_TEST(model.loss(g.batch.get(), g.targets) / g.count ==
                       static_cast<double>(g.floats("train.loss")[0]),  // what is only measured leaves nothing out
                   boost::test_tools::tolerance(1e-5));
        std::vector<float> result(model.gradients().begin(), model.gradients().end());
        result.push_back(static_cast<float>(sum));
        return result;
    };
    const auto once = learn(1, 7, 0.2);
    BOOST_TEST((learn(3, 7, 0.2) == once));
    BOOST_TEST((learn(1, 8, 0.2) != once));
    BOOST_TEST((learn(1, 7, 0.0) != once));
    BOOST_TEST((learn(1, 7, 0.0) == learn(2, 8, 0.0)));
}

BOOST_AUTO_TEST_CASE(what_was_read_is_written_as_it_was_from_either_row_order) {
    for (const auto& names : pairs) {
        BOOST_TEST_CONTEXT(names.second) {
            const golden g(names.first, names.second);
            const test::temporary_folder folder;
            nn::save_gguf(nn::load_model(g.base, {.threads = 1, .pack = false}), folder / "base.gguf");
            const auto from_gguf = nn::load_trainable(
                folder / "base.gguf", {.threads = 1, .compute = compute::f32, .pack = false, .adapter = g.adapter});
            BOOST_TEST(!from_gguf.info().half_split);
            BOOST_TEST(apart(all_logits(from_gguf, g.tokens("tokens")), g.floats("logits")) < 1e-4);
            for (const auto& model : {g.load(), from_gguf}) {
                nn::save_adapter(model, folder / "adapter");
                const auto a = formats::open_safetensors(g.adapter / "adapter_model.safetensors"),
                           b = formats::open_safetensors(folder / "adapter/adapter_model.safetensors");
                BOOST_REQUIRE(a.tensors().size() == b.tensors().size());
                for (const auto& tensor : a.tensors()) {
                    const auto& other = b.require(tensor.name);
                    BOOST_TEST(other.shape == tensor.shape, boost::test_tools::per_element());
                    BOOST_TEST((formats::to_floats(other) == formats::to_floats(tensor)));
                }
                const auto was = formats::parse_json(read_file(g.adapter / "adapter_config.json"), "was"),
                           is = formats::parse_json(read_file(folder / "adapter/adapter_config.json"), "is");
                for (const char* field : {"peft_type", "task_type", "r", "lora_alpha", "use_rslora", "bias"})
                    BOOST_TEST(is[field] == was[field], field);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(merged_weights_are_the_adapted_model) {
    const golden g("llama", "lora_llama");
    const test::temporary_folder folder;
    const auto adapted = g.load();
    nn::save_safetensors(adapted, folder / "merged");
    const auto merged = nn::load_model(folder / "merged", {.threads = 1, .compute = compute::f32});
    BOOST_TEST(merged.lora() == nullptr);
    BOOST_TEST(apart(all_logits(merged, g.tokens("tokens")), g.floats("logits")) < 1e-4);
    nn::save_gguf(adapted, folder / "merged.gguf", {.type = dtype::q8_0});
    const auto quantised = nn::load_model(folder / "merged.gguf", {.threads = 1, .compute = compute::f32});
    BOOST_TEST((quantised.weights()[2].data.type == dtype::q8_0));
    const double rounded = apart(all_logits(quantised, g.tokens("tokens")), g.floats("logits"));
    BOOST_TEST(rounded < 0.05);
    BOOST_TEST(rounded > 1e-5);
    // Into a base of the same type that it was learnt beside.
    nn::save_gguf(nn::load_model(g.base, {.threads = 1, .pack = false}), folder / "base.gguf", {.type = dtype::q8_0});
    nn::save_gguf(nn::load_trainable(folder / "base.gguf", {.threads = 1, .pack = false, .adapter = g.adapter}),
                  folder / "again.gguf");
    const auto again = nn::load_model(folder / "again.gguf", {.threads = 1, .compute = compute::f32});
    BOOST_TEST((again.weights()[2].data.type == dtype::q8_0));
    BOOST_TEST(apart(all_logits(again, g.tokens("tokens")), g.floats("logits")) < 0.05);
}

BOOST_AUTO_TEST_CASE(adapters_of_another_kind_are_refused) {
    const auto adapter = test::fixture("nn") / "lora_llama", base = test::fixture("nn") / "llama";
    const auto load = [&](const std::filesystem::path& folder) {
        static_cast<void>(nn::load_trainable(base, {.threads = 1, .pack = false, .adapter = folder}));
    };
    for (const auto& change : std::vector<std::pair<const char*, formats::json>>{{"peft_type", "IA3"},
                                                                                 {"use_dora", true},
                                                                                 {"fan_in_fan_out", true},
                                                                                 {"bias", "all"},
                                                                                 {"rank_pattern", {{"q_proj", 8}}},
                                                                                 {"alpha_pattern", {{"q_proj", 8}}},
                                                                                 {"modules_to_save", {"lm_head"}},
                                                                                 {"init_lora_weights", "pissa"}}) {
        const copy_of spoilt(adapter);
        spoilt.set(change.first, change.second);
        BOOST_TEST_INFO(change.first);
        BOOST_CHECK_EXCEPTION(load(spoilt.folder.path()), config_error, [&](const config_error& e) {
            return std::string(e.what()).find(change.first) != std::string::npos;
        });
    }
    const copy_of other_rank(adapter);
    other_rank.set("r", 5);
    BOOST_CHECK_THROW(load(other_rank.folder.path()), shape_error);
    const copy_of no_alpha(adapter);
    no_alpha.set("lora_alpha", 0);
    BOOST_CHECK_THROW(load(no_alpha.folder.path()), format_error);
    const copy_of alone(adapter);
    std::filesystem::remove(alone.folder / "adapter_model.safetensors");
    BOOST_CHECK_THROW(load(alone.folder.path()), io_error);
    // Of another model: other widths, other layers.
    BOOST_CHECK_THROW(static_cast<void>(nn::load_trainable(test::fixture("nn") / "llama_tied_bf16",
                                                           {.threads = 1, .pack = false, .adapter = adapter})),
                      lab::error);
    // One tensor of a pair, and a tensor that no layer takes.
    const auto file = formats::open_safetensors(adapter / "adapter_model.safetensors");
    const auto rewrite = [&](const copy_of& copy, std::size_t leave_out, const char* renamed) {
        formats::safetensors_writer writer;
        for (std::size_t i = 0; i < file.tensors().size(); ++i) {
            const auto& t = file.tensors()[i];
            if (i == leave_out) continue;
            writer.add(formats::outgoing_tensor::of(i == 0 && renamed != nullptr ? renamed : t.name, t.type, t.shape,
                                                    t.bytes));
        }
        writer.write(copy.folder / "adapter_model.safetensors");
    };
    const copy_of widow(adapter), stranger(adapter);
    rewrite(widow, 1, nullptr);
    BOOST_CHECK_THROW(load(widow.folder.path()), format_error);
    rewrite(stranger, 999, "base_model.model.lm_head.lora_A.weight");
    BOOST_CHECK_THROW(load(stranger.folder.path()), lab::error);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_adapted_says_so) {
    const auto load = [](const char* name, nn::load_options options) {
        options.threads = 1;
        return nn::load_trainable(test::fixture("nn") / name, options);
    };
    BOOST_CHECK_THROW(static_cast<void>(load("mixtral", {.lora = nn::lora_options{.targets = {"router"}}})),
                      config_error);
    BOOST_CHECK_THROW(
        static_cast<void>(load("llama", {.expand = dtype::f32, .extra_tokens = 2, .lora = nn::lora_options{}})),
        config_error);
    BOOST_CHECK_THROW(static_cast<void>(load("llama", {.lora = nn::lora_options{.targets = {"head"}}})), config_error);
    const test::temporary_folder folder;
    BOOST_CHECK_THROW(nn::save_adapter(load("llama", {}), folder / "a"), config_error);
    BOOST_CHECK_THROW(nn::save_adapter(load("llama", {.lora = nn::lora_options{}}), folder / "a", dtype::q8_0),
                      config_error);
}

BOOST_AUTO_TEST_SUITE_END()
