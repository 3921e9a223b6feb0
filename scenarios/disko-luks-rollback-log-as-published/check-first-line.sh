#!/bin/bash
# It is written before anything is mounted at /mnt, so it goes to stage 1's own memory.
set -eu
top=$(mktemp -d)
mount -o ro,subvolid=5 /dev/mapper/cryptroot "$top"
trap 'umount "$top"' EXIT
head -n 1 "$top/rollback.log"
grep -q 'Rollback running' "$top/rollback.log"
