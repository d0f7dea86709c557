# The whole card, RTL and all, in the hypervisor's own process: a guest gets its PFs, SR-IOV included.
mount -t ext4 -o ro /dev/vda /q || fail "no disk with tools"
set --
for i in 0 1 2 3; do
    truncate -s 8M /tmp/volume$i
    set -- "$@" volume=/tmp/volume$i
done
CARD=model=/card.so,$(echo "$*" | tr ' ' ',')
guest "the whole card" --cpus 1 --memory size=256M --card "$CARD"
# What the guest wrote through its VFs is in the files here.
for i in 0 1 2 3; do
    [ "$(head -c 12 /tmp/volume$i)" = "volume $i her" ] || fail "volume $i does not hold what the guest wrote to VF $i"
done
say "the volumes hold what the guest wrote"
