# make study   creates .venv, installs, runs the staged search, leaves a report
# make test    creates .venv, installs, runs the tests
PYTHON ?= python3
VENV ?= .venv
OUT ?= study
STUDY_OPTIONS ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: study test lint doctest bench reproduction clean

study: $(INSTALLED)
	$(BIN)/skmnist study --out $(OUT) $(STUDY_OPTIONS)

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

doctest: $(INSTALLED)
	$(BIN)/python -m pytest --doctest-modules --doctest-glob='*.md' skmnist README.md

bench: $(INSTALLED)
	$(BIN)/python benchmarks/predict.py

# Some twenty minutes on two cores; needs the MNIST files.
reproduction: $(INSTALLED)
	$(BIN)/python docs/reproduction.py --run

clean:
	rm -rf $(VENV) build *.egg-info

$(INSTALLED): setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	touch $@
