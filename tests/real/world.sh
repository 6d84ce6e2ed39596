# shellcheck shell=bash
# A world for tests with servers and writers that no one here wrote: a network, processes
# and mounts of its own, which end with the test, whatever happens in it. To be sourced;
# root only.
#
#	world_enter PACKAGE... -- "$@"	installs them, then begins the script anew in there;
#					with --packages only names them
#	world_make			makes $work with $spool, $store, an own /run
#	start NAME COMMAND...		a server in the background, what it says in $work/NAME.log
#	stop NAME [SIGNAL]		ends it, and waits; its exit status
#	wait_for COMMAND...		until it succeeds, world_patience seconds at the most
#
# The agent and the stand-in for the service, by what these hold when they start:
#
#	api, auth, upload, spool_keys	lines for those sections of the configuration
#	service_url, token_url		where the agent finds the service, and its tokens
#	on_service, on_agent		words in front of the commands, `ip netns exec cloud`
#	service_words			options of asset-service
#
# A command of `ok` may be a function: its parts must be joined by &&. The Test Anything
# Protocol goes to descriptor 3.

world_patience=$((60 * ${ASSET_TEST_PATIENCE:-1}))
build=${BUILD:-build}
agent=$PWD/$build/asset-agent
service=$PWD/$build/asset-service
agent_user=61234
tests_run=0
marked=1
tests_failed=0
exec 3>&1

# ---- the world ----

world_enter() {
	local packages=()
	while [ "$1" != -- ]; do
		packages+=("$1")
		shift
	done
	shift
	if [ "${1:-}" = --packages ]; then
		printf '%s\n' "${packages[@]}"
		exit
	fi
	[ -z "${ASSET_TEST_WORLD:-}" ] || return 0
	tests/real/install-servers "${packages[@]}"
	exec env ASSET_TEST_WORLD=1 unshare --mount --net --pid --fork --kill-child \
		--mount-proc "tests/real/${0##*/}" "$@"
}

world_make() {
	work=$(mktemp -d /var/tmp/asset-agent-real.XXXXXX)
	trap world_end EXIT
	trap 'exit 130' INT TERM
	chmod 755 "$work"
	mount -t tmpfs -o mode=755 asset-agent-real /run
	mkdir /run/netns
	ip link set lo up
	root=$work/root
	spool=$root/spool
	store=$work/store
	mkdir "$root" "$store" "$work/state"
	install -d -m 2777 -g $agent_user "$spool"
	chown $agent_user:$agent_user "$work/state"
	printf 'real secret' >"$work/client-secret"
	chmod 644 "$work/client-secret"
	service_url=http://127.0.0.1:8000
	service_words=(--kind mixed)
	api='' auth='' upload='' spool_keys='' on_service=() on_agent=()
	unset http_proxy https_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY
	declare -gA running=()
}

world_end() {
	local name
	trap - EXIT
	for name in "${!running[@]}"; do
		kill -KILL "${running[$name]}" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf --one-file-system "$work"
}

wait_for() {
	local deadline=$((SECONDS + world_patience))
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $deadline ]; then
			echo "gave up waiting for: $*"
			return 1
		fi
		read -rt 0.05 <> <(:) || true
	done
}

start() { # NAME COMMAND...
	local name=$1
	shift
	# Some servers end their whole process group with themselves.
	setsid "$@" >>"$work/$name.log" 2>&1 </dev/null 3>&- &
	running[$name]=$!
}

stop() { # NAME [SIGNAL]
	local pid=${running[$1]} status=0
	unset "running[$1]"
	{ kill "-${2:-TERM}" "$pid" && wait "$pid"; } 2>/dev/null || status=$?
	return $status
}

listens() { # ADDRESS PORT
	(exec 4<>"/dev/tcp/$1/$2") 2>/dev/null
}

# ---- the service and the agent ----

start_service() {
	local before
	before=$(services_begun)
	start service "${on_service[@]}" "$service" --port 8000 --store "$store" \
		--client-id real --client-secret 'real secret' --scope real.scope \
		"${service_words[@]}"
	wait_for eval "[ \$(services_begun) -gt ${before:-0} ]"
}
services_begun() { grep -c BaseURL "$work/service.log" 2>/dev/null || true; }

# Fails if the agent broke the contract meanwhile.
stop_service() { stop service; }

write_configuration() {
	cat >"$work/agent.conf" <<-CONF
		[API]
		BaseURL=$service_url/conversation/conversationmgr/v3
		$api
		[Auth]
		TokenURL=${token_url:-$service_url}/oauth/token
		ClientID=real
		ClientSecretFile=$work/client-secret
		Scope=real.scope
		$auth
		[Upload]
		$upload
		[Retry]
		$retry
		[State]
		Directory=$work/state
		[Report]
		StatusFile=$work/state/status.json
		LogTarget=stderr
		LogLevel=debug
		[Spool:real]
		Path=$spool
		ChannelType=custom.real
		SenderType=customer
		$spool_keys
	CONF
}
retry=$'InitialDelay=100ms\nMaxDelay=500ms'

# As the unit runs it: a user of its own, who may ask for leases.
as_agent() {
	setpriv --reuid $agent_user --regid $agent_user --clear-groups \
		--inh-caps=-all,+lease --ambient-caps=-all,+lease --bounding-set=-all,+lease \
		"$@"
}

start_agent() {
	write_configuration
	[ ! -e "$work/agent.log" ] || cat "$work/agent.log" >>"$work/all.log"
	: >"$work/agent.log"
	start agent "${on_agent[@]}" setpriv --reuid $agent_user --regid $agent_user \
		--clear-groups --inh-caps=-all,+lease --ambient-caps=-all,+lease \
		--bounding-set=-all,+lease "$agent" --config "$work/agent.conf" run
	wait_for told 'watching'
}

stop_agent() { stop agent; }

reload_agent() {
	local before
	before=$(count_told 'Reloaded')
	write_configuration
	kill -HUP "${running[agent]}" && wait_for eval "[ \$(count_told Reloaded) -gt $before ]"
}

told() { grep -qe "$1" "$work/agent.log"; } # PATTERN
count_told() { grep -ce "$1" "$work/agent.log" || true; }
show_told() { # PATTERN: as a comment of the test, without times and machine
	grep -e "$1" "$work/agent.log" | sed 's/^/# /' | cut -c -300 | head -n "${2:-1}" >&3
}

# ---- what became of files ----

# How often a whole content of that name came to the service.
uploads() { awk -v name="$1" '$5 == name' "$work/service.log" | wc -l; }

# Its receipt speaks of the file as it is, and the service has just that.
has_arrived() { # NAME
	local file=$spool/$1 said id
	[ -e "$file.asset.json" ] && ! [ -e "$file.asset-error.json" ] &&
		said=$(jq -r '"\(.size) \(.modified | rtrimstr("Z")) \(.id)"' "$file.asset.json") &&
		id=${said##* } && [ "${said% *}" = "$(size_and_time "$file")" ] && cmp -s "$file" "$store/$id"
}
size_and_time() { # with nine digits behind the point, as receipts have them
	local text
	text=$(TZ=UTC0 find "$1" -printf '%s %TY-%Tm-%TdT%TT') && echo "${text:0:-1}"
}

arrives() { # NAME...
	local name
	for name in "$@"; do
		wait_for has_arrived "$name" || return 1
	done
}

# All that was dropped before it has been seen and judged when this one has arrived.
arrives_after_all() { # NAME
	barriers=$((${barriers:-0} + 1))
	echo "$barriers" >"$spool/barrier-$barriers.txt" && arrives "barrier-$barriers.txt" "$1"
}

arrives_once() { arrives_times 1 "$1"; } # NAME

arrives_times() { # N NAME
	arrives "$2" && arrives_after_all "$2" || return 1
	echo "uploads of $2: $(uploads "$2"), expected: $1"
	[ "$(uploads "$2")" = "$1" ]
}

refused() { # NAME PATTERN: of what its error sidecar says
	wait_for test -e "$spool/$1.asset-error.json" &&
		jq -r .developerMessage "$spool/$1.asset-error.json" | grep -e "$2"
}

make_files() { # PREFIX COUNT [SIZE]: in the spool
	local i
	for ((i = 1; i <= $2; i++)); do
		head -c "${3:-2000}" /dev/urandom >"$spool/$1-$i.bin"
	done
}

all_arrive_once() { # PREFIX COUNT
	local i
	for ((i = 1; i <= $2; i++)); do
		arrives "$1-$i.bin" || return 1
	done
	awk -v prefix="$1" -v count="$2" 'substr($5, 1, length(prefix) + 1) == prefix "-" { n[$5]++; all++ }
		END {
			for (name in n) if (n[name] > 1) print name " was uploaded " n[name] " times"
			exit all != count
		}' "$work/service.log"
}

no_secret_is_told() {
	! cat "$work/all.log" "$work/agent.log" |
		grep -aE "real secret|ignature=[^*]|${1:-real secret}"
}

# ---- TAP ----

note() { echo "# $*" >&3; }

ok() { # NAME COMMAND...
	local name=$1 begun=${EPOCHREALTIME/./} spent
	shift
	[[ $name == ${ASSET_TEST_FILTER:-*} ]] || return 0
	tests_run=$((tests_run + 1))
	if "$@" >"$work/said" 2>&1; then
		echo "ok $tests_run - $name"
	else
		tests_failed=$((tests_failed + 1))
		echo "not ok $tests_run - $name"
		sed 's/^/# /' "$work/said"
		grep -E "^[A-Z][a-z]" "$work/agent.log" | tail -n 12 | cut -c -300 | sed "s/^/#   agent: /"
	fi
	spent=$(((${EPOCHREALTIME/./} - begun) / 1000))
	[ -z "${ASSET_TEST_TIMES:-}" ] || note "$spent ms"
}

done_testing() {
	echo "1..$tests_run"
	[ "$tests_failed" = 0 ]
}
