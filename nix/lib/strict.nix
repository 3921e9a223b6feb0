# Reads attribute sets that were written by a program. An attribute that nobody asks for is an error: this mapping would
# leave it out without a word, and the system would be another one than the scenario's.
{
  # what: for the message; known: the names that may occur.
  only =
    what: known: attrs:
    let
      unknown = builtins.attrNames (removeAttrs attrs known);
    in
    if unknown == [ ] then
      attrs
    else
      throw "${what} has ${builtins.concatStringsSep ", " unknown}, of which this mapping knows nothing; it knows ${builtins.concatStringsSep ", " known}";

  when = condition: attrs: if condition then attrs else { };

  # The attributes of these names that are there.
  pick =
    names:
    builtins.intersectAttrs (
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = null;
        }) names
      )
    );
}
