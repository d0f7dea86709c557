# A virtual function of the RTL, bound to vfio-pci in L1 and assigned by our hypervisor to an L2 guest.
VF=$(functions 0x1af4:0x10f1 | head -1)
[ -n "$VF" ] || fail "there is no virtual function of the card"
mount -t ext4 -o ro /dev/vda /q || fail "no disk with tools"
wait_for 20 disks_of $VF || fail "the VF's disk did not appear in L1"
check "VF bound to vfio-pci" azote vf bind $VF
guest "the RTL's VF" --cpus 1 --memory size=256M --device path=/sys/bus/pci/devices/$VF
check "released" azote vf release $VF
quiet_hardware
