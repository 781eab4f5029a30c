# Needs Python 3.11 or newer with pip, and nothing else. Every target sets up what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PROOFREEL_MODELS_DIR ?= $(CURDIR)/data/models

.PHONY: demo serve up test check bench lock clean

demo: $(VENV)/.run ## Run the service once over the sample recording and print its report
	@$(BIN)/python tools/demo.py

serve: $(VENV)/.run ## Run the service at http://127.0.0.1:8000 until ^C
	@$(BIN)/proofreel models pull base
	@$(BIN)/proofreel serve

up: .env ## Run everything with Docker: web, worker, PostgreSQL, MinIO
	docker compose up --build --detach
	@echo "Proofreel is at http://127.0.0.1:$${PROOFREEL_PORT:-8000} unless .env says otherwise; the key is API_KEY in .env. Stop it with: docker compose down"

.env:
	@sh tools/make_env.sh

test: $(VENV)/.dev $(VENV)-s3/.ready ## Run all tests
	@$(BIN)/proofreel models pull base
	@$(BIN)/proofreel models pull tiny.en
	@PROOFREEL_TEST_SWIFT=$(abspath $(VENV)-s3) $(BIN)/python -m pytest

check: $(VENV)/.dev ## Lint and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/.dev ## Measure against a peer, in the same run
	@$(BIN)/proofreel models pull base
	@$(BIN)/python benchmarks/speed.py

lock: $(VENV)/.dev ## Pin every dependency again
	$(BIN)/pip-compile -q --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url --no-emit-find-links --extra install --extra otel --extra dev -o requirements-dev.txt pyproject.toml
	$(BIN)/pip-compile -q --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url --no-emit-find-links --extra install -c requirements-dev.txt -o requirements.txt pyproject.toml
	$(BIN)/pip-compile -q --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url --no-emit-find-links --extra install --extra otel -c requirements-dev.txt -o requirements-otel.txt pyproject.toml
	$(BIN)/pip-compile -q --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url --no-emit-find-links -o tests/s3/requirements.txt tests/s3/requirements.in

clean:
	rm -rf $(VENV) $(VENV)-s3 demo-output

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Proofreel needs Python 3.11 or newer: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing Proofreel into $(VENV) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)-s3/.ready: tests/s3/requirements.txt | $(VENV)/bin/python
	@echo "Installing the tests' S3 server into $(VENV)-s3 ..."
	@$(PYTHON) -m venv $(VENV)-s3
	@$(VENV)-s3/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@
