"""From the command to the first sentence: at most two seconds more than `import torch` takes.

Run from the repository's root: python tests/check_cold_start.py
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

ALLOWED = 2.0               # seconds beyond `import torch`
ROUNDS = 3


def seconds(*command):
    """How long one Python process takes from start to end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main():
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        Image.effect_noise((4000, 3000), 80).convert("RGB").save(photo)     # 12 megapixels
        seconds("caption.py", photo)                        # both read from a warm disk
        # in turn, so that whatever else the machine does falls on both
        pairs = [(seconds("-c", "import torch"), seconds("caption.py", photo))
                 for _ in range(ROUNDS)]
    torch, whole = (min(times) for times in zip(*pairs, strict=True))
    print(f"import torch {torch:.2f} s, a photo described {whole:.2f} s: {whole - torch:.2f} s "
          f"beyond it, {ALLOWED} s allowed")
    return 0 if whole - torch <= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
