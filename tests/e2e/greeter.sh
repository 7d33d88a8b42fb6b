#!/usr/bin/env bash
# A display manager and the badge: LightDM and its GTK greeter are Debian's, on an X server of this test;
# agent, server, vault, card and pcscd are real; PAM's file is the package's own with the blocks of
# docs/integration/pam.md. What people see is read off the screen, and kept in $SCREENS. TAP output.
if [ -z "${TESSERE_CARD_PORT:-}" ]; then # packages need the network that a private pcscd has not
    # shellcheck disable=SC2016 # for the inner shell
    bash -c '. "$1"; need greeter' - "$LIB" || exit 1
    exec "$(dirname "$0")/../support/with-pcscd" "$0"
fi
# shellcheck source=tests/support/own-etc.sh
. "$(dirname "$0")/../support/own-etc.sh"
# shellcheck source=tests/support/hospital.sh
. "$(dirname "$0")/../support/hospital.sh"
support=$(dirname "$0")/../support
lightdm_pid="" bus_pid="" language=eng
export DISPLAY=:77 XAUTHORITY=/run/lightdm/root/:77
end_all() {
    local pid
    [ -z "$lightdm_pid" ] || stop_lightdm
    for pid in $agent_pid $server_pid $bus_pid; do kill "$pid" 2>/dev/null; done
    umount -l "$work/own/pcscd" "$work/own/etc" 2>/dev/null
    leave
}
trap end_all EXIT
block() { "$support/page-block" "$PAGES/pam.md" "$1"; }

set_up() {
    chmod 711 "$work"
    own_etc "$work/own" && own_pam_module "$PAM_TESSERE" && own_display && own_french && mkdir -p /etc/tessere /run/tessere-agent &&
        own_user anne 2001 anne-password && own_user bruno 2002 bruno-password && own_user carla 2003 carla-password || return 1
    rm -f /etc/nologin
    tessere init --finess 750712184 --name Hospital &&
        tessere server setup --hosts DNS:localhost,IP:127.0.0.1 --address 127.0.0.1 --port $port &&
        tessere person add alice --roles administrator,operator --out "$work/alice" || return 1
    printf 'pin: {tries: 3, pauses: [0]}\nrules: [{group: "", factor: pin-always}]\n' >"$home/policy.yaml"
    start_server || return 1
    local row badge ref uid
    for row in anne:10001:E1F6 bruno:10002:E2F6 stranger:10009:E3F6; do
        IFS=: read -r badge ref uid <<<"$row"
        enrol_badge ev2 "04A1B2C3D4$uid" "$badge" "$ref" "$badge" || return 1
        echo 135790 | "$TESSERE" holder pin "$ref" --server "https://localhost:$port" --identity "$work/alice" --ca "$home/pki/ca.pem" || return 1
    done
}

# What a display manager writes and switches is not the machine's: displays, its state, the consoles.
own_display() {
    mkdir -p /tmp/.X11-unix /var/lib/lightdm-data "$work/sessions" "$SCREENS" &&
        mount -t tmpfs -o mode=1777 own-x11 /tmp/.X11-unix && mount -t tmpfs own-data /var/lib/lightdm-data &&
        mount -t tmpfs own-lightdm /var/lib/lightdm && chown lightdm: /var/lib/lightdm || return 1
    [ ! -e /dev/tty0 ] || mount --bind /dev/null /dev/tty0
}

start_station() { # LANGUAGE
    printf 'state: %s\nserver: https://localhost:%s\nlanguage: %s\nreaders: ["Tessere 00 00*"]\nsocket: {path: /run/tessere-agent/socket, mode: "0600"}\n' \
        "$work/st" $port "$1" >"$work/agent.yaml"
    [ -d "$work/st" ] || "$TESSERE_AGENT" --config "$work/agent.yaml" enrol --code "$2" || return 1
    : >"$work/agent.log"
    "$TESSERE_AGENT" --config "$work/agent.yaml" --json run >"$work/agent.out" 2>"$work/agent.log" </dev/null &
    agent_pid=$!
    until_so grep -q ready "$work/agent.log"
}
station() {
    start_station en "$(call alice POST /v1/stations '{"name":"pharmacy-1"}' | sed 's/.*"code":"\([^"]*\)".*/\1/')" &&
        cp "$home/pki/ca.pem" /etc/tessere/ca.pem && block users >/etc/tessere/users && block keys >"$work/keys.sh" &&
        sed -i "s|kms.hospital.example:8443|localhost:$port|" "$work/keys.sh" && bash -e "$work/keys.sh"
}

# as_page_says: PAM's file of the package, and the page's lines in it
as_page_says() {
    block lightdm >/etc/lightdm/lightdm.conf.d/50-tessere.conf && above lightdm 'auth      requisite pam_nologin.so' "$(block greeter)" &&
        sed -i '/^auth.*pam_nologin/d' /etc/pam.d/lightdm && above lightdm '@include common-account' "$(block greeter-account)"
}

# LightDM's words for an X server are Xorg's. A person's session is a window that tells whose it is.
configure_lightdm() {
    printf '#!/bin/sh\nexec Xvfb %s -auth %s -nolisten tcp -nolock -screen 0 800x600x24\n' $DISPLAY $XAUTHORITY >"$work/x"
    # shellcheck disable=SC2016 # for the session's shell
    printf '#!/bin/sh\nexec xmessage -center "This is the session of $(id -un)."\n' >"$work/desk"
    printf '[Desktop Entry]\nName=Desk\nExec=%s\nType=Application\n' "$work/desk" >"$work/sessions/desk.desktop"
    chmod +x "$work/x" "$work/desk"
    mkdir -p /etc/lightdm/lightdm.conf.d
    printf '[LightDM]\nminimum-display-number=%s\nsessions-directory=%s\n[Seat:*]\nxserver-command=%s\nuser-session=desk\n' \
        ${DISPLAY#:} "$work/sessions" "$work/x" >/etc/lightdm/lightdm.conf
}

# Whatever it and its sessions started ends with it, and it with this test, however that ends. An X
# server tells its parent when it is ready, unless that is process 1.
start_lightdm() { # [VARIABLE=VALUE]...
    env -u DISPLAY -u XAUTHORITY "$@" setpriv --pdeathsig KILL unshare --pid --fork --kill-child --mount-proc sh -c 'lightdm --debug & wait' >"$work/lightdm.log" 2>&1 &
    lightdm_pid=$!
}
stop_lightdm() {
    kill -KILL "$lightdm_pid"
    wait "$lightdm_pid" 2>/dev/null
    rm -rf "${XAUTHORITY:?}" /tmp/.X11-unix/X*
}

# --- the screen
look() { import -window root "$work/screen.png"; }
read_screen() {
    convert "$work/screen.png" -crop 600x300+100+150 -colorspace gray -resize 250% "$work/large.png" &&
        OMP_THREAD_LIMIT=1 tesseract "$work/large.png" - --psm 11 -l "$language" | tr -s '\n ' ' '
}
reads() { look && read_screen >"$work/text" && grep -F -- "$1" "$work/text"; }
# Typing reaches the field that has the focus, whose frame is blue.
has_focus() { [ "$(convert "$work/screen.png" -fill black +opaque '#3584e4' -fill white -opaque '#3584e4' -format '%[fx:int(mean*w*h)]' info:)" -gt 400 ]; }
reads_and_asks() { reads "$1" && has_focus; }
comes_to() { until_so "$@" || { echo "the screen says: $(cat "$work/text")"; false; }; }
# shows NAME TEXT, asks NAME TEXT: the screen comes to show it, and a field to type in; it is kept under this name
shows() { comes_to reads "$2" && cp "$work/screen.png" "$SCREENS/$1.png"; }
asks() { comes_to reads_and_asks "$2" && cp "$work/screen.png" "$SCREENS/$1.png"; }
types() { xdotool type --delay 30 "$1" && xdotool key Return; }
has_session() { until_so pgrep -u "$1" -x xmessage && until_so xdotool search --onlyvisible --class xmessage && look && cp "$work/screen.png" "$SCREENS/session-$1.png"; }
nobody_is_in() { ! pgrep -x xmessage; }
leaves() { pkill -u "$1" -x xmessage && until_so nobody_is_in && shows again "$present"; }
opens() { # BADGE, which asks for the PIN: the session of that person's account
    insert 0 "$work/$1" && asks "pin-$1" "$pin" && types 135790 && has_session "$1" && remove 0
}
present="Present your badge." pin="Type the PIN of your badge, then press Enter."

check "a hospital, with badges and PINs" set_up
check "the station is enrolled, its agent serves, and root has keys and accounts, as the page says" station
check "a system bus" own_bus
configure_lightdm
check "LightDM and PAM are configured as the page says" as_page_says

start_lightdm
check "the greeter asks for the badge, and nobody types a name" shows greeter "$present"
check "Anne taps, types her PIN as it says, and her session opens" opens anne
check "she leaves: the greeter is there again" leaves anne
mistypes() { insert 0 "$work/bruno" && asks pin "$pin" && types 246802 && asks wrong-pin "Wrong PIN. Type it again." && nobody_is_in && types 135790 && has_session bruno && remove 0; }
check "Bruno mistypes his PIN, is told, and types it again" mistypes
check "he leaves" leaves bruno

refused() { # BADGE NAME WORDS [PIN]
    insert 0 "$work/$1" && { [ -z "${4:-}" ] || { asks "$2-pin" "$pin" && types "$4"; }; } && shows "$2" "$3" && nobody_is_in && remove 0
}
check "a badge without an account here is refused, and it is said" refused stranger no-account "This badge has no account on this computer." 135790
check "Anne's badge is suspended" call alice POST /v1/badges/1/suspend '{"reason":"forgotten"}'
check "it is refused before any PIN, with the server's sentence" refused anne suspended "Badge suspended. Go to the badge office."
check "then Bruno taps, and nobody had to touch anything in between" opens bruno
check "Anne's badge is reinstated" call alice POST /v1/badges/1/reinstate '{"reason":"found"}'
sed -i 's/timeout=20/timeout=2/' /etc/pam.d/lightdm # from the next log-in on
check "he leaves" leaves bruno

policy() {
    printf 'rules: [{group: "", factor: %s}]\n' "$1" >"$home/policy.yaml"
    local before
    before=$(grep -c 'taken up' "$work/server.log")
    kill -HUP "$server_pid"
    until_so taken_up
}
taken_up() { [ "$(grep -c 'taken up' "$work/server.log")" -gt "$before" ]; }
check "the policy asks for no PIN" policy badge
messages() { grep -c 'Got 1 message(s) from PAM' "$work/lightdm.log"; }
has_told_two() { [ "$(messages)" -ge $((before + 2)) ]; }
alone() { # the reason, and after two seconds the request again
    local before
    before=$(messages)
    insert 0 "$work/stranger" && until_so has_told_two && remove 0 && shows again "$present"
}
check "somebody is refused and nobody comes after them: a badge is asked for, not a password" alone
accepted() { insert 0 "$work/anne" && asks accepted "Badge accepted. Press Enter." && nobody_is_in && xdotool key Return && has_session anne && remove 0; }
check "Anne taps then: her badge is accepted, and Enter opens her session" accepted
check "she leaves" leaves anne
names() { # USER WORDS: types the name, is told, and types the password
    xdotool key Tab && types "$1" && asks "password-$1" "$2" && types "$1-password" && has_session "$1"
}
check "Carla has no badge with her: she types her name, and after the time her password" names carla "No badge was presented."
check "she leaves" leaves carla
kill "$agent_pid"
check "the agent ends: the greeter says so, and asks for a name at once" asks no-agent "The badge reader does not work at the moment."
is_prompted() { [ "$(sed -n "/service 'lightdm', username 'bruno'/,\$p" "$work/lightdm.log" | grep -c 'Prompt greeter')" -ge 2 ]; }
falls_back() { types bruno && until_so is_prompted && asks no-agent-password "The badge reader does not work at the moment." && types bruno-password && has_session bruno; }
check "Bruno goes in by name and password" falls_back

# --- in French
stop_lightdm
language=fra present="Présentez votre badge." pin="Tapez le code de votre badge, puis Entrée."
check "the station's agent, in French" start_station fr
check "the policy asks for a PIN again" policy pin-always
sed -i 's/timeout=2 user_from_badge greeter/timeout=20 user_from_badge greeter language=fr/' /etc/pam.d/lightdm
start_lightdm LOCPATH="$work" LC_ALL=fr_FR.UTF-8
check "the greeter asks in French" shows greeter-fr "$present"
check "Bruno's badge is revoked" call alice POST /v1/badges/2/revoke '{"reason":"lost"}'
check "a badge is refused in French" refused bruno revoked "Badge annulé. Rendez-le au bureau des badges."
check "Anne's PIN is asked for in French, and her session opens" opens anne
check "she leaves" leaves anne
turned_away() { grep 'Authentication complete with return value [1-9]' "$work/lightdm.log"; }
kept_out() {
    echo "The computers rest until noon." >/etc/nologin
    insert 0 "$work/anne" && asks pin "$pin" && types 135790 && until_so turned_away && nobody_is_in
}
check "/etc/nologin keeps her out, whose badge and PIN are right" kept_out
check "the server ends" stop_server
finish
