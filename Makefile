# make study   creates .venv, installs, runs the staged search in eight minutes, leaves a
#              report; STUDY_OPTIONS="--preset report" runs the search of the source report
# make test    creates .venv, installs, runs the tests
# make test-long   the tests that take minutes: studies killed at random moments
# make test-oldest   the fast tests with the oldest packages that setup.cfg allows
# make docs    creates .venv, installs, builds docs/_build/html
# make bench   measures us and the peers, writes docs/performance.md
# make accuracy  trains what docs/accuracy.md reports, writes that page
# make defaults  compares our defaults with others, writes docs/defaults.md
# make search-methods  compares ways of searching, writes docs/search_methods.md
# make study-page  runs the default study on many data sets, writes docs/study.md
# make preset  searches with the preset "accuracy" on other data, writes docs/preset.md
PYTHON ?= python3
VENV ?= .venv
OUT ?= study
STUDY_OPTIONS ?= --time-budget 8m
BENCH_OPTIONS ?=
DEFAULTS_OPTIONS ?=
SEARCH_OPTIONS ?=

# The tests start many processes: each should find the modules compiled.
export PYTHONDONTWRITEBYTECODE :=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCH_INSTALLED := $(VENV)/.bench-installed
DEFAULTS_INSTALLED := $(VENV)/.defaults-installed
DOCS_INSTALLED := $(VENV)/.docs-installed

.PHONY: study test test-long test-oldest lint doctest docs bench reproduction accuracy preset study-page defaults findings search-methods clean

study: $(INSTALLED)
	$(BIN)/skmnist study --out $(OUT) $(STUDY_OPTIONS)

# The processes take the files in the order of tests/conftest.py: the longest first.
PYTEST := -m pytest --dist loadfile --no-loadscope-reorder

test: $(INSTALLED)
	$(BIN)/python $(PYTEST) -n 2

# To read all tests takes each process ten seconds: only the files that have some. Three
# processes, because many of these tests wait for others that they start.
test-long: $(INSTALLED)
	$(BIN)/python $(PYTEST) -n 3 -m long $$(grep -rlE --include='test_*.py' 'mark\.long' tests)

# The lower bounds of setup.cfg, as constraints of an environment of its own.
test-oldest:
	$(PYTHON) -m venv $(VENV)-oldest
	$(PYTHON) tests/oldest.py > $(VENV)-oldest/constraints.txt
	$(VENV)-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c $(VENV)-oldest/constraints.txt -e ".[plots,test]"
	$(VENV)-oldest/bin/python $(PYTEST) -n 2 -m "not slow and not long"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

doctest: $(INSTALLED)
	$(BIN)/python -m pytest --doctest-modules --doctest-glob='*.md' skmnist README.md docs/*.md docs/guide docs/how_to

# Warnings are errors, references that lead nowhere among them; needs no network.
docs: $(DOCS_INSTALLED)
	$(BIN)/python -m sphinx -n -W --keep-going --quiet docs docs/_build/html

# More than an hour on two quiet cores; needs the MNIST files, and of torch its CPU
# build is enough. BENCH_OPTIONS="--only fit startup" measures some of it.
bench: $(BENCH_INSTALLED)
	$(BIN)/python benchmarks/run.py $(BENCH_OPTIONS)
	$(BIN)/python benchmarks/page.py

# Some twenty minutes on two cores; needs the MNIST files.
reproduction: $(INSTALLED)
	$(BIN)/python docs/reproduction.py --run

# About an hour on one core; needs the MNIST files. Goes on where it was stopped.
findings: $(INSTALLED)
	$(BIN)/python docs/findings.py --run

# An hour or two on two cores; needs the MNIST files. Made runs are not repeated.
accuracy: $(INSTALLED)
	$(BIN)/python docs/accuracy.py --run

# Hours on two quiet cores; needs the MNIST files. Made runs are not repeated.
study-page: $(INSTALLED)
	$(BIN)/python docs/study.py --run

# Half an hour on two cores, most of it for MNIST, whose files it needs.
preset: $(INSTALLED)
	$(BIN)/python docs/preset.py --run

# Hours on two cores without the results in docs/results/defaults; needs the MNIST files,
# and of torch its CPU build is enough. DEFAULTS_OPTIONS="--only ours" measures some.
defaults: $(DEFAULTS_INSTALLED)
	$(BIN)/python benchmarks/defaults.py $(DEFAULTS_OPTIONS)
	$(BIN)/python benchmarks/defaults_page.py

# 45 minutes on one core; needs the MNIST files. Made runs are not repeated.
search-methods: $(BENCH_INSTALLED)
	$(BIN)/python benchmarks/search_methods.py $(SEARCH_OPTIONS)
	$(BIN)/python benchmarks/search_methods_page.py

clean:
	rm -rf $(VENV) build *.egg-info docs/_build docs/auto_examples docs/auto_tutorials docs/generated

$(INSTALLED): setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[plots,test]"
	touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch $@

$(BENCH_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	touch $@

$(DEFAULTS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench-defaults]"
	touch $@
