# Completion of failoverd, and of keepalived where that is failoverd.
_failoverd() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=
	[[ $before != '=' ]] || before=${COMP_WORDS[COMP_CWORD - 2]}
	case $before in
	--bfd_pid|--checkers_pid|--config-test|--pid|--snmp-agent-socket|--use-file|--vrrp_pid|-A|-b|-c|-f|-p|-r | check | release)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	status) words='--json --socket' ;;
	esac
	if [[ -z $words ]]; then
		words='-f --use-file -P --vrrp -C --check -B --no_bfd --all -l --log-console -D --log-detail -S --log-facility -G --no-syslog -u --umask -X --release-vips -V --dont-release-vrrp -I --dont-release-ipvs -R --dont-respawn -n --dont-fork -d --dump-conf -p --pid -r --vrrp_pid -c --checkers_pid -b --bfd_pid -a --address-monitoring -x --snmp -A --snmp-agent-socket -s --namespace -m --core-dump -M --core-dump-pattern -e --all-config -i --config-id -T --genhash --signum -t --config-test --explain -v --version -h --help'
		[[ $COMP_CWORD != 1 || ${COMP_WORDS[0]##*/} != failoverd ]] || words+=' check status release take-over'
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _failoverd failoverd keepalived
