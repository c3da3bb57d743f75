#include "lab/run/matrix_keeper.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(kept_rows)

using namespace lab;

BOOST_AUTO_TEST_CASE(what_a_killed_write_left_is_no_row) {
    const test::temporary_folder folder;
    run::matrix_keeper keeper(folder / "eval", false);
    (void)keeper.row("untouched", [] { return eval::matrix_row{.name = "untouched", .items = {}}; });
    (void)keeper.row("facts", [] { return eval::matrix_row{.name = "facts", .items = {}}; });
    write_file_atomically(folder / "forgetting.json", formats::to_text(eval::to_json(keeper.matrix)));
    for (const char* name : {"0-a.json.Ab12Cd", "1-facts.json.Ab12Cd", "2-skills.json.Ab12Cd"})
        std::ofstream(folder / "eval" / name) << "{\"na";
    const auto read = run::stored_matrix(folder.path());
    BOOST_REQUIRE(read.rows.size() == 2u);
    BOOST_TEST(read.rows[1].name == "facts");
}

BOOST_AUTO_TEST_SUITE_END()
