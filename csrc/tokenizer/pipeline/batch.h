// Many texts to ids by several threads. Long texts are shared too, where they may be cut.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tokenizer/id_buffer.h"
#include "tokenizer/parallel.h"
#include "tokenizer/pipeline/piece_scanner.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

// Ids of a batch laid end to end: text i owns ids[offsets[i], offsets[i + 1]).
struct BatchIds {
  IdBuffer ids;
  std::vector<std::int64_t> offsets;
};

// Part of one text; its ids end up in one worker's buffer.
struct TextChunk {
  Text text;
  std::size_t text_idx = 0;
  unsigned worker = 0;
  std::size_t begin = 0, count = 0;
};

// Whole texts, or, with a scanner, parts of about a quarter of a megabyte that end at its safe
// cuts.
std::vector<TextChunk> make_chunks(const std::vector<Text>& texts, const PieceScanner* scanner);
// One buffer a worker, with room for its share of the ids that texts usually have; the first for
// all, which end up there. The kernel gives memory when it is written.
std::vector<IdBuffer> make_id_buffers(const std::vector<Text>& texts, unsigned num_threads);
unsigned useful_threads(const std::vector<Text>& texts, unsigned most);
// Lays the chunks' ids end to end behind those of worker 0, who must have done the first chunks.
BatchIds join_chunks(const std::vector<TextChunk>& chunks, std::vector<IdBuffer>& buffers,
                     std::size_t num_texts);

// Calls encode(workspace, text, ids), which appends, for all chunks; acquire() makes a workspace
// for one thread.
template <class Acquire, class Encode>
BatchIds encode_in_chunks(const std::vector<Text>& texts, const PieceScanner* scanner,
                          unsigned num_threads, const Tick& tick, Acquire&& acquire,
                          Encode&& encode) {
  num_threads = useful_threads(texts, num_threads);
  std::vector<TextChunk> chunks = make_chunks(texts, scanner);
  std::vector<decltype(acquire())> work;
  work.reserve(num_threads);
  for (unsigned i = 0; i < num_threads; ++i) work.push_back(acquire());
  std::vector<IdBuffer> buffers = make_id_buffers(texts, num_threads);
  parallel_from_ends(chunks.size(), num_threads, tick, [&](unsigned worker, std::size_t item) {
    TextChunk& chunk = chunks[item];
    chunk.worker = worker;
    chunk.begin = buffers[worker].size();
    encode(work[worker], chunk.text, buffers[worker]);
    chunk.count = buffers[worker].size() - chunk.begin;
  });
  return join_chunks(chunks, buffers, texts.size());
}

}  // namespace llmcore::tokenizer
