#include "lab/core/file.hpp"

#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <iterator>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(file)

namespace fs = std::filesystem;

std::ptrdiff_t entries(const fs::path& folder) {
    return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

BOOST_AUTO_TEST_CASE(an_uncommitted_file_leaves_the_old_one_and_nothing_else) {
    const lab::test::temporary_folder folder;
    lab::write_file_atomically(folder / "a", "old");
    {
        lab::atomic_file file(folder / "a");
        file.write("new");
        BOOST_TEST(file.written() == 3u);
    }
    BOOST_TEST(lab::read_file(folder / "a") == "old");
    BOOST_TEST(entries(folder.path()) == 1);
    lab::write_file_atomically(folder / "a", "new");
    BOOST_TEST(lab::read_file(folder / "a") == "new");
    BOOST_TEST(entries(folder.path()) == 1);
}

BOOST_AUTO_TEST_CASE(a_file_that_grows_under_a_known_name) {
    const lab::test::temporary_folder folder;
    lab::write_file_atomically(folder / "a", "old");
    lab::write_file_atomically(folder / "a.part", "left by a killed process, and longer");
    {
        lab::atomic_file file(folder / "a", ".part");
        BOOST_TEST(fs::file_size(folder / "a.part") == 0u);
        BOOST_CHECK_THROW(lab::atomic_file(folder / "a", ".part"), lab::io_error);  // somebody is writing it
        file.write("new text");
        BOOST_TEST(file.read(4, 8) == "text");
        BOOST_TEST(file.read(0, 0) == "");
        BOOST_CHECK_THROW((void)file.read(4, 9), lab::io_error);
        file.sync();
        BOOST_TEST(lab::read_file(folder / "a") == "old");
        file.commit();
        BOOST_TEST(file.read(0, 3) == "new");
    }
    BOOST_TEST(lab::read_file(folder / "a") == "new text");
    BOOST_TEST(entries(folder.path()) == 1);
    { lab::atomic_file file(folder / "a", ".part"); }
    BOOST_TEST(lab::read_file(folder / "a") == "new text");
    BOOST_TEST(entries(folder.path()) == 1);
    fs::create_symlink("a", folder / "b.part");
    BOOST_CHECK_THROW(lab::atomic_file(folder / "b", ".part"), lab::io_error);  // never through a link
    BOOST_TEST(lab::read_file(folder / "a") == "new text");
}

BOOST_AUTO_TEST_CASE(writes_through_a_symbolic_link) {
    const lab::test::temporary_folder folder;
    lab::write_file_atomically(folder / "a", "old");
    fs::create_symlink("a", folder / "link");
    lab::write_file_atomically(folder / "link", "new");
    BOOST_TEST(fs::is_symlink(folder / "link"));
    BOOST_TEST(lab::read_file(folder / "a") == "new");
}

BOOST_AUTO_TEST_CASE(refuses_to_replace_what_is_not_a_regular_file) {
    const lab::test::temporary_folder folder;
    fs::create_directory(folder / "d");
    BOOST_CHECK_THROW(lab::write_file_atomically(folder / "d", "x"), lab::io_error);
    BOOST_REQUIRE_EQUAL(::mkfifo((folder / "pipe").c_str(), 0600), 0);
    fs::create_symlink("pipe", folder / "link");
    for (const char* name : {"pipe", "link"})
        BOOST_CHECK_THROW(lab::write_file_atomically(folder / name, "x"), lab::io_error);
    BOOST_TEST(fs::is_fifo(folder / "pipe"));
    BOOST_CHECK_THROW(lab::write_file_atomically(folder / "missing" / "a", "x"), lab::io_error);
    BOOST_TEST(entries(folder.path()) == 3);
}

BOOST_AUTO_TEST_SUITE_END()
