"""The rows of the benchmark on pictures: how fast they become features, what it costs in CIDEr.

    Setup --encode, load, regions, fidelity--> {"encode_lite0_ratio": Figure, ...}
"""

import copy
import importlib.util
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from PIL import Image

from caption import SHIPPED
from captioning.checkpoint import load_captioner
from captioning.evaluation import score, tokenized_references
from coco.dataset import read_split
from encoders.backbones import Backbone, transform_of
from encoders.encoding import BATCH_SIZE, WORTH, compiled, fast, in_order, single_threads
from encoders.encoding import encode as encode_images
from encoders.features import cached_features
from encoders.features import load as read_picture
from encoders.regions import MOST, RegionBackbone, padded, pool, whole_first
from experiments.bench import reference
from experiments.bench.tools import (
    Figure,
    Unmeasured,
    alternate,
    best_rates,
    cosine,
    picture_flops,
    quiet,
    ratios,
    require,
    timed,
)
from system.processor import precision_of

SAME_REGION = 1e-4          # difference of numbers that are of size 1
SAME_PICTURE = 0.99         # cosine between features of one picture, at least
LOADED = 300                # times a photograph is read in a round: a second or so
FIRST = 8                   # pictures that show what a first call takes more than a second one


def encode(setup):
    """Encode JPEG files to cached grid features: pictures per second of two encoders."""
    lite, lite_rate, lite_share, lite_warmup = encode_by(setup, "efficientnet_lite0", "pretrained")
    resnet, resnet_rate, resnet_share, resnet_warmup = encode_by(setup, "resnet50", None)
    return {"encode_lite0_ratio": lite, "encode_resnet50_ratio": resnet,
            "encode_lite0_rate": lite_rate, "encode_resnet50_rate": resnet_rate,
            "encode_share": lite_share, "encode_resnet50_share": resnet_share,
            "encode_warmup_s": lite_warmup, "encode_resnet50_warmup_s": resnet_warmup,
            **(compiling(setup) if importlib.util.find_spec("openvino") else {})}


def encode_by(setup, name, weights):
    """Measure ratio to the reference, rate, share of the limit, and seconds of warming up."""
    torch.manual_seed(0)                    # ResNet-50's weights are random: nothing is downloaded
    backbone, transform = Backbone(name, weights, grid=True), transform_of(name)
    network, usual = reference.plain_network(backbone), reference.usual_transform(transform)
    (few, many), split = setup.sizes.encoded, read_split(setup.data, "train")
    files = [picture.file for picture in split.pictures[:few]]
    cache, theirs = setup.folder / "features", setup.folder / "theirs.npy"

    def ours(count=many):
        shutil.rmtree(cache, ignore_errors=True)
        with quiet():
            return cached_features(backbone, transform, split.first(count), cache=cache)[0]

    first, next_one = timed(ours, BATCH_SIZE)[1], timed(ours, BATCH_SIZE)[1]
    reference.encode(network, usual, files, theirs)
    alike = cosine(np.load(theirs).mean(1), ours(few).mean(1))
    require(alike >= SAME_PICTURE, f"the features of {name} (cosine {alike:.4f})")
    slow, fast, limits = alternate(
        setup.sizes,
        lambda: len(files) / timed(reference.encode, network, usual, files, theirs)[1],
        lambda: min(many, len(split.pictures)) / timed(ours)[1], setup.limit)
    flops, sample = picture_flops(network, transform.size), f"{few} and {many} pictures a round"
    rates = best_rates(slow, fast, "pictures/s", sample)
    return (Figure.of(ratios(fast, slow), "x", f"{rates}, cosine {alike:.4f}"),
            Figure.of(fast, "pictures/s", sample),
            Figure.of([flops * one for one in ratios(fast, limits)], "of limit",
                      f"{flops / 1e9:.2f} GFLOP a picture, {sample}"),
            Figure.of([max(0.0, first - next_one)], "s", f"the first {BATCH_SIZE} pictures, less "
                      "what the next take"))


def compiling(setup):
    """Measure stages that OpenVINO compiled over PyTorch's, on images in memory."""
    plain, side = fast(Backbone("efficientnet_lite0", grid=True)), transform_of(
        "efficientnet_lite0").size
    network, seconds = timed(compiled, copy.deepcopy(plain), side, WORTH)
    batches = torch.rand(setup.sizes.encoded[1], 3, side, side).split(BATCH_SIZE)

    def by(one):
        return np.concatenate(list(in_order(partial(encode_images, one), batches)))

    alike = cosine(by(plain).mean(1), by(network).mean(1))
    require(alike >= SAME_PICTURE, f"the features of compiled stages (cosine {alike:.4f})")
    slow, quick = alternate(setup.sizes, *(
        lambda one=one: sum(map(len, batches)) / timed(by, one)[1] for one in (plain, network)))
    sample = f"{sum(map(len, batches))} images in memory a round"
    return {"encode_compiled_ratio": Figure.of(ratios(quick, slow), "x", best_rates(
                slow, quick, "pictures/s", sample) + f", cosine {alike:.4f}"),
            "encode_compile_s": Figure.of([seconds], "s", "once for a pass")}


def load(setup):
    """Read photographs of COCO's size as a network's input: pictures per second of one core."""
    file, transform = setup.folder / "large.jpg", transform_of("efficientnet_lite0")
    picture = read_split(setup.data, "train").pictures[0]
    with Image.open(picture.file) as small:
        small.convert("RGB").resize((640, 480), Image.Resampling.BICUBIC).save(file, quality=95)
    large = replace(picture, file=file)

    def rate():
        return LOADED / timed(lambda: [read_picture(large, transform) for _ in range(LOADED)])[1]

    with single_threads():
        torch.set_num_threads(1)
        rates, = alternate(setup.sizes, rate)
    return {"load_rate": Figure.of(rates, "pictures/s", "a JPEG of 640 x 480, "
                                   f"{file.stat().st_size / 1000:.0f} kB, by one thread")}


def regions(setup):
    """Pool the features of 36 boxes a picture: pictures per second, as in encoding and one by one.

    Ours are batches, each on a core of its own. The reference takes one picture at a time and gives
    `roi_align` all of its boxes at once. The maps are there already, and boxes are random.
    """
    torch.manual_seed(0)
    backbone = RegionBackbone("efficientnet_lite0", "pretrained",
                              {"boxes": "truth", "names": [], "most": MOST})
    images = torch.rand(setup.sizes.pooled, 3, backbone.side, backbone.side)
    maps = [torch.cat(one) for one in zip(*map(backbone.maps, images.split(BATCH_SIZE)),
                                          strict=True)]
    corners = torch.rand(len(images), 2, MOST, 2).sort(dim=1).values      # left, top; right, bottom
    boxes = whole_first(padded(list(torch.cat([*corners.unbind(1)], dim=2)), MOST))[..., :4]

    def batch(part):
        some, *each = part
        return torch.cat([pool(one, some) for one in each], dim=2)

    def ours():
        parts = zip(*(one.split(BATCH_SIZE) for one in (boxes, *maps)), strict=True)
        return torch.cat(list(in_order(batch, parts)))

    def theirs():
        return reference.pooled(maps, boxes)

    require((ours() - theirs()).abs().max() <= SAME_REGION, "the features of regions")
    slow, quick = alternate(setup.sizes, lambda: len(images) / timed(theirs)[1],
                            lambda: len(images) / timed(ours)[1])
    sample = f"{len(images)} pictures in memory a round, batches of {BATCH_SIZE}"
    return {"regions_ratio": Figure.of(ratios(quick, slow), "x",
                                       best_rates(slow, quick, "pictures/s", sample)),
            "regions_rate": Figure.of(quick, "pictures/s", sample)}


def fidelity(setup):
    """Compare CIDEr on val of the shipped captioner, pictures encoded fast and in float32."""
    if precision_of("cpu") == torch.float32:
        raise Unmeasured("this processor encodes in float32 only, so there is no other CIDEr")
    captioner, split = load_captioner(SHIPPED), read_split(setup.data, "val")
    split = split.first(setup.sizes.judged)
    references = tokenized_references(split)
    images = [read_picture(picture, captioner.transform) for picture in split.pictures]

    def cider(precision):
        network = fast(captioner.encoder.backbone, precision)
        features = np.concatenate([encode_images(network, torch.stack(images[first:first + 64]))
                                   for first in range(0, len(images), 64)])
        sentences = [found[0] for found in captioner.sentences(features)]
        return score(sentences, references)[0]["CIDEr"]

    return {"encode_cider_change": Figure.of([cider(None) - cider(torch.float32)], "CIDEr",
                                             f"{len(images)} pictures, beam 3")}
