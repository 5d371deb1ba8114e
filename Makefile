# SPDX-License-Identifier: Apache-2.0
# The front door. Each target installs what it needs (tools/setup), so that a bare Debian 12 with git and make is enough.
#
# Variables: ORIGIN=https://picsum.photos (demo, up: the real site instead of the local stand-in), DATA=DIR (up: where data live),
#            WORKERS=N (up), T=words (test: only tests whose names match), DESTDIR and PREFIX (install)

PREFIX ?= /usr/local
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: docs help setup build build-asan test unit sim integration faults soak model mutants demo up fmt lint install clean

help: ## show this
	@echo "Grisaille: catalogs of image URLs in, verified gray images out."; echo
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo; sed -n '4,6s/^# //p' $(MAKEFILE_LIST)

setup: ## install what is missing (Debian packages, a pinned mongod in .tools/)
	@tools/setup all

build: ## release build: leaves build/grisaille
	@tools/setup build
	@[ -f build/build.ninja ] || meson setup build --buildtype=release -Db_lto=true --prefix=$(PREFIX) >build-setup.log 2>&1 || { cat build-setup.log; exit 1; }
	@rm -f build-setup.log
	@ninja -C build

build-asan: ## build with address and undefined-behaviour sanitizers: leaves build-asan/grisaille
	@tools/setup build
	@[ -f build-asan/build.ninja ] || meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 -Ddebug=true -Dcrash_points=true >build-setup.log 2>&1 || { cat build-setup.log; exit 1; }
	@grep -q GRI_CRASH_POINTS build-asan/build.ninja || meson setup --reconfigure build-asan -Dcrash_points=true >build-setup.log 2>&1 || { cat build-setup.log; exit 1; }
	@rm -f build-setup.log
	@ninja -C build-asan

test: ## build with sanitizers and run every test: rules, unit, simulation, integration (real Redis and MongoDB), the quick half of the faults
	@tools/setup build run test
	@tools/run-tests all $(T)

unit: ## only the unit tests
	@tools/setup build run test
	@tools/run-tests unit $(T)

sim: ## only the seeded simulation; SEEDS=N histories (over 5,000: on the release build), SEED=K replays one
	@tools/setup build
	@tools/run-tests sim $(T)

model: ## check the delivery protocol's model exhaustively (Spin), and that each of its rules is needed; Q=quick: without the largest
	@tools/setup model
	@tools/check-model $(Q)

mutants: ## plant bugs one by one, each must be caught; T=words
	@tools/setup build run test
	@tools/mutants $(T)

integration: ## only the integration tests
	@tools/setup build run test
	@tools/run-tests integration $(T)

soak: ## everything at once under random faults for MINUTES=20; SEED=K chooses them; figures: build-asan/soak.json
	@tools/setup build run test
	@$(MAKE) -s build-asan
	@tools/soak --minutes $(or $(MINUTES),20) $(if $(SEED),--seed $(SEED)) --report build-asan/soak.json

faults: ## every fault, one row each with its verdict; SHORT=1: those that `make test` leaves out and that take no minute
	@tools/setup build run test
	@tools/run-tests faults $(T)

demo: build ## a thousand-line catalog through real Redis, MongoDB and two workers; prints the receipt; stops everything
	@tools/setup run
	@tools/demo

up: build ## everything on this machine, left running until Ctrl-C
	@tools/setup run
	@tools/demo --stay

fmt: ## format the C code
	@tools/setup lint
	@git ls-files '*.c' '*.h' | xargs clang-format -i

lint: ## formatting, dependency rule, banned calls, clang-tidy
	@tools/setup build lint
	@tools/lint

docs: build ## write docs/cli.md and docs/configuration.md anew from the program
	@tools/make-docs build/grisaille

install: build ## install to $(DESTDIR)$(PREFIX)
	@meson install -C build --no-rebuild $(if $(DESTDIR),--destdir $(DESTDIR))

clean: ## remove what builds leave (not .tools/)
	rm -rf build build-asan
