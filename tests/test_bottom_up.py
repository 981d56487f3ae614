"""Classic files of bottom-up features give the regions that were written, or one clear sentence."""

import base64
import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from coco.dataset import Picture
from encoders import bottom_up, bottom_up_files
from encoders.bottom_up import MOST, BottomUp
from system.files import BadInput

SIZE = 200, 100             # width and height of every picture here
D = 8


def picture(id, file=None):
    return Picture(id, Path(file or f"COCO_val2014_{id:012d}.jpg"), ())


def regions(id, count, width=D):
    """Boxes in pixels and features of a picture, the same ones for the same id."""
    random = np.random.default_rng(id)
    left_top = random.uniform(0, 0.5, (count, 2)) * SIZE
    right_bottom = left_top + random.uniform(0.1, 0.5, (count, 2)) * SIZE
    return (np.hstack([left_top, right_bottom]).astype("f4"),
            random.uniform(0, 9, (count, width)).astype("f4"))


def text(array):
    return base64.b64encode(np.ascontiguousarray(array, "<f4")).decode()


def line(id, boxes, features, count=None, size=SIZE):
    return "\t".join(map(str, (id, *size, len(boxes) if count is None else count,
                               text(boxes), text(features)))) + "\r\n"


def tsv(path, counts, head=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + "".join(line(id, *regions(id, count)) for id, count in counts.items()),
                    newline="")


def write_tsv(folder, counts):
    """As Anderson's: several files, numbered at their ends, and columns that no line names."""
    first = dict(list(counts.items())[:1])
    tsv(folder / "train.tsv.0", first)
    tsv(folder / "train.tsv.1", {id: counts[id] for id in counts if id not in first})


def write_named_tsv(folder, counts):
    tsv(folder / "deep" / "all.tsv", counts, head=b"\t".join(bottom_up_files.COLUMNS).decode()
        + "\n")


def npz(path, id, count, turned=False, **others):
    boxes, features = regions(id, count)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **({
        "x": features.T if turned else features, "bbox": boxes, "num_bbox": count,
        "image_w": SIZE[0], "image_h": SIZE[1]} | others))


def write_openvqa(folder, counts):
    for id, count in counts.items():
        npz(folder / "val2014" / f"COCO_val2014_{id:012d}.jpg.npz", id, count, turned=True)


def write_milvlg(folder, counts):
    """With an array of pickled objects beside, which is none of those that are read."""
    for id, count in counts.items():
        npz(folder / f"{id:012d}.npz", id, count, info=np.array({"objects": [3]}))


def write_cocobu(folder, counts):
    for id, count in counts.items():
        boxes, features = regions(id, count)
        for kind in "att", "box":
            (folder / f"cocobu_{kind}").mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / "cocobu_att" / f"{id}.npz", feat=features)
        np.save(folder / "cocobu_box" / f"{id}.npy", boxes)


def write_fractions(folder, counts):
    for id, count in counts.items():
        boxes, _ = regions(id, count)
        npz(folder / f"{id}.npz", id, count, bbox=boxes / (*SIZE, *SIZE))


LAYOUTS = {write.__name__: write for write in (
    write_tsv, write_named_tsv, write_openvqa, write_milvlg, write_cocobu, write_fractions)}
COUNTS = {9: 3, 25: 5, 391895: 1}


@pytest.fixture(params=LAYOUTS)
def folder(request, tmp_path):
    """A folder with the three pictures of COUNTS, in each of the layouts."""
    LAYOUTS[request.param](tmp_path / "files", COUNTS)
    return tmp_path / "files"


@pytest.fixture
def pictures(tmp_path):
    """The pictures of COUNTS, of SIZE, on disk, where one layout's missing sizes are looked up."""
    made = [picture(id, tmp_path / f"COCO_val2014_{id:012d}.jpg") for id in COUNTS]
    for one in made:
        Image.new("RGB", SIZE).save(one.file)
    return made


def test_every_layout_gives_the_regions_that_were_written(folder, pictures):
    backbone = BottomUp(folder)
    assert (backbone.channels, backbone.regions) == (D, 1 + 5)
    rows, = backbone.beside(pictures)
    assert rows.dtype == torch.float32 and rows.shape == (3, 6, D + 5)
    for one, (id, count) in zip(rows.numpy(), COUNTS.items(), strict=True):
        boxes, features = regions(id, count)
        assert np.array_equal(one[1:1 + count, :D], features)
        assert np.allclose(one[1:1 + count, D:-1], boxes / (*SIZE, *SIZE), atol=1e-6)
        assert np.allclose(one[0, :D], features.mean(0)) and list(one[0, D:]) == [0, 0, 1, 1, 1]
        assert (one[:1 + count, -1] == 1).all() and not one[1 + count:].any()


def test_a_picture_alone_and_in_any_order_has_the_same_rows(folder, pictures):
    backbone = BottomUp(folder)
    rows, = backbone.beside(pictures)
    assert torch.equal(backbone.beside(pictures[::-1])[0], rows.flip(0))
    assert torch.equal(backbone.beside(pictures[1:2])[0], rows[1:2])


def test_it_stands_where_a_frozen_backbone_stands(tmp_path):
    tsv(tmp_path / "a.tsv", COUNTS)
    backbone = BottomUp(tmp_path / "a.tsv")
    rows, = backbone.beside([picture(9), picture(25)])
    assert backbone.frozen and backbone.name == "bottom_up" and not backbone.state_dict()
    assert torch.equal(backbone(torch.zeros(2, 3, 4, 4), rows), rows)


def test_a_picture_is_found_by_the_stem_of_its_file_too(tmp_path):
    npz(tmp_path / "1000268201_69.jpg.npz", 1, 2)
    npz(tmp_path / "17.npz", 2, 2)
    backbone = BottomUp(tmp_path)
    rows = backbone.rows(picture(17, "1000268201_69.jpg"))      # the name goes before the number
    assert np.array_equal(rows[1:, :D], regions(1, 2)[1])
    assert np.array_equal(backbone.rows(picture(17, "dog.png"))[1:, :D], regions(2, 2)[1])


def test_of_more_regions_than_any_published_picture_has_the_first_are_taken(tmp_path):
    tsv(tmp_path / "a.tsv", {1: MOST + 20})
    rows = BottomUp(tmp_path / "a.tsv").rows(picture(1))
    features = regions(1, MOST + 20)[1][:MOST]
    assert len(rows) == 1 + MOST and np.array_equal(rows[1:, :D], features)
    assert np.allclose(rows[0, :D], features.mean(0))


def test_boxes_that_a_rounded_picture_left_just_outside_end_at_its_edge(tmp_path):
    boxes, features = np.array([[-0.5, 0, 201, 100.4]]), regions(1, 1)[1]
    (tmp_path / "a.tsv").write_text(line(1, boxes, features))
    assert BottomUp(tmp_path / "a.tsv").rows(picture(1))[1, D:].tolist() == [0, 0, 1, 1, 1]


def test_sizes_are_looked_up_of_the_picture_as_it_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6                        # to be turned by a quarter
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "9.jpg", exif=exif)
    write_cocobu(tmp_path, {9: 3})
    rows = BottomUp(tmp_path / "cocobu_att").rows(picture(9, tmp_path / "9.jpg"))
    assert np.allclose(rows[1:, D:-1], regions(9, 3)[0] / (*SIZE, *SIZE), atol=1e-6)


def test_the_index_is_kept_and_made_again_when_a_file_changes(tmp_path, monkeypatch):
    tsv(tmp_path / "a.tsv", {1: 2, 2: 3})
    before = BottomUp(tmp_path / "a.tsv")
    made = []
    monkeypatch.setattr(bottom_up, "index_of", lambda files, of=bottom_up.index_of:
                        made.append(files) or of(files))
    again = BottomUp(tmp_path / "a.tsv")
    assert again.places == before.places and not made
    assert again.fingerprint() == before.fingerprint()
    tsv(tmp_path / "a.tsv", {2: 2, 3: 4})
    changed = BottomUp(tmp_path / "a.tsv")
    assert len(made) == 1 and changed.regions == 5 and changed.places.keys() == {"2", "3"}
    assert changed.fingerprint() != before.fingerprint()


def test_boxes_in_files_of_their_own_are_part_of_the_fingerprint(tmp_path):
    write_cocobu(tmp_path, {9: 3})
    before = BottomUp(tmp_path / "cocobu_att").fingerprint()
    np.save(tmp_path / "cocobu_box" / "9.npy", regions(8, 3)[0])
    assert BottomUp(tmp_path / "cocobu_att").fingerprint() != before


@pytest.mark.parametrize("cut", [1, 40, 700])
def test_a_line_that_was_cut_and_said_again_does_no_harm(tmp_path, cut):
    whole, other = line(1, *regions(1, 20)), line(2, *regions(2, 3))
    for text in (whole + whole[:-2 - cut] + "\r\n" + other, whole[:-2 - cut] + "\r\n" + whole
                 + other):
        (tmp_path / "a.tsv").write_text(other.replace("2", "3", 1) + text, newline="")
        backbone = BottomUp(tmp_path / "a.tsv")
        assert np.array_equal(backbone.rows(picture(1))[1:, :D], regions(1, 20)[1])
        assert np.array_equal(backbone.rows(picture(2))[1:4, :D], regions(2, 3)[1])


# What is refused -------------------------------------------------------------------------------

def refused(path, *pictures):
    """The one sentence in which the files, or their features of these pictures, are refused."""
    with pytest.raises(BadInput) as error:
        BottomUp(path).beside(pictures)
    sentence = str(error.value)
    assert "\n" not in sentence and ": " in sentence
    return sentence


def changed(boxes=None, features=None, **others):
    """A TSV of a good picture 2 and then a picture 1, which differs from a good one."""
    good = regions(1, 3)
    return line(2, *regions(2, 4)) + line(1, good[0] if boxes is None else boxes,
                                          good[1] if features is None else features, **others)


def with_value(value, place, array):
    array = array.copy()
    array[place] = value
    return array


BOXES, FEATURES = regions(1, 3)
WRONG = {
    "counts": (changed(count=2), "says 2 regions"),
    "no regions": (changed(BOXES[:0], FEATURES[:0]), "says 0 regions"),
    "boxes": (changed(BOXES[:2], count=3), "boxes (3, 4)"),
    "part of a box": (changed(BOXES.ravel()[:-1], count=3), "has (11,) and (24,)"),
    "features": (changed(features=FEATURES[:2]), "features (3, 8) belong"),
    "another D": (changed(features=FEATURES[:, :5]), "has (3, 4) and (3, 5)"),
    "nan": (changed(features=with_value(np.nan, (1, 2), FEATURES)), "the feature nan"),
    "inf": (changed(features=with_value(np.inf, (0, 0), FEATURES)), "the feature inf"),
    "float16": (changed(features=with_value(-65600, (2, 7), FEATURES)), "numbers up to 65504"),
    "reversed": (changed(BOXES[:, [2, 1, 0, 3]]), "empty, reversed or outside"),
    "empty": (changed(with_value([5, 5, 5, 50], 1, BOXES)), "the box (5, 5, 5, 50)"),
    "outside": (changed(with_value([5, 5, 260, 50], 2, BOXES)), "the box (5, 5, 260, 50)"),
    "beyond": (changed(with_value([-9, 5, 60, 50], 2, BOXES)), "outside of the picture of 200 x"),
    "nan box": (changed(with_value(np.nan, (0, 3), BOXES)), "nan)"),
    "size": (changed(size=(200, 0)), "200 x 0 pixels"),
    "base64": (changed()[:-5], "cannot be read"),
    "cut base64": (changed()[:-18], "has (3, 4) and (3, 7)"),
    "cut line": (changed()[:-200], "cut short or runs into another"),
    "two in one": (changed()[:-30] + line(7, BOXES, FEATURES), "runs into another"),
    "no base64": (changed()[:-3] + "!\r\n", "cannot be read")}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_numbers_of_a_picture_are_refused_and_other_pictures_are_not(tmp_path, wrong):
    content, said = WRONG[wrong]
    (tmp_path / "a.tsv").write_text(content, newline="")
    sentence = refused(tmp_path / "a.tsv", picture(2), picture(1))
    assert "picture 1 in " in sentence and "a.tsv" in sentence and said in sentence
    assert "take the picture out" in sentence
    assert BottomUp(tmp_path / "a.tsv").beside([picture(2)])[0].isfinite().all()


def test_a_picture_without_features_is_refused(folder, tmp_path):
    sentence = refused(folder, picture(77, tmp_path / "dog.jpg"))
    assert "no features of picture 77" in sentence and "dog.jpg" in sentence


@pytest.mark.parametrize("name, content, said", [
    ("a.tsv", "", "holds the whole features of no picture"),
    ("a.tsv", "img_id\timg_h\timg_w\n1\t2\t3\n", "line 1 of"),
    ("a.tsv", "1\t200\tx\t1\tAAAA\tAAAA\n", "has not the columns image_id, image_w"),
    ("a.tsv", "no tabs here", "with tabs between them"),
    ("a.csv", "1,2,3", "holds no bottom-up features"),
    ("a.pkl", "", "holds no bottom-up features"),
    ("a.npz", "", "cannot be read"),
    ("a.npz", "no zip", "a.npz cannot be read (File is not a zip file)")])
def test_a_file_of_another_kind_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    for path in tmp_path / name, tmp_path:
        sentence = refused(path)
        assert said.replace("holds the", "has the") in sentence and str(tmp_path) in sentence


def test_what_is_not_there_or_on_the_web_is_refused(tmp_path):
    assert "is not there" in refused(tmp_path / "none")
    assert "holds no bottom-up features" in refused(tmp_path)
    assert "web address" in refused("https://example.org/trainval.tsv")


def npy(shape, descr="<f4", data=b""):
    """The bytes of an .npy file that says this shape, whatever follows."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + data


def raw_npz(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


@pytest.mark.parametrize("x, said", [
    (npy((10 ** 12, 8)), "larger than 1000 regions"), (npy((2, 10 ** 9)), "larger than"),
    (npy((16384, 16384)), "larger than"), (npy((3, 8, 8)), "no table of numbers"),
    (npy((3, 8), "<c8"), "no table of numbers"), (npy((3, 8), "|O"), "pickled objects"),
    (npy((3, 8), [("a", "<f4", (9999,))]), "no table of numbers"), (b"no array", "magic string"),
    (b"\x93NUMPY\2\0\0\0\x80\0" + bytes(1 << 23), "version (2, 0)"), (b"", "cannot be read")])
def test_an_array_that_is_absurd_is_refused_before_it_is_read(tmp_path, monkeypatch, x, said):
    monkeypatch.setattr(np, "load", lambda file, load=np.load, **options:
                        load(file, **options) if file.name == "bbox.npy" else pytest.fail("read"))
    raw_npz(tmp_path / "1.npz", x=x, bbox=npy((3, 4), data=BOXES.tobytes()))
    tracemalloc.start()
    sentence = refused(tmp_path, picture(1))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "1.npz" in sentence and said in sentence and most < 4e6       # bytes


def test_pickles_are_never_loaded(tmp_path):
    class Touch:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run"),)

    bomb = np.array([Touch(), 0], dtype=object)
    npz(tmp_path / "a" / "1.npz", 1, 3, x=bomb)
    npz(tmp_path / "b" / "1.npz", 1, 3, bbox=bomb)
    npz(tmp_path / "c" / "1.npz", 1, 3, num_bbox=bomb)
    write_cocobu(tmp_path, {1: 3})
    np.save(tmp_path / "cocobu_box" / "1.npy", bomb)
    for name in "a", "b", "c", "cocobu_att":
        assert "pickled objects, which could run code" in refused(tmp_path / name, picture(1))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("others, said", [
    ({"num_bbox": 2}, "says 2 regions"), ({"bbox": BOXES[:2]}, "has (2, 4) and"),
    ({"x": FEATURES[:, :5]}, "has (3, 4) and (3, 5)"),
    ({"x": FEATURES.reshape(4, 6)}, "has (3, 4) and (6, 4)"),
    ({"x": np.full((3, 8), 1e300)}, "65504"),
    ({"bbox": BOXES.T}, "has (4, 3) and"), ({"num_bbox": np.arange(3)}, "cannot be read"),
    ({"image_w": 20}, "outside of the picture of 20 x 100")])
def test_arrays_that_disagree_are_refused(tmp_path, others, said):
    npz(tmp_path / "1.npz", 1, 3, **others)
    npz(tmp_path / "0.npz", 0, 2)
    sentence = refused(tmp_path, picture(1))
    assert "picture 1 in " in sentence and said in sentence


def test_damage_within_an_archive_is_refused(tmp_path):
    npz(tmp_path / "1.npz", 1, 50)
    content = bytearray((tmp_path / "1.npz").read_bytes())
    content[600:700] = bytes(100)
    (tmp_path / "1.npz").write_bytes(content)
    assert "1.npz cannot be read" in refused(tmp_path, picture(1))


def test_arrays_under_other_names_or_without_boxes_are_refused(tmp_path):
    np.savez(tmp_path / "1.npz", features=FEATURES)
    assert "has no array x or feat" in refused(tmp_path)
    np.savez(tmp_path / "1.npz", feat=FEATURES)
    assert "has no array bbox" in refused(tmp_path)
    np.save(tmp_path / "1.npy", BOXES)          # boxes beside, where no folder says where else
    Image.new("RGB", SIZE).save(tmp_path / "1.jpg")
    assert BottomUp(tmp_path).rows(picture(1, tmp_path / "1.jpg")).shape == (4, D + 5)
    (tmp_path / "1.jpg").unlink()
    assert "picture " in refused(tmp_path, picture(1, tmp_path / "1.jpg"))


def test_two_files_with_the_same_picture_are_refused(tmp_path):
    tsv(tmp_path / "adaptive.tsv", {1: 2})
    tsv(tmp_path / "fixed.tsv", {2: 3, 1: 3})
    sentence = refused(tmp_path)
    assert "adaptive.tsv" in sentence and "fixed.tsv" in sentence and "of picture 1:" in sentence
