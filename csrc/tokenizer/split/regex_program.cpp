#include "tokenizer/split/regex_program.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "tokenizer/errors.h"

namespace llmcore::tokenizer {
namespace {

using Op = RegexInstruction::Op;
using Kind = RegexNode::Kind;

constexpr std::size_t kMaxInstructions = 5000;
constexpr std::size_t kMaxSets = 256;

}  // namespace

SymbolTable::SymbolTable(const std::vector<CodePointSet>& sets) {
  std::vector<std::uint32_t> starts{0};
  for (const CodePointSet& set : sets) {
    for (const CodePointRange range : set.ranges()) {
      starts.push_back(range.first);
      if (range.last < kMaxCodePoint) starts.push_back(range.last + 1);
    }
  }
  std::ranges::sort(starts);
  starts.erase(std::ranges::unique(starts).begin(), starts.end());

  std::map<std::vector<std::uint64_t>, Symbol> symbol_of;
  std::vector<Symbol> symbols;  // by the range that begins at starts[i]
  std::vector<std::size_t> at(sets.size());
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::uint32_t first = starts[i];
    std::vector<std::uint64_t> members(sets.size() / 64 + 1);
    for (std::size_t s = 0; s < sets.size(); ++s) {
      const auto& ranges = sets[s].ranges();
      while (at[s] < ranges.size() && ranges[at[s]].last < first) ++at[s];
      const bool in = at[s] < ranges.size() && ranges[at[s]].first <= first;
      if (in) members[s >> 6] |= std::uint64_t{1} << (s & 63);
    }
    const auto [it, is_new] = symbol_of.try_emplace(members, static_cast<Symbol>(members_.size()));
    if (is_new) members_.push_back(std::move(members));
    symbols.push_back(it->second);
  }

  starts.push_back(kMaxCodePoint + 1);
  std::map<Symbol, std::uint16_t> uniform;  // blocks within one range, which most are
  std::uint16_t num_blocks = 0;
  std::size_t range = 0;
  for (std::uint32_t c = 0; c <= kMaxCodePoint; c += 256) {
    while (starts[range + 1] <= c) ++range;
    if (starts[range + 1] >= c + 256) {
      const auto [it, is_new] = uniform.try_emplace(symbols[range], num_blocks);
      blocks_.push_back(it->second);
      if (!is_new) continue;
      cells_.insert(cells_.end(), 256, symbols[range]);
    } else {
      blocks_.push_back(num_blocks);
      for (std::uint32_t d = c; d < c + 256; ++d) {
        while (starts[range + 1] <= d) ++range;
        cells_.push_back(symbols[range]);
      }
    }
    ++num_blocks;
  }
  for (std::uint32_t c = 0; c < 128; ++c) ascii_[c] = of(c);
}

RegexProgram::RegexProgram(std::string_view pattern, RegexFlavor flavor, std::string_view where)
    : where_(where) {
  const RegexNode tree = parse_regex(pattern, flavor, where);
  start_ = compile(tree, add({.op = Op::kMatch}));
  symbols_ = SymbolTable(sets_);
  find_contexts();
}

std::uint32_t RegexProgram::add(RegexInstruction instruction) {
  if (code_.size() >= kMaxInstructions) {
    throw DataError(where_ + ": must need at most 5000 instructions, got a larger pattern");
  }
  code_.push_back(instruction);
  return static_cast<std::uint32_t>(code_.size() - 1);
}

std::uint32_t RegexProgram::set_number(const CodePointSet& set) {
  const auto found = std::ranges::find(sets_, set);
  if (found == sets_.end()) {
    if (sets_.size() >= kMaxSets) {
      throw DataError(where_ + ": must have at most 256 different classes, got more");
    }
    sets_.push_back(set);
    return static_cast<std::uint32_t>(sets_.size() - 1);
  }
  return static_cast<std::uint32_t>(found - sets_.begin());
}

// Back to front: `next` is where the node's match goes on. Returns where it begins.
std::uint32_t RegexProgram::compile(const RegexNode& node, std::uint32_t next) {
  switch (node.kind) {
    case Kind::kEmpty:
      return next;
    case Kind::kSet:
      return add({.op = Op::kSet, .set = set_number(node.set), .next = next});
    case Kind::kAhead:
    case Kind::kBehind:
      return add({.op = node.kind == Kind::kAhead ? Op::kAhead : Op::kBehind,
                  .at_edge = node.at_edge,
                  .set = set_number(node.set),
                  .next = next});
    case Kind::kConcat:
      for (std::size_t i = node.children.size(); i > 0; --i) {
        next = compile(node.children[i - 1], next);
      }
      return next;
    case Kind::kAlternate: {
      std::uint32_t begin = compile(node.children.back(), next);
      for (std::size_t i = node.children.size() - 1; i > 0; --i) {
        const std::uint32_t preferred = compile(node.children[i - 1], next);
        begin = add({.op = Op::kSplit, .next = preferred, .alternative = begin});
      }
      return begin;
    }
    case Kind::kRepeat:
      return compile_repeat(node, next);
  }
  return next;
}

std::uint32_t RegexProgram::compile_repeat(const RegexNode& node, std::uint32_t next) {
  const RegexNode& child = node.children[0];
  const auto branch = [&](std::uint32_t into, std::uint32_t past) {
    const bool lazy = node.greed == Greed::kLazy;
    return RegexInstruction{
        .op = Op::kSplit, .next = lazy ? past : into, .alternative = lazy ? into : past};
  };
  std::uint32_t begin = next;
  if (node.most == kUnlimited) {
    begin = add(branch(next, next));
    const std::uint32_t body = compile(child, begin);
    code_[begin] = branch(body, next);
    code_[begin].is_loop = node.greed != Greed::kLazy;
    // X+ needs no second copy of X: its loop is entered through the body.
    if (node.least > 0) begin = body;
  } else {
    for (int i = node.least; i < node.most; ++i) {
      const std::uint32_t body = compile(child, begin);
      begin = add(branch(body, next));
    }
  }
  const int copies = node.most == kUnlimited ? node.least - 1 : node.least;
  for (int i = 0; i < copies; ++i) begin = compile(child, begin);
  return begin;
}

void RegexProgram::find_contexts() {
  std::map<std::vector<bool>, std::uint16_t> number;
  const std::vector<bool> nothing(sets_.size());
  contexts_.push_back(nothing);
  context_of_.resize(symbols_.size() + 1);
  for (std::size_t symbol = 0; symbol < symbols_.size(); ++symbol) {
    std::vector<bool> members(sets_.size());
    bool matters = false;
    for (const RegexInstruction& code : code_) {
      if (code.op != Op::kBehind) continue;
      matters = true;
      members[code.set] = symbols_.in_set(static_cast<Symbol>(symbol), code.set);
    }
    // Without kBehind there is only the one context.
    if (!matters) return;
    const auto [it, is_new] =
        number.try_emplace(members, static_cast<std::uint16_t>(contexts_.size()));
    if (is_new) contexts_.push_back(members);
    context_of_[symbol] = it->second;
  }
}

bool RegexProgram::context_allows(const RegexInstruction& code, std::uint16_t context) const {
  return context == 0 ? code.at_edge : contexts_[context][code.set];
}

bool RegexProgram::step(const Threads& threads, std::uint16_t context, Symbol next, Threads& moved,
                        Scratch& scratch) const {
  moved.clear();
  if (scratch.seen.size() != code_.size() || scratch.stamp == UINT32_MAX) {
    scratch.seen.assign(code_.size(), 0);
    scratch.queued.assign(code_.size(), 0);
    scratch.stamp = 0;
  }
  const std::uint32_t stamp = ++scratch.stamp;
  const bool at_end = next == end_symbol();
  for (const std::uint32_t thread : threads) {
    scratch.stack.assign(1, thread);
    while (!scratch.stack.empty()) {
      const std::uint32_t at = scratch.stack.back();
      scratch.stack.pop_back();
      const RegexInstruction& code = code_[at];
      if (scratch.seen[at] == stamp) {
        // Round a loop on the spot: what follows the loop comes before the body's other ways.
        if (code.is_loop) scratch.stack.push_back(code.alternative);
        continue;
      }
      scratch.seen[at] = stamp;
      switch (code.op) {
        case Op::kMatch:
          return true;
        case Op::kSplit:
          scratch.stack.push_back(code.alternative);
          scratch.stack.push_back(code.next);
          break;
        case Op::kAhead:
          if (at_end ? code.at_edge : symbols_.in_set(next, code.set)) {
            scratch.stack.push_back(code.next);
          }
          break;
        case Op::kBehind:
          if (context_allows(code, context)) scratch.stack.push_back(code.next);
          break;
        case Op::kSet:
          if (at_end || !symbols_.in_set(next, code.set)) break;
          if (scratch.queued[code.next] == stamp) break;
          scratch.queued[code.next] = stamp;
          moved.push_back(code.next);
          break;
      }
    }
  }
  return false;
}

}  // namespace llmcore::tokenizer
