// What `lab-model info` shows: a weight file or folder as one JSON object, and that object as text. Works without
// loading the model: any GGUF (also vocabulary only), any safetensors file, any Hugging Face folder.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/cli.hpp"
#include "lab/formats/gguf.hpp"
#include "lab/formats/json.hpp"
#include "lab/formats/safetensors.hpp"

namespace lab::apps {

/// Foreign text as JSON: what is not UTF-8 is escaped.
[[nodiscard]] inline formats::json text_value(std::string_view text) {
    return formats::first_invalid_utf8(text) == text.npos ? std::string(text) : formats::escape(text, text.size());
}

/// The double with the shortest decimal that reads back as `value`: 1e-05, not 9.99999974e-06.
[[nodiscard]] inline double as_written(float value) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value).ptr;
    double result = 0;
    std::from_chars(text, end, result);
    return result;
}

/// A GGUF value; arrays longer than 8 as their type and length.
[[nodiscard]] inline formats::json metadata_value(const formats::gguf_file& file, std::string_view key,
                                                  const formats::gguf_value& value) {
    using formats::gguf_type;
    using formats::json;
    const auto is_float = [](gguf_type t) { return t == gguf_type::f32 || t == gguf_type::f64; };
    const auto number = [](double x) { return std::isfinite(x) ? json(x) : json(std::to_string(x)); };
    if (value.type == gguf_type::string) return text_value(*file.get<std::string>(key));
    if (value.type == gguf_type::boolean) return *file.get<bool>(key);
    if (value.type == gguf_type::f32) return number(as_written(*file.get<float>(key)));
    if (value.type == gguf_type::f64) return number(*file.get<double>(key));
    if (value.type == gguf_type::u64) return *file.get<std::uint64_t>(key);
    if (value.type != gguf_type::array) return *file.get<std::int64_t>(key);
    if (value.count > 8 || value.element == gguf_type::boolean || value.element == gguf_type::u64)
        return {{"type", std::string(name_of(value.element))}, {"count", value.count}};
    json items = json::array();
    if (value.element == gguf_type::string)
        for (const auto& item : file.strings(key)) items.push_back(text_value(item));
    else if (is_float(value.element))
        for (const double item : file.floats(key)) items.push_back(number(item));
    else
        for (const std::int64_t item : file.integers(key)) items.push_back(item);
    return items;
}

/// Adds "tensors", and of the weights among them "types", "parameters" and "bytes".
inline void describe_tensors(formats::json& out, std::span<const formats::stored_tensor> tensors) {
    std::uint64_t parameters = 0, bytes = 0;
    formats::json list = formats::json::array(), types = formats::json::object();
    for (const auto& t : tensors) {
        parameters += formats::element_count(t.shape);
        bytes += t.bytes.size();
        const std::string type(name_of(t.type));
        types[type] = types.value(type, 0) + 1;
        list.push_back({{"name", text_value(t.name)}, {"type", type}, {"shape", t.shape}, {"bytes", t.bytes.size()}});
    }
    out["parameters"] = parameters;
    out["bytes"] = bytes;
    out["types"] = types;
    out["tensors"] = list;
}

[[nodiscard]] inline formats::json describe_gguf(const std::filesystem::path& path) {
    const formats::gguf_file file(path);
    formats::json out{
        {"path", path.string()}, {"format", "gguf"}, {"version", file.version()}, {"alignment", file.alignment()}};
    out["metadata"] = formats::json::object();
    for (const auto& [key, value] : file.metadata())
        out["metadata"][formats::escape(key)] = metadata_value(file, key, value);
    describe_tensors(out, file.tensors());
    return out;
}

[[nodiscard]] inline formats::json describe_safetensors(const std::filesystem::path& path) {
    formats::json out{{"path", path.string()}, {"format", "safetensors"}};
    if (std::filesystem::is_regular_file(path) && path.extension() != ".json") {
        const formats::safetensors_file file(path);
        out["metadata"] = file.metadata();
        const auto weights = file.weights();
        describe_tensors(out, weights.tensors());
        for (const auto& e : file.entries())
            if (!e.type)
                out["tensors"].push_back({{"name", e.name},
                                          {"type", std::string(e.dtype_name)},
                                          {"shape", e.shape},
                                          {"bytes", e.bytes.size()}});
        return out;
    }
    const auto weights = formats::open_safetensors(path);
    out["metadata"] = formats::json::object();
    if (std::filesystem::exists(path / "config.json")) {
        const auto config = path / "config.json";
        out["metadata"] = formats::parse_json(read_file(config), config.string());
    }
    describe_tensors(out, weights.tensors());
    return out;
}

/// @throws io_error, format_error
[[nodiscard]] inline formats::json describe(const std::filesystem::path& path) {
    if (std::filesystem::is_directory(path)) return describe_safetensors(path);
    const mapped_file file(path);
    const bool gguf = formats::as_text(file.bytes()).starts_with("GGUF") || path.extension() == ".gguf";
    return gguf ? describe_gguf(path) : describe_safetensors(path);
}

/// 1234567 as "1.23 million"; bytes as "98.2 MB".
[[nodiscard]] inline std::string scaled(double value, std::span<const std::string_view> units) {
    std::size_t unit = 0;
    while (value >= 999.5 && unit + 1 < units.size()) value /= 1000, ++unit;
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 || value >= 99.95 ? "%.0f" : value >= 9.995 ? "%.1f" : "%.2f", value);
    return std::string(text).append(units[unit]);
}

/// One value on one line; long texts (chat templates) are cut unless `whole`.
[[nodiscard]] inline std::string one_line(const formats::json& value, bool whole) {
    if (value.is_object() && value.size() == 2 && value.contains("count") && value.contains("type"))
        return "[" + formats::to_text(value["count"]) + " x " +
               (value["type"].is_string() ? value["type"].get<std::string>() : formats::to_text(value["type"])) + "]";
    std::string text = formats::to_text(value);
    constexpr std::size_t limit = 100;
    if (whole || text.size() <= limit) return text;
    std::size_t end = limit;  // not inside a character
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0u) == 0x80) --end;
    return text.substr(0, end) + "... (" + std::to_string(text.size()) + " bytes)";
}

/// @param tensors list every tensor; @param whole print long values in full.
inline void print_description(std::ostream& out, const formats::json& what, bool tensors, bool whole,
                              const painter& colours) {
    static constexpr std::string_view counts[]{"", " thousand", " million", " billion", " trillion"};
    static constexpr std::string_view sizes[]{" B", " kB", " MB", " GB", " TB"};
    out << colours.bold(what["path"].get<std::string>()) << '\n'
        << "  format      " << what["format"].get<std::string>();
    if (what.contains("version")) out << " version " << what["version"] << ", alignment " << what["alignment"];
    out << "\n  parameters  " << scaled(what["parameters"].get<double>(), counts) << " in " << what["tensors"].size()
        << " tensors, " << scaled(what["bytes"].get<double>(), sizes) << '\n';
    if (!what["types"].empty()) {
        out << "  types      ";
        for (const auto& [type, count] : what["types"].items()) out << ' ' << type << " x" << count;
        out << '\n';
    }
    if (!what["metadata"].empty()) out << colours.bold("metadata") << '\n';
    for (const auto& [key, value] : what["metadata"].items())
        out << "  " << colours.cyan(key) << " = " << one_line(value, whole) << '\n';
    if (!tensors) return;
    out << colours.bold("tensors") << '\n';
    for (const auto& t : what["tensors"])
        out << "  " << t["name"].get<std::string>() << "  " << t["type"].get<std::string>() << ' ' << t["shape"].dump()
            << '\n';
}

}  // namespace lab::apps
