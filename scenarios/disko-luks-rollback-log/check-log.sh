#!/bin/bash
log=/persist/rollback.log
[ -f "$log" ] || { echo "there is no $log"; exit 1; }
begun=$(grep -c 'Rollback running' "$log")
ended=$(grep -c 'Restored /root' "$log")
echo "boot $BOOT: $begun runs in $log, $ended ended well"
[ "$begun" = "$BOOT" ] && [ "$ended" = "$BOOT" ]
