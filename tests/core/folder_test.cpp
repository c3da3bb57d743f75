#include "lab/core/folder.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <optional>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(folders)

using namespace lab;

namespace {
constexpr std::array<std::string_view, 2> extensions{".json", ".gguf"};
}  // namespace

BOOST_AUTO_TEST_CASE(what_killed_writes_left_is_removed_and_nothing_else) {
    const test::temporary_folder folder;
    const auto kept = {"a.json",         "model.gguf",    "a.json.backup",   "a.json.Ab12C",
                       "a.json.Ab12Cd7", "a.json.Ab1-Cd", "a.txt.Ab12Cd",    "Ab12Cd",
                       ".Ab12Cd",        "json.Ab12Cd",   "a.json.20240101", "a.json.Ab12Cd.x"};
    for (const auto* name : kept) std::ofstream(folder / name) << "x";
    for (const auto* name : {"a.json.Ab12Cd", "model.gguf.abcde0", "1-x.y.json.ABCDEF"})
        std::ofstream(folder / name) << "x";
    std::filesystem::create_directories(folder / "b.json.Ab12Cd");  // a folder is no write's
    remove_unfinished(folder.path(), extensions);
    std::size_t left = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) left += entry.is_regular_file();
    BOOST_TEST(left == kept.size());
    for (const auto* name : kept) BOOST_TEST(std::filesystem::exists(folder / name), name);
    BOOST_TEST(std::filesystem::exists(folder / "b.json.Ab12Cd"));
    remove_unfinished(folder / "none", extensions);
}

// An atomic_file that is not committed is what a kill leaves behind.
BOOST_AUTO_TEST_CASE(the_names_are_those_of_atomic_files) {
    const test::temporary_folder folder;
    std::size_t found = 0;
    for (int i = 0; i < 20; ++i) {
        const atomic_file file(folder / "a.json");
        for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
            found += is_unfinished(entry.path(), extensions);
    }
    BOOST_TEST(found >= 15u);
}

BOOST_AUTO_TEST_CASE(a_folder_is_held_by_one_until_it_lets_go) {
    const test::temporary_folder folder;
    std::optional<folder_lock> first(std::in_place, folder / "run");
    BOOST_CHECK_EXCEPTION(folder_lock(folder / "run"), io_error, [](const auto& e) {
        return std::string(e.what()).find("another process is writing to this folder") != std::string::npos;
    });
    const folder_lock other(folder / "other");
    first.reset();
    const folder_lock second(folder / "run");
}

BOOST_AUTO_TEST_SUITE_END()
