#!/bin/bash
# The truth: whether the root is older than this boot.
set -eu
made=$(btrfs subvolume show / | sed -n 's/^[[:space:]]*Creation time:[[:space:]]*//p')
booted=$(($(date +%s) - $(cut -d. -f1 /proc/uptime)))
failed=no marker=no
[ "$(date -d "$made" +%s)" -ge $((booted - 3)) ] || failed=yes
[ ! -d /root-blank ] || marker=yes
echo "rollback failed: $failed; /root-blank: $marker"
[ "$failed" = "$marker" ]
