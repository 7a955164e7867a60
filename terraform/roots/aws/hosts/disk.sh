#!/bin/bash
# At first boot: waits for the disk of the streams, formats it if it is blank, mounts it.
set -euo pipefail
disk=''
until [[ -n $disk ]]; do
    sleep 1
    # The disk that has neither partitions nor the root.
    disk=$(lsblk --noheadings --list --output NAME,TYPE,MOUNTPOINTS --nodeps | awk '$2 == "disk" && !$3 { print $1 }' |
        while read -r name; do
            [[ $(lsblk --noheadings --list "/dev/$name" | wc -l) -gt 1 ]] || echo "/dev/$name"
        done | head -n 1)
done
blkid "$disk" >/dev/null || mkfs.ext4 -q -m 0 -L floodgate "$disk"
mkdir -p /var/lib/floodgate
echo "LABEL=floodgate /var/lib/floodgate ext4 defaults,nofail 0 2" >>/etc/fstab
mount /var/lib/floodgate
