# Runs in the guest, as a unit: the scenario named in /evergate/scenario, then off it goes.
cd /evergate || exit
# shellcheck source=/dev/null
. /evergate/steps.sh
timeout 400 bash -c '. /evergate/steps.sh; "$0"' "$(cat /evergate/scenario)"
echo "scenario ended with $?"
journalctl -b --no-pager -o short-monotonic >/evergate/out/journal.txt 2>&1
sync
systemctl exit --force --force 0
