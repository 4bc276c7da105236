#!/usr/bin/env bash
# Lazaret on one machine, to try it out: clamd, a homeserver and Lazaret, with lines to paste. See --help.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: deploy/quickstart.sh [--check] [HOMESERVER_URL]

Installs what is missing (Debian packages: clamav-daemon, a C compiler, curl, openssl), builds Lazaret, starts it
with a clamd of its own in front of HOMESERVER_URL, or of a small demo homeserver if none is given, and prints
lines to paste into a second terminal. Ctrl-C stops everything that was started and removes the work folder.

  --check   run the printed lines here, verify their answers, stop everything; exit status 0 if all were right.
            With a HOMESERVER_URL, the environment variable TOKEN must hold an access token for it.
  --help    this text

LAZARET_PORT (8090), LAZARET_ADMIN_PORT (9090) and DEMO_PORT (8008) choose the ports on 127.0.0.1; where one is
taken, the next free one is used. Rust must be installed: cargo on the PATH or in ~/.cargo/bin.
EOF
}

say() { printf '==> %s\n' "$*"; }
die() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
signatures=/var/lib/clamav
binaries=${CARGO_TARGET_DIR:-target}/release
check=no demo=yes homeserver='' work='' logs=''
proxy=${http_proxy:-}${all_proxy:-}${ALL_PROXY:-}
names=() taken_ports=() notes=() expected=() lines=()
declare -A pids=()

parse_arguments() {
    while (($#)); do
        case $1 in
            -h | --help) usage; exit 0 ;;
            --check) check=yes ;;
            http://* | https://*) demo=no homeserver=${1%/} ;;
            *) usage >&2; die "what is '$1'?" ;;
        esac
        shift
    done
    # It goes into a YAML file and into shell lines, both in quotes.
    [[ $homeserver =~ ^[][A-Za-z0-9.:/_~%-]*$ ]] || die "strange homeserver address '$homeserver'"
    [[ $check = no || $demo = yes || -n ${TOKEN:-} ]] || die 'set TOKEN to check against your own homeserver'
}

# --- processes -------------------------------------------------------------------------------------------------

# start NAME COMMAND...: in a process group of its own, so that Ctrl-C reaches this script alone, which then stops
# its children in order and with all that they started. Descriptor 4 is where the output goes.
start() {
    local name=$1
    shift
    set -m
    "$@" >&4 2>&4 </dev/null 4>&- &
    set +m
    pids[$name]=$!
    names=("$name" "${names[@]}")
}

start_logged() { start "$@" 4>"$logs/$1.log"; }

stop() {
    local group=${pids[$1]} deadline=$((SECONDS + 10))
    kill -TERM -- "-$group" 2>/dev/null || true
    while kill -0 -- "-$group" 2>/dev/null && ((SECONDS < deadline)); do sleep 0.1; done
    kill -KILL -- "-$group" 2>/dev/null || true
    wait "$group" 2>/dev/null || true
}

cleanup() {
    local status=$? name
    trap - EXIT
    trap '' INT TERM HUP # a second Ctrl-C must not leave half of it running
    for name in "${names[@]}"; do stop "$name"; done
    [[ -z $work ]] || rm -rf -- "$work"
    exit "$status"
}

alive() { kill -0 "${pids[$1]}" 2>/dev/null; }

# fail_with_logs MESSAGE NAME...: the work folder goes away, so the end of the logs is shown now.
fail_with_logs() {
    local message=$1 name
    shift
    for name in "$@"; do
        printf -- '--- the end of %s.log\n' "$name"
        tail -n 25 -- "$logs/$name.log"
    done >&2
    die "$message"
}

# wait_for NAME SECONDS COMMAND...: until the command succeeds; the death of NAME is noticed at once.
wait_for() {
    local name=$1 deadline=$((SECONDS + $2)) seconds=$2
    shift 2
    until "$@"; do
        alive "$name" || fail_with_logs "$name stopped by itself" "$name"
        ((SECONDS < deadline)) || fail_with_logs "$name was not ready after $seconds s" "$name"
        sleep 0.2
    done
}

# free_port FIRST: leaves the first port from there on that is neither listened on nor promised in REPLY.
free_port() {
    [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] || die "'$1' is no port"
    REPLY=$1
    while [[ " ${taken_ports[*]} " = *" $REPLY "* ]] || (exec 3<>"/dev/tcp/127.0.0.1/$REPLY") 2>/dev/null; do
        REPLY=$((REPLY + 1))
    done
    ((REPLY < 65536)) || die "no free port from $1 on"
    taken_ports+=("$REPLY")
}

# --- installing and building -----------------------------------------------------------------------------------

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

missing() { ! command -v "$1" >/dev/null; }

install_missing() {
    local packages=()
    if missing clamd; then packages+=(clamav-daemon); fi
    if missing cc; then packages+=(gcc libc6-dev); fi
    if missing curl; then packages+=(curl ca-certificates); fi
    if missing openssl; then packages+=(openssl); fi
    ((${#packages[@]})) || return 0
    if missing apt-get || { ((EUID != 0)) && missing sudo; }; then die "please install: ${packages[*]}"; fi
    say "installing ${packages[*]}"
    as_root apt-get -o DPkg::Lock::Timeout=120 update
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "${packages[@]}"
}

build() {
    local targets=(--bin lazaret)
    [[ $demo = no ]] || targets+=(--example demo_homeserver)
    say "building: cargo build --release ${targets[*]}"
    start build cargo build --release "${targets[@]}" 4>&1
    wait "${pids[build]}" || die 'the build failed'
    names=("${names[@]:1}")
    unset 'pids[build]'
}

# --- clamd -----------------------------------------------------------------------------------------------------

# What a machine without signatures gets, or one whose signatures are still being fetched.
use_test_signatures() {
    signatures=$work/clamd/signatures
    mkdir "$signatures"
    cp samples/clamd/lazaret-test.ndb "$signatures"
    say 'NOTE: no ClamAV signatures in /var/lib/clamav; clamd will detect test files only, no real malware'
}

have_signatures() {
    compgen -G "$signatures/main.c[lv]d" >/dev/null && compgen -G "$signatures/daily.c[lv]d" >/dev/null
}

start_clamd() {
    local folder=$work/clamd as_clamav=()
    mkdir "$folder"
    have_signatures || use_test_signatures
    sed -e "s|@DIR@|$folder|g" -e "s|@DB@|$signatures|g" samples/clamd/clamd.conf >"$folder/clamd.conf"
    # Without a User line clamd would stay root, and it takes hostile files apart.
    if ((EUID == 0)) && id clamav >/dev/null 2>&1; then
        chown -R clamav: "$folder"
        chgrp clamav "$work" && chmod 710 "$work"
        as_clamav=(setpriv --reuid=clamav --regid=clamav --init-groups --)
    fi
    say "starting clamd with the signatures in $signatures"
    start_logged clamd "${as_clamav[@]}" clamd --config-file="$folder/clamd.conf"
    wait_for clamd 90 clamd_answers
}

# curl's gopher support sends one line and prints the answer, which is just what clamd's PING wants.
clamd_answers() {
    [[ $(curl -s -m 5 --unix-socket "$work/clamd/clamd.sock" gopher://clamd/1PING) = PONG ]]
}

# --- homeserver and Lazaret ------------------------------------------------------------------------------------

start_demo_homeserver() {
    free_port "${DEMO_PORT:-8008}"
    start_logged homeserver "$binaries/examples/demo_homeserver" "127.0.0.1:$REPLY"
    wait_for homeserver 10 grep -q '^demo homeserver on' "$logs/homeserver.log"
    homeserver=http://127.0.0.1:$REPLY
    say "the demo homeserver is on $homeserver, access token demo-token"
}

write_configuration() {
    cat >"$work/lazaret.yaml" <<EOF
listen: ${edge#http://}
admin: {listen: ${admin#http://}}
homeserver: {url: "$homeserver"}
clamd: {backends: [{address: "unix:$work/clamd/clamd.sock"}]}
cache: {path: $work/verdicts, secret_path: $work/cache_secret}
crypto: {request_secret_path: $work/request_secret}
spool: {dir: $work/spool}
EOF
}

start_lazaret() {
    free_port "${LAZARET_PORT:-8090}"
    edge=http://127.0.0.1:$REPLY
    free_port "${LAZARET_ADMIN_PORT:-9090}"
    admin=http://127.0.0.1:$REPLY
    mkdir -p "$work/spool"
    write_configuration
    start_logged lazaret "$binaries/lazaret" serve --config "$work/lazaret.yaml"
    wait_for lazaret 60 lazaret_ready
    say "Lazaret is on $edge in front of $homeserver; health and metrics on $admin"
}

lazaret_ready() {
    [[ $(curl -s -m 5 -o /dev/null -w '%{http_code}' "$admin/readyz") = 200 ]]
}

# --- specimens -------------------------------------------------------------------------------------------------

# The EICAR test file stays encoded on the disk, lest another scanner takes it away.
write_specimens() {
    base64 -d >"$work/clean.png" <<'EOF'
iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAsVEt+AAAAABJRU5ErkJggg==
EOF
    cat >"$work/eicar.b64" <<'EOF'
WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo=
EOF
}

hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }
unpadded_base64() { base64 -w 0 | tr -d '='; }

# EICAR as a client would send it to an encrypted room, and the request that hands its key to the scanner.
write_attachment() {
    local key iv hash
    openssl rand -out "$work/key" 32
    { openssl rand 8 && head -c 8 /dev/zero; } >"$work/iv"
    base64 -d "$work/eicar.b64" |
        openssl enc -aes-256-ctr -K "$(hex "$work/key")" -iv "$(hex "$work/iv")" -out "$work/encrypted.bin"
    key=$(unpadded_base64 <"$work/key" | tr '+/' '-_')
    iv=$(unpadded_base64 <"$work/iv")
    hash=$(openssl dgst -sha256 -binary "$work/encrypted.bin" | unpadded_base64)
    cat >"$work/attachment.template" <<EOF
{"file":{"v":"v2","url":"mxc://@MXC@","key":{"alg":"A256CTR","kty":"oct","ext":true,\
"key_ops":["encrypt","decrypt"],"k":"$key"},"iv":"$iv","hashes":{"sha256":"$hash"}}}
EOF
}

# --- the lines to paste, which are also what --check runs ------------------------------------------------------

# step NOTE PATTERNS: takes the lines of the step from standard input; every line of PATTERNS must match the output.
step() {
    notes+=("$1")
    expected+=("$2")
    lines+=("$(cat)")
}

describe_steps() {
    local curl="curl -sS -m 60 -w '\nHTTP %{http_code}\n' -H \"Authorization: Bearer $1\""
    local scanner=$edge/_matrix/media_proxy/unstable read_mxc="sed -n 's|.*mxc://\([^\"]*\)\".*|\1|p'"
    step 'upload a clean picture; the second line keeps its address' 'HTTP 200' <<EOF
answer=\$($curl -H 'Content-Type: image/png' --data-binary @$work/clean.png '$edge/_matrix/media/v3/upload?filename=clean.png'); echo "\$answer"
MXC=\$(echo "\$answer" | $read_mxc)
EOF
    step 'fetch it back' $'HTTP 200\nthe same bytes' <<EOF
$curl -o $work/fetched.png "$edge/_matrix/client/v1/media/download/\$MXC" && cmp $work/clean.png $work/fetched.png && echo 'the same bytes'
EOF
    step 'upload the EICAR test file: refused with 403' $'HTTP 403\nM_FORBIDDEN' <<EOF
base64 -d $work/eicar.b64 | $curl -H 'Content-Type: text/plain' --data-binary @- '$edge/_matrix/media/v3/upload?filename=eicar.txt'
EOF
    step 'put an encrypted EICAR past Lazaret, straight onto the homeserver' 'HTTP 200' <<EOF
answer=\$($curl -H 'Content-Type: application/octet-stream' --data-binary @$work/encrypted.bin $homeserver/_matrix/media/v3/upload); echo "\$answer"
sed "s|@MXC@|\$(echo "\$answer" | $read_mxc)|" $work/attachment.template >$work/attachment.json
EOF
    step 'have it scanned with its key: not clean' $'HTTP 200\n"clean": *false' <<EOF
$curl -H 'Content-Type: application/json' --data-binary @$work/attachment.json $scanner/scan_encrypted
EOF
    step 'try to download it: refused with 403' $'HTTP 403\nMCS_MEDIA_NOT_CLEAN' <<EOF
$curl -H 'Content-Type: application/json' --data-binary @$work/attachment.json $scanner/download_encrypted
EOF
    step 'what was counted' '^lazaret_' <<EOF
curl -sS -m 60 $admin/metrics | grep '^lazaret_'
EOF
}

print_steps() {
    local index
    [[ $demo = yes ]] || printf '\n# an access token of your account\nTOKEN=...\n'
    [[ -z $proxy ]] || printf '\n# no proxy for what runs on this machine\nexport no_proxy=%q\n' "$no_proxy"
    for index in "${!lines[@]}"; do printf '\n# %s\n%s\n' "${notes[index]}" "${lines[index]}"; done
    printf '\n'
}

check_step() {
    local output=$work/step.out pattern
    eval "${lines[$1]}" >"$output" 2>&1 || true
    while read -r pattern; do
        grep -Eq -- "$pattern" "$output" && continue
        printf 'FAIL %s: no "%s" in\n' "${notes[$1]}" "$pattern"
        cat -- "$output"
        return 1
    done <<<"${expected[$1]}"
    printf 'ok   %s\n' "${notes[$1]}"
}

check_steps() {
    local index failed=0
    for index in "${!lines[@]}"; do check_step "$index" || failed=1; done
    ((failed == 0)) || fail_with_logs 'not all answers were as they should be' "${names[@]}"
}

# --- all of it -------------------------------------------------------------------------------------------------

# Debian keeps clamd off the path of ordinary users, and rustup keeps cargo off that of scripts.
set_environment() {
    cd "$root"
    PATH=$PATH:${HOME:-/root}/.cargo/bin:/usr/local/sbin:/usr/sbin:/sbin
    [[ -z $proxy ]] || export no_proxy="${no_proxy:-${NO_PROXY:-localhost}},127.0.0.1"
    missing cargo && die 'cargo is missing; install Rust as described on https://rustup.rs'
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    work=$(mktemp -d /tmp/lazaret-quickstart.XXXXXX)
    logs=$work/logs
    mkdir "$logs"
}

check_homeserver() {
    curl -fsS -m 20 -o /dev/null "$homeserver/_matrix/client/versions" || die "no homeserver answers at $homeserver"
}

start_everything() {
    [[ $demo = yes ]] || check_homeserver
    start_clamd
    build
    [[ $demo = no ]] || start_demo_homeserver
    start_lazaret
}

wait_for_end() {
    local name
    say "logs are in $logs; Ctrl-C stops everything"
    wait -n "${pids[@]}" || true
    for name in "${names[@]}"; do alive "$name" || fail_with_logs "$name stopped by itself" "$name"; done
}

main() {
    parse_arguments "$@"
    set_environment
    install_missing
    start_everything
    write_specimens
    write_attachment
    if [[ $demo = yes ]]; then describe_steps demo-token; else describe_steps "\$TOKEN"; fi
    if [[ $check = yes ]]; then check_steps; else print_steps; wait_for_end; fi
}

main "$@"
