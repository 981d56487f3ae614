"""Open a page on this machine that describes the pictures dropped on it, and shows how sure it was.

    python app.py
    python app.py runs/small runs/vqa_grounded runs/paragraphs

Under each word stands its probability; pointed at, the words it might have been instead, and where
the decoder looked. With a question answerer the page takes questions, with a narrator clips, too.
Nothing leaves this machine, and what was dropped is removed at the end.
"""

import argparse
import importlib.util
import os
import signal
import sys
import time
import webbrowser

from page.loopback import bound_socket, stay_here
from system.commands import run_command
from system.files import BadInput

NEEDED = "gradio"
TICK = 0.2                  # seconds


def arguments():
    from system.processor import add_device  # here: it imports torch, which takes seconds
    parser = argparse.ArgumentParser(description="Open a page that describes the pictures dropped "
                                     "on it. Nothing leaves this machine. Ctrl-C ends it.")
    parser.add_argument(
        "checkpoints", nargs="*", metavar="checkpoint", help="captioners, question answerers and "
        "narrators of clips to choose among, .safetensors files or runs' folders (the captioner in "
        "the box, and all in runs/)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to serve at; any but 127.0.0.1 lets all "
        "who reach this machine use the page, without password and unencrypted (%(default)s)")
    parser.add_argument("--port", type=int, help="0 is any that is free (7860, or any)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--boxes", metavar="FILE", help="weights of the detector that a captioner "
                        "of regions needs, if they are not the published ones")
    add_device(parser)
    return parser.parse_args()


def main():
    started = time.monotonic()
    if not {"-h", "--help"} & set(sys.argv):
        if not importlib.util.find_spec(NEEDED):
            raise BadInput("the page needs gradio, which is not installed: run "
                           "'python -m pip install -r requirements-app.txt'")
        print("opening the page, which takes some seconds", file=sys.stderr, flush=True)
    options = arguments()
    if options.port is not None and not 0 <= options.port < 65536:
        raise BadInput("--port takes a whole number from 0 to 65535")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # so that the folder is removed
    # before: whoever names another address than loopback has it looked up
    socket = bound_socket(options.host, (7860, 0) if options.port is None else (options.port,))
    stay_here()
    from captioning.checkpoint import SHIPPED
    from page.folder import Folder
    from page.models import Models, found_in
    from system.processor import name_gpu
    places = options.checkpoints or [SHIPPED, *found_in("runs")]
    models, folder = Models(places, options.device, options.boxes), Folder()
    # read when gradio is imported
    os.environ.update(GRADIO_TEMP_DIR=str(folder.uploads), GRADIO_ANALYTICS_ENABLED="False",
                      HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1",
                      MPLCONFIGDIR=str(folder.root / "matplotlib"))
    from page.layout import page
    from page.server import LOOPBACK, Served, application

    name_gpu(options.device)
    blocks, look = page(models, folder)
    served = Served(application(blocks, folder, look, options.host), socket)
    served.start()
    if options.host not in LOOPBACK:
        print(f"all who reach this machine can use the page, at {options.host}", file=sys.stderr)
    print(f"the page: {served.url}   (Ctrl-C ends it; ready after "
          f"{time.monotonic() - started:.0f} s)", flush=True)
    if not options.no_browser:
        webbrowser.open(served.url)
    try:
        while served.thread.is_alive():     # not a wait without end: Windows would not interrupt it
            time.sleep(TICK)
    except (KeyboardInterrupt, SystemExit):
        folder.remove()
        print("stopped", file=sys.stderr, flush=True)
        os._exit(130)           # at once: else what is being described would be waited for
    raise BadInput("the page's server has ended by itself: see what it wrote above")


if __name__ == "__main__":
    run_command(main)
