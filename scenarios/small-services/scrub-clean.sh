set -eu
systemctl start --wait btrfs-scrub--.service
systemctl show --property=Result --value btrfs-scrub--.service
[ "$(systemctl show --property=Result --value btrfs-scrub--.service)" = success ]
btrfs scrub status / | tee /dev/stderr | grep --quiet 'Status: *finished'
btrfs scrub status / | grep --quiet 'no errors found'
# Where btrfs keeps it: on the root, that is wiped.
ls -l /var/lib/btrfs/scrub.status.*
