"""Write normalizer_tables.h: what the normalizers know of every code point.

    python csrc/tokenizer/normalize/generate_normalizer_tables.py \
        > csrc/tokenizer/normalize/normalizer_tables.h

The versions are those of `tokenizers` 0.23.3: normal forms and combining marks of Unicode 9.0,
the categories of BertNormalizer of Unicode 8.0, lower case and grapheme clusters of Unicode 17.0.
Everything comes from this Python's `unicodedata`; the lists below take away or add what other
versions differ in, so that every Python from 3.11 to 3.14 writes the same file.
tests/parity/test_tokenizers_normalizers.py compares the result with the package over all code
points.
"""

import unicodedata

BLOCK = 128
NUM_CODE_POINTS = 0x110000

# Marks, format controls and characters with a decomposition that Unicode 9.0 did not have.
AFTER_9 = """
    05C8-05C9 07FD 0890-0891 0897-089F 08CA-08D3 09FE 0AFA-0AFF 0B53-0B55 0C04 0C3C 0CF3 0D00
    0D3B-0D3C 0D81 0EBA 0ECE 1715 180F 1ABF-1AF0 1CF7 1DF6-1DFA 32FF A7F1-A7F4 A82C A8FF AB69
    10781-10785 10787-107B0 107B2-107BA 10D24-10D27 10D69-10D6D 10EAB-10EAC 10ECB-10ECF
    10EF0-10EFF 10F46-10F50 10F82-10F85 11070 11073-11074 110C2 110CD 11145-11146 111CE-111CF
    11241 1133B 11383 11385 1138E 11391 113B8-113C0 113C2 113C5 113C7-113CA 113CC-113D0 113D2
    113E1-113E2 1145E 1182C-1183A 11930-11935 11937-11938 1193B-1193E 11940 11942-11943
    119D1-119D7 119DA-119E0 119E4 11A01-11A0A 11A33-11A39 11A3B-11A3E 11A47 11A51-11A5B
    11A8A-11A99 11B60-11B67 11D31-11D36 11D3A 11D3C-11D3D 11D3F-11D45 11D47 11D8A-11D8E
    11D90-11D91 11D93-11D97 11DF0 11EF3-11EF6 11F00-11F01 11F03 11F34-11F3A 11F3E-11F42 11F5A
    13430-13440 13447-13455 1611E-1612F 16D68-16D6A 16F4F 16F7F-16F87 16FE4 16FF0-16FF1
    1CCD6-1CCF9 1CF00-1CF2D 1CF30-1CF46 1D127-1D128 1D250-1D252 1D25B-1D25C 1D25F 1D280-1D281
    1E030-1E06D 1E08F 1E130-1E136 1E2AE 1E2EC-1E2EF 1E4EC-1E4EF 1E5EE-1E5EF 1E6E3 1E6E6
    1E6EE-1E6EF 1E6F5 1F16C 1FBF0-1FBF9
"""
# The same of Unicode 8.0, beside AFTER_9.
AFTER_8 = """
    08D4-08E2 1DFB A8C5 1123E 11438-1143F 11442-11444 11446 11C30-11C36 11C38-11C3D 11C3F
    11C92-11CA7 11CAA-11CB0 11CB2-11CB3 11CB5-11CB6 1E000-1E006 1E008-1E018 1E01B-1E021
    1E023-1E024 1E026-1E02A 1E944-1E94A
"""
# Characters whose category has changed since.
MARKS_9_ADD, MARKS_9_DROP = "1CF2-1CF3", "111C9"
NONSPACING_8_ADD, NONSPACING_8_DROP = "1734", "1885-1886 A9BD 111C9"

# Grapheme_Cluster_Break: marks since Unicode 14.0, joiners that are no marks, marks that do not
# join.
MARKS_AFTER_14 = """
    0897 0CF3 0ECE 1ACF-1ADD 1AE0-1AEB 10D69-10D6D 10EFA-10EFF 11241 113B8-113C0 113C2 113C5
    113C7-113CA 113CC-113D0 113D2 113E1-113E2 11B60-11B67 11F00-11F01 11F03 11F34-11F3A
    11F3E-11F42 11F5A 13440 13447-13455 1611E-1612F 1E08F 1E4EC-1E4EF 1E5EE-1E5EF 1E6E3 1E6E6
    1E6EE-1E6EF 1E6F5
"""
JOINERS = "0E33 0EB3 200C-200D FF9E-FF9F 1F3FB-1F3FF E0020-E007F"
NO_JOINERS = """
    102B-102C 1038 1062-1064 1067-106D 1083 1087-108C 108F 109A-109C 1A61 1A63-1A64 AA7B AA7D
    11720-11721
"""
PREPENDS = """
    0600-0605 06DD 070F 0890-0891 08E2 0D4E 110BD 110CD 111C2-111C3 113D1 1193F 11941 11A84-11A89
    11D46 11F02
"""
CONTROLS = """
    0000-001F 007F-009F 00AD 061C 180E 200B 200E-200F 2028-202E 2060-206F FEFF FFF0-FFFB
    13430-1343F 1BCA0-1BCA3 1D173-1D17A E0000-E001F E0080-E00FF E01F0-E0FFF
"""
HANGUL_L, HANGUL_T = "1100-115F A960-A97C", "11A8-11FF D7CB-D7FB"
HANGUL_V = "1160-11A7 D7B0-D7C6 16D63 16D67-16D6A"
PICTOGRAPHS = """
    00A9 00AE 203C 2049 2122 2139 2194-2199 21A9-21AA 231A-231B 2328 23CF 23E9-23F3 23F8-23FA
    24C2 25AA-25AB 25B6 25C0 25FB-25FE 2600-2604 260E 2611 2614-2615 2618 261D 2620 2622-2623 2626
    262A 262E-262F 2638-263A 2640 2642 2648-2653 265F-2660 2663 2665-2666 2668 267B 267E-267F
    2692-2697 2699 269B-269C 26A0-26A1 26A7 26AA-26AB 26B0-26B1 26BD-26BE 26C4-26C5 26C8 26CE-26CF
    26D1 26D3-26D4 26E9-26EA 26F0-26F5 26F7-26FA 26FD 2702 2705 2708-270D 270F 2712 2714 2716 271D
    2721 2728 2733-2734 2744 2747 274C 274E 2753-2755 2757 2763-2764 2795-2797 27A1 27B0 27BF
    2934-2935 2B05-2B07 2B1B-2B1C 2B50 2B55 3030 303D 3297 3299 1F004 1F02C-1F02F 1F094-1F09F
    1F0AF-1F0B0 1F0C0 1F0CF-1F0D0 1F0F6-1F0FF 1F170-1F171 1F17E-1F17F 1F18E 1F191-1F19A
    1F1AE-1F1E5 1F201-1F20F 1F21A 1F22F 1F232-1F23A 1F23C-1F23F 1F249-1F25F 1F266-1F321
    1F324-1F393 1F396-1F397 1F399-1F39B 1F39E-1F3F0 1F3F3-1F3F5 1F3F7-1F3FA 1F400-1F4FD
    1F4FF-1F53D 1F549-1F54E 1F550-1F567 1F56F-1F570 1F573-1F57A 1F587 1F58A-1F58D 1F590
    1F595-1F596 1F5A4-1F5A5 1F5A8 1F5B1-1F5B2 1F5BC 1F5C2-1F5C4 1F5D1-1F5D3 1F5DC-1F5DE 1F5E1 1F5E3
    1F5E8 1F5EF 1F5F3 1F5FA-1F64F 1F680-1F6C5 1F6CB-1F6D2 1F6D5-1F6E5 1F6E9 1F6EB-1F6F0 1F6F3-1F6FF
    1F7DA-1F7FF 1F80C-1F80F 1F848-1F84F 1F85A-1F85F 1F888-1F88F 1F8AE-1F8AF 1F8BC-1F8BF 1F8C2-1F8CF
    1F8D9-1F8FF 1F90C-1F93A 1F93C-1F945 1F947-1F9FF 1FA58-1FA5F 1FA6E-1FAFF 1FC00-1FFFD
"""

# Capitals since Unicode 14.0: first-last, then the small letter of the first.
CAPITALS_AFTER_14 = """
    1C89-1C89:1C8A A7CB-A7CB:0264 A7CC-A7CC:A7CD A7CE-A7CE:A7CF A7D2-A7D2:A7D3 A7D4-A7D4:A7D5
    A7DA-A7DA:A7DB A7DC-A7DC:019B 10D50-10D65:10D70 16EA0-16EB8:16EBB
"""

WHITE_SPACE = "0009-000D 0020 0085 00A0 1680 2000-200A 2028-2029 202F 205F 3000"

# Bits of CharRecord::flags.
NFD_UNSAFE, NFKD_UNSAFE, NFC_UNSAFE, NFKC_UNSAFE = 1, 2, 4, 8
COMBINING_MARK, BERT_ACCENT, BERT_DROPPED, WHITE = 16, 32, 64, 128
OTHER, JOINER, CONTROL, PREPEND, PICTOGRAPH, L, V, T, LV, LVT = range(10)


def code_points(ranges: str) -> set[int]:
    """The code points of "0041-005A 00E9"."""
    result: set[int] = set()
    for item in ranges.split():
        first, _, last = item.partition("-")
        result.update(range(int(first, 16), int(last or first, 16) + 1))
    return result


CATEGORY = [unicodedata.category(chr(c)) for c in range(NUM_CODE_POINTS)]
NOT_IN_9 = code_points(AFTER_9)
NOT_IN_8 = NOT_IN_9 | code_points(AFTER_8)


def is_hangul_syllable(c: int) -> bool:
    return 0xAC00 <= c <= 0xD7A3


def decompositions(form: str) -> dict[int, list[int]]:
    """Full decompositions under NFD or NFKD, without the Hangul syllables."""
    result = {}
    for c in range(NUM_CODE_POINTS):
        if unicodedata.decomposition(chr(c)) and c not in NOT_IN_9 and not is_hangul_syllable(c):
            full = [ord(x) for x in unicodedata.normalize(form, chr(c))]
            if full != [c]:
                result[c] = full
    return result


def combining_class(c: int) -> int:
    return 0 if c in NOT_IN_9 else unicodedata.combining(chr(c))


def compositions() -> dict[tuple[int, int], int]:
    """Primary composites by their two parts, without the Hangul syllables."""
    result = {}
    for c in range(NUM_CODE_POINTS):
        parts = unicodedata.decomposition(chr(c)).split()
        kept = unicodedata.normalize("NFC", chr(c)) == chr(c) and c not in NOT_IN_9
        if len(parts) == 2 and kept and parts[0][0] != "<":
            result[int(parts[0], 16), int(parts[1], 16)] = c
    return result


def grapheme_classes() -> list[int]:
    """What decides the end of a cluster of up to five bytes."""
    classes = [OTHER] * NUM_CODE_POINTS
    marks = {c for c in range(NUM_CODE_POINTS) if CATEGORY[c][0] == "M"}
    joiners = (marks | code_points(MARKS_AFTER_14 + JOINERS)) - code_points(NO_JOINERS)
    for c in range(0xAC00, 0xD7A4):
        classes[c] = LVT if (c - 0xAC00) % 28 else LV
    for kind, ranges in {
        CONTROL: CONTROLS, PREPEND: PREPENDS, PICTOGRAPH: PICTOGRAPHS, L: HANGUL_L, V: HANGUL_V,
        T: HANGUL_T,
    }.items():  # fmt: skip
        for c in code_points(ranges):
            classes[c] = kind
    for c in joiners:
        classes[c] = JOINER
    return classes


def records(
    canonical: dict[int, list[int]],
    compatible: dict[int, list[int]],
    composed: dict[tuple[int, int], int],
) -> list[tuple[int, int, int]]:
    """(combining class, grapheme class, flags) of every code point."""
    seconds = {second for _, second in composed} | set(range(0x1161, 0x1176))
    seconds |= set(range(0x11A8, 0x11C3))
    kept = set(composed.values())
    marks = {c for c in range(NUM_CODE_POINTS) if CATEGORY[c][0] == "M"}
    marks = (marks - NOT_IN_9 | code_points(MARKS_9_ADD)) - code_points(MARKS_9_DROP)
    accents = {c for c in range(NUM_CODE_POINTS) if CATEGORY[c] == "Mn"} - NOT_IN_8
    accents = (accents | code_points(NONSPACING_8_ADD)) - code_points(NONSPACING_8_DROP)
    dropped = {c for c in range(NUM_CODE_POINTS) if CATEGORY[c] in ("Cc", "Cf", "Co")}
    dropped = dropped - NOT_IN_8 - code_points("0009-000A 000D") | {0xFFFD}
    white = code_points(WHITE_SPACE)
    graphemes = grapheme_classes()
    result = []
    for c in range(NUM_CODE_POINTS):
        flags = 0
        if c in canonical or is_hangul_syllable(c):
            flags |= NFD_UNSAFE
        if c in compatible or is_hangul_syllable(c):
            flags |= NFKD_UNSAFE
        first = canonical.get(c, [c])[0]
        if c in seconds or first in seconds or (c in canonical and c not in kept):
            flags |= NFC_UNSAFE
        if flags & NFC_UNSAFE or compatible.get(c) != canonical.get(c):
            flags |= NFKC_UNSAFE
        for bit, members in (
            (COMBINING_MARK, marks), (BERT_ACCENT, accents), (BERT_DROPPED, dropped),
            (WHITE, white),
        ):  # fmt: skip
            flags |= bit if c in members else 0
        result.append((combining_class(c), graphemes[c], flags))
    return result


def lower_deltas() -> list[int]:
    """Lower case minus the code point; 0 for U+0130, the only one of two characters."""
    deltas = [0] * NUM_CODE_POINTS
    for c in range(NUM_CODE_POINTS):
        lower = chr(c).lower()
        if len(lower) == 1:
            deltas[c] = ord(lower) - c
    for item in CAPITALS_AFTER_14.split():
        capitals, _, small = item.partition(":")
        for c in code_points(capitals):
            deltas[c] = int(small, 16) - int(capitals[: capitals.index("-")], 16)
    return deltas


def rows(values: list[str]) -> str:
    """C initialiser rows of at most 100 columns."""
    lines, line = [], "   "
    for value in values:
        item = f" {value},"
        if len(line) + len(item) > 100:
            lines.append(line)
            line = "   "
        line += item
    return "\n".join([*lines, line])


def numbers(kind: str, name: str, values: list[int], suffix: str = "") -> None:
    print(f"inline constexpr {kind} {name}[{len(values)}] = {{")
    print(rows([f"{value}{suffix}" for value in values]))
    print("};\n")


def two_stages(name: str, values: list[int], kind: str) -> None:
    """Block numbers, then the distinct blocks of BLOCK values."""
    blocks: dict[tuple[int, ...], int] = {}
    index = []
    for start in range(0, len(values), BLOCK):
        index.append(blocks.setdefault(tuple(values[start : start + BLOCK]), len(blocks)))
    numbers("std::uint8_t", f"k{name}Block", index)
    numbers(kind, f"k{name}", [value for block in blocks for value in block])


def numbered(values: list) -> tuple[list, list[int]]:
    """The distinct values in order of appearance, and the number of each."""
    seen: dict = {}
    index = [seen.setdefault(value, len(seen)) for value in values]
    return list(seen), index


def decomposition_pool(
    canonical: dict[int, list[int]], compatible: dict[int, list[int]]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Code points with their count in front, and (canonical, compatible) places of each."""
    pool, places = [0], {}
    entries = []
    for c in range(NUM_CODE_POINTS):
        pair = []
        for table in (canonical, compatible):
            full = tuple(table.get(c, ()))
            if full and full not in places:
                places[full] = len(pool)
                pool += [len(full), *full]
            pair.append(places.get(full, 0))
        entries.append((pair[0], pair[1]))
    return pool, entries


def composition_slots(composed: dict[tuple[int, int], int]) -> list[int]:
    """Open hash table of first << 42 | second << 21 | composite; see compose_pair()."""
    slots = [0] * 2048
    for (first, second), c in sorted(composed.items()):
        at = (first * 31 + second * 1009) % len(slots)
        while slots[at]:
            at = (at + 1) % len(slots)
        slots[at] = first << 42 | second << 21 | c
    return slots


def main() -> None:
    canonical, compatible = decompositions("NFD"), decompositions("NFKD")
    composed = compositions()
    print("""// Generated by generate_normalizer_tables.py; do not edit.
// Two stages each: the block of 128 code points, then the code point.
#pragma once

#include <cstdint>

namespace llmcore::tokenizer {

struct CharRecord {
  std::uint8_t combining_class, grapheme_class;
  std::uint16_t flags;
};
""")
    kinds, index = numbered(records(canonical, compatible, composed))
    print(f"inline constexpr CharRecord kCharRecord[{len(kinds)}] = {{")
    print(rows([f"{{{ccc}, {grapheme}, {flags}}}" for ccc, grapheme, flags in kinds]))
    print("};\n")
    two_stages("CharKind", index, "std::uint8_t")
    deltas, index = numbered(lower_deltas())
    numbers("std::int32_t", "kLowerDelta", deltas)
    two_stages("LowerKind", index, "std::uint8_t")
    pool, entries = decomposition_pool(canonical, compatible)
    numbers("std::uint32_t", "kDecompositionPool", pool)
    pairs, index = numbered(entries)
    print(f"inline constexpr std::uint16_t kDecompositionPlace[{len(pairs)}][2] = {{")
    print(rows([f"{{{first}, {second}}}" for first, second in pairs]))
    print("};\n")
    two_stages("DecompositionKind", index, "std::uint16_t")
    numbers("std::uint64_t", "kComposition", composition_slots(composed), "u")
    print("}  // namespace llmcore::tokenizer")


if __name__ == "__main__":
    main()
