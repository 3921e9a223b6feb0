#!/bin/bash
[ ! -e /imperm_test/testfile ] || { echo "/imperm_test/testfile is still there"; exit 1; }
