# Completion of balancerd, and of haproxy where that is balancerd.
_balancerd() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words='-f -c -cc --explain -C -D -db -W -Ws -p -q -V -v -vv -dW -n -sf -st'
	case $before in
	-f | -C | -p | check | --)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	esac
	[[ $COMP_CWORD != 1 || ${COMP_WORDS[0]##*/} != balancerd ]] || words='check haproxy nginx take-over --help --version'
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _balancerd balancerd haproxy
