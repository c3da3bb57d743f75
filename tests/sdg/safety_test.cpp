#include "lab/sdg/safety.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(safety)

using namespace lab;
using sdg::safety_problem;

BOOST_AUTO_TEST_CASE(finds_personal_data) {
    BOOST_TEST(safety_problem("write to odo.finch@port-ellory.example soon").value() == "e-mail address");
    BOOST_TEST(safety_problem("card 4111 1111 1111 1111, please").value() == "payment card number");
    BOOST_TEST(safety_problem("call +44 20 7946 0958").value() == "telephone number");
    BOOST_TEST(safety_problem("call (020) 7946-0958").value_or("") == "telephone number");
    BOOST_TEST(safety_problem("host 192.168.10.254 is down").value() == "IP address");
    BOOST_TEST(safety_problem("pay to DE89 3704 0044 0532 0130 00 today").value() == "bank account number");
}

BOOST_AUTO_TEST_CASE(leaves_plain_facts_alone) {
    for (const char* text :
         {"The boat to Marl leaves at 07:30.", "1,234,567 people in 2019", "4111 1111 1111 1112", "3.141592653589",
          "section 1.2.3.4567", "the mail @ noon", "In 1961, 120 passengers; pi is 3.14", ""})
        BOOST_TEST(!safety_problem(text).has_value(), text << ": " << safety_problem(text).value_or(""));
}

BOOST_AUTO_TEST_CASE(blocked_terms_match_whole_words_only) {
    const sdg::safety_options options{.personal_data = false, .blocked_terms = {"Grand Mother"}};
    BOOST_TEST(safety_problem("a grand, mother!", options).has_value());
    BOOST_TEST(!safety_problem("grand mothers", options).has_value());
    BOOST_TEST(!safety_problem("odo@finch.example", options).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
