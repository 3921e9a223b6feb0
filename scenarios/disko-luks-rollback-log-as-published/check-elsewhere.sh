#!/bin/bash
set -eu
[ ! -e /mnt/rollback.log ] || { echo "/mnt/rollback.log is there"; exit 1; }
top=$(mktemp -d)
mount -o ro,subvolid=5 /dev/mapper/cryptroot "$top"
trap 'umount "$top"' EXIT
echo "$(wc -l <"$top/rollback.log") lines in rollback.log on the top level"
