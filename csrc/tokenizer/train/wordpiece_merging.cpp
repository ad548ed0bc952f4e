#include "tokenizer/train/wordpiece_merging.h"

#include <chrono>

#include "tokenizer/train/wordpiece_queues.h"

namespace llmcore::tokenizer {
namespace {

template <typename Queue>
void run(WordPieceVocabulary& vocabulary, WordPieceWords& words, const WordPieceTrainerArgs& args,
         const std::vector<bool>& forbidden, const WordPieceTick& tick) {
  using Clock = std::chrono::steady_clock;
  constexpr std::uint32_t kNone = ~0u;
  auto last_tick = Clock::now();
  Queue queue(words, args.min_frequency);
  words.count_pairs();
  queue.update(kNone, kNone, kNone);
  while (vocabulary.size() < args.vocab_size) {
    const auto merge = queue.next();
    if (!merge) break;
    std::string text = vocabulary[merge->left];
    text += vocabulary.inner_text(merge->right);
    const std::uint32_t* known = vocabulary.find(text);
    if (known != nullptr && *known < forbidden.size() && forbidden[*known]) continue;
    const std::uint32_t id = vocabulary.add(text);
    words.merge(merge->left, merge->right, id, merge->words);
    queue.update(merge->left, merge->right, id);
    const auto now = Clock::now();
    if (tick && now - last_tick > std::chrono::milliseconds(100)) {
      last_tick = now;
      tick(vocabulary.size());
    }
  }
}

}  // namespace

void merge_wordpiece(WordPieceVocabulary& vocabulary, WordPieceWords& words,
                     const WordPieceTrainerArgs& args, const std::vector<bool>& forbidden,
                     const WordPieceTick& tick) {
  if (args.score == WordPieceScore::kCount) {
    run<CountQueue>(vocabulary, words, args, forbidden, tick);
  } else {
    run<LikelihoodQueue>(vocabulary, words, args, forbidden, tick);
  }
}

}  // namespace llmcore::tokenizer
