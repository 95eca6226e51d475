# Two commands do all the set-up: `make serve` and `make test`.

PYTHON ?= python3
GALLERY ?= galleries/default
HOST ?= 127.0.0.1
PORT ?= 8000
# Drawings on this machine to serve instead of a download: make serve DATA=some/folder
DATA ?=

BIN := .venv/bin

.PHONY: serve test check lint types suite clean

# Huge pages (where there are any) save 5 % of a net's time.
serve: .venv/installed
	$(BIN)/python -m indexer first --gallery $(GALLERY) $(if $(DATA),--data $(DATA))
	GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $(BIN)/python server.py --gallery $(GALLERY) --host $(HOST) --port $(PORT)

# Types are checked while Milvus is installed, which waits for the network and the disk.
test: .venv/installed-dev lint
	$(MAKE) --no-print-directory --jobs=2 types .milvus/tried
	$(MAKE) --no-print-directory suite

check: lint types

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-dev
	$(BIN)/mypy

# One process more than there are cores: many tests wait for a server, a browser or a disk. Two more are slower.
suite: .venv/installed-dev .milvus/tried
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses 4 --dist worksteal

clean:
	rm -rf .venv .milvus .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: requirements-serve.txt | .venv/bin/python
	@echo "Installing what serving needs; the first time this takes about half a minute."
	$(BIN)/pip install --quiet --requirement requirements-serve.txt
	touch $@

.venv/installed-dev: requirements-dev.txt requirements.txt .venv/installed
	@echo "Installing what training, evaluation and the tests need; the first time this takes a few minutes."
	$(BIN)/pip install --quiet --requirement requirements.txt --requirement requirements-dev.txt
	touch $@

# A real Milvus server for the tests, in an environment of its own: it asks for older versions of what we use. Where it cannot
# be installed its tests are skipped, and say so.
.milvus/installed:
	rm -rf .milvus
	$(PYTHON) -m venv .milvus
	.milvus/bin/pip install --quiet "milvus==2.3.5" "setuptools<81"
	touch $@

.milvus/tried: requirements-milvus.txt .venv/installed-dev
	@echo "Installing a Milvus server for the tests; the first time this takes half a minute."
	$(BIN)/pip install --quiet --requirement requirements-milvus.txt && $(MAKE) --silent .milvus/installed || \
		echo "No Milvus server could be installed here: its tests will be skipped." >&2
	mkdir -p .milvus && touch $@
