#!/bin/bash
# A program holds a secret, and its memory is asked for by somebody else. What is looked at is the partition.
set -eu
device=/dev/disk/by-partlabel/swap
systemd-run --quiet --collect --unit=holder --property=MemoryAccounting=yes \
  bash -c 'half=-secret-; for ((i = 0; i < 15; i++)); do held="${held:-in-memory$half}${held:-in-memory$half}"; done; sleep 600'
trap 'systemctl stop holder.service' EXIT
group=/sys/fs/cgroup$(systemctl show --property=ControlGroup --value holder.service)
for ((tries = 0; tries < 100; tries++)); do
  # It can give back less than it is asked for, which is no fault.
  echo 64M >"$group/memory.reclaim" 2>/dev/null || true
  [ "$(cat "$group/memory.swap.current")" -lt 400000 ] || break
  sleep 0.1
done
echo "$(cat "$group/memory.swap.current") bytes of the program are in swap"
sync
found=$(dd if="$device" iflag=direct bs=1M status=none | grep --text --only-matching --max-count=3 'in-memory-secret-in-memory' | wc -l)
echo "the secret is on the partition: $found times or more"
[ "$found" = 0 ]
