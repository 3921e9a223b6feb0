# With the time that cryptsetup takes for a passphrase by itself; the root's header is made for quick tests.
set -euo pipefail
wipefs --all --quiet /dev/disk/by-partlabel/swap
cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --iter-time 3000 /dev/disk/by-partlabel/swap "$LUKS_PASSPHRASE_FILE"
cryptsetup open --key-file "$LUKS_PASSPHRASE_FILE" /dev/disk/by-partlabel/swap cryptswap
mkswap --quiet /dev/mapper/cryptswap
cryptsetup close cryptswap
