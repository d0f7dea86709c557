# In a guest of our hypervisor: a virtual function that was assigned to it, driven by the kernel's own nvme driver.
VF=$(for d in /sys/bus/pci/devices/*; do [ "$(cat $d/class)" = 0x010802 ] && basename $d; done | head -1)
[ -n "$VF" ] || fail "there is no NVMe controller"
wait_for 30 disks_of $VF || fail "the VF's disk did not appear"
DISK=$(disk_of $VF)
say "$VF is /dev/$DISK, $(cat /sys/block/$DISK/size) blocks, model $(cat /sys/block/$DISK/device/model)"
if [ -n "$hold" ]; then
    echo "guest holds"
    # What the hypervisor is told at its socket shows here: the power button as an event.
    presses() { awk '/ACPI:Ged/ { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' /proc/interrupts; }
    before=$(presses)
    i=0
    while [ $i -lt 3000 ]; do
        [ "$(presses)" = "$before" ] || echo "guest saw the power button"
        before=$(presses)
        usleep 200000
        i=$((i + 1))
    done
fi
before=$(interrupts_of ${DISK%n*})
file_system_on $DISK
after=$(interrupts_of ${DISK%n*})
[ "$after" -gt "$before" ] || fail "no interrupt came"
say "$((after - before)) interrupts, none of them lost: $(cat /proc/interrupts | grep -c ${DISK%n*}q) vectors"
value l2.interrupts $((after - before))
ls /sys/block | grep -vE '^(nvme|loop|ram|zram)' | grep . && fail "there is another disk"
