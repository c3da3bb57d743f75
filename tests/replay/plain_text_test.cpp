#include "lab/replay/plain_text.hpp"

#include <fstream>

#include "lab/replay/phase.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(plain_text)

using namespace lab;

namespace {

/// One token a byte.
std::vector<token> bytes(std::string_view text) { return {text.begin(), text.end()}; }

std::filesystem::path write(const test::temporary_folder& folder, const std::string& name, const std::string& text) {
    std::ofstream(folder / name) << text;
    return folder / name;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_token_but_a_documents_first_is_learnt_once) {
    const test::temporary_folder folder;
    const auto file = write(folder, "book.txt", "abcdefghij#klm#");
    for (const std::size_t most : {2u, 3u, 4u, 5u, 10u, 11u, 12u, 100u}) {
        const auto data = replay::encode_texts({file}, bytes, {'#', "#"}, most);
        std::string learnt;
        for (const auto& s : data.samples) {
            BOOST_TEST(s.tokens.size() <= most);
            BOOST_TEST(s.trained.size() == s.tokens.size());
            BOOST_TEST(s.leaf == "text/book.txt");
            for (std::size_t i = 1; i < s.tokens.size(); ++i) learnt.push_back(static_cast<char>(s.tokens[i]));
        }
        BOOST_TEST(learnt == "bcdefghij#lm#");
        BOOST_TEST(data.leaves.at("text/book.txt").trained_tokens == learnt.size());
        BOOST_TEST(data.leaves.at("text/book.txt").kept == data.samples.size());
    }
}

BOOST_AUTO_TEST_CASE(without_an_end_token_a_file_is_one_document) {
    const test::temporary_folder folder;
    const auto data = replay::encode_texts({write(folder, "a.txt", "a#b"), write(folder, "b.txt", "cd")}, bytes, {}, 9);
    BOOST_TEST(data.samples.size() == 2u);
    BOOST_TEST((data.samples[0].tokens == std::vector<token>{'a', '#', 'b'}));
    BOOST_TEST(data.samples[0].id != data.samples[1].id);
}

BOOST_AUTO_TEST_CASE(the_short_end_of_a_text_counts_as_long_too) {
    const test::temporary_folder folder;
    const auto data = replay::encode_texts({write(folder, "book.txt", "abcdefgh#i")}, bytes, {'#', "#"}, 6);
    for (const auto& s : data.samples) BOOST_TEST((replay::length_buckets{}(s) == replay::content::knowledge_long));
}

BOOST_AUTO_TEST_CASE(files_are_found_by_name) {
    const test::temporary_folder folder;
    const auto a = write(folder, "a.txt", "x"), b = write(folder, "b.txt", "y");
    write(folder, "c.md", "z");
    BOOST_TEST((replay::text_files(folder.path()) == std::vector{a, b}));
    BOOST_TEST((replay::text_files(a) == std::vector{a}));
    BOOST_TEST(replay::text_files(folder / "c.md").empty());
    write(folder, "samples.jsonl", "{}");
    BOOST_TEST(replay::text_files(folder.path()).empty());  // conversations go first
}

BOOST_AUTO_TEST_CASE(what_cannot_be_learnt_is_refused) {
    const test::temporary_folder folder;
    BOOST_CHECK_THROW((void)replay::encode_texts({write(folder, "empty.txt", "")}, bytes, {'#', "#"}, 9), config_error);
    BOOST_CHECK_THROW((void)replay::encode_texts({write(folder, "one.txt", "a")}, bytes, {}, 9), config_error);
    BOOST_CHECK_THROW((void)replay::encode_texts({write(folder, "a.txt", "abc")}, bytes, {}, 1), config_error);
    BOOST_CHECK_THROW((void)replay::encode_texts({folder / "none.txt"}, bytes, {}, 9), io_error);
}

BOOST_AUTO_TEST_SUITE_END()
