# shellcheck shell=bash
# Two hosts, a proxy between them, names, and certificates: to be sourced after world.sh.
#
#	site, where the agent runs (the test's own network)     198.51.100.2  2001:db8::2
#	cloud, with nginx in front of the stand-in              198.51.100.1  2001:db8::1
#	gate, with the proxy, which reaches the cloud           203.0.113.1 (site: .2)
#
#	network_make		the links; the one from the site to the cloud is `cloud0`
#	names_are LINE...	what the site's name server (dnsmasq) says from now on
#	ca NAME; certificate NAME CA ALT [END]	END: YYYYMMDDHHMMSSZ of its expiry
#	front			(re)starts nginx by $front_cert, $front_verify, $front_extra
#	proxy LINES		(re)starts squid, with what it allows

network_make() {
	ip netns add cloud
	ip netns add gate
	join cloud cloud0 198.51.100.2/24 site0 198.51.100.1/24
	ip -6 addr add 2001:db8::2/64 dev cloud0 nodad
	in_cloud ip -6 addr add 2001:db8::1/64 dev site0 nodad
	join gate gate0 203.0.113.2/24 site0 203.0.113.1/24
	ip netns exec gate ip link add cloud0 type veth peer name gate0 netns cloud
	ip netns exec gate ip addr add 192.0.2.2/24 dev cloud0
	ip netns exec gate ip link set cloud0 up
	in_cloud ip addr add 192.0.2.1/24 dev gate0
	in_cloud ip link set gate0 up
	start_names
	mkdir "$work/tls"
}

join() { # NETNS OUR-DEVICE OUR-ADDRESS THEIR-DEVICE THEIR-ADDRESS
	ip netns exec "$1" ip link set lo up
	ip link add "$2" type veth peer name "$4" netns "$1"
	ip addr add "$3" dev "$2"
	ip link set "$2" up
	ip netns exec "$1" ip addr add "$5" dev "$4"
	ip netns exec "$1" ip link set "$4" up
}

in_cloud() { ip netns exec cloud "$@"; }
in_gate() { ip netns exec gate "$@"; }

# ---- names ----

start_names() {
	printf '127.0.0.1 localhost\n' >"$work/hosts"
	printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$work/resolv.conf"
	printf 'hosts: files dns\n' >"$work/nsswitch.conf"
	mount --bind "$work/hosts" /etc/hosts
	mount --bind "$work/resolv.conf" "$(realpath /etc/resolv.conf)"
	mount --bind "$work/nsswitch.conf" /etc/nsswitch.conf
	: >"$work/names"
	start names dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts \
		--user=root --listen-address=127.0.0.1 --bind-interfaces --local=/test/ \
		--addn-hosts="$work/names" --pid-file=
}

names_are() {
	printf '%s\n' "$@" >"$work/names"
	kill -HUP "${running[names]}"
}
name_is() { # NAME ADDRESS: by now
	[ "$(getent ahosts "$1" | awk 'NR == 1 { print $1 }')" = "$2" ]
}

# ---- certificates ----

ca() { # NAME
	local tls=$work/tls/$1
	mkdir "$tls" && : >"$tls/index" && echo 01 >"$tls/serial" && cat >"$tls/conf" <<-CONF &&
		[ca]
		default_ca = own
		[own]
		database = $tls/index
		serial = $tls/serial
		new_certs_dir = $tls
		private_key = $tls/key.pem
		certificate = $tls/ca.pem
		default_md = sha256
		default_days = 2
		policy = any
		copy_extensions = copy
		unique_subject = no
		[any]
		commonName = supplied
	CONF
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
		-subj "/CN=$1" -keyout "$tls/key.pem" -out "$tls/ca.pem"
}

certificate() { # NAME CA ALT [END]
	local end=${4:+-startdate 20200101000000Z -enddate $4}
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
		-addext "subjectAltName=$3" -keyout "$work/tls/$1.key" -out "$work/tls/$1.csr" &&
		openssl ca -batch -notext -config "$work/tls/$2/conf" $end \
			-in "$work/tls/$1.csr" -out "$work/tls/$1.pem"
}

# ---- what stands in front of the service: for each of login, api and assets ----

declare -A front_cert=([login]=good [api]=good [assets]=good)
declare -A front_verify=() # the CA that clients must have a certificate of
declare -A front_extra=()

front_server() { # HOST
	cat <<-CONF
		server {
			listen 8443 ssl http2;
			listen [::]:8443 ssl http2;
			server_name $1.test $([ "$1" != api ] || echo '"[2001:db8::1]"');
			ssl_certificate $work/tls/${front_cert[$1]}.pem;
			ssl_certificate_key $work/tls/${front_cert[$1]}.key;
			${front_verify[$1]:+ssl_verify_client on; ssl_client_certificate $work/tls/${front_verify[$1]}/ca.pem;}
			${front_extra[$1]:-}
			location = /version { return 204; }
			location / { proxy_pass http://127.0.0.1:8000; }
		}
	CONF
}

write_front() {
	mkdir -p "$work/nginx"
	cat >"$work/nginx/conf" <<-CONF
		daemon off; pid $work/nginx/pid; error_log $work/nginx/error; user root;
		worker_processes 2;
		events {}
		http {
			log_format by '\$host \$server_protocol \$request_method \$status';
			access_log $work/nginx/access by;
			client_max_body_size 100m;
			client_body_temp_path $work/nginx/1; proxy_temp_path $work/nginx/2;
			fastcgi_temp_path $work/nginx/3; uwsgi_temp_path $work/nginx/4; scgi_temp_path $work/nginx/5;
			limit_req_zone \$server_name zone=few:1m rate=10r/s;
			proxy_set_header Host \$http_host;
			proxy_http_version 1.1;
			server {
				listen 8080;
				location / { proxy_pass http://127.0.0.1:8000; }
			}
			$(for host in api login assets; do front_server "$host"; done)
		}
	CONF
}

workers() { pgrep --parent "${running[front]}" | sort; }
has_new_workers() { # OLD...: and none of them takes connections any more
	[ -n "$(comm -13 <(printf '%s\n' "$@") <(workers))" ] &&
		! pgrep --parent "${running[front]}" --full 'worker process$' | grep -qxF "$(printf '%s\n' "$@")"
}

front() {
	local old
	write_front
	if [ -z "${running[front]:-}" ]; then
		start front ip netns exec cloud nginx -c "$work/nginx/conf" -e "$work/nginx/error"
		wait_for in_cloud bash -c 'exec 4<>/dev/tcp/127.0.0.1/8443'
	else
		mapfile -t old < <(workers)
		kill -HUP "${running[front]}" && wait_for has_new_workers "${old[@]}"
	fi
}

# ---- the proxy ----

proxy() { # LINES
	mkdir -p "$work/squid"
	chown proxy "$work/squid"
	printf '198.51.100.1 nowhere\n192.0.2.1 login.test api.test assets.test\n' >"$work/squid/hosts"
	printf 'agent:%s\n' "$(openssl passwd -apr1 'pass word')" >"$work/squid/passwd"
	chmod 644 "$work/squid/passwd"
	cat >"$work/squid/conf" <<-CONF
		http_port 203.0.113.1:3128
		visible_hostname gate.test
		hosts_file $work/squid/hosts
		dns_nameservers 127.0.0.1
		pid_filename none
		coredump_dir $work/squid
		cache deny all
		cache_log $work/squid/log
		access_log stdio:$work/squid/access
		shutdown_lifetime 0 seconds
		auth_param basic program /usr/lib/squid/basic_ncsa_auth $work/squid/passwd
		acl CONNECT method CONNECT
		acl known proxy_auth REQUIRED
		acl storage dstdomain assets.test
		$1
	CONF
	no_proxy_any_more
	: >>"$work/squid/access"
	chown proxy "$work/squid/access"
	start proxy ip netns exec gate squid -N -f "$work/squid/conf"
	wait_for listens 203.0.113.1 3128
}
no_proxy_any_more() { [ -z "${running[proxy]:-}" ] || stop proxy KILL || true; }
