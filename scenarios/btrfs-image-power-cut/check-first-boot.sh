#!/bin/bash
set -u
said=$(journalctl --boot --unit=imperm-first-boot.service --quiet --no-pager -o cat)
echo "$said"
[ "$(grep -c '^First boot done$' <<<"$said")" = "$((BOOT == 1))" ]
