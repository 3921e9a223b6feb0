# A program dies by a signal that leaves its memory behind.
set -eu
cp /usr/bin/bash /run/imperm-crash
ulimit -c unlimited
/run/imperm-crash -c 'kill -SEGV $$' || true
# Written by a service, which ends when the file is there.
for ((tries = 0; tries < 150; tries++)); do
  if coredumpctl --quiet list COREDUMP_COMM=imperm-crash >/dev/null 2>&1; then break; fi
  sleep 0.2
done
coredumpctl --no-pager list COREDUMP_COMM=imperm-crash
