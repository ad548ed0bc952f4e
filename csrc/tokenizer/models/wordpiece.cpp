#include "tokenizer/models/wordpiece.h"

#include <algorithm>

#include "tokenizer/errors.h"

namespace llmcore::tokenizer {
namespace {

// First byte of a key in the trie.
constexpr char kFirst = 0, kRest = 1;

}  // namespace

WordPieceModel::WordPieceModel(const TokenizerSpec& spec)
    : max_chars_(spec.wordpiece.max_input_chars_per_word),
      prefix_size_(static_cast<std::uint32_t>(spec.wordpiece.continuing_subword_prefix.size())) {
  build_trie(spec);
  find_failures();
}

void WordPieceModel::build_trie(const TokenizerSpec& spec) {
  const std::string& prefix = spec.wordpiece.continuing_subword_prefix;
  std::vector<std::string> keys{{kFirst}, {kRest}};  // the two roots are always there
  std::vector<std::uint32_t> ids{ByteTrie::kNoValue, ByteTrie::kNoValue};
  for (std::size_t i = 0; i < spec.tokens.size(); ++i) {
    const std::string& token = spec.tokens[i];
    const auto id = static_cast<std::uint32_t>(i);
    lengths_.push_back(static_cast<std::uint32_t>(token.size()));
    if (token.empty()) continue;
    if (token == spec.wordpiece.unk_token) unk_id_ = id;
    keys.push_back(kFirst + token);
    ids.push_back(id);
    if (token.size() > prefix.size() && token.starts_with(prefix)) {
      keys.push_back(kRest + token.substr(prefix.size()));
      ids.push_back(id);
    }
  }
  std::vector<ByteTrie::Entry> entries;
  entries.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) entries.push_back({keys[i], ids[i]});
  trie_ = std::make_unique<ByteTrie>(std::move(entries));
  trie_->step(first_, kFirst);
  trie_->step(rest_, kRest);
}

// Every failure leads to a continuation of fewer bytes, so parents-first order has it ready.
void WordPieceModel::find_failures() {
  failures_.resize(trie_->num_units());
  pop_lists_.resize(1);
  trie_->for_each_edge([&](std::uint32_t parent, std::uint8_t byte, std::uint32_t child) {
    if (parent == ByteTrie::kRoot) return;
    failures_[child] = failure_of(failures_[parent], byte, child);
  });
}

WordPieceModel::Failure WordPieceModel::failure_of(const Failure& parent, std::uint8_t byte,
                                                   std::uint32_t child) {
  const std::uint32_t id = trie_->value(child);
  if (id != ByteTrie::kNoValue) return {rest_, add_pops(0, {id})};
  std::vector<std::uint32_t> ids;
  std::uint32_t node = parent.node;
  while (node != kNowhere) {
    std::uint32_t next = node;
    if (trie_->step(next, byte)) return {next, add_pops(parent.pops, ids)};
    const std::uint32_t list = failures_[node].pops;
    ids.resize(ids.size() + pop_lists_[list].total);
    write_pops(list, ids.data() + ids.size() - pop_lists_[list].total);
    node = failures_[node].node;
  }
  return {};
}

std::uint32_t WordPieceModel::add_pops(std::uint32_t previous,
                                       const std::vector<std::uint32_t>& ids) {
  if (ids.empty()) return previous;
  const auto count = static_cast<std::uint32_t>(ids.size());
  pop_lists_.push_back({previous, static_cast<std::uint32_t>(pops_.size()), count,
                        pop_lists_[previous].total + count});
  pops_.insert(pops_.end(), ids.begin(), ids.end());
  return static_cast<std::uint32_t>(pop_lists_.size() - 1);
}

// Writes a list from its last part to its first; returns the end of what it wrote.
std::uint32_t* WordPieceModel::write_pops(std::uint32_t pops, std::uint32_t* out) const {
  std::uint32_t* const end = out + pop_lists_[pops].total;
  std::uint32_t* at = end;
  for (; pops != 0; pops = pop_lists_[pops].previous) {
    const Pops& part = pop_lists_[pops];
    at -= part.count;
    std::copy_n(pops_.data() + part.begin, part.count, at);
  }
  return end;
}

// Writes the word's ids, at most one per byte; null if the word is unknown.
std::uint32_t* WordPieceModel::match(Text word, std::uint32_t* out) const {
  const ByteTrie& trie = *trie_;
  std::uint32_t node = first_;
  for (const std::uint8_t byte : word) {
    while (!trie.step(node, byte)) {
      const Failure failure = failures_[node];
      if (failure.node == kNowhere) return nullptr;
      out = write_pops(failure.pops, out);
      node = failure.node;
    }
  }
  while (node != rest_) {
    const Failure failure = failures_[node];
    if (failure.node == kNowhere) return nullptr;
    out = write_pops(failure.pops, out);
    node = failure.node;
  }
  return out;
}

void WordPieceModel::encode(Text piece, ModelScratch&, IdBuffer& ids,
                            std::vector<std::uint32_t>* ends) const {
  std::uint32_t* const out = ids.room(piece.size());
  bool fits = piece.size() <= max_chars_;
  if (!fits) {
    const auto num_chars = std::count_if(piece.begin(), piece.end(),
                                         [](std::uint8_t b) { return (b & 0xC0) != 0x80; });
    fits = static_cast<std::uint64_t>(num_chars) <= max_chars_;
  }
  std::uint32_t* const out_end = fits ? match(piece, out) : nullptr;
  if (out_end == nullptr) {
    if (!unk_id_) {
      throw DataError("wordpiece: the text has an unknown word, and unk_token is not a token");
    }
    *ids.room(1) = *unk_id_;
    ids.advance(1);
    if (ends != nullptr) ends->push_back(static_cast<std::uint32_t>(piece.size()));
    return;
  }
  ids.advance(static_cast<std::size_t>(out_end - out));
  if (ends == nullptr) return;
  std::uint32_t end = 0;
  for (const std::uint32_t* at = out; at != out_end; ++at) {
    end += lengths_[*at] - (end == 0 ? 0 : prefix_size_);
    ends->push_back(end);
  }
}

std::unique_ptr<ModelScratch> WordPieceModel::make_scratch() const {
  return std::make_unique<ModelScratch>();
}

std::unique_ptr<Model> make_wordpiece(const TokenizerSpec& spec) {
  return std::make_unique<WordPieceModel>(spec);
}

}  // namespace llmcore::tokenizer
