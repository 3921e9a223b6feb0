# Whether they block the wipe of the root is a promise of its own: root-wiped.
set -eux
names() { sed 's/.* path //' | sort; }
for volume in /persist:docker /persist/lxd:incus; do
  before=$(names <"/persist/subvolumes-of-${volume#*:}")
  now=$(btrfs subvolume list -o "${volume%:*}" | names)
  [ -z "$(comm -23 <(echo "$before") <(echo "$now"))" ]
done
