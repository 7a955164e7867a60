#!/usr/bin/env bash
# The deployment's CA: for connections to and between nats-servers.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
install -d -m 0700 "$SECRETS"
"$FLOODGATE" keys ca "$SECRETS/ca" --name "$DEPLOYMENT"
echo "$CA_ID" >"$ca_id_file"
