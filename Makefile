# Everything here needs Python 3.11 or later, git and make; the rest is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export HYPOTHESIS_STORAGE_DIRECTORY := $(VENV)/hypothesis
unexport PYTHONDONTWRITEBYTECODE # pytest keeps what it has made of the assertions: it takes a worker longer than to load the tests

# What a rule about C or the tree is tested by: no hooks, no model, no program that is started for it.
QUICK := tests/c tests/evidence tests/kernel tests/plan tests/syzlang tests/test_config.py tests/test_house.py
# but for the files that take most of the time: hostile texts, and many small trees
LONG := tests/c/test_legible.py tests/evidence/functional/test_surroundings.py tests/evidence/functional/test_alike_code.py \
	tests/evidence/options/test_other_architectures.py tests/evidence/reach/devices/test_device_solver.py
# One more than processors: many tests wait for processes that they have started.
PYTEST = $(BIN)/pytest -n $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) --dist worksteal

.PHONY: demo test check-quick coverage lint docs soak conformance browser clean

# The program alone, with what it needs; remade when that has changed.
$(VENV)/.program: pyproject.toml
	@echo "== making $(VENV) with $$($(PYTHON) --version), and installing the program and what it imports there"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# And what the tests need.
$(VENV)/.made: $(VENV)/.program
	@echo "== installing what the tests need"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/.program
	@$(BIN)/python tests/demo.py

lint: $(VENV)/.made
	@echo "== ruff, vulture, mypy, import contract"
	@$(BIN)/ruff check hook tests bench
	@$(BIN)/ruff format --quiet --check hook tests bench
	@$(BIN)/vulture
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

# An installed program is compiled; here it is done by hand, since the tests start it hundreds of times.
test: lint
	@$(BIN)/python -m compileall -q hook tests
	@echo "== tests: 5 to 10 minutes on two processors that have nothing else to do"
	@$(PYTEST)
	@echo "== all passed"

# For the loop of a developer: about a minute. It leaves out LONG, the hooks, the commands, the model, reports, records, mail and the cluster.
check-quick: lint
	@echo "== the tests of rules and readers: about a minute"
	@$(PYTEST) $(QUICK) $(LONG:%=--ignore=%)

# The tests once more, with the lines that none of them runs: it takes the processors two thirds longer.
coverage: $(VENV)/.made
	@$(PYTEST) --cov --cov-report=term

# The manual, as HTML; a link that leads nowhere is an error. The tests build it too.
docs: $(VENV)/.made
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky docs .docs
	@echo ".docs/manual.html"

# More of the random sequences, and of the commits whose hooks are killed, than a person waits for.
soak: $(VENV)/.made
	@SEQUENCES=1000 $(BIN)/pytest tests/agent/test_loop.py -k whatever
	@SEQUENCES=100 $(BIN)/pytest tests/source/test_index.py -k plain
	@SEQUENCES=5000 $(BIN)/pytest tests/source/test_literals.py -k matches
	@COMMITS=200 $(BIN)/pytest tests/test_failures.py -k killed
	@KILLS=20 $(BIN)/pytest tests/bulk/test_kills.py

# Real engines that nobody here wrote; not part of the tests, since they take long to install.
conformance: $(VENV)/.made
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/conformance/run.py .conformance

# The pages in a real browser: Chromium and its driver from the system, axe-core out of a package that carries it.
browser: $(VENV)/.made
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[browser]'
	@test -d .browser || $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target .browser axe-playwright-python
	@$(BIN)/pytest -p no:xdist tests/browser/pages.py

clean:
	rm -rf $(VENV) .browser .docs .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
