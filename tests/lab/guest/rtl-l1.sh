# Two virtual functions of the RTL, each alone behind a root port, driven by the kernel's own nvme driver.
set -- $(functions 0x1af4:0x10f1)
[ $# = 2 ] || fail "expected two VFs, found: $*"
VF=$1
OTHER=$2
wait_for 20 disks_of $VF $OTHER || fail "the VFs' disks did not appear"
DISK=$(disk_of $VF)
[ "$(driver_of $VF)" = nvme ] || fail "$VF is driven by $(driver_of $VF), not by nvme"
say "$VF is /dev/$DISK, $(cat /sys/block/$DISK/size) blocks, model $(cat /sys/block/$DISK/device/model)"

file_system_on $DISK
[ "$(interrupts_of ${DISK%n*})" -gt 0 ] || fail "no interrupt came"
value rtl_l1.interrupts "$(interrupts_of ${DISK%n*})"

# FLR through sysfs while reading: the driver resets its controller and reads on.
dd if=/dev/$DISK of=/dev/null bs=64k count=256 iflag=direct 2>/tmp/dd &
check "function level reset under I/O" sh -c "echo 1 >/sys/bus/pci/devices/$VF/reset"
wait $! || fail "a read did not survive the reset: $(tail -1 /tmp/dd)"

# Unbind and bind while reading: the reader gets an error, the disk comes back whole; the other function never notices.
dd if=/dev/$(disk_of $OTHER) of=/tmp/other bs=16k iflag=direct 2>/tmp/dd-other &
other=$!
dd if=/dev/$DISK of=/dev/null bs=64k iflag=direct 2>/tmp/dd &
reader=$!
usleep 300000
check "unbound under I/O" sh -c "echo $VF >/sys/bus/pci/drivers/nvme/unbind"
wait $reader
# The kernel gives an error, or the end of a disk that has no size any more; not the whole disk in any case.
[ "$(sed -n 's/+.*records in//p' /tmp/dd)" -lt 1024 ] || fail "the reader got the whole disk though its controller was taken"
check "bound again" sh -c "echo $VF >/sys/bus/pci/drivers/nvme/bind"
wait_for 20 disks_of $VF || fail "the disk did not come back"
DISK=$(disk_of $VF)
wait $other || fail "the other function was disturbed: $(tail -1 /tmp/dd-other)"
same_files_on $DISK "the same files after FLR and rebinding"
quiet_hardware
