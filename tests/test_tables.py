"""Tables of captions as people have them are read right, or refused in a sentence with the line."""

import json

import pytest

from coco.sources import gather
from coco.tables import read_rows
from system.files import BadInput

DOG, BOTH = {"1.jpg": ["A dog"]}, {"1.jpg": ["A dog, a cat"]}


def said(folder, text, bare=False):
    """What a table says: {file name: sentences}, and {file name: split} or None."""
    table = folder / "table"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    return gather(table, read_rows(table, bare))


HEADED = {
    "Flickr30k with commas": ("image_name,comment_number,comment\n1.jpg,0,A dog, a cat\n", BOTH),
    "Flickr30k with pipes": ('image_name| comment_number| comment\n1.jpg| 0| A dog, a cat\n'
                             '1.jpg| 1| "Stop" , he says .\n2.jpg| 4   A dog runs\n',
                             {"1.jpg": ["A dog, a cat", '"Stop" , he says .']}),
    "Flickr30k's tokens": ("1.jpg#0\tA dog, a cat\n1.jpg#1\t\n", BOTH),
    "the caption first": ('caption,image\n"A dog, a cat",1.jpg\n', BOTH),
    "tabs, a mark and Windows' lines": ("\ufeffimage\tcaption\r\n1.jpg\tA dog, a cat\r\n", BOTH),
    "an empty first line": ("\n\nimage,caption\n1.jpg,A dog\n", DOG),
    "semicolons": ("file;caption\n1.jpg;A dog, a cat\n", BOTH),
    "an unquoted comma": ("file,caption\n1.jpg,A dog, a cat\n", BOTH),
    "an unquoted semicolon": ("file;caption\n1.jpg;A dog; a cat\n", {"1.jpg": ["A dog; a cat"]}),
    "an unquoted pipe": ("id|file|caption\n1|1.jpg|A dog|a cat\n", {"1.jpg": ["A dog|a cat"]}),
    "an unquoted tab": ("file\tcaption\n1.jpg\tA dog\ta cat\n", {"1.jpg": ["A dog\ta cat"]}),
    "quotation marks behind a space": ('file, caption\n1.jpg, "A dog, a cat"\n', BOTH),
    "empty cells at the end": ("file,caption\n1.jpg,A dog,,\n", DOG),
    "too few cells": ("file,caption_1,caption_2\n1.jpg,A dog\n", DOG),
    "strange ends of lines": ("file,caption\n1.jpg,A dog\u2028runs\x0boff\n",
                              {"1.jpg": ["A dog\u2028runs\x0boff"]}),
    "a comment beside it": ("file,comment,caption\n1.jpg,ok,A dog\n", DOG),
    "a text and sentences": ("text,sentence,file\nok,A dog,1.jpg\n", DOG),
    "two captions": ("file,caption,caption\n1.jpg,A dog,A cat\n", {"1.jpg": ["A dog", "A cat"]}),
    "a path beside it": ("path,file,caption\na/1.jpg,1.jpg,A dog\n", DOG),
    "a list": ('[{"file": "1.jpg", "text": "ok", "caption": "A dog"}]', DOG),
    "captions by name": ('{"1.jpg": ["A dog"]}', DOG),
    "an object of many lines": ('{\n"file": "1.jpg",\n"caption": "A dog"\n}', DOG),
    "Excel's Unicode text": ("file\tcaption\r\n1.jpg\tA dog\r\n".encode("utf-16"), DOG),
}
BARE = {
    "no names": ("1.jpg,A dog, a cat\n", BOTH),
    "no names, with numbers": ("1.jpg,0,A dog, a cat\n", BOTH),
    "no names, with pipes": ("1.jpg| 0| A dog, a cat\n", BOTH),
    "no names, with tabs": ("1.jpg\tA dog, a cat\r\n", BOTH),
}


@pytest.mark.parametrize("kind", HEADED)
def test_a_table_is_read_as_a_person_reads_it(tmp_path, kind):
    text, expected = HEADED[kind]
    for bare in (False, True):              # prepare.py folder, prepare.py flickr8k
        assert said(tmp_path, text, bare) == (expected, None)


@pytest.mark.parametrize("kind", BARE)
def test_a_table_without_names_of_columns_is_flickr_s_or_refused(tmp_path, kind):
    text, expected = BARE[kind]
    assert said(tmp_path, text, bare=True) == (expected, None)
    with pytest.raises(BadInput, match="call one 'file' and one 'caption'"):
        said(tmp_path, text)


REFUSED = {
    "a comma in the middle": ("file,caption,id\n1.jpg,A dog, a cat,1\n", "4 cells .* in line 2"),
    "a comma before the file": ("caption,file\nA dog,1.jpg\nA dog, a cat,1.jpg\n", "in line 3"),
    "a comma among captions": ("file;caption1;caption2\n1.jpg;A;B;C\n", "';' needs quotation"),
    "two files": ("file,File,caption\n1.jpg,1.jpg,A dog\n", "call one 'file'"),
    "other names": ("x,y\n1.jpg,A dog\n", "names its columns 'x,y'"),
    "a split that is none": ("file,caption,split\n1.jpg,A dog,fold 1\n", "line 2 the split 'fold"),
    "an empty split": ("file,caption,split\n1.jpg,A dog,train\n2.jpg,A dog,\n", "line 3 the split"),
    "two splits": ("file,caption,split\n1.jpg,A,train\n1.jpg,B,val\n", "line 3 in val and before"),
    "some splits": ('{"file": "1.jpg", "caption": "A", "split": "val"}\n'
                    '{"file": "2.jpg", "caption": "B"}', "1 of 2 pictures a split"),
    "COCO's captions": (json.dumps({"images": [], "annotations": []}, indent=1), "whole dataset"),
    "a list of other things": ("[1, 2]", "in entry 1 no JSON object"),
    "a workbook": (b"PK\x03\x04\0\0", "zip archive.*'CSV UTF-8'"),
    "a Parquet file": (b"PAR1\x15\x04", "Parquet file"),
    "nothing": (" \n", "is empty"),
    "zero bytes": ("file,caption\n1.jpg,A dog".encode("utf-16-le"), "not text in UTF-8"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_right_is_refused_in_a_sentence(tmp_path, kind):
    text, words = REFUSED[kind]
    for bare in (False, True):
        with pytest.raises(BadInput, match=words) as refusal:
            said(tmp_path, text, bare)
        assert "\n" not in str(refusal.value) and str(tmp_path / "table") in str(refusal.value)


def test_what_a_table_is_not_is_said(tmp_path):
    with pytest.raises(BadInput, match="is a folder: give the file"):
        read_rows(tmp_path)
    for address in ("https://example.org/captions.csv", tmp_path.__class__("http://a.org/b.csv")):
        with pytest.raises(BadInput, match="http.*:.*(a|example).org.* is a web address"):
            read_rows(address)


@pytest.mark.parametrize("text", [
    "id,file,caption,comment,split\n1,1.jpg,A dog,ok,Train\n2,2.jpg,A cat,no,validation\n"
    "3,3.jpg,A cow,,TESTING\n",
    '{"id": 1, "file": "1.jpg", "caption": "A dog", "comment": "ok", "split": "training"}\n'
    '{"file": "2.jpg", "caption": ["A cat"], "split": "dev"}\n'
    '{"file": "3.jpg", "caption": "A cow", "split": "test"}\n'])
def test_splits_are_followed_and_the_columns_that_were_taken_are_said(tmp_path, capsys, text):
    sentences, sides = said(tmp_path, text)
    assert sentences == {"1.jpg": ["A dog"], "2.jpg": ["A cat"], "3.jpg": ["A cow"]}
    assert sides == {"1.jpg": "train", "2.jpg": "val", "3.jpg": "test"}
    assert "took 'file', 'caption', 'split'; left aside 'id', 'comment'" in capsys.readouterr().out
