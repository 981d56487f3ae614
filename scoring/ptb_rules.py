"""The rules of coco-caption's tokeniser: what a token looks like, and how it is spelled.

    parts of rules --> RULES: (pattern, spelling)        read by ptb.tokenize

A pattern is matched against the shapes of characters, in which "é" stands for any letter outside
ASCII, "٠" for any such digit and so on (ptb.KINDS); its spelling is a function of the text itself.
The order of the rules decides between two that read equally far.
"""

import re

# --- parts of rules ------------------------------------------------------------------------------


def anycase(pattern):
    """Return a pattern that ignores case."""
    return f"(?i:{pattern})"


def words(text):
    """Return a pattern of any of these words in any case; a listed capital must be a capital."""
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


def verbatim(text):
    """Return the text in lower case, its spaces as hard spaces."""
    return text.lower().replace(" ", "\xa0")     # a space would split the token in two


def written(text):
    """Return the text in lower case without soft hyphens."""
    return verbatim(text).replace("\xad", "")


def bracketed(text):
    """Return the text in lower case, its round brackets as the treebank names them."""
    return written(text).replace("(", "-lrb-").replace(")", "-rrb-")


def straight(text):
    """Return the text with straight apostrophes ('s, n't) and plain ampersands (AT&T)."""
    return re.sub("[’\x92]|&apos;", "'", text.lower()).replace("&amp;", "&")


def quotes(text):
    """Return quotation marks as the treebank spells them."""
    return text.translate(QUOTES)


def named(text):
    """Return the name of a bracket, entity, fraction or currency sign."""
    return NAMED.get(text.lower(), text)


def dropped(text):
    """Return nothing: the token is left out."""
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
