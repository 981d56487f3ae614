# make notebooks   set up, draw the embedded datasets, run the seven notebooks in order
# make test        set up, run the tests
# make check       what is slower, side by side: lint, README, kills, memory, the page (for which it
#                  installs gradio into cache/page-venv); the notebooks' style,
#                  all of them small with exercises unsolved and solved, each by itself as on
#                  Colab, those with an encoder on a ResNet that a server on this machine publishes
# make student     student/, to hand out: the notebooks without their solutions, and the modules
#                  that they import
# make handin      run the notebooks and say which exercises pass, also in handin.txt; with
#                  FOLDER=../anna those of a folder handed in, by the checks here
# make gpu-check   on a GPU: no step waits for it, its captions are the CPU's, its speed
# make figures     draw the figures in images/ again
# make clean       delete .venv and what Python and the tools keep for themselves; data/, runs/,
#                  student/ and cache/ stay (python prepare.py cache --empty)

PYTHON ?= python3
PY := .venv/bin/python
export PYTHONOPTIMIZE :=            # the checks need assert
NOTEBOOKS := 0_Dataset 1_Preliminaries 2_Training 3_Inference 4_Attention 5_Questions \
    6_Video
FOLDER ?= .

.PHONY: notebooks test check student handin gpu-check figures clean

notebooks: .venv/installed
	$(PY) prepare.py questions --root data/scenes
	$(PY) prepare.py motion
	$(PY) -m course.notebooks $(NOTEBOOKS:=.ipynb)

test: .venv/installed-dev
	$(PY) -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile \
	    --no-loadscope-reorder

check: .venv/installed-dev           # the longest first; so many at a time as there are cores
	$(PY) -m tests.check \
	    "-m tests.check_colab" "-m tests.check_exercises" "-m tests.check_resnet" \
	    "-m tests.check_kills_training" "-m tests.check_kills" "tests/check_memory.py" \
	    "tests/check_caption_memory.py --pictures 1000" "tests/check_readme.py" \
	    "-m tests.check_page" \
	    "-m tests.check_style" "-m ruff check"

student: .venv/installed
	$(PY) -m course.student

handin: .venv/installed
	$(PY) -m course.handin "$(FOLDER)"

gpu-check: .venv/installed
	$(PY) -m tests.check_gpu

figures: .venv/installed
	$(PY) -m images.unrolled
	$(PY) -m images.draw
	$(PY) -m images.minutes
	$(PY) -m images.risk

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
	rm -rf __pycache__ */__pycache__ */*/__pycache__

.venv/installed: requirements.txt
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet -r requirements.txt
	touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(PY) -m pip install --quiet -r requirements-dev.txt
	touch $@
