#include "lab/sampling/candidates.hpp"

#include <boost/test/unit_test.hpp>

#include "lab/core/rng.hpp"

BOOST_AUTO_TEST_SUITE(sampling_candidates)

using namespace lab::sampling;
using lab::token;

namespace {
std::vector<token> ids(const candidates& c) {
    std::vector<token> out;
    for (const auto& x : c) out.push_back(x.id);
    return out;
}
}  // namespace

BOOST_AUTO_TEST_CASE(exponential_is_close_everywhere) {
    double worst = 0.0;
    for (int i = 0; i < 62'773; ++i) {  // down to -86
        const float x = -0.00137f * static_cast<float>(i);
        const double exact = std::exp(static_cast<double>(x));
        worst = std::max(worst, std::abs(static_cast<double>(exp_nonpositive(x)) - exact) / exact);
    }
    BOOST_TEST(worst < 3e-7);
    BOOST_TEST(exp_nonpositive(0.0f) == 1.0f);
    BOOST_TEST(exp_nonpositive(-88.0f) == 0.0f);
    BOOST_TEST(exp_nonpositive(removed_logit) == 0.0f);
    BOOST_TEST(exp_nonpositive(NAN) == 0.0f);
}

BOOST_AUTO_TEST_CASE(nan_and_infinity_are_tamed) {
    candidates c(std::vector<float>{NAN, INFINITY, -INFINITY, 1.0f});
    BOOST_TEST(!c.contains(0));
    BOOST_TEST(!c.contains(2));
    BOOST_TEST(c.best().id == 1);
    const auto p = c.probabilities();
    BOOST_TEST(p[0] == 0.0);
    BOOST_TEST(p[1] == 1.0);
    c.set_logit(3, INFINITY);
    BOOST_TEST(c.logit(3) == c.logit(1));
    c.transform([](candidate& x) { x.logit = x.id == 1 ? NAN : INFINITY; }, false);
    BOOST_TEST(!c.contains(1));
    BOOST_TEST(c.probabilities()[0] == 1.0 / 3);
}

BOOST_AUTO_TEST_CASE(the_largest_logit_is_that_of_the_best) {
    lab::counter_rng rng(4, "largest");
    for (std::size_t n = 1; n < 40; ++n) {
        std::vector<float> logits(n);
        for (auto& x : logits) x = static_cast<float>(rng.normal()) - 3.0f;
        BOOST_TEST(candidates(logits).largest() == candidates(logits).best().logit);
    }
    BOOST_TEST(candidates().largest() == removed_logit);
}

BOOST_AUTO_TEST_CASE(ties_go_to_the_lower_id) {
    candidates c(std::vector<float>{1, 3, 3, 2, 3});
    BOOST_TEST(c.best().id == 1);
    c.keep_top(2);
    BOOST_TEST(ids(c) == (std::vector<token>{1, 2}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(keep_top_equals_a_full_sort) {
    lab::counter_rng rng(1, "top");
    for (const std::size_t n : {1u, 2u, 7u, 1000u}) {
        std::vector<float> logits(n);
        for (auto& x : logits) x = static_cast<float>(rng.below(50));  // many ties
        candidates full(logits);
        full.sort();
        for (const std::size_t k : {1u, 2u, 5u, 400u, 700u, 2000u}) {
            candidates c(logits);
            c.keep_top(k);
            candidates expected = full;
            expected.truncate(k);
            BOOST_TEST(std::equal(c.begin(), c.end(), expected.begin(), expected.end()));
        }
    }
}

BOOST_AUTO_TEST_CASE(keep_mass_takes_the_shortest_prefix_and_keeps_the_order) {
    lab::counter_rng rng(2, "mass");
    for (const double spread : {0.001, 1.0, 20.0, 500.0}) {  // all in one bucket ... most beyond the last
        std::vector<float> logits(700);
        for (auto& x : logits) x = static_cast<float>(spread * static_cast<double>(rng.below(90)) / 90.0);
        candidates full(logits);
        full.sort();
        const float max = full.best().logit;
        const double total = full.weigh(max);
        for (const double share : {0.0, 0.2, 0.7, 0.999}) {
            for (const std::size_t min_keep : {1u, 3u, 650u}) {
                double sum = 0.0;
                std::size_t n = 0;
                while (n < full.size() && (n < min_keep || sum < share * total))
                    sum += static_cast<double>(full.weights()[n++]);
                candidates expected = full;
                expected.truncate(std::max<std::size_t>(n, 1));
                candidates c(logits);
                c.keep_mass([&](const candidate& x) { return static_cast<double>(max - x.logit); },
                            share * c.weigh(max), false, min_keep);
                BOOST_TEST(std::is_sorted(c.begin(), c.end(), [](auto& a, auto& b) { return a.id < b.id; }));
                c.sort();
                BOOST_TEST(std::equal(c.begin(), c.end(), expected.begin(), expected.end()));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(at_weight_inverts_the_running_sum) {
    lab::counter_rng rng(3, "weight");
    for (const std::size_t n : {1u, 2u, 63u, 64u, 65u, 300u}) {
        std::vector<float> logits(n);
        for (auto& x : logits) x = static_cast<float>(rng.normal());
        candidates c(logits);
        if (n > 2) c.remove(1);
        const double total = c.weigh(c.best().logit);
        double sum = 0.0;
        for (std::size_t i = 0; i < n; ++i) {
            const double weight = static_cast<double>(c.weights()[i]);
            if (weight > 0.0) BOOST_TEST(c.at_weight(sum + 0.5 * weight).id == static_cast<token>(i));
            sum += weight;
        }
        BOOST_TEST(c.at_weight(total * 2).id == static_cast<token>(n - 1));
    }
}

BOOST_AUTO_TEST_CASE(keeping_ids_works_in_every_order) {
    const std::vector<float> logits{5, 4, 3, 2, 1, 6};
    const std::vector<token> wanted{1, 3, 5, 9};
    candidates by_id(logits);
    by_id.keep_ids(wanted);
    BOOST_TEST(ids(by_id) == (std::vector<token>{1, 3, 5}), boost::test_tools::per_element());
    by_id.keep_ids(std::vector<token>{3, 4, 5});  // no longer dense
    BOOST_TEST(ids(by_id) == (std::vector<token>{3, 5}), boost::test_tools::per_element());
    BOOST_TEST(by_id.logit(5) == 6.0f);
    candidates sorted(logits);
    sorted.sort();
    sorted.keep_ids(wanted);
    BOOST_TEST(ids(sorted) == (std::vector<token>{5, 1, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(changing_a_sorted_logit_loses_the_order_and_settle_restores_it) {
    candidates c(std::vector<float>{1, 2, 3});
    c.sort();
    c.remove(2);
    BOOST_TEST(!c.is_sorted());
    c.settle();
    BOOST_TEST(ids(c) == (std::vector<token>{1, 0, 2}), boost::test_tools::per_element());
    c.drop_removed();
    BOOST_TEST(c.size() == 2u);
    c.remove(0);
    c.remove(1);
    BOOST_CHECK_THROW((void)c.best(), lab::config_error);
}

BOOST_AUTO_TEST_SUITE_END()
