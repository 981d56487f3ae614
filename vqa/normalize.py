r"""Bring answers to the form in which they are compared, by one of three sets of rules.

    official        the published program (vqaEval.py of VQA, as of 2021-03), faults included
    official-2017   the program before its change of 2021
    fixed           the same ideas without the faults, and always for both sides

The program works in two steps, `without_marks` and `in_words`. Its faults, with the form that it
gives; `fixed` has none of them:

     1  nothing is done where the ten answers are equal, so "Black." is not "black" (accuracy.py)
     2  none is a number                                        none -> 0
     3  periods are removed up to the 32nd
     4  a period before a digit stays, whatever is before it    v.2 -> v.2
     5  a comma between digits makes all marks join             1,000-2,000 -> 10002000
     6  its table of number words grows by every word it meets
     7  contractions with a capital are never found in text of lower case; one is reversed
                                                                Im -> im, somebody'd -> somebodyd
     8  nothing is left of articles                             a ->
     9  equal annotations without an id of their own are taken for one (accuracy.py)
    10  the annotations are changed, so that a second evaluation may differ (accuracy.py)
    11  its order is not that of its description, by which words beside marks are not looked up
                                                                two, -> 2 (described: two)
    12  marks that are not in its list stay                     $5 -> $5, 'red' -> 'red'
"""

import re
import string
from functools import lru_cache

KEPT = 1 << 17              # normal forms, since few answers make up most
MARKS = ";/[]\"{}()=+\\_-><@`,?!"
PERIODS = 32                # re.UNICODE, which the program gives as a number of replacements
NUMBERS = {word: str(number) for number, word in enumerate(
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))}
ARTICLES = frozenset({"a", "an", "the"})
CONTRACTED = """
    'ow's'at 'twas I'd've I'm I've ain't aren't can't could've couldn't couldn't've didn't doesn't
    don't hadn't hadn't've hasn't haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've
    it'll ma'am might've mightn't mightn't've must've mustn't needn't not've o'clock oughtn't shan't
    she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd
    someone'd've someone'll someone's something'd something'd've something'll that's there'd
    there'd've there're there's they'd they'd've they'll they're they've wasn't we'd've we've
    weren't what'll what're what's what've when's where'd where's where've who'd who'd've who'll
    who's who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'd've y'all'll
    you'd you'd've you'll you're you've"""


def contractions(words):
    """Return {a word without one of its apostrophes: the word}."""
    return {word[:place] + word[place + 1:]: word for word in words.split()
            for place, sign in enumerate(word) if sign == "'"}


OFFICIAL = {**contractions(CONTRACTED), "somebody'd": "somebodyd"}
FIXED = contractions(CONTRACTED.lower() + " somebody'd")
JOINED = re.compile(r"(?<=\d),(?=\d)")                          # 1,000
SPACES = str.maketrans(dict.fromkeys(set(string.punctuation) - set(".':"), " "))
PERIOD = re.compile(r"\.(?!\d)|(?<=[^\d\s])\.")                 # all but those of 3.5 and .5
OUTSIDE = re.compile(r"(?<!\w)[':]|[':](?!\w)")                 # not as in men's and 10:30


def without_marks(text):
    """Return a text without marks and periods, as the program's processPunctuation gives it."""
    joins, found = JOINED.search(text), text
    for mark in MARKS:
        at_edge = f"{mark} " in text or f" {mark}" in text
        found = found.replace(mark, "" if joins or at_edge else " ")
    return re.sub(r"\.(?!\d)", "", found, count=PERIODS)


def in_words(text):
    """Return a text in lower case, its words mapped as by the program's processDigitArticle."""
    words = [{"none": "0", **NUMBERS}.get(word, word) for word in text.lower().split()]
    return " ".join(OFFICIAL.get(word, word) for word in words if word not in ARTICLES)


def trimmed(text):
    """Return a text on one line, without spaces around it."""
    return text.replace("\n", " ").replace("\t", " ").strip()


@lru_cache(KEPT)
def official(answer):
    """Return the form that the program compares where annotators differ."""
    return in_words(without_marks(trimmed(answer)))


@lru_cache(KEPT)
def fixed(answer):
    """Return the form of an answer by the fixed rules; that of this form is the same again."""
    text = JOINED.sub("", answer.lower()).translate(SPACES)
    words = OUTSIDE.sub(" ", PERIOD.sub("", text)).split()
    words = [NUMBERS.get(word) or FIXED.get(word, word) for word in words]
    # an answer may be the letter a, or a single mark
    rest = [word for word in words if word not in ARTICLES] or words or answer.lower().split()
    return " ".join(rest)
