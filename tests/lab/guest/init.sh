#!/bin/busybox sh
# First program of a machine of the lab: mounts what a shell needs, loads modules, runs the case, powers off.
# The kernel hands `lab=guest` on its command line to us as a variable.
[ "$lab" = guest ] && echo "guest init"
/bin/busybox mkdir -p /bin /sbin /usr/bin /usr/sbin
/bin/busybox --install -s
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
. /lib.sh
say "init"
for module in $(cat /modules/order); do
    insmod "/modules/$module.ko" || fail "module $module cannot be loaded"
done
. /run.sh
finish
