#!/usr/bin/env bash
# The centre's keys and certificates, and for each of its hosts a folder with what it gets.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
readonly keys=$SECRETS/centre hosts=$SECRETS/centre/hosts

authorization() {
    printf 'accounts { FLOODGATE { jetstream: enabled, users: [\n  { nkey: %s }\n  { nkey: %s }\n] } }\n' \
        "$(public "$keys/relay.$ROTATION")" "$(public "$keys/relay.$((ROTATION + 1))")"
}

# `region NAME=ROTATION FOLDER`: the key for a region's servers, and what its secrets are sealed to.
region() {
    local name=${1%%=*} rotation=${1#*=}
    hand "$SECRETS/regions/$name/relay.$rotation.nk" "region-$name.nk" "$2"
    hand "$SECRETS/regions/$name/sealing.key.pub" "region-$name.pub" "$2"
}

host() {
    local name=${1%%=*} names=${1#*=} folder entry
    folder=$hosts/$name
    host_files "$keys" "$name" "$names" "$folder"
    hand "$keys/sealing.key" centre.key "$folder"
    hand "$keys/admin.token" admin.token "$folder"
    hand "$keys/relay.$ROTATION.nk" relay.nk "$folder"
    for entry in $REGIONS; do region "$entry" "$folder"; done
    authorization >"$folder/authorization.conf"
}

known_ca
install -d -m 0700 "$keys" "$keys/certificates"
"$FLOODGATE" keys sealing "$keys/sealing.key"
"$FLOODGATE" keys token "$keys/admin.token"
generation "$keys/relay" "$ROTATION"
set_aside_certificates "$keys/certificates" "$ROTATION"
rm -rf "$hosts"
install -d -m 0700 "$hosts"
for entry in $HOSTS; do host "$entry"; done
