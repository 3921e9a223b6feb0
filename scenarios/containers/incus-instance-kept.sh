set -eux
incus list
incus start keeper
[ "$(incus exec keeper -- cat /root/content)" = 'made in boot 1' ]
incus stop --force keeper
[ /var/lib/incus/database -ef /persist/var/lib/incus/database ]
