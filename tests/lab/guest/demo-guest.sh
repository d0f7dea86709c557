# The demonstration's guest: a stock kernel, its own nvme driver, a file system that was made elsewhere.
VF=$(for d in /sys/bus/pci/devices/*; do [ "$(cat $d/class)" = 0x010802 ] && basename $d; done | head -1)
wait_for 30 disks_of $VF || fail "the VF's disk did not appear"
DISK=$(disk_of $VF)
say "Linux $(uname -r): driver $(driver_of $VF) found /dev/$DISK on $VF: $(cat /sys/block/$DISK/device/model)"
mount -t ext4 -o ro,noload /dev/$DISK /mnt || fail "/dev/$DISK cannot be mounted"
cd /mnt
find . -type f | LC_ALL=C sort >/tmp/files
value demo.files "$(wc -l </tmp/files)"
tr '\n' '\0' </tmp/files | xargs -0 md5sum >/tmp/sums
echo "@digest $(md5sum </tmp/sums | cut -d' ' -f1)"
value demo.interrupts "$(interrupts_of ${DISK%n*})"
value demo.read_kib "$(($(awk '{ print $3 }' /sys/block/$DISK/stat) / 2))"
cd /
umount /mnt
