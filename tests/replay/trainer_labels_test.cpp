// What training learns of a mixed file is what InstructLab's trainer learns of it: tokens and labels of
// tests/goldens/sdg_training_labels.py.
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "lab/formats/jsonl.hpp"
#include "lab/replay/chat_encoder.hpp"
#include "lab/replay/dataset.hpp"
#include "lab/tokenizer/load.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(trainer_labels)

using namespace lab;

BOOST_AUTO_TEST_CASE(tokens_and_labels_are_those_of_instructlabs_trainer) {
    const std::filesystem::path data = LAB_TEST_DATA;
    const auto samples = replay::read_samples(data / "sdg" / "mixed.jsonl");
    const auto tokens = tokenizer::load_tokenizer(data / "train" / "bytes");
    const replay::chat_encoder encode(tokens, text::formats::chatml{});
    const auto golden = formats::read_jsonl(data / "sdg" / "training_labels.jsonl");
    BOOST_REQUIRE_EQUAL(golden.size(), samples.size() + 1);  // versions first
    for (std::size_t i = 0; i < samples.size(); ++i) {
        BOOST_TEST_CONTEXT(samples[i].id) {
            auto ids = golden[i + 1].at("input_ids").get<std::vector<token>>();
            auto labels = golden[i + 1].at("labels").get<std::vector<std::int64_t>>();
            // What follows the last label is not kept here: it could not be learnt.
            while (!labels.empty() && labels.back() == -100) labels.pop_back(), ids.pop_back();
            const auto e = encode(samples[i].messages, samples[i].unmask);
            BOOST_TEST(e.tokens == ids, boost::test_tools::per_element());
            std::vector<std::int64_t> ours;
            for (std::size_t k = 0; k < e.tokens.size(); ++k) ours.push_back(e.trained[k] != 0 ? e.tokens[k] : -100);
            BOOST_TEST(ours == labels, boost::test_tools::per_element());
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
