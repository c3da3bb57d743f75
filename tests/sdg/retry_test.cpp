#include "lab/sdg/retry.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(retries)

using namespace lab;

BOOST_AUTO_TEST_CASE(waits_double_to_a_limit_with_seeded_jitter) {
    const sdg::retry_policy policy{.first_wait = 1, .longest_wait = 10, .jitter = 0.5, .seed = 3};
    for (unsigned n = 1; n < 90; ++n) {
        const double nominal = n > 4 ? 10.0 : std::exp2(n - 1.0);
        const double wait = sdg::wait_after(policy, n, 0);
        BOOST_TEST(wait <= nominal);
        BOOST_TEST(wait >= nominal / 2);
        BOOST_TEST(wait == sdg::wait_after(policy, n, 0));
    }
    BOOST_TEST(sdg::wait_after(policy, 3, 0) != sdg::wait_after(policy, 3, 1));  // servers do not wait in step
    BOOST_TEST(sdg::wait_after(policy, 1, 0, 17.0) == 17.0);
    BOOST_TEST(sdg::wait_after(policy, 1, 0, 1e9) == 40.0);
}

BOOST_AUTO_TEST_CASE(retry_after_in_seconds_or_as_a_date) {
    const auto from = "Sun, 06 Nov 1994 08:49:37 GMT";
    BOOST_TEST(sdg::retry_after("120", "").value() == 120.0);
    BOOST_TEST(sdg::retry_after("0.5", "").value() == 0.5);
    BOOST_TEST(sdg::retry_after("Sun, 06 Nov 1994 08:51:37 GMT", from).value() == 120.0);
    BOOST_TEST(sdg::retry_after("Mon, 07 Nov 1994 08:49:37 GMT", from).value() == 86400.0);
    BOOST_TEST(sdg::retry_after("Thu, 29 Feb 1996 00:00:00 GMT", "Wed, 28 Feb 1996 23:59:59 GMT").value() == 1.0);
    BOOST_TEST(sdg::retry_after("Sun, 06 Nov 1994 08:40:00 GMT", from).value() == 0.0);  // over already
    for (const char* bad :
         {"", "-1", "soon", "inf", "nan", "12 s", "Sun, 06 Nov 1994 08:49:37", "Sun, 31 Feb 1994 08:49:37 GMT",
          "Sun, 06 ovN 1994 08:49:37 GMT", "Sun, 06 Nov 1994 28:49:37 GMT"})
        BOOST_TEST(!sdg::retry_after(bad, from).has_value(), bad);
    BOOST_TEST(!sdg::retry_after("Sun, 06 Nov 1994 08:51:37 GMT", "").has_value());
}

BOOST_AUTO_TEST_SUITE_END()
