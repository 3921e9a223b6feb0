# The documents of all scenarios, by the scenarios' names. `npm run schema` writes them.
let
  inherit (builtins)
    attrNames
    fromJSON
    listToAttrs
    map
    readDir
    readFile
    ;

  read =
    file:
    let
      document = fromJSON (readFile (../scenarios + "/${file}"));
    in
    if document.imperm == 1 then
      {
        name = document.scenario;
        value = document;
      }
    else
      throw "${file} has version ${toString document.imperm}; this flake reads version 1. Write it anew by `npm run schema`.";
in
listToAttrs (map read (attrNames (readDir ../scenarios)))
