# Our hypervisor beside QEMU: the same VF, kernel and initramfs, in turns, in one machine.
PF=0000:01:00.0
VF=0000:01:00.1
DEVICE=/sys/bus/pci/devices/$VF
WORDS="console=ttyS0 quiet panic=-1 lab=guest"
mount -t ext4 -o ro /dev/vda /q || fail "no disk with tools"
mount -t debugfs debug /sys/kernel/debug
wait_for 10 test -b /dev/nvme0n1 || fail "the PF's disk did not appear"
check "VF made and bound" azote vf create $PF 1 --bind
# Read once, so that nobody's first run pays for the disk.
cat /q/vmlinux /q/bin/* /q/lib/* /q/share/* /bin/azote* >/dev/null

OURS="azote run --kernel /q/vmlinux --initramfs /guest.cpio --cpus 1 --memory size=256M --device path=$DEVICE --cmdline"
QEMU="/q/qemu -accel kvm -cpu host -m 256 -nodefaults -no-user-config -display none -serial stdio -no-reboot \
    -kernel /q/vmlinux -initrd /guest.cpio -device vfio-pci,host=$VF -append"
MICROVM="/q/qemu -accel kvm -machine microvm -cpu host -m 256 -nodefaults -no-user-config -display none -serial stdio -no-reboot \
    -kernel /q/vmlinux -initrd /guest.cpio -append"

# watch how name command…: the guest's words as the last argument.
watched() {
    how=$1
    name=$2
    shift 2
    probe $how $name 256 "$@" "$WORDS" || fail "$name: $*"
}

# In turns, so that what else the machine does meets both; the bench takes medians, and says how far the rounds lie apart.
for round in 1 2 3; do
    say "boot, round $round"
    watched boot boot.ours $OURS
    watched boot boot.q35 ${QEMU/-accel/-machine q35 -accel}
    # With pcie=on its serial port gets no interrupts under nested KVM; so without the VF, which spares it some time.
    watched boot boot.microvm ${MICROVM}
done
for round in 1 2 3 4 5; do
    say "I/O, round $round"
    watched watch io.ours $OURS
    watched watch io.qemu ${QEMU/-accel/-machine q35 -accel}
done
