# NetworkManager notes the time when a profile comes up, by writing a new file and renaming it.
set -eu
state=/var/lib/NetworkManager
nmcli connection show canary >/dev/null 2>&1 ||
  nmcli connection add type dummy con-name canary ifname canary0 autoconnect no ipv4.method manual ipv4.addresses 192.0.2.1/24 ipv6.method disabled
uuid=$(nmcli --get-values connection.uuid connection show canary)
start=$EPOCHSECONDS
nmcli connection up canary
# Written when NetworkManager has nothing else to do.
for ((tries = 0; tries < 100; tries++)); do
  used=$(sed -n "s/^$uuid=//p" $state/timestamps)
  [ "${used:-0}" -lt "$start" ] || break
  sleep 0.2
done
ls -li $state /persist/system$state
[ "${used:-0}" -ge "$start" ]
# The same file, by way of a link or a bind mount.
[ $state/timestamps -ef /persist/system$state/timestamps ]
