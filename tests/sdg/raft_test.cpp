// The documents of a RAFT sample: how often the golden one is among them, which others may be, and how they are
// written.
#include "lab/sdg/raft.hpp"

#include <set>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(sdg_raft)

using namespace lab;

namespace {

using sdg::text_range;

sdg::passage passage(const std::string& document, std::size_t begin, std::size_t end, const std::string& text) {
    return {document, text_range{begin, end}, text, sha256_hex(text)};
}

std::vector<sdg::passage> bees() {
    return {passage("bees.md", 0, 100, "Bees live in hives and make honey from nectar."),
            passage("bees.md", 100, 200, "A hive has one queen, who lays the eggs."),
            passage("bees.md", 200, 300, "Drones have no sting and die in autumn."),
            passage("ants.md", 0, 100, "Ants live in hills; the queen lays the eggs there."),
            passage("ants.md", 100, 200, "Leafcutter ants grow a fungus."),
            passage("wasps.md", 0, 100, "Wasps build their nest of paper."),
            passage("wasps.md", 100, 200, "A queen wasp sleeps through winter.")};
}

sdg::raft_options options(double golden, std::size_t documents, sdg::distractor_choice how, bool clean = true) {
    return {.golden = golden, .documents = documents, .distractors = how, .clean = clean, .bm25 = {}, .seed = 5};
}

}  // namespace

BOOST_AUTO_TEST_CASE(hard_negatives_are_near_the_question_and_do_not_answer_it) {
    const auto all = bees();
    const sdg::passage_pool pool(all, {});
    const auto c = pool.choose(all[1], "Who lays the eggs in the hives of bees?", "queen", "id",
                               options(1, 3, sdg::distractor_choice::bm25));
    BOOST_TEST(c.documents.size() == 3u);
    BOOST_REQUIRE(c.golden_at.has_value());
    std::set<std::string> texts;
    for (std::size_t i = 0; i < 3; ++i) texts.insert(pool.shown(c, i, all[1]).text);
    BOOST_TEST(texts.contains(all[1].text));
    BOOST_TEST(texts.contains(all[0].text));   // "in", "hives", "bees": the nearest without a queen
    BOOST_TEST(!texts.contains(all[3].text));  // it answers too
    // By InstructLab's rule it may be shown.
    const auto unclean = pool.choose(all[1], "Who lays the eggs in the hives of bees?", "queen", "id",
                                     options(1, 2, sdg::distractor_choice::bm25, false));
    std::set<std::string> shown;
    for (std::size_t i = 0; i < 2; ++i) shown.insert(pool.shown(unclean, i, all[1]).text);
    BOOST_TEST(shown.contains(all[3].text));
}

BOOST_AUTO_TEST_CASE(overlapping_pieces_and_what_holds_the_golden_text_stay_out) {
    auto all = bees();
    all.push_back(passage("bees.md", 150, 250, "who lays eggs. Drones have no sting"));
    const sdg::passage_pool pool(all, {});
    const auto golden = passage("bees.md", 190, 260, "Drones, as is known");
    const auto c = pool.choose(golden, "Drones?", "xyz", "id", options(0, 9, sdg::distractor_choice::random));
    for (std::size_t i = 0; i < c.documents.size(); ++i) {
        const auto& p = pool.shown(c, i, golden);
        BOOST_TEST((p.document != "bees.md" || p.span->end <= 190));
    }
    BOOST_TEST(c.documents.size() == 5u);
    // A seed's context has no place: the chunk that it was copied from is known by its words.
    const sdg::passage seed{"", std::nullopt, "leafcutter ANTS grow a   fungus", ""};
    const auto d = pool.choose(seed, "What grows?", "mould", "id", options(0, 9, sdg::distractor_choice::random));
    for (std::size_t i = 0; i < d.documents.size(); ++i) BOOST_TEST(pool.shown(d, i, seed).text != all[4].text);
}

BOOST_AUTO_TEST_CASE(the_golden_document_is_there_with_the_probability_asked_for) {
    const auto all = bees();
    const sdg::passage_pool pool(all, {});
    for (const auto how : {sdg::distractor_choice::bm25, sdg::distractor_choice::random}) {
        std::size_t with = 0, first = 0;
        std::map<std::string, std::size_t> distractors;
        for (std::size_t n = 0; n < 4000; ++n) {
            const auto c = pool.choose(all[2], "What do drones not have?", "sting", "id" + std::to_string(n),
                                       options(0.4, 4, how));
            BOOST_TEST(c.documents.size() == 4u);
            with += c.golden_at.has_value();
            first += c.golden_at == 0u;
            for (std::size_t i = 0; i < 4; ++i) ++distractors[pool.shown(c, i, all[2]).text];
        }
        BOOST_TEST(with > 1500u);
        BOOST_TEST(with < 1700u);  // 1600 expected, standard deviation 31
        BOOST_TEST(first * 4 > with * 8 / 10);
        BOOST_TEST(first * 4 < with * 12 / 10);  // it may stand anywhere
        BOOST_TEST(distractors.size() == (how == sdg::distractor_choice::random ? 7u : 5u));
    }
    for (std::size_t n = 0; n < 50; ++n) {
        const auto id = "id" + std::to_string(n);
        BOOST_TEST(
            pool.choose(all[2], "q", "sting", id, options(1, 3, sdg::distractor_choice::random)).golden_at.has_value());
        BOOST_TEST(!pool.choose(all[2], "q", "sting", id, options(0, 3, sdg::distractor_choice::random)).golden_at);
    }
}

BOOST_AUTO_TEST_CASE(fewer_passages_than_documents) {
    const std::vector<sdg::passage> two{passage("a", 0, 9, "One thing."), passage("a", 9, 20, "Another thing.")};
    const sdg::passage_pool pool(two, {});
    BOOST_TEST(pool.choose(two[0], "q", "", "x", options(1, 5, sdg::distractor_choice::bm25)).documents.size() == 2u);
    BOOST_TEST(pool.choose(two[0], "q", "", "x", options(0, 5, sdg::distractor_choice::bm25)).documents.size() == 1u);
    const sdg::passage_pool alone(std::vector{two[0]}, {});
    const auto c = alone.choose(two[0], "q", "", "x", options(0, 5, sdg::distractor_choice::random));
    BOOST_TEST(c.documents.size() == 1u);
    BOOST_TEST(c.golden_at.has_value());  // nothing else is there to be shown
    const sdg::passage_pool none;
    BOOST_TEST(none.choose(two[0], "q", "", "x", options(0, 5, sdg::distractor_choice::bm25)).golden_at.has_value());
}

BOOST_AUTO_TEST_CASE(a_choice_hangs_on_seed_and_id_alone) {
    const auto all = bees();
    const sdg::passage_pool pool(all, {});
    auto o = options(0.5, 4, sdg::distractor_choice::random);
    const auto a = pool.choose(all[0], "q", "zz", "one", o), b = pool.choose(all[0], "q", "zz", "one", o);
    BOOST_TEST(a.documents == b.documents);
    std::size_t different = 0;
    for (std::size_t n = 0; n < 20; ++n)
        different += pool.choose(all[0], "q", "zz", "id" + std::to_string(n), o).documents != a.documents;
    BOOST_TEST(different > 10u);
}

BOOST_AUTO_TEST_CASE(written_as_instructlab_writes_them) {
    const std::vector<std::string_view> documents{"First.", "Second."};
    BOOST_TEST(sdg::raft_question(documents, "Why?") == "Document:\nFirst.\n\n\nDocument:\nSecond.\n\n\n\nWhy?");
    BOOST_CHECK_THROW(sdg::check(options(1.5, 3, sdg::distractor_choice::bm25)), config_error);
    BOOST_CHECK_THROW(sdg::check(options(0.5, 0, sdg::distractor_choice::bm25)), config_error);
}

BOOST_AUTO_TEST_SUITE_END()
