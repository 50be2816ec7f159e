#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Interception: programs that hard-code their provider reach the container's LLM gateway, with
# unmodified https URLs; nothing else is decrypted. The provider is tests/provider/provider.py.

load podman
load gateway

QUESTION='{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hello"}]}'

setup_file() {
	podman_setup
}

setup() {
	requires root private_etc jq python3 curl openssl
	purple_setup
	new_id
	provider_start --key-sent "$GATEWAY_KEY"
	policy_with_provider
}

teardown() {
	gateway_teardown
	podman_teardown
}

# policy_with_provider [LINE...]: policy `t`, whose openai is the test's provider.
policy_with_provider() {
	{
		cat <<-END
			name: t
			filesystem: { scratch_paths: [/tmp] }
			network: { isolated: true }
			ai_policy:
			  llm_apis:
			    providers:
			      - { name: openai, endpoints: ["http://127.0.0.1:$PROVIDER_PORT/v1"], api_key_file: $PWD/key, models: [gpt-4o-mini] }
		END
		printf '%s\n' "$@"
	} >t.yaml
	printf '%s\n' "$GATEWAY_KEY" >key
	chmod 0600 key
	policy_install t <t.yaml
}

# profile: p.yaml, the same for `purple run`, in which the host's programs run.
profile() {
	{
		host_files /etc/ssl /etc/ca-certificates
		grep -v '^filesystem:' t.yaml
	} >p.yaml
}

# agent SCRIPT: `run`s it in purple run.
agent() {
	run timeout --foreground -k 5 60 "$PURPLE" --root "$PURPLE_ROOT" run --quiet --profile ./p.yaml --name "$ID" -- sh -c "$1"
}

# What a program with its own idea of where OpenAI is sends.
curl_question() {
	printf "curl -sS --max-time 20 https://api.openai.com/v1/chat/completions -H \"Authorization: Bearer \$OPENAI_API_KEY\" -H 'Content-Type: application/json' -d '%s'" "$QUESTION"
}

# one_call: the provider has billed one more than before; it bills none without its key.
one_call() {
	CALLS=$((${CALLS:-0} + 1))
	assert_equal "$(wc -l <bill.jsonl)" "$CALLS"
}

@test "curl reaches the gateway by the provider's own URL, and the provider gets the real key" {
	profile
	agent "$(curl_question); echo; env"
	assert_status 0
	assert_equal "$(jq -r .object <<<"${lines[0]}")" chat.completion
	assert_contains OPENAI_API_KEY=purple-
	assert_lacks "$GATEWAY_KEY"
	one_call
	# Without the variables, too: the bundle of the image has the certificate.
	agent "key=\$OPENAI_API_KEY; $(curl_question | sed 's/^curl/env -i curl/; s/\$OPENAI_API_KEY/$key/')"
	assert_status 0
	one_call
	assert_equal "$(jq -r .object <<<"$output")" chat.completion
}

@test "python's own TLS and a stream, by the provider's own URL" {
	profile
	cat >call.py <<-'END'
		import json, os, urllib.request
		request = urllib.request.Request("https://api.openai.com/v1/chat/completions",
		    json.dumps({"model": "gpt-4o-mini", "stream": True,
		                "messages": [{"role": "user", "content": "hello"}]}).encode(),
		    {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"})
		with urllib.request.urlopen(request, timeout=20) as answer:
		    lines = [line for line in answer.read().decode().splitlines() if line]
		print(lines[-1], len(lines) > 2)
	END
	agent "exec python3 -c '$(<call.py)'"
	assert_status 0
	assert_output "data: [DONE] True"
	one_call
}

@test "other clients: GnuTLS, wget, git and node, those that are there" {
	local program said=0
	profile
	agent 'for p in gnutls-cli wget git node; do command -v $p; done; :'
	for program in "${lines[@]##*/}"; do
		case $program in
		gnutls-cli) agent 'gnutls-cli --logfile=/dev/stdout api.openai.com </dev/null' ;;
		wget) agent 'wget -S -O - https://api.openai.com/v1/models 2>&1' ;;
		git) agent 'HOME=/tmp git ls-remote https://api.openai.com/v1/models 2>&1' ;;
		node) agent 'node -e "fetch(\"https://api.openai.com/v1/models\").then(r => console.log(\"status\", r.status), e => console.log(e.cause))"' ;;
		esac
		echo "$program: $output"
		# A refusal in HTTP is the gateway's: the certificate was believed.
		case $program in
		gnutls-cli) assert_contains "The certificate is trusted" ;;
		wget) assert_contains "401" ;;
		git) assert_contains "https://api.openai.com/v1/models/" && assert_lacks certificate ;;
		node) assert_contains "status 401" ;;
		esac
		said=$((said + 1))
	done
	((said > 0)) || skip "needs the program wget"
}

@test "in a Podman container, and in podman exec" {
	local curl
	curl=$(curl_question | sed 's,^curl,/usr/bin/curl,')
	WITH=(--annotation io.purple.policy=t -v /usr:/usr:ro -v /usr/lib:/lib:ro)
	[[ ! -d /usr/lib64 ]] || WITH+=(-v /usr/lib64:/lib64:ro)
	start_podman "$IMAGE" sleep 1000
	in_container sh -c "$curl"
	assert_status 0
	assert_equal "$(jq -r .object <<<"$output")" chat.completion
	one_call
	# Podman's own lines are there, behind the gateway's.
	in_container cat /etc/hosts
	assert_contains $'\tapi.openai.com'
	assert_contains localhost
}

@test "the handshake is for the provider's names alone, and Host has to be the same" {
	profile
	local refused='-o /dev/null -w %{http_code}'
	agent "at=\$(sed -n 's/[[:space:]]*api.openai.com//p' /etc/hosts)
		for name in evil.example openai.com x.api.openai.com; do
			openssl s_client -connect \$at:443 -servername \$name </dev/null 2>&1 | grep -c 'no peer certificate'
		done
		openssl s_client -connect \$at:443 -noservername </dev/null 2>&1 | grep -c 'no peer certificate'
		openssl s_client -connect \$at:443 -servername api.openai.com -alpn h2,http/1.1 -verify_return_error \
			-verify_hostname api.openai.com </dev/null 2>&1 | grep -E 'ALPN protocol|Verification'
		curl -sS --max-time 20 $refused -H 'Host: evil.example' https://api.openai.com/v1/models; echo
		curl -sS --max-time 20 $refused -H 'Host: 127.0.0.1:4141' https://api.openai.com/v1/models; echo
		curl -sS --max-time 20 $refused -H 'Host: api.openai.com:80' https://api.openai.com/v1/models; echo"
	echo "$output"
	assert_equal "${lines[*]:0:4}" "1 1 1 1"
	assert_contains "ALPN protocol: http/1.1"
	assert_contains "Verification: OK"
	for line in "${lines[@]: -3}"; do
		[[ $line == 4[0-9][0-9] ]]
	done
	assert_equal "$(wc -l <requests.jsonl)" 0
}

@test "each container has its own authority, whose key is nowhere" {
	profile
	agent 'openssl x509 -in /run/purple/ca.pem -noout -fingerprint -subject -ext nameConstraints,basicConstraints
		grep -rl "PRIVATE KEY" /run/purple /etc 2>/dev/null; :'
	assert_status 0
	assert_contains "DNS:api.openai.com"
	assert_contains "CA:TRUE, pathlen:0"
	assert_contains "X509v3 Name Constraints: critical"
	assert_lacks /run/purple/
	local first=$output
	"$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$ID" -- sh -c \
		'openssl x509 -in /run/purple/ca.pem -noout -fingerprint; exec sleep 1000' >agent.out 2>agent.err </dev/null 3>&- &
	local agent=$!
	wait_for 20 grep -q . agent.out
	[[ $first != *"$(<agent.out)"* && $(<agent.out) == *Fingerprint=* ]]
	# What Purple keeps of it is public, and goes with the container.
	assert_equal "$(ls "$PURPLE_ROOT/$ID/trust")" $'ca-bundle.pem\nca.pem\ncodex.toml\ngemini.json\nhosts'
	run grep -rl -e 'PRIVATE KEY' -e "$GATEWAY_KEY" "$PURPLE_ROOT/$ID"
	assert_output ""
	"$PURPLE" --root "$PURPLE_ROOT" stop --time 0 "$ID"
	wait "$agent" || true
	[[ ! -e $PURPLE_ROOT/$ID ]]
}

@test "servers of the agent's own: ports that others have are free at its other addresses" {
	policy_with_provider 'capabilities: { add: [CAP_NET_BIND_SERVICE] }'
	profile
	agent "python3 -c '
import socket
s = socket.create_server((\"127.0.0.1\", 443))
t = socket.create_server((\"0.0.0.0\", 80))
u = socket.create_server((\"::1\", 443), family=socket.AF_INET6)
print(\"all three\")'"
	assert_status 0
	assert_output "all three"
}

# --- images ---------------------------------------------------------------------------------------

# fetch_files POLICY FILE...: what the files are in a container over BUNDLE.
fetch_files() {
	local policy=$1
	shift
	set_command sh -c 'for file; do cat "$file" && echo ---; done' sh "$@"
	new_id
	run purple_rt --policy "$policy" run --bundle "$BUNDLE" "$ID"
}

@test "bundles of certificates of all distributions, each with the authority; the image keeps its own" {
	make_bundle
	mkdir -p "$BUNDLE/rootfs/etc/ssl/certs" "$BUNDLE/rootfs/etc/pki/tls/certs"
	echo "the image's" >"$BUNDLE/rootfs/etc/pki/tls/certs/ca-bundle.crt"
	ln -s ../../pki/tls/certs/ca-bundle.crt "$BUNDLE/rootfs/etc/ssl/certs/ca-certificates.crt"
	echo "another" >"$BUNDLE/rootfs/etc/ssl/cert.pem"
	fetch_files t /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem /run/purple/ca-bundle.pem
	assert_status 0
	assert_equal "$(grep -c "the image's" <<<"$output")" 4
	assert_equal "$(grep -c 'BEGIN CERTIFICATE' <<<"$output")" 4
	assert_lacks another
	assert_equal "$(<"$BUNDLE/rootfs/etc/pki/tls/certs/ca-bundle.crt")" "the image's"
	assert_equal "$(<"$BUNDLE/rootfs/etc/ssl/cert.pem")" another
}

@test "the bundle that the image's own variable names comes first" {
	make_bundle
	mkdir -p "$BUNDLE/rootfs/etc/ssl/certs" "$BUNDLE/rootfs/opt"
	echo "the distribution's" >"$BUNDLE/rootfs/etc/ssl/certs/ca-certificates.crt"
	echo "the company's" >"$BUNDLE/rootfs/opt/company.pem"
	edit_config '.process.env += ["SSL_CERT_FILE=/opt/company.pem"]'
	fetch_files t /run/purple/ca-bundle.pem /opt/company.pem
	assert_status 0
	assert_equal "$(grep -c "the company's" <<<"$output")" 2
	assert_equal "$(grep -c 'BEGIN CERTIFICATE' <<<"$output")" 2
	assert_lacks "the distribution's"
}

@test "an image cannot have files copied that its users may not read" {
	local secret=$PWD/volume/secret file
	make_bundle
	mkdir -p volume/hidden "$BUNDLE/rootfs/etc/ssl/certs" "$BUNDLE/rootfs/volume"
	echo "root's own" >"$secret"
	chmod 0600 "$secret"
	echo "root's own" >volume/hidden/file
	chmod 0700 volume/hidden
	edit_config '.process.user = { uid: 1000, gid: 1000 }
		| .mounts += [{ type: "bind", source: $v, destination: "/volume", options: ["bind"] }]' --arg v "$PWD/volume"
	set_script 'cat /run/purple/ca-bundle.pem; head -c 300 /etc/hosts'
	export SECRET_OF_CALLER=hunter2-not-for-the-agent
	for file in /proc/self/environ /proc/1/environ /proc/kallsyms /proc/vmallocinfo /volume/secret /volume/hidden/file; do
		ln -sf "$file" "$BUNDLE/rootfs/etc/ssl/certs/ca-certificates.crt"
		edit_config '.process.env |= map(select(startswith("SSL_CERT_FILE") | not)) + ["SSL_CERT_FILE=" + $f]' --arg f "$file"
		new_id
		run purple_rt --policy t run --bundle "$BUNDLE" "$ID"
		assert_contains api.openai.com
		assert_contains "BEGIN CERTIFICATE"
		assert_lacks hunter2
		assert_lacks "root's own"
		assert_lacks " vmlinux"
		assert_lacks " T "
	done
}

@test "configuration of agents that no variable tells, where the image has none" {
	make_bundle
	fetch_files t /etc/codex/config.toml
	assert_status 0
	assert_contains 'openai_base_url = "http://127.0.0.1:4141/openai/v1"'
	sed 's/name: openai,/name: own, format: openai,/; s,http://127.0.0.1,http://own.example,; s,:[0-9]*/v1,/v1,' t.yaml >own.yaml
	policy_install t <own.yaml
	fetch_files t /etc/codex/config.toml /etc/hosts
	assert_contains 'openai_base_url = "http://127.0.0.1:4141/own/v1"'
	assert_contains $'\town.example'
	mkdir -p "$BUNDLE/rootfs/etc/codex"
	echo mine >"$BUNDLE/rootfs/etc/codex/config.toml"
	fetch_files t /etc/codex/config.toml
	assert_equal "${lines[0]}" mine
}

@test "in a user namespace: the same, and the files are its root's" {
	make_bundle
	chown -R 100000:100000 "$BUNDLE/rootfs"
	edit_config '.linux.namespaces += [{ type: "user" }]
		| .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }]
		| .linux.gidMappings = .linux.uidMappings'
	set_script 'stat -c "%u:%g %a" /run/purple /run/purple/ca-bundle.pem /etc/hosts; grep -c openai /etc/hosts
		grep -c BEGIN /run/purple/ca.pem; wget -q -O - "$PURPLE_GATEWAY_URL/openai/v1/models" 2>&1; echo x 2>&1 >>/run/purple/ca.pem'
	new_id
	run purple_rt --policy t run --bundle "$BUNDLE" "$ID"
	assert_equal "${lines[*]:0:5}" "0:0 755 0:0 644 0:0 644 1 1"
	assert_contains 401
	assert_contains "Read-only file system"
}

@test "a root that cannot be written, and has no place for it, is told" {
	make_bundle
	mkdir -p ro && mount -t tmpfs none ro
	cp -a "$BUNDLE/rootfs/." ro && mount -o remount,ro ro
	edit_config '.root.path = $p' --arg p "$PWD/ro"
	set_command true
	new_id
	run purple_rt --policy t run --bundle "$BUNDLE" "$ID"
	umount ro
	((status != 0))
	assert_contains "'/run/purple'"
	assert_contains "Read-only file system"
	[[ ! -e $PURPLE_ROOT/$ID ]]
}

@test "what is mounted cannot be changed from within" {
	make_bundle
	edit_config '.root.readonly = false'
	run_in() {
		set_script "$1"
		new_id
		run purple_rt --policy t run --bundle "$BUNDLE" "$ID"
	}
	run_in 'for f in /run/purple/ca.pem /run/purple/new /etc/hosts; do (echo x >>$f) 2>&1; done; umount /etc/hosts 2>&1'
	assert_equal "$(grep -c 'Read-only file system' <<<"$output")" 3
	assert_contains "not permitted"
}

@test "a container in the host's network is not intercepted, and purple explain says so" {
	make_bundle
	sed -i 's/^network: .*/network: { allow_outgoing: ["443"] }/' t.yaml
	policy_install t <t.yaml
	edit_config '.linux.namespaces |= map(select(.type != "network"))'
	set_script 'cat /etc/hosts; env; ls /run/purple'
	purple_rt --policy t create --bundle "$BUNDLE" "$ID" </dev/null >out 2>err
	run "$PURPLE" --root "$PURPLE_ROOT" explain "$ID"
	assert_contains "providers' names are not intercepted: the container is in the host's network namespace"
	purple_rt start "$ID"
	wait_status stopped
	run cat out
	assert_contains OPENAI_BASE_URL=http://127.0.0.1:
	assert_lacks openai.com
	assert_lacks SSL_CERT_FILE
}
