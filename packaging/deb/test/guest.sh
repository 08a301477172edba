#!/bin/bash
# guest.sh ROOT WORK SECONDS: boots ROOT, with what stands in WORK/upper laid over it, as a container of
# this machine's kernel with a network of its own, until it turns itself off. Nothing of ROOT changes.
set -eu
export ROOT=$1 WORK=$2 SECONDS_LEFT=$3
groups=()
# A control group of the guest's own wherever systemd wants one, so that it neither sees nor leaves
# anything in this machine's.
while read -r mount kind; do
	here=$(awk -F: -v k="$kind" '(k == "v2" && $1 == 0) || (k == "v1" && $2 == "name=systemd") { print $3 }' /proc/self/cgroup)
	groups+=("$mount${here%/}/evergate-guest-$$")
done < <(awk '{
	for (i = 7; i <= NF; i++) if ($i == "-") {
		if ($(i + 1) == "cgroup2") print $5, "v2"
		if ($(i + 1) == "cgroup" && $(i + 3) ~ /name=systemd/) print $5, "v1"
	}
}' /proc/self/mountinfo | sort -u)
cleanup() {
	for group in "${groups[@]}"; do
		[ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
	done
}
trap cleanup EXIT
mkdir -p "$WORK/work" "$WORK/merged" "$WORK/out"
(
	for group in "${groups[@]}"; do
		mkdir -p "$group" && echo 0 >"$group/cgroup.procs"
	done
	# shellcheck disable=SC2016 # the variables are for the shell inside
	exec setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc bash -c '
		mount -t overlay overlay -o "lowerdir=$ROOT,upperdir=$WORK/upper,workdir=$WORK/work" "$WORK/merged" &&
		mkdir -p "$WORK/merged/evergate/out" && mount --bind "$WORK/out" "$WORK/merged/evergate/out" &&
		SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec timeout --signal=TERM --kill-after=10 "$SECONDS_LEFT" \
		systemd-nspawn --quiet --directory="$WORK/merged" --boot --register=no --keep-unit --private-network \
		--capability=all --system-call-filter=pidfd_getfd --console=pipe --hostname=guest --timezone=off --resolv-conf=off'
) </dev/null >"$WORK/out/console.txt" 2>&1 || true
