// The text of an HTML page as Markdown: its character set from a byte-order mark or its <meta>, its elements by
// libxml2's HTML parser as a stream of events (no tree, no network, no entities from outside). Without LAB_HTML, which
// the CMake targets define where libxml2 is found, reading is an error that names the package.
#pragma once

#include <iconv.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#if defined(LAB_HTML)
#include <libxml/HTMLparser.h>
#include <libxml/xmlversion.h>
#endif

#include "lab/core/error.hpp"
#include "lab/formats/text_bytes.hpp"
#include "lab/taxonomy/html_markdown.hpp"

namespace lab::taxonomy {
namespace detail {

inline std::string lower_ascii(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return out;
}

/// The character set that a page names within its first bytes; empty where it names none.
inline std::string declared_charset(std::string_view bytes) {
    const std::string head = lower_ascii(bytes.substr(0, 4096));
    for (std::size_t at = head.find("charset"); at != head.npos; at = head.find("charset", at + 1)) {
        const auto tag = head.rfind('<', at);
        if (tag == head.npos || !(head.substr(tag).starts_with("<meta") || head.substr(tag).starts_with("<?xml")))
            continue;
        auto i = head.find_first_not_of(" \t\r\n", at + 7);
        if (i == head.npos || head[i] != '=') continue;
        i = head.find_first_not_of(" \t\r\n\"'", i + 1);
        if (i == head.npos) return {};
        const auto end = std::min(head.find_first_of(" \t\r\n\"';/>", i), head.size());
        return head.substr(i, end - i);
    }
    if (const auto at = head.find("encoding="); head.starts_with("<?xml") && at < head.find("?>")) {
        const auto end = std::min(head.find_first_of("\"' ?", at + 10), head.size());
        return head.substr(at + 10, end - at - 10);
    }
    return {};
}

/// @throws format_error for a character set that iconv does not know, or bytes that are not in it.
inline std::string to_utf8(std::string_view bytes, const std::string& charset) {
    struct converter {
        iconv_t handle;
        explicit converter(const std::string& from) : handle(::iconv_open("UTF-8", from.c_str())) {}
        converter(const converter&) = delete;
        converter& operator=(const converter&) = delete;
        ~converter() {
            if (known()) ::iconv_close(handle);
        }
        [[nodiscard]] bool known() const {
            return handle != reinterpret_cast<iconv_t>(-1);  // NOLINT(performance-no-int-to-ptr): as iconv says it
        }
    };
    const bool plain = !charset.empty() && charset.size() < 40 &&
                       charset.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.:") == charset.npos;
    const converter c(plain ? charset : "none");
    if (!c.known())
        throw format_error("names the character set " + formats::quote(charset, 40) +
                           ", which is not known here (save it as UTF-8)");
    std::string in(bytes), out;
    char* from = in.data();
    std::size_t left = in.size();
    std::string block(65536, '\0');
    while (left > 0) {
        char* to = block.data();
        std::size_t room = block.size();
        const auto done = ::iconv(c.handle, &from, &left, &to, &room);
        out.append(block.data(), block.size() - room);
        if (done == static_cast<std::size_t>(-1) && errno != E2BIG)
            throw format_error("is not in its character set " + formats::quote(charset, 40) + " at offset " +
                               std::to_string(in.size() - left) + " (save it as UTF-8)");
    }
    return out;
}

/// The page in UTF-8 without a byte-order mark.
inline std::string html_as_utf8(std::string_view bytes) {
    if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
    if (bytes.starts_with("\xff\xfe")) return to_utf8(bytes.substr(2), "utf-16le");
    if (bytes.starts_with("\xfe\xff")) return to_utf8(bytes.substr(2), "utf-16be");
    if (const auto zero = bytes.find('\0'); zero != bytes.npos)
        throw format_error("holds a zero byte at offset " + std::to_string(zero) +
                           ", as UTF-16 without a byte-order mark does (save it as UTF-8)");
    const auto bad = formats::first_invalid_utf8(bytes);
    auto charset = declared_charset(bytes);
    const bool shifted = charset.starts_with("iso-2022-") || charset.starts_with("hz") || charset == "utf-7";
    if (bad == bytes.npos && !shifted)
        return std::string(bytes);  // whatever it says: other text is hardly ever UTF-8 by chance
    if (charset.empty() || charset == "utf-8" || charset == "utf8")
        throw format_error(std::string(charset.empty() ? "names no character set and" : "says that it is UTF-8 and") +
                           " is not UTF-8 at offset " + std::to_string(bad) + " (save it as UTF-8)");
    if (is_one_of(charset, "iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii"))
        charset = "windows-1252";  // as browsers
    return to_utf8(bytes, charset);
}

#if defined(LAB_HTML)
/// libxml2's events, handed on. Nothing may be thrown through its C code: a fault is kept and the parser stopped.
struct html_events {
    html_markdown page;
    htmlParserCtxtPtr parser = nullptr;
    std::exception_ptr fault{};

    template <class F>
    void guarded(F&& step) noexcept {
        if (fault) return;
        try {
            step();
        } catch (...) {
            fault = std::current_exception();
            ::xmlStopParser(parser);
        }
    }
    static std::string_view view(const xmlChar* text) {
        return text == nullptr ? std::string_view{} : reinterpret_cast<const char*>(text);
    }
    static std::size_t number(std::string_view text) {
        std::size_t n = 0;
        for (const char c : text.substr(0, 6)) {
            if (c < '0' || c > '9') break;
            n = 10 * n + static_cast<std::size_t>(c - '0');
        }
        return std::max<std::size_t>(n, 1);
    }
    static void start(void* self, const xmlChar* name, const xmlChar** list) {
        auto& me = *static_cast<html_events*>(self);
        me.guarded([&] {
            html_markdown::attributes a;
            for (; list != nullptr && list[0] != nullptr; list += 2) {
                const auto key = view(list[0]), value = view(list[1]);
                if (key == "id") a.id = value;
                if (key == "class") a.classes = value;
                if (key == "role") a.role = value;
                if (key == "style") a.style = value;
                if (key == "alttext") a.alt_text = value;
                if (key == "hidden" || (key == "aria-hidden" && value == "true")) a.hidden = true;
                if (key == "colspan") a.columns = number(value);
                if (key == "rowspan") a.rows = number(value);
                if (key == "start") a.start = number(value);
            }
            me.page.open(view(name), a);
        });
    }
    static void end(void* self, const xmlChar* name) {
        auto& me = *static_cast<html_events*>(self);
        me.guarded([&] { me.page.close(view(name)); });
    }
    static void characters(void* self, const xmlChar* text, int size) {
        auto& me = *static_cast<html_events*>(self);
        me.guarded([&] { me.page.text(view(text).substr(0, static_cast<std::size_t>(std::max(size, 0)))); });
    }
};
#endif

}  // namespace detail

/// "html 1 libxml2 2.9.14": the edition of the rules here, and the parser.
[[nodiscard]] inline std::string html_converter() {
#if defined(LAB_HTML)
    const int v = LIBXML_VERSION;
    return "html 1 libxml2 " + std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." +
           std::to_string(v % 100);
#else
    throw config_error(
        "HTML is read with libxml2, which this program was built without (install the package libxml2-dev and build "
        "again)");
#endif
}

/// @throws config_error in a build without libxml2; format_error for a character set that is not known or not kept to,
/// for elements nested too deeply, and for a page without text.
[[nodiscard]] inline std::string read_html(std::string_view bytes) {
#if defined(LAB_HTML)
    std::string utf8 = detail::html_as_utf8(bytes);
    // What is no character of HTML would end the parser's reading.
    std::replace_if(
        utf8.begin(), utf8.end(),
        [](char c) {
            return (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
        },
        ' ');
    if (utf8.size() > static_cast<std::size_t>(INT_MAX)) throw format_error("is too large for an HTML page");
    detail::html_events events;
    const auto free = [](htmlParserCtxtPtr p) { ::htmlFreeParserCtxt(p); };
    const std::unique_ptr<htmlParserCtxt, decltype(free)> parser(::htmlNewParserCtxt(), free);
    if (!parser || parser->sax == nullptr) throw error("libxml2: no parser could be made");
    events.parser = parser.get();
    *parser->sax = {};
    parser->sax->startElement = detail::html_events::start;
    parser->sax->endElement = detail::html_events::end;
    parser->sax->characters = detail::html_events::characters;
    parser->sax->ignorableWhitespace = detail::html_events::characters;
    parser->sax->cdataBlock = detail::html_events::characters;
    parser->userData = &events;
    ::htmlCtxtReadMemory(parser.get(), utf8.data(), static_cast<int>(utf8.size()), nullptr, "UTF-8",
                         HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET |
                             HTML_PARSE_NODEFDTD | HTML_PARSE_IGNORE_ENC);
    if (events.fault) std::rethrow_exception(events.fault);
    auto text = events.page.finish();
    if (text.empty()) throw format_error("holds no text (a page made by scripts must be saved as a browser shows it)");
    return text;
#else
    static_cast<void>(bytes);
    (void)html_converter();  // says what is missing
    return {};
#endif
}

}  // namespace lab::taxonomy
