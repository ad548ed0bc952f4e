#include "tokenizer/split/regex.h"

#include <map>
#include <utility>

#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kMaxTableEntries = 1 << 20;
constexpr std::size_t kMaxStates = 4096;
constexpr std::size_t kMaxTableSteps = 50'000'000;  // entries times instructions: time to build
// A search that reads this far past its last match looks for traces of earlier searches, and leaves
// its own, every so many bytes.
constexpr std::size_t kFreeBytes = 64;
constexpr std::size_t kTraceBytes = 32;

}  // namespace

Regex::Regex(std::string_view pattern, RegexFlavor flavor, std::string_view where)
    : program_(pattern, flavor, where) {
  build_table();
}

void Regex::build_table() {
  const std::size_t width = program_.symbols().size() + 1;
  std::map<std::pair<std::uint16_t, Threads>, std::uint32_t> numbers;
  std::vector<std::uint16_t> context_of;
  const auto state_of = [&](std::uint16_t context, const Threads& threads) -> std::uint32_t {
    if (threads.empty()) return kDead;
    const auto number = static_cast<std::uint32_t>(threads_of_.size());
    const auto [it, is_new] = numbers.try_emplace({context, threads}, number);
    if (is_new) {
      threads_of_.push_back(threads);
      context_of.push_back(context);
    }
    return it->second;
  };
  threads_of_.push_back({});
  context_of.push_back(0);
  for (std::size_t c = 0; c < program_.num_contexts(); ++c) {
    start_states_.push_back(state_of(static_cast<std::uint16_t>(c), program_.start()));
  }
  RegexProgram::Scratch scratch;
  Threads moved;
  table_.assign(width, 0);
  for (std::uint32_t state = 1; state < threads_of_.size(); ++state) {
    const bool slow = table_.size() * program_.num_instructions() > kMaxTableSteps;
    if (slow || threads_of_.size() > kMaxStates || table_.size() > kMaxTableEntries) {
      table_ = {};
      threads_of_ = {};
      return;
    }
    for (std::size_t symbol = 0; symbol < width; ++symbol) {
      const auto next = static_cast<Symbol>(symbol);
      const Threads threads = threads_of_[state];
      const bool matched = program_.step(threads, context_of[state], next, moved, scratch);
      const std::uint32_t to = state_of(program_.context_after(next), moved);
      table_.push_back(to << 1 | static_cast<std::uint32_t>(matched));
    }
  }
}

// One pass over one text.
class RegexSearch {
 public:
  RegexSearch(const Regex& regex, Text text)
      : regex_(regex), program_(regex.program_), text_(text) {}

  void run(std::vector<Match>& matches) {
    std::size_t at = 0, last_end = text_.size() + 1;
    std::uint16_t context = 0;
    while (at <= text_.size()) {
      const std::size_t end = match_at(at, context);
      const bool found = end != kNone && !(end == at && at == last_end);
      if (found) {
        matches.push_back({at, end});
        last_end = end;
      }
      // On by the match, or by a character where there is none or an empty one.
      const std::size_t target = found && end > at ? end : at + 1;
      if (target > text_.size()) break;
      if (program_.num_contexts() == 1 && found) at = end;
      while (at < target) {
        const auto [symbol, length] = symbol_at(at);
        context = program_.context_after(symbol);
        at += length;
      }
    }
  }

 private:
  static constexpr std::size_t kNone = SIZE_MAX;

  std::pair<Symbol, std::size_t> symbol_at(std::size_t at) const {
    const std::uint8_t byte = text_[at];
    if (byte < 0x80) return {program_.symbols().ascii(byte), 1};
    const std::uint8_t* p = text_.data() + at;
    const std::uint8_t* q = p;
    const std::uint32_t c = next_char(q, text_.data() + text_.size());
    return {program_.symbols().of(c), static_cast<std::size_t>(q - p)};
  }

  // End of the match that starts at `at`, or kNone.
  std::size_t match_at(std::size_t at, std::uint16_t context) {
    std::size_t end = kNone;
    std::size_t next_trace = trace_position(at);
    clear_trail();
    begin_state(context);
    for (std::size_t p = at;;) {
      const bool at_end = p >= text_.size();
      if (!at_end && p >= next_trace) {
        if (all_failed(next_trace / kTraceBytes)) break;
        trail_.emplace_back(next_trace / kTraceBytes, state_);
        if (!regex_.has_table()) add_trail_bits();
        next_trace += kTraceBytes;
      }
      const auto [symbol, length] =
          at_end ? std::pair<Symbol, std::size_t>{program_.end_symbol(), 0} : symbol_at(p);
      if (advance(symbol)) {
        end = p;
        clear_trail();
        next_trace = trace_position(p);
      }
      if (at_end || is_dead()) break;
      p += length;
    }
    leave_traces();
    return end;
  }

  static std::size_t trace_position(std::size_t at) {
    return (at + kFreeBytes) / kTraceBytes * kTraceBytes + kTraceBytes;
  }

  void begin_state(std::uint16_t context) {
    if (regex_.has_table()) {
      state_ = regex_.start_state(context);
    } else {
      threads_ = program_.start();
      context_ = context;
    }
  }
  // Over the next symbol; true if a match ends before it.
  bool advance(Symbol symbol) {
    if (regex_.has_table()) {
      const std::uint32_t entry = regex_.table_[state_ * (program_.symbols().size() + 1) + symbol];
      state_ = entry >> 1;
      return (entry & 1) != 0;
    }
    const bool matched = program_.step(threads_, context_, symbol, moved_, scratch_);
    threads_.swap(moved_);
    context_ = program_.context_after(symbol);
    return matched;
  }
  bool is_dead() const { return regex_.has_table() ? state_ == Regex::kDead : threads_.empty(); }

  // Traces: a bit for each place and thread from which no match can come. Only places at a
  // multiple of kTraceBytes, so the searches of one text read each byte a bounded number of times.
  const Threads& current_threads() const {
    return regex_.has_table() ? regex_.threads_of_[state_] : threads_;
  }
  std::size_t words_per_place() const { return program_.num_instructions() / 64 + 1; }
  bool all_failed(std::size_t place) const {
    if (failed_.empty()) return false;
    const std::uint64_t* bits = failed_.data() + place * words_per_place();
    for (const std::uint32_t thread : current_threads()) {
      if ((bits[thread >> 6] >> (thread & 63) & 1) == 0) return false;
    }
    return true;
  }
  void clear_trail() {
    trail_.clear();
    trail_bits_.clear();
  }
  static void set_bits(const Threads& threads, std::uint64_t* bits) {
    for (const std::uint32_t thread : threads) {
      bits[thread >> 6] |= std::uint64_t{1} << (thread & 63);
    }
  }
  void add_trail_bits() {
    trail_bits_.resize(trail_bits_.size() + words_per_place());
    set_bits(threads_, &trail_bits_[trail_bits_.size() - words_per_place()]);
  }
  void leave_traces() {
    if (trail_.empty()) return;
    const std::size_t words = words_per_place();
    if (failed_.empty()) failed_.resize((text_.size() / kTraceBytes + 1) * words);
    for (std::size_t i = 0; i < trail_.size(); ++i) {
      const auto [place, state] = trail_[i];
      std::uint64_t* bits = failed_.data() + place * words;
      if (regex_.has_table()) {
        set_bits(regex_.threads_of_[state], bits);
      } else {
        for (std::size_t w = 0; w < words; ++w) bits[w] |= trail_bits_[i * words + w];
      }
    }
    clear_trail();
  }

  const Regex& regex_;
  const RegexProgram& program_;
  Text text_;
  std::uint32_t state_ = Regex::kDead;
  Threads threads_, moved_;
  std::uint16_t context_ = 0;
  RegexProgram::Scratch scratch_;
  std::vector<std::pair<std::size_t, std::uint32_t>> trail_;
  std::vector<std::uint64_t> trail_bits_;  // without a table: the threads at each place
  std::vector<std::uint64_t> failed_;
};

void Regex::find_all(Text text, std::vector<Match>& matches) const {
  RegexSearch(*this, text).run(matches);
}

}  // namespace llmcore::tokenizer
