#include "tokenizer/formats/post_processing.h"

#include "tokenizer/formats/json.h"

namespace llmcore::tokenizer {
namespace {

std::string special_json(const SpecialToken& token, int type_id) {
  return R"({"SpecialToken":{"id":)" + json_quote(token.text) + R"(,"type_id":)" +
         std::to_string(type_id) + "}}";
}

void append_framed(std::string& out, const Frame& frame, char sequence, bool with_before) {
  const int type_id = sequence - 'A';
  if (frame.before && with_before) (out += special_json(*frame.before, type_id)) += ',';
  out += std::string(R"({"Sequence":{"id":")") + sequence + R"(","type_id":)" +
         std::to_string(type_id) + "}}";
  if (frame.after) (out += ',') += special_json(*frame.after, type_id);
}

std::optional<SpecialToken> pair_token(const Json& pair) {
  if (!pair.is_array() || pair.items().size() != 2 || !pair.items()[0].is_string() ||
      !pair.items()[1].is_integer()) {
    return std::nullopt;
  }
  return SpecialToken{std::string(pair.items()[0].string()),
                      static_cast<std::uint32_t>(pair.items()[1].integer())};
}

std::optional<SpecialToken> template_token(const Json& component, const Json& entry) {
  const Json& name = entry["SpecialToken"]["id"];
  if (!name.is_string()) return std::nullopt;
  const Json& ids = component["special_tokens"][name.string()]["ids"];
  if (!ids.is_array() || ids.items().size() != 1 || !ids.items()[0].is_integer()) {
    return std::nullopt;
  }
  return SpecialToken{std::string(name.string()),
                      static_cast<std::uint32_t>(ids.items()[0].integer())};
}

std::optional<Frame> template_frame(const Json& component) {
  if (!component["single"].is_array()) return std::nullopt;
  Frame frame;
  bool is_after = false;
  for (const Json& entry : component["single"].items()) {
    if (entry["Sequence"].is_object()) {
      if (is_after) return std::nullopt;
      is_after = true;
      continue;
    }
    std::optional<SpecialToken>& side = is_after ? frame.after : frame.before;
    if (side) return std::nullopt;
    side = template_token(component, entry);
    if (!side) return std::nullopt;
  }
  return frame;
}

std::optional<Frame> frame_of(const Json& component) {
  if (component.is_null()) return Frame{};
  const std::string_view type =
      component["type"].is_string() ? component["type"].string() : std::string_view();
  if (type == "ByteLevel") return Frame{};
  if (type == "TemplateProcessing") return template_frame(component);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    Frame frame{pair_token(component["cls"]), pair_token(component["sep"])};
    if (!frame.before || !frame.after) return std::nullopt;
    return frame;
  }
  if (type != "Sequence" || !component["processors"].is_array()) return std::nullopt;
  Frame result;
  for (const Json& part : component["processors"].items()) {
    std::optional<Frame> frame = frame_of(part);
    if (!frame) return std::nullopt;
    if (!frame->before && !frame->after) continue;
    if (result.before || result.after) return std::nullopt;
    result = *frame;
  }
  return result;
}

}  // namespace

std::string template_of(const Frame& frame, bool is_bert) {
  if (!frame.before && !frame.after) return "null";
  std::string out = R"({"type":"TemplateProcessing","single":[)";
  append_framed(out, frame, 'A', true);
  out += R"(],"pair":[)";
  append_framed(out, frame, 'A', true);
  out += ',';
  append_framed(out, frame, 'B', !is_bert);
  out += R"(],"special_tokens":{)";
  bool is_first = true;
  for (const auto& token : {frame.before, frame.after}) {
    if (!token || (!is_first && frame.before && token->text == frame.before->text)) continue;
    const std::string text = json_quote(token->text);
    (out += is_first ? "" : ",") += text;
    ((out += R"(:{"id":)") += text) += R"(,"ids":[)";
    ((out += std::to_string(token->id)) += R"(],"tokens":[)") += text;
    out += "]}";
    is_first = false;
  }
  return out + "}}";
}

std::optional<Frame> frame_of(const std::string& post_processor) {
  const JsonDocument document(post_processor, "post_processor");
  return frame_of(document.root());
}

}  // namespace llmcore::tokenizer
