#!/usr/bin/env bash
# Runs every test: unit, integration, documentation, and end to end against a real Synapse and clamd.
# Installs what is missing on Debian, as root or through sudo. Needs Rust to be there.
#
#   tests/run.sh             everything
#   tests/run.sh --quick     without the end-to-end part
#   tests/run.sh --install   nothing but what is missing for them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly REQUIREMENTS=tests/e2e/requirements.txt
readonly VENV=target/e2e-venv
readonly MCS_REQUIREMENTS=tests/e2e/mcs-requirements.txt
readonly MCS_VENV=target/mcs-venv
readonly MCS_SOURCE=matrix_content_scanner-1.4.1
readonly NODE_SOURCE=tests/e2e/js
readonly NODE_MODULES=target/e2e-js
readonly LOGS=target/test-logs
readonly TARGET=${CARGO_TARGET_DIR:-target}

quick=no
install=no
case "${1-}" in
    '') ;;
    --quick) quick=yes ;;
    --install) install=yes ;;
    *)
        sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
esac

step() { printf '\n==> %s\n' "$*"; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

apt_install() {
    local install=(apt-get install -y --no-install-recommends "$@")
    command -v apt-get >/dev/null || die "$* missing, and this is not Debian; there the command is: ${install[*]}"
    local as_root=()
    if [[ $(id -u) != 0 ]]; then
        command -v sudo >/dev/null || die "$* missing; as root run: ${install[*]}"
        as_root=(sudo)
    fi
    step "installing $*"
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}"
}

require_rust() {
    export PATH=$PATH:$HOME/.cargo/bin
    command -v cargo >/dev/null ||
        die "Rust is missing; run: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    # Some crates bring C code.
    command -v cc >/dev/null || apt_install gcc libc6-dev
}

# The tests start clamd themselves, with their own signatures; the system's service may be stopped or masked.
require_clamd() {
    export PATH=$PATH:/usr/sbin
    command -v clamd >/dev/null || apt_install clamav-daemon
    command -v clamd >/dev/null || die "clamd is still missing; run: apt-get install clamav-daemon"
}

# The tests start c-icap themselves, too.
require_c_icap() {
    local module=(/usr/lib/*/c_icap/virus_scan.so)
    [[ -e ${module[0]} ]] && command -v c-icap >/dev/null || apt_install c-icap libc-icap-mod-virus-scan
    command -v c-icap >/dev/null || die "c-icap is still missing; run: apt-get install c-icap libc-icap-mod-virus-scan"
}

# Redis or Valkey is started by the tests, too. Debian 12 has no package of Valkey; where there is one, either will do.
require_redis() {
    command -v redis-server >/dev/null || command -v valkey-server >/dev/null || apt_install redis-server
    command -v redis-server >/dev/null || command -v valkey-server >/dev/null ||
        die "Redis is still missing; run: apt-get install redis-server"
}

# What Lazaret takes files for is compared with what `file` does.
require_file() {
    local missing=()
    command -v file >/dev/null || missing+=(file)
    command -v python3 >/dev/null || missing+=(python3)
    [[ ${#missing[@]} -eq 0 ]] || apt_install "${missing[@]}"
}

# The front proxies, the browser and its driver are started by the tests, too. Node runs one of the clients, OpenSSL
# says what it deciphers.
require_peers() {
    local missing=() pair
    local -a pairs=(nginx:nginx-light haproxy:haproxy chromium:chromium chromedriver:chromium-driver node:nodejs npm:npm)
    pairs+=(openssl:openssl)
    for pair in "${pairs[@]}"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    [[ ${#missing[@]} -eq 0 ]] || apt_install "${missing[@]}"
}

# Kept as the Python environment is. The packages' install scripts are not needed, so they are not run.
require_node_modules() {
    local stamp
    stamp="$(sha256sum <"$NODE_SOURCE/package-lock.json") $(node --version)"
    if [[ -d $NODE_MODULES/node_modules && $(cat "$NODE_MODULES/stamp" 2>/dev/null) == "$stamp" ]]; then
        step "Node packages in $NODE_MODULES are up to date"
        return
    fi
    step "installing the Node packages in $NODE_MODULES"
    rm -rf "$NODE_MODULES"
    mkdir -p "$NODE_MODULES"
    cp "$NODE_SOURCE"/package.json "$NODE_SOURCE"/package-lock.json "$NODE_MODULES"
    npm ci --prefix "$NODE_MODULES" --ignore-scripts --no-audit --no-fund ||
        die "Node packages missing; run: npm ci --prefix $NODE_MODULES --ignore-scripts"
    # Without it, Node before 20.19, such as Debian's, takes the package's ES modules for CommonJS.
    printf '{"type": "module"}\n' >"$NODE_MODULES/node_modules/@matrix-org/matrix-sdk-crypto-wasm/pkg/package.json"
    printf '%s' "$stamp" >"$NODE_MODULES/stamp"
}

usable_python() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

# The first python3 may be a version manager's that has no version chosen, hence the second try.
find_python() {
    local candidate
    for candidate in python3 /usr/bin/python3; do
        if usable_python "$candidate"; then
            python=$candidate
            return
        fi
    done
    apt_install python3 python3-venv
    python=/usr/bin/python3
    usable_python "$python" || die "no Python 3.10 or newer with venv; run: apt-get install python3 python3-venv"
}

# Kept between runs, and made anew when the requirements or the interpreter change.
require_venv() {
    local venv=$1 requirements=$2 python stamp
    find_python
    stamp="$(sha256sum <"$requirements") $("$python" -VV)"
    if [[ -x $venv/bin/python && $(cat "$venv/stamp" 2>/dev/null) == "$stamp" ]]; then
        step "Python environment in $venv is up to date"
        return
    fi
    step "making the Python environment in $venv"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" ||
        die "Python packages missing; run: $venv/bin/python -m pip install -r $requirements"
    printf '%s' "$stamp" >"$venv/stamp"
}

# The Matrix Content Scanner, to compare with: 1.0.8 is installed, the source of 1.4.1 lies beside it, since to build that
# takes a compiler and a git repository.
require_mcs() {
    local missing=() fetch
    command -v clamdscan >/dev/null || missing+=(clamdscan)
    ldconfig -p | grep 'libmagic\.so\.1' >/dev/null || missing+=(libmagic1)
    [[ ${#missing[@]} -eq 0 ]] || apt_install "${missing[@]}"
    require_venv "$MCS_VENV" "$MCS_REQUIREMENTS"
    [[ ! -d $MCS_VENV/$MCS_SOURCE ]] || return 0
    step "fetching the source of $MCS_SOURCE"
    fetch=("$MCS_VENV/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps
        --no-binary matrix-content-scanner -d "$MCS_VENV" "${MCS_SOURCE/-/==}")
    "${fetch[@]}" || die "$MCS_SOURCE missing; run: ${fetch[*]}"
    tar -xzf "$MCS_VENV/$MCS_SOURCE.tar.gz" -C "$MCS_VENV"
}

failed=()

# A failed part does not keep the others from running; its output stays in a log for the summary at the end.
run() {
    local part=$1
    shift
    step "$part: $*"
    "$@" 2>&1 | tee "$LOGS/$part.log" || failed+=("$part")
}

rust_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        run rust cargo nextest run --no-fail-fast
        run doc cargo test --doc
    else
        run rust cargo test --no-fail-fast
    fi
}

# A few files of this system, by name; tests/detection/README.md has the whole comparison.
detection_tests() {
    run detection cargo build --example detect
    run detection tests/detection/quality.py --quick --files 300 --least 96 --binary "$TARGET/debug/examples/detect"
}

end_to_end_tests() {
    if [[ $quick == yes ]]; then
        step "end-to-end tests with Synapse left out (--quick)"
        return
    fi
    local binary
    binary=$(realpath "$TARGET/debug/lazaret")
    run e2e env LAZARET_BIN="$binary" PYTHONDONTWRITEBYTECODE=1 "$VENV/bin/python" -m pytest tests/e2e
}

# The runners' own last words, together at the end: cargo's are far above by now.
summary() {
    local log
    step summary
    for log in rust doc; do
        [[ -f $LOGS/$log.log ]] || continue
        grep -E '^ *Summary \[|^test result:|^error' "$LOGS/$log.log" || echo "$log: no summary in $LOGS/$log.log"
    done
    if [[ -f $LOGS/e2e.log ]]; then
        tail -n 1 "$LOGS/e2e.log"
    fi
    if [[ -f $LOGS/detection.log ]]; then
        tail -n 1 "$LOGS/detection.log"
    fi
}

require_rust
require_clamd
require_c_icap
require_redis
require_file
if [[ $quick == no ]]; then
    require_venv "$VENV" "$REQUIREMENTS"
    require_mcs
    require_peers
    require_node_modules
fi
[[ $install == no ]] || exit 0
mkdir -p "$LOGS"
rm -f "$LOGS"/*.log

step "build: cargo build"
cargo build
rust_tests
detection_tests
end_to_end_tests

if [[ ${#failed[@]} -gt 0 ]]; then
    step "failed: ${failed[*]}"
fi
summary
[[ ${#failed[@]} -eq 0 ]]
