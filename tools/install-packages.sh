#!/usr/bin/env bash
# Installs Debian packages that are missing, and says which and why.
# Usage: tools/install-packages.sh REASON PACKAGE...
# Nothing is done, and nobody asked for a password, when all are present.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: $0 REASON PACKAGE..." >&2
    exit 2
fi
reason=$1
shift

# Elsewhere than on Debian and its kin the packages have other names: say what is wanted and go on.
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "These Debian packages are wanted $reason: $*" >&2
    echo "This system has no apt-get: install what corresponds to them by hand." >&2
    exit 0
fi

missing=()
for package in "$@"; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "Installing from Debian, $reason: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "This needs root and there is no sudo. As root, run: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
# msmtp asks by a dialogue about AppArmor if it may; nobody is there to answer.
install=(env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends)
if ! "${as_root[@]}" "${install[@]}" "${missing[@]}"; then
    echo "The package lists may be old: updating them and trying again."
    "${as_root[@]}" apt-get update
    "${as_root[@]}" "${install[@]}" "${missing[@]}"
fi
