// Part of lab::compiled: JSON in and out.
#include "lab/formats/json.hpp"

template class nlohmann::basic_json<>;
template class nlohmann::detail::serializer<nlohmann::json>;

namespace lab::formats {

template <>
json parse_json<json>(std::string_view text, std::string_view place) {
    return json_detail::parse<json>(text, place);
}
std::optional<json> try_parse_json(std::string_view text) { return json_detail::try_parse<json>(text); }
std::string to_text(const json& value, int indent) { return json_detail::print(value, indent); }

}  // namespace lab::formats
