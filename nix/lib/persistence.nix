# What a scenario persists → options of each of the modules that people use for it. Builtins alone, like map.nix.
persistence:
let
  inherit (builtins) concatMap filter listToAttrs;
  inherit (import ./strict.nix) only when;

  roots = map (
    root:
    only "a persistence root" [ "root" "hideMounts" "directories" "files" ] root
    // {
      directories = map (only "a persisted directory" [
        "path"
        "source"
        "user"
        "group"
        "mode"
        "inStageOne"
      ]) root.directories;
      files = map (only "a persisted file" [ "path" "source" "method" ]) root.files;
    }
  ) persistence;

  byRoot =
    render:
    listToAttrs (
      map (each: {
        name = each.root;
        value = render each;
      }) roots
    );

  all = name: concatMap (each: each.${name}) roots;

  machineIds = concatMap (
    { root, files, ... }:
    map ({ source, ... }: { inherit root source; }) (filter isMachineId files)
  ) roots;
  isMachineId = { path, ... }: path == "/etc/machine-id";

  isInEtc = { path, ... }: builtins.substring 0 5 path == "/etc/";
  belowEtc = path: builtins.substring 5 (builtins.stringLength path) path;
  # A word of a shell.
  quote = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] text}'";
in
{
  # github:nix-community/impermanence
  impermanence.environment.persistence = byRoot (each: {
    inherit (each) hideMounts;
    directories = map (
      {
        path,
        user,
        group,
        mode,
        ...
      }:
      {
        directory = path;
        inherit user group mode;
      }
    ) each.directories;
    # The default is left out: older versions do not have the option.
    files = map (
      { path, method, ... }: { file = path; } // when (method != "auto") { inherit method; }
    ) each.files;
  });

  # github:nix-community/preservation. It cannot do without systemd in stage 1.
  preservation = {
    preservation = {
      enable = true;
      preserveAt = byRoot (
        each:
        let
          hidden = when each.hideMounts { mountOptions = [ "x-gvfs-hide" ]; };
        in
        {
          directories = map (
            {
              path,
              user,
              group,
              mode,
              inStageOne,
              ...
            }:
            {
              directory = path;
              inherit user group mode;
              inInitrd = inStageOne;
            }
            // hidden
          ) each.directories;
          files = map (
            file:
            if isMachineId file then
              # A link that leads nowhere is filled by the first boot; a mounted file would be written anew at every one.
              {
                file = file.path;
                inInitrd = true;
                how = "symlink";
                configureParent = true;
              }
            else if file.method == "symlink" then
              {
                file = file.path;
                how = "symlink";
              }
            else
              { file = file.path; } // hidden
          ) each.files;
        }
      );
    };
  }
  // when (machineIds != [ ]) {
    # Written to where the link leads; the empty string takes back what the unit says by itself.
    systemd.services.systemd-machine-id-commit =
      let
        inherit (builtins.head machineIds) root source;
      in
      {
        unitConfig.ConditionPathIsMountPoint = [
          ""
          source
        ];
        serviceConfig.ExecStart = [
          ""
          "systemd-machine-id-setup --commit --root ${root}"
        ];
      };
  };

  # No module at all: bind mounts in fileSystems, links by environment.etc and tmpfiles. What is bound has to be there.
  plain = {
    fileSystems = listToAttrs (
      concatMap (
        each:
        map (
          { path, source, inStageOne, ... }:
          {
            name = path;
            value = {
              device = source;
              fsType = "none";
              options = [ "bind" ] ++ (if each.hideMounts then [ "x-gvfs-hide" ] else [ ]);
              neededForBoot = inStageOne;
            };
          }
        ) each.directories
      ) roots
    );
    # Before anything is mounted in stage 2, on what stage 1 has mounted.
    system.activationScripts = when (all "directories" != [ ]) {
      impermStore = builtins.concatStringsSep "" (
        map (
          { source, user, group, mode, ... }:
          ''
            [ -d ${quote source} ] || install -d -o ${quote user} -g ${quote group} -m ${mode} ${quote source}
          ''
        ) (all "directories")
      );
    };
    environment.etc = listToAttrs (
      map (
        { path, source, ... }:
        {
          name = belowEtc path;
          value.source = source;
        }
      ) (filter isInEtc (all "files"))
    );
    systemd.tmpfiles.rules = map ({ path, source, ... }: "L+ ${path} - - - - ${source}") (
      filter (file: !isInEtc file) (all "files")
    );
  };
}
