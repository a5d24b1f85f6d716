#!/bin/sh
# usage: boot.sh MEMORY COMMAND
# Boots user-mode Linux with this machine's files as its root and runs a shell command in it. For a mount namespace with a
# private /run (test/support/namespace.ts). What the command prints comes out at descriptor 3, then a last line
# "exit STATUS"; what the kernel says, and standard error, comes out here.
set -eu
init=$(cd "$(dirname "$0")" && pwd)/init.sh
mkdir /run/uml
cd /run/uml
# The kernel's command line knows no spaces; these two files do.
ln -s "$init" init
printf '%s\n' "$2" >command

# TMPDIR is where the guest's memory is: a file that linux.uml removes as soon as it is open.
TMPDIR=/run/uml exec linux.uml "mem=$1" umid=guest uml_dir=/run/uml \
  rootfstype=hostfs rootflags=/ ro init=/run/uml/init noreboot quiet \
  con=null con0=null,fd:1 ssl=null ssl0=null,fd:3
