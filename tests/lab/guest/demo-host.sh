# The demonstration's host: gives the card's VF away, and runs a guest.
VF=$(functions 0x1af4:0x10f1 | head -1)
[ -n "$VF" ] || fail "there is no virtual function of the card"
mount -t ext4 -o ro /dev/vda /q || fail "no disk with tools"
say "Linux $(uname -r) sees the VF at $VF, in IOMMU group $(basename "$(readlink /sys/bus/pci/devices/$VF/iommu_group)")"
check "azote vf bind $VF: it belongs to vfio-pci now" azote vf bind $VF
CMDLINE="origin=$origin"
guest "booting the guest" --cpus 1 --memory size=256M --device path=/sys/bus/pci/devices/$VF
