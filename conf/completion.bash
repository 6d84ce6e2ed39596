# Completion of asset-agent(8) for bash.

# The files that end in .conf, and the directories on the way to them.
_asset_agent_configuration()
{
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -d -- "$1"; compgen -f -X '!*.conf' -- "$1")
}

# Prints the command of the line, and how many arguments stand between it and the cursor.
# The word after --config is neither; bash splits --config=FILE into three words.
_asset_agent_command()
{
	local command='' count=0 i

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --config)
			((i++))
			[[ ${COMP_WORDS[i]} == = ]] && ((i++))
			;;
		-*) ;;
		*) if [[ $command ]]; then ((count++)); else command=${COMP_WORDS[i]}; fi ;;
		esac
	done
	printf '%s %s\n' "${command:--}" "$count"
}

_asset_agent()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local options='--config --help --version' command count

	COMPREPLY=()
	[[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD - 2]}
	[[ $word == = ]] && word=
	if [[ $before == -c || $before == --config ]]; then
		_asset_agent_configuration "$word"
		return
	fi
	read -r command count < <(_asset_agent_command)
	case $command in
	check) options+=' --online' ;;
	status) options+=' --json --watch' ;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
	elif [[ $command == - ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'run drain check status explain' -- "$word")
	elif [[ $command == explain && $count == 0 ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}

complete -F _asset_agent asset-agent
