# What people run. Each target sets up what it needs; running one again is quick and harmless.

.PHONY: help setup build demo dev test hosts bench bench-handlers bench-backlog bench-schemes lint

help:
	@echo 'make demo    two regions and a centre on this machine, real webhooks, one delivery each'
	@echo 'make dev     the same two regions and centre, until Ctrl-C'
	@echo 'make test    every test that this machine can run'
	@echo 'make hosts   regions and a centre by Terraform on hosts of this machine, as root; HOSTS_SHORT=1 for the short form'
	@echo 'make bench   throughput and latency, measured here and now'
	@echo 'make bench-handlers  what one event costs in a handler, beside bare wasmtime; neighbours of hostile ones; a start with 100'
	@echo 'make bench-backlog   how fast a centre catches up after it was away, beside bare publishes'
	@echo 'make bench-schemes   what verifying costs through a preset, beside checks written by hand'
	@echo 'make lint    structure, formatting, clippy, documentation, licences'
	@echo 'make setup   fetch what cargo does not bring (the others do this first)'

setup:
	@scripts/setup.sh

build:
	cargo build --release --workspace

demo:
	@scripts/setup.sh --without-tests
	cargo build --release --workspace --bins
	@$(or $(CARGO_TARGET_DIR),target)/release/floodgate-demo

dev:
	@scripts/setup.sh --without-tests
	cargo build --release --workspace --bins
	@$(or $(CARGO_TARGET_DIR),target)/release/floodgate dev

test: setup
	@scripts/test.sh

hosts:
	@scripts/setup.sh --without-tests
	cargo build --release --workspace --bins
	@python3 tests/hosts

bench:
	@scripts/setup.sh --without-tests
	cargo build --release --workspace --bins
	@$(or $(CARGO_TARGET_DIR),target)/release/bench

bench-handlers:
	@scripts/setup.sh --without-tests
	cargo bench --workspace --bench handle
	cargo build --release --workspace --bins
	@$(or $(CARGO_TARGET_DIR),target)/release/bench handlers

bench-backlog:
	@scripts/setup.sh --without-tests
	cargo build --release --workspace --bins
	@$(or $(CARGO_TARGET_DIR),target)/release/bench backlog

bench-schemes:
	cargo bench --workspace --bench verify

lint:
	@scripts/lint.sh
