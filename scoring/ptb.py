"""Penn Treebank tokens for scoring, as coco-caption's Java tokeniser gives them.

    "The dog can't sit."  --tokenize-->  ["the", "dog", "ca", "n't", "sit"]

The scores in captioning papers are counted on the tokens of one Java program, Stanford's
PTBTokenizer 3.4.1 with -preserveLines -lowerCase, less a list of punctuation. This module gives
the same tokens without Java, by rules that were found by watching the program's answers;
tests/test_ptb.py holds them equal. Four ideas make it up:

    shape       a character outside ASCII is replaced by one that stands for its kind
    rules       one pattern per class of token: word, number, abbreviation; see ptb_rules.py
    longest     at every position the rule that reads furthest wins; of two, the earlier one
    spelling    the winner's text is kept, rewritten ("(" is "-lrb-", "£" is "#") or dropped

The program's oddities are kept on purpose, since published scores contain them: brackets survive
as "-lrb-", "st." keeps its stop, "man.the" is one word and "22 333 4444" one telephone number.
"""

import re
from functools import lru_cache

from scoring.ptb_rules import RULES, anycase, dropped

# Code points of each kind, in hexadecimal. What is in no list and is neither letter nor digit is
# deleted, as the jar does: emoji, control characters, symbols younger than it.
KINDS = {
    "\xa0": "A0",
    "\u2000": "2000-200A 3000",
    "\u200b": "0 200B 200E 200F FEFF",  # invisible, yet they end a word
    "\xad": "AD",
    "‘": "91 2018 201B",
    "’": "92 2019",
    "”": "93 94 AB BB 201A 201C-201F 2039 203A",
    "‐": "58A 2010 2011",
    "–": "96 97 2013-2015",
    "…": "2026",
    "€": "80 A2-A5 60B E3F 20A0 20A4 20AC FFE0 FFE1 FFE5 FFE6",
    "½": "BC-BE 2153-215E",
    "⁺": "207A 207B 208A 208B",
    "²": "B2 B3 B9 2070 2074-2079",
    "₀": "2080-2089",
    "⁄": "2044",
    "٫": "66B 66C",
    "、": "3001",
    # marks that a word may hold like letters, though not a word with a hyphen: accents on their own
    "˂": """2C2-2C5 2D2-2DF 2E5-2EB 2ED 2EF-36F 375 378 379 384 385 3F6 483-487 55A-55F 591-5BD 5BF
        5C1 5C2 5C4 5C5 5C7 615-61A 64B-65E 670 6D6-6E4 6E7-6ED 6FD 6FE 70F 711 730-74C 7A6-7B0
        7EB-7F3 900-903 93C 93E-94E 951-955 962 963 981-983 9BC 9BE-9C4 9C7 9C8 9CB-9CD 9D7 9E2 9E3
        A01-A03 A3C A3E-A4F A81-A83 ABC ABE-ACF B82 BBE-BC2 BC6-BC8 BCA-BCD C01-C03 C3E-C56 D3E-D44
        D46-D48 E31 E34-E3A E47-E4E EB1 EB4-EBC EC8-ECD""",
    # symbols, each a token of its own
    "°": """A1 A6-A9 AC AE-B1 B4 B6-B8 BF D7 F7 37E 387 589 5BE 5C0 5C3 5C6 5F3 5F4 600-603 606-60A
        60C 614 61B 61E 61F 66A 66D 6D4 700-70D 7F6-7F8 964 965 E4F 1FBD 2016 2017 2020-2023
        2030-2038 203B 203E-2042 207C-207E 208C-208E 2100 2101 2103-2106 2108 2109 2114 2116-2118
        211E-2123 2125 2127 2129 212E 213A 213B 2140-2144 214A-214D 214F 2190-2BFF 3002 3012 30FB
        FF01-FF0F FF1A-FF20 FF3B-FF40 FF5B-FF65""",
}
UNKNOWN = "\x01"
LINE_BREAK = re.compile("[\n\r\v\f\x85\u2028\u2029]")


class Shapes(dict):
    """A dict from a code point to the character that stands for its kind, filled as needed."""

    def __init__(self):
        super().__init__()
        for shape, codes in KINDS.items():
            for code in codes.split():
                first, _, last = code.partition("-")
                self.update(dict.fromkeys(range(int(first, 16), int(last or first, 16) + 1), shape))

    def __missing__(self, number):
        character = chr(number)
        if 32 <= number < 127 or character in "\t\n":
            shape = character
        elif number > 0xFFFF:  # the jar reads these as two halves and knows neither
            shape = UNKNOWN
        else:
            shape = "é" if character.isalpha() else "٠" if character.isdecimal() else UNKNOWN
        self[number] = shape
        return shape


SHAPES = Shapes()

# coco-caption takes these out; it lists brackets too, but in capitals, so they stay
PUNCTUATION = {"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"}

# Most of a caption: words of letters, each before a space or a comma and a space. No rule makes
# more of such a word, but for these six, nor of its comma.
DOUBLE = anycase("cannot|gonna|gotta|wanna|lemme|gimme")
PLAIN = re.compile(rf" *(?:(?!{DOUBLE}[, ])[A-Za-z]+,? +)+")
ENDING = 40     # characters: how long the end of a sentence may be to be remembered


def tokenize(sentence: str, following: str = "A ") -> list[str]:
    """Return the tokens of a caption in lower case, without punctuation.

    following: the beginning of the next line of the file that the jar reads. It matters in one
    case: a single letter at the end, as in "8th Ave S.", loses its stop before a line that begins
    with "A", "The" or the like, as nearly all captions do.
    """
    text = LINE_BREAK.sub(" ", sentence)    # the jar reads one caption a line
    shape = (text + "\n" + following[:20] + "\n").translate(SHAPES)
    tokens, position, end = [], 0, len(text)
    while position < end:
        if plain := PLAIN.match(shape, position):
            tokens += plain[0].lower().replace(",", "").split()
            position = plain.end()
            continue
        length, spelling = (remembered(shape[position:]) if end - position <= ENDING
                            else longest(shape, position))
        token = spelling(text[position:position + length])
        position += length
        if token and token not in PUNCTUATION:
            tokens.append(token)
    return tokens


def longest(shape, position=0):
    """Return the length of the token at a position and the function that spells it."""
    furthest, length, chosen = position, 1, dropped
    for pattern, spelling in RULES:
        match = pattern.match(shape, position)
        if match and match.end() > furthest:
            furthest, chosen = match.end(), spelling
            length = match.end(pattern.groups) - position
    return length, chosen


# Rules look only ahead, so the rest of a sentence decides; many captions end in the same words.
remembered = lru_cache(maxsize=2**16)(longest)
