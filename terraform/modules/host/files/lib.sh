# shellcheck shell=bash disable=SC2034 What the scripts on a host share.
# Sourced by bash; needs nothing but coreutils, awk and setpriv, which every Debian has.

# All of these are root's, so that no service can put a link where root writes.
# A service owns one folder: `data_of`.
readonly opt=/opt/floodgate etc=/etc/floodgate var=/var/lib/floodgate run=/run/floodgate log=/var/log/floodgate
# Everyone who may look into $etc; which files are whose is said by their own groups.
readonly common_group=floodgate
# What is installed: fingerprints of services, and whether the host was once ready within its group.
readonly installed=$var/installed
# There once the host's group may go.
readonly may_go=$var/may-go
# Bounds, in seconds, of everything that is waited for.
# Copying gigabytes takes its time: current_wait.
readonly port_wait=60 group_wait=180 current_wait=1800 ready_wait=180

# Each service has a user of its own, with a group of the same name.
user_of() { echo "floodgate-$1"; }
# `data_of SERVICE`: the one folder that it may write to.
data_of() {
    case $1 in
        nats) echo "$var/jetstream" ;;
        gateway) echo "$var/cache" ;;
        relay) echo "$var/relay" ;;
        *) fail "no such service: $1" ;;
    esac
}

# `as_service SERVICE COMMAND…`: with its rights and nothing else.
as_service() {
    local user
    user=$(user_of "$1")
    shift
    (cd / && exec setpriv --reuid "$user" --regid "$user" --init-groups --no-new-privs --bounding-set -all --inh-caps -all "$@")
}

say() { printf 'floodgate: %s: %s\n' "$(hostname)" "$*"; }
fail() { say "$*" >&2; exit 1; }
has_systemd() { [[ -d /run/systemd/system ]]; }

# `answers HOST PORT`: whether something listens there.
answers() { timeout 2 bash -c "exec 3<>/dev/tcp/$1/$2" 2>/dev/null; }

# `http HOST PORT PATH`: whether a GET is answered with 200; prints the body.
http() {
    local answer
    # shellcheck disable=SC2016
    answer=$(timeout 5 bash -c '
        exec 3<>"/dev/tcp/$1/$2" || exit 1
        printf "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" "$3" "$1" >&3
        cat <&3' _ "$1" "$2" "$3" 2>/dev/null | tr -d '\r\0') || return 1
    printf '%s\n' "${answer#*$'\n\n'}"
    [[ $answer == HTTP/1.[01]\ 200* ]]
}

# `within SECONDS WHAT COMMAND…`: until it succeeds.
within() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null; do
        ((SECONDS < end)) || fail "gave up waiting until $what"
        sleep 0.5
    done
}

# The monitor answers 200 only when every stream that this server has a copy of is current.
nats_current() { http 127.0.0.1 8222 /healthz; }
nats_listens() { answers 127.0.0.1 4222; }
part_ready() { http "${READY_ADDRESS%:*}" "${READY_ADDRESS##*:}" /readyz; }
