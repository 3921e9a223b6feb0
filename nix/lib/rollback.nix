# A rollback of a scenario → NixOS options. Where it runs in stage 1 is the point of many a scenario, so nothing is added
# to what the scenario says, and its text goes through unchanged.
rollback:
let
  inherit (import ./strict.nix) only pick when;

  # What lib.mkOrder makes, without lib: `before` is lib.mkBefore, `after` lib.mkAfter.
  priority = {
    before = 500;
    default = 1000;
    after = 1500;
  };

  service = only "a rollback service" [
    "name"
    "description"
    "after"
    "before"
    "requires"
    "wantedBy"
    "requiredBy"
    "remainAfterExit"
    "script"
  ] rollback.service;

  hook = only "a rollback hook" [
    "hook"
    "order"
    "script"
  ] rollback.hook;
in
builtins.seq (only "a rollback" [ "service" "hook" "blankSnapshot" ] rollback) (
  if rollback ? service then
    {
      systemd.services.${service.name} =
        pick [ "description" "after" "before" "requires" "wantedBy" "requiredBy" "script" ] service
        // {
          unitConfig.DefaultDependencies = "no";
          serviceConfig = {
            Type = "oneshot";
          }
          // when service.remainAfterExit { RemainAfterExit = true; };
        };
    }
  else
    {
      ${hook.hook} = {
        _type = "order";
        priority = priority.${hook.order};
        content = hook.script;
      };
    }
)
