"""How captions read, whatever they say: how many words are used, how long they are, how they end.

    sentences --prose--> {"vocabulary": ..., "mean_length": ..., "bad_endings": ...}
"""

from scoring import ptb

# A caption that ends in one of these was most likely broken off: articles, possessives,
# prepositions, conjunctions, relatives and forms of "be". Words that end whole sentences too are
# not listed: her, up, down, off, out, by, around, behind. Of people's own sentences in Flickr8k, 7
# of 1,000 end so, most of them in "on": "a dog looks on".
BAD_ENDINGS = {
    "a", "an", "the", "his", "its", "their", "my", "your", "that",
    "in", "on", "at", "to", "of", "with", "from", "into", "onto", "for", "near", "over", "under",
    "between", "through", "against", "beside", "and", "or", "but", "while", "as", "who", "which",
    "whose", "is", "are", "was", "were"}


def prose(sentences):
    """Return the number of different words, the mean length, and the fraction of bad endings."""
    tokens = [ptb.tokenize(sentence) for sentence in sentences]
    # an empty caption was broken off too
    bad = [not words or words[-1] in BAD_ENDINGS for words in tokens]
    return {"vocabulary": len({word for words in tokens for word in words}),
            "mean_length": sum(map(len, tokens)) / len(tokens),
            "bad_endings": sum(bad) / len(bad)}
