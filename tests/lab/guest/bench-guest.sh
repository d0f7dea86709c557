# The guest of the bench: random reads of 4 KiB, one at a time and 32 at a time.
wait_for 30 test -b /dev/nvme0n1 || fail "the disk did not appear"
probe io /dev/nvme0n1 1 ${reads1:-2000} || fail "reads at depth 1"
probe io /dev/nvme0n1 32 ${reads32:-8000} || fail "reads at depth 32"
