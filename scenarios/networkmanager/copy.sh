# What the recipe copies by hand before the first reboot.
state=/mnt/persist/system/var/lib/NetworkManager
mkdir -p "$state"
printf 'nm-v2:copied-from-the-system-before' >"$state/secret_key"
chmod 0600 "$state/secret_key"
echo '[timestamps]' >"$state/timestamps"
echo '[seen-bssids]' >"$state/seen-bssids"
