#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The SDKs of npm in real containers, started by Podman under a policy: the calls of an agent that has
# no key, in a container without a network, are metered, priced and held to a budget.
#
# The tests need a registry of npm that can be reached; without one they are skipped, and say so.

load helpers
load gateway
load podman

IMAGE=localhost/node

setup_file() {
	podman_setup
	node_image
}

setup() {
	requires root private_etc podman python3 jq curl node gateway
	purple_setup
	clients_install
	rm -rf /var/lib/purple/*
	provider_start --key-sent "$GATEWAY_KEY"
	printf '%s\n' "$GATEWAY_KEY" >"$BATS_TEST_TMPDIR/key"
}

teardown() {
	gateway_teardown
	podman_teardown
}

# The image of busybox, and the host's node with its libraries.
node_image() {
	local root=$PODMAN_DIR/node file
	(
		flock 9
		[[ -e $PODMAN_DIR/node.ready ]] && exit
		make_rootfs "$root"
		file=$(readlink -f "$(command -v node)")
		mkdir -p "$root/usr/bin" "$root/etc/ssl/certs"
		cp "$file" "$root/usr/bin/node"
		ldd "$file" | grep -oE '/[^ ]+' | while read -r file; do
			mkdir -p "$root$(dirname "$file")"
			cp -L "$file" "$root$file"
		done
		# Debian's node has parts of itself there.
		[[ ! -d /usr/share/nodejs ]] || {
			mkdir -p "$root/usr/share"
			cp -RL /usr/share/nodejs "$root/usr/share/nodejs"
		}
		printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
		tar -C "$root" -c . | podman_ import --change 'ENV=PATH=/bin:/usr/bin' - "$IMAGE" >/dev/null
		rm -rf "$root"
		: >"$PODMAN_DIR/node.ready"
	) 9>"$PODMAN_DIR.node.lock"
	[[ -e $PODMAN_DIR/node.ready ]]
}

# llm_policy NAME [BUDGET-LINE...]: a policy with the providers that the tests need, all of them the one that runs.
llm_policy() {
	local name=$1 url=http://127.0.0.1:$PROVIDER_PORT
	shift
	{
		cat <<-END
			name: $name
			ai_policy:
			  budget:
		END
		printf '    %s\n' "$@"
		cat <<-END
			  llm_apis:
			    block_unknown: true
			    providers:
		END
		provider_yaml openai openai "$url/v1"
		provider_yaml anthropic anthropic "$url/v1"
		provider_yaml gemini gemini "$url"
	} | policy_install "$name"
}
provider_yaml() {
	cat <<-END
		      - name: $1
		        endpoints: ["$3"]
		        format: $2
		        api_key_file: $BATS_TEST_TMPDIR/key
	END
}

# ledger_is_right OPTION...: the ledger of the file is held against the provider's bill.
ledger_is_right() {
	wait_for 20 nothing_open /var/lib/purple/ledger.db
	run python3 "$provider_py/ledger.py" check /var/lib/purple/ledger.db --bill bill.jsonl "$@"
	echo "$output"
	assert_status 0
}

# client_podman POLICY WORD... <CASES: client.mjs in a container of the policy; see capture.
client_podman() {
	local policy=$1
	shift
	new_id
	capture podman_ run --rm -i --name "$ID" --network none --annotation "io.purple.policy=$policy" \
		-v "$CLIENT_MODULES:/clients:ro" -v "$PURPLE_SRCDIR/tests/clients:/tests:ro" \
		-e CLIENT_MODULES=/clients "$@" "$IMAGE" node /tests/client.mjs
}

@test "base URLs: the SDKs work without a key, and the ledger has what was billed" {
	llm_policy llm 'max_cost: "$5000"' 'on_exceeded: deny'
	# Those whose provider is none of the three are in gateway-clients.bats.
	jq -c 'select(.provider | not) | .prompt += " case=" + .id' "$PURPLE_SRCDIR/tests/clients/cases.jsonl" >cases.jsonl
	client_podman llm <cases.jsonl
	assert_status 0
	output=$(grep '^{' <<<"$output")
	assert_equal "$(jq -c 'select(.error) | [.id, .error]' <<<"$output")" ""
	assert_equal "$(wc -l <<<"$output")" "$(wc -l <cases.jsonl)"
	ledger_is_right --one-by-one
	run grep -c "purple-" requests.jsonl
	assert_output 0
}

@test "names: clients that know their provider's address alone reach the gateway there, over TLS" {
	llm_policy names 'max_cost: "$5000"' 'on_exceeded: deny'
	jq -c 'select(.id | test("^(chat|responses|messages|gemini)(-(tools|cached|reasoning|thinking|thoughts))?(-stream)?$"))
		| .prompt += " case=" + .id' "$PURPLE_SRCDIR/tests/clients/cases.jsonl" >cases.jsonl
	new_id
	capture podman_ run --rm -i --name "$ID" --network none --annotation io.purple.policy=names \
		-v "$CLIENT_MODULES:/clients:ro" -v "$PURPLE_SRCDIR/tests/clients:/tests:ro" \
		-e CLIENT_MODULES=/clients "$IMAGE" \
		env -u OPENAI_BASE_URL -u ANTHROPIC_BASE_URL -u GOOGLE_GEMINI_BASE_URL -u PURPLE_GATEWAY_URL \
		node /tests/client.mjs <cases.jsonl
	assert_status 0
	assert_equal "$(jq -c 'select(.error) | [.id, .error]' <<<"$output")" ""
	assert_equal "$(wc -l <<<"$output")" "$(wc -l <cases.jsonl)"
	ledger_is_right --one-by-one
	# What is not the policy's is not there.
	new_id
	capture podman_ run --rm --name "$ID" --network none --annotation io.purple.policy=names "$IMAGE" \
		node -e 'fetch("https://api.mistral.ai/v1/models").then((a) => console.log("reached", a.status), (e) => console.log(e.cause.code))'
	assert_lacks reached
}

@test "a budget is spent in a container: told once, in each SDK's own words" {
	llm_policy little 'max_tokens: 900' 'on_exceeded: deny'
	client_podman little <<-'END'
		{"id":"spend","sdk":"chat","model":"gpt-5-mini","prompt":"scenario: plain out=5000"}
		{"id":"chat","sdk":"chat","model":"gpt-5-mini","stream":true,"prompt":"hello"}
		{"id":"messages","sdk":"messages","model":"claude-haiku-4-5","prompt":"hello"}
		{"id":"generate","sdk":"generate","model":"gemini-2.5-pro","prompt":"hello"}
	END
	assert_status 0
	assert_equal "$(jq -r '[.id, .status, .requests] | join(" ")' <<<"$output")" \
		$'spend  1\nchat 429 1\nmessages 402 1\ngenerate 429 1'
	ledger_is_right --max-tokens 900
	run "$PURPLE" usage --by model --format json
	assert_equal "$(jq -r '.[0] | "\(.key) \(.calls)"' <<<"$output")" "gpt-5-mini 1"
}
