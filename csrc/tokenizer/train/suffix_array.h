// Suffix arrays of texts over small integer alphabets, in linear time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace llmcore::tokenizer {

// Starts of the suffixes of `text` in lexicographic order; a suffix sorts before those it begins.
// Symbols are below `alphabet_size`; the text is shorter than 2^31.
// Source: Nong, Zhang & Chan 2009, "Linear suffix array construction by almost pure
// induced-sorting" (SA-IS).
std::vector<std::uint32_t> suffix_array(std::span<const std::uint32_t> text,
                                        std::uint32_t alphabet_size);

// By position: how many symbols a suffix shares with the one before it in `suffixes`; counting
// stops at a symbol below `first_symbol`. Source: Kasai et al. 2001; Karkkainen et al. 2009 (phi).
std::vector<std::uint32_t> common_prefixes(std::span<const std::uint32_t> text,
                                           std::span<const std::uint32_t> suffixes,
                                           std::uint32_t first_symbol);

}  // namespace llmcore::tokenizer
