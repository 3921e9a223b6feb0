#!/bin/bash
# The root that the last lines call deleted is the one that this boot runs on: it is older than the boot.
set -eu
top=$(mktemp -d)
mount -o ro,subvolid=5 /dev/mapper/cryptroot "$top"
trap 'umount "$top"' EXIT
claim=$(tail -n 3 "$top/rollback.log" | grep 'Deleting /root subvolume')
made=$(btrfs subvolume show "$top/root" | sed -n 's/^[[:space:]]*Creation time:[[:space:]]*//p')
booted=$(($(date +%s) - $(cut -d. -f1 /proc/uptime)))
echo "the log says \"$claim\"; /root was made at $made"
[ "$(date -d "$made" +%s)" -ge $((booted - 3)) ]
