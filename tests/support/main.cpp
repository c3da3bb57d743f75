// main() of all tests. (Boost.Test's own comes with BOOST_TEST_MODULE, defined before its header: ours is precompiled.)
#include <boost/test/unit_test.hpp>

int main(int argc, char** argv) {
    const auto init = [] {
        boost::unit_test::framework::master_test_suite().p_name.value = "lab";
        return true;
    };
    return boost::unit_test::unit_test_main(init, argc, argv);
}
