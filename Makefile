# make demo   everything from a bare checkout to a pull request; ARGS=--once exits when it is there
# make web    the page with hot reload before a running `paddock up` (PADDOCK_URL)
# make check  the fast checks: format, lints, unit tests
# make test   all tests; sets up all that they need
# make cluster        a one-node Kubernetes to play with; scripts/cluster --help
# make test-cluster   the tests on it alone
# make soak   the long form of the fault tests; SEED=n plays one again
# make bench  measurements against bare baselines; QUICK=1 for the short form

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
export SQLX_OFFLINE ?= true

.PHONY: help setup build demo web check test cluster test-cluster soak bench

help:
	@sed -n '/^#/!q; s/^# //p' Makefile

setup:
	@scripts/setup >/dev/null

build: setup
	scripts/web build
	$(CARGO) build --workspace --bins

demo: build
	PADDOCK_OPENCODE="$$(scripts/setup)" $${CARGO_TARGET_DIR:-target}/debug/paddock up --demo $(ARGS)

web: setup
	scripts/web dev

check:
	scripts/check

test: setup
	scripts/test $(ARGS)

cluster:
	scripts/cluster up

test-cluster: setup
	scripts/test-cluster $(ARGS)

soak: setup
	PADDOCK_SOAK=1 PADDOCK_SEED=$(SEED) scripts/test -p paddock-tests --test journeys $(ARGS) -- --nocapture a_run_survives
	PADDOCK_WORLDS=100000 scripts/test -p paddock-api --test it $(ARGS) -- a_list_holds
	PADDOCK_KILLS=50 scripts/test-cluster --nocapture an_adapter_that_is_killed

bench: setup
	QUICK=$(QUICK) scripts/bench
