# Ways in which a stock Linux guest resets its machine, stands still, and floods its console: each ends well.
mount -t ext4 -o ro /dev/vda /q || fail "no disk with tools"

# linux act more…: the command of a guest that does so.
linux() {
    act=$1
    more=$2
    shift 2
    azote run --kernel /q/vmlinux --initramfs /guest.cpio --memory size=128M \
        --cmdline "console=ttyS0 quiet panic=-1 lab=guest act=$act $more" "$@"
}

# By ACPI (what azote asks for), the keyboard controller, the chipset, and a triple fault.
for way in a k p t; do
    linux reset reboot=$way >/tmp/reset 2>&1 || fail "reboot=$way: azote run ended with $?: $(tail -1 /tmp/reset)"
    grep -q "guest init" /tmp/reset || fail "reboot=$way: the guest did not come up"
    said=$(grep '^azote: ' /tmp/reset)
    case $way in
    t) echo "$said" | grep -q "triple fault" || fail "reboot=t: azote does not say so: $said" ;;
    *) [ -z "$said" ] || fail "reboot=$way: $said" ;;
    esac
    say "reboot=$way ended the guest"
done

# Paused for longer than a processor may stand still.
linux hold "" --api-socket /tmp/api >/tmp/held 2>&1 &
held=$!
wait_for 90 grep -q "guest holds" /tmp/held || fail "the guest did not come up: $(tail -3 /tmp/held)"
check "paused" azote ctl /tmp/api pause
sleep 10
ticks=$(grep -c "guest ticks" /tmp/held)
sleep 2
[ "$ticks" = "$(grep -c "guest ticks" /tmp/held)" ] || fail "the guest is paused and goes on"
check "resumed" azote ctl /tmp/api resume
wait_for 30 grep -q "guest ticks $((ticks + 8))" /tmp/held || fail "the guest does not go on: $(tail -3 /tmp/held)"
grep -q "guest saw a lockup" /tmp/held && fail "after 12 s of pause the guest sees a soft lockup"
say "12 s of pause, and no soft lockup"
killall azote-vmm
wait $held || fail "SIGTERM: azote run ended with $?"
wait_for 10 test ! -e /tmp/api || fail "the API's socket stayed behind"

# Nobody reads its console.
mkfifo /tmp/pipe
sleep 1000 </tmp/pipe &
linux flood "" --api-socket /tmp/api >/tmp/pipe 2>/tmp/said &
flood=$!
# More than a pipe holds: whoever waited for its reader would stand still by now.
written() { [ "$(azote ctl /tmp/api counters-json | sed 's/.*"serial":{"reads":[0-9]*,"writes":\([0-9]*\).*/\1/')" -gt 80000 ]; }
wait_for 240 written || fail "the guest does not write: $(azote ctl /tmp/api counters-json)"
check "paused in its flood" azote ctl /tmp/api pause
grep -q '"stopped_cpus":1' /tmp/check || fail "not paused: $(cat /tmp/check)"
check "shut down in its flood" azote ctl /tmp/api shutdown
wait $flood || fail "the flooding guest ended with $?"
say "a guest that floods a console was paused and shut down"
