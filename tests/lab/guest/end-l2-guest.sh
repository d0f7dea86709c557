# A guest that ends, or does not, in the way that its host asks for (`act`).
case $act in
reset)
    sync
    reboot -f
    sleep 1000
    ;;
hold)
    # A processor that has stood still for twice as long is a soft lockup.
    echo 3 >/proc/sys/kernel/watchdog_thresh
    echo "guest holds"
    i=0
    while [ $i -lt 3000 ]; do
        if dmesg | grep -q "soft lockup"; then echo "guest saw a lockup"; fi
        i=$((i + 1))
        echo "guest ticks $i"
        usleep 500000
    done
    ;;
flood)
    tr '\0' x </dev/zero >/dev/console
    ;;
esac
