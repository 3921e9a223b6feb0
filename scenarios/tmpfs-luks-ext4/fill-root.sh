#!/bin/bash
# Not a byte is left on /: what people do when they download something large.
! dd if=/dev/zero of=/var/too-large bs=1M status=none 2>/dev/null
[ "$(stat --file-system --format=%a /)" = 0 ]
