#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Rules with names and real servers: nginx with several names on one address, over TLS, IPv4 and
# IPv6; a resolver; a metadata service. On port 443 the name in TLS has to be an allowed one.

load policy
load world

setup_file() {
	agent_build
	requires curl openssl nginx
	cd "$BATS_FILE_TMPDIR" || return
	# A CA of the test's own, and one certificate for all names.
	openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca 2>/dev/null
	openssl req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=api.test 2>/dev/null
	openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out cert.pem \
		-extfile <(echo 'subjectAltName=DNS:api.test,DNS:other.test,DNS:third.test,DNS:*.sub.test,IP:192.0.2.10') 2>/dev/null
}

setup() {
	purple_setup
	world_setup
	make_generous_bundle
	edit_config '.linux.namespaces |= map(select(.type != "network"))
		| .linux.namespaces += [{ type: "network", path: $p }]
		| .process.env = ["PATH=/bin:/usr/bin", "CURL_CA_BUNDLE=/ca.pem"]' --arg p "$PWD/cont.net"
	cp "$BATS_FILE_TMPDIR/ca.pem" "$BUNDLE/rootfs/ca.pem"
	add_mount /usr /usr rbind,ro
	add_mount /usr/lib /lib rbind,ro
	[[ ! -d /usr/lib64 ]] || add_mount /usr/lib64 /lib64 rbind,ro
	start_nginx
}

teardown() {
	world_teardown
	purple_teardown
}

purple_rt() {
	in_net host "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"
}

# What it says is the name that it was asked for.
start_nginx() {
	mkdir nginx
	cat >nginx.conf <<-END
		daemon off;
		master_process off;
		user root;
		pid $PWD/nginx/pid;
		error_log $PWD/nginx/error.log;
		events {}
		http {
			log_format names '\$server_addr \$ssl_server_name';
			access_log $PWD/nginx/access.log names;
			client_body_temp_path $PWD/nginx/body;
			proxy_temp_path $PWD/nginx/proxy;
			fastcgi_temp_path $PWD/nginx/fastcgi;
			uwsgi_temp_path $PWD/nginx/uwsgi;
			scgi_temp_path $PWD/nginx/scgi;
			ssl_certificate $BATS_FILE_TMPDIR/cert.pem;
			ssl_certificate_key $BATS_FILE_TMPDIR/key.pem;
			server {
				listen 192.0.2.10:443 ssl default_server;
				listen [2001:db8:9::10]:443 ssl default_server;
				server_name _;
				return 200 "name=\$ssl_server_name\n";
			}
		}
	END
	nsenter --net="$PWD/world.net" nginx -p "$PWD/nginx" -c "$PWD/nginx.conf" >nginx.out 2>&1 3>&- &
	WORLD+=($!)
	wait_for 20 eval 'in_net world curl -ks -o /dev/null https://192.0.2.10/'
	: >nginx/access.log
}

# fetch POLICY|"" URL [CURL-ARGUMENT...]: with curl, in a fresh container.
fetch() {
	local policy=$1
	shift
	set_command curl -sS --max-time 20 "$@"
	new_id
	run purple_rt ${policy:+--policy "$policy"} run --bundle "$BUNDLE" "$ID"
}

fetched() { # NAME
	assert_status 0
	assert_output "name=$1"
}

OTHER=(--connect-to "other.test:443:192.0.2.10:443" https://other.test/)
# What is cut does not come back to curl: it is not waited for long, and nginx says what came.
CUT=(--next -sS --max-time 3)

@test "an allowed name works over IPv4 and IPv6, another one on the same address is cut" {
	policy t <<<'network: { allow_outgoing: ["api.test:443", "*.sub.test:443"], dns_servers: [198.51.100.1] }'
	fetch "" "${OTHER[@]}"
	fetched other.test
	fetch t -4 https://api.test/
	fetched api.test
	fetch t -6 https://api.test/
	fetched api.test
	: >nginx/access.log
	# The address is known after the first one.
	fetch t https://api.test/ "${CUT[@]}" "${OTHER[@]}" \
		"${CUT[@]}" --connect-to "other.test:443:[2001:db8:9::10]:443" https://other.test/
	((status != 0))
	assert_output_has 1 name=api.test
	assert_lacks name=other.test
	# A name that the policy allows, by an address that only another allowed one has.
	fetch t https://api.test/ --next -sS --max-time 20 --connect-to "x.sub.test:443:192.0.2.10:443" https://x.sub.test/
	assert_status 0
	assert_contains name=x.sub.test
	assert_equal "$(cut -d ' ' -f 2 nginx/access.log | sort | uniq -c | xargs)" "2 api.test 1 x.sub.test"
}

assert_output_has() { # HOW-OFTEN TEXT
	assert_equal "$(grep -c "$2" <<<"$output")" "$1"
}

@test "TLS without a name, and what is no TLS, is cut on port 443; addresses that a rule names are free" {
	local plain=(--resolve api.test:443:192.0.2.10 http://api.test:443/)
	policy t <<<'network: { allow_outgoing: ["api.test:443"], dns_servers: [198.51.100.1] }'
	policy a <<<'network: { allow_outgoing: ["192.0.2.10:443"], dns_servers: [198.51.100.1] }'
	fetch "" https://192.0.2.10/
	fetched ""
	fetch "" "${plain[@]}"
	assert_contains "400 The plain HTTP request"
	: >nginx/access.log
	fetch t https://api.test/ "${CUT[@]}" https://192.0.2.10/ "${CUT[@]}" "${plain[@]}"
	((status != 0))
	assert_output_has 1 name=
	assert_lacks 400
	assert_equal "$(cut -d ' ' -f 2 nginx/access.log)" api.test
	fetch a https://192.0.2.10/
	fetched ""
	fetch a "${OTHER[@]}"
	fetched other.test
}

@test "a ClientHello that comes in pieces, with two names, or with an encrypted one" {
	# Who listens keeps the first bytes of each connection.
	cat >listen.py <<-'END'
		import socket, threading
		s = socket.create_server(("192.0.2.12", 443))
		open("listening", "w").close()
		def take(c):
		    c.settimeout(20)
		    data = b""
		    try:
		        while part := c.recv(4096):
		            data += part
		    except OSError:
		        pass
		    with open("taken", "a") as f:
		        f.write("%s %d\n" % (data[-8:].decode("ascii", "replace"), len(data)))
		while True:
		    threading.Thread(target=take, args=(s.accept()[0],), daemon=True).start()
	END
	cat >"$BUNDLE/rootfs/pieces.py" <<-'END'
		import socket, ssl, struct, sys
		def hello(name):
		    out = ssl.MemoryBIO()
		    o = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
		    try:
		        o.do_handshake()
		    except ssl.SSLWantReadError:
		        return out.read()
		def extended(h, more):
		    # One more extension behind the others, and all lengths around it.
		    at = 9 + 2 + 32
		    at += 1 + h[at]
		    at += 2 + struct.unpack_from("!H", h, at)[0]
		    at += 1 + h[at]
		    h = bytearray(h + more)
		    for where in (at, 3):
		        struct.pack_into("!H", h, where, struct.unpack_from("!H", h, where)[0] + len(more))
		    struct.pack_into("!H", h, 7, struct.unpack_from("!H", h, 7)[0] + len(more))
		    return bytes(h)
		good, bad = hello("third.test"), hello("other.test")
		name = b"other.test"
		second = struct.pack("!HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
		ech = struct.pack("!HH", 0xFE0D, 40) + b"\0" + b"\0" * 39
		body = good[5:]
		tries = {
		    "good": [good],
		    "bad": [bad],
		    "split": [good[:10], good[10:]],
		    "bytes": [good[i:i + 1] for i in range(len(good))],
		    "records": [good[:3] + struct.pack("!H", 20) + body[:20] + good[:3] + struct.pack("!H", len(body) - 20) + body[20:]],
		    "second-name": [extended(bad, second.replace(b"other", b"third"))],
		    "encrypted": [extended(good, ech)],
		    "garbage-first": [b"\0" + good],
		    "good-then-more": [good, b"data"],
		}
		for what, parts in tries.items():
		    s = socket.create_connection(("192.0.2.12", 443))
		    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
		    try:
		        for part in parts:
		            s.sendall(part)
		        s.sendall((what + " " * 8)[:8].encode())
		    except OSError:
		        pass
		    s.close()
		s = socket.create_connection(("192.0.2.12", 443))
		s.sendall(good + b"the-last")
		s.close()
	END
	nsenter --net="$PWD/world.net" python3 listen.py >listen.out 2>&1 3>&- &
	WORLD+=($!)
	wait_for 20 test -e listening
	policy t <<<'network: { allow_outgoing: ["third.test:443"], dns_servers: [198.51.100.1] }'
	arrived() {
		wait_for 20 grep -q the-last taken
		awk '$2 > 8 { print $1 }' taken | sort | xargs
	}
	set_script 'python3 /pieces.py'
	new_id
	purple_rt run --bundle "$BUNDLE" "$ID"
	wait_for 20 eval '(($(wc -l <taken) == 10))'
	assert_equal "$(arrived)" "bad bytes encrypte garbage- good good-the records second-n split the-last"
	rm taken
	set_script 'nslookup third.test >/dev/null; python3 /pieces.py'
	new_id
	purple_rt --policy t run --bundle "$BUNDLE" "$ID"
	assert_equal "$(arrived)" "good good-the the-last"
}
