#!/bin/bash
set -eu
top=$(mktemp -d)
mount -o ro,subvolid=5 /dev/mapper/cryptroot "$top"
trap 'umount "$top"' EXIT
runs=$(grep -c 'Restoring blank' "$top/rollback.log")
echo "boot $BOOT: the log holds $runs rollbacks"
[ "$runs" = 1 ]
