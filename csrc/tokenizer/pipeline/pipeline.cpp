#include "tokenizer/pipeline/pipeline.h"

#include <algorithm>

#include "tokenizer/errors.h"
#include "tokenizer/models/wordpiece.h"
#include "tokenizer/pipeline/pattern_scanner.h"
#include "tokenizer/pipeline/piece_types.h"
#include "tokenizer/split/known_pretokenizer.h"

namespace llmcore::tokenizer {

// How sample() draws; absent in plain encoding.
struct Pipeline::Random {
  double strength = 0;
  std::uint64_t seed = 0;
  DropoutRng rng;
  std::uint64_t num_pieces = 0;  // each piece of a Unigram model has a seed of its own
};

// What one thread needs to encode.
struct Pipeline::Workspace {
  std::unique_ptr<ModelScratch> scratch;
  std::unique_ptr<PieceWorkspace> fast;
  std::unique_ptr<ChunkEncoder::Workspace> chunks;
  AlignedText text, normalized, part;
  std::vector<AddedSpan> spans, parts;
  std::vector<Piece> pieces;
  std::vector<std::uint32_t> ends;
  Random* random = nullptr;
};

namespace {

constexpr std::size_t kBytesPerId = 3;  // a guess that sizes the output

bool touches(const std::vector<Origin>& guarded, std::size_t begin, std::size_t end) {
  const auto part = std::partition_point(guarded.begin(), guarded.end(),
                                         [&](const Origin& g) { return g.end <= begin; });
  return part != guarded.end() && part->begin < end;
}

// For a text that begins at byte `at` of the caller's.
IsGuarded guard_of(const EncodeOptions& options, std::size_t at) {
  if (options.guarded.empty()) return {};
  return [&options, at](std::size_t begin, std::size_t end) {
    return touches(options.guarded, at + begin, at + end);
  };
}

std::unique_ptr<const JsonDocument> parse(const std::string& component, const char* name) {
  return std::make_unique<const JsonDocument>(component, name);
}

}  // namespace

Pipeline::Pipeline(TokenizerSpec spec) : spec_(std::move(spec)) {
  add_texts();
  make_components();
  make_model();
  if (!fast_model_ && (bpe_ == nullptr || bpe_->dropout() == 0)) {
    chunks_ = ChunkEncoder::make(spec_, {normalizer_.get(), pre_tokenizer_.get(), model_.get()});
  }
  pool_ = std::make_unique<WorkspacePool<Workspace>>([this] {
    auto work = std::make_unique<Workspace>();
    work->scratch = model_->make_scratch();
    if (fast_model_) work->fast = std::make_unique<PieceWorkspace>();
    if (chunks_) work->chunks = std::make_unique<ChunkEncoder::Workspace>(*work->scratch);
    return work;
  });
}

Pipeline::~Pipeline() {
  delete ids_by_text_.load();
}

void Pipeline::add_texts() {
  std::size_t size = spec_.tokens.size();
  // Added tokens may lie beyond the model's, but not anywhere: one array holds all ids.
  const std::size_t most = kMaxTokens;
  for (const AddedTokenSpec& token : spec_.added) {
    if (token.id >= most) {
      throw DataError("tokenizer: the id of an added token must be below " + std::to_string(most) +
                      ", got " + std::to_string(token.id));
    }
    size = std::max<std::size_t>(size, token.id + std::size_t{1});
  }
  texts_.assign(spec_.tokens.begin(), spec_.tokens.end());
  texts_.resize(size);
  hidden_ = hidden_texts(spec_);
  for (const HiddenText& hidden : hidden_) {
    if (spec_.tokens[hidden.id].empty()) texts_[hidden.id] = hidden.text;
  }
  for (const AddedTokenSpec& token : spec_.added) texts_[token.id] = token.content;
}

void Pipeline::make_components() {
  const auto normalizer = parse(spec_.normalizer, "normalizer");
  const auto pre_tokenizer = parse(spec_.pre_tokenizer, "pre_tokenizer");
  const auto post_processor = parse(spec_.post_processor, "post_processor");
  is_sentencepiece_ = normalizer->root()["type"].is_string() &&
                      normalizer->root()["type"].string() == "SentencePiece";
  const auto decoder =
      parse(is_sentencepiece_ ? sentencepiece_decoder(spec_) : spec_.decoder, "decoder");
  normalizer_ = make_normalizer(normalizer->root(), "normalizer");
  pre_tokenizer_ = make_pre_tokenizer(pre_tokenizer->root(), "pre_tokenizer");
  post_processor_ = make_post_processor(post_processor->root(), "post_processor", size());
  frame_ = single_frame(post_processor_.get());
  std::vector<bool> is_special(size());
  for (const AddedTokenSpec& token : spec_.added) is_special[token.id] = token.special;
  token_bytes_ = std::make_shared<const TokenBytes>(texts_, is_special, decoder->root(), "decoder");

  // Normalised tokens are looked for in normalised text, so they are normalised first.
  std::vector<std::string> literal(spec_.added.size()), normalized(spec_.added.size());
  AlignedText from, to;
  for (std::size_t i = 0; i < spec_.added.size(); ++i) {
    const AddedTokenSpec& token = spec_.added[i];
    // SentencePiece's normaliser and model know user-defined pieces themselves.
    if (is_sentencepiece_ && !token.special) continue;
    if (!token.normalized) {
      literal[i] = token.content;
      continue;
    }
    from.start(as_text(token.content), false);
    if (normalizer_) {
      normalizer_->apply(from, to);
      from.swap(to);
    }
    normalized[i] = from.view();
  }
  literal_ = std::make_unique<AddedTokens>(spec_.added, literal);
  normalized_ = std::make_unique<AddedTokens>(spec_.added, normalized);
}

void Pipeline::make_model() {
  switch (spec_.kind) {
    case ModelKind::kWordPiece:
      model_ = make_wordpiece(spec_);
      return;
    case ModelKind::kUnigram: {
      auto unigram =
          make_unigram(spec_, {.sentencepiece = is_sentencepiece_, .types = piece_types(spec_)});
      unigram_ = unigram.get();
      model_ = std::move(unigram);
      return;
    }
    case ModelKind::kBpe:
      break;
  }
  const std::vector<PieceType> types = piece_types(spec_);
  auto bpe = types.empty() ? make_bpe(spec_) : make_sentencepiece_bpe(spec_, types);
  bpe_ = bpe.get();
  model_ = std::move(bpe);
  const auto pre_tokenizer = parse(spec_.pre_tokenizer, "pre_tokenizer");
  const auto pattern = find_known_pattern(pre_tokenizer->root());
  if (!normalizer_ && pattern && bpe_->dropout() == 0 && bpe_->byte_model() != nullptr) {
    fast_model_ = bpe_->byte_model();
    fast_scanner_ = make_piece_scanner(*pattern);
  }
}

std::optional<std::uint32_t> Pipeline::find(std::string_view token) const {
  const IdsByText* ids = ids_by_text_.load();
  if (ids == nullptr) {
    auto made = std::make_unique<IdsByText>(size());
    // Added tokens first: a model's token of the same text is another spelling of theirs.
    for (const AddedTokenSpec& added : spec_.added) made->emplace(texts_[added.id], added.id);
    for (std::uint32_t id = 0; id < size(); ++id) {
      if (!texts_[id].empty()) made->emplace(texts_[id], id);
    }
    // `ids` becomes another thread's where that one was first.
    if (ids_by_text_.compare_exchange_strong(ids, made.get())) ids = made.release();
  }
  const auto it = ids->find(token);
  return it == ids->end() ? std::nullopt : std::optional(it->second);
}

void Pipeline::check_allowed(const EncodeOptions& options) const {
  if (options.allowed.size() != spec_.added.size()) {
    throw ConfigError("encode: allowed must have a flag for each of the " +
                      std::to_string(spec_.added.size()) + " added tokens, got " +
                      std::to_string(options.allowed.size()));
  }
}

// --- one text --------------------------------------------------------------------------------

Encoded Pipeline::encode(Text text, const EncodeOptions& options) const {
  check_allowed(options);
  const auto work = pool_->acquire();
  Encoded out;
  out.ids.reserve(text.size() / kBytesPerId + 16);
  encode_text(text, options, *work, out);
  if (!options.tracks) out.origins.clear();
  finish(text, options, out);
  return out;
}

void Pipeline::encode_text(Text text, const EncodeOptions& options, Workspace& work,
                           Encoded& out) const {
  if ((options.tracks || !options.guarded.empty()) && text.size() > UINT32_MAX) {
    throw ConfigError("encode: a text with offsets must be below 4 GiB, got " +
                      std::to_string(text.size()) + " bytes");
  }
  if (fast_model_ && !options.tracks && work.random == nullptr) {
    return encode_fast(text, options, work, out);
  }
  const bool by_chunks = chunks_ && !options.tracks && work.random == nullptr &&
                         (normalized_->empty() || may_cut(options));
  work.spans.clear();
  literal_->split(text, options.allowed, work.spans, guard_of(options, 0));
  for (const AddedSpan& span : work.spans) {
    if (!span.is_added && by_chunks) {
      chunks_->encode(text.subspan(span.begin, span.end - span.begin), *work.chunks, out.ids);
      continue;
    }
    if (!span.is_added) {
      encode_segment(text.subspan(span.begin, span.end - span.begin), span.begin, options, work,
                     out);
      continue;
    }
    add_added(span, text, options,
              {static_cast<std::uint32_t>(span.begin), static_cast<std::uint32_t>(span.end)}, out);
  }
}

// `text` is where the span was found, `origin` its place in the caller's.
void Pipeline::add_added(const AddedSpan& span, Text text, const EncodeOptions& options,
                         Origin origin, Encoded& out) const {
  const std::string_view matched = as_view(text.subspan(span.begin, span.end - span.begin));
  if (options.tracks) {
    if (matched != token_text(span.id)) out.matched.emplace_back(out.ids.size(), matched);
    out.origins.push_back(origin);
  }
  *out.ids.room(1) = span.id;
  out.ids.advance(1);
}

void Pipeline::encode_fast(Text text, const EncodeOptions& options, Workspace& work,
                           Encoded& out) const {
  const auto pieces = [&](Text part) {
    tokenizer::encode_pieces(*fast_model_, *fast_scanner_, part, *work.fast, out.ids);
  };
  if (may_cut(options)) return pieces(text);
  const auto added = [&](std::uint32_t id) {
    *out.ids.room(1) = id;
    out.ids.advance(1);
  };
  work.spans.clear();
  literal_->split(text, options.allowed, work.spans, guard_of(options, 0));
  for (const AddedSpan& span : work.spans) {
    if (span.is_added) {
      added(span.id);
      continue;
    }
    const Text part = text.subspan(span.begin, span.end - span.begin);
    if (normalized_->empty()) {
      pieces(part);
      continue;
    }
    work.parts.clear();
    normalized_->split(part, options.allowed, work.parts, guard_of(options, span.begin));
    for (const AddedSpan& inner : work.parts) {
      inner.is_added ? added(inner.id) : pieces(part.subspan(inner.begin, inner.end - inner.begin));
    }
  }
}

// `at` is where the segment begins in the caller's text.
void Pipeline::encode_segment(Text text, std::size_t at, const EncodeOptions& options,
                              Workspace& work, Encoded& out) const {
  work.text.start(text, options.tracks || !options.guarded.empty());
  if (normalizer_) {
    normalizer_->apply(work.text, work.normalized);
    work.text.swap(work.normalized);
  }
  if (normalized_->empty()) return encode_normalized(work.text, at == 0, at, work, out);
  work.parts.clear();
  const IsGuarded is_guarded = [&](std::size_t begin, std::size_t end) {
    const Origin origin = work.text.origin(begin, end);
    return touches(options.guarded, at + origin.begin, at + origin.end);
  };
  normalized_->split(work.text.text(), options.allowed, work.parts,
                     options.guarded.empty() ? IsGuarded() : is_guarded);
  for (std::size_t i = 0; i < work.parts.size(); ++i) {
    const AddedSpan span = work.parts[i];
    if (span.is_added) {
      const Origin origin = work.text.origin(span.begin, span.end);
      const auto shift = static_cast<std::uint32_t>(at);
      add_added(span, work.text.text(), options, {origin.begin + shift, origin.end + shift}, out);
      continue;
    }
    work.part.start_like(work.text);
    work.part.keep(work.text, span.begin, span.end);
    encode_normalized(work.part, at == 0 && span.begin == 0, at, work, out);
  }
}

void Pipeline::encode_normalized(AlignedText& text, bool is_start, std::size_t at, Workspace& work,
                                 Encoded& out) const {
  if (text.size() > UINT32_MAX) {
    throw ConfigError("encode: a text must be below 4 GiB once normalised, got " +
                      std::to_string(text.size()) + " bytes");
  }
  work.pieces.clear();
  if (text.size() > 0) work.pieces.push_back({0, static_cast<std::uint32_t>(text.size())});
  if (pre_tokenizer_) pre_tokenizer_->split(text, work.pieces, is_start);
  for (const Piece& piece : work.pieces) encode_piece(text, piece, at, work, out);
}

void Pipeline::encode_piece(const AlignedText& text, const Piece& piece, std::size_t at,
                            Workspace& work, Encoded& out) const {
  const Text bytes = text.text().subspan(piece.begin, piece.end - piece.begin);
  std::vector<std::uint32_t>* ends = text.tracks() ? &work.ends : nullptr;
  work.ends.clear();
  if (Random* random = work.random; random == nullptr) {
    model_->encode(bytes, *work.scratch, out.ids, ends);
  } else if (bpe_ != nullptr) {
    bpe_->sample(bytes, random->strength, random->rng, static_cast<BpeScratch&>(*work.scratch),
                 out.ids, ends);
  } else {
    unigram_->sample(bytes, random->strength, random->seed + random->num_pieces++, out.ids, ends);
  }
  const auto shift = static_cast<std::uint32_t>(at);
  std::size_t begin = piece.begin;
  for (const std::uint32_t end_in_piece : work.ends) {
    // Byte tokens of a suffix, which is not in the text, end behind the piece.
    const std::size_t end =
        std::min<std::size_t>(piece.begin + std::size_t{end_in_piece}, piece.end);
    // A token without bytes of its own stands where the next one begins.
    Origin origin{};
    if (begin < end) {
      origin = text.origin(begin, end);
    } else if (begin < text.size()) {
      origin = {text.origin(begin).begin, text.origin(begin).begin};
    }
    out.origins.push_back({origin.begin + shift, origin.end + shift});
    begin = end;
  }
}

// Special tokens around the text, and spans as the post-processor wants them.
void Pipeline::finish(Text text, const EncodeOptions& options, Encoded& out) const {
  if (!post_processor_ || (!options.add_special_tokens && !options.tracks)) return;
  if (frame_ && !options.tracks) {
    if (frame_->before.empty() && frame_->after.empty()) return;
    IdBuffer framed;
    const std::size_t front = frame_->before.size(), size = out.ids.size();
    std::uint32_t* to = framed.room(front + size + frame_->after.size());
    std::copy(frame_->before.begin(), frame_->before.end(), to);
    std::copy_n(out.ids.data(), size, to + front);
    std::copy(frame_->after.begin(), frame_->after.end(), to + front + size);
    framed.advance(front + size + frame_->after.size());
    out.ids = std::move(framed);
    return;
  }
  TokenRun run;
  run.ids.assign(out.ids.data(), out.ids.data() + out.ids.size());
  run.type_ids.assign(run.ids.size(), 0);
  run.is_special.assign(run.ids.size(), 0);
  run.has_spans = options.tracks;
  run.source = as_view(text);
  for (const Origin& origin : out.origins) run.spans.push_back({origin.begin, origin.end});
  // White space that an added token took is in its span but not in its text: for the processor,
  // which only moves ids, such a token has an id of its own.
  for (std::size_t i = 0; i < out.matched.size(); ++i) {
    run.ids[out.matched[i].first] = static_cast<std::uint32_t>(size() + i);
  }
  const auto is_matched = [this](std::uint32_t id) { return id >= size(); };
  TokenRun done =
      post_process(post_processor_.get(), std::move(run), std::nullopt, options.add_special_tokens,
                   [&](std::uint32_t id) -> std::string_view {
                     return is_matched(id) ? out.matched[id - size()].second : token_text(id);
                   });
  for (std::uint32_t& id : done.ids) {
    if (is_matched(id)) id = out.ids.data()[out.matched[id - size()].first];
  }
  out.ids = IdBuffer();
  std::copy(done.ids.begin(), done.ids.end(), out.ids.room(done.ids.size()));
  out.ids.advance(done.ids.size());
  out.origins.clear();
  for (const TokenSpan& span : done.spans) out.origins.push_back({span.begin, span.end});
}

Encoded Pipeline::sample(Text text, const EncodeOptions& options, double strength,
                         std::uint64_t seed) const {
  check_allowed(options);
  if (bpe_ == nullptr && unigram_ == nullptr) {
    throw ConfigError("sample: the model must be BPE or Unigram, got WordPiece");
  }
  const auto work = pool_->acquire();
  Random random{.strength = strength, .seed = seed, .rng = DropoutRng(seed)};
  work->random = &random;
  Encoded out;
  try {
    encode_text(text, options, *work, out);
  } catch (...) {
    work->random = nullptr;
    throw;
  }
  work->random = nullptr;
  finish(text, options, out);
  return out;
}

std::vector<UnigramModel::ScoredIds> Pipeline::nbest(Text text, std::size_t count) const {
  if (unigram_ == nullptr) throw ConfigError("nbest: the model must be Unigram, got another");
  const auto work = pool_->acquire();
  work->text.start(text, false);
  if (normalizer_) {
    normalizer_->apply(work->text, work->normalized);
    work->text.swap(work->normalized);
  }
  if (work->text.size() == 0) return {};
  work->pieces.assign(1, {0, static_cast<std::uint32_t>(work->text.size())});
  if (pre_tokenizer_) pre_tokenizer_->split(work->text, work->pieces, true);
  if (work->pieces.size() != 1) {
    throw ConfigError("nbest: the text must be one piece to the pre-tokenizer, got " +
                      std::to_string(work->pieces.size()));
  }
  return unigram_->nbest(work->text.text(), count);
}

std::uint64_t Pipeline::count_steps(Text text) const {
  if (!fast_model_) throw ConfigError("count_steps: the model must be byte-level BPE");
  PieceWorkspace work;
  IdBuffer ids;
  encode_pieces(*fast_model_, *fast_scanner_, text, work, ids);
  return work.scratch.num_steps;
}

// --- many texts ------------------------------------------------------------------------------

bool Pipeline::may_cut(const EncodeOptions& options) const {
  return std::none_of(options.allowed.begin(), options.allowed.end(),
                      [](char on) { return on != 0; });
}

BatchIds Pipeline::encode_batch(const std::vector<Text>& texts, const EncodeOptions& options,
                                unsigned num_threads, const Tick& tick) const {
  check_allowed(options);
  const bool cuts = fast_model_ && may_cut(options) && !options.add_special_tokens;
  if (fast_model_ && num_threads > 1 && !texts.empty()) fast_model_->prepare();
  return encode_in_chunks(
      texts, cuts ? fast_scanner_.get() : nullptr, num_threads, tick,
      [&] { return pool_->acquire(); },
      [&](auto& work, Text text, IdBuffer& ids) {
        Encoded out;
        out.ids = std::move(ids);
        if (!options.add_special_tokens) {
          encode_text(text, options, *work, out);
          ids = std::move(out.ids);
          return;
        }
        ids = std::move(out.ids);
        Encoded one;
        encode_text(text, options, *work, one);
        finish(text, options, one);
        std::copy_n(one.ids.data(), one.ids.size(), ids.room(one.ids.size()));
        ids.advance(one.ids.size());
      });
}

}  // namespace llmcore::tokenizer
