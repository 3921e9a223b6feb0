# imperm with all that it needs, in the checkout that the current folder lies in: it compiles itself there, and writes its
# reports there.
{ pkgs }:
pkgs.writeShellApplication {
  name = "imperm";
  runtimeInputs = (import ./shell.nix { inherit pkgs; }).passthru.packages;
  text = ''
    folder=$PWD
    until [ -e "$folder/harness/bin/imperm.mjs" ]; do
      if [ "$folder" = / ]; then
        echo "imperm: $PWD is not in a checkout of imperm. Clone it, and call this in the clone." >&2
        exit 2
      fi
      folder=$(dirname "$folder")
    done
    exec node "$folder/harness/bin/imperm.mjs" "$@"
  '';
}
