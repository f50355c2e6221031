# `make help` lists the targets. Every target sets itself up; nothing needs to be installed but Python ≥ 3.11.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
# Test files at a time: most tests wait for processes of their own.
JOBS   ?= 3
VENV   := .venv
BIN    := $(VENV)/bin
BENCH  := $(BIN)/llm-bench
READY  := $(VENV)/.ready
DEV    := $(VENV)/.ready-dev
STATE  := $(or $(LLM_BENCH_HOME),.cache)
DATA   := $(STATE)/.ready
# A network that inspects TLS has its certificates in the system's store, where pip looks too.
export UV_SYSTEM_CERTS ?= 1
# Compiled once here, not again at every start of every process where Python may not write its caches.
export UV_COMPILE_BYTECODE ?= 1

# What each command takes. It is checked before anything starts: a misspelt ENDPOINT would deploy a new endpoint.
RUN_VARIABLES   := PLAN INSTANCE ENDPOINT RESULTS PROCESSES
TAKES_bench     := $(RUN_VARIABLES)
TAKES_rehearse  := $(RUN_VARIABLES) FULL
TAKES_ui        := $(RUN_VARIABLES) PORT
TAKES_master    := $(RUN_VARIABLES) WORKERS PORT BIND TOKEN
TAKES_worker    := MASTER PORT PROCESSES TOKEN
TAKES_report    := RUN LOCUST FMBENCH DEMAND PRICE OUT
TAKES_compare   := A B OUT
TAKES_plan      := $(RUN_VARIABLES)
TAKES_endpoints := REGION
TAKES_teardown  := REGION ALL
TAKES_calibrate := QUICK
TAKES_test      := JOBS TESTS
COMMANDS := bench rehearse ui master worker report compare plan endpoints teardown calibrate setup test check lock clean help
include arguments.mk
RUN_OPTIONS = $(call option,PLAN,--plan) $(call option,INSTANCE,--instance) $(call option,ENDPOINT,--endpoint) \
              $(call option,RESULTS,--results) $(call option,PROCESSES,--processes)
# Not on the command line of a process, where every user of the machine could read it.
WITH_TOKEN = $(if $(filter TOKEN,$(GIVEN)),BENCH_TOKEN=$(call quoted,TOKEN))
REPORT_OPTIONS = $(call quoted,RUN) $(call option,LOCUST,--locust) $(call option,FMBENCH,--fmbench) \
                 $(call option,DEMAND,--demand) $(call option,PRICE,--price) $(call option,OUT,--out)

##@ Benchmark
bench: setup ## Deploy, sweep, report, delete: INSTANCE= PLAN= ENDPOINT= RESULTS= PROCESSES= (default: a real model, here)
	@$(BENCH) run $(RUN_OPTIONS)
rehearse: setup ## The same plan on a local SageMaker with a simulated container: INSTANCE= PLAN= FULL=1 for full windows
	@$(BENCH) rehearse $(RUN_OPTIONS) $(call flag,FULL,--full)
ui: setup ## The same run, live in Locust's web UI: PORT=8089
	@$(BENCH) ui $(RUN_OPTIONS) $(call option,PORT,--port)
master: setup ## The same run, load from several hosts: WORKERS=2 BIND=0.0.0.0, then the command it prints on each
	@$(WITH_TOKEN) $(BENCH) master $(RUN_OPTIONS) $(call option,WORKERS,--workers) $(call option,PORT,--port) $(call option,BIND,--bind)
worker: setup ## Make load for a master's run, whenever it comes, until it is over: MASTER=host TOKEN=
	@$(WITH_TOKEN) $(BENCH) worker $(call option,MASTER,--master) $(call option,PORT,--port) $(call option,PROCESSES,--processes)

##@ Report
report: setup ## Make a report again: RUN=results/latest, or LOCUST=prefix of any Locust CSVs, or FMBENCH=folder; DEMAND= PRICE=1.41 or TYPE=1.41,TYPE=2.82 OUT=
	@$(BENCH) report $(REPORT_OPTIONS)
compare: setup ## Is B slower than A beyond noise? A=run B=run, several of a side with commas (exit code 1: regression)
	@$(BENCH) compare $(call quoted,A) $(call quoted,B) $(call option,OUT,--out)

##@ AWS account
plan: setup ## Preflight, duration and cost, before anything is created: INSTANCE= PLAN= ENDPOINT=
	@$(BENCH) plan $(RUN_OPTIONS)
endpoints: setup ## What we own in the account, with age and cost so far: REGION=
	@$(BENCH) endpoints $(call option,REGION,--region)
teardown: setup ## Delete what we own, by ledger and by tag: REGION=, ALL=1 without asking (a live run too)
	@$(BENCH) teardown $(call option,REGION,--region) $(call flag,ALL,--all)

##@ This machine
calibrate: setup ## How true this machine's load generator is, against a server of known truth: QUICK=1
	@$(BENCH) calibrate $(call flag,QUICK,--quick)
setup: $(READY) $(DATA) ## Install into .venv, prepare the model and the prompts (done once)

##@ Development
test: setup $(DEV) ## Every test, the run with the real model among them
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(TESTS)
check: setup $(DEV) ## Lint, types, the rules of the house
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports
lock: ## Resolve the requirements anew into the lock files
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements.txt -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --group dev -c requirements.lock -o requirements-dev.lock
clean: ## Remove the environment and the caches; results stay, and the ledger of what costs money
	rm -rf $(VENV) payloads/built .mypy_cache .ruff_cache
	@test ! -d .cache || find .cache -mindepth 1 -maxdepth 1 ! -name ledger -exec rm -rf {} +

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: $(COMMANDS)

# Installation: hash-checked, nothing resolved. The stamp makes it run again only when a lock changes.
$(READY): requirements.lock requirements-installer.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("error: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12")'
	@echo "setting up $(VENV) (once, about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-installer.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --no-deps --require-hashes -r requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --no-deps --no-build-isolation --offline -e .
	@touch $@
$(DEV): $(READY) requirements-dev.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --no-deps --require-hashes -r requirements-dev.lock
	@touch $@
$(DATA): $(READY) emulator/model.py payloads/build.py
	@echo "preparing the model and the prompts (once)"
	@$(BIN)/python -m emulator.model
	@$(BIN)/python -m payloads --tokenizer $(STATE)/models/smollm2-135m-instruct.tokenizer.json
	@touch $@
