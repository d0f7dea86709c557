# QEMU's NVMe controller: its VFs made and bound by `azote vf`, driven by our driver.
PF=0000:01:00.0
VF=0000:01:00.1
wait_for 10 test -b /dev/nvme0n1 || fail "the PF's disk did not appear"

refuse "more VFs than there are" "at most 4" azote vf create $PF 9
refuse "VFs of what is no PF" "no physical function with SR-IOV" azote vf create 0000:00:00.0 1
refuse "a function that is not there" "no such PCI function" azote vf bind 0000:7f:00.0
check "VFs made, given queues and brought online" azote vf create $PF 2
refuse "VFs made twice" "busy: 2 virtual functions are enabled" azote vf create $PF 2
refuse "a function with no driver of ours" "not to vfio-pci" azote id $VF
check "VF bound to vfio-pci" azote vf bind $VF
check "list" azote vf list
check "VF identified through vfio-pci" azote id $VF
grep -q "QEMU NVMe Ctrl" /tmp/check || fail "the controller does not say who it is"

probe make-data /tmp/data 64
check "64 MiB written" azote copy --quiet /tmp/data $VF
check "64 MiB read back" azote copy --quiet $VF /tmp/back
cmp /tmp/data /tmp/back || fail "what was read is not what was written"
rm /tmp/back

check "reads by interrupts, every vector" probe interrupts $VF
check "DMA outside of the mapping, and the controller usable afterwards" probe stray-dma $VF
dmesg | grep -q "DMAR.*\[DMA Write.*01:00.1\] fault" || fail "the IOMMU did not refuse it"
say "the IOMMU refused it: $(dmesg | grep -o '\[DMA Write.*' | tail -1)"

probe hold $VF >/tmp/hold 2>&1 &
wait_for 20 grep -q holding /tmp/hold || fail "the function could not be held: $(cat /tmp/hold)"
check "list, in use" azote vf list
grep -q "probe (process" /tmp/check || fail "the list does not say who has the function"
refuse "release of a function in use" "in use by probe" azote vf release $PF
refuse "a second user of a function" "busy: another process has it" azote id $VF

ask "unplug nvme"
wait $!
status=$?
sed 's/^/    /' /tmp/hold
[ $status = 0 ] || fail "hot unplug: $(tail -1 /tmp/hold)"
wait_for 20 test ! -e /sys/bus/pci/devices/$PF || fail "the unplugged controller is still there"
say "hot unplug survived: $(tail -1 /tmp/hold)"
