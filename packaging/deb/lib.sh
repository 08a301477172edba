# What the maintainer scripts share: put into each in place of "@LIB@".

systemd_runs() {
	[ -d /run/systemd/system ] && [ -z "${DPKG_ROOT:-}" ]
}

# As deb-systemd-helper and debhelper have it: whoever disabled the unit finds it disabled.
enable_unit() {
	deb-systemd-helper unmask "$1" >/dev/null || true
	if deb-systemd-helper --quiet was-enabled "$1"; then
		deb-systemd-helper enable "$1" >/dev/null || true
	else
		deb-systemd-helper update-state "$1" >/dev/null || true
	fi
}

package_status() {
	# shellcheck disable=SC2016 # the fields are dpkg-query's
	dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null || echo not-installed
}

package_wanted() {
	# shellcheck disable=SC2016 # the fields are dpkg-query's
	dpkg-query -W -f='${db:Status-Want}' "$1" 2>/dev/null || echo unknown
}

# Whether package $1 goes because package $2 comes. apt removes before it unpacks, and dpkg hears of
# a package from a file only then: what apt was asked for says it, too.
is_replaced_by() {
	# Where it is gone already, what stops is ours.
	case "$(package_status "$1")" in
	config-files | not-installed) return 1 ;;
	esac
	case "$(package_wanted "$1")" in
	deinstall | purge) ;;
	*) return 1 ;;
	esac
	[ "$(package_status "$2")" != installed ] || return 1
	[ "$(package_wanted "$2")" = install ] || pgrep -f "(apt|apt-get|aptitude|dpkg|unattended-upgrade).* .*$2" >/dev/null
}

# --- /etc -----------------------------------------------------------------------------------------
# What a fresh machine needs in /etc comes from /usr/share/PACKAGE/etc and is put there only where
# nothing stands: the same files are conffiles of the package that was here before, and the
# administrator's. What was put there is noted by its checksum, and taken away again only if it is
# still that.

defaults_install() {
	source=/usr/share/$1/etc
	notes=/var/lib/evergate/$1.md5sums
	mkdir -p /var/lib/evergate
	(cd "$source" && find . -type f | sed 's|^\./||' | sort) | while read -r file; do
		[ -e "/etc/$file" ] || [ -L "/etc/$file" ] && continue
		mkdir -p "/etc/$(dirname "$file")"
		cp "$source/$file" "/etc/$file"
		chmod 644 "/etc/$file"
		md5sum "/etc/$file" >>"$notes"
	done
}

defaults_remove() {
	notes=/var/lib/evergate/$1.md5sums
	[ -e "$notes" ] || return 0
	while read -r sum file; do
		[ -f "$file" ] || continue
		now=$(md5sum <"$file")
		[ "${now%% *}" != "$sum" ] || rm -f "$file"
	done <"$notes"
	rm -f "$notes"
	rmdir /var/lib/evergate 2>/dev/null || true
}

# --- following a daemon that runs ------------------------------------------------------------------
# A drop-in that lasts until the next start: "stop" leaves the processes of the service alone, so
# that they serve until the new daemon takes over from them.

dropin() {
	echo "/run/systemd/system/$1.d/evergate-handover.conf"
}

# handover_prepare NAME COMMAND…: of the service NAME, which COMMAND will take over.
handover_prepare() {
	file=$(dropin "$1.service")
	name=$1
	shift
	mkdir -p "$(dirname "$file")"
	cat >"$file" <<-UNIT
		# Written by a package that takes this service over, and gone once it has.
		[Service]
		KillMode=none
		ExecStopPost=
		Restart=no
		WatchdogSec=0
		SyslogIdentifier=$name
		CapabilityBoundingSet=CAP_SYS_PTRACE
		SystemCallFilter=pidfd_getfd
		ExecStart=
		ExecStart=$*
	UNIT
	systemctl daemon-reload || true
	echo "$name.service goes on until its successor takes over." >&2
}

# handover_forget SERVICE: the drop-in goes.
handover_forget() {
	file=$(dropin "$1")
	[ -e "$file" ] || return 0
	rm -f "$file"
	rmdir "$(dirname "$file")" 2>/dev/null || true
	systemctl daemon-reload || true
}

# start_or_follow SERVICE: starts it, or takes over from the one that was left running.
start_or_follow() {
	systemctl daemon-reload || true
	if [ -e "$(dropin "$1")" ]; then
		# Also where it is active: an upgrade follows itself.
		deb-systemd-invoke restart "$1" >/dev/null || true
		handover_forget "$1"
		# Where that failed, as any other start: it may be tried again and again.
		systemctl --quiet is-active "$1" || deb-systemd-invoke restart "$1" >/dev/null || true
	elif [ -n "${2:-}" ]; then
		deb-systemd-invoke restart "$1" >/dev/null || true
	else
		deb-systemd-invoke start "$1" >/dev/null || true
	fi
}

# would_run SERVICE COMMAND…: whether COMMAND, given the options the service runs with and a last one
# that makes it only test them, finds nothing wrong.
would_run() {
	pid=$(systemctl show -p MainPID --value "$1") || return 0
	[ "${pid:-0}" -gt 0 ] || return 0
	shift
	# The first word of the command line is the old program's name, which becomes $0.
	xargs -0 -a "/proc/$pid/cmdline" sh -c "$*" >&2
}
