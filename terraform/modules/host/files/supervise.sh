#!/usr/bin/env bash
# Keeps one service running on a host without systemd: restarts with back-off, rotates its log, watches
# nats-server. SIGTERM stops the service in its own way and ends this.
set -uo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. /opt/floodgate/lib/lib.sh

readonly service=$1 file=$log/$1.log
readonly look_every=5 max_backoff=30 calm=60 max_log_bytes=67108864 kept_logs=5 stop_wait=90
child='' stopping=''

# Sets `command`, `stop_signal` and `capabilities`.
describe() {
    stop_signal=TERM capabilities=-all
    case $service in
        nats) command=("$opt/bin/nats-server" --config "$etc/nats.conf") stop_signal=USR2 ;;
        gateway) command=("$opt/bin/floodgate" gateway --config "$etc/gateway.toml") capabilities=-all,+net_bind_service ;;
        relay) command=("$opt/bin/floodgate" relay --config "$etc/relay.toml") ;;
        *) fail "no such service: $service" ;;
    esac
}

launch() {
    ulimit -n 1048576 2>/dev/null || ulimit -n "$(ulimit -Hn)"
    umask 077
    local user
    user=$(user_of "$service")
    cd "$(data_of "$service")" || exit 1
    exec setpriv --reuid "$user" --regid "$user" --init-groups --no-new-privs --pdeathsig TERM \
        --bounding-set "$capabilities" --inh-caps "$capabilities" --ambient-caps "$capabilities" \
        "${command[@]}" >>"$file" 2>&1 </dev/null
}

rotate() {
    (($(stat -c %s "$file" 2>/dev/null || echo 0) > max_log_bytes)) || return 0
    local number
    # Copied, then cut: the service goes on writing to the same file. A full disk costs no old log.
    cp "$file" "$file.new" || { rm -f "$file.new"; return 0; }
    for ((number = kept_logs - 1; number > 0; number--)); do
        [[ -f $file.$number ]] && mv -f "$file.$number" "$file.$((number + 1))"
    done
    mv -f "$file.new" "$file.1"
    : >"$file"
}

stop() {
    stopping=1
    [[ -n $child ]] && kill -s "$stop_signal" "$child" 2>/dev/null
}

# Until the service ends; looks after log and streams meanwhile.
mind() {
    local deadline='' tick
    while kill -0 "$child" 2>/dev/null; do
        sleep "$look_every" & tick=$!
        wait -n "$child" "$tick"
        kill "$tick" 2>/dev/null
        rotate
        if [[ -n $stopping ]]; then
            : "${deadline:=$((SECONDS + stop_wait))}"
            ((SECONDS < deadline)) || kill -KILL "$child" 2>/dev/null
        elif [[ $service == nats ]]; then
            # In the background and by itself: it may have to stop this very supervisor.
            setsid "$opt/bin/floodgate-host" watch </dev/null >>"$file" 2>&1 &
        fi
    done
}

main() {
    local backoff=1 began
    describe
    trap stop TERM
    install -d -m 0750 "$log"
    while [[ -z $stopping ]]; do
        began=$SECONDS
        launch & child=$!
        [[ -n $stopping ]] && stop
        mind
        [[ -n $stopping ]] && break
        ((SECONDS - began > calm)) && backoff=1
        sleep "$backoff" & wait $!
        ((backoff = backoff * 2 > max_backoff ? max_backoff : backoff * 2))
    done
}

main
