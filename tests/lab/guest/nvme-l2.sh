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

# All of it by one word: made, given queues, bound, assigned, and given back at the end.
guest "a VF leased" --memory size=256M --vf storage
[ "$(cat /sys/bus/pci/devices/$PF/sriov_numvfs)" = 0 ] || fail "the leased VF was not given back"
refuse "no such virtual function" "no net virtual function is free" azote run --kernel /q/vmlinux --vf net

# The hypervisor dies: whoever waits for it gives the function back.
hold() {
    azote run --kernel /q/vmlinux --initramfs /guest.cpio --cmdline "console=ttyS0 quiet panic=-1 lab=guest hold=1" \
        --memory size=256M --vf storage --api-socket /tmp/api >/tmp/held 2>&1 &
    held=$!
    wait_for 60 grep -q "guest holds" /tmp/held || fail "the guest did not come up: $(tail -3 /tmp/held)"
}
hold
tr '\0' ' ' </proc/$held/cmdline | grep -q "lab=guest" && fail "the guest's command line is in the arguments of azote"
refuse "a function in use" "in use by azote-vmm" azote vf release $PF

# Commands at its socket.
check "state" azote ctl /tmp/api state
grep -qi running /tmp/check || fail "the guest runs, and its state is: $(cat /tmp/check)"
check "pause" azote ctl /tmp/api pause
check "state, paused" azote ctl /tmp/api state
grep -qi paused /tmp/check || fail "the guest is paused, and its state is: $(cat /tmp/check)"
check "resume" azote ctl /tmp/api resume
check "counters" azote ctl /tmp/api counters
check "power button pressed" azote ctl /tmp/api power-button
wait_for 20 grep -q "guest saw the power button" /tmp/held || fail "the guest did not see its power button"
say "the guest saw its power button"
refuse "a command that is none" "try .--help" azote ctl /tmp/api explode
killall -9 azote-vmm
wait $held && fail "the hypervisor was killed, and azote run reports success"
grep "^azote: " /tmp/held | tail -1
[ "$(cat /sys/bus/pci/devices/$PF/sriov_numvfs)" = 0 ] || fail "the VF of a killed hypervisor was not given back"
say "the hypervisor killed: $(grep "^azote: " /tmp/held | tail -1)"

# It is told to end, by whoever started it: so is the hypervisor, and the function is given back.
hold
kill $held
wait $held || fail "SIGTERM: azote run ended with $?: $(tail -1 /tmp/held)"
[ "$(cat /sys/bus/pci/devices/$PF/sriov_numvfs)" = 0 ] || fail "the VF of a guest that was told to end was not given back"
wait_for 10 test ! -e /tmp/api || fail "the API's socket stayed behind"
say "SIGTERM to azote run: the function is given back"

# Who waits for the hypervisor is killed: the hypervisor ends with it, and the next command gives the function back.
hold
kill -9 $held
wait $held
gone() { [ -z "$(pidof azote-vmm)" ]; }
wait_for 30 gone || fail "the hypervisor goes on without who gives its function back"
[ "$(cat /sys/bus/pci/devices/$PF/sriov_numvfs)" != 0 ] || fail "nobody was left to give the VF back, but it was"
check "swept up after both are gone" azote vf create $PF 1
azote vf list | sed 's/^/    /'
