# Everything here needs Python 3.11 or later, git and make; the rest is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export HYPOTHESIS_STORAGE_DIRECTORY := $(VENV)/hypothesis

.PHONY: demo test coverage lint docs soak conformance browser clean

# The environment is remade when what the project needs has changed.
$(VENV)/.made: pyproject.toml
	@echo "== making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/.made
	@$(BIN)/python tests/demo.py

lint: $(VENV)/.made
	@echo "== ruff, vulture, mypy, import contract"
	@$(BIN)/ruff check hook tests bench
	@$(BIN)/ruff format --quiet --check hook tests bench
	@$(BIN)/vulture
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

# An installed program is compiled; here it is done by hand, since the tests start it thousands of times.
test: lint
	@$(BIN)/python -m compileall -q hook tests
	@echo "== tests"
	@$(BIN)/pytest -n auto --dist worksteal
	@echo "== all passed"

# The tests once more, with the lines that none of them runs: it takes the processors two thirds longer.
coverage: $(VENV)/.made
	@$(BIN)/pytest -n auto --dist worksteal --cov --cov-report=term

# The manual, as HTML; a link that leads nowhere is an error. The tests build it too.
docs: $(VENV)/.made
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky docs .docs
	@echo ".docs/manual.html"

# More of the random sequences, and of the commits whose hooks are killed, than a person waits for.
soak: $(VENV)/.made
	@SEQUENCES=1000 $(BIN)/pytest tests/agent/test_loop.py -k whatever
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
	rm -rf $(VENV) .browser .docs .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
