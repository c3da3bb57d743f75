#include "lab/run/matrix_keeper.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <string>
#include <string_view>

#include "lab/run/measure.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(kept_rows)

using namespace lab;

BOOST_AUTO_TEST_CASE(what_a_killed_write_left_is_no_row) {
    const test::temporary_folder folder;
    run::matrix_keeper keeper(folder / "eval", "these");
    (void)keeper.row("untouched", [] { return eval::matrix_row{.name = "untouched", .items = {}}; });
    (void)keeper.row("facts", [] { return eval::matrix_row{.name = "facts", .items = {}}; });
    write_file_atomically(folder / "forgetting.json", formats::to_text(eval::to_json(keeper.matrix)));
    for (const char* name : {"0-a.json.Ab12Cd", "1-facts.json.Ab12Cd", "2-skills.json.Ab12Cd"})
        std::ofstream(folder / "eval" / name) << "{\"na";
    const auto read = run::stored_matrix(folder.path());
    BOOST_REQUIRE(read.rows.size() == 2u);
    BOOST_TEST(read.rows[1].name == "facts");
}

BOOST_AUTO_TEST_CASE(rows_of_other_questions_are_not_taken_for_these) {
    const test::temporary_folder folder;
    const auto row = [] { return eval::matrix_row{.name = "untouched", .items = {}}; };
    const auto measured = [&](const std::string& asked) {
        bool anew = false;
        run::matrix_keeper keeper(folder / "eval", asked);
        (void)keeper.row("untouched", [&] {
            anew = true;
            return row();
        });
        return anew;
    };
    BOOST_TEST(measured("these"));
    BOOST_TEST(!measured("these"));
    BOOST_CHECK_EXCEPTION(measured("others"), config_error, [](const config_error& e) {
        return std::string_view(e.what()).find("other questions") != std::string_view::npos;
    });
    BOOST_TEST(!measured("these"));
}

BOOST_AUTO_TEST_CASE(the_checksum_is_of_all_that_is_asked) {
    run::measuring what{.questions = {{.id = "a", .phrasings = {"Who?"}, .answer = "I"}}};
    const auto before = run::digest_of(what);
    BOOST_TEST(run::digest_of(what) == before);
    auto other = what;
    other.questions[0].answer = "You";
    BOOST_TEST(run::digest_of(other) != before);
    other = what, other.qa.max_phrasings = 1;
    BOOST_TEST(run::digest_of(other) != before);
    other = what, other.text = {1, 2};
    BOOST_TEST(run::digest_of(other) != before);
}

BOOST_AUTO_TEST_SUITE_END()
