set -eu
coredumpctl --no-pager --no-legend list COREDUMP_COMM=imperm-crash | tee /dev/stderr | grep --quiet ' present '
coredumpctl --quiet dump COREDUMP_COMM=imperm-crash --output=/run/imperm-core
[ "$(head --bytes=4 /run/imperm-core | tail --bytes=3)" = ELF ]
