#include "lab/run/available_memory.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <limits>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(memory_left)

using namespace lab;

namespace {

struct groups {
    test::temporary_folder folder;

    void group(const std::string& path, const std::string& limit, std::uint64_t used, std::uint64_t files) const {
        const auto at = folder / "mount" / path;
        std::filesystem::create_directories(at);
        std::ofstream(at / "memory.max") << limit << "\n";
        std::ofstream(at / "memory.current") << used << "\n";
        std::ofstream(at / "memory.stat") << "anon 7\nactive_file 11\ninactive_file " << files << "\nslab 13\n";
    }
    [[nodiscard]] std::uint64_t room(const std::string& own) const {
        std::ofstream(folder / "self") << own;
        return run::control_group_room(folder / "mount", folder / "self");
    }
};
constexpr auto unlimited = std::numeric_limits<std::uint64_t>::max();

}  // namespace

BOOST_AUTO_TEST_CASE(files_that_were_read_give_way) {
    const groups g;
    g.group("", "1000", 900, 650);
    BOOST_TEST(g.room("0::/\n") == 750u);
    g.group("", "1000", 900, 2000);  // the files are read one after the other: they need not agree
    BOOST_TEST(g.room("0::/\n") == 1000u);
    g.group("", "1000", 1200, 100);
    BOOST_TEST(g.room("0::/\n") == 0u);
    g.group("", "max", 900, 0);
    BOOST_TEST(g.room("0::/\n") == unlimited);
}

BOOST_AUTO_TEST_CASE(the_tightest_of_the_own_group_and_those_above_counts) {
    const groups g;
    std::filesystem::create_directories(g.folder / "mount");  // the root has no limit, hence no file
    g.group("slice", "800", 700, 0);
    g.group("slice/own", "500", 100, 0);
    g.group("slice/other", "10", 10, 0);
    BOOST_TEST(g.room("1:cpu:/slice/other\n0::/slice/own\n") == 100u);
    g.group("slice", "max", 700, 0);
    BOOST_TEST(g.room("0::/slice/own\n") == 400u);
    BOOST_TEST(g.room("0::/slice/own/none\n") == unlimited);  // not what is mounted here: the root's
    BOOST_TEST(g.room("0::/../../slice/other\n") == unlimited);
    BOOST_TEST(g.room("") == unlimited);
    BOOST_TEST(run::control_group_room(g.folder / "none", g.folder / "none") == unlimited);
}

BOOST_AUTO_TEST_CASE(this_machine_has_some) { BOOST_TEST(run::available_memory() > 0u); }

BOOST_AUTO_TEST_SUITE_END()
