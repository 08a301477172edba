# What is tried with the packages, in a guest of its own. Each step writes a line to out/table:
# what was done, "ok" or "FAILED", what was seen.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
OUT=/evergate/out
OURS=/evergate/debs
export PATH

say() { echo "[$(cut -d' ' -f1 /proc/uptime)] $*"; }

# step WHAT RESULT DETAIL
step() {
	printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$OUT/table"
	say "STEP $1: $2: $3"
}

# holds WHAT DETAIL COMMAND…: a step that is well if the command is.
holds() {
	local what=$1 detail=$2
	shift 2
	if "$@"; then step "$what" ok "$detail"; else step "$what" FAILED "$detail"; fi
}

wait_for() {
	local limit=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $limit ] || return 1
		sleep 0.1
	done
}

install_() {
	apt-get install -y -q --allow-downgrades -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef \
		-o Dpkg::Options::=--force-confold "$@"
}

# lan INTERFACE ADDRESS/LEN ADDRESS/LEN…: an interface here, and the other end in another namespace.
lan() {
	local interface=$1 here=$2
	shift 2
	ip netns add lan
	ip link add "$interface" type veth peer name lan0 netns lan
	ip address add "$here" dev "$interface"
	ip link set "$interface" up
	ip -n lan link set lo up
	for address; do ip -n lan address add "$address" dev lan0; done
	ip -n lan link set lan0 up
}

servers() { ip netns exec lan python3 /evergate/lan.py "$@" >"$OUT/servers.txt" 2>&1 & }

probe_begin() {
	rm -f /tmp/probe
	ip netns exec lan python3 /evergate/probe.py "$1" "$2" /tmp/probe 2>>"$OUT/probe-errors.txt" &
	PROBE=$!
	sleep 0.5
}

probe_end() {
	kill -TERM "$PROBE"
	wait "$PROBE"
	SEEN=$(cat /tmp/probe)
}

# Whether nobody was refused, reset or left without an answer.
unhurt() { [[ $SEEN == *" 0 refused, 0 reset, 0 unanswered"* ]]; }
whole() { [[ $SEEN == *"held connection: whole"* ]]; }

# traffic WHAT ADDRESS PORT: for two seconds.
traffic() {
	probe_begin "$2" "$3"
	sleep 2
	probe_end
	if unhurt && whole; then step "$1" ok "$SEEN"; else step "$1" FAILED "$SEEN"; fi
}

etc() { find /etc/keepalived /etc/haproxy /etc/default /etc/logrotate.d /etc/rsyslog.d -type f -exec sha256sum {} + | sort -k2; }

runs() { # runs UNIT PROGRAM: the unit is active and its main process is the program
	systemctl --quiet is-active "$1" || return
	local pid
	pid=$(systemctl show -p MainPID --value "$1")
	[ "$(basename "$(readlink "/proc/$pid/exe")")" = "$2" ]
}

has() { ip -4 address show | grep -q "inet $1/"; }
hasnt() { ! has "$1"; }
both() { runs keepalived.service "$1" && runs haproxy.service "$2"; }
pid() { systemctl show -p MainPID --value "$1"; }
another() { [ "$(pid "$1")" != "$2" ] && [ "$(pid "$1")" != 0 ] && systemctl --quiet is-active "$1"; }
journal() { journalctl -b -u "$1" --no-pager -o cat | grep -qF -- "$2"; }
originals() { install_ keepalived haproxy >>"$OUT/apt.txt" 2>&1; }
daemons() { install_ "$1"/evergate-{failoverd,balancerd}_*.deb >>"$OUT/apt.txt" 2>&1; }
ours() { install_ "$1"/evergate-{failoverd,balancerd,keepalived,haproxy}_*.deb >>"$OUT/apt.txt" 2>&1; }

# --- scenarios ------------------------------------------------------------------------------------

# Guide 001 on its first node: the originals, ours over them, all an operator does, and back.
swap() {
	local vip=10.1.233.1 before one
	lan eth0 10.1.0.10/16 10.1.0.1/16 10.1.1.1/16 10.1.1.2/16 10.1.1.3/16
	servers 10.1.1.1:6443 10.1.1.2:6443 10.1.1.3:6443
	apt-get update -q >>"$OUT/apt.txt" 2>&1
	holds "install keepalived and HAProxy" "apt-get install keepalived haproxy" originals
	cp guides/001-keepalived-node1.conf /etc/keepalived/keepalived.conf
	cp guides/001-haproxy-appended.cfg /etc/haproxy/haproxy.cfg
	systemctl restart keepalived
	wait_for 30 has $vip
	systemctl reset-failed haproxy
	systemctl restart haproxy
	holds "guide 001 runs in them" "systemctl restart keepalived haproxy" wait_for 5 both keepalived haproxy
	sleep 4
	traffic "traffic through them" $vip 6443
	etc >/tmp/etc.before

	ip -o monitor address >/tmp/monitor &
	probe_begin $vip 6443
	holds "install our daemons beside them" "apt-get install ./evergate-{failoverd,balancerd}.deb" daemons $OURS
	holds "the originals run on" "keepalived, haproxy" both keepalived haproxy
	one=$SECONDS
	holds "install ours over them" "apt-get install ./evergate-{keepalived,haproxy}.deb" ours $OURS
	one=$((SECONDS - one))
	sleep 4
	probe_end
	if unhurt && whole; then step "traffic meanwhile ($one s)" ok "$SEEN"; else step "traffic meanwhile ($one s)" FAILED "$SEEN"; fi
	holds "the address stayed" "no removal of $vip seen by ip monitor" bash -c "! grep -q 'Deleted.*$vip' /tmp/monitor"
	holds "ours run" "keepalived.service: failoverd, haproxy.service: balancerd" wait_for 5 both failoverd balancerd
	holds "nothing of the old ones runs" "no /usr/sbin/keepalived or haproxy of theirs left once drained" wait_for 10 bash -c '! ls -l /proc/[0-9]*/exe 2>/dev/null | grep -E "sbin/(keepalived|haproxy)"'
	etc >/tmp/etc.after
	holds "every file in /etc is what it was" "checksums of $(wc -l </tmp/etc.before) files" cmp -s /tmp/etc.before /tmp/etc.after
	holds "enabled, and no drop-in left" "systemctl is-enabled keepalived haproxy" bash -c \
		'systemctl --quiet is-enabled keepalived haproxy && ! ls /run/systemd/system/*.service.d/evergate-* 2>/dev/null'
	traffic "traffic through ours" $vip 6443
	operate $vip

	probe_begin $vip 6443
	before=$(pid haproxy)
	holds "upgrade ours to a newer build" "apt-get install ./evergate-*+1*.deb" ours /evergate/newer
	sleep 3
	probe_end
	holds "the newer one runs" "other processes: $before is gone from the unit" another haproxy "$before"
	if unhurt && whole; then step "traffic meanwhile" ok "$SEEN"; else step "traffic meanwhile" FAILED "$SEEN"; fi

	holds "needrestart" "names neither" bash -c '! needrestart -b -r l 2>/dev/null | grep -E "SVC: (keepalived|haproxy)"'
	holds "originals back" "apt-get install keepalived haproxy" originals
	wait_for 10 has $vip
	# HAProxy's unit gives up before the address is there.
	systemctl reset-failed haproxy
	systemctl start haproxy
	holds "they run" "keepalived.service: keepalived, haproxy.service: haproxy" wait_for 10 both keepalived haproxy
	sleep 4
	traffic "traffic through them again" $vip 6443
	etc >/tmp/etc.after
	holds "every file in /etc is what it was" "checksums" cmp -s /tmp/etc.before /tmp/etc.after
	apt-get purge -y -q evergate-failoverd evergate-balancerd >>"$OUT/apt.txt" 2>&1
	probe_begin $vip 6443
	holds "ours over them all at once, without the daemons beforehand" "apt-get install ./evergate-*.deb" ours $OURS
	wait_for 10 has $vip
	holds "ours run" "failoverd, balancerd" wait_for 10 both failoverd balancerd
	sleep 3
	probe_end
	step "traffic meanwhile (apt stops the old ones before it unpacks)" ok "$SEEN"
	apt-get remove -y -q evergate-keepalived evergate-haproxy >>"$OUT/apt.txt" 2>&1
	holds "remove ours" "apt-get remove: nothing runs, $vip is gone" wait_for 5 hasnt $vip
	etc >/tmp/etc.after
	holds "every file in /etc is what it was" "checksums" cmp -s /tmp/etc.before /tmp/etc.after
	apt-get purge -y -q 'evergate-*' >>"$OUT/apt.txt" 2>&1
	etc >/tmp/etc.after
	holds "purge ours: every file in /etc is what it was" "checksums" cmp -s /tmp/etc.before /tmp/etc.after
}

# What an operator does with them.
operate() {
	local vip=$1 one
	holds "systemctl status" "both active, with a status" bash -c 'systemctl status keepalived haproxy >/dev/null'
	one=$(pid haproxy)
	probe_begin "$vip" 6443
	holds "systemctl reload" "both" systemctl reload keepalived haproxy
	sleep 2
	probe_end
	if unhurt && whole && [ "$(pid haproxy)" = "$one" ]; then step "traffic meanwhile" ok "$SEEN"; else step "traffic meanwhile" FAILED "$SEEN"; fi
	echo "frontend broken" >>/etc/haproxy/haproxy.cfg
	echo "  nonsense" >>/etc/haproxy/haproxy.cfg
	holds "systemctl reload of a broken haproxy.cfg fails, and nothing changes" "$(systemctl reload haproxy 2>&1 | head -1)" wait_for 2 runs haproxy.service balancerd
	cp guides/001-haproxy-appended.cfg /etc/haproxy/haproxy.cfg
	systemctl restart haproxy
	holds "systemctl restart haproxy" "active again" wait_for 5 runs haproxy.service balancerd
	holds "journal" "keepalived: Entering MASTER STATE; haproxy: Loading success." bash -c \
		"journalctl -b -u keepalived -o cat | grep -q 'Entering MASTER STATE' && journalctl -b -u haproxy -o cat | grep -q 'Loading success'"
	holds "needrestart" "names neither" bash -c '! needrestart -b -r l 2>/dev/null | grep -E "SVC: (keepalived|haproxy)"'
	one=$(pid haproxy)
	kill -9 "$one"
	holds "kill -9 of haproxy's main process" "restarted by systemd" wait_for 5 another haproxy.service "$one"
	one=$(pid keepalived)
	kill -9 "$one"
	holds "kill -9 of keepalived's main process" "restarted by systemd" wait_for 5 another keepalived.service "$one"
	wait_for 10 has "$vip"
	one=$(pid keepalived)
	kill -STOP "$one"
	holds "keepalived's main process hangs" "its watchdog restarts it (WatchdogSec=10)" wait_for 25 another keepalived.service "$one"
	wait_for 10 has "$vip"
	one=$(pid haproxy)
	kill -STOP "$one"
	holds "haproxy's main process hangs" "its watchdog restarts it (WatchdogSec=30)" wait_for 60 another haproxy.service "$one"
	systemctl stop keepalived
	holds "systemctl stop keepalived" "$vip is gone" hasnt "$vip"
	systemctl start keepalived
	holds "systemctl start keepalived" "$vip is back" wait_for 10 has "$vip"
	systemctl restart haproxy
	sleep 4
	traffic "traffic after all that" "$vip" 6443
}

# guide NAME INTERFACE ADDRESS KEEPALIVED HAPROXY VIP PORT: originals, ours over them.
guide() {
	local name=$1 vip=$6 port=$7
	cp "guides/$4" /etc/keepalived/keepalived.conf
	cp "guides/$5" /etc/haproxy/haproxy.cfg
	systemctl restart keepalived
	wait_for 10 has "$vip"
	systemctl restart haproxy
	sleep 6
	traffic "guide $name: traffic through the originals" "$vip" "$port"
	probe_begin "$vip" "$port"
	daemons $OURS
	holds "guide $name: ours over them" "apt-get install ./evergate-{keepalived,haproxy}.deb" ours $OURS
	sleep 3
	probe_end
	if unhurt && whole; then step "guide $name: traffic meanwhile" ok "$SEEN"; else step "guide $name: traffic meanwhile" FAILED "$SEEN"; fi
	holds "guide $name: ours run" "failoverd and balancerd" wait_for 5 both failoverd balancerd
}

guide002() {
	lan ens160 192.168.2.141/24 192.168.2.1/24 192.168.2.151/24 192.168.2.152/24 192.168.2.153/24
	servers 192.168.2.151:6443 192.168.2.152:6443 192.168.2.153:6443
	apt-get update -q >>"$OUT/apt.txt" 2>&1
	originals
	cp guides/002-keepalived-lb1-filled.conf /etc/keepalived/keepalived.conf
	cp guides/002-haproxy-appended.cfg /etc/haproxy/haproxy.cfg
	systemctl restart keepalived
	holds "guide 002: HAProxy refuses its file" "systemctl restart haproxy fails" bash -c '! systemctl restart haproxy'
	holds "guide 002: ours over them" "apt-get install ./evergate-*.deb" ours $OURS
	wait_for 20 has 192.168.2.140
	holds "guide 002: ours run" "failoverd and balancerd" wait_for 10 both failoverd balancerd
	sleep 4
	traffic "guide 002: traffic through ours" 192.168.2.140 6443
}

guide003() {
	lan eth0 192.168.1.10/24 192.168.1.1/24 192.168.1.11/24 192.168.1.12/24 192.168.1.13/24
	servers 192.168.1.11:6443 192.168.1.12:6443 192.168.1.13:6443
	apt-get update -q >>"$OUT/apt.txt" 2>&1
	originals
	install -m 755 guides/003-kubeadm-check_apiserver.sh /etc/keepalived/check_apiserver.sh
	# The servers here speak no TLS, so its check would find them down.
	sed '/httpchk/d; /http-check/d; /ssl-hello-chk/d' guides/003-kubeadm-haproxy-filled.cfg >guides/003.cfg
	guide 003 eth0 192.168.1.10 003-kubeadm-keepalived-master-filled.conf 003.cfg 192.168.1.100 8443
}

# Guides 000 and 004: nginx.
nginx() {
	lan eth0 11.11.11.10/24 11.11.11.254/24 11.11.11.1/24 11.11.11.2/24
	servers 11.11.11.1:6443 11.11.11.2:6443 11.11.11.1:6001
	apt-get update -q >>"$OUT/apt.txt" 2>&1
	holds "install nginx and its stream module" "apt-get install nginx libnginx-mod-stream" install_ nginx libnginx-mod-stream >>"$OUT/apt.txt" 2>&1
	cat guides/000-nginx-stream.conf >>/etc/nginx/nginx.conf
	systemctl restart nginx
	traffic "guide 000: traffic through nginx" 11.11.11.10 6443
	# A site of somebody's own: not ours to serve.
	printf 'server { listen 8080; server_name example.org; root /var/www/html; }\n' >/etc/nginx/sites-enabled/site
	holds "where nginx.conf serves a site, ours does not install" "apt-get install fails, nginx runs" bash -c \
		". /evergate/steps.sh; ! install_ $OURS/evergate-{balancerd,nginx-stream}_*.deb >>$OUT/apt.txt 2>&1 && runs nginx.service nginx"
	rm /etc/nginx/sites-enabled/site
	probe_begin 11.11.11.10 6443
	holds "ours over it" "apt-get install ./evergate-nginx-stream.deb" install_ $OURS/evergate-{balancerd,nginx-stream}_*.deb >>"$OUT/apt.txt" 2>&1
	sleep 3
	probe_end
	if unhurt; then step "traffic meanwhile" ok "$SEEN"; else step "traffic meanwhile" FAILED "$SEEN"; fi
	holds "ours runs" "nginx.service: balancerd" wait_for 5 runs nginx.service balancerd
	holds "systemctl reload nginx" "" systemctl reload nginx
	traffic "traffic through ours" 11.11.11.10 6443
	apt-get remove -y -q evergate-nginx-stream >>"$OUT/apt.txt" 2>&1
	holds "remove ours" "nginx.service: nginx" wait_for 10 runs nginx.service nginx
	traffic "traffic through nginx again" 11.11.11.10 6443
}

# A machine that has neither.
fresh() {
	apt-get update -q >>"$OUT/apt.txt" 2>&1
	holds "install ours on a fresh machine" "apt-get install ./evergate-*.deb" ours $OURS
	holds "haproxy runs with what came with it" "haproxy.service: balancerd" wait_for 5 runs haproxy.service balancerd
	holds "keepalived waits for a configuration" "ConditionFileNotEmpty" bash -c '! systemctl --quiet is-active keepalived && ! systemctl --quiet is-failed keepalived'
	echo "# mine" >>/etc/haproxy/haproxy.cfg
	apt-get purge -y -q 'evergate-*' >>"$OUT/apt.txt" 2>&1
	holds "purge ours" "what was changed stays, what was not is gone" bash -c '[ -e /etc/haproxy/haproxy.cfg ] && [ ! -e /etc/default/haproxy ]'
	rm /etc/haproxy/haproxy.cfg
	ours $OURS
	holds "install keepalived and HAProxy over ours" "no question about a file" originals
	holds "they run" "haproxy.service: haproxy" wait_for 5 runs haproxy.service haproxy
	systemd-analyze security --no-pager 2>/dev/null | grep -E "^(haproxy|keepalived)" | awk '{ print "the originals: " $1, $2 }' >"$OUT/security.txt"
	ours $OURS
	systemd-analyze security --no-pager 2>/dev/null | grep -E "^(haproxy|keepalived|failoverd|balancerd)" | awk '{ print "ours: " $1, $2 }' >>"$OUT/security.txt"
	step "systemd-analyze security" ok "$(paste -sd';' "$OUT/security.txt")"
	cp guides/001-keepalived-node1.conf /etc/keepalived/keepalived.conf
}
