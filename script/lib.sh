# shellcheck shell=bash
# What every script here shares: where the tree is, which Debian packages a job needs, build trees.
# To be sourced. Works from any folder, on a Debian 12 where nothing was installed yet.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$top"

# name of a job: packages, and the reason that is shown before they are installed
declare -A packages=(
    [build]="gcc libc6-dev binutils meson ninja-build pkg-config gettext
        libssl-dev libpcsclite-dev libp11-kit-dev libsqlite3-dev libjansson-dev libcyaml-dev libyaml-dev libxml2-dev
        libpam0g-dev libmicrohttpd-dev libgnutls28-dev libcurl4-openssl-dev libargon2-dev libseccomp-dev libsystemd-dev libarchive-dev libldap-dev
        libqrencode-dev libcmocka-dev libfreefare-dev libnfc-dev"
    [run]="softhsm2 libengine-pkcs11-openssl tzdata p11-kit pcscd vsmartcard-vpcd util-linux iproute2"
    [test]="pamtester vlock login sudo openssh-server openssh-client locales dbus python3-dbusmock polkitd openssl zstd curl testssl.sh libfaketime sqlite3 opensc pcsc-tools libfreefare-bin mandoc systemd golang-go golang-golang-x-mod-dev
        swtpm tpm2-tools libtpm2-pkcs11-1 libtss2-tcti-swtpm0
        zbar-tools librsvg2-bin python3-cryptography slapd ldap-utils"
    [callouts]="freeradius freeradius-rest freeradius-utils liblemonldap-ng-portal-perl libplack-perl libstring-random-perl libcrypt-openssl-bignum-perl libgd-securityimage-perl perlmagick"
    [directory]="samba samba-ad-provision samba-dsdb-modules"
    [greeter]="lightdm lightdm-gtk-greeter xvfb xauth xdotool x11-utils imagemagick tesseract-ocr tesseract-ocr-fra dbus locales"
    [node]="nodejs npm"
    [chromium]="chromium"
    [apache]="apache2-bin libapache2-mod-auth-openidc"
    [lemonldap]="liblemonldap-ng-portal-perl libplack-perl libcrypt-openssl-bignum-perl libgd-securityimage-perl perlmagick"
    [clang]="clang-14 libclang-rt-14-dev llvm-14"
    [lint]="clang-format-14 clang-tidy-14 cppcheck shellcheck mandoc"
    [format]="clang-format-14"
)
declare -A reasons=(
    [build]="to compile Tessere"
    [run]="a PKCS#11 token, and the PC/SC service with a virtual reader"
    [test]="other people's programs, which judge ours"
    [callouts]="others that ask whether a password is right"
    [directory]="a domain of Active Directory, of which people come"
    [greeter]="a display manager that asks us, and what reads its screen"
    [node]="other people's programs in JavaScript, which judge ours"
    [chromium]="a browser, to look at pages as people do"
    [apache]="a web server that signs people on by us"
    [lemonldap]="a portal that signs people on by us"
    [clang]="the second compiler, its sanitizers and its fuzzer"
    [lint]="the checks of the sources"
    [format]="the layout of the sources"
)

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "error: $*"
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root and there is no sudo here; as root, run: $*"
    fi
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# need JOB...: installs what these jobs lack, saying what and why. Tests that run side by side need the
# same: one installs, the others wait.
need() {
    command -v dpkg-query >/dev/null || die "this script installs Debian packages; elsewhere, see docs/dependencies.md"
    {
        flock 8
        install_missing "$@"
    } 8<"$top/script/lib.sh"
}

install_missing() {
    local job name missing=()
    for job in "$@"; do
        local lacking=()
        for name in ${packages[$job]}; do
            is_installed "$name" || lacking+=("$name")
        done
        [ ${#lacking[@]} = 0 ] && continue
        say "installing from Debian, ${reasons[$job]}: ${lacking[*]}"
        missing+=("${lacking[@]}")
    done
    [ ${#missing[@]} = 0 ] && return
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
    local install=("${apt[@]}" install -y --no-install-recommends "${missing[@]}")
    # not with the lock: what a package starts would keep it
    if ! as_root "${install[@]}" </dev/null >/dev/null 2>&1 8<&-; then
        say "refreshing the list of packages"
        as_root "${apt[@]}" update </dev/null >&2 8<&-
        as_root "${install[@]}" </dev/null >&2 8<&-
    fi
    for name in "${missing[@]}"; do
        is_installed "$name" || die "$name could not be installed"
    done
}

# all_tests: the jobs of which all tests together need the packages; npm and Chromium may be here from elsewhere
all_tests() {
    echo run test apache lemonldap callouts directory greeter
    command -v npm >/dev/null || echo node
    command -v chromium >/dev/null || echo chromium
}

# unpacked NAME PACKAGE...: Debian packages that conflict with those of this system, beside it; prints the
# folder in the build tree that stands for / to them
unpacked() {
    local to=$top/build/unpacked/$1
    shift
    mkdir -p "$to"
    {
        flock 8
        if [ ! -e "$to/done" ]; then
            say "unpacking from Debian, beside the system: $*"
            (
                cd "$to"
                apt-get -qq download "$@" || { as_root apt-get -qq update && apt-get -qq download "$@"; }
                for deb in *.deb; do dpkg -x "$deb" root; done
                touch "$to/done"
            ) </dev/null >&2 || die "$* cannot be had"
        fi
    } 8<"$to"
    printf '%s\n' "$to/root"
}

# npm_packages DIR: what DIR/package-lock.json names, installed as it says and without any script of
# theirs; prints the folder whose node_modules has it, which is in the build tree. Tests that run side
# by side ask for the same: one installs, the others wait.
npm_packages() {
    local from=$1 to=$top/build/npm/${1##*/}
    command -v npm >/dev/null || need node
    mkdir -p "$to"
    {
        flock 8
        if ! cmp -s "$from/package-lock.json" "$to/installed"; then
            say "installing from npm, other people's programs, which judge ours: $from"
            cp "$from/package.json" "$from/package-lock.json" "$to"
            (cd "$to" && npm ci --ignore-scripts --no-audit --no-fund </dev/null >&2) || die "npm cannot install what $from names"
            cp "$from/package-lock.json" "$to/installed"
        fi
    } 8<"$to"
    printf '%s\n' "$to"
}

# build_tree DIR [meson option...]: a configured and built tree, or $target alone of it; its output is
# shown only on failure
build_tree() {
    local dir=$1 out
    shift
    out=$(mktemp)
    if [ ! -f "$dir/build.ninja" ]; then
        say "configuring $dir"
        rm -rf "$dir/meson-private" "$dir/meson-info"
        meson setup "$dir" "$@" </dev/null >"$out" 2>&1 || { cat "$out" >&2; rm -f "$out"; die "cannot configure $dir"; }
    fi
    say "building $dir"
    ninja -C "$dir" "${target:-all}" </dev/null >"$out" 2>&1 || { cat "$out" >&2; rm -f "$out"; die "cannot build $dir"; }
    rm -f "$out"
}

# Files of the project, also where the tree was unpacked and is no clone.
tracked() {
    if git -C "$top" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git -C "$top" ls-files --cached --others --exclude-standard -- "$@"
    else
        local pattern
        for pattern in "$@"; do
            find . -path './build*' -prune -o -type f -path "./$pattern" -print
        done | sed 's,^\./,,' | sort -u
    fi
}

# The programs that start a PC/SC service need root: ask once, before the long work.
ask_root() {
    [ "$(id -u)" = 0 ] && return
    command -v sudo >/dev/null || return 0
    sudo -n true 2>/dev/null || { say "sudo: $1"; sudo -v; }
}
