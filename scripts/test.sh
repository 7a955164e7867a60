#!/usr/bin/env bash
# Runs every test that this machine can run, and names what it skipped, with the reason.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly log=.tools/test.log
readonly junit=${CARGO_TARGET_DIR:-target}/nextest/default/junit.xml
skipped=()
failed=()

# `step NAME COMMAND…`: goes on after a failure, so that one run shows all of them.
step() {
    local name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@" || failed+=("$name")
}

with_nextest() {
    local status=0
    rm -f "$junit"
    cargo nextest run --release --workspace --no-fail-fast || status=$?
    grep -ohs 'SKIPPED: [^<]*' "$junit" >"$log" || true
    return $status
}

# The end-to-end tests start whole deployments; one at a time is what a small machine can take.
with_cargo_test() {
    local status=0
    cargo test --release --workspace --no-fail-fast --lib --bins --tests -- --test-threads=1 --show-output |
        tee "$log.all" || status=$?
    grep -o 'SKIPPED: .*' "$log.all" >"$log" || true
    return $status
}

# Sizes, circles of modules, parameters, and which crates depend on which.
structure() {
    python3 scripts/structure.py --self-test && python3 scripts/structure.py
}

handlers() {
    (cd handlers && cargo test --release --workspace)
}

guests() {
    (cd handlers && cargo build --release --target wasm32-wasip2)
}

# What a page says is tried: its blocks are run, its links followed, and the book is built.
documentation() {
    local status=0
    python3 tests/docs/selftest.py && python3 tests/docs/run.py | tee "$log.docs" || status=$?
    python3 tests/docs/examples.py | tee -a "$log.docs" || status=$?
    python3 tests/docs/paths_selftest.py && python3 tests/docs/paths.py || status=$?
    grep -h '^SKIPPED: ' "$log.docs" >>"$log" || true
    if [[ -x .tools/mdbook ]]; then
        .tools/mdbook build docs || status=$?
    else
        echo 'SKIPPED: the book: no mdBook, see make setup' >>"$log"
    fi
    return $status
}

closing() {
    mapfile -t -O "${#skipped[@]}" skipped < <(sort -u "$log")
    printf '\n'
    ((${#skipped[@]} == 0)) || printf '%s\n' "${skipped[@]}"
    if ((${#failed[@]})); then
        printf 'FAILED: %s\n' "${failed[@]}"
        exit 1
    fi
    echo 'All tests passed.'
}

: >"$log"
[[ -x .tools/venv/bin/python ]] || skipped+=("SKIPPED: tests by outside clients: no Python packages, see make setup")
step 'structure' structure
step 'handlers, natively' handlers
step 'handlers, as components' guests
# Programs and tests in one go: neither core waits for the other's last crate.
step 'the programs under test, and the tests' cargo build --release --workspace --lib --bins --tests
if cargo nextest --version >/dev/null 2>&1; then
    step 'unit and end-to-end tests (nextest)' with_nextest
else
    step 'unit and end-to-end tests (cargo test)' with_cargo_test
fi
step 'documentation tests' cargo test --release --workspace --doc
step 'documentation' documentation
closing
