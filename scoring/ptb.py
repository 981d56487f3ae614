"""Penn Treebank tokens for scoring, as coco-caption's Java tokeniser gives them.

    "The dog can't sit."  --tokenize-->  ["the", "dog", "ca", "n't", "sit"]

The scores in captioning papers are counted on the tokens of one Java program, Stanford's
PTBTokenizer 3.4.1 with -preserveLines -lowerCase, less a list of punctuation. This is what that
program does, without Java: rules found by watching its answers, and held equal to it by
tests/test_ptb.py. Four ideas make it up:

    shape       a character outside ASCII is replaced by one that stands for its kind (a letter, a
                digit, a closing quote), so that the rules get by with a small alphabet
    rules       one pattern per class of token: word, number, abbreviation, smiley
    longest     at every position the rule that reads furthest wins, what it looks ahead at
                included; of two that read equally far, the earlier one
    spelling    the winner's text is kept, rewritten ("(" is "-lrb-", "£" is "#") or dropped

Its oddities are kept on purpose, for published scores contain them: brackets survive as "-lrb-",
"st." keeps its stop, "man.the" is one word and "22 333 4444" one telephone number.
"""

import re
from functools import lru_cache

# --- shapes --------------------------------------------------------------------------------------

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
    """Code point to the character that stands for its kind; grows as characters turn up."""

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

# --- parts of rules ------------------------------------------------------------------------------


def anycase(pattern):
    return f"(?i:{pattern})"


def words(text):
    """Any of these words in any case; one listed with a capital must begin with a capital."""
    return "|".join(w[0] + anycase(w[1:]) if w[0].isupper() else anycase(w) for w in text.split())


QUOTE = f"(?:['’]|{anycase('&apos;')})"
ANY_QUOTE = f"(?:['’‘`]|{anycase('&apos;')})"
SPACE = r"[ \t\xa0\u2000]"
DIGIT = "[0-9٠]"
LETTER = "[A-Za-zé]"
ALPHANUMERIC = "[A-Za-zé0-9٠]"
ACCENTED = anycase("&[aeiou](?:acute|grave|uml);")
WORD_START = rf"(?:[A-Za-zé˂\xad]|{ACCENTED})"
WORD_PART = rf"(?:[A-Za-zé˂\xad0-9٠]|{ACCENTED})"
WORD_REST = f"{WORD_PART}*"
WORD = rf"{WORD_START}{WORD_REST}(?:[.!?]{WORD_START}{WORD_REST})*"
NUMBER = rf"(?:{DIGIT}*(?:[.:,\xad٫]{DIGIT}+)+|{DIGIT}+)"
ELIDED = rf"(?:[dolDOL]{ANY_QUOTE}{ALPHANUMERIC})?{ALPHANUMERIC}+"  # l'eau, o'clock
HYPHENATED = rf"{ELIDED}(?:[-_‐]{ELIDED})*"
COMPOUND = r"[A-Za-z0-9][A-Za-z0-9.,\xad]*(?:-(?:(?:[A-Za-z]\.){2,}|[A-Za-z0-9\xad]+))+"
SLASHED = r"[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}"
STATES = anycase(r"(?:canada|sino|korean?|eu|japan|non)-u\.s|u\.s\.-u\.(?:k|s\.s\.r)")
COMPANY = rf"[A-Z]+(?:(?:[+&]|{anycase('&amp;')})[A-Z]+)+"  # AT&T
CLITIC = rf"{QUOTE}{anycase('[msd]|re|ve|ll')}"
NEGATION = rf"{anycase('n')}{ANY_QUOTE}{anycase('t')}"

ATTRIBUTE = r""" +[A-Za-z][A-Za-z0-9:.-]*(?: *= *(?:'[^']*'|"[^"]*"))?"""
TAG = rf"<(?:[!?][A-Za-z-][^>]*|/?[A-Za-z][A-Za-z0-9:.-]*(?:{ATTRIBUTE})* */?) *>"

# The full stop belongs to these wherever they stand;
TITLES = words(r"""adj adm adv alex assoc asst attys? ave brig capt cf cie cmdr col comdr cpl dept
    det drs? ed\.d elec ens ft gen govs? hon insp invt jos lieut lt maj messrs mlle mme mrs?
    m(?-i:[ft])g ms msgr mt natl pfc ph\.d ph pres profs? pvt reps? rev sens? sfc sgt spc ste?
    supts? treas vs""")
# to these too, even with a letter behind it: "co.x" is "co." and "x", "mr.x" is one word;
NAMES = words("""ala? apr ariz assn aug bancorp bhd bldg blvd bros calif colo conn corp cos? ct dak
    dec esq est etc ext feb fla fri ga inc ind intl jan jr jul jun kans? ky ltd mar md mich minn mo
    mon mont neb nev nov oct okla penn plc p?pt(?-i:[ey])s? rd rt sept? seq sq sr sys tel tenn thu
    thurs tues? univ va vt wed wisc? wyo Ark Az Del Ill La Mass Miss Ore Pa Tex Wash""")
# to these before a number: "no. 5", but "he says no."
COUNTED = words("ca figs? prop nos? art bldg pp op")
# A single letter loses its full stop to the sentence before one of these.
STARTERS = words("""A About According Additionally After An As At But Earlier He Her Here However If
    In It Last Many More Now Once One Other Our She Since So Some Such That The Their Then There
    These They This We What When While Yet You""")
FILES = words("""bat bmp class cgi cpp c dll docx? exe gif gz html? h jar java jpe?g mov mp3 pdf
    php pl png ppt ps py sql tar txt wav xml x zip""")

# --- spelling ------------------------------------------------------------------------------------

QUOTE_KINDS = {"``": "“«\x93", "''": "”»\x94", "`": "‘‹‛\x91", "'": "’›\x92"}
NAMED = {
    **{"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"},
    **{"&amp;": "&", "&lt;": "<", "&gt;": ">"},
    **{"¼": "1/4", "½": "1/2", "¾": "3/4", "⅓": "1/3", "⅔": "2/3"},
    **{"\x80": "$", "€": "$", "¤": "$", "£": "#", "¢": "cents"},
}
QUOTES = str.maketrans({q: spelled for spelled, kind in QUOTE_KINDS.items() for q in kind})
# coco-caption takes these out; it lists brackets too, but in capitals, so they stay
PUNCTUATION = {"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"}


def verbatim(text):
    """As it stands, in lower case; a space does not split the token."""
    return text.lower().replace(" ", "\xa0")


def written(text):
    return verbatim(text).replace("\xad", "")  # soft hyphens are for printers


def bracketed(text):
    return written(text).replace("(", "-lrb-").replace(")", "-rrb-")


def straight(text):
    """The apostrophe of 's and n't, the ampersand of AT&T: no longer curly, nor an entity."""
    return re.sub("[’\x92]|&apos;", "'", text.lower()).replace("&amp;", "&")


def quotes(text):
    return text.translate(QUOTES)


def named(text):
    return NAMED.get(text.lower(), text)


def dropped(text):
    return ""


# --- rules ---------------------------------------------------------------------------------------

# A group is the token; what its rule reads behind it is only looked at, but counts as read.
RULES = [
    # one word that is two: the rest is read next, as a word
    (rf"({anycase('can')}){anycase('not')}", written),
    (rf"({anycase('gon')}){anycase('na')}", written),
    (rf"({anycase('got|wan')}){anycase('ta|na')}", written),
    (rf"({anycase('lem|gim')}){anycase('me')}", written),
    (rf"({QUOTE}[tT]){anycase('is|was')}", written),
    # HTML: tags with or without attributes, dashes, entities
    (TAG, written),
    (rf"–|{anycase('&(?:md|mdash|ndash);')}", dropped),
    (anycase("&(?:amp|lt|gt);"), named),
    (anycase("&(?:ht|tl|ur|lr|qc|ql|qr|odq|cdq|#[0-9]+);"), written),
    # words, and what is cut off their ends
    (rf"({WORD}){CLITIC}", written),
    (rf"({WORD_START}{WORD_REST}?){NEGATION}", written),
    (WORD, written),
    # words with an apostrophe of their own: 'n', j', ol', 'em, '80s, D'Arcy, hallowe'en
    (rf"{QUOTE}[nN]{QUOTE}?|[lLdDjJ]{QUOTE}|{anycase('dunkin|somethin|ol')}{QUOTE}", written),
    (rf"{QUOTE}(?:{words('em till? cause')}|[2-9]0[sS])", written),
    (rf"[A-HJ-XZn]{ANY_QUOTE}{LETTER}{{2,}}", written),
    (rf"{LETTER}+[aeiouyAEIOUY]{ANY_QUOTE}[aeiouA-Z]{LETTER}*", written),
    (words(rf"cont'd\.? nor'easter c'mon e'er s'mores ev'ry li'l nat'l o{ANY_QUOTE}o"), written),
    (rf"{anycase('cap')}{QUOTE}[nN]|[cC]{QUOTE}{anycase('est')}", written),
    (rf"([yY]{QUOTE}){LETTER}", written),
    (rf"({CLITIC}|{NEGATION})[^A-Za-z]", straight),
    (r"(')[A-Za-z][^ \t\n\xa0]", dropped),  # a quotation begins, unless one of the above did
    (rf"{CLITIC}|{NEGATION}", straight),
    # the web
    (r"""(?i:https?)://[^ \t\n\f\r"<>|(){}]+[^ \t\n\f\r"'<>|.!?(){},-]""", verbatim),
    (r"""(?:(?i:www)\.(?:[^ \t\n\f\r"<>|.!?(){},]+\.)+[A-Za-z]{2,4}"""
     r"""|(?:[^ \t\n\f\r"`'<>|.!?(){}$,-_]+\.)+(?i:com|net|org|edu))"""
     r"""(?:/[^ \t\n\f\r"<>|()]+[^ \t\n\f\r"<>|.!?(){},-])?""", verbatim),
    (r"""(?:<|(?i:&lt;))?(?i:mailto:)?[A-Za-z0-9][^ \t\n\f\r"<>|()\xa0{}]*@"""
     r"""(?:[^ \t\n\f\r"<>|(){}.\xa0]+\.)*[^ \t\n\f\r"<>|(){}.\xa0]+(?:>|(?i:&gt;))?""", verbatim),
    (rf"@[A-Za-z_][A-Za-z_0-9]*|#{LETTER}+", written),
    # numbers: dates, plain ones, powers, fractions, years, telephones
    (rf"{DIGIT}{{1,2}}[-/]{DIGIT}{{1,2}}[-/]{DIGIT}{{2,4}}", written),
    (rf"[-+]?{NUMBER}", written),
    (r"⁺?(?:²+|₀+)", written),
    (rf"(?:{DIGIT}{{1,4}}[- \xa0])?{DIGIT}{{1,4}}(?:\\?/|⁄){DIGIT}{{1,4}}", written),
    (r"½|€", named),
    (rf"({QUOTE}[0-9][0-9])[ \t\n\xa0\u2000]", written),
    (r"(?:\([0-9]{2,3}\)[ \xa0]?|(?:\+\+?)?(?:[0-9]{2,4}[- \xa0])?[0-9]{2,4}[- \xa0])"
     r"[0-9]{3,4}[- \xa0]?[0-9]{3,5}"
     r"|(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}", bracketed),
    (r"[A-Z]*\$|#", written),
    # abbreviations
    (rf"(?:{TITLES}|{NAMES})\.", written),
    (rf"((?:{NAMES})\.)..", written),
    (rf"((?:{COUNTED})\.)[ \t\n\xa0\u2000]?{DIGIT}", written),
    (rf"{anycase('(co[.])')}[ \xa0\u2000]{anycase('ltd')}", written),
    (rf"((?:{WORD}|{HYPHENATED}|{COMPOUND}|{COMPANY})\.)[,;:、]", written),
    (r"(?:[A-Za-z]\.)+", written),
    (rf"{STATES}(?:\.|(?=[ \t\n\xa0\u2000]))", written),
    (rf"([A-Za-z])\.[ \t\n\xa0\u2000]+(?:{STARTERS}|{TAG})[ \t\n\xa0\u2000]", written),
    # compounds
    (rf"-{anycase('[rl][rcs]b')}-|{anycase('c[.]d[.]s|pro-|anti-')}", written),
    (anycase("s(?:&|&amp;)(?:p-500|ls)"), straight),
    (rf"{SLASHED}(?:\\?/{SLASHED}){{1,2}}", written),
    (HYPHENATED, written),
    (COMPOUND, written),
    (COMPANY, straight),
    (r"[cCfF]#|[cC]\+\+", written),
    # files: after the abbreviations, for "B.C." is no program
    (rf"({WORD_PART}+(?:\.{WORD_PART}+)*\.(?:{FILES}))[ \t\n\xa0\u2000,.!?]", verbatim),
    # marks
    (r"([<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]])[^A-Za-z0-9]", bracketed),
    (r"\([-^x=~<>'][_.]?[-^x=~<>']\)|[-^x=~<>']_[-^x=~<>']|\([\^x=~<>']-[\^x=~<>'`]\)", bracketed),
    (r"[(){}\[\]]", named),
    (r"<<?|>>?|@+|#+|_+|\*+|(?:\\\*){1,3}|-{5,}|[?!]+", written),
    (r"[`‘’”]{1,2}", quotes),
    (rf"''|\"|{QUOTE}|{anycase('&quot;')}", dropped),
    (r"\.{3,5}|(?:\.[ \xa0]){2,4}\.|…|[.,:;]|-{1,4}", dropped),
    (r"[/=&+$\\^~|%°、⁺⁄]", written),
    (rf"{SPACE}+|[\n\u200b]|{anycase('&nbsp;')}", dropped),
]
RULES = [(re.compile(pattern, re.DOTALL), spelling) for pattern, spelling in RULES]
# Most of a caption: words of letters, each before a space or a comma and a space. No rule makes
# more of such a word, but for these six, nor of its comma.
DOUBLE = anycase("cannot|gonna|gotta|wanna|lemme|gimme")
PLAIN = re.compile(rf" *(?:(?!{DOUBLE}[, ])[A-Za-z]+,? +)+")
ENDING = 40     # characters


def tokenize(sentence: str, following: str = "A ") -> list[str]:
    """The tokens of a caption in lower case, punctuation taken out; a line break is a space.

    `following` is how the next line of the file begins that the jar reads. It is looked at in one
    case: a single letter at the end, as in "8th Ave S.", loses its stop before a line that begins
    with "A", "The" or the like, as nearly all captions do.
    """
    text = LINE_BREAK.sub(" ", sentence)
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
    """How long the token at this position is, and how it is spelled."""
    furthest, length, chosen = position, 1, dropped
    for pattern, spelling in RULES:
        match = pattern.match(shape, position)
        if match and match.end() > furthest:
            furthest, chosen = match.end(), spelling
            length = match.end(pattern.groups) - position
    return length, chosen


# Rules look only ahead, so the rest of a sentence decides; many captions end in the same words.
remembered = lru_cache(maxsize=2**16)(longest)
