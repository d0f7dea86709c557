# Two net VFs of a card, each driven by the kernel's own virtio_net; beyond the card's port is another card, whose driver answers.
set -- $(functions 0x1af4:0x1041)
[ $# = 2 ] || fail "expected two net VFs, found: $*"
VF=$1
OTHER=$2
PEER=10.5.0.9

# The network interface of a function.
interface_of() { ls "/sys/bus/pci/devices/$1/"virtio*/net 2>/dev/null | head -1; }
has_interface() { [ -n "$(interface_of "$1")" ]; }
# Is the link there?
carrier() { [ "$(cat "/sys/class/net/$1/carrier" 2>/dev/null)" = 1 ]; }

for f in $VF $OTHER; do
    wait_for 20 has_interface $f || fail "$f has no network interface; its driver is $(driver_of $f)"
    [ "$(driver_of $f)" = virtio-pci ] || fail "$f is driven by $(driver_of $f), not by virtio-pci"
done
ETH=$(interface_of $VF)
say "$VF is $ETH, $(cat /sys/class/net/$ETH/address), MTU $(cat /sys/class/net/$ETH/mtu), $(ls -d /sys/class/net/$ETH/queues/rx-* | wc -l) receive queue(s) on $(nproc) processor(s)"
[ "$(cat /sys/class/net/$ETH/address)" != "$(cat /sys/class/net/$(interface_of $OTHER)/address)" ] || fail "both VFs have one address"

up() {
    ip link set "$1" up && ip address add "$2" dev "$1" && wait_for 10 carrier "$1"
}
check "the link is up" up $ETH 10.5.0.1/24
say "$(cat /sys/class/net/$ETH/speed) Mb/s, $(cat /sys/class/net/$ETH/duplex) duplex"

# Through the port to the other card, and back.
wait_for 30 ping -c 1 -W 1 $PEER || fail "$PEER does not answer: $(ip neigh)"
for size in 0 1 17 56 1472 4000 8972; do
    check "ping through the port, $size bytes" ping -c 3 -W 5 -s $size $PEER
done
[ "$(awk '/virtio.*(input|config)/ { for (i = 2; i < NF; i++) if ($i ~ /^[0-9]+$/) n += $i } END { print n + 0 }' /proc/interrupts)" -gt 0 ] || fail "no interrupt came"

# The second VF in a network namespace of its own, as another machine would be: from VF to VF through the card's switch.
unshare -n sleep 1000 &
sleep 1
NS=$(pidof sleep | cut -d' ' -f1)
in_ns() { nsenter -t $NS -n "$@"; }
ETH1=$(interface_of $OTHER)
check "the other VF in a namespace of its own" ip link set dev $ETH1 netns $NS
check "its link is up" in_ns ip link set $ETH1 up
check "its address" in_ns ip address add 10.5.0.2/24 dev $ETH1
for size in 56 8972; do
    check "ping from VF to VF, $size bytes" ping -c 3 -W 5 -s $size 10.5.0.2
done

# TCP with the kernel's offloads on: checksums and segments are the device's work.
mkdir -p /tmp/www
cat /bin/busybox /lib.sh /bin/busybox >/tmp/www/file
in_ns httpd -p 10.5.0.2:80 -h /tmp/www || fail "no HTTP server"
check "$(wc -c </tmp/www/file) bytes by TCP from VF to VF" wget -q -T 60 -O /tmp/got http://10.5.0.2/file
check "they are the same" cmp /tmp/www/file /tmp/got
httpd -p 10.5.0.1:80 -h /tmp/www
check "and the other way" in_ns wget -q -T 60 -O /tmp/got http://10.5.0.1/file
check "they are the same" cmp /tmp/www/file /tmp/got

# Taken from its driver, reset, and given back.
check "unbound" sh -c "echo $(basename $(ls -d /sys/bus/pci/devices/$VF/virtio*)) >/sys/bus/virtio/drivers/virtio_net/unbind"
check "bound again" sh -c "echo $(basename $(ls -d /sys/bus/pci/devices/$VF/virtio*)) >/sys/bus/virtio/drivers/virtio_net/bind"
check "unbound from the transport" sh -c "echo $VF >/sys/bus/pci/drivers/virtio-pci/unbind"
check "function level reset" sh -c "echo 1 >/sys/bus/pci/devices/$VF/reset"
check "bound to the transport" sh -c "echo $VF >/sys/bus/pci/drivers/virtio-pci/bind"
wait_for 20 has_interface $VF || fail "the interface did not come back"
ETH=$(interface_of $VF)
check "the link is up again" up $ETH 10.5.0.1/24
check "ping through the port" ping -c 3 -W 5 $PEER
check "ping from VF to VF" ping -c 3 -W 5 10.5.0.2

for counter in rx_errors tx_errors rx_dropped tx_dropped; do
    value net_l1.$counter "$(cat /sys/class/net/$ETH/statistics/$counter)"
    [ "$(cat /sys/class/net/$ETH/statistics/$counter)" = 0 ] || fail "$ETH: $counter is $(cat /sys/class/net/$ETH/statistics/$counter)"
done
quiet_hardware
