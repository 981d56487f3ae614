"""The classifier's words are further cells, and sentences without pictures teach through them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from captioning.card import commands
from captioning.checkpoint import load_captioner, save_captioner
from captioning.pointing import caption_with_weights
from coco.dataset import Picture, Split, read_split
from concepts import card  # noqa: F401  which knows the task's settings
from concepts.noise import Errors
from concepts.nouns import named
from concepts.settings import RECIPES, ConceptSettings
from concepts.task import Conceptual
from concepts.text import Text
from decoders.base import grid_boxes
from decoders.registry import NAMES, build_decoder, wants_grid
from encoders import backbones
from encoders.concept_cells import ConceptBackbone, ConceptEmbedding, ConceptEncoder
from encoders.concepts import WORDS, Classifier, concept_matrix, concepts
from system.files import BadInput, write_json
from training.loop import train
from vocabulary import Vocabulary

GRIDS = sorted(name for name in NAMES if wants_grid(name))
VOCAB = Vocabulary(words=["dog", "cat", "pizza", "a", "runs"])
SAYS = ("dog", "pizza", "zebra", "cat")
SIZE, CELLS, MOST = 16, 9, 3
TEXT = ["A zebra eats pizza.", "Two dogs sleep.", "Some zebras run to a pizza.", "Nobody is there."]


def pair(name, seed=0):
    """An embedding of SAYS and a decoder of the same words, in eval mode."""
    torch.manual_seed(seed)
    decoder = build_decoder(name, len(VOCAB), embed_size=SIZE, hidden_size=SIZE).eval()
    embed = ConceptEmbedding(10, SIZE, SAYS, MOST, 0.05).eval()
    embed.share(decoder.words, VOCAB)
    return embed, decoder


def rows(*probabilities):
    """Rows (B, L + 1, 10) of random cells and these probabilities of SAYS."""
    found = torch.randn(len(probabilities), CELLS + 1, 10)
    found[:, -1] = 0
    for row, given in zip(found, probabilities, strict=True):
        row[-1, :len(given)] = torch.tensor(given)
    return found


@pytest.fixture
def captions():
    return torch.tensor([[0, 3, 4, 7, 1], [0, 6, 5, 2, 1]])


@pytest.mark.parametrize("name", GRIDS)
def test_without_words_a_decoder_is_the_plain_one(name, captions):
    embed, decoder = pair(name)
    given = rows([0.04, 0, 0.9], [0, 0.01])         # a zebra, which is not in the vocabulary
    torch.testing.assert_close(decoder(embed(given), captions),
                               decoder(embed.cell(given[:, :-1]), captions))


@pytest.mark.parametrize("name", GRIDS)
def test_words_are_read_and_a_step_gives_what_the_whole_gives(name, captions):
    embed, decoder = pair(name)
    given = rows([0.9, 0.3], [0.2, 0, 0, 0.7])
    features = embed(given)
    scores, state = decoder(features, captions), decoder.begin(features)
    for place in range(1, captions.shape[1]):
        stepped, state = decoder.step(captions[:, place - 1], state)
        torch.testing.assert_close(stepped, scores[:, place], rtol=0, atol=1e-5)
    given[:, -1] = 0
    assert not torch.allclose(decoder(embed(given), captions), scores, atol=1e-4)


@pytest.mark.parametrize("name", GRIDS)
def test_a_picture_is_described_alike_whatever_stands_beside_it(name, captions):
    embed, decoder = pair(name)
    given = rows([0.9, 0.3], [0, 0, 0, 0.7])
    both = decoder(embed(given), captions)
    for one in range(2):
        torch.testing.assert_close(decoder(embed(given[one:one + 1]), captions[one:one + 1])[0],
                                   both[one], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", GRIDS)
def test_a_sentence_without_a_picture_sees_no_cell(name, captions):
    embed, decoder = pair(name)
    words = torch.tensor([[0.9, 0.3, 0, 0], [0, 0, 0, 0]])          # of the second nothing at all
    features = embed.without_picture(words, CELLS)
    assert features.shape == (2, CELLS + MOST + 1, SIZE + 1)
    assert features[:, :, -1].tolist() == [[0] * CELLS + [1, 1, 0, 0], [0] * (CELLS + 3) + [1]]
    scores, weights = decoder(features, captions), decoder.attended(features, captions)[1]
    assert scores.isfinite().all() and (weights[:, :, :CELLS] == 0).all()
    other = features.clone()
    other[:, :CELLS, :SIZE] = torch.randn(2, CELLS, SIZE)
    torch.testing.assert_close(decoder(other, captions), scores)


def test_the_likeliest_known_words_are_there_with_the_decoders_vectors():
    embed, decoder = pair("adaptive")
    found = embed(rows([0.1, 0.6, 0.99, 0.03]))[0, CELLS:]
    assert found[:, -1].tolist() == [1, 1, 0, 0]                    # pizza and dog
    with torch.no_grad():
        decoder.words.weight[VOCAB("pizza")] += 1
    again = embed(rows([0.1, 0.6, 0.99, 0.03]))[0, CELLS:]
    assert not torch.allclose(again[0], found[0]) and torch.equal(again[1], found[1])
    assert not any("words" in name for name, _ in embed.named_parameters())
    embed.certainty.data.fill_(1)
    surer = embed(rows([0.2, 0.6]))[0, CELLS:] - embed(rows([0.1, 0.6]))[0, CELLS:]
    torch.testing.assert_close(surer[1, :SIZE], torch.full((SIZE,), 2.0).log())
    assert (surer[0] == 0).all()


def test_a_word_of_many_categories_is_less_certain():
    embed, _ = pair("soft")
    embed.chance.copy_(torch.tensor([0.2, 0, 0, 0.01]))
    found = embed.certainties(torch.tensor([0.6, 0.6, 0.1, 0.001]))
    torch.testing.assert_close(found, torch.tensor([0.5, 0.6, 0.1, 0]))
    assert embed(rows([0.22, 0.1]))[0, CELLS:, -1].tolist() == [1, 0, 0, 0]     # no dog
    assert embed.without_picture(torch.tensor([[0.22, 0.1, 0, 0]]), CELLS)[0, CELLS:, -1].sum() == 2


def test_words_are_left_out_in_training_only():
    embed, _ = pair("soft")
    embed.dropout = 0.4
    given = rows([0.5, 0.4]).expand(4000, -1, -1)
    embed.train()
    there = embed(given)[:, CELLS:CELLS + 2, -1]
    assert there.mean().item() == pytest.approx(0.6 * 0.9, abs=0.03)
    assert (there.sum(1) == 0).float().mean().item() == pytest.approx(0.1 + 0.9 * 0.16, abs=0.03)
    embed.eval()
    assert embed(given)[:, CELLS:CELLS + 2, -1].all()


def test_the_backbone_gives_cells_and_the_words_of_the_published_network():
    images = torch.randn(2, 3, 96, 96)
    ours = ConceptBackbone("efficientnet_lite0", "pretrained", None, WORDS)
    found = ours(images)
    expected = concepts(Classifier()(images), concept_matrix())
    torch.testing.assert_close(found[:, -1, :len(WORDS)], expected, rtol=0.01, atol=1e-4)
    assert (found[:, -1, len(WORDS):] == 0).all() and ours.frozen
    encoder = ConceptEncoder(8, "efficientnet_lite0", "pretrained", None, WORDS, 5, 0.05, None)
    assert encoder.embed.chance[WORDS.index("dog")].item() == pytest.approx(0.121)
    plain = backbones.Backbone("efficientnet_lite0", grid=True)
    assert torch.equal(found[:, :-1], plain(images))
    tuned = ConceptBackbone("efficientnet_lite0", "pretrained", 8, WORDS, apart=8)
    with torch.no_grad():
        for one in tuned.stages[8:].parameters():
            one.mul_(0.5)
    again = tuned(images)
    torch.testing.assert_close(again[:, -1], found[:, -1])
    assert not torch.allclose(again[:, :-1], found[:, :-1])
    again.sum().backward()
    assert all(one.grad is None for part in (tuned.published, tuned.linear, tuned.stages[:8])
               for one in part.parameters())
    with pytest.raises(BadInput, match="published weights"):
        ConceptBackbone("efficientnet_lite0", None, 7, WORDS, apart=8)
    with pytest.raises(BadInput, match="no classifier of one layer"):
        ConceptBackbone("vgg16", None, None, WORDS)


def errors(said, seen, most=MOST):
    """`Errors` of sentences, each of a picture of its own."""
    return Errors(named(said, SAYS), np.arange(len(said)), np.array(seen), most, 0.05)


def test_a_sentence_has_the_errors_of_one_that_shares_a_word():
    random = np.random.default_rng(0)
    dog = errors(["A dog.", "A cat."], [[0.6, 0, 0.3, 0.01], [0.2, 0, 0, 0]])
    assert dog.draw([0], random) == {0: 0.6, 2: 0.3}        # right, and mistaken for a zebra too
    assert dog.draw([3], random) == {0: 0.2}                # the cat is missed
    # the pizza is named by nobody: seen as rightly as the dog is
    assert dog.draw([1], random) == {1: 0.6, 2: 0.3}
    both = {frozenset(dog.draw([0, 1], random).items()) for _ in range(20)}
    assert both == {frozenset({(0, 0.6), (2, 0.3)})}
    two = errors(["A dog and a cat."], [[0.6, 0, 0, 0.3]])
    assert two.draw([0, 1], random) == {0: 0.6, 1: 0.3}     # of the cat becomes a pizza
    assert two.draw([0], random) == {0: 0.6}                # no word is left for it
    silent = errors(["Nobody.", "A dog."], [[0.1, 0, 0, 0], [0.9, 0, 0, 0]])
    assert silent.draw([], random) == {0: 0.1}
    assert errors(["A dog."], [[0, 0.9, 0, 0]]).draw([2], random) == {}     # nothing is right


def test_sentences_of_like_length_are_drawn_with_their_words():
    split = Split("text", tuple(Picture(number, None, (one,)) for number, one in enumerate(TEXT)))
    vocab = Vocabulary.build([one.lower().replace(".", " .").split() for one in TEXT], 1)
    pairs = errors(["A pizza."] * 50, [[0, sure / 100, 0, 0] for sure in range(50, 100)])
    text = Text(split, vocab, SAYS, pairs, 20)

    def drawn(seed):
        torch.manual_seed(seed)
        return text.draw(10)

    captions, lengths, probabilities = drawn(1)
    assert lengths.tolist() == sorted(lengths.tolist()) and captions.shape[1] == lengths.max() == 9
    assert {vocab.decode(one.tolist()): row.nonzero().flatten().tolist()
            for one, row in zip(captions, probabilities, strict=True)} == {
        "a zebra eats pizza.": [1], "two dogs sleep.": [0], "some zebras run to a pizza.": [1],
        "nobody is there.": []}
    # by the generator whose state a run keeps
    assert torch.equal(drawn(1)[2], probabilities) and not torch.equal(drawn(2)[2], probabilities)


@pytest.fixture(scope="module")
def root(write_root, tmp_path_factory):
    return write_root(tmp_path_factory.mktemp("concepts") / "root", {"train": 6, "val": 3})


@pytest.fixture
def settings(root, tmp_path):
    file = tmp_path / "text.json"
    write_json(file, {"images": [{"id": n, "file_name": f"{n}.jpg"} for n in range(len(TEXT))],
                      "annotations": [{"image_id": n, "caption": one}
                                      for n, one in enumerate(TEXT)]})
    return ConceptSettings(str(root), **{
        **RECIPES["concepts"], "encoder": "efficientnet_lite0", "embed_size": 8, "hidden_size": 8,
        "views": 1, "epochs": 2, "vocab_threshold": 1, "text": str(file), "least": 0.01})


def test_a_captioner_trains_goes_on_and_is_one_file(settings, root, tmp_path, no_curves,
                                                    monkeypatch):
    train(Conceptual(settings), tmp_path / "run")
    assert "zebra" in load_captioner(tmp_path / "run").vocab        # which only the text says
    assert "--recipe concepts" in commands(tmp_path / "run")[0]
    whole = load_captioner(tmp_path / "run").tensors()
    calls = []                                      # stopped in the second epoch, and gone on with

    class Stopping(Conceptual):
        def batches(self, epoch, start):
            for batch in super().batches(epoch, start):
                calls.append(1)
                if len(calls) == 2:
                    raise KeyboardInterrupt
                yield batch

    with pytest.raises(KeyboardInterrupt):
        train(Stopping(settings), tmp_path / "other")
    train(Conceptual(settings), tmp_path / "other")
    again = load_captioner(tmp_path / "other").tensors()
    assert all(torch.equal(whole[name], again[name]) for name in whole)

    monkeypatch.setattr(backbones, "lite_file", None)               # nothing else is read
    monkeypatch.setattr("encoders.concept_cells.concept_matrix", None)
    found = load_captioner(tmp_path / "run")
    split = read_split(root, "val")
    pictures = [one.open() for one in split.pictures]
    assert found.encode(pictures).shape == (3, 50, 1280)
    assert found.describe(pictures) == [found.describe([one])[0] for one in pictures]
    captions, weights = caption_with_weights(found, found.encode(pictures))
    assert weights.shape == (*captions.shape, 49)


def test_tuning_goes_on_from_a_frozen_run_and_keeps_the_published_stages(settings, tmp_path,
                                                                         no_curves):
    train(Conceptual(replace(settings, epochs=1)), tmp_path / "frozen")
    on = replace(settings, start=str(tmp_path / "frozen"), tune_from=8, encoder_rate=0.01, epochs=1)
    train(Conceptual(on), tmp_path / "tuned")
    before, after = (load_captioner(tmp_path / one) for one in ("frozen", "tuned"))
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(after.encoder.backbone(images)[:, -1],
                               before.encoder.backbone(images)[:, -1], rtol=1e-3, atol=1e-5)
    assert not torch.equal(after.encoder.backbone(images)[:, :-1],
                           before.encoder.backbone(images)[:, :-1])
    critical = replace(on, start=str(tmp_path / "tuned"), samples=2, one_per_picture=True,
                       captions_per_picture=0, text=None)
    train(Conceptual(critical), tmp_path / "critical")
    assert len(load_captioner(tmp_path / "critical").vocab) == len(after.vocab)


def test_the_texts_words_count_in_the_objective_and_not_in_the_loss(settings):
    task = Conceptual(replace(settings, dropout=0.0, concept_dropout=0.0))
    task.read()
    task.prepare("cpu")
    batch, objective = next(iter(task.batches(0, 0))), task.objective.train()

    def found(text, weight):
        objective.text, objective.weight = text, weight
        torch.manual_seed(3)
        return [one.item() for one in objective(batch)]

    text = objective.text
    (none, *loss), (one, *same), (two, *again) = (found(None, 1), found(text, 1), found(text, 2))
    assert loss == same == again
    # a word of either costs about as much at the start
    assert two - one == pytest.approx(one - none) == pytest.approx(none, rel=0.1)
    objective.eval()
    assert found(text, 1)[0] == pytest.approx(found(None, 1)[0])


@pytest.mark.parametrize("change", [{"most": -1}, {"least": 0}, {"apart": "x"}, {"words": [1]},
                                    {"words": ["x"] * 600}, {"more": 1}, {"most": 300}])
def test_a_header_with_absurd_concepts_is_refused(change, settings, tmp_path):
    task = Conceptual(replace(settings, text=None))
    task.read()
    task.prepare("cpu")
    task.captioner.architecture["encoder"]["concepts"] |= change
    save_captioner(tmp_path / "one.safetensors", task.captioner)
    with pytest.raises(BadInput, match="is no captioner that this program can use"):
        load_captioner(tmp_path / "one.safetensors")


@pytest.mark.parametrize("change, words", [
    ({"decoder": "lstm_every"}, "give a decoder that attends"), ({"encoder": "vgg16"}, "one layer"),
    ({"decoder": "objects", "concepts": 14}, "objects takes at most 13 concepts"),
    ({"least": 0.0}, "least must be"), ({"concepts": -1}, "not be negative"),
    ({"samples": 5, "one_per_picture": True}, "text is for cross-entropy"),
    ({"text_weight": 0.0}, "text_weight")])
def test_settings_that_make_no_sense_are_refused(change, words, settings):
    with pytest.raises(BadInput, match=words):
        replace(settings, **change)


@pytest.mark.parametrize("side", [7, 8])
def test_as_many_concepts_as_are_allowed_leave_the_grid_s_boxes_as_they_are(side, settings):
    most = replace(settings, decoder="objects", concepts=13).concepts
    decoder = build_decoder("objects", len(VOCAB), embed_size=SIZE, hidden_size=SIZE)
    boxes, = decoder.boxes(torch.zeros(1, side**2 + most + 1, SIZE + 1))
    assert torch.equal(boxes[:side**2], grid_boxes(side**2))
    assert torch.equal(boxes[side**2:], torch.tensor([[0.0, 0, 1, 1]]).expand(most + 1, 4))


def test_a_start_without_concepts_and_a_text_that_is_not_there_are_refused(settings, tmp_path):
    with pytest.raises(BadInput, match="nowhere.json"):
        Conceptual(replace(settings, text=str(tmp_path / "nowhere.json"))).read()
    task = Conceptual(replace(settings, start="checkpoints/captioner.safetensors"))
    task.read()
    with pytest.raises(BadInput, match="without concepts"):
        task.prepare("cpu")
