#!/usr/bin/env bash
# Packs what one host gets into a tar on standard output, with the installer that Terraform uses too:
#
#   stage.sh gateway eu-1 10.1.0.1:9090 10.1.0.2:6222 10.1.0.3:6222 |
#       ssh root@10.1.0.1 'umask 077; rm -rf staging; mkdir staging; tar -x -C staging; bash staging/go.sh'
#
# The arguments are what runs beside nats-server (gateway or relay), the host's name, the address of its /readyz, and
# the routes of the other hosts of its group. `SECRETS` is the folder that keys.sh made. `CONFIG/eu-1` holds nats.conf and
# gateway.toml (or relay.toml). `FLOODGATE` and `NATS_SERVER` are the programs. `HELD=1` leaves gateway or relay stopped.
set -euo pipefail
part=${1:?} name=${2:?} ready=${3:?}
shift 3
: "${SECRETS:?}" "${CONFIG:?}" "${FLOODGATE:?}" "${NATS_SERVER:?}"
files=$(cd "$(dirname "$0")/../../terraform/modules/host/files" && pwd)
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT

admin=''
case $part in
    gateway) hosts=$SECRETS/regions/${name%-*}/hosts ;;
    # A relay's /readyz is beside its admin API.
    relay) hosts=$SECRETS/centre/hosts admin=http://$ready ;;
    *) echo "stage.sh: gateway or relay, not $part" >&2; exit 2 ;;
esac
cp -r "$files/." "$staging"
cp -r "$hosts/$name" "$staging/secrets"
mkdir "$staging/config"
cp "$CONFIG/$name/nats.conf" "$CONFIG/$name/$part.toml" "$staging/config"

# `release PROGRAM FILE`: notes how the host is to call this build of it.
release() {
    local sum
    sum=$(sha256sum <"$2" | cut -d' ' -f1)
    cp "$2" "$staging/$1"
    echo "bash store-release.sh $1 $1-${sum:0:12} $sum" >>"$staging/go.sh"
    echo "$1-${sum:0:12}"
}
printf '#!/bin/sh\nset -e\ncd "$(dirname "$0")"\n' >"$staging/go.sh"
floodgate=$(release floodgate "$FLOODGATE")
nats=$(release nats-server "$NATS_SERVER")
echo 'exec bash ./install.sh' >>"$staging/go.sh"
cat >"$staging/host.env" <<END
SERVICES='nats $part'
HELD='${HELD:+$part}'
READY_ADDRESS='$ready'
PEERS='$*'
ADMIN_URLS='$admin'
FLOODGATE_RELEASE='$floodgate'
NATS_RELEASE='$nats'
END
tar -c -C "$staging" .
