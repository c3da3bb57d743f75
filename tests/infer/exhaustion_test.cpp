// Memory that runs out in the middle of a step: nothing of the step has happened, and the jobs go on to their end.
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <new>
#include <string>
#include <vector>

#include "infer/tiny.hpp"
#include "lab/infer/engine.hpp"
#include "support/heap.hpp"

BOOST_AUTO_TEST_SUITE(exhaustion)

using namespace lab;

BOOST_AUTO_TEST_CASE(a_step_without_memory_can_be_repeated) {
    std::vector<infer::generation> jobs(3);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        jobs[i].prompt = test::byte_tokenizer().encode(std::string(60, 'x') + std::to_string(i));
        jobs[i].max_tokens = 20;
        jobs[i].sampler = sampling::chain{sampling::temperature{0.8f}, sampling::multinomial{i}};
    }
    const auto expected = infer::engine(test::byte_model(), test::byte_tokenizer()).run(jobs);
    for (std::ptrdiff_t failing = 1;; ++failing) {
        infer::engine engine(test::byte_model(), test::byte_tokenizer(), {.max_batch_tokens = 50, .lookup_tokens = 4});
        std::vector<infer::generated> results(jobs.size());
        for (std::size_t i = 0; i < jobs.size(); ++i)
            engine.submit(jobs[i], [&, i](infer::generated&& r) { results[i] = std::move(r); });
        test::heap_until_fault = failing;
        bool failed = false;
        for (bool more = true; more;) try {
                more = engine.step();
            } catch (const std::bad_alloc&) {
                failed = true;
            }
        test::heap_until_fault = 0;
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            BOOST_TEST(!results[i].fault);
            BOOST_TEST(results[i].tokens == expected[i].tokens, boost::test_tools::per_element());
            BOOST_TEST(results[i].log_probability == expected[i].log_probability);
        }
        if (!failed) {
            BOOST_TEST(failing > 6);
            break;
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
