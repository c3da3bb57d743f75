// lab-train on text alone: no chat format is asked for or taken on, and the text's loss is watched as answers' is.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/formats/json.hpp"
#include "lab/formats/jsonl.hpp"
#include "lab/tokenizer/load.hpp"
#include "support/data.hpp"
#include "train/apps/workplace.hpp"

BOOST_AUTO_TEST_SUITE(plain_text_apps)

using namespace lab;

namespace {

/// A model and a tokenizer that know <|endoftext|> and no chat, and texts.
struct text_workplace : test::workplace {
    std::string tokenizer, base, book, held;

    text_workplace()
        : tokenizer((folder / "tokenizer").string()),
          base((folder / "mute").string()),
          book((folder / "book.txt").string()),
          held((folder / "held.txt").string()) {
        std::filesystem::create_directories(tokenizer);
        auto file = formats::parse_json(read_file(test::fixture("train/bytes") / "tokenizer.json"), "tokenizer");
        file["added_tokens"].erase(1);
        file["added_tokens"][0]["content"] = "<|endoftext|>";
        std::ofstream(tokenizer + "/tokenizer.json") << formats::to_text(file);
        std::ofstream(tokenizer + "/tokenizer_config.json")
            << R"({"eos_token":"<|endoftext|>","tokenizer_class":"PreTrainedTokenizerFast"})";
        nn::save_safetensors(tiny::llama(3, 1, 259), base, {.tokenizer = tokenizer});
        std::ofstream text(book);
        for (int i = 0; i < 30; ++i) text << "the ferry leaves at nine and the bell is rung.<|endoftext|>";
        std::ofstream(held) << "the bell is rung and the ferry leaves at nine.";
    }
    /// `from`: --model and the like.
    test::finished learn(const std::string& out, const std::vector<std::string>& from,
                         const std::vector<std::string>& more = {}) const {
        std::vector<std::string> command{LAB_TRAIN_APP, "--out",   (folder / out).string(),
                                         "--phases",    "stacked", "--epochs",
                                         "2",           "--batch", "4",
                                         "--lr",        "1e-3",    "--json"};
        command.insert(command.end(), from.begin(), from.end());
        command.insert(command.end(), more.begin(), more.end());
        return run(command);
    }
    [[nodiscard]] std::vector<std::string> from_scratch() const {
        return {"--shape", "dim=32,layers=2,heads=4,hidden=64", "--tokenizer", tokenizer};
    }
};

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_CASE(text_alone_takes_on_no_chat_format) {
    const text_workplace w;
    for (const auto& [out, from] :
         {std::pair{"run", std::vector<std::string>{"--model", w.base}}, {"fresh", w.from_scratch()}}) {
        const auto result = w.learn(out, from, {"--data", w.book, "--text", w.held});
        BOOST_REQUIRE_MESSAGE(result.code == 0, result.err);
        BOOST_TEST(formats::parse_json(result.out, "stdout")["added_tokens"].empty());
        for (const char* name : {"model", "model.gguf"}) {
            const auto tokens = tokenizer::load_tokenizer(w.folder / out / name);
            BOOST_TEST(tokens.size() == 259u);
            BOOST_TEST(tokens.chat_template().empty());
            BOOST_TEST(tokens.eos() == *tokens.find("<|endoftext|>"));
        }
        const auto generation = w.folder / out / "model/generation_config.json";
        if (std::filesystem::exists(generation))
            BOOST_TEST(formats::parse_json(read_file(generation), "generation")["eos_token_id"] == 258);
        BOOST_TEST(w.learn("none", from, {"--data", w.book, "--estimate"}).code == 0);
    }
}

BOOST_AUTO_TEST_CASE(what_is_said_needs_a_format_or_brings_chatml_where_nothing_is_known_yet) {
    const text_workplace w;
    const std::vector<std::string> base{"--model", w.base};
    for (const auto& more : {std::vector<std::string>{"--data", w.data},
                             {"--data", w.book, "--heldout", w.questions},
                             {"--data", w.book, "--self-replay", "2"}}) {
        const auto refused = w.learn("x", base, more);
        BOOST_TEST(refused.code == 1);
        BOOST_TEST(mentions(refused.err, "lab-train: the model has no chat template"), refused.err);
    }
    BOOST_TEST(!std::filesystem::exists(w.folder / "x"));
    const auto named = w.learn("named", base, {"--data", w.book, "--format", "chatml"});
    BOOST_TEST(named.code == 0, named.err);
    BOOST_TEST(tokenizer::load_tokenizer(w.folder / "named/model").size() == 261u);
    const auto fresh = w.learn("fresh", w.from_scratch(), {"--data", w.data});
    BOOST_TEST(fresh.code == 0, fresh.err);
    BOOST_TEST(tokenizer::load_tokenizer(w.folder / "fresh/model").size() == 261u);
}

BOOST_AUTO_TEST_CASE(the_loss_of_a_text_decides_what_that_of_answers_does) {
    const text_workplace w;
    const std::vector<std::string> base{"--model", w.base, "--data", w.book};
    const auto run = w.learn(
        "run", base,
        {"--text", w.held, "--heldout-every", "2", "--result", "best", "--patience", "3", "--regression", "report"});
    BOOST_REQUIRE_MESSAGE(run.code == 0, run.err);
    const auto last = formats::read_jsonl(w.folder / "run/metrics.jsonl").back();
    BOOST_TEST(last["event"] == "result");
    BOOST_TEST(last["step"].get<std::size_t>() > 0u);
    BOOST_TEST(last["loss"].get<double>() > 0.0);
    const auto refused = [&](std::vector<std::string> more, const std::string& part) {
        const auto result = w.learn("x", base, more);
        BOOST_TEST(result.code == 2);
        BOOST_TEST(mentions(result.err, part), result.err);
    };
    refused({"--regression", "report"}, "--regression needs --heldout or --text");
    refused({"--text", w.held, "--heldout-every", "2", "--result", "best", "--best-by", "choice"},
            "--best-by choice needs --heldout");
}

BOOST_AUTO_TEST_SUITE_END()
