# make study   creates .venv, installs, runs the staged search, leaves a report
# make test    creates .venv, installs, runs the tests
# make bench   measures us and the peers, writes docs/performance.md
# make accuracy  trains what docs/accuracy.md reports, writes that page
PYTHON ?= python3
VENV ?= .venv
OUT ?= study
STUDY_OPTIONS ?=
BENCH_OPTIONS ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCH_INSTALLED := $(VENV)/.bench-installed

.PHONY: study test lint doctest bench reproduction accuracy clean

study: $(INSTALLED)
	$(BIN)/skmnist study --out $(OUT) $(STUDY_OPTIONS)

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

doctest: $(INSTALLED)
	$(BIN)/python -m pytest --doctest-modules --doctest-glob='*.md' skmnist README.md

# More than an hour on two quiet cores; needs the MNIST files, and of torch its CPU
# build is enough. BENCH_OPTIONS="--only fit startup" measures some of it.
bench: $(BENCH_INSTALLED)
	$(BIN)/python benchmarks/run.py $(BENCH_OPTIONS)
	$(BIN)/python benchmarks/page.py

# Some twenty minutes on two cores; needs the MNIST files.
reproduction: $(INSTALLED)
	$(BIN)/python docs/reproduction.py --run

# An hour or two on two cores; needs the MNIST files. Made runs are not repeated.
accuracy: $(INSTALLED)
	$(BIN)/python docs/accuracy.py --run

clean:
	rm -rf $(VENV) build *.egg-info

$(INSTALLED): setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	touch $@

$(BENCH_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	touch $@
