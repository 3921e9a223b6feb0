#!/bin/bash
# Runs a command with a libvirt to ask:
#
#   harness/tooling/with-libvirtd.sh npm test
#   harness/tooling/with-libvirtd.sh bash
#
# A libvirt that answers is used as it is. Otherwise root gets one for as long as the command runs: on Debian its packages
# are installed first, virtlogd and libvirtd are started, and both are ended afterwards, whatever becomes of the command.
# Exits as the command does, with 69 when there was to be a libvirt and it did not start.
set -euo pipefail

uri=qemu:///system
start_s=60
root=$(cd "$(dirname "$0")/../.." && pwd)
started=()

say() { echo "libvirtd: $*" >&2; }
give_up() {
  say "$*"
  exit 69
}
answers() { virsh --quiet --connect "$uri" version >/dev/null 2>&1; }

# Waits for a program that we started until others hear it. What it has written tells why it does not answer.
wait_for() { # name, pid, file of its words, command that succeeds
  local name=$1 pid=$2 words=$3 until_s=$((SECONDS + start_s))
  shift 3
  until "$@" >/dev/null 2>&1; do
    if ! kill -0 "$pid" 2>/dev/null || ((SECONDS >= until_s)); then
      tail -n 20 "$words" >&2
      give_up "$name did not answer within $start_s s, or ended; its last words are above"
    fi
    sleep 0.1
  done
}

end_started() {
  local code=$? pid
  # Machines of a command that was killed: without their libvirt nobody could end them.
  if ((${#started[@]} > 1)) && [ -n "$(virsh --quiet --connect "$uri" list --name 2>/dev/null)" ]; then
    node "$root/harness/bin/imperm.mjs" reap --connect "$uri" >&2 || true
  fi
  # The last first: libvirtd writes to virtlogd.
  for ((i = ${#started[@]} - 1; i >= 0; i--)); do
    pid=${started[i]}
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "${words:-}"
  exit "$code"
}

if [ "$(id -u)" -ne 0 ]; then
  # A user has a libvirt of their own, which starts when somebody asks and ends by itself.
  exec "$@"
fi
if command -v virsh >/dev/null && answers; then
  say "the one that runs is used as it is"
  exec "$@"
fi
if ! command -v libvirtd >/dev/null || ! command -v virsh >/dev/null; then
  if ! command -v apt-get >/dev/null; then
    say "not installed, and only on Debian it is installed from here; what needs it will say so"
    exec "$@"
  fi
  say "installing it"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q -q update
  apt-get -q -q install --yes --no-install-recommends \
    libvirt-daemon-system libvirt-clients qemu-system-x86 swtpm swtpm-tools >/dev/null ||
    give_up 'its packages could not be installed; the reason is above'
  if answers; then exec "$@"; fi # systemd has started it
fi

words=$(mktemp -d)
trap end_started EXIT
# In sessions of their own, so that Ctrl-C is the command's alone; they die with us, however we die.
launch() { # name, command
  local name=$1
  shift
  setsid setpriv --pdeathsig TERM "$@" >"$words/$name" 2>&1 </dev/null &
  started+=($!)
}

log_answers() { virt-admin --connect virtlogd:///system server-list; }
if ! log_answers >/dev/null 2>&1; then
  launch virtlogd virtlogd
  wait_for virtlogd "$!" "$words/virtlogd" log_answers
fi

# Where /dev/kvm is there and does not work, libvirt asks QEMU anew what it can do before it starts each machine, which
# takes a minute. A device that cannot be opened is as good as none. (Another file in its place is not: libvirt then
# takes two seconds for each question.)
hide='mount --bind /dev/kvm /dev/kvm && mount -o remount,bind,nodev /dev/kvm && exec libvirtd'
if [ ! -e /dev/kvm ]; then
  launch libvirtd libvirtd
else
  case $(node "$root/harness/bin/imperm.mjs" doctor | grep ' Accelerator ' || true) in
    *' TCG '*) launch libvirtd unshare --mount sh -c "$hide" ;;
    *' KVM. '*) launch libvirtd libvirtd ;;
    *) give_up 'imperm doctor does not say whether KVM works' ;;
  esac
fi
wait_for libvirtd "$!" "$words/libvirtd" answers
say "$(virsh --connect "$uri" version | sed -n 's/^Using library: //p'), for this command only"

code=0
"$@" || code=$?
exit "$code"
