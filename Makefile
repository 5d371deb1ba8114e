# SPDX-License-Identifier: Apache-2.0
# The front door. Each target installs what it needs (tools/setup), so that a bare Debian 12 with git and make is enough.
#
# Variables: ORIGIN=https://picsum.photos (demo, up: the real site instead of the local stand-in), DATA=DIR (up: where data live),
#            WORKERS=N (up), T=words (test: only tests whose names match), DESTDIR and PREFIX (install)

PREFIX ?= /usr/local
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: transforms-bench deploy-test docs help setup build build-asan test unit sim integration faults hostile page-test soak model mutants demo up fmt lint fuzz tsan sbom install clean bench growth counts search-bench similar-bench

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
	@ninja -C build grisaille tests/origin/grisaille-origin tests/sim/grisaille-sim

build-asan: ## build with address and undefined-behaviour sanitizers: leaves build-asan/grisaille
	@tools/setup build
	@[ -f build-asan/build.ninja ] || meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 -Ddebug=true -Dcrash_points=true >build-setup.log 2>&1 || { cat build-setup.log; exit 1; }
	@grep -q GRI_CRASH_POINTS build-asan/build.ninja || meson setup --reconfigure build-asan -Dcrash_points=true >build-setup.log 2>&1 || { cat build-setup.log; exit 1; }
	@rm -f build-setup.log
	@ninja -C build-asan

test: ## build with sanitizers and run every test: rules, unit, simulation, integration (real Redis and MongoDB), the quick half of the faults
	@tools/setup build run test charts
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

deploy-test: ## image, chart, Compose, alerts, dashboards, logs, fail-over, for real; SHORT=1: what `make test` leaves out, without the second build; T=words
	@tools/setup build run test deploy
	@tools/run-tests deploy $(T)

soak: ## everything at once under random faults for MINUTES=20; SEED=K chooses them; figures: build-asan/soak.json
	@tools/setup build run test
	@$(MAKE) -s build-asan
	@tools/soak --minutes $(or $(MINUTES),20) $(if $(SEED),--seed $(SEED)) --report build-asan/soak.json

bench: ## measure everything against its peers (15 minutes): bench-out/bench.json, bench.md, plots; OUT=DIR, OPTIONS of bench/measure.py
	@tools/bench $(or $(OUT),bench-out) $(OPTIONS)

growth: ## what millions of URLs do to speed and memory (hours at SCALE=1); SCALE=0.01, PARTS="admission catalog workers hosts idle"
	@tools/setup build run test bench
	@$(MAKE) -s build
	@GRISAILLE_BIN=$(CURDIR)/build/grisaille /usr/bin/python3 bench/growth.py --out $(or $(OUT),bench-out) --scale $(or $(SCALE),1) $(PARTS)

search-bench: ## how fast a search over two weeks is: 10 million URLs, 1 million events (most of an hour); SCALE=0.01
	@tools/setup build run test bench
	@$(MAKE) -s build
	@GRISAILLE_BIN=$(CURDIR)/build/grisaille /usr/bin/python3 bench/search_bench.py --scale $(or $(SCALE),1)

similar-bench: ## how well near-duplicates of photographs are found: recall and precision (photographs: .tools/photos, as tools/bench fetches them)
	@tools/setup build run test bench
	@$(MAKE) -s build
	@GRISAILLE_BIN=$(CURDIR)/build/grisaille GRISAILLE_ORIGIN=$(CURDIR)/build/tests/origin/grisaille-origin /usr/bin/python3 bench/similar_bench.py $(or $(PHOTOS),.tools/photos)

counts: ## what an image costs in instructions, allocations, system calls and round trips, against bench/ceilings.json
	@tools/setup build run test
	@tools/run-tests counts $(T)

faults: ## every fault, one row each with its verdict; SHORT=1: those that `make test` leaves out and that take no minute
	@tools/setup build run test
	@tools/run-tests faults $(T)

hostile: ## every attack, one row each: attack, expected, got, verdict; SHORT=1: five minutes of it; T=words
	@tools/setup build run test
	@$(MAKE) -s build
	@tools/run-tests hostile $(T)

page-test: ## the web page in a real Chromium, with axe; screenshots in build-asan/page-shots; T=words
	@tools/setup build run test page
	@tools/run-tests page $(T)

fuzz: ## libFuzzer on every parser: SECONDS=60 each, two at a time, or HOURS=1 of processor time in all; H="harness …": only these
	@tools/setup fuzz
	@tools/fuzz $(if $(HOURS),--hours $(HOURS),--seconds $(or $(SECONDS),60)) $(H)

tsan: ## thread sanitizer: unit tests of base, workers, HTTP server and loop, a slice of the simulation, a small fleet
	@tools/setup build run test
	@tools/run-tests tsan $(T)

sbom: build ## bill of materials of the release build (CycloneDX 1.5): build/grisaille.cdx.json
	@tools/make-sbom build/grisaille build/grisaille.cdx.json

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

transforms-bench: build ## megapixels a second of each built-in transform, beside Pillow and the vips command
	@tools/setup bench
	@tools/transforms-bench build/grisaille --write docs/transforms.md

install: build ## install to $(DESTDIR)$(PREFIX)
	@meson install -C build --no-rebuild $(if $(DESTDIR),--destdir $(DESTDIR))

clean: ## remove what builds leave (not .tools/)
	rm -rf build build-asan
