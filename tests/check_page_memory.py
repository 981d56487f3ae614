"""Check that app.py's page answers four people at once, and that its memory stays flat.

    four visitors, 50 pictures each, one after another --> all described; memory and seconds

    python -m tests.check_page_memory

Memory is measured when each tenth picture is done; after the first 50 of all it may grow by a tenth
at most. Needs gradio, and psutil, which Jupyter brings.
"""

import io
import random
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
from PIL import Image

from captioning.checkpoint import SHIPPED
from page.examples import PHOTOS, data_folder
from system.commands import run_command
from system.files import BadInput
from tests.serving import Page, Visitor

VISITORS, EACH, FIRST, GROWTH = 4, 50, 50, 0.1


def pictures(seed):
    """Yield JPEG files, each another part of a photograph, of 1 to 3 million pixels."""
    rng = random.Random(seed)
    photos = [Image.open(data_folder() / name).convert("RGB") for name in PHOTOS]
    for _ in range(EACH):
        photo, side, file = rng.choice(photos), rng.randint(150, 280), io.BytesIO()
        left, top = (rng.randint(0, size - side) for size in photo.size)
        part = photo.crop((left, top, left + side, top + side))
        part.resize((rng.randint(1000, 1700),) * 2).save(file, "JPEG")
        yield file.getvalue()


def main():
    done, memory, waits, lock = [], [], [], threading.Lock()
    with Page([SHIPPED]) as page:
        process = psutil.Process(page.process.pid)

        def visit(number):
            visitor = Visitor(page.url)
            for count, picture in enumerate(pictures(number)):
                before = time.monotonic()
                found = visitor.describe([visitor.upload(f"{number} {count}.jpg", picture)])
                with lock:
                    waits.append(time.monotonic() - before)
                    done.append('class="sentence"' in found)
                    if len(done) % 10 == 0:
                        memory.append((len(done), process.memory_info().rss / 1e6))
                        print("{} pictures, {:.0f} MB".format(*memory[-1]), flush=True)

        begun = time.monotonic()
        with ThreadPoolExecutor(VISITORS) as pool:
            list(pool.map(visit, range(VISITORS)))
        took = time.monotonic() - begun
    first = max(size for count, size in memory if count <= FIRST)
    most = max(size for count, size in memory if count > FIRST)
    print(f"{sum(done)} of {VISITORS * EACH} described in {took:.0f} s; a picture took "
          f"{statistics.median(waits):.2f} s in the middle and {max(waits):.2f} s at most; "
          f"{first:.0f} MB after {FIRST}, {most:.0f} MB at most afterwards", file=sys.stderr)
    if not all(done) or most > (1 + GROWTH) * first:
        raise BadInput("not all were described, or memory grew: see the numbers above")


if __name__ == "__main__":
    run_command(main)
