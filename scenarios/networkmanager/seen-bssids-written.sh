# An access point is forgotten with the profile that used it: the one thing that NetworkManager writes to this file on a
# machine without a wireless interface.
set -eu
state=/var/lib/NetworkManager
uuid=11111111-2222-4333-8444-555555555555
printf '[seen-bssids]\n%s=02:00:00:00:00:01,\n' $uuid >/persist/system$state/seen-bssids
systemctl restart NetworkManager
nmcli connection add type wifi con-name forgotten ifname '*' ssid forgotten connection.uuid $uuid autoconnect no
nmcli connection delete forgotten
for ((tries = 0; tries < 100; tries++)); do
  grep --quiet $uuid $state/seen-bssids || break
  sleep 0.2
done
! grep --quiet $uuid $state/seen-bssids
ls -li $state /persist/system$state
[ $state/seen-bssids -ef /persist/system$state/seen-bssids ]
