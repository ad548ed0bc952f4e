#include "tokenizer/train/bpe_alphabet.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>

#include "tokenizer/models/byte_alphabet.h"
#include "tokenizer/text/utf8.h"
#include "tokenizer/train/ids_and_texts.h"

namespace llmcore::tokenizer {
namespace {

struct CharCount {
  std::uint32_t code;
  double count;
};

// Calls visit(code point, is_first, is_last); nothing for a byte that is not UTF-8.
template <class Visit>
void for_each_char(std::string_view word, Visit&& visit) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(word.data());
  const std::uint8_t* const end = begin + word.size();
  for (const std::uint8_t* p = begin; p < end;) {
    std::uint32_t c = 0;
    const unsigned size = decode_utf8(p, end, c);
    const unsigned step = std::max(size, 1u);
    visit(size == 0 ? kBreak : c, p == begin, p + step == end);
    p += step;
  }
}

std::vector<CharCount> count_chars(const WordTable& words) {
  std::unordered_map<std::uint32_t, double> counts;
  words.for_each([&](std::string_view word, std::int64_t count) {
    for_each_char(word, [&](std::uint32_t c, bool, bool) {
      if (c != kBreak) counts[c] += static_cast<double>(count);
    });
  });
  std::vector<CharCount> chars;
  chars.reserve(counts.size());
  for (const auto& [code, count] : counts) chars.push_back({code, count});
  std::sort(chars.begin(), chars.end(), [](const CharCount& a, const CharCount& b) {
    return a.count != b.count ? a.count > b.count : a.code < b.code;
  });
  return chars;
}

// How many of `chars`, most frequent first, make up the coverage.
std::size_t covered(const std::vector<CharCount>& chars, double coverage) {
  double total = 0, sum = 0;
  for (const CharCount& c : chars) total += c.count;
  std::size_t n = 0;
  while (n < chars.size() && static_cast<float>(sum / total) < static_cast<float>(coverage)) {
    sum += chars[n++].count;
  }
  return n;
}

}  // namespace

ByteSpelling::ByteSpelling(GrowingVocabulary& vocabulary) {
  std::array<unsigned, 256> order;
  for (unsigned b = 0; b < 256; ++b) order[b] = b;
  std::sort(order.begin(), order.end(),
            [](unsigned a, unsigned b) { return kByteChars[a] < kByteChars[b]; });
  for (const unsigned b : order) {
    const char byte = static_cast<char>(b);
    ids_[b] = vocabulary.add(bytes_to_text({&byte, 1}));
  }
}

CharSpelling::CharSpelling(GrowingVocabulary& vocabulary, const WordTable& words,
                           const BpeTrainerArgs& args, std::uint32_t least_new) {
  std::set<std::uint32_t> always;
  for (const std::string& text : args.initial_alphabet) {
    for_each_char(text, [&](std::uint32_t c, bool, bool) {
      if (c != kBreak) always.insert(c);
    });
  }
  std::vector<CharCount> chars = count_chars(words);
  for (std::size_t i = covered(chars, args.character_coverage); i < chars.size(); ++i) {
    if (!always.contains(chars[i].code)) forms_[chars[i].code] = {kBreak, kBreak, kBreak, kBreak};
  }
  std::erase_if(chars, [&](const CharCount& c) {
    return forms_.contains(c.code) || always.contains(c.code);
  });
  const std::size_t room = args.limit_alphabet - std::min(args.limit_alphabet, always.size());
  for (std::size_t i = room; i < chars.size(); ++i) {
    forms_[chars[i].code] = {kAbsent, kAbsent, kAbsent, kAbsent};
  }
  if (chars.size() > room) chars.resize(room);
  for (const CharCount& c : chars) {
    if (c.code >= least_new || vocabulary.find(text_of(c.code)) != nullptr) always.insert(c.code);
  }
  const auto add = [&](std::uint32_t c) {
    const std::uint32_t id = vocabulary.add(text_of(c));
    forms_[c] = {id, id, id, id};
  };
  if (args.sentencepiece) {
    for (const CharCount& c : chars) add(c.code);
    return;
  }
  for (const std::uint32_t c : always) add(c);
  if (!args.continuing_subword_prefix.empty() || !args.end_of_word_suffix.empty()) {
    add_forms(vocabulary, words, args);
  }
}

// In the order of their texts: Hugging Face's depends on the run.
void CharSpelling::add_forms(GrowingVocabulary& vocabulary, const WordTable& words,
                             const BpeTrainerArgs& args) {
  struct Form {
    std::uint32_t code;
    bool is_first, is_last;
    auto operator<=>(const Form&) const = default;
  };
  std::set<std::pair<std::string, Form>> needed;
  words.for_each([&](std::string_view word, std::int64_t) {
    for_each_char(word, [&](std::uint32_t c, bool is_first, bool is_last) {
      const auto it = forms_.find(c);
      if (it == forms_.end() || it->second.first >= kAbsent || (is_first && !is_last)) return;
      const std::string prefix = is_first ? "" : args.continuing_subword_prefix;
      const std::string suffix = is_last ? args.end_of_word_suffix : "";
      needed.insert({prefix + text_of(c) + suffix, {c, is_first, is_last}});
    });
  });
  for (const auto& [text, form] : needed) {
    const std::uint32_t id = vocabulary.add(text);
    Forms& forms = forms_[form.code];
    (form.is_first ? forms.only : form.is_last ? forms.last : forms.inside) = id;
  }
}

void CharSpelling::operator()(std::string_view word, std::vector<std::uint32_t>& symbols) const {
  for_each_char(word, [&](std::uint32_t c, bool is_first, bool is_last) {
    const auto it = forms_.find(c);
    if (it == forms_.end()) return symbols.push_back(kBreak);
    const Forms& forms = it->second;
    const std::uint32_t id =
        is_last ? (is_first ? forms.only : forms.last) : (is_first ? forms.first : forms.inside);
    if (id != kAbsent) symbols.push_back(id);
  });
}

}  // namespace llmcore::tokenizer
