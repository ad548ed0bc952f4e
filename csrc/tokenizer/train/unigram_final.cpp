#include "tokenizer/train/unigram_final.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>

#include "tokenizer/errors.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

std::string byte_piece(unsigned byte) {
  constexpr char kHex[] = "0123456789ABCDEF";
  return std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + ">";
}

class MetaTable {
 public:
  explicit MetaTable(const UnigramTrainerArgs& args) : args_(args) {
    if (args.unk_id < 0) {
      throw ConfigError("train: unk_id must be at least 0, got " + std::to_string(args.unk_id));
    }
    add_role("unk_id", args.unk_id, args.unk_piece, PieceType::kUnknown);
    add_role("bos_id", args.bos_id, args.bos_piece, PieceType::kControl);
    add_role("eos_id", args.eos_id, args.eos_piece, PieceType::kControl);
    add_role("pad_id", args.pad_id, args.pad_piece, PieceType::kControl);
    for (const std::string& text : args.control_symbols) add(text, PieceType::kControl);
    for (const std::string& text : args.user_defined_symbols) add(text, PieceType::kUserDefined);
    for (unsigned byte = 0; args.byte_fallback && byte < 256; ++byte) {
      add(byte_piece(byte), PieceType::kByte);
    }
  }

  std::vector<MetaPiece> table;

 private:
  void add_role(const char* name, std::int32_t id, const std::string& text, PieceType type) {
    if (id < 0) return;
    const auto index = static_cast<std::size_t>(id);
    if (index >= args_.vocab_size) {
      throw ConfigError(std::string("train: ") + name + " must be below vocab_size, got " +
                        std::to_string(id));
    }
    if (index < table.size() && table[index].is_set) {
      throw ConfigError(std::string("train: ") + name + " must differ from the other ids, got " +
                        std::to_string(id) + " twice");
    }
    set(index, text, type);
  }

  void set(std::size_t index, const std::string& text, PieceType type) {
    if (index >= table.size()) table.resize(index + 1);
    table[index] = {{text, 0, type}, true};
  }

  // A symbol that names <s>, </s> or <pad> changes the type of that piece.
  void add(const std::string& text, PieceType type) {
    if (text.empty() || text == args_.unk_piece || !texts_.insert(text).second) {
      throw ConfigError(
          "train: control_symbols and user_defined_symbols must be distinct, not "
          "empty and not unk_piece, got '" +
          text + "'");
    }
    for (const auto& [id, role] :
         {std::pair{args_.bos_id, &args_.bos_piece}, std::pair{args_.eos_id, &args_.eos_piece},
          std::pair{args_.pad_id, &args_.pad_piece}}) {
      if (id < 0 || text != *role) continue;
      table[static_cast<std::size_t>(id)].piece.type = type;
      return;
    }
    while (next_ < table.size() && table[next_].is_set) ++next_;
    set(next_, text, type);
  }

  const UnigramTrainerArgs& args_;
  std::unordered_set<std::string> texts_;
  std::size_t next_ = 0;
};

class Finisher {
 public:
  Finisher(const UnigramText& text, const UnigramPieces& pieces, const UnigramTrainerArgs& args)
      : text_(text), pieces_(pieces), args_(args) {}

  // Learned pieces, best first.
  std::vector<ModelPiece> choose(std::size_t size) {
    std::vector<ModelPiece> chosen = required();
    std::vector<ModelPiece> others;
    for (std::size_t i = 0; i < pieces_.pieces.size(); ++i) {
      if (pieces_.pieces[i].length > 1) others.push_back(piece(i));
    }
    std::sort(others.begin(), others.end(), better);
    for (ModelPiece& other : others) {
      if (chosen.size() >= size) break;
      chosen.push_back(std::move(other));
    }
    std::sort(chosen.begin(), chosen.end(), better);
    return chosen;
  }

 private:
  static bool better(const ModelPiece& a, const ModelPiece& b) {
    return a.score != b.score ? a.score > b.score : a.text < b.text;
  }

  ModelPiece piece(std::size_t i) const {
    const UnigramPiece& p = pieces_.pieces[i];
    return {text_.spell(pieces_.begins[i], p.length), static_cast<float>(p.score)};
  }

  // All characters of the alphabet; those that training lost get the lowest score and a little
  // more for each rarer one, as in sentencepiece, so that no two are equal.
  std::vector<ModelPiece> required() const {
    constexpr float kStep = 0.0001f;
    std::vector<ModelPiece> chosen(text_.chars.size());
    float least = 0;
    for (std::size_t i = 0; i < pieces_.pieces.size(); ++i) {
      least = std::min(least, static_cast<float>(pieces_.pieces[i].score));
      if (pieces_.pieces[i].length == 1) chosen[text_.symbols[pieces_.begins[i]]] = piece(i);
    }
    std::vector<std::uint32_t> order(text_.chars.size() - UnigramText::kFirstSymbol);
    std::iota(order.begin(), order.end(), UnigramText::kFirstSymbol);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return text_.char_counts[a] > text_.char_counts[b];
    });
    float more = 0;
    for (const std::uint32_t symbol : order) {
      if (!chosen[symbol].text.empty()) continue;
      append_utf8(chosen[symbol].text, text_.chars[symbol]);
      chosen[symbol].score = least + more;
      more += kStep;
    }
    chosen.erase(chosen.begin(), chosen.begin() + UnigramText::kFirstSymbol);
    return chosen;
  }

  const UnigramText& text_;
  const UnigramPieces& pieces_;
  const UnigramTrainerArgs& args_;
};

PieceModel empty_model(const UnigramTrainerArgs& args) {
  PieceModel model;
  model.byte_fallback = args.byte_fallback;
  model.unk_id = args.unk_id;
  model.bos_id = std::max(args.bos_id, -1);
  model.eos_id = std::max(args.eos_id, -1);
  model.pad_id = std::max(args.pad_id, -1);
  model.unk_surface = args.unk_surface;
  model.charsmap = args.precompiled_charsmap;
  model.normalizer_name = args.normalizer_name;
  model.add_dummy_prefix = args.add_dummy_prefix;
  model.remove_extra_whitespaces = args.remove_extra_whitespaces;
  model.escape_whitespaces = args.escape_whitespaces;
  model.treat_whitespace_as_suffix = args.treat_whitespace_as_suffix;
  return model;
}

}  // namespace

std::vector<MetaPiece> meta_pieces(const UnigramTrainerArgs& args) {
  return MetaTable(args).table;
}

TokenizerSpec finish_unigram(const UnigramText& text, const UnigramPieces& pieces,
                             const std::vector<MetaPiece>& meta, const UnigramTrainerArgs& args) {
  const auto num_meta = static_cast<std::size_t>(
      std::count_if(meta.begin(), meta.end(), [](const MetaPiece& m) { return m.is_set; }));
  std::vector<ModelPiece> learned = Finisher(text, pieces, args).choose(args.vocab_size - num_meta);
  PieceModel model = empty_model(args);
  std::size_t next = 0;
  for (std::size_t id = 0; id < args.vocab_size; ++id) {
    if (id < meta.size() && meta[id].is_set) {
      model.pieces.push_back(meta[id].piece);
    } else if (next < learned.size()) {
      model.pieces.push_back(std::move(learned[next++]));
    }
  }
  const std::size_t size = model.pieces.size();
  if (args.hard_vocab_limit && size < args.vocab_size) {
    throw ConfigError("train: vocab_size must be at most " + std::to_string(size) +
                      " for this text unless hard_vocab_limit is false, got " +
                      std::to_string(args.vocab_size));
  }
  return spec_of_pieces(model, "train");
}

}  // namespace llmcore::tokenizer
