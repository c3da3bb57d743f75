// lab-bench runs as a process: the names and keys that scripts made for llama-bench read, the arithmetic between the
// figures, and how it refuses and stops. Speeds are not tested.
#include "bench/load.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "lab/formats/json.hpp"
#include "lab/nn/save.hpp"
#include "lab/nn/synthetic.hpp"
#include "model/small_model.hpp"
#include "support/data.hpp"
#include "support/process.hpp"

BOOST_AUTO_TEST_SUITE(bench_app)

namespace {

using namespace lab;
using formats::json;

const std::string tiny = "dim=64,layers=2,heads=4,kv_heads=2,hidden=96,vocab=300";

struct bench {
    test::temporary_folder folder;

    template <class When>
    test::finished run(std::vector<std::string> arguments, When when, int signal) const {
        arguments.insert(arguments.begin(), LAB_BENCH_APP);
        return test::execute(arguments, folder.path(), when, signal);
    }
    test::finished run(std::vector<std::string> arguments) const {
        return run(
            std::move(arguments), [] { return false; }, 0);
    }
    std::string output(std::vector<std::string> arguments) const {
        const auto result = run(std::move(arguments));
        BOOST_REQUIRE_MESSAGE(result.code == 0, result.err);
        BOOST_TEST(result.err.empty(), result.err);  // no terminal: no progress
        return result.out;
    }
    std::vector<json> lines(std::vector<std::string> arguments) const {
        std::istringstream text(output(std::move(arguments)));
        std::vector<json> out;
        for (std::string line; std::getline(text, line);) out.push_back(formats::parse_json(line, "line"));
        return out;
    }
    void expect(std::vector<std::string> arguments, int code, const std::string& part) const {
        const auto result = run(std::move(arguments));
        BOOST_TEST(result.code == code, result.err);
        BOOST_TEST(result.err.find(part) != std::string::npos, result.err);
    }
};

std::string joined(const json& rows, const char* key) {
    std::string out;
    for (const auto& row : rows) out += (out.empty() ? "" : " ") + formats::to_text(row[key]);
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(tests_have_llama_bench_s_keys) {
    const bench b;
    const auto rows = formats::parse_json(
        b.output({"--shape", tiny, "-p", "8,0", "-n", "3", "-d", "0,70", "-r", "2", "-t", "1", "-b", "5", "--json"}),
        "rows");
    BOOST_REQUIRE(rows.size() == 4u);
    BOOST_TEST(joined(rows, "n_prompt") == "8 0 8 0");
    BOOST_TEST(joined(rows, "n_gen") == "0 3 0 3");
    BOOST_TEST(joined(rows, "n_depth") == "0 0 70 70");
    for (const auto& row : rows) {
        BOOST_TEST(row["model_type"] == "llama 100K q4_0");
        BOOST_TEST(row["model_filename"] == tiny);
        BOOST_TEST(row["model_n_params"] == 2 * 300 * 64 + 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 96) + 5 * 64);
        BOOST_TEST(row["model_size"] ==
                   (2 * 300 * 64 + 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 96)) / 32 * 18 + 5 * 64 * 4);
        BOOST_TEST(row["n_threads"] == 1);
        BOOST_TEST(row["n_batch"] == 5);
        BOOST_TEST(row["type_k"] == "f16");
        BOOST_REQUIRE(row["samples_ns"].size() == 2u);
        BOOST_REQUIRE(row["samples_ts"].size() == 2u);
        const double a = row["samples_ts"][0], c = row["samples_ts"][1];
        const auto near = boost::test_tools::tolerance(1e-6);
        BOOST_TEST(row["avg_ts"].get<double>() == (a + c) / 2, near);
        BOOST_TEST(row["stddev_ts"].get<double>() == std::abs(a - c) / std::sqrt(2.0), near);
        BOOST_TEST(row["limit_read_gbs"].get<double>() > 0.0);
        BOOST_TEST(row["limit_f32_gflops"].get<double>() > 0.0);
        BOOST_TEST(row["limit_share"].get<double>() > 0.0);
        BOOST_TEST((row["limit"] == "read") == (row["n_gen"] != 0));
    }
}

BOOST_AUTO_TEST_CASE(tables_have_llama_bench_s_names) {
    const bench b;
    const auto text =
        b.output({"--shape", tiny, "-p", "8", "-n", "3", "-d", "0,4", "-r", "1", "-t", "1", "--no-limits"});
    for (const char* part :
         {"| model ", " params |", " threads |", " t/s |", " pp8 |", " tg3 |", " pp8 @ d4 |", " tg3 @ d4 |"})
        BOOST_TEST(text.find(part) != std::string::npos, part << " in\n" << text);
    const auto csv =
        b.output({"--shape", tiny, "-p", "8", "-n", "3", "-r", "1", "-t", "1", "-o", "csv", "--no-limits"});
    BOOST_TEST(csv.find("n_prompt,n_gen,n_depth,") != std::string::npos);
    BOOST_TEST(csv.find(",\"8\",\"0\",\"0\",") != std::string::npos);
    BOOST_TEST(csv.find("samples") == std::string::npos);
    BOOST_TEST(csv.find("limit") == std::string::npos);
    const auto profiled =
        b.output({"--shape", tiny, "-p", "8", "-n", "3", "-r", "1", "-t", "1", "--no-limits", "--profile"});
    const auto first = profiled.find("| model "), block = profiled.find("```\noperation"),
               end = profiled.find("```\n\n");
    BOOST_TEST((first < block && block < end && end < profiled.find("| model ", end)), profiled);
}

BOOST_AUTO_TEST_CASE(every_combination_is_a_row) {
    const bench b;
    const auto rows =
        b.lines({"--shape", tiny + ",dim=128,layers=1,heads=2,hidden=64,vocab=50,tied=1", "--type", "q6_k,bf16", "-p",
                 "0", "-n", "1", "-r", "1", "-t", "1,2", "-ctk", "f32,bf16", "-o", "jsonl", "--no-limits"});
    BOOST_REQUIRE(rows.size() == 16u);
    BOOST_TEST(rows[0]["model_type"] == "llama 100K q8_0");  // rows of 64 are no whole q6_k blocks
    BOOST_TEST(rows[2]["n_threads"] == 2);
    BOOST_TEST(rows[3]["type_v"] == "bf16");
    BOOST_TEST(rows[4]["model_type"] == "llama 100K bf16");
    BOOST_TEST(rows[8]["model_n_params"] == 50 * 128 + 4 * 128 * 128 + 3 * 128 * 64 + 3 * 128);
    BOOST_TEST(!rows[0].contains("limit_share"));
}

BOOST_AUTO_TEST_CASE(batches_have_llama_batched_bench_s_keys) {
    const bench b;
    const std::vector<std::string> call{"batched", "--shape",  tiny, "-npp", "6",  "-ntg",
                                        "3",       "-npl=1,4", "-t", "1",    "-o", "jsonl"};
    auto shared_call = call;
    shared_call.insert(shared_call.end(), {"-pps", "-c", "17", "--no-limits"});
    const auto rows = b.lines(call), shared = b.lines(shared_call);
    BOOST_REQUIRE(rows.size() == 2u);
    BOOST_REQUIRE(shared.size() == 1u);  // the other would hold 18 tokens
    const auto check = [](const json& row, std::size_t prompt_tokens, std::size_t sequences) {
        BOOST_TEST(row["pp"] == 6);
        BOOST_TEST(row["tg"] == 3);
        BOOST_TEST(row["pl"] == sequences);
        BOOST_TEST(row["n_kv"] == prompt_tokens + 3 * sequences);
        const auto near = boost::test_tools::tolerance(1e-6);
        const auto value = [&](const char* key) { return row[key].get<double>(); };
        BOOST_TEST(value("speed_pp") * value("t_pp") == static_cast<double>(prompt_tokens), near);
        BOOST_TEST(value("speed_tg") * value("t_tg") == static_cast<double>(3 * sequences), near);
        BOOST_TEST(value("t") == value("t_pp") + value("t_tg"), near);
        BOOST_TEST(value("speed") * value("t") == static_cast<double>(prompt_tokens + 3 * sequences), near);
    };
    check(rows[0], 6, 1);
    check(rows[1], 24, 4);
    for (const auto& row : rows) {
        BOOST_TEST(row["pp_limit"] == (row["limit_int8_gops"].get<double>() > 0 ? "int8" : "f32"));
        BOOST_TEST(row["pp_limit_share"].get<double>() > 0.0);
        BOOST_TEST(row["tg_limit_share"].get<double>() > 0.0);
    }
    check(shared[0], 6, 1);
    BOOST_TEST(shared[0]["is_pp_shared"] == 1);
    const auto text =
        b.output({"batched", "--shape", tiny, "-npp", "2", "-ntg", "1", "-npl", "2", "-t", "1", "--no-limits"});
    for (const char* part : {" PP |", " TG |", " B |", " N_KV |", " S_PP t/s |", " S_TG t/s |", " S t/s |"})
        BOOST_TEST(text.find(part) != std::string::npos, part << " in\n" << text);
}

BOOST_AUTO_TEST_CASE(a_load_goes_through_the_engine) {
    const bench b;
    const auto model = (b.folder / "small.gguf").string();
    nn::save_gguf(test::small_model("llama", test::byte_vocabulary), model,
                  {.tokenizer = test::byte_tokenizer_folder()});
    const auto rows = b.lines(
        {"load", "-m", model, "-n", "5", "-npl", "2", "-npp", "9", "-ntg", "4", "-t", "1", "-o", "jsonl", "--profile"});
    BOOST_REQUIRE(rows.size() == 1u);
    BOOST_TEST(rows[0]["n_requests"] == 5);
    BOOST_TEST(rows[0]["pl"] == 2);
    BOOST_TEST(rows[0]["pp"] == 9);
    BOOST_TEST(rows[0]["speed_tg"].get<double>() * rows[0]["t"].get<double>() == 20.0,
               boost::test_tools::tolerance(1e-6));
    std::size_t products = 0, attended = 0;
    for (const auto& op : rows[0]["profile"]) {
        if (op["op"].get<std::string>().starts_with("product")) products += op["calls"].get<std::size_t>();
        if (op["op"] == "attention") attended = op["calls"];
    }
    BOOST_TEST(attended > 0u);
    BOOST_TEST(products > 3 * attended);
    BOOST_TEST(rows[0]["limit_share"].get<double>() > 0.0);
    b.expect({"load", "--shape", tiny}, 2, "tokenizer");

    // The cache is as large as the test needs, or as asked.
    BOOST_TEST(rows[0]["cache_bytes"] == std::size_t{1} << 30);
    const auto call = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"load", "-m", model, "-n", "1", "-t", "1", "-o", "jsonl", "--no-limits"});
        return more;
    };
    BOOST_TEST(b.lines(call({"-npl", "1", "-npp", "9", "-ntg", "1", "--cache-mib", "1"}))[0]["cache_bytes"] == 1 << 20);
    b.expect(call({"-npl", "1", "--cache-mib", "99999999999999999"}), 2, "--cache-mib");
}

BOOST_AUTO_TEST_CASE(a_load_s_cache_has_room_for_the_load) {
    // 4 MiB for 64 positions of one sequence.
    const auto model = nn::make_synthetic(
        {.dim = 32, .layers = 16, .heads = 8, .kv_heads = 8, .head_dim = 128, .hidden = 32, .vocab = 99}, dtype::q4_0,
        {.threads = 1, .pack = false});
    const auto bytes = [&](std::size_t sequences, std::size_t prompt, std::size_t generate, std::size_t given = 0) {
        return apps::cache_bytes(model, {.sequences = sequences,
                                         .prompt = prompt,
                                         .generate = generate,
                                         .call = {512, dtype::f16},
                                         .cache_bytes = given});
    };
    BOOST_TEST(bytes(256, 100, 28) == 257u * 3 * (4 << 20));  // 129 tokens each, and the shared prompt
    BOOST_TEST(bytes(16, 100, 27) == std::size_t{1} << 30);   // at least
    BOOST_TEST(bytes(256, 100, 28, 5) == 5u);
}

BOOST_AUTO_TEST_CASE(packing_is_reported_and_optional) {
    const bench b;
    const std::vector<std::string> call{"--shape", tiny, "-p", "0", "-n", "1", "-r", "1", "-t", "2", "--no-limits"};
    const auto row = [&](std::vector<std::string> more) {
        more.insert(more.begin(), call.begin(), call.end());
        more.insert(more.end(), {"-o", "jsonl"});
        return b.lines(std::move(more)).at(0);
    };
    const auto packed = row({}), plain = row({"--no-pack"}), pinned = row({"--pin"});
    BOOST_TEST(packed["pack_ms"].get<double>() > 0.0);
    BOOST_TEST(packed["pack_bytes"].get<std::size_t>() > packed["model_size"].get<std::size_t>() / 2);
    BOOST_TEST(packed["pinned"] == false);
    BOOST_TEST(plain["pack_ms"] == 0.0);
    BOOST_TEST(plain["pack_bytes"] == 0);
    BOOST_TEST(pinned["pack_bytes"] == packed["pack_bytes"]);
#if defined(__linux__)
    BOOST_TEST(pinned["pinned"] == true);
#endif
    BOOST_TEST(b.output(call).find("packing the weights of llama 100K q4_0: 0.") != std::string::npos);
    auto plain_call = call;
    plain_call.emplace_back("--no-pack");
    BOOST_TEST(b.output(plain_call).find("packing") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_shape_can_be_saved_and_measured_again) {
    const bench b;
    const auto file = (b.folder / "shape.gguf").string();
    BOOST_TEST(b.output({"--shape", tiny, "--type", "q8_0", "--save", file}).empty());
    const auto rows = b.lines({"-m", file, "-p", "3", "-n", "0", "-r", "1", "-t", "1", "-o", "jsonl", "--no-limits"});
    BOOST_REQUIRE(rows.size() == 1u);
    BOOST_TEST(rows[0]["model_type"] == "llama 100K q8_0");
    b.expect({"load", "-m", file}, 1, "has no tokenizer");
    b.expect({"-m", file, "--save", file}, 2, "--save");
    for (const auto& [more, name] :
         {std::pair{",window=8", "mistral 100K q8_0"}, {",experts=2", "mixtral 137K q8_0"}}) {
        BOOST_TEST(b.output({"--shape", tiny + more, "--type", "q8_0", "--save", file}).empty());
        const auto again = b.lines({"-m", file, "-p", "20", "-n", "2", "-r", "1", "-t", "1", "-o", "jsonl"});
        BOOST_REQUIRE(again.size() == 2u);
        BOOST_TEST(again[0]["model_type"] == name);
    }
}

BOOST_AUTO_TEST_CASE(wrong_calls_get_one_clear_line) {
    const bench b;
    BOOST_TEST(b.output({"--help"}).find("lab-bench batched -m FILE") != std::string::npos);
    b.expect({}, 2, "a model is missing");
    b.expect({"--shape", "llama-9b"}, 2, "llama-9b");
    b.expect({"--shape", "dim=64,layers=x"}, 2, "layers=x");
    b.expect({"--shape", tiny + ",experts=2,used=3"}, 1, "experts per token");
    b.expect({"--shape", tiny, "-o", "xml"}, 2, "xml");
    b.expect({"--shape", tiny, "-npl", "3"}, 2, "npl");
    b.expect({"--shape", tiny, "-b", "0"}, 2, "-b");
    b.expect({"--shape", tiny, "extra"}, 2, "extra");
    // Nothing to measure, and what can be seen before a model is loaded.
    b.expect({"--shape", tiny, "-p", "0", "-n", "0", "--json"}, 2, "-p or -n");
    b.expect({"batched", "--shape", tiny, "-npl", "0", "-o", "json"}, 2, "-npl");
    b.expect({"batched", "--shape", tiny, "-npp", "0", "-ntg", "0"}, 2, "-npp");
    b.expect({"batched", "--shape", tiny, "-npp", "8", "-c", "4"}, 2, "-c");
    const auto absent = (b.folder / "absent.gguf").string();
    b.expect({"-m", absent, "-ctk", "q4_0"}, 2, "-ctk q4_0");
    b.expect({"-m", absent, "--compute", "int4"}, 2, "--compute int4");
    b.expect({"-m", absent, "--type", "q8_0"}, 2, "--type");
    b.expect({"-m", absent, "--json", "-o", "csv"}, 2, "-o csv");
    b.expect({"-m", absent, "-t", "1,100000"}, 2, "--threads 100000");
    b.expect({"train", "--shape", tiny, "-t", "100000"}, 2, "--threads 100000");
    b.expect({"-m", absent, "--profile", "-o", "csv"}, 2, "--profile");
    const std::string endless = "18446744073709551615";
    for (const char* option : {"-p", "-n", "-d", "-b", "-r"}) b.expect({"-m", absent, option, endless}, 2, option);
    for (const char* option : {"-npp", "-ntg", "-npl"}) b.expect({"batched", "-m", absent, option, endless}, 2, option);
    b.expect({"batched", "--shape", tiny, "-npl", "65536", "-npp", "1000000", "-ntg", "1"}, 1, "GiB");
    b.expect({"load", "-m", absent, "-npl", "0"}, 2, "-npl must");
    b.expect({"load", "-m", absent, "-ntg", "0"}, 2, "-ntg must");
    b.expect({"load", "-m", absent, "-n", "0"}, 2, "-n must");
    BOOST_TEST(b.output({"--help"}).find("tied=") != std::string::npos);
    b.expect({"--shape", "dim=64,layers=1,heads=3,hidden=64,vocab=9", "--json"}, 1, "odd");
    b.expect({"-m", (b.folder / "absent.gguf").string()}, 1, "absent.gguf");
}

BOOST_AUTO_TEST_CASE(ctrl_c_ends_it_with_what_is_there) {
    const bench b;
    const auto one_row = [&] {
        const auto out = b.folder / "stdout";
        return std::filesystem::exists(out) && std::filesystem::file_size(out) > 100;
    };
    const auto result = b.run(
        {"--shape", tiny, "-p", "4", "-n", "1000000", "-t", "1", "-r", "1", "--json", "--no-limits"}, one_row, SIGINT);
    BOOST_TEST(result.code == 130);
    BOOST_TEST(formats::parse_json(result.out, "rows").size() == 1u);
}

BOOST_AUTO_TEST_CASE(train_measures_weights_and_adapters) {
    const bench b;
    const auto measure = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"train", "--shape", tiny, "--batch", "1", "--seq", "16", "-r", "1", "-t", "1",
                                   "--no-limits", "-o", "json"});
        return json::parse(b.output(std::move(more)))[0];
    };
    const auto whole = measure({}), adapters = measure({"--lora", "4", "--base-type", "q8_0"});
    BOOST_TEST(whole["lora"] == 0);
    BOOST_TEST(whole["base_type"] == "f32");
    BOOST_TEST(adapters["lora"] == 4);
    BOOST_TEST(adapters["base_type"] == "q8_0");
    for (const auto& row : {whole, adapters}) {
        BOOST_TEST(row["tokens"] == 16);
        BOOST_TEST(row["tok_s"].get<double>() > 0);
    }
    BOOST_TEST(b.run({"train", "--shape", tiny, "--base-type", "q8_0"}).code == 2);
}
BOOST_AUTO_TEST_CASE(train_says_which_lengths_it_drew) {
    const bench b;
    const auto row = json::parse(b.output({"train", "--shape", tiny, "--batch", "6", "--lengths", "8-20", "--masked",
                                           "0.5", "-r", "1", "-t", "1", "--no-limits", "-o", "json"}))[0];
    const auto lengths = row["lengths"].get<std::vector<std::size_t>>();
    BOOST_TEST(lengths.size() == 6u);
    std::size_t tokens = 0, learnt = 0;
    for (const std::size_t n : lengths) {
        BOOST_TEST((n >= 8 && n <= 20));
        tokens += n, learnt += n - n / 2;
    }
    BOOST_TEST(row["tokens"] == tokens);
    BOOST_TEST(row["targets"] == learnt);
    BOOST_TEST(row["micro_batch"] == 512);
}

BOOST_AUTO_TEST_SUITE_END()
