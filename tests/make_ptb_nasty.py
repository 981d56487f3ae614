"""Make `tests/data/ptb_nasty.json`: nasty sentences and what Stanford's tokeniser makes of them.

Needs Java and pycocoevalcap's jar: python -m tests.make_ptb_nasty
"""

import json
import random
import subprocess
from pathlib import Path

import pycocoevalcap

from scoring.ptb import PUNCTUATION

FILE = Path(__file__).parent / "data" / "ptb_nasty.json"
JAR = Path(pycocoevalcap.__path__[0]) / "tokenizer" / "stanford-corenlp-3.4.1.jar"
PLAIN = "a man The dog rides on His bike near two red trees and eats pizza".split()  # noqa: SIM905
NASTY = r"""
don't can't won't isn't aren't couldn't DON'T it's It's he's dog's dogs' they're we've I'm I'd
she'll who's man’s can’t it’s they’re don’t cannot CANNOT gonna wanna gotta gimme lemme 'tis
'twas 'Tis y'all o'clock O'Brien O’Brien D'Angelo l'eau d'or c'mon c'est nat'l 'em 'til 'cause
ol' '90s '80s 1990's 90's "hi" ''hi'' ``hi`` ‘hi’ “hi” „hi“ «hi» ‹hi› "a "b. 'c' (a) (two)
[three] {four} ((five)) ) ( ] [ } { - -- --- – — a--b foo- -foo t-shirt state-of-the-art
3-year-old co-ed non-u.s. x-ray a-1 1-a 5-6 5-10 ... .... . , ; : ! ? !! ?! ??? !!! . . .
hello.. hello... hi, hi; hi: end. end! end? word,word word;word mr. Mr. mrs. Mrs. dr. Dr. st.
St. ave. blvd. mt. u.s. U.S. u.s.a. U.K. D.C. a.m. p.m. A.M. e.g. i.e. etc. vs. ft. inc. Inc.
co. corp. ltd. jr. Jr. sr. prof. gen. lt. col. sgt. capt. jan. Feb. dec. oct. dept. est. 1 12
123 1,000 5,000 3.5 .5 1.2.3 1,2,3 3:45 5:00pm 10th 1st 2nd 3rd 50% 100% $5 $5.00 5$ €5 £5 ¥5 5¢
#1 #5 ½ ¼ ¾ ⅓ 1/2 3/4 24/7 9/11 10/12/14 12/25/2001 555-1212 (415) (5) -5 +5 5x7 2x4 6ft 5cm
3.5cm 5'6" 5/8" 1950s and/or s/he w/o w/ a/b a/b/c A/C AC/DC 50/50 black/white AT&T R&D a&b &
&amp; &lt; &gt; &quot; A&B http://www.foo.com/a www.foo.com foo.com me@foo.com @bob #tag man.The
end.of dog!cat dog?cat foo.html x.y :) :-) ;) :( :D XD ^_^ * ** # ## @ @@ _ ___ ~ ^ | \ + = % $
° © ® ™ ² § … c++ C# a_b foo_bar IMG_0001 café naïve é É ß ñ Ünder 日本語 ﬁ ＡＢＣ ＯＫ straße
Привет
мир 你好 ☺ ★ ♥ 😀 🐶🐱 a😀b <b> </b> <br/> <p>
""".split()  # noqa: SIM905
NASTY += ["1 1/2", ". . .", "a  b", "no. 5", "rock 'n' roll", "the no. of", "St. Louis"]

NEXT = "A dog ."        # the jar looks at how the next line begins: as captions mostly do


def sentences(count, seed=0):
    """Half nasty pieces, half plain words, in any order; sometimes with a full stop."""
    draw = random.Random(seed)
    while count:
        words = [draw.choice(NASTY if draw.random() < 0.5 else PLAIN)
                 for _ in range(draw.randint(1, 9))]
        yield " ".join(words) + draw.choice(("", "", ".", " .", "!"))
        count -= 1


def by_jar(lines):
    """coco-caption's tokens of each line, by its own Java program."""
    text = "".join(f"{line}\n{NEXT}\n" for line in lines)
    done = subprocess.run(
        ["java", "-Dfile.encoding=UTF-8", "-cp", JAR, "edu.stanford.nlp.process.PTBTokenizer",
         "-preserveLines", "-lowerCase"], input=text, capture_output=True, check=True,
        encoding="utf-8")
    kept = [[token for token in line.rstrip().split(" ") if token and token not in PUNCTUATION]
            for line in done.stdout.split("\n")[:-1:2]]
    assert len(kept) == len(lines), "the tokeniser broke a line in two"
    return kept


if __name__ == "__main__":
    lines = list(sentences(2000))
    FILE.parent.mkdir(exist_ok=True)
    pairs = zip(lines, by_jar(lines), strict=True)
    text = ",\n".join(json.dumps(pair, ensure_ascii=False) for pair in pairs)
    FILE.write_text(f"[\n{text}\n]\n", encoding="utf-8")
