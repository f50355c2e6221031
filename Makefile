# `make help` lists the commands. Each one sets itself up; only Python ≥ 3.11 must be installed.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
# Test files that run at once: most tests wait for their own processes.
JOBS   ?= 4
VENV   := .venv
BIN    := $(VENV)/bin
BENCH  := $(BIN)/llm-bench
READY  := $(VENV)/.ready
DEV    := $(VENV)/.ready-dev
STATE  := $(or $(LLM_BENCH_HOME),.cache)
DATA   := $(STATE)/.ready
# A network that inspects TLS has its certificates in the system's store, which pip reads too.
export UV_SYSTEM_CERTS ?= 1
# Compile once, here. Where Python may not write its caches, every process would compile again.
export UV_COMPILE_BYTECODE ?= 1
# Tests start hundreds of processes, which would compile the same modules again and again.
test test-fast: export PYTHONDONTWRITEBYTECODE :=
# They compute instead of waiting.
test-fast: JOBS := 2

# The pages of the site: docs/ and the pages at the top, side by side.
SOURCE := .cache/docs/source
export NO_MKDOCS_2_WARNING := 1

# The variables of each command. They are checked before anything starts: a misspelt ENDPOINT would deploy an endpoint.
RUN_VARIABLES   := PLAN INSTANCE ENDPOINT RESULTS PROCESSES SEARCH JSON
TAKES_bench     := $(RUN_VARIABLES) METRICS BIND TOKEN
TAKES_quick     := ENDPOINT COMPONENT RESULTS JSON
TAKES_rehearse  := $(RUN_VARIABLES) FULL METRICS BIND TOKEN
TAKES_ui        := $(RUN_VARIABLES) PORT BIND TOKEN
TAKES_master    := $(RUN_VARIABLES) WORKERS PORT BIND TOKEN PAGE METRICS
TAKES_worker    := MASTER PORT PROCESSES RECONNECT TOKEN
TAKES_report    := RUN LOCUST FMBENCH DEMAND PRICE AIPERF OUT JSON
TAKES_compare   := A B OUT JSON
TAKES_collect   := RUN SPOOL
TAKES_mlflow    := RUN URI EXPERIMENT REPLACE JSON
TAKES_plan      := $(RUN_VARIABLES)
TAKES_trace     := FILE SPEED SECONDS INSTANCE REGION
TAKES_fleet     := ENDPOINT MASTER IMAGE SUBNETS HOSTS INSTANCE MINUTES PROCESSES PORT PRICE TOKEN DOWN ALL REGION JSON
TAKES_endpoints := REGION JSON
TAKES_teardown  := REGION ALL JSON
TAKES_calibrate := QUICK
TAKES_test      := JOBS TESTS
TAKES_test-fast := JOBS TESTS
COMMANDS := bench quick rehearse ui master worker report compare collect mlflow trace plan fleet endpoints teardown calibrate setup test test-fast check docs lock clean help
include arguments.mk
# Of `make fleet`: with DOWN=1, only what that takes is passed on.
FLEET_OPTIONS = $(foreach o,ENDPOINT MASTER IMAGE SUBNETS HOSTS INSTANCE MINUTES PROCESSES PORT PRICE,$(call option,$o,--$(call lower,$o)))
AS_JSON = $(call flag,JSON,--json)
RUN_OPTIONS = $(call option,PLAN,--plan) $(call option,INSTANCE,--instance) $(call option,ENDPOINT,--endpoint) \
              $(call option,RESULTS,--results) $(call option,PROCESSES,--processes) $(call flag,SEARCH,--search) $(AS_JSON)
METRICS_OPTIONS = $(call option,METRICS,--metrics) $(call option,BIND,--bind)
# Through the environment: every user of the machine can read the command line of a process.
WITH_TOKEN = $(if $(filter TOKEN,$(GIVEN)),BENCH_TOKEN=$(call quoted,TOKEN))
REPORT_OPTIONS = $(call quoted,RUN) $(call option,LOCUST,--locust) $(call option,FMBENCH,--fmbench) \
                 $(call option,DEMAND,--demand) $(call option,PRICE,--price) $(call flag,AIPERF,--aiperf) $(call option,OUT,--out) $(AS_JSON)

##@ Benchmark
bench: setup ## Deploy, sweep, report, delete: INSTANCE= PLAN= ENDPOINT= SEARCH=1 (the highest load under the SLO) RESULTS= PROCESSES= JSON=1 METRICS=9646 (a page for Prometheus) (default: a real model on this machine)
	@$(WITH_TOKEN) $(BENCH) run $(RUN_OPTIONS) $(METRICS_OPTIONS)
quick: setup ## Check one endpoint in a minute: does it answer, how fast, does it stream: ENDPOINT= COMPONENT= (default: the model on this machine)
	@$(BENCH) quick $(call option,ENDPOINT,--endpoint) $(call option,COMPONENT,--component) $(call option,RESULTS,--results) $(AS_JSON)
rehearse: setup ## Rehearse a plan on this machine with a simulated container: INSTANCE= PLAN= FULL=1 (full windows)
	@$(WITH_TOKEN) $(BENCH) rehearse $(RUN_OPTIONS) $(call flag,FULL,--full) $(METRICS_OPTIONS)
ui: setup ## Like bench, with a live page in the browser: PORT=8089 BIND=0.0.0.0 (with a login)
	@$(WITH_TOKEN) $(BENCH) ui $(RUN_OPTIONS) $(call option,PORT,--port) $(call option,BIND,--bind)
master: setup ## Like bench, with load from several hosts: WORKERS=2 BIND=0.0.0.0 PAGE=8089 (prints the command for each host)
	@$(WITH_TOKEN) $(BENCH) master $(RUN_OPTIONS) $(call option,WORKERS,--workers) $(call option,PORT,--port) $(call option,BIND,--bind) $(call option,PAGE,--page) $(call option,METRICS,--metrics)
worker: setup ## Join a master as a load worker until its run ends: MASTER=host TOKEN= RECONNECT=120 (seconds to try again)
	@$(WITH_TOKEN) $(BENCH) worker $(call option,MASTER,--master) $(call option,PORT,--port) $(call option,PROCESSES,--processes) $(call option,RECONNECT,--reconnect)

##@ Report
report: setup ## Make a report: RUN=results/latest, LOCUST=prefix (Locust CSV files) or FMBENCH=folder; DEMAND= PRICE=1.41 or TYPE=1.41,TYPE=2.82 AIPERF=1 (NVIDIA AIPerf's form, too) OUT=
	@$(BENCH) report $(REPORT_OPTIONS)
compare: setup ## Is B worse than A beyond noise? A=run B=run, several runs of a side with commas (fails if so)
	@$(BENCH) compare $(call quoted,A) $(call quoted,B) $(call option,OUT,--out) $(AS_JSON)
collect: setup ## Add the rows that workers still have on disk to a run: RUN=results/latest SPOOL=folder (copied from their hosts)
	@$(BENCH) collect $(call quoted,RUN) $(call option,SPOOL,--spool)
mlflow: setup ## Log a report to MLflow: RUN=results/latest URI=http://host:5000 or an ARN, EXPERIMENT= REPLACE=1 (delete another report of the run there)
	@$(BENCH) mlflow $(call quoted,RUN) $(call option,URI,--uri) $(call option,EXPERIMENT,--experiment) $(call flag,REPLACE,--replace) $(AS_JSON)

##@ Workload
trace: setup ## Describe a trace of production traffic: FILE= SPEED=2 SECONDS=600 INSTANCE=ml.g5.xlarge (cost of a replay)
	@$(BENCH) trace $(call quoted,FILE) $(call option,SPEED,--speed) $(call option,SECONDS,--seconds) $(call option,INSTANCE,--instance) $(call option,REGION,--region)

##@ AWS account
plan: setup ## Check a plan and estimate duration and cost, before anything is created: INSTANCE= PLAN= ENDPOINT=
	@$(BENCH) plan $(RUN_OPTIONS)
fleet: setup ## Start worker hosts on EC2, and state what they cost at most: ENDPOINT= MASTER=10.0.0.5 IMAGE= SUBNETS=a,b HOSTS=2 INSTANCE=c7i.xlarge MINUTES=240; DOWN=1 deletes them
	@$(WITH_TOKEN) $(BENCH) fleet $(if $(call flag,DOWN,1),down $(call flag,ALL,--all),up $(FLEET_OPTIONS)) $(call option,REGION,--region) $(AS_JSON)
endpoints: setup ## List what this suite created in the account, with age and cost: REGION=
	@$(BENCH) endpoints $(call option,REGION,--region) $(AS_JSON)
teardown: setup ## Delete what this suite created: REGION= ALL=1 (without asking, live runs too)
	@$(BENCH) teardown $(call option,REGION,--region) $(call flag,ALL,--all) $(AS_JSON)

##@ This machine
calibrate: setup ## Measure how accurate this machine's load generator is: QUICK=1
	@$(BENCH) calibrate $(call flag,QUICK,--quick)
setup: $(READY) $(DATA) ## Install into .venv, and prepare the model and the prompts (once)

##@ Development
test: setup $(DEV) ## Run every test, including runs with the real model: TESTS= JOBS=
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS)
test-fast: setup $(DEV) ## Run the tests that start no process, draw no picture and write no whole report: TESTS= JOBS=
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not e2e" $(TESTS)
check: setup $(DEV) ## Lint, type checks and import rules
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports
lock: ## Resolve the requirements into the lock files again
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements.txt -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --group dev -c requirements.lock -o requirements-dev.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --group worker -c requirements.lock -o requirements-worker.lock
docs: setup $(DEV) ## Build the documentation's pages in .cache/docs/site
	@rm -rf .cache/docs && mkdir -p $(SOURCE)/configs && cp -R docs/. LICENSE $(SOURCE) && cp configs/*.yml configs/*.json $(SOURCE)/configs
	@for page in *.md docs/*.md; do sed -E 's#(\]\(|")(docs|\.\.)/#\1#g' "$$page" >"$(SOURCE)/$$(basename "$$page")"; done
	@mv $(SOURCE)/README.md $(SOURCE)/index.md && $(BIN)/mkdocs build
clean: ## Remove the environment and the caches; keeps results and the ledger of what costs money
	rm -rf $(VENV) payloads/built .mypy_cache .ruff_cache
	@test ! -d .cache || find .cache -mindepth 1 -maxdepth 1 ! -name ledger -exec rm -rf {} +

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: $(COMMANDS)

# Installation: hash-checked, nothing is resolved. The stamp repeats it only when a lock changes.
$(READY): requirements.lock requirements-installer.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("error: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12")'
	@echo "setting up $(VENV) (once, about a minute)" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-installer.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --no-deps --require-hashes -r requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --no-deps --no-build-isolation --offline -e .
	@touch $@
$(DEV): $(READY) requirements-dev.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --no-deps --require-hashes -r requirements-dev.lock
	@touch $@
$(DATA): $(READY) emulator/model.py payloads/build.py
	@echo "preparing the model and the prompts (once)" >&2
	@$(BIN)/python -m emulator.model >&2
	@$(BIN)/python -m payloads --tokenizer $(STATE)/models/smollm2-135m-instruct.tokenizer.json >&2
	@touch $@
