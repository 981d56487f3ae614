"""The calls of the well-known four-notebook captioning coursework, on our modules unchanged.

Each test follows one notebook: 1_Preliminaries, 2_Training, 3_Inference. Only the places of files
and the sizes are smaller.
"""

import math
import os
import pickle
from collections import Counter
from urllib.error import URLError

import nltk
import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.utils import data
from torchvision import transforms

from data_loader import CoCoDataset, get_loader
from model import DecoderRNN, EncoderCNN
from system import download
from system.files import BadInput, write_json
from vocabulary import Vocabulary

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 50), "blue": (30, 50, 200),
           "grey": (128, 128, 128), "black": (10, 10, 10), "white": (245, 245, 245)}
WORDINGS = ("A {} bus.", "A {} bus parked here.", "Two dogs on a {} sofa.", "It runs, {}.",
            "Nobody sits on the {} sofa.")
NORMALIZE = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
TRANSFORM = transforms.Compose([
    transforms.Resize(256), transforms.RandomCrop(224), transforms.RandomHorizontalFlip(),
    transforms.ToTensor(), NORMALIZE])
TINY = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor(), NORMALIZE])


@pytest.fixture(scope="module")
def opt(tmp_path_factory):
    """What the coursework finds under /opt: six pictures of COCO 2014 for train, two for test."""
    opt = tmp_path_factory.mktemp("opt")
    images, annotations = {"train2014": [], "test2014": []}, []
    for number, (colour, rgb) in enumerate([*COLOURS.items(), *list(COLOURS.items())[:2]]):
        split = "train2014" if number < len(COLOURS) else "test2014"
        folder = opt / "cocoapi" / "images" / split
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (300, 260), rgb).save(folder / f"{number}.jpg")
        images[split].append({"id": number, "file_name": f"{number}.jpg"})
        if split == "train2014":
            annotations += [{"id": 10 * number + k, "image_id": number,
                             "caption": wording.format(colour)}
                            for k, wording in enumerate(WORDINGS)]
    folder = opt / "cocoapi" / "annotations"
    write_json(folder / "captions_train2014.json", {"images": images["train2014"],
                                                    "annotations": annotations})
    write_json(folder / "image_info_test2014.json", {"images": images["test2014"]})
    return str(opt)


@pytest.fixture(autouse=True)
def where_the_notebooks_lie(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)             # so that vocab.pkl and models/ go there


@pytest.fixture
def loader(opt):
    return get_loader(transform=TRANSFORM, mode="train", batch_size=5, vocab_threshold=4,
                      vocab_from_file=False, cocoapi_loc=opt)


@pytest.fixture
def tiny_loader(opt):
    return get_loader(transform=TINY, mode="train", batch_size=6, vocab_threshold=1,
                      vocab_from_file=False, cocoapi_loc=opt)


def obtain_batch(loader):
    indices = loader.dataset.get_train_indices()
    new_sampler = data.sampler.SubsetRandomSampler(indices=indices)
    loader.batch_sampler.sampler = new_sampler
    return next(iter(loader))


def clean_sentence(output, vocab):
    """The recipe that most who took the course hand in."""
    words = [vocab.idx2word[index] for index in output]
    return " ".join(words[1:-1])


# 1_Preliminaries: the loader

def test_the_lines_of_the_notebook_turn_a_caption_into_ids(loader):
    vocab = loader.dataset.vocab
    tokens = nltk.tokenize.NLTKWordTokenizer().tokenize("A red bus parked HERE.".lower())
    sample_caption = [vocab(vocab.start_word)]
    sample_caption.extend([vocab(token) for token in tokens])
    sample_caption.append(vocab(vocab.end_word))
    index = [loader.dataset.coco.anns[id]["caption"] for id in loader.dataset.ids].index(
        "A red bus parked here.")
    assert torch.equal(torch.Tensor(sample_caption).long(), loader.dataset[index][1])
    assert sample_caption[0] == 0 and sample_caption[-1] == 1 and 2 not in sample_caption[:1]


def test_the_vocabulary_has_the_coursework_s_attributes(loader):
    vocab = loader.dataset.vocab
    assert isinstance(loader.dataset, CoCoDataset) and isinstance(vocab, Vocabulary)
    first = dict(list(vocab.word2idx.items())[:3])
    assert first == {"<start>": 0, "<end>": 1, "<unk>": 2}
    assert (vocab.start_word, vocab.end_word, vocab.unk_word) == tuple(first)
    assert vocab("jfkafejw") == vocab("ieowoqjf") == vocab(vocab.unk_word) == 2
    assert len(vocab) == len(vocab.word2idx) == len(vocab.idx2word)
    assert all(vocab.idx2word[vocab(word)] == word for word in vocab.word2idx)


def test_a_smaller_threshold_gives_more_words_and_the_file_is_taken_as_it_is(opt):
    common = {"transform": TINY, "mode": "train", "batch_size": 2, "cocoapi_loc": opt}
    few = get_loader(**common, vocab_threshold=7, vocab_from_file=False).dataset.vocab
    more = get_loader(**common, vocab_threshold=5, vocab_from_file=False).dataset.vocab
    assert 3 < len(few) < len(more) and os.path.exists("vocab.pkl")
    again = get_loader(**common, vocab_threshold=7, vocab_from_file=True).dataset.vocab
    assert again.word2idx == more.word2idx
    positional = Vocabulary(5, "./other.pkl", "<start>", "<end>", "<unk>",
                            f"{opt}/cocoapi/annotations/captions_train2014.json", False)
    assert positional.word2idx == more.word2idx


def test_a_pickled_or_absent_vocabulary_is_refused_with_the_remedy(opt):
    with open("vocab.pkl", "wb") as file:
        pickle.dump({"word2idx": {}}, file)
    for mode in ("train", "test"):
        with pytest.raises(BadInput, match="vocab_from_file=False"):
            get_loader(TINY, mode=mode, cocoapi_loc=opt)
    os.remove("vocab.pkl")
    for mode in ("train", "test"):
        with pytest.raises(BadInput, match="vocab_from_file=False makes it"):
            get_loader(TINY, mode=mode, cocoapi_loc=opt)


def test_arguments_the_coursework_forbids_are_refused(opt, loader):
    for wrong in ({"mode": "val"}, {"mode": "test", "batch_size": 2},
                  {"mode": "test", "vocab_from_file": False}):
        with pytest.raises(BadInput, match="mode"):
            get_loader(TRANSFORM, **wrong, cocoapi_loc=opt)


def test_caption_lengths_count_words_and_punctuation(loader):
    assert Counter(loader.dataset.caption_lengths) == {4: 6, 6: 6, 7: 12, 5: 6}
    assert len(loader.dataset) == 30 and loader.batch_sampler.batch_size == 5
    assert math.ceil(len(loader.dataset.caption_lengths) / loader.batch_sampler.batch_size) == 6


def test_a_batch_has_captions_of_one_length_between_start_and_end(loader):
    images, captions = obtain_batch(loader)
    assert images.shape == (5, 3, 224, 224) and images.dtype == torch.float32
    assert captions.shape[0] == 5 and captions.dtype == torch.int64
    assert (captions[:, 0] == 0).all() and (captions[:, -1] == 1).all()
    assert not (captions[:, 1:-1] < 2).any()


def test_indices_are_of_one_length_drawn_as_often_as_it_occurs_and_none_twice(loader):
    dataset, drawn = loader.dataset, Counter()
    np.random.seed(0)
    for _ in range(300):
        indices = dataset.get_train_indices()
        length, = {dataset.caption_lengths[index] for index in indices}
        assert len(set(indices)) == len(indices) == 5
        drawn[length] += 1
    assert 90 < drawn[7] < 150 and all(35 < drawn[length] < 85 for length in (4, 5, 6))
    dataset.batch_size = 8                  # more than the captions of some lengths
    assert {len(dataset.get_train_indices()) for _ in range(20)} == {8}


def test_an_image_comes_with_its_own_caption(tiny_loader):
    seen = set()
    for _ in range(8):
        images, captions = obtain_batch(tiny_loader)
        for image, caption in zip(images, captions, strict=True):
            words = [tiny_loader.dataset.vocab.idx2word[index] for index in caption.tolist()]
            colour, = set(words) & set(COLOURS)
            expected = TINY(Image.new("RGB", (4, 4), COLOURS[colour]))
            torch.testing.assert_close(image, expected, rtol=0, atol=0.1)
            seen.add(colour)
    assert seen == set(COLOURS)


def test_workers_give_the_same_batch(opt, tiny_loader):
    indices = tiny_loader.dataset.get_train_indices()[:1]
    workers = get_loader(TINY, batch_size=6, num_workers=1, cocoapi_loc=opt)
    batches = []
    for loader in (tiny_loader, workers):
        loader.batch_sampler.sampler = data.sampler.SubsetRandomSampler(indices=indices)
        batches.append(next(iter(loader)))
    assert all(torch.equal(*pair) for pair in zip(*batches, strict=True))


# 1_Preliminaries: encoder and decoder

def test_the_encoder_alone_is_resnet_50_and_satisfies_the_notebook_s_asserts(
        monkeypatch, tmp_path):
    torch.manual_seed(0)
    published = tmp_path / "resnet50.pth"
    torch.save(torchvision.models.resnet50(weights=None).state_dict(), published)
    monkeypatch.setattr("encoders.backbones.fetch_weights", lambda *_: published)
    embed_size = 256
    encoder = EncoderCNN(embed_size)
    features = encoder(torch.rand(2, 3, 224, 224))
    assert type(features) == torch.Tensor                                       # noqa: E721
    assert (features.shape[0] == 2) & (features.shape[1] == embed_size)
    assert isinstance(encoder.embed, nn.Linear) and encoder.embed.in_features == 2048
    assert all(p.requires_grad for p in encoder.embed.parameters())


def test_the_encoder_without_network_names_the_way_out_in_one_sentence(
        monkeypatch, tmp_path):
    def no_network(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr(download, "urlopen", no_network)
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torchvision.models, "resnet50", lambda weights: nn.Identity())
    with pytest.raises(BadInput) as refusal:
        EncoderCNN(256)
    assert 'EncoderCNN(embed_size, backbone="efficientnet_lite0")' in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_the_decoder_satisfies_the_notebook_s_asserts(tiny_loader, num_layers):
    images, captions = obtain_batch(tiny_loader)
    embed_size, hidden_size, vocab_size = 256, 512, len(tiny_loader.dataset.vocab)
    features = torch.randn(6, embed_size)
    decoder = DecoderRNN(embed_size, hidden_size, vocab_size, num_layers=num_layers)
    outputs = decoder(features, captions)
    assert type(outputs) == torch.Tensor                                        # noqa: E721
    assert outputs.shape == (6, captions.shape[1], vocab_size) and outputs.is_contiguous()


# 2_Training and 3_Inference

def train(encoder, decoder, optimizer, batches):
    """The body of the notebook's loop, over given batches: the losses."""
    criterion, losses = nn.CrossEntropyLoss(), []
    for images, captions in batches:
        decoder.zero_grad()
        encoder.zero_grad()
        features = encoder(images)
        outputs = decoder(features, captions)
        loss = criterion(outputs.view(-1, outputs.shape[2]), captions.view(-1))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def build(vocab_size, **backbone):
    torch.manual_seed(0)
    embed_size, hidden_size = 64, 128
    encoder = EncoderCNN(embed_size, **backbone)
    decoder = DecoderRNN(embed_size, hidden_size, vocab_size)
    params = list(decoder.parameters()) + list(encoder.embed.parameters())
    return encoder, decoder, torch.optim.Adam(params, lr=0.01)


def test_the_notebooks_run_in_a_row_and_the_loss_falls(opt, loader):
    np.random.seed(0)
    vocab_size = len(loader.dataset.vocab)
    encoder, decoder, optimizer = build(vocab_size, backbone="resnet18", weights=None)
    total_step = 9
    losses = train(encoder, decoder, optimizer, (obtain_batch(loader) for _ in range(total_step)))
    assert losses[0] > 0.8 * math.log(vocab_size)
    assert np.median(losses[-5:]) < 0.6 * losses[0]     # a length met for the first time costs more
    os.mkdir("models")
    torch.save(decoder.state_dict(), os.path.join("./models", "decoder-1.pkl"))
    torch.save(encoder.state_dict(), os.path.join("./models", "encoder-1.pkl"))

    data_loader = get_loader(transform=TRANSFORM, mode="test", cocoapi_loc=opt)
    assert len(data_loader.dataset) == 2 and data_loader.batch_size == 1
    orig_image, image = next(iter(data_loader))
    assert np.squeeze(orig_image).shape == (260, 300, 3) and orig_image.dtype == torch.uint8
    assert image.shape == (1, 3, 224, 224)
    torch.manual_seed(1)
    encoder = EncoderCNN(64, backbone="resnet18", weights=None)
    decoder = DecoderRNN(64, 128, len(data_loader.dataset.vocab))
    encoder.eval()
    decoder.eval()
    encoder.load_state_dict(torch.load(os.path.join("./models", "encoder-1.pkl")))
    decoder.load_state_dict(torch.load(os.path.join("./models", "decoder-1.pkl")))
    features = encoder(image).unsqueeze(1)
    output = decoder.sample(features)
    assert type(output) == list                                                 # noqa: E721
    assert np.all([type(x) == int for x in output])                             # noqa: E721
    assert np.all([x in data_loader.dataset.vocab.idx2word for x in output])
    assert output[0] == 0 and output[-1] == 1 and 1 not in output[:-1]
    assert isinstance(clean_sentence(output, data_loader.dataset.vocab), str)


def test_a_batch_learned_by_heart_comes_back_word_for_word(tiny_loader):
    np.random.seed(1)
    vocab = tiny_loader.dataset.vocab
    encoder, decoder, optimizer = build(len(vocab), backbone="efficientnet_lite0")
    images, captions = obtain_batch(tiny_loader)
    assert len({tuple(caption) for caption in captions.tolist()}) == 6
    losses = train(encoder, decoder, optimizer, [(images, captions)] * 80)
    assert losses[-1] < 0.05
    encoder.eval()
    decoder.eval()
    for image, caption in zip(images, captions.tolist(), strict=True):
        features = encoder(image.unsqueeze(0)).unsqueeze(1)                     # (1, 1, E)
        assert features.shape == (1, 1, 64)
        output = decoder.sample(features)
        assert output == caption == decoder.sample(features, states=None, max_len=20)
        assert clean_sentence(output, vocab) == " ".join(
            vocab.idx2word[index] for index in caption if index > 1)


@pytest.mark.parametrize("max_len", [3, 4, 20])
def test_a_caption_runs_from_start_to_end_and_is_the_same_every_time(max_len):
    torch.manual_seed(0)
    decoder = DecoderRNN(16, 16, 50, num_layers=2, dropout=0.5).train()
    with torch.no_grad():
        decoder.scores.bias[1] = -100                       # it never wants to end
    features = torch.randn(1, 1, 16)
    first, *others = [decoder.sample(features, max_len=max_len) for _ in range(4)]
    assert all(caption == first for caption in others) and decoder.training
    assert len(first) == max_len and first[0] == 0 and first[-1] == 1
    assert all(type(word) is int and 2 < word < 50 for word in first[1:-1])
