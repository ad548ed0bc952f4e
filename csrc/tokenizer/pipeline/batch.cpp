#include "tokenizer/pipeline/batch.h"

#include <utility>

#include "tokenizer/models/bpe_memory.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kChunkBytes = 1 << 18;
constexpr std::size_t kBytesPerId = 2;
constexpr std::size_t kBytesPerThread = 1 << 15;

}  // namespace

std::vector<TextChunk> make_chunks(const std::vector<Text>& texts, const PieceScanner* scanner) {
  std::vector<TextChunk> chunks;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::uint8_t* p = texts[i].data();
    const std::uint8_t* end = p + texts[i].size();
    while (scanner != nullptr && static_cast<std::size_t>(end - p) > kChunkBytes) {
      const std::uint8_t* cut = scanner->safe_cut(p, p + kChunkBytes, end);
      if (cut == end) break;
      chunks.push_back({.text = {p, cut}, .text_idx = i});
      p = cut;
    }
    chunks.push_back({.text = {p, end}, .text_idx = i});
  }
  return chunks;
}

std::vector<IdBuffer> make_id_buffers(const std::vector<Text>& texts, unsigned num_threads) {
  std::vector<IdBuffer> buffers(num_threads);
  std::size_t num_bytes = 0;
  for (const Text& text : texts) num_bytes += text.size();
  std::size_t room = num_bytes / kBytesPerId;
  for (IdBuffer& ids : buffers) {
    ids.reserve(room);
    advise_huge_pages(ids.room(0), room * sizeof(std::uint32_t));
    room = num_bytes / num_threads / kBytesPerId;
  }
  return buffers;
}

unsigned useful_threads(const std::vector<Text>& texts, unsigned most) {
  std::size_t num_bytes = 0;
  for (const Text& text : texts) num_bytes += text.size();
  return static_cast<unsigned>(
      std::min<std::size_t>(std::max(most, 1u), num_bytes / kBytesPerThread + 1));
}

BatchIds join_chunks(const std::vector<TextChunk>& chunks, std::vector<IdBuffer>& buffers,
                     std::size_t num_texts) {
  BatchIds batch;
  batch.offsets.assign(num_texts + 1, 0);
  for (const TextChunk& c : chunks) {
    batch.offsets[c.text_idx + 1] += static_cast<std::int64_t>(c.count);
  }
  for (std::size_t i = 0; i < num_texts; ++i) batch.offsets[i + 1] += batch.offsets[i];
  batch.ids = std::move(buffers[0]);
  const std::size_t in_place = batch.ids.size();
  const std::size_t num_ids = static_cast<std::size_t>(batch.offsets.back());
  std::uint32_t* to = batch.ids.room(num_ids - in_place);
  batch.ids.advance(num_ids - in_place);
  std::vector<std::pair<const TextChunk*, std::uint32_t*>> moved;
  for (const TextChunk& c : chunks) {
    if (c.worker == 0) continue;
    moved.emplace_back(&c, to);
    to += c.count;
  }
  parallel_for(moved.size(), static_cast<unsigned>(buffers.size()), {},
               [&](unsigned, std::size_t item) {
                 const auto& [chunk, place] = moved[item];
                 std::copy_n(buffers[chunk->worker].data() + chunk->begin, chunk->count, place);
               });
  return batch;
}

}  // namespace llmcore::tokenizer
