# As an update of the list of forbidden boot loaders does it: the firmware measures the variable dbx into PCR 7.
set -e
variables=/sys/firmware/efi/efivars
mountpoint -q "$variables" || mount -t efivarfs efivarfs "$variables"
# Four bytes say that it stays without power and is seen by boot loader and system; then its content.
printf '\x07\0\0\0imperm' >"$variables/dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f"
