# shellcheck shell=bash What the scripts that make secrets share.
# Each runs on the machine that runs Terraform, and keeps what is there.
set -euo pipefail
umask 077

# Given by Terraform; `ca.sh` has no rotation and no hosts.
readonly FLOODGATE SECRETS CA_ID ROTATION=${ROTATION:-} HOSTS=${HOSTS:-}
readonly certificate_days=825 renew_within_days=60

# Which CA of the state the folder's is; not secret.
readonly ca_id_file=$SECRETS/ca/id

# Nothing is made in a folder that is not the one that the state knows.
known_ca() {
    [[ -e $SECRETS/ca/ca.pem && $(cat "$ca_id_file" 2>/dev/null) == "$CA_ID" ]] && return
    echo "floodgate: the deployment has a CA already, and it is not the one in $SECRETS/ca: set secrets_dir to the folder of the first apply, or restore it from its backup" >&2
    exit 1
}

# `certificate PREFIX NAME,NAME…`
certificate() {
    local prefix=$1 name options=()
    while read -r name; do options+=(--name "$name"); done < <(tr ',' '\n' <<<"$2")
    "$FLOODGATE" keys certificate "$prefix" --ca "$SECRETS/ca" "${options[@]}" \
        --days "$certificate_days" --renew-within-days "$renew_within_days"
}

# `generation FILE N`: user keys N and N+1. Servers let both in, so that after a rotation a client may come
# with its new key before its server has been rolled; older ones are let in no more.
generation() {
    "$FLOODGATE" keys nkey "$1.$2.nk"
    "$FLOODGATE" keys nkey "$1.$(($2 + 1)).nk"
}

public() { tr -d '[:space:]' <"$1.nk.pub"; }

# `hand PREFIX NAME FOLDER`: a copy under another name, for upload.
hand() { install -m 0600 "$1" "$3/$2"; }

# `host_files KEYS NAME NAMES FOLDER`: what the nats-server of a host gets in a region and in the centre.
host_files() {
    install -d -m 0700 "$4"
    certificate "$1/certificates/$2" "$3"
    hand "$1/certificates/$2.pem" nats.pem "$4"
    hand "$1/certificates/$2.key" nats.key "$4"
    hand "$SECRETS/ca/ca.pem" ca.pem "$4"
}

# Certificates of an earlier rotation are kept aside, so that new ones are made.
set_aside_certificates() {
    local folder=$1 rotation=$2 old
    old=$(cat "$folder/rotation" 2>/dev/null || echo "$rotation")
    if [[ $old != "$rotation" ]]; then
        mkdir -p "$folder/rotation.$old"
        find "$folder" -maxdepth 1 \( -name '*.pem' -o -name '*.key' \) -exec mv -t "$folder/rotation.$old" {} +
    fi
    echo "$rotation" >"$folder/rotation"
}
