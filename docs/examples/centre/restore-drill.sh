#!/usr/bin/env bash
# Restores a backup of the centre into an empty nats-server on this machine, and says whether the centre could be
# brought back with it. It changes nothing in the deployment. Never start a relay with the files that it makes: it would
# copy from the real regions and deliver to the real consumers.
#
#   restore-drill.sh BACKUP [RELAY_TOML]
set -euo pipefail
backup=${1:?usage: restore-drill.sh BACKUP [RELAY_TOML]}
relay=${2:-/etc/floodgate/relay.toml}
port=${DRILL_PORT:-24222}
# It needs as much room as the streams hold.
scratch=$(mktemp -d "${DRILL_FOLDER:-/var/tmp}/drill.XXXXXX")
trap 'kill "$server" 2>/dev/null || true; wait; rm -rf "$scratch"' EXIT

cat >"$scratch/nats.conf" <<END
server_name: "drill"
listen: "127.0.0.1:$port"
max_payload: 8MB
jetstream { store_dir: "$scratch/store", sync_interval: always }
END
nats-server --config "$scratch/nats.conf" --log "$scratch/nats.log" &
server=$!
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    kill -0 "$server" || { cat "$scratch/nats.log" >&2; exit 1; }
    sleep 0.2
done

# The relay's own file with another centre: its first `nats = …` line. The regions are the real ones, and only read.
awk -v url="nats://127.0.0.1:$port" '
    !done && /^nats *=/ { print "nats = { url = \"" url "\" }"; done = 1; next }
    { print }
    END { exit !done }' "$relay" >"$scratch/relay.toml"

floodgate restore --relay "$scratch/relay.toml" --from "$backup" --replicas 1 --json >"$scratch/outcome.json"
python3 - "$scratch/outcome.json" <<'END'
import json, sys
outcome = json.load(open(sys.argv[1]))
restored, outlook = outcome["restored"], outcome["outlook"]
print(f"restored as of {restored['started_at']}:")
for stream in restored["streams"]:
    print(f"  {stream['name']}: {stream['messages']} messages")
print(f"to copy from the regions: {sum(feed['to_copy'] for feed in outlook['feeds'])} blocks")
lost = sum(feed["lost"] for feed in outlook["feeds"])
print(f"lost: {lost} blocks")
for why in outlook["unknown"]:
    print(f"unknown: {why}")
sys.exit(1 if lost or outlook["unknown"] else 0)
END
