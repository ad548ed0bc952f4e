#include "tokenizer/formats/spec_building.h"

#include <algorithm>
#include <numeric>

#include "tokenizer/errors.h"
#include "tokenizer/formats/json_text.h"
#include "tokenizer/models/byte_alphabet.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

// Longer tokens would make deriving merges slow; the longest of known vocabularies has 128 bytes.
constexpr std::size_t kMaxRankToken = 1024;
constexpr std::uint32_t kNone = TokenIndex::kAbsent;

// Merges the bytes of one token by rank until two parts are left.
class RankMerger {
 public:
  RankMerger(const std::vector<std::string>& bytes, const TokenIndex& index)
      : bytes_(bytes), index_(index) {}

  // The last two parts of token `id`; false if they are more.
  bool split(std::uint32_t id, Merge& merge) {
    const std::string_view token = bytes_[id];
    starts_.resize(token.size() + 1);
    std::iota(starts_.begin(), starts_.end(), 0u);
    ranks_.clear();
    for (std::size_t i = 0; i + 2 < starts_.size(); ++i) ranks_.push_back(rank(token, i));
    while (ranks_.size() > 1) {
      const auto best = std::min_element(ranks_.begin(), ranks_.end());
      if (*best >= id) return false;
      const std::size_t i = static_cast<std::size_t>(best - ranks_.begin());
      starts_.erase(starts_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      ranks_.erase(best);
      if (i > 0) ranks_[i - 1] = rank(token, i - 1);
      if (i < ranks_.size()) ranks_[i] = rank(token, i);
    }
    merge = {index_.find(token.substr(0, starts_[1])), index_.find(token.substr(starts_[1]))};
    return merge.first != kNone && merge.second != kNone;
  }

 private:
  // Id of parts i and i + 1 joined.
  std::uint32_t rank(std::string_view token, std::size_t i) const {
    return index_.find(token.substr(starts_[i], starts_[i + 2] - starts_[i]));
  }

  const std::vector<std::string>& bytes_;
  const TokenIndex& index_;
  std::vector<std::uint32_t> starts_, ranks_;
};

}  // namespace

std::string quoted(std::string_view text) {
  constexpr std::size_t kMost = 64;
  std::string start(text.substr(0, kMost));
  std::size_t valid = valid_utf8_length(start);
  if (valid + 4 > kMost && text.size() > kMost) start.resize(valid);
  for (; (valid = valid_utf8_length(start)) < start.size();) start[valid] = '?';
  return json_quote(start);
}

void fail_data(std::string_view where, std::string_view expected, std::string_view got) {
  throw DataError(std::string(where) + ": must be " + std::string(expected) + ", got " +
                  std::string(got));
}

void fail_express(std::string_view format, std::string_view what) {
  throw DataError(std::string(format) + ": cannot express " + std::string(what));
}

std::uint64_t max_id(std::uint64_t num_tokens) {
  return std::min<std::uint64_t>(num_tokens * 8 + 65535, UINT32_MAX - 1);
}

std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::vector<Merge> merges_of_ranks(const std::vector<std::string>& tokens,
                                   std::vector<std::uint32_t>* unreachable) {
  std::vector<std::string> bytes(tokens.size());
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (!text_to_bytes(tokens[id], bytes[id])) {
      fail_data("token " + std::to_string(id), "spelled in byte characters", quoted(tokens[id]));
    }
    if (bytes[id].size() > kMaxRankToken) {
      fail_data("token " + std::to_string(id), "at most 1024 bytes long to have merges",
                std::to_string(bytes[id].size()) + " bytes");
    }
  }
  const TokenIndex index(bytes);
  RankMerger merger(bytes, index);
  std::vector<Merge> merges;
  for (std::uint32_t id = 0; id < bytes.size(); ++id) {
    if (bytes[id].size() < 2) continue;
    Merge merge;
    if (merger.split(id, merge)) {
      merges.push_back(merge);
    } else if (unreachable != nullptr) {
      unreachable->push_back(id);
    }
  }
  return merges;
}

std::vector<Merge> merges_of_scores(const std::vector<std::string>& tokens,
                                    const std::vector<double>& scores,
                                    const std::vector<bool>& usable) {
  struct Found {
    double score;
    std::uint32_t joined;
    Merge merge;
  };
  std::vector<std::string> texts(tokens.size());
  std::size_t total = 0;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (usable[id]) texts[id] = tokens[id];
    total += texts[id].size();
  }
  const TokenIndex index(texts);
  std::vector<Found> found;
  for (std::uint32_t id = 0; id < texts.size(); ++id) {
    const std::string_view token = texts[id];
    if (token.size() > kMaxRankToken) continue;
    for (std::size_t cut = 1; cut < token.size(); ++cut) {
      if ((token[cut] & 0xC0) == 0x80) continue;
      const std::uint32_t left = index.find(token.substr(0, cut));
      if (left == kNone) continue;
      const std::uint32_t right = index.find(token.substr(cut));
      if (right != kNone) found.push_back({scores[id], id, {left, right}});
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Found& a, const Found& b) { return a.score > b.score; });
  std::vector<Merge> merges;
  merges.reserve(found.size());
  for (const Found& entry : found) merges.push_back(entry.merge);
  return merges;
}

std::vector<std::string> rank_tokens(const TokenizerSpec& spec) {
  std::vector<std::string> tokens = spec.tokens;
  for (const AddedTokenSpec& added : spec.added) {
    if (added.id < tokens.size() && tokens[added.id] == added.content) tokens[added.id].clear();
  }
  return tokens;
}

TokenizerSpec with_merge_list(const TokenizerSpec& spec) {
  TokenizerSpec result = spec;
  if (spec.kind != ModelKind::kBpe || !spec.bpe.by_rank) return result;
  result.merges = merges_of_ranks(rank_tokens(spec), nullptr);
  result.bpe.by_rank = false;
  result.bpe.ignore_merges = true;
  return result;
}

std::string extra_member(const TokenizerSpec& spec, std::string_view name) {
  const JsonDocument extra(spec.extra, "extra");
  const Json& member = extra.root()[name];
  return member.is_null() ? std::string() : json_text(member);
}

std::string json_object(const std::vector<std::pair<std::string_view, std::string>>& members) {
  std::string out;
  for (const auto& [name, text] : members) {
    if (text.empty()) continue;
    (out += out.empty() ? '{' : ',') += json_quote(name);
    (out += ':') += text;
  }
  return out.empty() ? "{}" : out += '}';
}

}  // namespace llmcore::tokenizer
