#!/usr/bin/env bash
# The first process of a test's host, in namespaces of its own: `boot.sh FOLDER NAME ADDRESS DISK GROUP`.
# With a GROUP, which is the name of a control group, the host boots systemd; else this
# stays, and stands in for an init.
set -euo pipefail
readonly folder=$1 name=$2 address=$3 disk=${4:-} group=${5:-}
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
    install -m 0600 "$folder/ssh/host_key" "$root/etc/floodgate-test-ssh/"
    install -m 0644 "$folder/ssh/authorized_keys" "$root/etc/floodgate-test-ssh/"
}

# Who is root only by sudo.
add_sudoer() {
    chroot "$root" id deploy >/dev/null 2>&1 || chroot "$root" useradd --create-home --shell /bin/bash --password '*' deploy
    echo 'deploy ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/deploy"
}

wait_for_cable() {
    until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
    ip link set lo up
    ip addr add "$address/16" dev eth0
    ip link set eth0 up
}

readonly sshd="/usr/sbin/sshd -D -e -f /dev/null -h /etc/floodgate-test-ssh/host_key -o UsePAM=no -o StrictModes=no
    -o PermitRootLogin=prohibit-password -o PidFile=none -o UseDNS=no -o MaxStartups=100:30:200
    -o AuthorizedKeysFile=/etc/floodgate-test-ssh/authorized_keys"

# What this machine's administrator enabled is not started on the host:
# of units it has Debian's own, and sshd.
install_units() {
    local units=$root/etc/systemd/system
    [[ ! -e $units/ssh-of-the-test.service ]] || return 0
    rm -rf "$units"
    mkdir -p "$units/multi-user.target.wants"
    ln -s /lib/systemd/system/multi-user.target "$units/default.target"
    printf '[Service]\nRestart=always\nExecStart=%s\n' "${sshd//$'\n'/ }" >"$units/ssh-of-the-test.service"
    ln -s ../ssh-of-the-test.service "$units/multi-user.target.wants/"
    tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
}

# A control group of its own, which systemd then takes for the root of all of them.
enter_group() {
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mkdir -p "$root/sys/fs/cgroup/$group"
    echo 0 >"$root/sys/fs/cgroup/$group/cgroup.procs"
}

mount_root
add_sudoer
hostname "$name"
wait_for_cable
if [[ -n $group ]]; then
    install_units
    enter_group
    # shellcheck disable=SC2016
    exec unshare --cgroup bash -c '
        mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
        exec env -i container=floodgate-tests PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            chroot "$1" /lib/systemd/systemd --system --show-status=no' _ "$root"
fi
# shellcheck disable=SC2016
# As the first process bash also buries orphans. What was installed starts with the machine.
exec chroot "$root" /bin/bash -c '
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
    cd /
    if [[ -r /etc/floodgate/host.env ]]; then /opt/floodgate/bin/floodgate-host start & fi
    while true; do
        $0 &
        wait $!
        sleep 1
    done' "$sshd"
