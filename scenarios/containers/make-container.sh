# A tiny image: a shell and two programs of the machine, with their libraries.
set -eux
root=/run/tiny
programs='/usr/bin/bash /usr/bin/cat /usr/bin/sleep'
mkdir -p $root/{dev,etc,proc,root,run,sbin,sys,tmp,var}
for folder in bin lib lib64; do
  mkdir -p $root/usr/$folder
  ln -s usr/$folder $root/$folder
done
cp --parents --dereference $programs $(ldd $programs | grep -oE '[[:space:]]/[^ ]*' | sort -u) $root
ln -s bash $root/usr/bin/sh
tar --create --directory $root . | docker import - tiny
docker run --detach --name keeper --network none tiny /bin/sh -c 'echo "made in boot 1" >/content; exec sleep 1000000'
docker exec keeper cat /content
docker kill keeper
btrfs subvolume list -o /persist | sort >/persist/subvolumes-of-docker
[ -s /persist/subvolumes-of-docker ]
