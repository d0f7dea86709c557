# QEMU's NVMe VF assigned by our hypervisor to an L2 guest, and refusals on the way.
PF=0000:01:00.0
VF=0000:01:00.1
mount -t ext4 -o ro /dev/vda /q || fail "no disk with tools"
wait_for 10 test -b /dev/nvme0n1 || fail "the PF's disk did not appear"
refuse "a kernel that is no kernel" "kernel" azote run --kernel /lib.sh --cmdline x
refuse "a device that is not there" "0000:7f:00.0" azote run --kernel /q/vmlinux --device path=/sys/bus/pci/devices/0000:7f:00.0
check "VFs made" azote vf create $PF 1
refuse "a device that is not bound to vfio-pci" "azote vf bind" azote run --kernel /q/vmlinux --device path=/sys/bus/pci/devices/$VF
check "VF bound" azote vf bind $VF
refuse "too little memory" "memory" azote run --kernel /q/vmlinux --memory size=8M --device path=/sys/bus/pci/devices/$VF
guest "QEMU's NVMe VF" --cpus 2 --memory size=256M --device path=/sys/bus/pci/devices/$VF
check "PF's VFs released" azote vf release $PF
