# What the scripts of the lab's machines share. Lines that begin with @ are read by the host; all else is its log.
# The same scripts run in L1, the emulated host, and in L2, its guest, whose console is part of L1's.

[ "$lab" = guest ] && LEVEL=L2 || LEVEL=L1

# Time since the kernel started, for people.
uptime_s() { cut -d' ' -f1 /proc/uptime; }

# A step that was reached.
say() { echo "@step $LEVEL $(uptime_s) $*"; }

# Something measured: name value.
value() { echo "@value $1 $2"; }

# Asks the host for something that only it can do, and waits for its answer.
ask() {
    echo "@ask $*"
    read -r answer </dev/console
}

# The end of a machine. Only L1's is the end of the case.
finish() {
    if [ $LEVEL = L1 ]; then echo "@done"; else echo "guest is done"; fi
    sync
    poweroff -f
    sleep 1000
}

# The case failed: why. Ends the machine.
fail() {
    dmesg | grep -vE 'systemd|audit' | tail -15
    echo "@fail $LEVEL $*"
    sync
    poweroff -f
    sleep 1000
}

# check "what must hold" command…: runs it, shows what it says, fails if it fails.
check() {
    what=$1
    shift
    "$@" >/tmp/check 2>&1
    status=$?
    sed 's/^/    /' /tmp/check
    [ $status = 0 ] || fail "$what: \`$*\` exited with $status: $(tail -1 /tmp/check)"
    say "$what"
}

# refuse "what" "words" command…: it must fail, and say these words.
refuse() {
    what=$1
    words=$2
    shift 2
    "$@" >/tmp/check 2>&1
    status=$?
    sed 's/^/    /' /tmp/check
    [ $status != 0 ] || fail "$what: \`$*\` was not refused"
    grep -q "$words" /tmp/check || fail "$what: the refusal does not say \"$words\": $(tail -1 /tmp/check)"
    say "$what: refused: $(grep "$words" /tmp/check | tail -1)"
}

# wait_for seconds command…: until it succeeds.
wait_for() {
    left=$(($1 * 10))
    shift
    while ! "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        usleep 100000
    done
}

# Addresses of the functions with this vendor:device, in order.
functions() {
    for d in /sys/bus/pci/devices/*; do
        [ "$(cat "$d/vendor"):$(cat "$d/device")" = "$1" ] && basename "$d"
    done
}

# The driver that has a function, or nothing.
driver_of() { basename "$(readlink "/sys/bus/pci/devices/$1/driver" 2>/dev/null)" 2>/dev/null; }

# The name of the block device of a function's first namespace.
disk_of() { ls "/sys/bus/pci/devices/$1/nvme/"*/ 2>/dev/null | grep -oE '^nvme[0-9]+n[0-9]+$|^nvme[0-9]+c[0-9]+n[0-9]+$' | sed -E 's/c[0-9]+//' | head -1; }

# Do all these functions have a disk?
disks_of() {
    for f in "$@"; do
        [ -b "/dev/$(disk_of "$f")" ] || return 1
    done
}

# Interrupts of this controller so far, all vectors, all CPUs.
interrupts_of() { awk -v name="$1" '$NF ~ "^"name"q" { for (i = 2; i <= NF; i++) { if ($i !~ /^[0-9]+$/) break; n += $i } } END { print n + 0 }' /proc/interrupts; }

# file_system_on disk: makes one, copies a tree, compares it after the caches are dropped, checks it.
file_system_on() {
    check "mkfs on $1" /bin/mke2fs -q -F -t ext4 /dev/$1
    mount /dev/$1 /mnt || fail "/dev/$1 cannot be mounted"
    mkdir /mnt/tree
    check "a tree copied" cp -a /bin /lib /lib64 /lib.sh /init /modules /mnt/tree/
    (cd /mnt/tree && find . -type f -exec md5sum {} + | sort) >/tmp/sums
    (cd / && find ./bin ./lib ./lib64 ./lib.sh ./init ./modules -type f -exec md5sum {} + | sort) >/tmp/origin
    check "the copy is the same" cmp /tmp/sums /tmp/origin
    check "unmounted" umount /mnt
    same_files_on $1 "the same files from the disk"
    say "$(wc -l </tmp/sums) files, $(du -sk /bin /lib /lib64 /modules | awk '{ n += $1 } END { print n }') KiB"
}

# same_files_on disk "what this shows": mounts, compares with the sums taken before, unmounts, checks.
same_files_on() {
    echo 3 >/proc/sys/vm/drop_caches
    mount -o ro /dev/$1 /mnt || fail "/dev/$1 cannot be mounted"
    (cd /mnt/tree && find . -type f -exec md5sum {} + | sort) >/tmp/again
    check "$2" cmp /tmp/sums /tmp/again
    umount /mnt
    check "fsck on $1" e2fsck -f -n /dev/$1
}

# guest name arguments…: runs our hypervisor with the lab's kernel and an initramfs; its console goes to ours. The guest must
# say that it is done, and the hypervisor end well. One that is late or dies is looked at: lines that begin with "standstill:".
guest() {
    name=$1
    shift
    say "$name: azote run $*"
    { probe guard "$name" 120 azote run --kernel /q/vmlinux --initramfs /guest.cpio \
        --cmdline "console=ttyS0 quiet panic=-1 lab=guest $CMDLINE" --counters "$@"; echo "status $?"; } 2>&1 | tee /tmp/guest
    grep -q "guest is done" /tmp/guest || fail "$name: the guest did not come to its end"
    grep -q "^status 0" /tmp/guest || fail "$name: azote run ended with $(grep '^status' /tmp/guest)"
    say "$name: ended well"
}

# Neither the IOMMU nor AER has seen an error of a device.
quiet_hardware() {
    seen=$(dmesg | grep -E "DMAR: \[|AER: .*(rror|ceived)" | head -1)
    [ -z "$seen" ] || fail "the hardware saw an error: $seen"
}
