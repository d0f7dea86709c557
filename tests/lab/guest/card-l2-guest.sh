# Stock Linux with the whole card: it writes sriov_numvfs itself, and drives what appears.
set -- $(functions 0x1af4:0x10f1)
PF=$1
[ $# = 1 ] || fail "expected one storage function before SR-IOV is enabled, found: $*"
SYS=/sys/bus/pci/devices/$PF
[ "$(cat $SYS/sriov_totalvfs)" = 4 ] || fail "the PF has $(cat $SYS/sriov_totalvfs) VFs, not 4"
say "storage PF at $PF, driver $(driver_of $PF), VFs possible: $(cat $SYS/sriov_totalvfs)"

vfs() { for i in 0 1 2 3; do [ -e $SYS/virtfn$i ] && basename "$(readlink $SYS/virtfn$i)"; done; }

# use vf…: each VF's disk is written and read back.
use() {
    i=0
    for vf in "$@"; do
        wait_for 60 disks_of $vf || fail "VF $i at $vf has no disk"
        disk=$(disk_of $vf)
        { echo "volume $i here"; head -c 65536 /dev/urandom; } | head -c 65536 >/tmp/data$i
        dd if=/tmp/data$i of=/dev/$disk bs=4k oflag=direct 2>/dev/null || fail "VF $i cannot be written"
        dd if=/dev/$disk of=/tmp/back$i bs=4k count=16 iflag=direct 2>/dev/null || fail "VF $i cannot be read"
        cmp /tmp/data$i /tmp/back$i || fail "VF $i: what was read is not what was written"
        i=$((i + 1))
    done
}

check "no VFs" sh -c "echo 0 >$SYS/sriov_numvfs"
check "4 VFs enabled by the guest" sh -c "echo 4 >$SYS/sriov_numvfs"
set -- $(vfs)
[ $# = 4 ] || fail "4 VFs were enabled, but there are: $*"
say "VFs at $*, driver $(driver_of $1)"
use "$@"
say "all 4 VFs written and read back"

dd if=/dev/$(disk_of $1) of=/tmp/one bs=4k count=192 iflag=direct 2>/tmp/dd1 &
one=$!
dd if=/dev/$(disk_of $2) of=/tmp/two bs=4k count=192 iflag=direct 2>/tmp/dd2 &
two=$!
check "FLR of the third VF while two are in use" sh -c "echo 1 >/sys/bus/pci/devices/$3/reset"
wait $one || fail "VF 0 was disturbed: $(tail -1 /tmp/dd1)"
wait $two || fail "VF 1 was disturbed: $(tail -1 /tmp/dd2)"
cmp -n 65536 /tmp/one /tmp/data0 || fail "VF 0 read other data"
cmp -n 65536 /tmp/two /tmp/data1 || fail "VF 1 read other data"
dd if=/dev/$(disk_of $3) of=/tmp/back2 bs=4k count=16 iflag=direct 2>/dev/null || fail "VF 2 does not work after its reset"
cmp /tmp/data2 /tmp/back2 || fail "VF 2 reads other data after its reset"
say "the third VF works after its reset"

check "no VFs again" sh -c "echo 0 >$SYS/sriov_numvfs"
[ -z "$(vfs)" ] || fail "VFs are left: $(vfs)"
check "2 VFs enabled" sh -c "echo 2 >$SYS/sriov_numvfs"
set -- $(vfs)
[ $# = 2 ] || fail "2 VFs were enabled, but there are: $*"
use "$@"
say "both VFs written and read back"
quiet_hardware
