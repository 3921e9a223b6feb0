# The harness's channel into a machine, the same as in the other guest: SSH over a virtio port named imperm.agent. Its keys
# come in by the firmware for one power-on.
{ pkgs, ... }:
let
  overlay = ../../harness/guest/debian/overlay/agent;
  text = file: builtins.readFile (overlay + file);

  # Whoever logs in without pam_env and without a login shell is told of no program otherwise.
  configuration = pkgs.writeText "imperm-agent-sshd-config" ''
    ${text "/usr/lib/imperm/sshd_config"}
    SetEnv PATH=/run/wrappers/bin:/run/current-system/sw/bin
  '';
  agent = pkgs.writeScript "imperm-agent" (
    builtins.replaceStrings
      [
        "#!/bin/bash"
        "/usr/sbin/sshd"
        "/usr/lib/imperm/sshd_config"
      ]
      [
        "#!${pkgs.runtimeShell}"
        "${pkgs.openssh}/bin/sshd"
        "${configuration}"
      ]
      (text "/usr/lib/imperm/agent")
  );
in
{
  services.udev.extraRules = text "/usr/lib/udev/rules.d/99-imperm-agent.rules";

  # For the user of its own to whom sshd gives up its rights.
  services.openssh.enable = true;

  environment.etc."pam.d/imperm-agent".text = text "/usr/lib/pam.d/imperm-agent";

  systemd.services.imperm-agent = {
    description = "Test harness channel";
    path = [ pkgs.coreutils ];
    unitConfig = {
      DefaultDependencies = false;
      ConditionPathExists = "/dev/virtio-ports/imperm.agent";
      StartLimitIntervalSec = 0;
    };
    # A switch to another generation must not cut off whoever asked for it.
    restartIfChanged = false;
    stopIfChanged = false;
    serviceConfig = {
      ExecStart = "${agent}";
      StandardInput = "file:/dev/virtio-ports/imperm.agent";
      StandardOutput = "file:/dev/virtio-ports/imperm.agent";
      StandardError = "journal";
      RuntimeDirectory = "sshd";
      RuntimeDirectoryPreserve = true;
      Restart = "always";
      RestartSec = "50ms";
      SendSIGHUP = true;
    };
  };

  # The port has lost its other end while the machine was off.
  powerManagement.resumeCommands = ''
    ${pkgs.systemd}/bin/systemctl --no-block restart imperm-agent.service
  '';
}
