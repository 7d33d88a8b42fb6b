# shellcheck shell=bash
# For tests of programs that read /etc and write /var: a mount namespace in which both are ours. To be
# sourced first of all, inside with-pcscd; the script begins again there, as root. Nothing of the
# machine is written: /etc is a copy, /run, /var/log and /var/lib/sudo are empty.
if [ "${TESSERE_OWN_ETC:-}" != yes ]; then
    own=(unshare --mount --propagation private)
    [ "$(id -u)" = 0 ] || own=(sudo -n --preserve-env "${own[@]}")
    "${own[@]}" true 2>/dev/null || { echo "1..0 # SKIP no mount namespace is to be had"; exit 0; }
    TESSERE_OWN_ETC=yes exec "${own[@]}" "$0" "$@"
fi

# own_etc DIR: DIR/etc stands for /etc from now on
own_etc() {
    local dir=$1
    mkdir -p "$dir/etc" "$dir/pcscd" && cp -a /etc/. "$dir/etc/" && mount --bind "$dir/etc" /etc &&
        mount --bind /run/pcscd "$dir/pcscd" && mount -t tmpfs -o mode=755 own-run /run &&
        mkdir /run/pcscd /run/sshd && mount --bind "$dir/pcscd" /run/pcscd &&
        mount -t tmpfs own-log /var/log && mount -t tmpfs -o mode=711 own-sudo /var/lib/sudo
}

# shellcheck disable=SC2154 # $work is of tap.sh
# own_pam_module FILE: PAM finds this module by its name, beside the machine's
own_pam_module() {
    local place
    place=$(dirname "$(find /usr/lib /lib -name pam_unix.so -print -quit)")
    mkdir "$work/security" && cp -a "$place/." "$work/security/" && cp "$1" "$work/security/" &&
        mount --bind "$work/security" "$place"
}

# own_user NAME UID PASSWORD [SHELL]
own_user() {
    mkdir -p "$work/homes/$1" && touch "$work/homes/$1/.hushlogin" && chown -R "$2:$2" "$work/homes/$1" &&
        echo "$1:x:$2:$2:$1:$work/homes/$1:${4:-/bin/sh}" >>/etc/passwd && echo "$1:x:$2:" >>/etc/group &&
        echo "$1:$(openssl passwd -6 "$3"):19700:0:99999:7:::" >>/etc/shadow
}

# above SERVICE LINE TEXT: the text stands above this line of /etc/pam.d/SERVICE
above() {
    local text=$3
    awk -v line="$2" -v text="$text" '$0 == line { print text } { print }' "/etc/pam.d/$1" >"$work/service" &&
        grep -qF "$text" "$work/service" && cat "$work/service" >"/etc/pam.d/$1"
}

# shellcheck disable=SC2034,SC2154 # $work is of tap.sh
# own_bus: a system bus that starts nothing by itself; $bus_pid
own_bus() {
    mkdir -p /run/dbus && cat >"$work/bus.conf" <<'X'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_destination="*"/> <allow receive_sender="*"/>
  </policy>
</busconfig>
X
    dbus-daemon --nofork --config-file="$work/bus.conf" >"$work/bus.log" 2>&1 &
    bus_pid=$!
    until_so test -S /run/dbus/system_bus_socket
}

# shellcheck disable=SC2154
# own_french: a program with LOCPATH=$work has fr_FR.UTF-8, and finds the sentences of $FRENCH
own_french() {
    local place=$LOCALES
    while ! [ -d "$place" ]; do place=$(dirname "$place"); done
    [ "$place" = "$LOCALES" ] || { mount -t tmpfs own-locale "$place" && mkdir -p "$LOCALES"; } || return 1
    mount --bind "$FRENCH" "$LOCALES" && localedef -i fr_FR -f UTF-8 "$work/fr_FR.UTF-8"
}
