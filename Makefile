# `make demo` shows what eosin does, `make test` proves it, `make test-long` at length, `make docs` explains it. All install what they need into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Links into uv's cache instead of a second copy: half the disk (uv copies by itself where the two lie on different disks).
export UV_LINK_MODE ?= hardlink
# Threads that spin while they wait make a shared machine ten times slower.
export GOMP_SPINCOUNT ?= 1000
# Where this is set, every process compiles its libraries again: 10 s of a core for each that trains.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo docs test test-long lint lock clean install browser

demo: $(VENV)/.ready
	$(BIN)/eosin demo --out demo

test: $(VENV)/.ready lint browser
	$(BIN)/python -m pytest -n 3 --dist loadfile -q -m "not long"

# Pages are opened in a browser where there is one. Debian's is installed by root; elsewhere those tests are skipped.
browser:
	@command -v chromium >/dev/null 2>&1 || test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null 2>&1 || \
	  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive timeout 300 apt-get -qq install -y --no-install-recommends chromium; } \
	  >/dev/null 2>&1 || echo "no Chromium could be installed: the tests of pages in a browser are skipped"

# What `make test` leaves out: more hostile files, longer training.
test-long: $(VENV)/.ready
	$(BIN)/python -m pytest -n 2 --dist loadfile -q -m long

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

install: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "eosin needs Python 3.11 or newer; give it by PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

# The site, in docs/_build/html. Its tutorials run when their cells have changed; warnings are errors; nothing is fetched.
docs: $(VENV)/.ready
	$(BIN)/sphinx-build -b html -q -W --keep-going docs docs/_build/html
	@echo "open docs/_build/html/index.html"

# Writes the pinned versions with hashes; no address of any package index goes into the file.
lock: $(VENV)/.ready
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --extra view --extra docs --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate build.in pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) demo dist docs/_build
