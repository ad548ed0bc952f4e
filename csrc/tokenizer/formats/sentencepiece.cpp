// SentencePiece's .model: the message ModelProto of sentencepiece_model.proto.
#include "tokenizer/errors.h"
#include "tokenizer/formats/formats.h"
#include "tokenizer/formats/pieces.h"
#include "tokenizer/formats/protobuf.h"
#include "tokenizer/formats/spec_building.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

// Numbers of the fields.
namespace model_proto {
constexpr std::uint32_t kPieces = 1, kTrainerSpec = 2, kNormalizerSpec = 3;
}
namespace piece_proto {
constexpr std::uint32_t kPiece = 1, kScore = 2, kType = 3;
}
namespace trainer_proto {
constexpr std::uint32_t kModelType = 3, kVocabSize = 4, kWhitespaceAsSuffix = 24,
                        kByteFallback = 35, kUnkId = 40, kBosId = 41, kEosId = 42, kPadId = 43,
                        kUnkSurface = 44, kUnkPiece = 45, kBosPiece = 46, kEosPiece = 47,
                        kPadPiece = 48;
}
namespace normalizer_proto {
constexpr std::uint32_t kName = 1, kCharsmap = 2, kAddDummyPrefix = 3, kRemoveExtraWhitespaces = 4,
                        kEscapeWhitespaces = 5;
}

constexpr std::uint64_t kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4;

class Reader {
 public:
  explicit Reader(const std::string& name) : name_(name) {}

  PieceModel read(std::string_view message) {
    model_.unk_id = 0;
    model_.bos_id = 1;
    model_.eos_id = 2;
    walk(message, "model", [this](const ProtoField& field) {
      switch (field.number) {
        case model_proto::kPieces:
          return expect(field, 2), read_piece(field.bytes);
        case model_proto::kTrainerSpec:
          return expect(field, 2), read_trainer(field.bytes);
        case model_proto::kNormalizerSpec:
          return expect(field, 2), read_normalizer(field.bytes);
        default:
          model_.other_fields += field.whole;
      }
    });
    if (model_.pieces.empty()) fail_data(name_, "a SentencePiece model", "no pieces");
    const std::size_t num_pieces = model_.pieces.size();
    for (std::int32_t* id : {&model_.unk_id, &model_.bos_id, &model_.eos_id, &model_.pad_id}) {
      if (*id >= 0 && static_cast<std::size_t>(*id) >= num_pieces) *id = -1;
    }
    return std::move(model_);
  }

 private:
  template <typename Take>
  void walk(std::string_view message, std::string_view what, Take take) const {
    ProtoReader reader(message);
    for (ProtoField field; reader.next(field);) take(field);
    if (reader.failed())
      fail_data(name_, "a SentencePiece model", "a damaged " + std::string(what));
  }

  void expect(const ProtoField& field, std::uint32_t wire) const {
    if (field.wire != wire) {
      fail_data(name_, "a SentencePiece model",
                "field " + std::to_string(field.number) + " of another type");
    }
  }

  bool flag(const ProtoField& field) const { return expect(field, 0), field.value != 0; }
  std::int32_t number(const ProtoField& field) const { return expect(field, 0), field.as_int32(); }
  std::string text(const ProtoField& field) const {
    return expect(field, 2), std::string(field.bytes);
  }

  void read_piece(std::string_view message) {
    ModelPiece piece;
    walk(message, "piece", [&](const ProtoField& field) {
      if (field.number == piece_proto::kPiece) {
        piece.text = text(field);
      } else if (field.number == piece_proto::kScore) {
        expect(field, 5);
        piece.score = field.as_float();
      } else if (field.number == piece_proto::kType) {
        expect(field, 0);
        if (field.value < 1 || field.value > 6) {
          fail_data(name_ + ": piece " + std::to_string(model_.pieces.size()) + ": type",
                    "from 1 to 6", std::to_string(field.value));
        }
        piece.type = static_cast<PieceType>(field.value);
      }
    });
    model_.pieces.push_back(std::move(piece));
  }

  void read_trainer(std::string_view message) {
    walk(message, "trainer_spec", [this](const ProtoField& field) {
      switch (field.number) {
        case trainer_proto::kModelType:
          return expect(field, 0), read_type(field.value);
        case trainer_proto::kWhitespaceAsSuffix:
          model_.treat_whitespace_as_suffix = flag(field);
          return;
        case trainer_proto::kByteFallback:
          model_.byte_fallback = flag(field);
          return;
        case trainer_proto::kUnkId:
          model_.unk_id = number(field);
          return;
        case trainer_proto::kBosId:
          model_.bos_id = number(field);
          return;
        case trainer_proto::kEosId:
          model_.eos_id = number(field);
          return;
        case trainer_proto::kPadId:
          model_.pad_id = number(field);
          return;
        case trainer_proto::kUnkSurface:
          model_.unk_surface = text(field);
          return;
        case trainer_proto::kVocabSize:
        case trainer_proto::kUnkPiece:
        case trainer_proto::kBosPiece:
        case trainer_proto::kEosPiece:
        case trainer_proto::kPadPiece:
          return;  // follow from the pieces
        default:
          model_.trainer_spec += field.whole;
      }
    });
    if (valid_text(model_.unk_surface)) return;
    fail_data(name_ + ": unk_surface", "UTF-8", quoted(model_.unk_surface));
  }

  static bool valid_text(std::string_view text) { return valid_utf8_length(text) == text.size(); }

  void read_type(std::uint64_t type) {
    if (type != kUnigram && type != kBpe) {
      fail_data(name_ + ": model_type", "UNIGRAM or BPE",
                type == kWord   ? "WORD"
                : type == kChar ? "CHAR"
                                : std::to_string(type));
    }
    model_.is_unigram = type == kUnigram;
  }

  void read_normalizer(std::string_view message) {
    walk(message, "normalizer_spec", [this](const ProtoField& field) {
      switch (field.number) {
        case normalizer_proto::kName:
          model_.normalizer_name = text(field);
          return;
        case normalizer_proto::kCharsmap:
          model_.charsmap = text(field);
          return;
        case normalizer_proto::kAddDummyPrefix:
          model_.add_dummy_prefix = flag(field);
          return;
        case normalizer_proto::kRemoveExtraWhitespaces:
          model_.remove_extra_whitespaces = flag(field);
          return;
        case normalizer_proto::kEscapeWhitespaces:
          model_.escape_whitespaces = flag(field);
          return;
        default:
          return;
      }
    });
    if (valid_text(model_.normalizer_name)) return;
    fail_data(name_ + ": normalizer_spec.name", "UTF-8", quoted(model_.normalizer_name));
  }

  const std::string& name_;
  PieceModel model_;
};

// What the file that the model came from had, and the fields that this library knows.
std::string trainer_spec(const PieceModel& model) {
  ProtoWriter out;
  out.add_whole(model.trainer_spec);
  out.add_varint(trainer_proto::kModelType, model.is_unigram ? kUnigram : kBpe);
  out.add_varint(trainer_proto::kVocabSize, model.pieces.size());
  out.add_varint(trainer_proto::kWhitespaceAsSuffix, model.treat_whitespace_as_suffix ? 1 : 0);
  out.add_varint(trainer_proto::kByteFallback, model.byte_fallback ? 1 : 0);
  out.add_int32(trainer_proto::kUnkId, model.unk_id);
  out.add_int32(trainer_proto::kBosId, model.bos_id);
  out.add_int32(trainer_proto::kEosId, model.eos_id);
  out.add_int32(trainer_proto::kPadId, model.pad_id);
  out.add_bytes(trainer_proto::kUnkSurface, model.unk_surface);
  const auto add_role = [&](std::uint32_t number, std::int32_t id) {
    if (id >= 0) out.add_bytes(number, model.pieces[static_cast<std::size_t>(id)].text);
  };
  add_role(trainer_proto::kUnkPiece, model.unk_id);
  add_role(trainer_proto::kBosPiece, model.bos_id);
  add_role(trainer_proto::kEosPiece, model.eos_id);
  add_role(trainer_proto::kPadPiece, model.pad_id);
  return out.text();
}

std::string normalizer_spec(const PieceModel& model) {
  ProtoWriter out;
  if (!model.normalizer_name.empty()) out.add_bytes(normalizer_proto::kName, model.normalizer_name);
  out.add_bytes(normalizer_proto::kCharsmap, model.charsmap);
  out.add_varint(normalizer_proto::kAddDummyPrefix, model.add_dummy_prefix ? 1 : 0);
  out.add_varint(normalizer_proto::kRemoveExtraWhitespaces, model.remove_extra_whitespaces ? 1 : 0);
  out.add_varint(normalizer_proto::kEscapeWhitespaces, model.escape_whitespaces ? 1 : 0);
  return out.text();
}

}  // namespace

TokenizerSpec read_sentencepiece(FileBytes bytes, const std::string& name) {
  return spec_of_pieces(Reader(name).read(view_of(bytes)), name);
}

std::string write_sentencepiece(const TokenizerSpec& spec) {
  const PieceModel model = pieces_of_spec(spec, "sentencepiece");
  ProtoWriter out;
  for (const ModelPiece& piece : model.pieces) {
    ProtoWriter entry;
    entry.add_bytes(piece_proto::kPiece, piece.text);
    entry.add_float(piece_proto::kScore, piece.score);
    if (piece.type != PieceType::kNormal) {
      entry.add_varint(piece_proto::kType, static_cast<std::uint64_t>(piece.type));
    }
    out.add_bytes(model_proto::kPieces, entry.text());
  }
  out.add_bytes(model_proto::kTrainerSpec, trainer_spec(model));
  out.add_bytes(model_proto::kNormalizerSpec, normalizer_spec(model));
  out.add_whole(model.other_fields);
  return out.text();
}

}  // namespace llmcore::tokenizer
