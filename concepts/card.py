"""Pack a run of a captioner with concepts into one file, with a card; see captioning/card.py.

    python -m concepts.card runs/concepts checkpoints/NAME.safetensors --report R.json --note "..."
"""

from captioning.card import TASKS, main
from concepts.settings import RECIPES, ConceptSettings
from concepts.task import Conceptual
from system.commands import run_command

TASKS[Conceptual.name] = (ConceptSettings, RECIPES)

if __name__ == "__main__":
    run_command(main)
