// Ladder, GPT-2's vocabulary, 4 MB / 60 MB of English and code, warm, CPU time of one thread of a
// two-core AMD EPYC (Zen 4) that others shared; cold (first pass) in brackets, all MB/s:
//   one piece at a time, scalar scanner: bound by mispredicted branches     (not measured on these)
//   batches of 128, prefetched slots, scanner of 64-byte blocks              257 [106] / 157 [111]
//   ids of many-token pieces and long pieces behind the same slots           300 [167] / 193 [136]
//   slots on huge pages, half as sparse: was bound by address translation    321 [184] / 293 [210]
//   inline or stored ids chosen by arithmetic, one room per batch            376 [226] / 341 [232]
// Japanese, 12 MB: 97 [69]; 225 [114]; 200 [124]; 263 [138]; three-byte characters by a loop of
// their own and pieces up to 256 bytes kept 269 [134]; minima by scalar loads (a vector load waited
// for the store before it) 312 [173].
#include "tokenizer/pipeline/bpe_encoder.h"

#include <algorithm>
#include <cstring>

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kChunkBytes = 1 << 18;
constexpr std::size_t kBytesPerThread = 1 << 15;
constexpr std::size_t kBytesPerId = 2;  // a low guess: untouched room costs nothing
constexpr std::size_t kBatch = 128;

// Part of one text; its ids end up in one worker's buffer.
struct Chunk {
  Text text;
  std::size_t text_idx = 0;
  unsigned worker = 0;
  std::size_t begin = 0, count = 0;
};

void reserve_ids(IdBuffer& ids, std::size_t num_bytes) {
  ids.reserve(num_bytes / kBytesPerId + 16);
  advise_huge_pages(ids.room(0), num_bytes / kBytesPerId * sizeof(std::uint32_t));
}

std::vector<Chunk> make_chunks(const std::vector<Text>& texts, const PieceScanner& scanner,
                               bool may_cut) {
  std::vector<Chunk> chunks;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::uint8_t* p = texts[i].data();
    const std::uint8_t* end = p + texts[i].size();
    while (may_cut && static_cast<std::size_t>(end - p) > kChunkBytes) {
      const std::uint8_t* cut = scanner.safe_cut(p, p + kChunkBytes, end);
      if (cut == end) break;
      chunks.push_back({{p, cut}, i});
      p = cut;
    }
    chunks.push_back({{p, end}, i});
  }
  return chunks;
}

// A piece that is not where it should be in the cache. `to` has room for size + kRoom ids.
[[gnu::noinline]] std::size_t encode_rare(const BpeModel& model, const PieceKey& key,
                                          const std::uint8_t* p, std::size_t size, Workspace& work,
                                          std::uint32_t* to) {
  if (size > PieceCache::kMaxPiece) return model.encode_piece(p, size, to, work.scratch);
  if (const std::size_t count = work.cache.find(key, p, size, to)) return count;
  const std::size_t count = model.encode_piece(p, size, to, work.scratch);
  work.cache.insert(key, p, size, to, count);
  return count;
}

}  // namespace

BpeEncoder::BpeEncoder(std::shared_ptr<const BpeModel> model, const PieceScanner& scanner)
    : model_(std::move(model)),
      scanner_(scanner),
      literal_(model_->added_tokens(), false),
      normalized_(model_->added_tokens(), true) {}

BpeEncoder::~BpeEncoder() {
  for (auto& slot : idle_) delete slot.load();
}

// Workspaces outlive a call so that the cache stays warm; no lock, so a fork cannot inherit one.
std::unique_ptr<Workspace> BpeEncoder::acquire() const {
  for (auto& slot : idle_) {
    if (Workspace* work = slot.exchange(nullptr)) return std::unique_ptr<Workspace>(work);
  }
  return std::make_unique<Workspace>();
}

void BpeEncoder::release(std::unique_ptr<Workspace> work) const {
  Workspace* idle = work.release();
  for (auto& slot : idle_) {
    Workspace* expected = nullptr;
    if (slot.compare_exchange_strong(expected, idle)) return;
  }
  delete idle;
}

// A batch of pieces at a time: scan; hash and prefetch slots; prefetch what they point at; copy.
// The common case, a short piece that was seen before, runs without a branch that depends on the
// text.
void encode_pieces(const BpeModel& model, const PieceScanner& scanner, Text text, Workspace& work,
                   IdBuffer& out) {
  const std::uint8_t* ends[kBatch + 1];
  PieceKey keys[kBatch];
  const PieceCache::Slot* slots[kBatch];
  const std::uint8_t* end = text.data() + text.size();
  const PieceCache& cache = work.cache;
  ends[0] = text.data();
  while (ends[0] < end) {
    const std::size_t count = scanner.scan(ends[0], end, ends + 1, kBatch);
    for (std::size_t i = 0; i < count; ++i) {
      keys[i] = make_piece_key(ends[i], static_cast<std::size_t>(ends[i + 1] - ends[i]), end);
      slots[i] = cache.home(keys[i].hash());
      __builtin_prefetch(slots[i]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      slots[i] += slots[i]->key == keys[i] ? 0 : 1;
      cache.prefetch_ids(*slots[i]);
    }
    std::uint32_t* base =
        out.room(static_cast<std::size_t>(ends[count] - ends[0]) + PieceCache::kRoom);
    std::uint32_t* to = base;
    for (std::size_t i = 0; i < count; ++i) {
      const PieceCache::Slot& slot = *slots[i];
      const auto size = static_cast<std::size_t>(ends[i + 1] - ends[i]);
      if (slot.key == keys[i]) [[likely]] {
        const bool is_long = keys[i].is_long();
        const std::size_t copied = !is_long ? cache.copy_short(slot, to)
                                   : size <= PieceCache::kMaxPiece
                                       ? cache.copy_long(slot, ends[i], size, to)
                                       : 0;
        to += copied;
        if (copied > 0) continue;
      }
      const void* address = cache.address();
      to += encode_rare(model, keys[i], ends[i], size, work, to);
      if (cache.address() == address) continue;
      for (std::size_t j = i + 1; j < count; ++j) slots[j] = cache.home(keys[j].hash());
    }
    out.advance(static_cast<std::size_t>(to - base));
    ends[0] = ends[count];
  }
}

void BpeEncoder::encode_plain(const std::uint8_t* p, const std::uint8_t* end, Workspace& work,
                              IdBuffer& out) const {
  encode_pieces(*model_, scanner_, {p, end}, work, out);
}

void BpeEncoder::encode_text(Text text, const std::vector<char>& allowed, Workspace& work,
                             IdBuffer& out) const {
  const std::uint8_t* begin = text.data();
  const std::uint8_t* end = begin + text.size();
  if (may_cut(allowed)) return encode_plain(begin, end, work, out);
  work.plain_segments.clear();
  literal_.split(begin, end, allowed, work.plain_segments);
  work.segments.clear();
  for (const Segment& s : work.plain_segments) {
    if (s.is_added) {
      work.segments.push_back(s);
    } else {
      normalized_.split(s.begin, s.end, allowed, work.segments);
    }
  }
  for (const Segment& s : work.segments) {
    if (s.is_added) {
      *out.room(1) = s.id;
      out.advance(1);
    } else {
      encode_plain(s.begin, s.end, work, out);
    }
  }
}

// Without added tokens to find, a text falls apart at any pre-token boundary.
bool BpeEncoder::may_cut(const std::vector<char>& allowed) const {
  return std::none_of(allowed.begin(), allowed.end(), [](char on) { return on != 0; });
}

IdBuffer BpeEncoder::encode(Text text, const std::vector<char>& allowed) const {
  std::unique_ptr<Workspace> work = acquire();
  IdBuffer out;
  reserve_ids(out, text.size());
  encode_text(text, allowed, *work, out);
  release(std::move(work));
  return out;
}

BatchIds BpeEncoder::encode_batch(const std::vector<Text>& texts, const std::vector<char>& allowed,
                                  unsigned num_threads, const Tick& tick) const {
  std::size_t num_bytes = 0;
  for (const Text& t : texts) num_bytes += t.size();
  const std::size_t useful = num_bytes / kBytesPerThread + 1;
  num_threads = static_cast<unsigned>(std::min<std::size_t>(std::max(num_threads, 1u), useful));

  std::vector<Chunk> chunks = make_chunks(texts, scanner_, may_cut(allowed));
  std::vector<std::unique_ptr<Workspace>> work(num_threads);
  for (auto& w : work) w = acquire();
  std::vector<IdBuffer> buffers(num_threads);
  for (IdBuffer& b : buffers) reserve_ids(b, num_bytes / num_threads);
  parallel_for(chunks.size(), num_threads, tick, [&](unsigned worker, std::size_t item) {
    Chunk& chunk = chunks[item];
    chunk.worker = worker;
    chunk.begin = buffers[worker].size();
    encode_text(chunk.text, allowed, *work[worker], buffers[worker]);
    chunk.count = buffers[worker].size() - chunk.begin;
  });
  for (auto& w : work) release(std::move(w));

  BatchIds batch;
  batch.offsets.assign(texts.size() + 1, 0);
  for (const Chunk& c : chunks) {
    batch.offsets[c.text_idx + 1] += static_cast<std::int64_t>(c.count);
  }
  for (std::size_t i = 0; i < texts.size(); ++i) batch.offsets[i + 1] += batch.offsets[i];
  if (num_threads == 1) {
    batch.ids = std::move(buffers[0]);
    return batch;
  }
  const auto num_ids = static_cast<std::size_t>(batch.offsets.back());
  std::uint32_t* to = batch.ids.room(num_ids);
  batch.ids.advance(num_ids);
  std::vector<std::uint32_t*> places;
  for (const Chunk& c : chunks) {
    places.push_back(to);
    to += c.count;
  }
  parallel_for(chunks.size(), num_threads, {}, [&](unsigned, std::size_t item) {
    const Chunk& c = chunks[item];
    std::copy_n(buffers[c.worker].data() + c.begin, c.count, places[item]);
  });
  return batch;
}

std::uint64_t BpeEncoder::count_steps(Text text) const {
  Workspace work;
  IdBuffer out;
  encode_plain(text.data(), text.data() + text.size(), work, out);
  return work.scratch.num_steps;
}

}  // namespace llmcore::tokenizer
