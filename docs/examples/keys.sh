#!/usr/bin/env bash
# Makes the keys and certificates of a deployment, and for each host a folder with what it gets:
#
#   FOLDER/regions/eu/hosts/eu-1, FOLDER/centre/hosts/centre-1 …
#
# It calls the scripts that Terraform calls. What exists stays; certificates that end within 60 days are made anew.
# Keep FOLDER as safe as the deployment itself, and back it up.
set -euo pipefail
cd "$(dirname "$0")/../../terraform/modules/secrets/files"
export SECRETS=${1:?usage: keys.sh FOLDER, an absolute path}
export FLOODGATE=${FLOODGATE:-floodgate} DEPLOYMENT=floodgate CA_ID=by-hand
# A higher rotation makes new NATS keys and certificates. It stays until another one is given.
export ROTATION=${ROTATION:-$(cat "$SECRETS/centre/certificates/rotation" 2>/dev/null || echo 1)}

[[ -e $SECRETS/ca/ca.pem ]] || ./ca.sh

# Each host with the addresses that others reach it by; `SENDER_NAMES` are the names in the senders' certificate.
REGION=eu SENDER_NAMES=hooks.example.com \
    HOSTS='eu-1=10.1.0.1 eu-2=10.1.0.2 eu-3=10.1.0.3' ./region.sh
REGION=us SENDER_NAMES=hooks.example.com \
    HOSTS='us-1=10.2.0.1 us-2=10.2.0.2 us-3=10.2.0.3' ./region.sh

# Each region with its rotation.
REGIONS="eu=$ROTATION us=$ROTATION" \
    HOSTS='centre-1=10.0.0.11 centre-2=10.0.0.12 centre-3=10.0.0.13' ./centre.sh
