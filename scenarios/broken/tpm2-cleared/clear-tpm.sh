# TPM2_Clear, as the firmware's menu does it: the TPM gets new seeds, and nothing that it sealed can be opened again.
set -e
# Tag, length 27, command, the lockout hierarchy, then its password, which is empty.
printf '%b' '\x80\x02\0\0\0\x1b\0\0\x01\x26\x40\0\0\x0a\0\0\0\x09\x40\0\0\x09\0\0\0\0\0' >/run/tpm2-clear
exec 3<>/dev/tpmrm0
# A TPM takes a command in one piece.
dd if=/run/tpm2-clear bs=27 status=none >&3
rm /run/tpm2-clear
answer=$(dd bs=4096 count=1 status=none <&3 | od -An -tx1 -j6 -N4 | tr -d ' ')
echo "TPM2_Clear: $answer"
[ "$answer" = 00000000 ]
