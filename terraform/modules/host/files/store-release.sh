#!/usr/bin/env bash
# `store-release.sh UPLOADED NAME SHA256`: puts an uploaded program among the releases if it arrived whole.
set -euo pipefail
echo "$3  $1" | sha256sum --check --quiet
install -d -m 0755 /opt/floodgate /opt/floodgate/releases
install -m 0755 "$1" "/opt/floodgate/releases/$2.new"
mv -f "/opt/floodgate/releases/$2.new" "/opt/floodgate/releases/$2"
rm -f "$1"
