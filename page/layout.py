"""The page: what stands where, and what happens when something is dropped, pressed or chosen.

    files, controls --described--> HTML, card by card      files, a question --answered--> HTML
"""

import time
from functools import partial
from pathlib import Path

import gradio as gr

from decoders.search import Search
from encoders.encoding import in_order
from page.cards import Made, card, sheet, tries
from page.describing import Entry, ask, describe, is_clip, narrate, readable
from page.examples import examples
from page.models import ANSWERER, CAPTIONER, NARRATOR
from system.files import BadInput
from vqa.words import question_words

METHODS = {"beams": "beam", "greedy": "greedy", "sampling": "sample"}
PAUSE = 0.6                 # seconds between two looks at how far it is
AT_ONCE = 8                 # drops that are worked on; others wait for their turn
LEFT = "thumbs.db", "desktop.ini"
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial",
         "sans-serif"]
MONO = ["ui-monospace", "Consolas", "monospace"]
# one of the examples was pressed
CHOOSE = """element.addEventListener("click", event => {
  const chosen = event.target.closest("[data-example]");
  if (chosen) trigger("click", {index: chosen.dataset.example});
});"""


class Page:
    """What the page does; its methods are called by gradio, each in a thread of its own."""

    def __init__(self, models, folder):
        self.models, self.folder = models, folder
        self.examples = examples(folder.examples)
        self.graphs = {one.file.name: (one.file.stat().st_size, one.graph)
                       for one in self.examples if one.graph}

    def graph_of(self, file):
        """Return the scene graph of a drawn example, None for any other picture."""
        size, graph = self.graphs.get(file.name, (None, None))
        return graph if size == file.stat().st_size else None

    def told(self, file, name, *how):
        """Return the `Entry` of a clip by the narrator of a name, loaded when there is a clip."""
        return narrate(file, self.models.get(name, NARRATOR), *how)

    def described(self, session, files, name, narrator, *controls):
        """Yield the page's HTML, again whenever some more files are described."""
        files = pictures_among(files)
        if not files:
            yield sheet([], 0)
            return
        token, desk = self.folder.desk(session)
        try:
            given = search_of(*controls)
            ready = self.models.get(name, CAPTIONER)
            search = ready.captioner.search(**given)
        except (BadInput, ValueError) as error:
            yield sheet([card(Entry("these settings", str(error)), token)], len(files), token, True)
            return

        def work(numbered):
            number, file = numbered
            if narrator and is_clip(file):
                return readable(self.told, file, narrator, Search(**given), desk, number)
            return readable(describe, file, ready, search, desk, number, self.graph_of(file))

        made = Made(desk, search.method == "sample" and search.captions > 1)
        cards, shown = [], -PAUSE
        yield sheet([], len(files), token)
        for entry in in_order(work, list(enumerate(files))):
            made.add(entry)
            cards.append(card(entry, token))
            if time.monotonic() - shown > PAUSE and len(cards) < len(files):
                shown = time.monotonic()
                yield sheet(cards, len(files), token)
        if saved := any("captions" in one for one in made.plain):
            made.write(f"{name}, {ready.captioner.search_words(search)}",
                       ready.captioner.search_line(search))
        yield sheet(cards, len(files), token, done=True, saved=saved)

    def answered(self, session, files, name, question):
        """Return the HTML of the answers to a question about each file."""
        files = pictures_among(files)
        token, desk = self.folder.desk(f"{session} answers")
        try:
            if not files:
                raise BadInput("there is nothing to ask about: drop photographs first")
            if not question_words(question or ""):
                raise BadInput("it has no word: ask something, as in 'how many dogs?'")
            answerer = self.models.get(name, ANSWERER)
        except BadInput as error:
            return sheet([card(Entry("your question", str(error)), token)], len(files), token, True)
        cards = [card(readable(ask, file, answerer, question, desk, number), token)
                 for number, file in enumerate(files)]
        if unknown := answerer.unknown(question):
            note = (f"It has not learned {', '.join(f'“{word}”' for word in unknown)}, and answers "
                    "as if an unknown word stood there.")
            cards.insert(0, card(Entry("your question", note=note), token))
        return sheet(cards, len(files), token, done=True)

    def warm(self):
        """Describe one example, so that the first picture of a user does not wait."""
        ready = self.models.get(self.models.of(CAPTIONER)[0], CAPTIONER)
        _, desk = self.folder.desk("")
        readable(describe, self.examples[0].file, ready, ready.captioner.search(), desk, 0)
        self.folder.close("")

    def close(self, session):
        """Forget what was made for a page that was closed."""
        for name in (session, f"{session} answers"):
            self.folder.close(name)


def pictures_among(files):
    """Return the paths of what was dropped, without what systems leave in folders of pictures."""
    paths = [Path(one) for one in files or []]
    return [one for one in paths if not one.name.startswith(".") and one.name.lower() not in LEFT]


def search_of(method, captions, beams, temperature, top_p, top_k, length, repeat, seed):
    """Return the arguments of a `Search` as the page's controls have them.

    A `length` or `repeat` of 0 is left to the captioner.
    """
    own = {"max_length": int(length), "no_repeat_ngram": int(repeat)}
    search = {"method": METHODS.get(method, method), "captions": int(captions),
              **{name: value for name, value in own.items() if value}}
    if method == "beams":
        return {**search, "beam": int(beams), "captions": min(int(captions), int(beams))}
    if method == "greedy":
        return {**search, "captions": 1}
    return {**search, "temperature": temperature, "top_p": top_p, "top_k": int(top_k),
            "seed": int(seed or 0)}


def chooser(models, kind, label):
    """Return a list to choose a model of a kind from, shown if there is a choice."""
    names = models.of(kind)
    return gr.Dropdown(names, value=names[0] if names else None, label=label,
                       visible=len(names) > 1, filterable=False)


def controls():
    """Return the components of how captions are written, in the order of `search_of`."""
    slider = partial(gr.Slider, step=1)
    method = gr.Radio(list(METHODS), value="beams", label="Method")
    captions = slider(1, 8, 1, label="Sentences a picture")
    beams = slider(1, 10, 3, label="Beams")
    temperature = gr.Slider(0.1, 2, 1, step=0.05, label="Temperature", interactive=False)
    top_p = gr.Slider(0.05, 1, 1, step=0.05, label="Top-p", interactive=False)
    top_k = slider(0, 100, 0, label="Top-k (0: all)", interactive=False)
    length = slider(0, 60, 0, label="Ids at most (0: as trained)")
    repeat = slider(0, 5, 0, label="No repeats of N words (0: as trained)")
    seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**32 - 1, interactive=False)
    sampled = [temperature, top_p, top_k, seed]

    def usable(method):
        return [gr.update(interactive=method == "beams"),
                *[gr.update(interactive=method == "sampling")] * len(sampled),
                gr.update(interactive=method != "greedy")]

    method.change(usable, method, [beams, *sampled, captions], show_progress="hidden",
                  api_visibility="undocumented")
    return [method, captions, beams, temperature, top_p, top_k, length, repeat, seed]


def page(models, folder):
    """Return gradio's blocks of the whole page, and how it looks and what gradio says in it.

    The latter are options of gradio's `mount_gradio_app`. It returns once the page is warm.
    """
    does = Page(models, folder)
    does.warm()
    theme = gr.themes.Base(primary_hue="rose", neutral_hue="stone", font=FONTS, font_mono=MONO)
    quiet = {"show_progress": "hidden", "api_visibility": "undocumented"}
    what = "photographs or clips" if models.of(NARRATOR) else "photographs"
    says = gr.I18n(en={"upload_text.drop_file": f"Drop {what} here"})

    # gradio gives a request to whoever names its type
    def described(request: gr.Request, *inputs):
        yield from does.described(request.session_hash, *inputs)

    def answered(request: gr.Request, *inputs):
        return does.answered(request.session_hash, *inputs)

    def closed(request: gr.Request):
        does.close(request.session_hash)

    with gr.Blocks(title="Captions", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML('<header class="head"><h1>What does it see?</h1><p>Drop '
                f"{what}: a captioner describes them, and shows how sure it was of each word. "
                "Nothing leaves this machine.</p></header>")
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                files = gr.File(file_count="multiple", show_label=False, elem_classes="drop",
                                height=180)
                some = gr.HTML(tries(does.examples), js_on_load=CHOOSE)
                captioner = chooser(models, CAPTIONER, "Captioner")
                with gr.Accordion("How it writes", open=False):
                    narrator = chooser(models, NARRATOR, "Teller of clips")
                    how = controls()
                with gr.Row():
                    again = gr.Button("Describe again", variant="primary", min_width=150,
                                      interactive=False)      # before anything is dropped
                    stop = gr.Button("Stop", min_width=80)
            with gr.Column(scale=3, min_width=280):
                captions, asking = results(models)
        inputs, slow = [files, captioner, narrator, *how], {"concurrency_limit": AT_ONCE, **quiet}
        run = gr.on([files.upload, files.clear, files.delete, again.click, captioner.change],
                    described, inputs, captions, trigger_mode="always_last", **slow)

        def chosen(event: gr.EventData):
            return [str(does.examples[int(event.index)].file)]

        tried = some.click(chosen, None, files, **quiet).then(described, inputs, captions, **slow)
        stop.click(None, cancels=[run, tried], **quiet)
        files.change(lambda files: gr.update(interactive=bool(files)), files, again, **quiet)
        if asking:
            *how_to_ask, press, answers = asking
            gr.on([press.click, how_to_ask[1].submit], answered, [files, *how_to_ask], answers,
                  **slow)
        blocks.unload(closed)
    blocks.queue(api_open=False)
    return blocks, {"theme": theme, "i18n": says}


def results(models):
    """Lay out where captions stand and, given question answerers, where one asks.

    Returns the captions' component, and those of an answerer, a question, a button and the answers.
    """
    if not models.of(ANSWERER):
        return gr.HTML(sheet([], 0)), ()
    with gr.Tabs():
        with gr.Tab("Captions"):
            captions = gr.HTML(sheet([], 0))
        with gr.Tab("Questions"):
            answerer = chooser(models, ANSWERER, "Answerer")
            question = gr.Textbox(label="Ask about the pictures",
                                  placeholder="how many cats are there?")
            press = gr.Button("Ask")
            return captions, (answerer, question, press, gr.HTML(sheet([], 0, asks=True)))
