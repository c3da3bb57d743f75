#include "lab/taxonomy/html_text.hpp"

#include <boost/test/unit_test.hpp>

#include "lab/core/rng.hpp"

BOOST_AUTO_TEST_SUITE(html_documents)

using namespace lab;
using namespace lab::taxonomy;

#if defined(LAB_HTML)

namespace {

void expect(std::string_view html, std::string_view markdown) { BOOST_TEST(read_html(html) == markdown, html); }

void refused(std::string_view html, std::string_view what) {
    try {
        (void)read_html(html);
        BOOST_ERROR("read although: " << what);
    } catch (const format_error& fault) {
        BOOST_TEST(std::string_view(fault.what()).find(what) != std::string_view::npos, fault.what());
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(structure_stays) {
    expect(R"(<!DOCTYPE html><html><head><meta charset="utf-8"><title>Ferries &mdash; Pellamy</title>
<style>p { color: red }</style><script>if (a < b) document.write("<p>no</p>")</script></head><body>
<h1>The <em>two</em> ferries</h1>
<p>First&nbsp;paragraph with <a href="x">a link</a>, <b>bold</b>
and <code>fee(2)</code> &amp; entities: &eacute; &#x2014; &lt;tag&gt;.<br>Same line.<br><br>New paragraph.</p>
<h2>Fares<a class="headerlink" href="#fares">¶</a></h2>
<ul><li>adults<li>children<ul><li>small</li><li>tall</li></ul></li></ul>
<ol start="3"><li>pay<p>at the hut</p></li><li>board</li></ol>
<pre><code class="language-cpp">int fee(int n) {
    return 2 * n;  // &lt;shells&gt;
}
</code></pre>
<table><caption>Times</caption><thead><tr><th>boat</th><th>from</th></tr></thead>
<tr><td rowspan="2">Copper | Heron</td><td>six</td></tr><tr><td><p>seven</p></td></tr>
<tr><td colspan="2">none on Sunday</td></tr></table>
<dl><dt>shell</dt><dd>a coin</dd><dt>feather<dt>plume<dd>another<dt>last</dl>
<blockquote>Quoted.</blockquote></body></html>)",
           R"(# The two ferries

First paragraph with a link, bold and `fee(2)` & entities: é — <tag>. Same line.

New paragraph.

## Fares

- adults
- children
    - small
    - tall

3. pay

    at the hut
4. board

```cpp
int fee(int n) {
    return 2 * n;  // <shells>
}
```

Times

| boat | from |
| --- | --- |
| Copper \| Heron | six |
| Copper \| Heron | seven |
| none on Sunday |  |

- shell: a coin
- feather, plume: another
- last

Quoted.
)");
}

BOOST_AUTO_TEST_CASE(what_is_around_the_text_goes) {
    const std::string body(300, 'x');
    expect(
        "<nav>menu</nav><div class='x sidebar y'>side</div><p hidden>hid</p><p style='color:red;display:none'>off</p>"
        "<p aria-hidden=true>icon</p><form><button>ok</button><select><option>a</select></form><noscript>no</noscript>"
        "<p>text</p><footer>foot</footer><svg><text>drawn</text></svg><div role='navigation'>more</div>",
        "text\n");
    expect("<title>Page</title><p>outside</p><main><p>" + body + "</p><aside>note</aside></main><p>after</p>",
           "# Page\n\n" + body + "\n\nnote\n");
    expect("<p>outside</p><main><p>short</p></main>", "outside\n\nshort\n");  // too little to be all
    expect("<article>a<footer>kept</footer></article>", "a\n\nkept\n");
    expect("<title>Only title</title><p>text", "# Only title\n\ntext\n");
    expect("<title>T</title><h1>H</h1>text", "# H\n\ntext\n");
    expect("<p>10<sup>8</sup> m<sup>-2</sup>, 1<sup>st</sup>, x<sup class=reference>[1]</sup> H<sub>2</sub>O <q>so</q>",
           "10^8 m^-2, 1st, x H2O \"so\"\n");
    expect("<p>area <math alttext='\\pi r^2'><mi>&pi;</mi><msup><mi>r</mi><mn>2</mn></msup></math> it is",
           "area \\pi r^2 it is\n");
}

BOOST_AUTO_TEST_CASE(text_that_looks_like_structure_is_no_structure) {
    expect("<p># no heading</p><p>- no item</p><p>```</p><p>&lt;!-- x</p><p>---</p><p>#hash</p>",
           "\\# no heading\n\n\\- no item\n\n\\```\n\n\\<!-- x\n\n\\---\n\n#hash\n");
    expect("<pre>a\n```\nb</pre>", "````\na\n```\nb\n````\n");
}

BOOST_AUTO_TEST_CASE(tables_for_layout_are_no_tables) {
    expect("<table><tr><td><h1>Title</h1><p>one</p></td><td><p>two</p></td></tr></table>", "# Title\n\none\n\ntwo\n");
    expect("<table><tr><td>one</td></tr><tr><td>two</td></tr></table>", "one\n\ntwo\n");
    expect("<table><tr><td></td><td>note</td></tr></table>", "note\n");  // an icon's column
    expect("<table><tr><td>a<td><table><tr><td>b<td>c</table></table>", "a\n\n| b | c |\n| --- | --- |\n");
    expect("<table><tr><td>a<td>1<tr><td>b</table>", "| a | 1 |\n| --- | --- |\n| b |  |\n");
}

BOOST_AUTO_TEST_CASE(character_sets) {
    const std::string word = "caf\xc3\xa9";
    expect("<p>caf\xc3\xa9", word + "\n");
    expect("\xef\xbb\xbf<p>caf\xc3\xa9", word + "\n");
    expect("<meta charset=iso-8859-1><p>caf\xe9 \x80", word + " \xe2\x82\xac\n");
    expect("<meta http-equiv='Content-Type' content='text/html; charset=windows-1251'><p>\xcf\xf0",
           "\xd0\x9f\xd1\x80\n");
    expect("<?xml version='1.0' encoding='ISO-8859-2'?><html><p>\xb1", "\xc4\x85\n");
    expect("<meta charset=shift_jis><p>\x93\xfa\x96{", "\xe6\x97\xa5\xe6\x9c\xac\n");
    expect("<meta charset=iso-2022-jp><p>\x1b$B;z\x1b(B", "\xe5\xad\x97\n");
    expect("<meta charset=iso-8859-1><p>caf\xc3\xa9", word + "\n");  // says one thing and is another
    expect(std::string_view("\xff\xfe<\0p\0>\0\xe9\0", 10), "\xc3\xa9\n");
    expect(std::string_view("\xfe\xff\0<\0p\0>\0\xe9", 10), "\xc3\xa9\n");
    refused("<p>caf\xe9", "names no character set and is not UTF-8 at offset 6");
    refused("<meta charset=utf-8><p>\xe9", "says that it is UTF-8");
    refused("<meta charset=klingon><p>\xe9", "'klingon', which is not known");
    refused("<meta charset='../../etc/x'><p>\xe9", "not known");
    refused("<meta charset=euc-jp><p>\xff\xff", "is not in its character set 'euc-jp' at offset");
    refused(std::string_view("<\0p\0>\0x\0", 8), "zero byte");
}

BOOST_AUTO_TEST_CASE(hostile_pages) {
    const auto repeated = [](std::string_view part, std::size_t times) {
        std::string out;
        for (std::size_t i = 0; i < times; ++i) out += part;
        return out;
    };
    refused("", "holds no text");
    refused("<script>only</script>", "holds no text");
    refused(repeated("<div>", 600) + "x", "nested deeper than 512");
    BOOST_TEST(!read_html(repeated("<div>", 400) + "x").empty());
    // Cells that span everything: what they would fill is bounded.
    const auto wide = read_html("<table><tr>" + repeated("<td rowspan=65000 colspan=65000>x", 3000) +
                                repeated("<tr><td>y", 3000) + "</table>");
    BOOST_TEST(wide.size() < 100'000U);
    BOOST_TEST(read_html("<table><tr>" + repeated("<td>", 5000) + repeated("<tr><td>y", 5000)).size() < 100'000U);
    BOOST_TEST(read_html("<p>a\x01\x02\x7f"
                         "b</p>") == "a b\n");
    counter_rng rng(7, "html");
    const std::string_view pieces[] = {
        "<table>", "<tr>",     "<td>", "</table>", "<ul>",   "<li>",    "</ul>",        "<pre>",   "</pre>", "<dl>",
        "<dt>",    "<dd>",     "<h2>", "</h2>",    "<code>", "</code>", "<sup>",        "</sup>",  "x",      "<main>",
        "</main>", "<p>",      "<br>", "<nav>",    "</nav>", "<",       "&#0;",         "&bogus;", "<!--",   "-->",
        "<title>", "</title>", "</p>", "</td>",    "</tr>",  "</li>",   "\xe2\x80\x8b", "<q>",     "`",      "|"};
    for (int round = 0; round < 3000; ++round) {
        std::string html;
        for (auto n = rng.below(60); n > 0; --n) html += pieces[rng.below(std::size(pieces))];
        try {
            const auto text = read_html(html);
            BOOST_TEST((!text.empty() && text.back() == '\n'), html);
        } catch (const format_error&) {  // no text
        }
    }
}

#else

BOOST_AUTO_TEST_CASE(without_the_library_the_package_is_named) {
    try {
        (void)read_html("<p>x");
        BOOST_ERROR("read without a parser");
    } catch (const config_error& fault) {
        BOOST_TEST(std::string_view(fault.what()).find("libxml2-dev") != std::string_view::npos);
    }
}

#endif

BOOST_AUTO_TEST_SUITE_END()
