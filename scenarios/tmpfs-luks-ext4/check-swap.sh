#!/bin/bash
# The partition behind the mapping must look like noise: no signature, neither of swap nor of LUKS.
set -eu
device=/dev/disk/by-partuuid/3f6b8d1e-52a7-4c09-9d7b-0a4c6e2f1b85
swap=$(swapon --noheadings --show=NAME)
type=$(lsblk --noheadings --nodeps --output TYPE "$swap")
found=$(wipefs --noheadings --output TYPE "$device")
echo "swap on $swap ($type); on the partition: ${found:-no signature}"
[ "$type" = crypt ] && [ -z "$found" ]
# As NixOS warns, nothing keeps one from hibernating into it.
busctl call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager CanHibernate || true
