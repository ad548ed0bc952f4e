// What several readers and writers do to a TokenizerSpec.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/formats/formats.h"
#include "tokenizer/formats/text_index.h"

namespace llmcore::tokenizer {

inline std::string_view view_of(FileBytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// `text` in quotes for a message: its start, always UTF-8.
std::string quoted(std::string_view text);

// "WHERE: must be EXPECTED, got GOT" as DataError.
[[noreturn]] void fail_data(std::string_view where, std::string_view expected,
                            std::string_view got);
// "FORMAT: cannot express WHAT" as DataError.
[[noreturn]] void fail_express(std::string_view format, std::string_view what);

// Ids may leave gaps, but not such that a small file makes a huge table.
std::uint64_t max_id(std::uint64_t num_tokens);

// The next line of `rest` without its end ("\n" or "\r\n"), which it leaves.
std::string_view take_line(std::string_view& rest);

using Merge = std::pair<std::uint32_t, std::uint32_t>;

// Merges that give rank-order BPE's results: of each token the two tokens that it is merged from,
// by id. Tokens that no merge reaches have none: ignore_merges finds them. `tokens` are spelled in
// byte characters; special ones must be left empty. A context cannot change the last merge of a
// token, as long as no merge crosses its borders, so one pair per token is exact.
std::vector<Merge> merges_of_ranks(const std::vector<std::string>& tokens,
                                   std::vector<std::uint32_t>* unreachable);

// Every pair of tokens that join to a third one, by falling score of that one, then by its id and
// the pair's: SentencePiece's order. `usable` by id.
std::vector<Merge> merges_of_scores(const std::vector<std::string>& tokens,
                                    const std::vector<double>& scores,
                                    const std::vector<bool>& usable);

// `spec.tokens` without the special added tokens, which no merge may reach.
std::vector<std::string> rank_tokens(const TokenizerSpec& spec);

// A spec whose merges and rule are those of merge-list BPE: itself, or that of `by_rank`.
TokenizerSpec with_merge_list(const TokenizerSpec& spec);

// Value of a member of spec.extra as JSON text; empty if there is none.
std::string extra_member(const TokenizerSpec& spec, std::string_view name);

// Object from JSON texts, those that are empty left out.
std::string json_object(const std::vector<std::pair<std::string_view, std::string>>& members);

}  // namespace llmcore::tokenizer
