#!/usr/bin/env bash
# A region's keys and certificates, and for each of its hosts a folder with what it gets.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
readonly keys=$SECRETS/regions/$REGION hosts=$SECRETS/regions/$REGION/hosts templates=${0%/*}

# `user TEMPLATE KEY [NAME]`
user() {
    sed -e "s/@KEY@/$(public "$2")/" -e "s/@NAME@/${3:-}/" "$templates/$1-user.conf"
}

# Each gateway has a key of its own, so that none can write another's report.
users() {
    local entry name
    for entry in $HOSTS; do
        name=${entry%%=*}
        user gateway "$keys/gateways/$name.$1" "$name"
    done
    # Earlier versions gave all gateways of a region one key.
    # It is let in while they are rolled, and cannot report.
    [[ ! -e $keys/gateway.$1.nk.pub ]] || user gateway "$keys/gateway.$1" none
    user relay "$keys/relay.$1"
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
    hand "$keys/gateways/$name.$ROTATION.nk" gateway.nk "$folder"
    hand_senders "$folder"
    authorization >"$folder/authorization.conf"
}

known_ca
install -d -m 0700 "$SECRETS/regions" "$keys" "$keys/certificates" "$keys/gateways"
"$FLOODGATE" keys sealing "$keys/sealing.key"
for entry in $HOSTS; do generation "$keys/gateways/${entry%%=*}" "$ROTATION"; done
generation "$keys/relay" "$ROTATION"
set_aside_certificates "$keys/certificates" "$ROTATION"
sender_certificate
rm -rf "$hosts"
install -d -m 0700 "$hosts"
for entry in $HOSTS; do host "$entry"; done
