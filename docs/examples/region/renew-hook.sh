#!/bin/sh
# Hands a renewed certificate to the gateway of this host. certbot calls it as a deploy hook, with RENEWED_LINEAGE.
set -eu
folder=/etc/floodgate-senders
install -d -m 0750 -g floodgate-gateway "$folder"
install -m 0640 -g floodgate-gateway "$RENEWED_LINEAGE/fullchain.pem" "$folder/tls.pem.new"
install -m 0640 -g floodgate-gateway "$RENEWED_LINEAGE/privkey.pem" "$folder/tls.key.new"
mv "$folder/tls.pem.new" "$folder/tls.pem"
mv "$folder/tls.key.new" "$folder/tls.key"
systemctl reload floodgate-gateway
