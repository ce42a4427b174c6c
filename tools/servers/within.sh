#!/bin/sh
# Runs a command as if a server of target/servers were installed, for itself alone: its files and those of DIRECTORY
# are laid over /usr and /etc, and /run, /var/lib and /var/spool are empty. Called in a mount namespace of its own
# (unshare --mount), so nobody else sees any of it.
# Usage: within.sh ROOT DIRECTORY COMMAND...
set -eu
root=$1
directory=$2
shift 2
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$directory/etc:$root/etc:/etc" /etc
mount -t overlay overlay -o "lowerdir=$root/usr:/usr" /usr
for each in /run /var/lib /var/spool; do
    mount -t tmpfs -o mode=755 tmpfs "$each"
done
# This shell stays, as the first process of its namespace: whoever ends it ends all of them. A server that changes its
# user would lose the signal that comes with the end of whoever started it.
"$@"
exit $?
