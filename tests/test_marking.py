"""Words are marked where they claim something, and the sentence stays as it was."""

import pytest

from figures.marking import marked
from tests.test_claims import BEACH, MEADOW, SNOW

# +true+ and -false-
SENTENCES = {
    "A +red car+ is -right of- the +tree+.": MEADOW,
    "The +car+ is -blue-!": MEADOW,
    "the +red car+ is +on the left+ and the +tree+ is -yellow-.": MEADOW,
    "a -house- and a +small green tree+": MEADOW,
    "There\u2019s a +yellow star above+ a +tree+.": MEADOW,
    "a +red car+ at -night-": MEADOW,
    "a +car+ in a +grassy field+": MEADOW,
    "-three- +blue balls+ and a -cat-": BEACH,
    "+three balls+: +two+ are +blue+": BEACH,
    "a +red ball+ and +a blue one+": BEACH,
    "-Four- +balloons+": SNOW,
    "a +cat+ in the +snow+, -floating-": SNOW,
    "-several- +small cats+": SNOW,
    "a zebra": SNOW,
}


@pytest.mark.parametrize("expected", SENTENCES)
def test_the_words_of_each_claim_are_marked(expected):
    graph = SENTENCES[expected]
    sentence = expected.replace("+", "").replace("-", "")
    signs = {True: "+", False: "-", None: ""}
    assert "".join(f"{signs[true]}{text}{signs[true]}"
                   for text, true in marked(sentence, graph)) == expected
