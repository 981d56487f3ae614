"""coco-caption's tokeniser without Java: Penn Treebank tokens, lower case, punctuation removed.

    sentence --PATTERN, one match a token--> spelling --SPELLED--> tokens --PUNCTUATION--> tokens

Scores depend on the tokeniser, and published ones are on Stanford's PTBTokenizer (CoreNLP 3.4.1,
-preserveLines -lowerCase), a Java program. This is the same behaviour as far as captions go, found
by asking that program; `tests/test_ptb.py` holds the two against each other. The lexer
takes the longest match of some hundred rules; here the rules stand in an order in which the first
match is the longest, each with what it is for.
"""

import re

# What coco-caption strips. It lists brackets in capitals, so the lower-case ones stay: a quirk
# that every published score contains.
PUNCTUATION = {"''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":",
               "-", "--", "...", ";"}
BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
SPELLED = {**BRACKETS, "€": "$", "£": "#", "¢": "cents", "½": "1/2", "¼": "1/4", "¾": "3/4",
           "⅓": "1/3", "⅔": "2/3", "&amp;": "&", "&lt;": "<", "&gt;": ">"}
# Two words written as one: where the second begins.
JOINED = {"cannot": 3, "gonna": 3, "gotta": 3, "wanna": 3, "lemme": 3, "gimme": 3, "'tis": 2,
          "'twas": 2}

TITLES = "mr|mrs|ms|drs?|profs?|gens?|lts?|cols?|sgts?|capts?|revs?|gov|sens?|reps?|messrs|adm"
PLACES = "sts?|aves?|blvd|rd|mt|bldg|dept|univ|ft|sq|est"
FIRMS = "inc|cos?|corps?|ltd|pte|jr|sr|bros"
DATES = "jan|feb|mar|apr|aug|sept?|oct|nov|dec|mon|tues?|wed|thurs?|fri"
LATIN = "etc|vs|v|al"
STATES = ("Ala|Ariz|Az|Ark|Calif|Colo|Conn|Del|Fla|Ga|Ill|Ind|Kan|Kans|Ky|La|Mass|Md|md|fla|ill|ark|Mich|"
          "Minn|Miss|Mo|Mont|Neb|Nev|Okla|Ore|Pa|Tenn|Tex|Va|Vt|Wash|Wis|Wisc|Wyo")

# After these a full stop that follows a capital letter ends a sentence.
STARTS = ("A|About|According|After|An|As|At|But|Earlier|He|Her|Here|However|If|In|It|Last|Many|More|"
          "Now|Once|One|Other|Our|She|Since|So|Some|Such|That|The|Their|Then|There|These|They|This|"
          "We|When|While|What|Yet|You")
# Words with an apostrophe that are one token.
APOSTROPHE = (r"o['’`‘]clock|'n'|'n|'em|'till?|'cause|ol'|c'mon|c'est|e'er|s'mores|ev'ry|li'l|nat'l|"
              r"nor'easter|cont'd|dunkin'|somethin'")

LETTER, ALNUM = r"[^\W\d_½¼¾⅓⅔]", r"[^\W_½¼¾⅓⅔]"
WORD = rf"{ALNUM}+(?:[-_]{ALNUM}+)*"
NUMBER = r"\d*(?:[.,:]\d+)+"
ENDS = rf"(?!{LETTER})"                                 # no letter follows
CLITIC = rf"['’](?:s|d|m|ll|re|ve){ENDS}"

RULES = (
    ("tag", r"</?[A-Za-z][^<>]*>|<![^<>]*>"),
    ("entity", r"&(?:amp|lt|gt);"),
    ("quote", r"&(?:quot|apos|nbsp);"),
    ("address", r"https?://[^\s\"<>|()]+[^\s\"<>|().!?,;:'-]|www\.[\w./-]*\w"),
    ("mail", r"[\w.:-]*\w@[\w-]+(?:\.[\w-]*\w)*"),
    ("handle", rf"@[A-Za-z_]\w*|#{LETTER}{ALNUM}*"),
    ("code", rf"[cC]\+\+|[cCfF]#{ENDS}"),
    ("smiley", r"[:;=8]-?[()DpP](?!\w)|XD\b|\^_\^"),
    ("bracketed", r"\(\d+(?:[.,:]\d+)*\)(?: ?\d{3}-\d{4})?"),
    ("mixed", r"\d{1,4}[ -]\d{1,4}/\d{1,4}(?![\w/])"),
    ("signed", rf"(?<![\w-])[-+](?:{NUMBER}|\d+){ENDS}"),
    ("number", rf"{NUMBER}"),
    ("joined", rf"(?:cannot|gonna|gotta|wanna|lemme|gimme|'tis|'twas){ENDS}"),
    ("apostrophe", rf"(?:{APOSTROPHE}){ENDS}|(?-i:[A-HJ-XZ])['’`‘]{LETTER}{{2,}}"),
    ("vowels", rf"{LETTER}+(?-i:[aeiouyA-Z]'[aeiouA-Z]){LETTER}*"),
    ("year", r"(?<!\S)'\d\d(?:s\b|(?=\s|$))|(?<=\d)'\d\d(?=\s|$)|'\d0s\b"),
    ("not", rf"n['’`]t{ENDS}"),
    ("clitic", CLITIC),
    ("stem", rf"{ALNUM}+(?:[-_]{ALNUM}+)*?(?=n['’`]t{ENDS})"),
    ("elided", rf"[dolDOL]['’](?!s{ENDS}){LETTER}{ALNUM}+{ENDS}|[jyJYdlDL]['’](?={LETTER})"),
    ("slashed", rf"{WORD}(?:/{WORD}){{1,2}}"),
    ("letters", rf"(?:[A-Za-z]\.)+[A-Za-z]\.(?!{ALNUM})(?:-{WORD})?"),
    ("hyphened", rf"{ALNUM}+-(?:[A-Za-z]\.){{2,}}(?!{ALNUM})"),
    ("dotted", rf"{LETTER}{ALNUM}*(?:[.!?]{LETTER}{ALNUM}*)+"),
    ("file", r"\d\w*\.(?:pdf|jpe?g|png|gif|html?|txt|py|c|h|x|exe|zip|docx?|xml)\b(?!')"),
    ("shortened", rf"(?:{TITLES}|{PLACES}|{FIRMS}|{DATES}|{LATIN})\.(?!{LETTER})"),
    ("listed", rf"{WORD}\.(?=[,;:])"),
    ("state", rf"(?-i:{STATES}|{STATES.upper()})\.(?!{LETTER})"),
    ("numbered", r"(?:nos?|art|pp?)\.(?=\s?\d)"),
    ("initial", rf"(?-i:[A-Z])\.(?!{ALNUM})(?!\s+(?-i:{STARTS})\s|\s*$)"),
    ("firm", r"(?-i:[A-Z]+(?:(?:&amp;|[&+])[A-Z]+)+)"),
    ("currency", r"(?-i:US|NZ|HK|[AC])\$"),
    ("word", WORD),
    ("ellipsis", r"\.\.\.|\. \. \."),
    ("shout", r"[!?]{2,}"),
    ("run", r"\*+|_+|#+(?!\d)|@+|~+|=+"),
    ("dash", r"-+|[–—―]"),
    ("mark", r"[.,;:!?'\"`‘’“”„«»‹›]"),
    ("fraction", "[½¼¾⅓⅔]"),
    ("symbol", r"[^\s\w]"),
)
PATTERN = re.compile("|".join(f"(?P<{name}>{rule})" for name, rule in RULES), re.IGNORECASE)
DROPPED = {"quote", "ellipsis", "dash", "mark"}
PICTURES = re.compile("[\U00010000-\U0010ffff\u200b-\u200f\ufe0f\u00ad]")   # the lexer skips them


def tokenize(sentence):
    """Lower-case Penn Treebank tokens of one sentence, without punctuation."""
    tokens = []
    for match in PATTERN.finditer(PICTURES.sub(" ", sentence)):
        if match.lastgroup not in DROPPED:
            tokens += spell(match.lastgroup, match[0].lower())
    return [token for token in tokens if token not in PUNCTUATION]


def spell(kind, text):
    """A match as tokens, spelled as the lexer does."""
    if kind == "joined":
        return [text[:JOINED[text]], text[JOINED[text]:]]
    if kind in ("clitic", "not"):
        return [text.replace("’", "'")]
    if kind == "mixed":
        return [text.replace(" ", "\xa0")]
    if kind in ("smiley", "bracketed"):
        text = "".join(BRACKETS.get(letter, letter) for letter in text)
        return [text.replace(" ", "\xa0")]
    if kind in ("tag", "firm"):
        return [text.replace(" ", "\xa0").replace("&amp;", "&")]
    return [SPELLED.get(text, text)]
