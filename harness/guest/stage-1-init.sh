#!/bin/sh
# Scripted stage 1 in the order in which NixOS does things, with its words where people look for them. Rendered for each
# scenario: a name between two @ is replaced by text. The scenario's commands become part of this script, as on NixOS:
# what they set stays set, `exit` ends stage 1, and a command that fails does not.
targetRoot=/mnt-root
export PATH=/bin
export stage2Init=/init
umask 0022

# What on NixOS is there for commands of the configuration, too: fail, info, waitDevice, specialMount.
fail() {
  [ -z "$panicOnFail" ] || exit 1
  cat <<END

An error occurred in stage 1 of the boot process, which has to mount the
file systems below $targetRoot and to start stage 2. Press one of these keys:

END
  [ -z "$allowShell" ] || echo "  i) for an interactive shell"
  echo "  r) to reboot"
  echo "  *) to go on in spite of the error"
  echo
  read -r reply
  case $allowShell$reply in
    yesi) setsid sh </dev/console >/dev/console 2>&1 || fail ;;
    r | yesr) reboot -f ;;
    *) echo "Continuing..." ;;
  esac
}
trap fail 0

info() { echo "$@"; }

die() {
  echo "$@" >&2
  exit 1
}

specialMount() { # device, mount point, options, type
  mkdir -m 0755 -p "$2"
  mount -n -t "$4" -o "$3" "$1" "$2"
}

# Waits for an event of udev, not for the clock. A slow machine gets a factor from its kernel command line.
appears() { # device, seconds
  [ -e "$1" ] || udevadm wait --timeout=$(($2 * ${waitFactor:-1})) "$1" 2>/dev/null
}

waitDevice() { # device
  [ ! -e "$1" ] || return 0
  echo -n "waiting for device $1 to appear..."
  local status=0
  appears "$1" 20 || status=1
  echo
  return "$status"
}

openLuks() { # device, name, key file or nothing, option of cryptsetup...
  local device=$1 name=$2 keyFile=$3 passphrase
  shift 3
  if [ ! -e "$device" ]; then
    echo -n "Waiting $((10 * ${waitFactor:-1})) seconds for device $device to appear..."
    if appears "$device" 10; then
      echo " - success"
    else
      echo " - failure"
      die "$device is unavailable"
    fi
  fi
  if [ -n "$keyFile" ]; then
    cryptsetup luksOpen "$device" "$name" "$@" --key-file="$keyFile" && return
    echo "Key File $keyFile failed!"
    die "$keyFile is unavailable"
  fi
  while :; do
    passphrase=$reused
    if [ -n "$passphrase" ]; then
      echo "Passphrase for $device: reused"
    else
      echo -n "Passphrase for $device: "
      while [ -z "$passphrase" ]; do IFS= read -r passphrase; done
      echo
    fi
    echo -n "Verifying passphrase for $device..."
    if printf %s "$passphrase" | cryptsetup luksOpen "$device" "$name" "$@" --key-file=-; then
      echo " - success"
      reused=$passphrase
      return
    fi
    echo " - failure"
    reused=
  done
}

checkFileSystem() { # device, type
  echo "checking $1..."
  "fsck.$2" -a "$1"
  case $? in
    0 | 1) ;;
    2 | 3)
      echo "fsck finished, rebooting..."
      reboot -f
      ;;
    *)
      echo "$1 has unrepaired errors, please fix them manually."
      fail
      ;;
  esac
}

mountFileSystem() { # device, mount point, type, options
  local device=$1
  case $device in
    /dev/*) ;;
    # Whatever else is a path is the source of a bind mount.
    /*) device=$targetRoot$device ;;
  esac
  case $device in
    /*) waitDevice "$device" || echo "Timed out waiting for device $device, trying to mount anyway." ;;
  esac
  case $3 in ext*) [ ! -b "$device" ] || checkFileSystem "$device" "$3" ;; esac
  echo "$device $targetRoot$2 $3 $4 0 0" >>/etc/fstab
  echo "mounting $device on $2..."
  mkdir -p "$targetRoot$2"
  mount "$targetRoot$2" || fail
}

echo
echo "<<< NixOS Stage 1 >>>"
echo

mkdir -p /etc/udev /tmp "$targetRoot"
: >/etc/fstab
: >/etc/udev/hwdb.bin
: >/etc/initrd-release
specialMount devtmpfs /dev nosuid,strictatime,mode=755,size=5% devtmpfs
specialMount devpts /dev/pts nosuid,noexec,mode=620,ptmxmode=0666,gid=5 devpts
specialMount tmpfs /dev/shm nosuid,nodev,strictatime,mode=1777,size=50% tmpfs
specialMount proc /proc nosuid,noexec,nodev proc
specialMount tmpfs /run nosuid,nodev,strictatime,mode=755,size=25% tmpfs
specialMount sysfs /sys nosuid,noexec,nodev sysfs
ln -s /proc/mounts /etc/mtab

# From here on everything goes to the console and, line by line, into the kernel's log: the journal has it in stage 2.
# /dev/kmsg is opened anew for each line, because the kernel drops lines of a writer who writes many.
mkfifo /tmp/stage-1-init.log.fifo /tmp/stage-1-init.kmsg.fifo
exec 8>&1 9>&2
tee -i /tmp/stage-1-init.kmsg.fifo </tmp/stage-1-init.log.fifo >&8 2>/dev/null &
loggers=$!
awk '$0 != "" { print "<7>stage-1-init: [" strftime("%a %b %e %H:%M:%S %Z %Y") "] " $0 >"/dev/kmsg"; close("/dev/kmsg") }' \
  </tmp/stage-1-init.kmsg.fifo 2>/dev/null 8>&- 9>&- &
loggers="$loggers $!"
exec >/tmp/stage-1-init.log.fifo 2>&1

for word in $(cat /proc/cmdline); do
  case $word in
    init=*) stage2Init=${word#init=} ;;
    resume=*) resumeDevice=${word#resume=} ;;
    boot.shell_on_fail) allowShell=yes ;;
    boot.panic_on_fail | stage1panic=1) panicOnFail=yes ;;
    boot.trace | debugtrace) set -x ;;
    imperm.wait_factor=*) waitFactor=${word#*=} ;;
  esac
done

echo /bin/modprobe >/proc/sys/kernel/modprobe
for module in @kernelModules@; do
  info "loading module $module..."
  modprobe "$module"
done

@preDeviceCommands@

info "running udev..."
systemd-udevd --daemon
# Only what can lead to a disk: the other three hundred devices are looked at in stage 2.
udevadm trigger --type=all --action=add --prioritized-subsystem=pci,virtio,block --subsystem-match=pci --subsystem-match=virtio \
  --subsystem-match=virtio-ports --subsystem-match=block --subsystem-match=nvme --subsystem-match=misc --subsystem-match=cpu --subsystem-match=platform
udevadm settle

@preLVMCommands@

info "starting device mapper and LVM..."

@postDeviceCommands@

# Resume from hibernation, from the device that the configuration names, else from the swap that says it holds a sleeping
# system. The kernel does not come back from this.
for device in @resumeDevices@; do
  [ -n "$resumeDevice" ] || [ "$(blkid -o value -s TYPE "$device")" != swsuspend ] || resumeDevice=$device
done
if [ -n "$resumeDevice" ] && [ -e /sys/power/resume ] && [ -e "$resumeDevice" ]; then
  cat "/sys/class/block/$(basename "$(readlink -f "$resumeDevice")")/dev" >/sys/power/resume || echo "failed to resume..."
fi

@postResumeCommands@

udevadm settle
@mounts@

@postMountCommands@

# Nothing of stage 1 may live on in stage 2. What was said last is in the log before it goes.
udevadm control --exit
exec >&8 2>&9 8>&- 9>&-
for process in /proc/[0-9]*; do
  process=${process#/proc/}
  case " 1 $loggers " in *" $process "*) continue ;; esac
  line=
  read -r line <"/proc/$process/cmdline"
  case $line in
    '' | @*) ;; # a thread of the kernel; what a file system needs says so by its first letter
    *) kill -9 "$process" ;;
  esac
done 2>/dev/null
wait

echo /sbin/modprobe >/proc/sys/kernel/modprobe

if [ ! -e "$targetRoot$stage2Init" ] && [ ! -L "$targetRoot$stage2Init" ]; then
  echo "stage 2 init script ($targetRoot$stage2Init) not found"
  fail
fi
/usr/lib/imperm/bind-usr "$targetRoot" "${stage2Init%/init}" || fail
for special in /proc /sys /dev /run; do mount -o move "$special" "$targetRoot$special"; done
exec env -i /bin/switch_root "$targetRoot" "$stage2Init"
