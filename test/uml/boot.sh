#!/bin/sh
# usage: boot.sh MEMORY COMMAND [DEVICE]
# Boots user-mode Linux with this machine's files as its root and runs a shell command in it. For a mount namespace with a
# private /run (test/support/namespace.ts). What the command prints comes out at descriptor 3, then a last line
# "exit STATUS"; what the kernel says, and standard error, comes out here. A network device given is the guest's vec0.
set -eu
init=$(cd "$(dirname "$0")" && pwd)/init.sh
mkdir /run/uml
cd /run/uml
# The kernel's command line knows no spaces; these two files do.
ln -s "$init" init
printf '%s\n' "$2" >command

# TMPDIR is where the guest's memory is: a file that linux.uml removes as soon as it is open.
memory=$1
if [ $# -eq 3 ]; then
  # Four of struct sock_filter (linux/filter.h), little-endian: without it the guest would hear itself.
  # ldh #pkttype; jeq #PACKET_OUTGOING, then ret #0, else ret #262144
  printf '\50\0\0\0\4\360\377\377\25\0\0\1\4\0\0\0\6\0\0\0\0\0\0\0\6\0\0\0\0\0\4\0' >others
  set -- "vec0:transport=raw,ifname=$3,depth=128,bpffile=/run/uml/others"
else
  set --
fi

TMPDIR=/run/uml exec linux.uml "mem=$memory" umid=guest uml_dir=/run/uml \
  rootfstype=hostfs rootflags=/ ro init=/run/uml/init noreboot quiet \
  con=null con0=null,fd:1 ssl=null ssl0=null,fd:3 "$@"
