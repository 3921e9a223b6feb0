#!/usr/bin/env bash
# What real NixOS makes of the scenarios, as a table to send back: evaluates every system in every lane, builds those of
# the lane `main` and the media, installs those systems in virtual machines and boots them. Each is evaluated by a Nix of
# its own, or all of them would be in memory at once.
# Usage, in a git checkout with Nix and a network:  nix run ./nix#report -- [--evaluate-only | --build-only] [lane…]
set -euo pipefail

build=yes
boot=yes
lanes=()
for word; do
  case $word in
  --evaluate-only) build=no boot=no ;;
  --build-only) boot=no ;;
  -*)
    echo "Usage: nix run ./nix#report -- [--evaluate-only | --build-only] [lane…]" >&2
    exit 2
    ;;
  *) lanes+=("$word") ;;
  esac
done

folder=$PWD
until [ -e "$folder/nix/flake.nix" ]; do
  if [ "$folder" = / ]; then
    echo "$PWD is not in a checkout of imperm. Clone it, and call this in the clone." >&2
    exit 2
  fi
  folder=$(dirname "$folder")
done
flake=$folder/nix
table=$folder/reports/nixos.md
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

call_nix() { nix --extra-experimental-features 'nix-command flakes' "$@" </dev/null 2>"$errors"; }
read_list() { call_nix eval --raw "$flake#lib.$1" --apply 'builtins.concatStringsSep "\n"'; }
# In one field of a table.
as_field() { tr '\n|' ' /' | sed 's/ *$//' | cut -c1-300; }
last_error() { { grep 'error:' "$errors" || cat "$errors"; } | tail -n 1 | as_field; }

failed=0
# The result goes to $result: a field of the table.
try() {
  result=yes
  if ! call_nix build --no-link "$flake#$1"; then
    result="NO: $(last_error)"
    failed=1
  fi
}
# To the table, and to whoever waits.
write_row() {
  {
    printf '| %s ' "$@"
    echo '|'
  } | tee -a "$table"
}

fail() {
  cat "$errors" >&2
  exit 1
}
if [ ${#lanes[@]} -eq 0 ]; then
  names=$(read_list laneNames) || fail
  mapfile -t lanes <<<"$names"
fi
revisions=$(read_list revisions) || fail

mkdir -p "${table%/*}"
cat >"$table" <<END
# NixOS: what was evaluated, built, installed, booted

- $(date --utc +%F), imperm $(git -C "$folder" describe --always --dirty), $(nix --version), $(uname -sm)
$(sed 's/^/- /' <<<"$revisions")

| lane | system | evaluated | built |
| --- | --- | --- | --- |
END
for lane in "${lanes[@]}"; do
  names=$(read_list "systemNames.$lane") || fail
  while read -r system; do
    built='not run'
    if verdict=$(call_nix eval --raw "$flake#lib.outcomes.$lane.$system.verdict"); then
      case $verdict in
      evaluated)
        verdict=yes
        if [ "$lane" = main ] && [ "$build" = yes ]; then
          try "nixosConfigurations.$system.config.system.build.toplevel"
          built=$result
        fi
        ;;
      refused*) ;;
      *) failed=1 ;;
      esac
    else
      verdict="NO: $(last_error)"
      failed=1
    fi
    write_row "$lane" "$system" "$(as_field <<<"$verdict")" "$built"
  done <<<"$names"
done

{
  echo
  echo '| besides | built |'
  echo '| --- | --- |'
} >>"$table"
for output in installer-iso installer-netboot; do
  result='not run'
  if [ "$build" = yes ]; then try "$output"; fi
  write_row "$output" "$result"
done
result='not run'
if [ "$build" = yes ]; then try checks.x86_64-linux.same-files; fi
write_row 'fstab, crypttab and units of stage 1 as in the debian guest' "$result"

{
  echo
  echo '## Installed and booted'
  echo
} >>"$table"
summary=$folder/reports/nixos/latest/summary.txt
rm -f "$summary"
if [ "$boot" = yes ]; then
  # Its progress is for whoever waits.
  nix --extra-experimental-features 'nix-command flakes' run "$flake" -- \
    run --all --guest nixos --reports "$folder/reports/nixos" </dev/null >/dev/null || failed=1
fi
if [ -s "$summary" ]; then
  {
    echo '```'
    cat "$summary"
    echo '```'
  } >>"$table"
else
  echo 'not run' >>"$table"
fi

echo "Written: $table"
exit "$failed"
