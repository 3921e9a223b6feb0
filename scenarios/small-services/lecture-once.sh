# sudo lectures a user before it asks for the first time, and notes that in a folder that is persisted. The user is made
# anew in every boot: the root forgets those that are not declared.
set -eu
useradd --uid 4000 lectured
echo lectured:known | chpasswd
said=$(echo known | su lectured --command='sudo --stdin --reset-timestamp true' 2>&1)
echo "$said"
ls /var/db/sudo/lectured
[ -n "$(ls /var/db/sudo/lectured)" ]
case $said in
  *'usual lecture'*) [ "$BOOT" = 1 ] ;;
  *) [ "$BOOT" != 1 ] ;;
esac
