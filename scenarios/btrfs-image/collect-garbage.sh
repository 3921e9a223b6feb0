#!/bin/bash
set -eu
nix-store --gc
