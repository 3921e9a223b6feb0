set -eux
docker ps --all
docker start keeper
[ "$(docker exec keeper cat /content)" = 'made in boot 1' ]
docker kill keeper
# What the daemon writes arrives in the persistent store.
[ "$(docker info --format '{{.DockerRootDir}}')" = /persist/var/lib/docker ]
