#!/bin/bash
# image.sh SUITE DIRECTORY: a small Debian with systemd, and with the originals and all they need in its
# package cache, so that nothing is fetched while it runs. From the archives this machine uses itself.
set -eu
suite=$1 root=$2
archive() {
	cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
		sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+).*/\2/p' | grep -E "$1" | head -1
}
debian=$(archive '/debian/?$')
security=$(archive 'debian-security/?$')
rm -rf "$root.new"
mmdebstrap --quiet --variant=minbase --skip=cleanup/apt,cleanup/reproducible \
	--include=systemd,systemd-sysv,dbus,udev,procps,iproute2,iputils-ping,curl,python3,openssl,needrestart,apparmor,man-db \
	--aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
	--customize-hook="chroot \"\$1\" apt-get install -qq -y --download-only keepalived haproxy rsyslog logrotate adduser" \
	--customize-hook="chroot \"\$1\" apt-get install -qq -y --download-only nginx libnginx-mod-stream" \
	"$suite" "$root.new" "deb $debian $suite main" "deb $debian $suite-updates main" "deb ${security:-$debian} $suite-security main"
rm -f "$root.new"/etc/apt/apt.conf.d/99mmdebstrap
printf 'APT::Install-Recommends "false";\n' >"$root.new/etc/apt/apt.conf.d/10evergate"
echo guest >"$root.new/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 guest\n' >"$root.new/etc/hosts"
printf '%032x\n' 0x6576657267617465 >"$root.new/etc/machine-id"
for unit in console-getty.service getty.target apt-daily.timer apt-daily-upgrade.timer; do
	ln -sf /dev/null "$root.new/etc/systemd/system/$unit"
done
cat >"$root.new/etc/systemd/system/evergate-steps.service" <<-'UNIT'
	[Unit]
	Description=what is tried in this guest
	After=multi-user.target
	[Service]
	Type=idle
	Environment=DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root
	ExecStart=/bin/bash /evergate/run.sh
	StandardOutput=file:/evergate/out/log.txt
	StandardError=inherit
	[Install]
	WantedBy=multi-user.target
UNIT
mkdir -p "$root.new/etc/systemd/system/multi-user.target.wants"
ln -sf ../evergate-steps.service "$root.new/etc/systemd/system/multi-user.target.wants/evergate-steps.service"
rm -rf "$root"
mv "$root.new" "$root"
