# What a system needs to run in a virtual machine of the harness and to be seen there, whoever wrote it.
{ lib, ... }:
{
  boot = {
    kernelParams = lib.mkAfter [ "console=ttyS0" ];
    initrd.availableKernelModules = [
      "virtio_blk"
      "virtio_console"
      "virtio_pci"
      "nvme"
      "tpm_tis"
      "tpm_crb"
    ];
    # What the firmware hands in: credentials and settings of one power-on.
    initrd.kernelModules = [
      "dmi_sysfs"
      "qemu_fw_cfg"
    ];
  };

  # A copy of every line on a console of its own, from stage 1 on: evidence of boots that never come up.
  services.journald = {
    console = lib.mkForce "/dev/hvc0";
    extraConfig = "MaxLevelConsole=info";
  };
  boot.initrd.systemd.contents."/etc/systemd/journald.conf.d/imperm.conf".text = ''
    [Journal]
    ForwardToConsole=yes
    TTYPath=/dev/hvc0
    MaxLevelConsole=info
  '';
}
