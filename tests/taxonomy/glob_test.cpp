#include "lab/taxonomy/glob.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

BOOST_AUTO_TEST_SUITE(glob)

using lab::taxonomy::glob_match;
using lab::taxonomy::leads_outside;

BOOST_AUTO_TEST_CASE(names) {
    BOOST_TEST(glob_match("*.md", "a.md"));
    BOOST_TEST(glob_match("a?c.md", "abc.md"));
    BOOST_TEST(glob_match("[a-c]x[!0-9].md", "bxy.md"));
    BOOST_TEST(glob_match("a*b*c", "aXbYbZc"));
    BOOST_TEST(glob_match("[]]x", "]x"));
    BOOST_TEST(glob_match("[x", "[x"));
    BOOST_TEST(!glob_match("*.md", "a.txt"));
    BOOST_TEST(!glob_match("*.md", "b/a.md"));
    BOOST_TEST(!glob_match("a?c", "ac"));
    BOOST_TEST(!glob_match("[!a]x", "ax"));
    BOOST_TEST(!glob_match("*", ".hidden"));
    BOOST_TEST(glob_match(".*", ".hidden"));
    BOOST_TEST(!glob_match("", "a"));
}

BOOST_AUTO_TEST_CASE(folders) {
    BOOST_TEST(glob_match("docs/*.md", "docs/a.md"));
    BOOST_TEST(glob_match("./docs//a.md", "docs/a.md"));
    BOOST_TEST(glob_match("**/*.md", "a.md"));
    BOOST_TEST(glob_match("**/*.md", "x/y/a.md"));
    BOOST_TEST(glob_match("x/**/a.md", "x/a.md"));
    BOOST_TEST(glob_match("x/**/a.md", "x/y/z/a.md"));
    BOOST_TEST(glob_match("x/**", "x/y/z"));
    BOOST_TEST(!glob_match("x/**/a.md", "y/a.md"));
    BOOST_TEST(!glob_match("*/a.md", "x/y/a.md"));
    BOOST_TEST(!glob_match("**/a.md", ".git/a.md"));
}

BOOST_AUTO_TEST_CASE(ways_outside) {
    for (const auto* pattern : {"/etc/passwd", "../a.md", "a/../../b", "..", "a\\b"})
        BOOST_TEST(leads_outside(pattern), pattern);
    for (const auto* pattern : {"a..b", "...", "a/b.md", "**/*"}) BOOST_TEST(!leads_outside(pattern), pattern);
}

BOOST_AUTO_TEST_CASE(hostile_patterns_take_no_exponential_time) {
    std::string stars, parts;
    for (int i = 0; i < 200; ++i) stars += "*a", parts += "**/";
    BOOST_TEST(!glob_match(stars + "b", std::string(2000, 'a')));
    std::string deep;
    for (int i = 0; i < 200; ++i) deep += "x/";
    BOOST_TEST(!glob_match(parts + "y", deep + "z"));
}

BOOST_AUTO_TEST_SUITE_END()
