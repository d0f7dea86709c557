# Our server and our hypervisor, no QEMU and no vfio-pci between them; what happens when the server dies or is busy.
mount -t ext4 -o ro /dev/vda /q || fail "no disk with tools"
truncate -s 64M /tmp/volume
azote --sim --model /card.so --volume /tmp/volume serve --socket-dir /tmp/card >/tmp/serve 2>&1 &
server=$!
wait_for 60 test -S /tmp/card/vf0.sock || fail "the server did not start: $(cat /tmp/serve)"
refuse "a socket that is not there" "vf7" azote run --kernel /q/vmlinux --user-device socket=/tmp/card/vf7.sock
guest "a VF by vfio-user" --cpus 1 --memory size=256M --user-device socket=/tmp/card/vf0.sock

# A guest that only waits, so that the server can be taken from it.
CMDLINE="hold=1"
azote run --kernel /q/vmlinux --initramfs /guest.cpio --cmdline "console=ttyS0 quiet panic=-1 lab=guest hold=1" \
    --memory size=256M --user-device socket=/tmp/card/vf0.sock >/tmp/held 2>&1 &
held=$!
wait_for 60 grep -q "guest holds" /tmp/held || fail "the guest did not come up: $(tail -3 /tmp/held)"
refuse "a second guest on the same function" "another guest has this function" azote run --kernel /q/vmlinux --user-device socket=/tmp/card/vf0.sock
kill -9 $server
wait $held
status=$?
sed 's/^/    /' /tmp/held | tail -5
[ $status != 0 ] || fail "the guest's device died, and the hypervisor reports success"
grep -q "^azote: .*vfio-user" /tmp/held || fail "the hypervisor does not say that its device died: $(tail -1 /tmp/held)"
say "the device's server killed: $(grep '^azote: ' /tmp/held | tail -1)"
