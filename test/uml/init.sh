#!/bin/sh
# Process 1 of the guest (boot.sh). Its root is the host's disk, mounted read-only.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=/tmp NO_COLOR=1
export PATH HOME NO_COLOR

mount -t proc proc /proc
mount -t sysfs sysfs /sys
checkout=$(readlink -f "$(dirname "$(readlink -f /run/uml/init)")/../..")
case $checkout in
  /tmp/*)
    # The new /tmp would hide what is to run.
    mount --bind "$checkout" /mnt
    mount -t tmpfs tmpfs /tmp
    mkdir -p "$checkout"
    mount --move /mnt "$checkout"
    ;;
  *) mount -t tmpfs tmpfs /tmp ;;
esac
cp /run/uml/command /tmp/command
mount -t tmpfs tmpfs /run
mkdir /run/netns

# Modules load on demand, from where Debian's package has them.
release=$(uname -r)
mkdir -p /run/modules/lib/modules
ln -s "/usr/lib/uml/modules/$release" "/run/modules/lib/modules/$release"
cat >/run/modprobe <<'END'
#!/bin/sh
exec modprobe -d /run/modules "$@"
END
chmod +x /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe

modprobe -d /run/modules ipv6
ip link set lo up
stty -F /dev/ttyS0 raw -echo
# Through a pipe, because programs talk differently to a terminal.
{
  sh /tmp/command
  echo "exit $?"
} </dev/null | cat >/dev/ttyS0
# Setting a terminal waits until everything is through.
stty -F /dev/ttyS0 raw
exec busybox poweroff -f
