#!/usr/bin/env bash
# The deployment's CA: for connections to and between nats-servers.
. "$(dirname "$0")/lib.sh"
install -d -m 0700 "$SECRETS"
"$FLOODGATE" keys ca "$SECRETS/ca" --name "$DEPLOYMENT"
