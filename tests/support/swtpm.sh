# shellcheck shell=bash disable=SC2034,SC2154
# A TPM 2.0 in software (swtpm), and in it a token "TPM" of tpm2-pkcs11, all of it in $work/tpm. To be
# sourced. A real TPM has the kernel's resource manager (/dev/tpmrm0) before it, which forgets what a program
# that ended had loaded; here that is tpm_forget, before each program.
tpm_module=$(find /usr/lib/*/pkcs11 -name libtpm2_pkcs11.so 2>/dev/null | head -1)
tpm_uri="pkcs11:token=TPM?module-path=$tpm_module"
tpm_pid=""
export TPM2_PKCS11_STORE=$work/tpm/store TPM2_PKCS11_TCTI=swtpm:path=$work/tpm/socket TPM2_PKCS11_LOG_LEVEL=0 TSS2_LOG=all+NONE

tpm_forget() {
    tpm2_flushcontext --tcti="$TPM2_PKCS11_TCTI" --transient-object &&
        tpm2_flushcontext --tcti="$TPM2_PKCS11_TCTI" --loaded-session
}

tpm_start() {
    local i
    mkdir -p "$work/tpm/state" "$work/tpm/store"
    swtpm socket --tpm2 --tpmstate "dir=$work/tpm/state" --flags not-need-init,startup-clear \
        --server "type=unixio,path=$work/tpm/socket" --ctrl "type=unixio,path=$work/tpm/socket.ctrl" >"$work/tpm/log" 2>&1 &
    tpm_pid=$!
    for ((i = 0; i < 50; i++)); do
        tpm_forget >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    cat "$work/tpm/log"
    return 1
}

tpm_stop() {
    [ -n "$tpm_pid" ] || return 0
    kill "$tpm_pid" 2>/dev/null
    wait "$tpm_pid" 2>/dev/null
    tpm_pid=""
    rm -f "$work/tpm/socket" "$work/tpm/socket.ctrl"
}

tpm_tool() {
    tpm_forget && pkcs11-tool --module "$tpm_module" "$@"
}

# The token, with the PIN of $work/pin, in a TPM that has none.
tpm_make() {
    printf 123456 >"$work/pin" && chmod 600 "$work/pin" &&
        tpm_tool --slot 1 --init-token --label TPM --so-pin 12345678 &&
        tpm_tool --slot 1 --login --login-type so --so-pin 12345678 --init-pin --pin 123456
}
