# The same words here and in CI. `make setup` needs Python 3.11 or newer, git and make; nothing needs root.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)
BIN := .venv/bin
STAMP := .venv/.ready
WORKERS ?= 2
KILLS ?= 50
MINUTES ?= 30
SEED ?= $(shell date +%s)

.PHONY: help setup demo test quick check audit real chaos soak bench wheel image lock manifests clean

help:
	@echo "make setup   create .venv with kubeledger in it (.venv/bin/kubeledger)"
	@echo "make demo    a real log tree and a generator through the whole pipeline, killed on the way"
	@echo "make test    all tests; those that need Java, Maven or Helm skip with the reason where these are absent"
	@echo "make quick   the tests that take seconds"
	@echo "make real    only the tests against real parts (Apache Kafka); absent parts are failures"
	@echo "make check   formatting, lint, types, import rules"
	@echo "make audit   known vulnerabilities of what is installed (asks the advisory database)"
	@echo "make wheel   build the wheel, install it in an empty environment, run it from elsewhere"
	@echo "make image   build the container image and try it (needs docker or podman)"
	@echo "make chaos   50 kills, stops and cuts each, embedded and with Apache Kafka; prints its seed"
	@echo "make soak    30 minutes at 10 MB/s with rotation: memory, descriptors, audit (about 10 GB)"
	@echo "make bench   performance figures as JSON lines"
	@echo "make manifests   what is generated in deploy/ (needs helm)"
	@echo "make lock    pin all dependencies anew"

setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "kubeledger needs Python 3.11 or newer on the PATH (python3.11, python3.12, …); none was found." >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) lacks the venv module: on Debian, install python3-venv." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	$(BIN)/kubeledger demo

# Each file on one of two workers: most tests wait for processes, not for a core.
test: setup
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

quick: setup
	$(BIN)/python -m pytest -m "not slow and not real"

real: setup
	CI=true $(BIN)/python -m pytest -m real

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: setup
	$(BIN)/python tests/audit.py

chaos: setup
	$(BIN)/python -m tests.chaos --bus sqlite --kills $(KILLS) --seed $(SEED)
	$(BIN)/python -m tests.chaos --bus kafka --kills $(KILLS) --seed $(SEED)

soak: setup
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

wheel: setup
	$(BIN)/python tests/wheel.py

image: setup
	$(BIN)/python -m tests.image

bench: setup
	$(BIN)/python -m tests.bench

lock: setup
	$(BIN)/python -m uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
		--generate-hashes --quiet --custom-compile-command 'make lock' --output-file requirements.lock
	cp requirements.lock deploy/image/requirements.lock  # the image gets the same versions
	$(BIN)/python -m uv pip compile pyproject.toml --universal --python-version 3.11 \
		--generate-hashes --quiet --custom-compile-command 'make lock' \
		--output-file deploy/image/requirements.lock

manifests: setup
	$(BIN)/python -m tests.deploy.chart

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
