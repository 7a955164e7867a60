#!/usr/bin/env bash
# Structure, formatting, lints, documentation and dependencies, as they must be before a merge.
set -euo pipefail
cd "$(dirname "$0")/.."

python3 scripts/structure.py --self-test
python3 scripts/structure.py
cargo fmt --all --check
(cd handlers && cargo fmt --all --check)
cargo clippy --release --workspace --all-targets -- -D warnings
RUSTDOCFLAGS='-D warnings' cargo doc --release --workspace --no-deps
if cargo deny --version >/dev/null 2>&1; then
    cargo deny check
else
    echo 'SKIPPED: licences, advisories and duplicates: cargo-deny is not installed (cargo install cargo-deny)'
fi
