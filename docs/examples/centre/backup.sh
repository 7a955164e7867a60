#!/usr/bin/env bash
# Saves the centre into a folder of its own and removes the oldest ones. Run by floodgate-backup.timer as floodgate-relay.
set -euo pipefail
relay=${FLOODGATE_RELAY_TOML:-/etc/floodgate/relay.toml}
folder=${FLOODGATE_BACKUPS:-/var/backups/floodgate}
kept=${FLOODGATE_BACKUPS_KEPT:-4}

floodgate backup --relay "$relay" --out "$folder/centre-$(date -u +%Y%m%dT%H%M%SZ)"

# A backup has its name only once all of it is on disk, so every folder of this name is whole.
find "$folder" -mindepth 1 -maxdepth 1 -name 'centre-*' | sort | head -n "-$kept" | xargs -r -d '\n' rm -r
