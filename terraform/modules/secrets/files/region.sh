#!/usr/bin/env bash
# A region's keys and certificates, and for each of its hosts a folder with what it gets.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
readonly keys=$SECRETS/regions/$REGION hosts=$SECRETS/regions/$REGION/hosts templates=${0%/*}

users() {
    sed -e "s/@GATEWAY@/$(public "$keys/gateway.$1")/" -e "s/@RELAY@/$(public "$keys/relay.$1")/" \
        "$templates/region-users.conf"
}

authorization() {
    local next=$((ROTATION + 1))
    printf 'accounts { FLOODGATE { jetstream: enabled, users: [\n'
    users "$ROTATION"
    users "$next"
    printf '] } }\n'
}

# What senders see. An operator's own certificate is `tls.pem` and `tls.key` in the region's folder.
sender_certificate() {
    [[ -n $SENDER_NAMES ]] || return 0
    certificate "$keys/certificates/senders" "$SENDER_NAMES"
}

hand_senders() {
    local prefix=$keys/certificates/senders
    [[ ! -e $keys/tls.pem ]] || prefix=$keys/tls
    [[ -e $prefix.pem ]] || return 0
    hand "$prefix.pem" tls.pem "$1"
    hand "$prefix.key" tls.key "$1"
}

host() {
    local name=${1%%=*} names=${1#*=} folder
    folder=$hosts/$name
    host_files "$keys" "$name" "$names" "$folder"
    hand "$keys/sealing.key" region.key "$folder"
    hand "$keys/gateway.$ROTATION.nk" gateway.nk "$folder"
    hand_senders "$folder"
    authorization >"$folder/authorization.conf"
}

known_ca
install -d -m 0700 "$SECRETS/regions" "$keys" "$keys/certificates"
"$FLOODGATE" keys sealing "$keys/sealing.key"
generation "$keys/gateway" "$ROTATION"
generation "$keys/relay" "$ROTATION"
set_aside_certificates "$keys/certificates" "$ROTATION"
sender_certificate
rm -rf "$hosts"
install -d -m 0700 "$hosts"
for entry in $HOSTS; do host "$entry"; done
