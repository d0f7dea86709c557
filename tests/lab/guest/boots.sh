# One guest of our hypervisor, booted many times in one machine: with a VF of QEMU's NVMe, as guests have it.
PF=0000:01:00.0
VF=0000:01:00.1
mount -t ext4 -o ro /dev/vda /q || fail "no disk with tools"
mount -t debugfs debug /sys/kernel/debug
wait_for 10 test -b /dev/nvme0n1 || fail "the PF's disk did not appear"
check "VF made and bound" azote vf create $PF 1 --bind
cat /q/vmlinux /bin/azote* >/dev/null
say "clocksource $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
mount -t tracefs trace /sys/kernel/tracing
say "KVM shows $(ls -d /sys/kernel/tracing/events/kvm/*/ 2>/dev/null | wc -l) kinds of events"
probe boots $boots azote run --kernel /q/vmlinux --initramfs /guest.cpio --cpus 1 --memory size=256M \
    --device path=/sys/bus/pci/devices/$VF --cmdline "console=ttyS0 quiet panic=-1 lab=guest" || fail "the boots"
