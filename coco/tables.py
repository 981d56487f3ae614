"""Read tables of many kinds: what each line says of which picture, and of which split it is.

    file --read_text--> text --read_tokens, read_csv or read_json--> rows

Which columns or keys are taken is printed; a line that cannot be understood is refused by its
number.
"""

import csv
import io
import json
import re
from pathlib import Path
from typing import NamedTuple

from system.files import BadInput, refuse_web_address

# what columns and keys are called, without signs and digits; the first that there is goes first
FILE_NAMES = ("file", "filename", "image", "imagename", "picture", "photo", "path", "filepath",
              "imagefile", "imagepath")
CAPTION_NAMES = ("caption", "captions", "sentence", "sentences", "description", "text", "comment")
SPLIT_NAMES = ("split", "subset", "partition", "set")
TOKEN = re.compile(r"([^\t]+)#\d+\t(.*)")           # image.jpg#0<TAB>caption
BARE = re.compile(r"[^,;\t|]+\.(?:jpe?g|png|gif|webp|bmp|tiff?)[\w.]* *([,;\t|])( *\d+ *\1)?",
                  re.I)
COLUMNS = "call one 'file' and one 'caption'"
BINARY = {b"PK\x03\x04": "a zip archive, as files of Excel and Word are", b"PAR1": "a Parquet file",
          b"\xd0\xcf\x11\xe0": "an old file of Excel or Word", b"\x1f\x8b": "a gzip archive",
          b"%PDF": "a PDF file", b"\xff\xd8\xff": "a picture", b"\x89PNG": "a picture"}


class Row(NamedTuple):
    """What a line says: its place, a picture's name, its sentences, its split or None."""

    where: str
    name: str
    sentences: list
    split: str | None = None


def read_rows(path, bare=False):
    """Return the rows of a captions file of any kind.

    bare: whether a table may do without a line of column names, being image and caption or image,
    number and caption. Raises `BadInput` for what cannot be understood.
    """
    text = read_text(path)
    start = text.lstrip()
    if not start:
        raise BadInput(f"{path} is empty: name its columns in the first line, and {COLUMNS}")
    if TOKEN.match(start):
        return read_tokens(path, text)
    return read_json(path, text) if start[0] in "{[" else read_csv(path, text, bare)


def read_text(path):
    """Return the text of a file; raise `BadInput` if it is not there or not UTF-8 or UTF-16."""
    path = Path(path)
    refuse_web_address(path)
    if path.is_dir():
        raise BadInput(f"{path} is a folder: give the file that names and describes the pictures")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): check the path") from None
    for beginning, kind in BINARY.items():
        if content.startswith(beginning):
            raise BadInput(f"{path} is {kind}, not text: open it and save it as 'CSV UTF-8'")
    try:
        # a byte order mark says which; Excel's "Unicode text" is UTF-16
        utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
        if "\0" in text:
            raise ValueError("zero bytes, as in UTF-16")
    except ValueError:
        raise BadInput(f"{path} is not text in UTF-8: save it as such, which Excel calls "
                       "'CSV UTF-8'") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_tokens(path, text):
    """Return the rows of `Flickr8k.token.txt` or of Flickr30k's, image.jpg#0<TAB>caption."""
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        found = TOKEN.fullmatch(line.strip(" "))       # a caption may be empty behind its tab
        if found:
            rows.append(Row(f"line {number}", found[1], [found[2]]))
        elif line.strip():
            raise BadInput(f"{path} has in line {number} neither 'image.jpg,caption' nor "
                           "'image.jpg#0<TAB>caption': give captions.txt or Flickr8k.token.txt")
    return rows


def read_csv(path, text, bare=False):
    """Return the rows of a table whose first line names its columns, or may do without if bare."""
    first = text.lstrip().partition("\n")[0]
    found = BARE.match(first) if bare else None
    delimiter = found[1] if found else max(",;\t|", key=first.count)
    # not splitlines(), which knows more ends of lines than a table has
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        names = (["image", *["number"] * bool(found[2]), "caption"] if found
                 else next(filter(any, lines), []))
        files, said, splits = columns_of(names)
        if len(files) != 1 or not said or len(splits) > 1:
            raise BadInput(f"{path} names its columns {first.strip()[:80]!r} in the first line: "
                           f"{COLUMNS}, and at most one 'split'")
        for cells in filter(any, lines):
            where = f"line {lines.line_num}"
            cells = fitted(path, where, cells, names, said, delimiter)
            rows.append(Row(where, cells[files[0]], [cells[column] for column in said],
                            cells[splits[0]] if splits else None))
    except csv.Error as error:
        raise BadInput(f"{path} is broken in line {lines.line_num} ({error}): a caption with a "
                       "comma or quotation marks needs quotation marks around it") from None
    report(path, names, files + said + splits)
    return rows


def columns_of(names):
    """Return the numbers of the columns of the file, of the captions and of the split in `names`.

    Each is a list: of all that have the first of the known names that there is, but for a number.
    """
    plains = [plain(name) for name in names]
    return [next(([number for number, name in enumerate(plains) if name == wanted]
                  for wanted in known if wanted in plains), [])
            for known in (FILE_NAMES, CAPTION_NAMES, SPLIT_NAMES)]


def plain(name):
    """Return a column's name without case, numbers and signs: 'File_name' -> 'filename'."""
    return re.sub(r"[\W\d_]+", "", str(name).lower())


def fitted(path, where, cells, names, said, delimiter):
    """Return a row's cells, as many as there are `names`.

    Cells too many are the rest of a caption with delimiters if that is the last column and the only
    caption; else `BadInput`. Cells too few are empty ones at the end.
    """
    while len(cells) > len(names) and not cells[-1].strip():
        cells = cells[:-1]                  # as spreadsheets write
    last = len(names) - 1
    if len(cells) > len(names):
        if said != [last]:
            raise BadInput(f"{path} has {len(cells)} cells for {len(names)} columns in {where}: a "
                           f"caption with a {delimiter!r} needs quotation marks around it")
        cells = [*cells[:last], delimiter.join(cells[last:])]
    cells += [""] * (len(names) - len(cells))
    # quotation marks behind a space, which csv takes for signs of the caption
    return [found[1].replace('""', '"')
            if (found := re.fullmatch(r'\s+"((?:[^"]|"")*)"\s*', cell)) else cell for cell in cells]


def report(path, names, taken):
    """Print which of the named columns or keys were taken, and which were not."""
    aside = [name.strip() for number, name in enumerate(names) if number not in taken]
    print(f"{path}: took {', '.join(repr(names[number].strip()) for number in taken)}"
          + f"; left aside {', '.join(map(repr, aside))}" * bool(aside))


def read_json(path, text):
    """Return the rows of JSON: an object in every line, a list of them, or {file: captions}."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict) and isinstance(content.get("images"), list):
        raise BadInput(f"{path} holds a whole dataset, as COCO's or Karpathy's files do, and no "
                       "table: COCO's is ready as <root>/annotations/captions_train.json beside "
                       "<root>/train, Karpathy's of COCO is for 'prepare.py karpathy'")
    if isinstance(content, dict) and not {*map(plain, content)} & {*FILE_NAMES, *CAPTION_NAMES}:
        content = [{"file": name, "caption": said} for name, said in content.items()]
    if isinstance(content, list):
        entries = [(f"entry {number}", entry) for number, entry in enumerate(content, 1)]
    else:
        lines = enumerate(text.split("\n"), 1) if content is None else [(1, json.dumps(content))]
        entries = [(f"line {number}", line) for number, line in lines if line.strip()]
    keys = {}
    rows = [json_row(path, where, entry, keys) for where, entry in entries]
    if keys:
        report(path, list(keys), [number for number, used in enumerate(keys.values()) if used])
    return rows


def json_row(path, where, entry, keys):
    """Return the row of an object, or of its text; note in `keys` {key: whether it was taken}."""
    try:
        entry = json.loads(entry) if isinstance(entry, str) else entry
        names, values = list(entry), list(entry.values())
        (file,), said, splits = columns_of(names)
        sentences = [one for column in said for one in (
            values[column] if isinstance(values[column], list) else [values[column]])]
        split = values[splits[0]] if splits else None
        texts = [values[file], *sentences, *[split] * (split is not None)]
        if not said or not all(isinstance(text, str) for text in texts):
            raise TypeError("they must be text")
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise BadInput(f"{path} has in {where} no JSON object with texts 'file' and "
                       "'caption': mend or delete it") from None
    for number, name in enumerate(names):
        keys[name] = keys.get(name, False) or number in [file, *said, *splits]
    return Row(where, values[file], sentences, split)
