# A virtual function of the RTL in a machine that lends no file of its memory: every byte of DMA goes by message.
VF=$(functions 0x1af4:0x10f1 | head -1)
wait_for 60 disks_of $VF || fail "the VF's disk did not appear"
DISK=$(disk_of $VF)
say "$VF is /dev/$DISK, $(cat /sys/block/$DISK/size) blocks"
file_system_on $DISK
quiet_hardware
