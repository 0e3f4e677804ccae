# OCR Services. `make help` lists what there is.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VENV := .venv
BIN := $(VENV)/bin
# The first Python of a supported version; `make PYTHON=/path/to/python` chooses another.
PYTHON ?= $(shell for each in python3.11 python3.12 python3.13 python3; do \
	$$each -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$each && break; \
	done)
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check
TESTS ?= tests

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- Installing -------------------------------------------------------------------------------------------------

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "OCR Services needs Python 3.11, 3.12 or 3.13, and found none." >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }

# Of what pip says on standard output a line for every ten packages; its warnings and errors come on standard error.
PIP_PROGRESS := awk '/\.(whl|tar\.gz) \(/ { if (++count % 10 == 0) { print "  " count " packages fetched"; fflush() } } \
	/^Installing collected/ { print "  " count " packages fetched, unpacking them"; fflush() }'

# An installation is a stamp, newer than what it was made from.
$(VENV)/.%-installed: requirements/%.txt pyproject.toml | $(BIN)/python
	@echo "Installing requirements/$*.txt into $(VENV): a minute or more"
	@$(PIP_INSTALL) --progress-bar off --require-hashes --requirement $< | $(PIP_PROGRESS)
	@$(PIP_INSTALL) --no-deps --no-build-isolation --quiet --editable .
	@touch $@

.PHONY: install install-dev install-all
install: $(VENV)/.local-installed ## Install what the demo needs into .venv
install-dev: $(VENV)/.dev-installed ## Install what tests and linters need, too
install-all: $(VENV)/.all-installed ## Install everything, TensorFlow included

# --- Running ----------------------------------------------------------------------------------------------------

.PHONY: demo up
demo: install ## Run the whole pipeline once on a sample image, then stop
	@$(BIN)/python -m services.local.demo

up: install ## Run the embedded stack and every service until Ctrl-C
	@$(BIN)/ocr-services up

# --- Checking ---------------------------------------------------------------------------------------------------

.PHONY: test test-tensorflow test-faults test-faults-single soak lint format parts
test: install-dev ## Run all tests, on real Kafka, S3 and PostgreSQL where they can be had
	@$(BIN)/python -m tests.support.downloads > /dev/null || test -z "$${OCR_REQUIRE_REAL_PARTS:-}"
	$(BIN)/python -m pytest $(TESTS)

test-tensorflow: install-all ## Run the tests of recognition with TensorFlow, both engines side by side
	OCR_REQUIRE_TENSORFLOW=1 $(BIN)/python -m pytest tests/unit/recognition tests/integration/recognition

SEED ?= $(shell echo $$RANDOM)
test-faults: install-dev ## Five storms of faults of a minute each over all services: minutes (SEED=)
	$(BIN)/python -m tests.faults --seconds 60 --storms 5 --seed $(SEED)

soak: SECONDS ?= 1800
soak: install-dev ## The same for as long as you like (SECONDS=, SEED=)
	$(BIN)/python -m tests.faults --seconds 60 --storms $$((($(SECONDS) + 59) / 60)) --seed $(SEED)

test-faults-single: install-dev ## Each kind of fault alone, under production's timeouts, and its cost: minutes (SEED=)
	$(BIN)/python -m tests.faults --single --seed $(SEED)

lint: install-dev ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install-dev ## Let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

parts: install-dev ## Download the real parts that the tests run against
	$(BIN)/python -m tests.support.downloads

.PHONY: test-load test-ledger fuzz audit-dependencies
test-load: install-dev ## Load the system: 1,000 POSTs at once, floods, corrupt files, overdrafts (LOADS=)
	$(BIN)/python -m tests.load $(LOADS)

test-ledger: install-dev ## Post 100,000 usage events over three ledgers that are killed (SEED=)
	$(BIN)/python -m tests.faults.ledger_duplicates --seed $(SEED)

FUZZ_INPUTS ?= 1000000
fuzz: install-dev ## Give every decoder a million inputs that nobody would send (FUZZ_INPUTS=, SEED=)
	$(BIN)/python -m tests.fuzz --inputs $(FUZZ_INPUTS) --seed $(SEED)

audit-dependencies: $(VENV)/.audit-installed ## Look up known vulnerabilities of all that is locked; needs the network
	$(BIN)/python -m deploy.audit_dependencies requirements/*.txt

.PHONY: images
images: ## Build the image of every service, where a container engine runs
	@deploy/build_images.sh

.PHONY: bench
bench: install-dev ## Measure speed and memory, and print the figures with the machine
	$(BIN)/python -m benchmarks

LONG_RUN_PAGES ?= 1000

.PHONY: bench-recognition
bench-recognition: install-all ## Measure our engines beside docTR, OnnxTR, RapidOCR and Tesseract
	@$(TELL_OF_RECEIPTS)
	$(BIN)/python -m benchmarks.recognition --long-run $(LONG_RUN_PAGES) $(RECEIPTS_OPTION)
	@$(TELL_OF_RECEIPTS)

# --- Maintaining ------------------------------------------------------------------------------------------------

UV := $(shell command -v uv || echo $(BIN)/uv)
COMPILE = $(UV) pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" --quiet
SERVICES := intake extractor ledger webhooks api tools

.PHONY: lock
lock: ## Pin all dependencies anew, from pyproject.toml
	$(COMPILE) --extra test --extra lint --extra heic --extra bench --output-file requirements/dev.txt
	$(COMPILE) --extra local --constraint requirements/dev.txt --output-file requirements/local.txt
	$(COMPILE) --extra audit --constraint requirements/dev.txt --output-file requirements/audit.txt
	for service in $(SERVICES); do \
		$(COMPILE) --extra $$service --extra tracing --constraint requirements/dev.txt \
			--output-file requirements/$$service.txt; \
	done
	$(COMPILE) --extra test --extra lint --extra heic --extra bench --extra peers --extra tensorflow \
		--output-file requirements/all.txt
	$(COMPILE) --extra extractor --extra tensorflow --extra tracing --output-file requirements/extractor-tensorflow.txt

.PHONY: clean
clean: ## Remove the virtual environment and caches (not ./data)
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

include training/training.mk
