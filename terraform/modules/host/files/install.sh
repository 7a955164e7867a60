#!/usr/bin/env bash
# Brings a host to what its staging folder says, as root: users, folders, tools, releases, configuration,
# services. What did not change is neither written nor restarted, so that it can be run at any time.
set -euo pipefail
staging=$(cd "$(dirname "$0")" && pwd)
readonly staging
# Secrets are in it, also if this fails.
trap 'rm -rf "$staging"' EXIT
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$staging/lib.sh"
# shellcheck disable=SC1091
. "$staging/host.env"
readonly kept_releases=6
# What runs beside nats-server.
readonly part=${SERVICES#nats }

ensure_users() {
    local service user
    getent group "$common_group" >/dev/null || groupadd --system "$common_group"
    for service in $SERVICES; do
        user=$(user_of "$service")
        id "$user" >/dev/null 2>&1 || useradd --system --user-group --home-dir "$(data_of "$service")" --no-create-home \
            --shell /usr/sbin/nologin "$user"
        [[ " $(id -nG "$user") " == *" $common_group "* ]] || usermod --append --groups "$common_group" "$user"
    done
}

ensure_folders() {
    local service user
    install -d -m 0755 "$opt" "$opt/bin" "$opt/lib" "$opt/releases" "$var"
    install -d -m 0750 -g "$common_group" "$etc"
    install -d -m 0750 "$log"
    take_over
    install -d -m 0700 "$installed"
    for service in $SERVICES; do
        user=$(user_of "$service")
        # One that is there is handed over when its service is started anew: `hand_over` of floodgate-host.
        [[ -e $(data_of "$service") ]] || install -d -m 0750 -o "$user" -g "$user" "$(data_of "$service")"
    done
}

# Earlier versions let the services' user own $var: whatever it holds by now, a service may have put there.
take_over() {
    local entry
    chown root:root "$var/."
    chmod 0755 "$var/."
    for entry in "$installed" "$may_go"; do
        [[ ! -e $entry && ! -L $entry ]] || { [[ ! -L $entry ]] && is_roots "$entry"; } ||
            fail "$entry is not what root put there: look who did, remove it, apply again"
    done
    for entry in "$var"/*; do
        [[ ! -L $entry ]] || is_roots "$entry" ||
            fail "$entry is a link that root did not make: look who did, remove it, apply again"
    done
}
is_roots() { [[ $(stat -c %u "$1") == 0 ]]; }

# `put SOURCE TARGET MODE [GROUP]`: replaced in one step, and only if it differs.
put() {
    local group=${4:-root}
    cmp -s "$1" "$2" && [[ $(stat -c '0%a %U %G' "$2") == "$3 root $group" ]] && return
    install -m "$3" -g "$group" "$1" "$2.new"
    mv -f "$2.new" "$2"
}

install_tools() {
    put "$staging/lib.sh" "$opt/lib/lib.sh" 0644
    put "$staging/supervise.sh" "$opt/lib/supervise.sh" 0755
    put "$staging/floodgate-host" "$opt/bin/floodgate-host" 0755
    ln -sfn "$opt/bin/floodgate-host" /usr/local/bin/floodgate-host
}

# `choose PROGRAM RELEASE`
choose() {
    [[ -x $opt/releases/$2 ]] || fail "release $2 is not on this host"
    touch "$opt/releases/$2"
    ln -sfn "$opt/releases/$2" "$opt/bin/$1.new"
    mv -fT "$opt/bin/$1.new" "$opt/bin/$1"
}

forget_old_releases() {
    find "$opt/releases" -type f -printf '%T@ %p\n' | sort -rn | tail -n +$((kept_releases + 1)) | cut -d' ' -f2- |
        xargs -r -d '\n' rm -f
}

# Secrets and configuration alike: for root to write and the service that uses it to
# read, and for no other one.
install_configuration() {
    local file
    find "$etc" -type f -printf '%P\n' | while read -r file; do
        [[ -e $staging/secrets/$file || -e $staging/config/$file || $file == host.env ]] || rm -f "$etc/$file"
    done
    for file in "$staging"/secrets/* "$staging"/config/*; do
        put "$file" "$etc/${file##*/}" 0640 "$(reader_of "${file##*/}")"
    done
    put "$staging/host.env" "$etc/host.env" 0644
}

install_units() {
    has_systemd || return 0
    local service
    for service in $SERVICES; do
        put "$staging/units/floodgate-$service.service" "/etc/systemd/system/floodgate-$service.service" 0644
    done
    put "$staging/units/floodgate-watch.service" /etc/systemd/system/floodgate-watch.service 0644
    put "$staging/units/floodgate-watch.timer" /etc/systemd/system/floodgate-watch.timer 0644
    systemctl daemon-reload
    for service in $SERVICES; do
        local verb=enable
        [[ $service != "$HELD" ]] || verb=disable
        systemctl "$verb" --quiet "floodgate-$service"
    done
    systemctl enable --quiet --now floodgate-watch.timer
}

# What a service is made of; another fingerprint means a restart.
fingerprint() {
    local service=$1 folder file
    {
        if [[ $service == nats ]]; then echo "$NATS_RELEASE"; else echo "$FLOODGATE_RELEASE"; fi
        cat "$staging/units/floodgate-$service.service"
        for folder in secrets config; do
            find "$staging/$folder" -type f | sort | while read -r file; do
                if uses "$service" "${file##*/}"; then echo "${file##*/}"; cat "$file"; fi
            done
        done
    } | sha256sum
}

# `reader_of FILE`: the group that may read it.
reader_of() {
    if uses nats "$1" && uses "$part" "$1"; then echo "$common_group"
    elif uses nats "$1"; then user_of nats
    else user_of "$part"; fi
}

# `uses SERVICE FILE`: nats-server has files of its own, gateway and relay all the
# others; the CA is everyone's.
uses() {
    case $2 in
        ca.pem) true ;;
        nats.* | authorization.conf) [[ $1 == nats ]] ;;
        *) [[ $1 != nats ]] ;;
    esac
}

changed() {
    [[ $1 == "$HELD" ]] || ! "$opt/bin/floodgate-host" status "$1" | grep -q ' runs$' ||
        [[ $(fingerprint "$1") != $(cat "$installed/$1" 2>/dev/null) ]]
}
note() { fingerprint "$1" >"$installed/$1"; }

peers_answer() {
    local peer
    for peer in $PEERS; do answers "${peer%:*}" "${peer##*:}" || return 1; done
}

# Whether each copy in the group is level with its leader's, as far as they can be asked.
group_is_current() {
    local of='.*' findings
    nats_current || return 1
    # A relay sees copies in the regions too.
    [[ $part == gateway ]] || of='centre'
    findings=$(timeout 60 "$opt/bin/floodgate-host" doctor 2>&1) || true
    ! grep -q "^WRONG  replica of .* of $of:" <<<"$findings"
}

# One host of a group at a time: this one stays up while another is away, or while a copy is behind.
group_can_spare_this_host() {
    [[ -n $PEERS && -e $installed/joined ]] && nats_listens || return 0
    within "$group_wait" 'every other host of the group answers' peers_answer
    within "$current_wait" 'every copy in the group is current, so that this host can be taken down' group_is_current
}

restart_what_changed() {
    local nats_changed='' part_changed=''
    changed nats && nats_changed=1
    changed "$part" && part_changed=1
    [[ -n $nats_changed$part_changed ]] || { say 'nothing to restart'; return; }
    [[ -z $nats_changed ]] || group_can_spare_this_host
    "$opt/bin/floodgate-host" stop "$part"
    [[ -z $nats_changed ]] || { "$opt/bin/floodgate-host" stop nats; "$opt/bin/floodgate-host" start nats; note nats; }
    within "$port_wait" 'nats-server listens' nats_listens
    # A group that is being founded cannot be current before most of it is there;
    # Terraform asks again at the end.
    [[ ! -e $installed/joined ]] || within "$current_wait" 'every stream copy of this nats-server is current' nats_current
    "$opt/bin/floodgate-host" start "$part"
    note "$part"
    [[ ! -e $installed/joined ]] || "$opt/bin/floodgate-host" wait-ready
}

main() {
    ensure_users
    ensure_folders
    [[ -e $etc/host.env ]] || put "$staging/host.env" "$etc/host.env" 0644
    install_tools
    choose floodgate "$FLOODGATE_RELEASE"
    choose nats-server "$NATS_RELEASE"
    install_configuration
    install_units
    restart_what_changed
    forget_old_releases
}

main
