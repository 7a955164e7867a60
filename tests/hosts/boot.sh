#!/usr/bin/env bash
# The first process of a test's host, in namespaces of its own: `boot.sh FOLDER NAME ADDRESS [DISK]`.
set -euo pipefail
readonly folder=$1 name=$2 address=$3 disk=${4:-}
readonly root=$folder/root

mount_root() {
    mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --rbind /sys "$root/sys"
    mount -t tmpfs tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/tmp"
    mkdir -p "$root/run/sshd" "$root/var/lib/floodgate" "$root/etc/floodgate-test-ssh"
    [[ -z $disk ]] || mount -o loop "$disk" "$root/var/lib/floodgate"
    install -m 0600 "$folder"/ssh/* "$root/etc/floodgate-test-ssh/"
}

wait_for_cable() {
    until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
    ip link set lo up
    ip addr add "$address/16" dev eth0
    ip link set eth0 up
}

mount_root
hostname "$name"
wait_for_cable
# As the first process bash also buries orphans. What was installed starts with the machine.
exec chroot "$root" /bin/bash -c '
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
    cd /
    if [[ -r /etc/floodgate/host.env ]]; then /opt/floodgate/bin/floodgate-host start & fi
    while true; do
        /usr/sbin/sshd -D -e -f /dev/null -h /etc/floodgate-test-ssh/host_key -o UsePAM=no -o StrictModes=no \
            -o PermitRootLogin=prohibit-password -o PidFile=none -o UseDNS=no -o MaxStartups=100:30:200 \
            -o AuthorizedKeysFile=/etc/floodgate-test-ssh/authorized_keys &
        wait $!
        sleep 1
    done'
