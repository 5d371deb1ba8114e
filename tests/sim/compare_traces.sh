#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# compare_traces.sh SIMULATION: the same seeds in two processes give the same traces (and, by --hashes, twice in one).
set -eu
first=$("$1" --seeds 25 --hashes | grep hash)
second=$("$1" --seeds 25 --hashes | grep hash)
[ -n "$first" ] && [ "$first" = "$second" ]
