// lab-model, lab-chat and lab-generate run as processes: what they print, what they write, and how they refuse.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <fstream>

#include "lab/formats/json.hpp"
#include "lab/nn/load_trainable.hpp"
#include "lab/nn/synthetic.hpp"
#include "lab/tokenizer/load.hpp"
#include "model/small_model.hpp"
#include "support/process.hpp"

BOOST_AUTO_TEST_SUITE(model_apps)

using namespace lab;
using test::finished;

namespace {

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct workplace {
    test::temporary_folder folder;
    std::string gguf, model_folder, text;

    workplace()
        : gguf((folder / "small.gguf").string()),
          model_folder((folder / "small").string()),
          text((folder / "text.txt").string()) {
        const auto model = test::small_model("llama", test::byte_vocabulary);
        nn::save_gguf(model, gguf, {.tokenizer = test::byte_tokenizer_folder()});
        nn::save_safetensors(model, model_folder, {.tokenizer = test::byte_tokenizer_folder()});
        std::ofstream(text) << "Ferries leave the quay at nine, and a bell is rung.";
    }
    /// One whose keys and values of 64 positions take 2 MiB.
    std::string wide_model() const {
        const auto file = (folder / "wide.gguf").string();
        const nn::runtime_dims d{.dim = 32,
                                 .layers = 16,
                                 .heads = 8,
                                 .kv_heads = 8,
                                 .head_dim = 64,
                                 .hidden = 32,
                                 .vocab = test::byte_vocabulary};
        nn::save_gguf(nn::make_synthetic(d, dtype::q4_0, {.threads = 1, .pack = false}), file,
                      {.tokenizer = test::byte_tokenizer_folder()});
        return file;
    }
    finished model(std::vector<std::string> arguments) const { return run(LAB_MODEL_APP, std::move(arguments)); }
    finished run(const char* app, std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), app);
        return test::execute(arguments, folder.path(), [] { return false; });
    }
    /// stdout of a call that must succeed.
    std::string output(std::vector<std::string> arguments) const {
        const auto result = model(std::move(arguments));
        BOOST_REQUIRE_MESSAGE(result.code == 0, result.err);
        return result.out;
    }
    formats::json tokens(std::vector<std::string> arguments, const std::string& model = {}) const {
        arguments.insert(arguments.begin(), {"tokenize", "--model", model.empty() ? gguf : model});
        return formats::parse_json(output(std::move(arguments)), "tokenize");
    }
    /// What `logits` wrote: rows of `test::byte_vocabulary` floats.
    std::vector<float> logits(const std::string& model, const std::string& tokens, std::size_t count) const {
        const auto file = (folder / "logits.npy").string();
        output({"logits", "--model", model, "--tokens", tokens, "--out", file, "--threads", "1"});
        const std::string bytes = read_file(file);
        const std::size_t data = count * test::byte_vocabulary * sizeof(float);
        BOOST_REQUIRE(bytes.size() > data);
        const std::string head = bytes.substr(0, bytes.size() - data);
        BOOST_TEST(head.starts_with("\x93NUMPY"));
        BOOST_TEST(mentions(head, "'<f4'"));
        BOOST_TEST(mentions(head, "(" + std::to_string(count) + ", 260)"));
        std::vector<float> values(count * test::byte_vocabulary);
        std::memcpy(values.data(), bytes.data() + head.size(), data);
        return values;
    }
    /// Whether two models mean the same: the rotary layouts of the two containers sum in different orders.
    void expect_near(const std::vector<float>& a, const std::vector<float>& b) const {
        BOOST_REQUIRE(a.size() == b.size());
        float largest = 0, apart = 0;
        for (std::size_t i = 0; i < a.size(); ++i) {
            largest = std::max(largest, std::abs(a[i]));
            apart = std::max(apart, std::abs(a[i] - b[i]));
        }
        BOOST_TEST(apart <= 1e-5f * largest);
        BOOST_TEST(largest > 0.0f);
    }
    void expect(const finished& result, int code, const std::string& part) const {
        BOOST_TEST(result.code == code, result.err);
        BOOST_TEST(mentions(result.err, part), result.err);
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(info_describes_files_and_folders) {
    const workplace w;
    const auto file = formats::parse_json(w.output({"info", w.gguf, "--json"}), "info");
    BOOST_TEST(file["format"] == "gguf");
    BOOST_TEST(file["metadata"]["general.architecture"] == "llama");
    BOOST_TEST(file["metadata"]["tokenizer.ggml.tokens"]["count"] == 260);
    const auto folder = formats::parse_json(w.output({"info", w.model_folder, "--json"}), "info");
    BOOST_TEST(folder["format"] == "safetensors");
    BOOST_TEST(folder["metadata"]["vocab_size"] == 260);
    BOOST_TEST(folder["parameters"] == file["parameters"]);
    BOOST_TEST(folder["tensors"].size() == file["tensors"].size());
    const auto text = w.output({"info", w.gguf, "--tensors"});
    BOOST_TEST(mentions(text, "tokenizer.ggml.tokens = [260 x string]"));
    BOOST_TEST(mentions(text, "token_embd.weight  f32 [260,"));
    // A table that looks like the summary of a long array, but is none.
    auto config = formats::parse_json(read_file(w.model_folder + "/config.json"), "config");
    config["odd"] = {{"count", 1}, {"type", nullptr}};
    config["odder"] = {{"count", 1}};
    write_file_atomically(w.model_folder + "/config.json", formats::to_text(config));
    BOOST_TEST(mentions(w.output({"info", w.model_folder}), "odder"));
}

BOOST_AUTO_TEST_CASE(tokenize_there_and_back) {
    const workplace w;
    const auto tokens = tokenizer::load_tokenizer(test::byte_tokenizer_folder());
    const std::string text = "on the ferry <|im_end|>";
    const auto plain = w.tokens({"--text", text});
    BOOST_TEST(plain == formats::json(tokens.encode(text)));
    BOOST_TEST(plain == w.tokens({"--text", text}, w.model_folder));
    const auto special = w.tokens({"--text", text, "--parse-special"});
    BOOST_TEST(special.back() == 259);
    BOOST_TEST(plain.back() != 259);
    BOOST_TEST(w.tokens({"--file", w.text}) == formats::json(tokens.encode(read_file(w.text))));
    BOOST_TEST(w.output({"tokenize", "--model", w.gguf, "--text", formats::to_text(special), "--decode"}) == text);
    BOOST_TEST(w.output({"tokenize", "--model", w.gguf, "--text", "68, 256", "--decode"}) ==
               tokens.decode(std::vector<token>{68, 256}));

    const auto pieces = test::fixture("tokenizer/spm_bytes.gguf").string();
    const auto bare = w.tokens({"--text", "hi"}, pieces), framed = w.tokens({"--text", "hi", "--bos", "--eos"}, pieces);
    BOOST_TEST(framed.size() == bare.size() + 2);
    BOOST_TEST(framed.front() == 1);
    BOOST_TEST(framed.back() == 2);
}

BOOST_AUTO_TEST_CASE(logits_and_perplexity_agree) {
    const workplace w;
    const auto ids = w.tokens({"--file", w.text}).get<std::vector<token>>();
    BOOST_REQUIRE(ids.size() >= 32u);
    std::string window;
    for (std::size_t i = 0; i < 32; ++i) window += (i == 0 ? "" : ",") + std::to_string(ids[i]);
    const auto logits = w.logits(w.gguf, window, 32);
    w.expect_near(logits, w.logits(w.model_folder, window, 32));
    // One window, the second half scored: row i predicts token i + 1.
    double sum = 0;
    std::size_t scored = 0;
    for (std::size_t i = 16; i < 31; ++i, ++scored) {
        const float* row = logits.data() + i * test::byte_vocabulary;
        double total = 0;
        for (std::size_t t = 0; t < test::byte_vocabulary; ++t) total += std::exp(static_cast<double>(row[t]));
        sum += std::log(total) - static_cast<double>(row[static_cast<std::size_t>(ids[i + 1])]);
    }
    const auto said = w.output({"perplexity", "--model", w.gguf, "--file", w.text, "--ctx", "32", "--threads", "1"});
    const auto last = said.substr(said.rfind("\nperplexity: ") + 1);
    double value = 0, error = -1;
    BOOST_REQUIRE(std::sscanf(last.c_str(), "perplexity: %lf +/- %lf\n", &value, &error) == 2);
    BOOST_TEST(value == std::exp(sum / static_cast<double>(scored)), boost::test_tools::tolerance(1e-3));
    BOOST_TEST(error > 0.0);
    const auto json = formats::parse_json(
        w.output({"perplexity", "--model", w.gguf, "--file", w.text, "--ctx", "32", "--threads", "1", "--json"}), "p");
    BOOST_TEST(json["perplexity"].get<double>() == value, boost::test_tools::tolerance(1e-4));
    BOOST_TEST(json["tokens"] == scored);
    BOOST_TEST(json["windows"] == 1);
}

BOOST_AUTO_TEST_CASE(convert_there_and_back) {
    const workplace w;
    const auto folder = (w.folder / "converted").string(), back = (w.folder / "back.gguf").string();
    w.output({"convert", w.gguf, folder});
    w.output({"convert", folder, back});
    for (const auto& model : {folder, back}) {
        w.expect_near(w.logits(model, "5,6,7", 3), w.logits(w.gguf, "5,6,7", 3));
        const auto ids = w.tokens({"--text", "on <|im_start|>er", "--parse-special"}, model);
        BOOST_TEST(ids == w.tokens({"--text", "on <|im_start|>er", "--parse-special"}));
    }
    BOOST_TEST(w.logits(back, "5,6,7", 3) == w.logits(w.gguf, "5,6,7", 3));
    const auto half = (w.folder / "half.gguf").string();
    w.output({"convert", w.gguf, half, "--type", "bf16"});
    BOOST_TEST(formats::parse_json(w.output({"info", half, "--json"}), "info")["types"].contains("bf16"));
}

BOOST_AUTO_TEST_CASE(quantize_and_how_far_that_is_from_the_original) {
    const workplace w;
    const auto out = [&](const char* name) { return (w.folder / name).string(); };
    const auto types = [&](const std::string& file) {
        return formats::parse_json(w.output({"info", file, "--json"}), "info")["types"];
    };
    const auto done = w.model({"quantize", w.gguf, out("q8.gguf"), "--type", "q8_0"});
    BOOST_REQUIRE_MESSAGE(done.code == 0, done.err);
    BOOST_TEST(mentions(done.err, "bits a weight"));
    BOOST_TEST(types(out("q8.gguf")).contains("q8_0"));
    BOOST_TEST(w.output({"quantize", w.gguf, out("q4.gguf"), "--type", "q4_0", "--quiet"}).empty());
    BOOST_TEST(types(out("q4.gguf")).contains("q4_0"));
    w.output({"quantize", w.gguf, out("mixed.gguf")});  // q4_k_m, of rows that are no whole blocks of it
    BOOST_TEST(types(out("mixed.gguf")).contains("q5_0"));
    w.output({"convert", w.gguf, out("converted.gguf"), "--type", "q4_k"});
    BOOST_TEST(types(out("converted.gguf")).contains("q5_0"));

    const auto apart = [&](const std::string& model, const std::string& original) {
        return formats::parse_json(w.output({"kl", "--model", model, "--against", original, "--file", w.text, "--ctx",
                                             "32", "--threads", "1", "--compute", "f32", "--json"}),
                                   "kl");
    };
    const auto same = apart(w.gguf, w.gguf), q8 = apart(out("q8.gguf"), w.gguf), q4 = apart(out("q4.gguf"), w.gguf);
    BOOST_TEST(same["kl"] == 0.0);
    BOOST_TEST(same["same_top"] == 1.0);
    BOOST_TEST(same["tokens"] == 15);
    BOOST_TEST(same["windows"] == 1);
    BOOST_TEST(q8["kl"].get<double>() > 0.0);
    BOOST_TEST(q4["kl"].get<double>() > 4 * q8["kl"].get<double>());  // 16 times as coarse
    BOOST_TEST(q4["original_perplexity"] == same["perplexity"]);
    BOOST_TEST(apart(w.gguf, out("q4.gguf"))["original_perplexity"] == q4["perplexity"]);
    BOOST_TEST(
        mentions(w.output({"kl", "--model", out("q8.gguf"), "--against", w.gguf, "--file", w.text, "--ctx", "32"}),
                 "15 predictions in 1 windows of 32"));

    w.expect(w.model({"quantize", w.gguf}), 2, "IN and OUT");
    w.expect(w.model({"quantize", w.gguf, out("folder")}), 2, ".gguf");
    w.expect(w.model({"quantize", w.gguf, out("x.gguf"), "--type", "q3_k"}), 1, "one of");
    w.expect(w.model({"kl", "--model", w.gguf, "--file", w.text}), 2, "--against is missing");
    BOOST_TEST(mentions(w.output({"quantize", "--help"}), "bf16"));
}

BOOST_AUTO_TEST_CASE(weights_that_are_no_numbers_or_would_be_none_are_named) {
    const workplace w;
    const auto with = [&](const char* name, float bad) {
        const nn::runtime_dims d{.dim = 256,
                                 .layers = 1,
                                 .heads = 4,
                                 .kv_heads = 2,
                                 .head_dim = 64,
                                 .hidden = 512,
                                 .vocab = test::byte_vocabulary};
        const auto model = nn::make_synthetic(d, dtype::f32, {.threads = 1, .pack = false});
        for (const auto& weight : model.weights())
            if (weight.info.role == "ffn.down")
                std::memcpy(const_cast<std::byte*>(weight.data.data) + 77 * weight.data.row_stride() + 4 * 300, &bad,
                            sizeof bad);
        const auto file = (w.folder / name).string();
        nn::save_gguf(model, file, {.tokenizer = test::byte_tokenizer_folder()});
        return file;
    };
    const auto large = with("large.gguf", 1e9f), broken = with("broken.gguf", std::nanf(""));
    const auto out = (w.folder / "out.gguf").string(), folder = (w.folder / "out").string();
    const std::string place = ".gguf: tensor 'model.layers.0.mlp.down_proj.weight', row 77, column 300 ";
    for (const char* type : {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"}) {
        const std::string holds = type;
        if (holds != "f32" && holds != "bf16") {
            const auto refusal = "large" + place + "is 1e+09, too large for " + type + " (store it as bf16 or f32)";
            w.expect(w.model({"quantize", large, out, "--type", type}), 1, refusal);
            w.expect(w.model({"convert", large, out, "--type", type}), 1, refusal);
        }
        w.expect(w.model({"quantize", broken, out, "--type", type}), 1, "broken" + place + "is not a number (the file");
    }
    w.expect(w.model({"convert", large, folder, "--type", "f16"}), 1, "large" + place + "is 1e+09, too large for f16");
    w.expect(w.model({"convert", broken, folder}), 1, "broken" + place + "is not a number");
    w.expect(w.model({"convert", broken, out}), 1, "broken" + place + "is not a number");
    BOOST_TEST(!std::filesystem::exists(out));
    w.output({"quantize", large, out, "--type", "bf16"});

    const std::vector<std::string> text{"--file", w.text, "--ctx", "32", "--threads", "1"};
    for (std::vector<std::string> call : {std::vector<std::string>{"perplexity", "--model", broken},
                                          {"kl", "--model", broken, "--against", large},
                                          {"kl", "--model", large, "--against", broken}}) {
        call.insert(call.end(), text.begin(), text.end());
        const auto result = w.model(call);
        w.expect(result, 1, "window 0, token 17: what the ");
        w.expect(result, 1, "predicts is not a number");
        BOOST_TEST(result.out.empty());
    }
}

BOOST_AUTO_TEST_CASE(no_model_is_written_over_what_it_is_made_from) {
    const workplace w;
    namespace fs = std::filesystem;
    const auto path = [&](const char* name) { return (w.folder / name).string(); };
    fs::create_symlink(w.gguf, path("link.gguf"));
    fs::create_hard_link(w.gguf, path("hard.gguf"));
    fs::create_directory_symlink(w.model_folder, path("link"));
    const auto adapted = nn::load_trainable(w.gguf, {.threads = 1, .pack = false, .lora = nn::lora_options{.rank = 1}});
    nn::save_adapter(adapted, path("adapter"));
    const auto before = read_file(w.gguf), weights = read_file(w.model_folder + "/model.safetensors");
    const auto refused = [&](const std::vector<std::string>& call) {
        w.expect(w.model(call), 2, "which it would overwrite");
        BOOST_TEST(read_file(w.gguf) == before);
        BOOST_TEST(read_file(w.model_folder + "/model.safetensors") == weights);
    };
    for (const auto& same : {w.gguf, path("link.gguf"), path("hard.gguf"), path("small/../small.gguf")}) {
        refused({"quantize", w.gguf, same, "--type", "q8_0"});
        refused({"convert", w.gguf, same, "--type", "f16"});
        refused({"merge", w.gguf, path("adapter"), same});
        refused({"quantize", w.model_folder, same, "--tokenizer", w.gguf});
    }
    for (const auto& same : {w.model_folder, path("link"), path("small/")})
        for (const auto& in : {w.model_folder, w.model_folder + "/model.safetensors"}) {
            refused({"convert", in, same, "--type", "f16"});
            refused({"merge", in, path("adapter"), same});
        }
    refused({"merge", w.gguf, path("adapter"), path("adapter")});
    BOOST_TEST(fs::is_symlink(path("link.gguf")));
}

BOOST_AUTO_TEST_CASE(a_tokenizer_of_another_size_fits_or_is_refused) {
    const workplace w;
    const auto out = (w.folder / "out.gguf").string();
    const auto larger = (w.folder / "larger.gguf").string(), fewer = (w.folder / "fewer.gguf").string();
    nn::save_gguf(test::small_model("llama", test::byte_vocabulary + 3), larger,
                  {.tokenizer = test::byte_tokenizer_folder()});
    for (const char* command : {"quantize", "convert"}) {
        w.expect(w.model({command, w.gguf, out, "--tokenizer", larger}), 1,
                 "its tokenizer has 263 tokens, the model's vocabulary 260");
        BOOST_TEST(!std::filesystem::exists(out));
    }
    w.output({"quantize", larger, fewer, "--tokenizer", w.gguf});
    BOOST_TEST(tokenizer::load_tokenizer(fewer).size() == 263u);
    BOOST_TEST(w.tokens({"--text", "on the ferry"}, fewer) == w.tokens({"--text", "on the ferry"}));
}

BOOST_AUTO_TEST_CASE(merge_puts_an_adapter_into_its_base) {
    const workplace w;
    auto adapted = nn::load_trainable(w.gguf, {.threads = 1, .pack = false, .lora = nn::lora_options{.rank = 3}});
    float next = 0.0f;
    for (float& x : adapted.parameters()) x = 0.01f * (next = next >= 9.0f ? -9.0f : next + 1.0f);
    const auto adapter = (w.folder / "adapter").string();
    nn::save_adapter(adapted, adapter);
    nn::save_gguf(adapted, w.folder / "expected.gguf", {.tokenizer = test::byte_tokenizer_folder()});
    const auto out = [&](const char* name) { return (w.folder / name).string(); };
    const auto expected = w.logits(out("expected.gguf"), "5,6,7", 3);

    w.output({"merge", w.gguf, adapter, out("merged.gguf")});
    w.output({"merge", w.model_folder, adapter, out("merged"), "--quiet"});
    w.expect_near(w.logits(out("merged.gguf"), "5,6,7", 3), expected);
    w.expect_near(w.logits(out("merged"), "5,6,7", 3), expected);
    const auto before = w.logits(w.gguf, "5,6,7", 3);
    float moved = 0;
    for (std::size_t i = 0; i < before.size(); ++i) moved = std::max(moved, std::abs(before[i] - expected[i]));
    BOOST_TEST(moved > 1e-3f);
    w.output({"merge", w.gguf, adapter, out("small.q8.gguf"), "--type", "q8_0"});
    w.output({"merge", w.gguf, adapter, out("small.q4.gguf"), "--type", "q4_k_m"});
    BOOST_TEST(std::filesystem::file_size(out("small.q8.gguf")) < std::filesystem::file_size(out("merged.gguf")));

    w.expect(w.model({"merge", w.gguf, adapter}), 2, "BASE, ADAPTER and OUT");
    w.expect(w.model({"merge", w.gguf, adapter, out("x"), "--type", "q4_k_m"}), 2, ".gguf");
    w.expect(w.model({"merge", w.gguf, adapter, out("x"), "--type", "q8_0"}), 1, "safetensors cannot hold");
    w.expect(w.model({"merge", w.gguf, w.model_folder, out("x.gguf")}), 1, "adapter_config.json");
}

BOOST_AUTO_TEST_CASE(wrong_calls_and_wrong_files_get_one_clear_line) {
    const workplace w;
    const auto out = (w.folder / "out").string(), absent = (w.folder / "absent.gguf").string();
    BOOST_TEST(w.model({"--help"}).code == 0);
    BOOST_TEST(w.model({"tokenize", "--help"}).code == 0);
    w.expect(w.model({}), 2, "a command is missing");
    w.expect(w.model({"guess"}), 2, "unknown command");
    w.expect(w.model({"info"}), 2, "info needs one");
    w.expect(w.model({"tokenize", "--text", "x"}), 2, "--model is missing");
    w.expect(w.model({"tokenize", "--model", w.gguf}), 2, "--text or --file");
    w.expect(w.model({"tokenize", "--model", w.gguf, "--wrong"}), 2, "wrong");
    for (const char* command : {"perplexity", "kl", "logits", "quantize", "convert", "merge", "train-tokenizer"})
        w.expect(w.model({command, "--threads", "1000000"}), 2, "--threads 1000000");
    w.expect(w.model({"logits", "--model", w.gguf, "--tokens", "1,999", "--out", out}), 2, "token 999");
    w.expect(w.model({"logits", "--model", w.gguf, "--tokens", "", "--out", out}), 2, "empty");
    w.expect(w.model({"convert", w.gguf, out + ".safetensors"}), 2, "folder");
    w.expect(w.model({"convert", w.gguf, out, "--type", "q3_k"}), 1, "unknown weight format");

    w.expect(w.model({"info", absent}), 1, "absent.gguf");
    w.expect(w.model({"tokenize", "--model", absent, "--text", "x"}), 1, "absent.gguf");
    w.expect(w.model({"tokenize", "--model", w.text, "--text", "x"}), 1, "is of no known kind");
    w.expect(w.model({"tokenize", "--model", w.gguf, "--text", "x", "--bos"}), 1, "beginning-of-text");
    w.expect(w.model({"tokenize", "--model", w.gguf, "--text", "[1, x]", "--decode"}), 1, "token ids");
    w.expect(w.model({"tokenize", "--model", w.gguf, "--text", "999", "--decode"}), 1, "token 999");
    w.expect(w.model({"perplexity", "--model", w.gguf, "--text", "short"}), 1, "a window needs 512");
    w.expect(w.model({"logits", "--model", w.text, "--tokens", "1", "--out", out}), 1, "not a GGUF file");
    w.expect(w.model({"convert", w.gguf, out, "--type", "q8_0"}), 1, "safetensors cannot hold q8_0");
    BOOST_TEST(!std::filesystem::exists(out + ".npy"));

    const auto cut = (w.folder / "cut.gguf").string();
    const std::string whole = read_file(w.gguf);
    for (const std::size_t size :
         {whole.size() - 1, whole.size() / 2, std::size_t{100}, std::size_t{3}, std::size_t{0}}) {
        std::ofstream(cut, std::ios::binary).write(whole.data(), static_cast<std::streamsize>(size));
        for (const auto& result :
             {w.model({"info", cut}), w.model({"logits", "--model", cut, "--tokens", "1", "--out", out}),
              w.run(LAB_CHAT_APP, {"--model", cut, "--prompt", "hi"})}) {
            w.expect(result, 1, "cut.gguf");
            BOOST_TEST(std::count(result.err.begin(), result.err.end(), '\n') == 1, result.err);
        }
    }
}

BOOST_AUTO_TEST_CASE(chat_answers_once) {
    const workplace w;
    const auto ask = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"--max-tokens", "4", "--threads", "1"});
        return w.run(LAB_CHAT_APP, std::move(more));
    };
    const auto answer = ask({"--model", w.gguf, "--prompt", "hi", "--seed", "5"});
    BOOST_REQUIRE_MESSAGE(answer.code == 0, answer.err);
    BOOST_TEST(answer.out.ends_with("\n"));
    BOOST_TEST(answer.out.size() > 1u);
    BOOST_TEST(ask({"--model", w.gguf, "--prompt", "hi", "--seed", "5"}).out == answer.out);
    BOOST_TEST(ask({"--model", w.model_folder, "--prompt", "hi", "--seed", "5"}).out == answer.out);
    BOOST_TEST(ask({"--model", w.gguf, "--prompt", "hi", "--seed", "5", "--format", "chatml"}).code == 0);
    BOOST_TEST(ask({"--help"}).code == 0);
    const auto continued = ask({"--model", w.gguf, "--continue", "--prompt", "hi", "--seed", "5"});
    BOOST_TEST(continued.code == 0, continued.err);
    BOOST_TEST(continued.out.size() > 1u);
    w.expect(ask({"--model", w.gguf, "--continue", "--prompt", "hi", "--system", "Be brief."}), 2, "--continue");
    w.expect(ask({"--prompt", "hi"}), 2, "--model is missing");
    w.expect(ask({"--model", w.gguf, "--prompt", " "}), 2, "the prompt is empty");
    w.expect(ask({"--model", w.gguf, "--prompt", "hi", "extra"}), 2, "unexpected argument");
    w.expect(ask({"--model", w.gguf, "--prompt", "hi", "--format", "klingon"}), 1, "chatml");
    w.expect(ask({"--model", w.text, "--prompt", "hi"}), 1, "is of no known kind");
    BOOST_TEST(ask({"--model", w.gguf, "--prompt", "hi", "--seed", "5", "--cache-mib", "1"}).out == answer.out);
    const auto wide = w.wide_model();
    w.expect(ask({"--model", wide, "--prompt", "hi", "--cache-mib", "1"}), 1, "one block needs 2097152 bytes");
    w.expect(ask({"--model", wide, "--prompt", std::string(80, 'x'), "--cache-mib", "2"}), 1, "more bytes");
    BOOST_TEST(ask({"--model", wide, "--prompt", std::string(80, 'x'), "--cache-mib", "8"}).code == 0);
    w.expect(ask({"--model", w.gguf, "--prompt", "hi", "--cache-mib", "0"}), 2, "--cache-mib 0");
    w.expect(ask({"--model", w.gguf, "--prompt", "hi", "--threads", "1000000"}), 2, "--threads");
}

BOOST_AUTO_TEST_CASE(generate_checks_a_taxonomy) {
    const workplace w;
    const auto check = [&](std::vector<std::string> more) { return w.run(LAB_GENERATE_APP, std::move(more)); };
    const std::string good = std::string(LAB_SOURCE_DIR) + "/data/taxonomy";
    BOOST_TEST(check({"--check", "--taxonomy", good}).code == 0);
    const auto listed = check({"--check", "--taxonomy", good, "--json"});
    BOOST_TEST(listed.code == 0);
    const auto first = formats::parse_json(listed.out.substr(0, listed.out.find('\n')), "line");
    BOOST_TEST(first["valid"] == true);
    BOOST_TEST(first["problems"].empty());

    const auto leaf = w.folder / "broken/knowledge/islands";
    std::filesystem::create_directories(leaf);
    std::ofstream(leaf / "qna.yaml") << "version: 3\ncreated_by: someone\nseed_examples: 7\n";
    const auto broken = (w.folder / "broken").string();
    w.expect(check({"--check", "--taxonomy", broken}), 1, "");
    const auto problems = check({"--check", "--taxonomy", broken, "--json"});
    BOOST_TEST(problems.code == 1);
    const auto found = formats::parse_json(problems.out.substr(0, problems.out.find('\n')), "line");
    BOOST_TEST(found["valid"] == false);
    BOOST_TEST(found["problems"].size() >= 1u);
    w.expect(check({"--check"}), 2, "--taxonomy is needed");
    w.expect(check({"--check", "--taxonomy", good, "--threads", "1000000"}), 2, "--threads 1000000");
    w.expect(check({"--check", "--taxonomy", good, "--cache-mib", "0"}), 2, "--cache-mib 0");
    w.expect(check({"--taxonomy", good, "--teacher", w.wide_model(), "--out", (w.folder / "out").string(), "--format",
                    "chatml", "--cache-mib", "1"}),
             1, "one block needs 2097152 bytes");
    w.expect(check({"--taxonomy", good}), 2, "--teacher and --out are needed");
    BOOST_TEST(check({"--check", "--taxonomy", (w.folder / "absent").string()}).code != 0);
}

BOOST_AUTO_TEST_CASE(a_tokenizer_of_ones_own) {
    const workplace w;
    const auto out = (w.folder / "tokenizer").string();
    const auto learnt = w.model({"train-tokenizer", w.text, w.text, "--vocab-size", "270", "--out", out});
    BOOST_REQUIRE_MESSAGE(learnt.code == 0, learnt.err);
    BOOST_TEST(mentions(learnt.err, "270 tokens, 11 merges"));
    const auto tokens = tokenizer::load_tokenizer(out);
    BOOST_TEST(tokens.size() == 270u);
    BOOST_TEST(tokens.eos() == tokens.find("<|endoftext|>").value());
    BOOST_TEST(tokens.decode(tokens.encode("Ferries leave")) == "Ferries leave");
    BOOST_TEST(w.tokens({"--text", "Ferries leave"}, out).size() < 13u);

    BOOST_TEST(mentions(w.model({"train-tokenizer", w.text, "--out", out, "--vocab-size", "99"}).err, "at least 259"));
    BOOST_TEST(w.model({"train-tokenizer", w.text, "--out", out, "--pre", "mine"}).code == 2);
    BOOST_TEST(w.model({"train-tokenizer", "--out", out}).code == 2);
    BOOST_TEST(mentions(w.model({"train-tokenizer", w.text + "none", "--out", out}).err, "none"));
    BOOST_TEST(
        mentions(w.model({"train-tokenizer", w.folder.path().string(), "--out", out}).err, "not a regular file"));
    BOOST_TEST(
        mentions(w.model({"train-tokenizer", w.text, "--out", w.text + "/x"}).err, "this folder cannot be made"));
}

BOOST_AUTO_TEST_SUITE_END()
