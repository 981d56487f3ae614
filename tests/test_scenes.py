"""Test the drawn world: one seed gives the same pictures, and the files say what they show."""

import json
import random
import re
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools.coco import COCO

import prepare
from scenes import dataset as scenes
from scenes import world
from scenes.dataset import HELD_OUT, SEEN, draw
from scenes.drawing import COLOURS, PAINTERS
from scenes.lexicon import SHAPES
from scenes.scenery import BACKDROPS, SIDE
from scenes.words import NOUNS, PLACES, plural
from scenes.world import Thing
from system.files import BadInput

SMALL = {"train": 60, "val": 25, "test": 25, "novel": 40}
SPLITS = tuple(SMALL)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("drawn") / "scenes", SMALL, progress=False)


@pytest.fixture(scope="module")
def many():
    """Return [(graph, captions)] of 250 training pictures, which are not written to disk."""
    drawn = (scenes.one_scene(0, "train", number) for number in range(1, 251))
    return [(graph, captions) for _, graph, captions, _ in drawn]


def read(root, kind, split):
    """Return the content of a file of annotations."""
    return json.loads((root / "annotations" / f"{kind}_{split}.json").read_text(encoding="utf-8"))


def contents(root):
    """Return {path: bytes} of every file in a folder."""
    return {path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*")) if path.is_file()}


def quiet_coco(path, capsys):
    """Return pycocotools' COCO of a file without what it prints."""
    coco = COCO(str(path))
    capsys.readouterr()
    return coco


def test_two_draws_are_the_same_to_the_byte(root, tmp_path):
    assert contents(draw(tmp_path / "again", SMALL, progress=False)) == contents(root)


def test_another_seed_gives_other_pictures(root, tmp_path):
    few = {split: 2 for split in SPLITS}
    other = draw(tmp_path / "other", few, seed=1, progress=False)
    pictures = [path for path in contents(other) if path.endswith(".jpg")]
    assert len(pictures) == 8
    assert all((other / path).read_bytes() != (root / path).read_bytes() for path in pictures)


def test_a_shorter_set_is_the_beginning_of_a_longer_one(root, tmp_path):
    few = draw(tmp_path / "few", {split: 2 for split in SPLITS}, progress=False)
    for path in contents(few):
        if path.endswith(".jpg"):
            assert (few / path).read_bytes() == (root / path).read_bytes()


def test_no_global_random_state_is_read_or_moved(root):
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    picture, *_ = scenes.one_scene(0, "train", 1)
    assert np.array_equal(before, np.random.get_state()[1])
    again, *_ = scenes.one_scene(0, "train", 1)
    assert np.array_equal(np.asarray(picture), np.asarray(again))


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_has_its_pictures_and_five_captions_each(root, split):
    content = read(root, "captions", split)
    assert content["info"]["seed"] == 0 and content["info"]["version"] == scenes.VERSION
    assert len(content["images"]) == SMALL[split] == len(list((root / split).iterdir()))
    for image in content["images"]:
        with Image.open(root / split / image["file_name"]) as picture:
            assert picture.size == (SIDE, SIDE) == (image["width"], image["height"])
            assert (picture.format, picture.mode) == ("JPEG", "RGB")
        captions = [a["caption"] for a in content["annotations"] if a["image_id"] == image["id"]]
        assert len(captions) == len(set(captions)) == 5


def test_ids_are_unique_across_the_splits(root):
    for kind in ("captions", "instances"):
        found = [read(root, kind, split) for split in SPLITS]
        images = [image["id"] for content in found for image in content["images"]]
        others = [a["id"] for content in found for a in content["annotations"]]
        assert len(set(images)) == len(images) == sum(SMALL.values())
        assert len(set(others)) == len(others)


def test_the_held_out_wording_is_a_sixth(root):
    for split in SPLITS:
        content, graphs = read(root, "captions", split), read(root, "scene_graphs", split)
        for annotation in content["annotations"]:
            assert annotation["caption"] != graphs[str(annotation["image_id"])]["held_out"]


def test_sentences_are_english_of_5_to_16_words(many):
    for graph, captions in many:
        for sentence in (*captions, graph["held_out"]):
            assert 5 <= len(sentence.split()) <= 16
            assert re.fullmatch(r"[A-Z][a-z, ]*[a-z]\.", sentence), sentence
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", sentence, re.IGNORECASE), sentence


def test_the_vocabulary_has_60_words_or_more(many):
    sentences = chain.from_iterable(captions for _, captions in many)
    assert len({word for text in sentences for word in re.findall("[a-z]+", text.lower())}) >= 60


def test_colours_and_things_of_all_kinds_and_counts_of_1_to_4_occur(many):
    objects = [thing for graph, _ in many for thing in graph["objects"]]
    assert {thing["shape"] for thing in objects} == set(PAINTERS)
    assert {thing["colour"] for thing in objects} == set(COLOURS)
    assert {thing["size"] for thing in objects} == {"small", "large"}
    assert {len(graph["objects"]) for graph, _ in many} == {1, 2, 3, 4}
    assert {graph["background"] for graph, _ in many} == set(BACKDROPS)


def test_drawing_wording_and_lexicon_know_the_same_world():
    assert set(PAINTERS) == set(NOUNS) == set(SHAPES)
    assert set(BACKDROPS) == set(PLACES)


def test_every_shape_holds_out_one_colour_and_trains_with_all_others():
    assert sorted(shape for shape, _ in HELD_OUT) == sorted(PAINTERS)
    assert {colour for _, colour in HELD_OUT} == set(COLOURS)
    assert len(SEEN) == len(PAINTERS) * len(COLOURS) - len(HELD_OUT)


def held_out_words():
    """Return a pattern for "green ball", "green beach balls" and all other held-out pairs."""
    pairs = [f"{colour} (?:{'|'.join((*NOUNS[shape], *map(plural, NOUNS[shape])))})"
             for shape, colour in HELD_OUT]
    return re.compile(rf"\b(?:{'|'.join(pairs)})\b")


def test_held_out_pairs_never_occur_where_a_model_learns_or_is_compared(root, many):
    graphs = [graph for graph, _ in many]
    texts = [text for _, captions in many for text in captions]
    for split in ("train", "val", "test"):
        graphs += read(root, "scene_graphs", split).values()
        texts += [a["caption"] for a in read(root, "captions", split)["annotations"]]
    texts += [graph["held_out"] for graph in graphs]
    pairs = {(thing["shape"], thing["colour"]) for graph in graphs for thing in graph["objects"]}
    assert pairs.isdisjoint(HELD_OUT)
    assert not [text for text in texts if held_out_words().search(text.lower())]


def test_every_novel_picture_has_a_held_out_pair_and_captions_name_them(root):
    for graph in read(root, "scene_graphs", "novel").values():
        assert {(o["shape"], o["colour"]) for o in graph["objects"]} & set(HELD_OUT)
    texts = [a["caption"] for a in read(root, "captions", "novel")["annotations"]]
    assert sum(bool(held_out_words().search(text.lower())) for text in texts) > len(texts) / 3


@pytest.mark.parametrize("split", SPLITS)
def test_instances_load_in_pycocotools_and_fit_graph_box_and_mask(root, split, capsys):
    coco = quiet_coco(root / "annotations" / f"instances_{split}.json", capsys)
    names = {category["id"]: category["name"] for category in coco.dataset["categories"]}
    for image_id, graph in read(root, "scene_graphs", split).items():
        found = coco.loadAnns(coco.getAnnIds(imgIds=int(image_id)))
        assert [names[a["category_id"]] for a in found] == [o["shape"] for o in graph["objects"]]
        for annotation, thing in zip(found, graph["objects"], strict=True):
            assert annotation["bbox"] == thing["box"] and annotation["iscrowd"] == 0
            down, across = np.nonzero(coco.annToMask(annotation))
            x, y, width, height = annotation["bbox"]
            edges = [across.min(), down.min(), across.max() + 1, down.max() + 1]
            assert np.allclose(edges, [x, y, x + width, y + height], atol=1.5)
            assert min(x, y) >= 0 and max(x + width, y + height) <= SIDE
            assert len(across) == pytest.approx(annotation["area"], rel=0.15)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("tilt", [0, 12])
@pytest.mark.parametrize("shape", PAINTERS)
def test_the_silhouette_is_where_the_thing_is_painted(shape, tilt, mirrored, monkeypatch):
    monkeypatch.setattr(world, "soft_spot", lambda: Image.new("L", (9, 9)))      # no shadow
    thing = Thing(shape, "yellow", "large", 0, 92, tilt, mirrored, left=60, top=70)
    empty, full = (np.asarray(world.paint(things, "snow", random.Random(1))).astype(int)
                   for things in ([], [thing]))
    painted = np.abs(full - empty).max(axis=2) > 4
    silhouette = Image.new("L", (SIDE, SIDE))
    for points in thing.polygons():
        ImageDraw.Draw(silhouette).polygon(points.ravel().tolist(), fill=1)
    silhouette = np.asarray(silhouette).astype(bool)
    assert (painted & silhouette).sum() > 0.85 * (painted | silhouette).sum()


def test_a_thing_has_the_colour_that_its_graph_says(root, capsys):
    coco = quiet_coco(root / "annotations" / "instances_train.json", capsys)
    graphs, shares = read(root, "scene_graphs", "train"), []
    for image in coco.dataset["images"]:
        picture = np.asarray(Image.open(root / "train" / image["file_name"])).astype(float)
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        for annotation, thing in zip(annotations, graphs[str(image["id"])]["objects"], strict=True):
            inside = picture[coco.annToMask(annotation).astype(bool)]
            near = np.abs(inside - COLOURS[thing["colour"]]).max(axis=1) < 75
            shares.append(near.mean())
    assert np.mean(shares) > 0.5 and np.min(shares) > 0.2


def test_relations_and_places_agree_with_the_boxes(many):
    for graph, _ in many:
        boxes = [thing["box"] for thing in graph["objects"]]
        middles = [x + width / 2 for x, _, width, _ in boxes]
        facts = {(r["subject"], r["relation"], r["object"]) for r in graph["relations"]}
        for i, word, j in facts:
            opposite = {"left of": "right of", "right of": "left of", "above": "below",
                        "below": "above", "next to": "next to"}[word]
            assert i != j and (j, opposite, i) in facts
            if word == "left of":
                assert middles[i] + 25 < middles[j]
            if word == "above":
                assert boxes[i][1] + boxes[i][3] < boxes[j][1]
            if word == "next to":
                left, right = sorted((boxes[i], boxes[j]))
                assert right[0] - left[0] - left[2] <= 50
        for thing, across in zip(graph["objects"], middles, strict=True):
            assert ("left" in thing["column"]) == (across <= 0.43 * SIDE)
            assert ("right" in thing["column"]) == (across >= 0.57 * SIDE)


def test_things_do_not_overlap(many):
    for graph, _ in many:
        boxes = sorted(thing["box"] for thing in graph["objects"])
        for one, (x, y, width, height) in enumerate(boxes):
            for x2, y2, _, height2 in boxes[one + 1:]:
                assert x2 >= x + width or y2 >= y + height or y >= y2 + height2


def test_drawing_again_into_the_same_root_returns_at_once(root, capsys):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert draw(root, SMALL) == root
    assert "already holds" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*")}


@pytest.mark.parametrize("change", [{"seed": 1}, {"sizes": {**SMALL, "val": 24}}])
def test_a_root_that_holds_other_scenes_is_refused(root, change):
    before = contents(root)
    with pytest.raises(BadInput, match="holds something else"):
        draw(root, **{"sizes": SMALL, "progress": False, **change})
    assert contents(root) == before


def test_a_root_that_holds_anything_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(BadInput, match="holds something else"):
        draw(tmp_path, SMALL, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_set_with_a_picture_missing_is_not_taken_for_whole(root, tmp_path):
    few = {split: 2 for split in SPLITS}
    other = draw(tmp_path / "few", few, progress=False)
    next((other / "train").iterdir()).unlink()
    with pytest.raises(BadInput):
        draw(other, few, progress=False)


def test_a_draw_that_breaks_off_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr(scenes, "instances", fail)
    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path / "scenes", SMALL, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sizes", [{"train": 0}, {"train": -5}, {"train": 10**6}, {"dev": 5}])
def test_sizes_that_cannot_be_drawn_are_refused(sizes, tmp_path):
    with pytest.raises(ValueError):
        draw(tmp_path / "scenes", sizes, progress=False)
    assert list(tmp_path.iterdir()) == []


def arguments(root, **others):
    options = {**{split: 1 for split in SPLITS}, **others}
    return ["scenes", "--root", str(root), *chain.from_iterable(
        (f"--{name}", str(value)) for name, value in options.items())]


def test_the_command_draws_and_names_the_next_command(tmp_path, capsys):
    assert prepare.main(arguments(tmp_path / "scenes")) == 0
    assert f"python train.py --data {tmp_path / 'scenes'} --run runs/small" in (
        capsys.readouterr().out)
    assert len(list(Path(tmp_path / "scenes").rglob("*.jpg"))) == 4


@pytest.mark.parametrize("wrong", [{"train": -1}, {"seed": -1}])
def test_the_command_says_one_sentence_about_bad_input(wrong, tmp_path, capsys):
    with pytest.raises(BadInput) as refused:
        prepare.main(arguments(tmp_path / "scenes", **wrong))
    assert "\n" not in str(refused.value)
