"""Drive app.py's page in headless Chromium as a person would, and keep what it looked like.

    checkpoints --app.py--> page --twelve actions, two widths, light and dark--> screenshots

    python -m tests.drive_page runs/small runs/vqa_grounded runs/paragraphs --shots shots

Needs `pip install playwright` and a Chromium in the path. Fails if the console has an error, if a
request goes elsewhere, if something jumps by itself, or if an action has not its effect.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

from PIL import Image

from captioning.checkpoint import SHIPPED
from page.examples import examples
from scenes.dataset import one_scene
from system.commands import run_command
from system.files import BadInput
from tests.serving import Page

WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
SCHEMES = "light", "dark"
JUMP = 0.1                  # of layout shift, up to which Chromium's makers call a page good
SHIFTS = """window.shifts = 0; new PerformanceObserver(list => list.getEntries().forEach(one => {
  if (!one.hadRecentInput) window.shifts += one.value;
})).observe({type: "layout-shift", buffered: true});"""


def material(folder):
    """Write what is dropped: photographs, wrong files, a clip."""
    folder.mkdir(parents=True)
    photos = [one.file for one in examples(folder) if one.graph is None]
    (folder / "empty.jpg").touch()
    (folder / "page.png").write_text("<!doctype html><p>no picture")
    frames = [one_scene(0, "val", number)[0] for number in range(1, 7)]
    frames[0].save(folder / "clip.gif", save_all=True, append_images=frames[1:], duration=500)
    Image.new("RGB", (900, 300), "teal").save(folder / "wide ${name} {{x}} <b>.png")
    return photos


def actions(page, folder, photos, kinds):
    """Yield the name of each action after it was done; `kinds` are those of the checkpoints."""
    yield from looking(page, photos)
    yield from choosing(page, kinds)
    yield from dropping(page, folder, photos, kinds)


def looking(page, photos):
    """Open the page, drop photographs and look at what is said."""
    page.goto(page.address)
    page.wait_for_selector(".empty")
    drops = page.get_by_test_id("upload-text").inner_text()
    assert "Drop photographs" in drops and "File" not in drops
    button = page.get_by_role("button", name="Describe again")
    assert button.is_disabled()
    yield "opened"
    drop(page, photos[:3])
    assert page.locator(".card").count() == 3 and button.is_enabled()
    page.wait_for_timeout(500)                              # on a phone it is scrolled to
    assert page.evaluate("document.querySelector('.card').getBoundingClientRect().y") < 300
    yield "dropped three photographs"
    page.locator(".word").nth(1).hover()
    assert page.locator(".card.looking").count() == 1
    assert "instead" in page.locator(".about").first.inner_text()
    yield "pointed at a word"
    page.mouse.move(1, 1)
    page.locator(".word").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement") and page.locator(".word.shown").count() == 1
    assert page.locator(".word.shown").get_attribute("tabindex") == "0"
    yield "walked along a sentence by the arrow keys"
    page.keyboard.press("Escape")
    assert page.locator(".word.shown").count() == 0


def choosing(page, kinds):
    """Choose how sentences are written, by which captioner, and of which example."""
    page.get_by_role("button", name="How it writes").click()
    page.get_by_label("sampling").check()
    set_number(page, "Sentences a picture", 4)
    again(page)
    assert page.locator(".card").first.locator(".said").count() == 4
    yield "drew four samples of each"
    page.get_by_label("greedy").check()
    again(page)
    assert page.locator(".card").first.locator(".said").count() == 1
    yield "chose greedy"
    page.get_by_role("button", name="How it writes").click()
    if kinds["captioner"] > 1:
        page.get_by_label("Captioner").click()
        done(page, lambda: page.get_by_role("option").last.click())
        yield "chose another captioner"
    done(page, lambda: page.locator("[data-example]").nth(4).click())
    assert page.locator(".card").count() == 1 and page.locator(".word.true, .word.false").count()
    yield "tried a drawn scene"


def dropping(page, folder, photos, kinds):
    """Drop what is no picture, save what was said, and drop a clip and pictures to ask about."""
    drop(page, [folder / "empty.jpg", folder / "page.png", folder / "wide ${name} {{x}} <b>.png"])
    assert page.locator(".card.failed").count() == 2
    assert "it is empty" in page.locator(".error").first.inner_text()
    assert "wide" in page.locator(".card").last.inner_text()
    yield "dropped wrong files and a strange name"
    for name, kind in (("gallery", "html"), ("JSON", "json")):
        with page.expect_download() as found:
            page.get_by_role("link", name=name).click()
        found.value.save_as(folder / f"saved.{kind}")
    assert len(json.loads((folder / "saved.json").read_text(encoding="utf-8"))) == 3
    assert "<img" in (folder / "saved.html").read_text(encoding="utf-8")
    yield "saved the gallery and the JSON"
    if kinds["narrator"]:
        drop(page, [folder / "clip.gif"])
        assert page.locator(".paragraph").count() == 1
        yield "dropped a clip"
    if kinds["question answerer"]:
        drop(page, photos[:2])
        page.get_by_role("tab", name="Questions").click()
        page.get_by_label("Ask about the pictures").fill("what animal is in the picture?")
        page.keyboard.press("Enter")
        page.wait_for_selector(".answers")
        page.wait_for_timeout(300)
        yield "asked a question"


def going_on(steps, faults):
    """Yield what `steps` does; where a step fails, note it and yield that it was the last."""
    try:
        yield from steps
    except Exception as error:          # an assertion, or one of Playwright's
        at = error.__traceback__.tb_next.tb_lineno
        faults.append(f"line {at}: {type(error).__name__} {str(error)[:300]}")
        yield "failed"


def drop(page, files):
    """Drop files instead of those that are there, and wait until all are described."""
    if (clear := page.get_by_label("Clear")).count():
        clear.first.click()
        page.wait_for_selector(".empty")
    done(page, lambda: page.set_input_files("input[type=file]", files))


def again(page):
    """Press the button that describes once more."""
    done(page, lambda: page.get_by_role("button", name="Describe again").click())


def done(page, action):
    """Do something and wait until the sheet is new and finished."""
    page.evaluate("document.querySelectorAll('.sheet').forEach(one => one.id = 'old')")
    action()
    page.wait_for_selector(".sheet:not(#old) .status[data-done]")
    page.wait_for_timeout(250)


def set_number(page, label, number):
    """Type a slider's number."""
    page.get_by_role("spinbutton", name=label).fill(str(number))
    page.keyboard.press("Tab")


def drive(browser, url, name, scheme, shots, kinds):
    """Do all actions at one width and in one colour scheme; return the faults, a sentence each."""
    width, height = WIDTHS[name]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme,
                                  has_touch=name == "phone", accept_downloads=True)
    context.set_default_timeout(20_000)
    page, faults = context.new_page(), []
    page.address = url
    page.add_init_script(SHIFTS)
    page.on("console", lambda one: one.type == "error" and faults.append(f"console: {one.text}"))
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("request", lambda one: one.url.startswith((url, "data:", "blob:"))
            or faults.append(f"asked for {one.url}"))
    folder = shots / f"{name}-{scheme}-files"
    shutil.rmtree(folder, ignore_errors=True)
    photos, begun = material(folder), time.monotonic()
    for number, action in enumerate(going_on(actions(page, folder, photos, kinds), faults), 1):
        page.screenshot(path=shots / f"{name}-{scheme}-{number:02d} {action}.png", full_page=True)
        shift, wide = page.evaluate("[shifts, document.documentElement.scrollWidth]")
        if wide > width:
            faults.append(f"{action}: it is {wide} pixels wide")
        page.evaluate("shifts = 0")
        print(f"{name} {scheme} {number:2} {action}: {time.monotonic() - begun:.1f} s, "
              f"shift {shift:.3f}", flush=True)
        if shift > JUMP:
            faults.append(f"{action}: its layout jumped by {shift:.2f}")
    context.close()
    return [f"{name}, {scheme}: {fault}" for fault in faults]


def main():
    parser = argparse.ArgumentParser(description="Drive the page of app.py in Chromium.")
    parser.add_argument("checkpoints", nargs="*")
    parser.add_argument("--shots", type=Path, default=Path("cache/shots"))
    options = parser.parse_args()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise BadInput("playwright is not installed: run 'python -m pip install playwright'"
                       ) from None
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser",
                                                    "google-chrome"))), None)
    if chromium is None:
        raise BadInput("there is no Chromium in the path: install one")
    from page.models import LOADERS, Models

    places, faults = [SHIPPED, *options.checkpoints], []
    kinds = {kind: len(Models(places).of(kind)) for kind in LOADERS}
    options.shots.mkdir(parents=True, exist_ok=True)
    with Page([Path(one).resolve() for one in places]) as page, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name in WIDTHS:
            for scheme in SCHEMES:
                faults += drive(browser, page.url, name, scheme, options.shots, kinds)
        browser.close()
        print(f"ended {page.interrupt():.2f} s after Ctrl-C, and left {len(page.files())} files")
    print("\n".join(faults) or "no fault", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    run_command(main)
