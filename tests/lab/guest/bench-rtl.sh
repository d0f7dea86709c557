# The RTL's VF in a guest of ours, and the time of a register access through vfio-user.
VF=$(functions 0x1af4:0x10f1 | head -1)
mount -t ext4 -o ro /dev/vda /q || fail "no disk with tools"
mount -t debugfs debug /sys/kernel/debug
wait_for 20 disks_of $VF || fail "the VF's disk did not appear in L1"
check "VF bound to vfio-pci" azote vf bind $VF
probe mmio $VF || fail "registers could not be read"
probe watch rtl 256 azote run --kernel /q/vmlinux --initramfs /guest.cpio --cpus 1 --memory size=256M \
    --device path=/sys/bus/pci/devices/$VF --cmdline "console=ttyS0 quiet panic=-1 lab=guest reads1=300 reads32=3000" ||
    fail "the guest failed"
