# sudo lectures a user before it asks for the first time, and notes that in a folder that is persisted.
set -eu
echo itsdrike:known | chpasswd
said=$(echo known | su itsdrike --command='sudo --stdin --reset-timestamp true' 2>&1)
echo "$said"
[ -e /var/db/sudo/lectured/itsdrike ] || [ -e /var/db/sudo/lectured/1000 ]
case $said in
  *'usual lecture'*) [ "$BOOT" = 1 ] ;;
  *) [ "$BOOT" != 1 ] ;;
esac
