# The line of the recipe that keeps the machine id, and the D-Bus that NixOS has by default since 26.05.
{
  environment.etc."machine-id".source = "/persist/etc/machine-id";
  services.dbus.implementation = "broker";
}
