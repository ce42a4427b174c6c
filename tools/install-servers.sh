#!/usr/bin/env bash
# Fetches other people's mail servers from Debian for the tests of the doctor, and unpacks each below target/servers without
# installing it: they exclude one another, and none of them shall serve mail on this machine.
# What they need and the system has not is unpacked beside them. tools/servers/within.sh runs them.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD/target/servers

command -v apt-get >/dev/null && command -v dpkg >/dev/null || {
    echo "This system has no apt-get: the doctor is not tested against other people's servers." >&2
    exit 0
}

# What apt would install for these packages, themselves included.
wanted() {
    apt-get install --simulate --no-install-recommends "$@" | sed -n 's/^Inst \([^ ]*\) .*/\1/p'
    printf '%s\n' "$@"
}

# unpack NAME PACKAGE...
unpack() {
    local root=$here/$1
    shift
    [ ! -e "$root/complete" ] || return 0
    echo "Unpacking from Debian, for the tests of the doctor: $*"
    rm -rf "$root"
    mkdir -p "$root/packages" "$root/etc" "$root/usr/lib"
    # apt's own user may not write here; that it fetches as root then is no news.
    (cd "$root/packages" && wanted "$@" | sort -u | xargs apt-get download --quiet --quiet -o APT::Sandbox::User=root)
    for package in "$root"/packages/*.deb; do
        dpkg -x "$package" "$root"
    done
    rm -r "$root/packages"
    # Packages from before the merger of /lib into /usr/lib.
    for each in bin sbin lib; do
        [ ! -d "$root/$each" ] || { mkdir -p "$root/usr/$each" && cp -a "$root/$each/." "$root/usr/$each/" && rm -r "${root:?}/$each"; }
    done
    touch "$root/complete"
}

unpack dovecot dovecot-core dovecot-imapd dovecot-pop3d dovecot-submissiond
unpack postfix postfix libsasl2-modules sasl2-bin
unpack exim exim4-base exim4-daemon-light
unpack opensmtpd opensmtpd
unpack cyrus cyrus-common cyrus-imapd cyrus-pop3d libsasl2-modules sasl2-bin
