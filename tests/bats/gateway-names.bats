#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Interception under rules for the network: the providers' names lead to the gateway whatever the
# rules say, for programs with a resolver of their own, too; and all others are met as they are.

load policy
load world
load gateway

setup_file() {
	agent_build
	requires curl openssl
	cd "$BATS_FILE_TMPDIR" || return
	# A server that is no provider, with a certificate of the test's own authority.
	openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca 2>/dev/null
	openssl req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=api.test 2>/dev/null
	openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out cert.pem \
		-extfile <(echo 'subjectAltName=DNS:api.test') 2>/dev/null
}

setup() {
	requires dig
	purple_setup
	world_setup
	make_generous_bundle
	edit_config '.linux.namespaces |= map(select(.type != "network"))
		| .linux.namespaces += [{ type: "network", path: $p }]
		| .process.env = ["PATH=/bin:/usr/bin"]' --arg p "$PWD/cont.net"
	mkdir -p "$BUNDLE/rootfs/etc/ssl/certs"
	cp "$BATS_FILE_TMPDIR/ca.pem" "$BUNDLE/rootfs/etc/ssl/certs/ca-certificates.crt"
	add_mount /usr /usr rbind,ro
	add_mount /usr/lib /lib rbind,ro
	[[ ! -d /usr/lib64 ]] || add_mount /usr/lib64 /lib64 rbind,ro
	start_servers
	policy t <<-END
		network: { allow_outgoing: ["api.test:443"], dns_servers: [198.51.100.1] }
		ai_policy:
		  llm_apis:
		    providers:
		      - { name: openai, endpoints: ["http://127.0.0.1:$PROVIDER_PORT/v1"], api_key_file: $PWD/key, models: [gpt-4o-mini] }
	END
}

teardown() {
	world_teardown
	purple_teardown
}

purple_rt() {
	in_net host "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"
}

# The provider is where the runtime is, the other server far away.
start_servers() {
	printf '%s\n' "$GATEWAY_KEY" >key
	nsenter --net="$PWD/host.net" python3 "$provider_py/provider.py" --key-sent "$GATEWAY_KEY" \
		--bill bill.jsonl --prices "$PURPLE_SRCDIR/data/model_prices.json" >provider.port 2>provider.err 3>&- &
	WORLD+=($!)
	nsenter --net="$PWD/world.net" openssl s_server -quiet -accept 192.0.2.10:443 -WWW \
		-cert "$BATS_FILE_TMPDIR/cert.pem" -key "$BATS_FILE_TMPDIR/key.pem" >server.out 2>&1 3>&- &
	WORLD+=($!)
	echo "the other server's" >file
	wait_for 20 test -s provider.port
	read -r PROVIDER_PORT _ <provider.port
	wait_for 20 eval 'in_net world curl -ks -o /dev/null https://192.0.2.10/file'
}

issuer() {
	echo "openssl s_client -connect $1:443 -servername $2 </dev/null 2>/dev/null | openssl x509 -noout -issuer"
}

@test "the provider's name is answered by the gateway, another https host shows its own certificate" {
	run_under t "$(issuer api.openai.com api.openai.com)
		$(issuer api.test api.test)
		curl -sS --max-time 20 https://api.test/file
		curl -sS --max-time 20 https://api.openai.com/v1/chat/completions -H \"Authorization: Bearer \$OPENAI_API_KEY\" \
			-d '{\"model\":\"gpt-4o-mini\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}'"
	assert_status 0
	[[ ${lines[0]} == issuer=O\ =\ Purple,* ]]
	assert_equal "${lines[1]}" "issuer=CN = test-ca"
	assert_equal "${lines[2]}" "the other server's"
	assert_equal "$(jq -r .object <<<"${lines[3]}")" chat.completion
	assert_equal "$(wc -l <bill.jsonl)" 1
}

@test "a program with a resolver of its own finds the gateway, and no way past it" {
	run_under t "at=\$(sed -n 's/[[:space:]]*api.openai.com//p' /etc/hosts); echo \$at
		for type in A AAAA HTTPS SVCB; do
			dig @198.51.100.1 +tries=1 +time=20 +short api.openai.com \$type | sed \"s/^/\$type /\"
		done
		dig @198.51.100.1 +tries=1 +time=20 api.anthropic.com A | grep -o NXDOMAIN
		dig @198.51.100.1 +tries=1 +time=20 x.api.openai.com A | grep -o NXDOMAIN"
	assert_status 0
	[[ ${lines[0]} == 127.* ]]
	assert_equal "${lines[1]}" "A ${lines[0]}"
	assert_equal "${lines[*]:2}" "NXDOMAIN NXDOMAIN"
	# Nobody outside was asked.
	assert_equal "$(grep -c openai dns.log)" 0
}

@test "a reload of the policy leaves it as it is" {
	start_under t 'sleep 1000'
	local at
	at=$(purple_rt exec "$ID" sed -n 's/[[:space:]]*api.openai.com//p' /etc/hosts)
	sed -i 's/api.test:443/other.test:443/' /etc/purple/policies/t.yaml
	run in_net host "$PURPLE" --root "$PURPLE_ROOT" policy reload "$ID"
	assert_status 0
	run purple_rt exec "$ID" dig @198.51.100.1 +tries=1 +time=20 +short api.openai.com
	assert_output "$at"
	run purple_rt exec "$ID" dig @198.51.100.1 +tries=1 +time=20 api.test
	assert_contains NXDOMAIN
	run purple_rt exec "$ID" sh -c "$(issuer api.openai.com api.openai.com)"
	assert_contains Purple
}

@test "two containers in one network namespace, as in a pod, do not meet" {
	start_under t 'sleep 1000'
	local first=$ID
	start_under t 'sleep 1000'
	local a b script
	script="sed -n 's/[[:space:]]*api.openai.com//p' /etc/hosts; openssl x509 -in /run/purple/ca.pem -noout -fingerprint"
	a=$(purple_rt exec "$first" sh -c "$script")
	b=$(purple_rt exec "$ID" sh -c "$script")
	[[ $a == 127.*Fingerprint=* && $b == 127.*Fingerprint=* ]]
	[[ ${a%%$'\n'*} != "${b%%$'\n'*}" && ${a##*$'\n'} != "${b##*$'\n'}" ]]
	# The other one's gateway is not believed, and does not take this one's placeholder.
	run purple_rt exec "$ID" curl -sS --max-time 20 --connect-to "api.openai.com:443:${a%%$'\n'*}:443" https://api.openai.com/v1/models
	((status == 60))
	run purple_rt exec "$ID" sh -c "curl -sSk --max-time 20 -o /dev/null -w '%{http_code}' --connect-to api.openai.com:443:${a%%$'\n'*}:443 \
		-H \"Authorization: Bearer \$OPENAI_API_KEY\" https://api.openai.com/v1/models"
	assert_output 401
}
