# `make help` lists what there is. Everything is made below target/, and nothing of it is committed.
#
# Honoured by every target that starts the program, as by the program itself:
#   PORT  AUTH_TOKEN  WEBAI_CONFIG  WEBAI_DATA_DIR (default ./data)  LOG_FORMAT
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

DEBUG := target/debug/webai2api
RELEASE := target/release/webai2api

export WEBAI_DATA_DIR ?= $(CURDIR)/data
# Where the program finds the adapters that come with it. In the image it is set by the Dockerfile.
export WEBAI_BUNDLED ?= $(CURDIR)/target/adapters
# Only `run` may hand these on to what it starts; a test must not change with the caller's settings.
TEST_ENV := env -u PORT -u AUTH_TOKEN -u WEBAI_CONFIG -u WEBAI_DATA_DIR -u LOG_FORMAT -u RUST_LOG -u MAKEFLAGS -u MFLAGS

# Lints and tests in one build: clippy's driver is the compiler, with lints. `cargo clippy` would check all dependencies once more, for a
# tenth of the time that `make test` takes.
LINTED := --config 'build.rustc-workspace-wrapper="clippy-driver"'
DENY_WARNINGS := CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__
CARGO_TEST := $(TEST_ENV) $(DENY_WARNINGS) cargo test $(LINTED) --locked --workspace

.PHONY: help run run-lab build adapters test lab check test-rust test-scripts deny bench chaos soak fuzz image-test fmt clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## set up what is missing, build, and start it (PORT, AUTH_TOKEN, WEBAI_CONFIG, WEBAI_DATA_DIR)
	@scripts/setup build browser
	@$(MAKE) build
	@exec $(RELEASE) serve

run-lab: ## the same, in front of a real model: llama.cpp's page and Open WebUI on this machine (docs/lab.md)
	@scripts/setup build browser llama-cpp open-webui
	@$(MAKE) build
	@exec scripts/lab run $(RELEASE)

# The guest compiler is mostly a download, the program mostly computing: one beside the other.
# cargo must not take make's job server for its own, hence no MAKEFLAGS.
build: ## the program (target/release/webai2api) and the adapters (target/adapters)
	@scripts/setup build
	@unset MAKEFLAGS MFLAGS; scripts/guest-toolchain >/dev/null & guest=$$!; \
	cargo build --locked --release -p webai2api || { kill $$guest 2>/dev/null; exit 1; }; \
	wait $$guest; \
	GUEST_QUIET=1 scripts/build-adapters $(RELEASE)

adapters: ## the adapters alone (ADAPTER=demo: one of them)
	@[ -x $(RELEASE) ] || cargo build --locked --release -p webai2api
	@scripts/build-adapters $(RELEASE) $(ADAPTER)

test: ## everything: format, lints, dependencies, unit, integration in a real Chromium, docs, scripts
	@scripts/setup build browser clients llama-cpp
	cargo fmt --all --check
	@$(MAKE) deny test-rust

lab: ## the tests with real chat applications: what `make test` has of them, and Open WebUI
	@scripts/setup build browser llama-cpp open-webui
	$(CARGO_TEST) --test integration --no-run
	$(TEST_ENV) scripts/build-adapters $(DEBUG)
	$(CARGO_TEST) --test integration -- lab:: --include-ignored --nocapture --test-threads 1

check: ## format and lints alone
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

# What .config/nextest.toml gives the whole machine.
ALONE := chaos:: soak:: adapter_watch:: adapter_kit::a_new_project
# Tests run against the debug program, and adapters made as they ship. The program is built by the same call as the tests: cargo
# unites the features of what it builds in one call, and another selection would compile wasmtime a second time.
# The scripts' tests mostly wait for downloads, and do so meanwhile.
test-rust:
	@mkdir -p target
	scripts/test-guest-toolchain >target/test-scripts.log 2>&1 & scripts=$$!; \
	$(CARGO_TEST) --lib --bins --tests --no-run || { kill $$scripts 2>/dev/null; exit 1; }; \
	wait $$scripts || { cat target/test-scripts.log; exit 1; }; \
	tail -1 target/test-scripts.log
	$(TEST_ENV) scripts/build-adapters $(DEBUG)
	$(TEST_ENV) scripts/build-test-guests
	if cargo nextest --version >/dev/null 2>&1; then \
		$(TEST_ENV) $(DENY_WARNINGS) cargo nextest run $(LINTED) --locked --workspace; \
	else \
		$(CARGO_TEST) --lib --bins --tests -- $(ALONE:%=--skip %) && \
		$(CARGO_TEST) --test integration -- $(ALONE) --test-threads 1; \
	fi
	$(CARGO_TEST) --doc

test-scripts: ## the tests of the scripts alone
	scripts/test-guest-toolchain

deny: ## licences, sources and known vulnerabilities of the dependencies
	scripts/check-dependencies

bench: ## the benchmarks: a table, and JSON in target/bench (BENCH=--quick: some minutes; see bench/run.mjs)
	@scripts/setup build browser clients
	@$(MAKE) build
	@$(TEST_ENV) scripts/bench $(RELEASE) $(BENCH)

chaos: ## everything that goes wrong, for minutes: a report in target/chaos (CHAOS_SECONDS=300, CHAOS_SEED)
	@scripts/setup build browser
	@$(MAKE) build
	@mkdir -p target/chaos
	TEST_PROGRAM=$(CURDIR)/$(RELEASE) CHAOS_SECONDS=$${CHAOS_SECONDS:-300} CHAOS_SEED=$${CHAOS_SEED:-$$RANDOM} CHAOS_REPORT=$(CURDIR)/target/chaos/report.json \
		$(CARGO_TEST) --test integration -- chaos:: --nocapture

soak: ## thousands of requests: figures and plots in target/soak (SOAK_REQUESTS=5000)
	@scripts/setup build browser
	@$(MAKE) build
	TEST_PROGRAM=$(CURDIR)/$(RELEASE) SOAK_REQUESTS=$${SOAK_REQUESTS:-5000} SOAK_OUT=$(CURDIR)/target/soak \
		$(CARGO_TEST) --test integration -- soak:: --nocapture

fuzz: ## look for input that breaks a parser (FUZZ="selector manifest": those alone; SECONDS_EACH=60)
	@scripts/setup build
	@[ -x $(RELEASE) ] || $(MAKE) build
	@$(TEST_ENV) scripts/fuzz $(RELEASE) $(FUZZ)

image-test: ## build the container image and try it, without a Docker daemon (Debian, as root)
	@scripts/image-test

fmt: ## format the sources
	cargo fmt --all

# The compiled dependencies and the guest compiler take minutes to make again, and stay.
clean: ## remove what was built from our own sources
	cargo clean -p webai2api -p webai-adapter $$(sed -n 's/^name = "\(.*\)"/-p \1/p' adapters-wasm/*/Cargo.toml | grep -v 'webai-adapter$$')
	rm -rf target/adapters target/bench
