# The profile of an interface that every machine can have.
set -eu
[ "$(nmcli --get-values connection.interface-name connection show canary)" = canary0 ]
file=/etc/NetworkManager/system-connections/canary.nmconnection
[ "$(stat --format=%a:%U "$file")" = 600:root ]
