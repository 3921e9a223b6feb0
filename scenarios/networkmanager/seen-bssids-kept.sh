set -eu
cat /var/lib/NetworkManager/seen-bssids
! grep --quiet 02:00:00:00:00:01 /var/lib/NetworkManager/seen-bssids
