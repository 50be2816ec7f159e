#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The LLM gateway of containers that Podman runs: in the networks that it makes, with podman exec, in
# pods, with ids of their own. Podman hands no variables on to the runtime: the key is in a file.

load podman
load gateway

PROVIDER_KEY=sk-Marker-0123456789-of-the-real-key

setup_file() {
	requires catatonit
	podman_setup
}

setup() {
	requires root private_etc python3 jq busybox podman gateway
	purple_setup
	provider_start --key-sent "$PROVIDER_KEY"
	printf '%s\n' "$PROVIDER_KEY" >key
	chmod 0600 key
	cat >call <<-'END'
		#!/bin/sh
		# call [BASE-URL [KEY]]
		exec timeout 20 wget -q -O - --header "Authorization: Bearer ${2:-$OPENAI_API_KEY}" \
			--header 'Content-Type: application/json' --post-data \
			'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"scenario: plain in=20 out=10"}]}' \
			"${1:-$OPENAI_BASE_URL}/chat/completions"
	END
	chmod 0755 call
	agent_policy agent '{ isolated: true }'
	# Not isolated: in the network that Podman gives.
	agent_policy networked '{ blocked_ips: [192.0.2.1] }'
	mountpoint -q /sys/fs/bpf || mount -t bpf -o mode=0700 purple-test /sys/fs/bpf
	WITH=(--annotation io.purple.policy=agent -v "$PWD/call:/bin/call:ro")
}

teardown() {
	gateway_teardown
	podman_ pod rm -a -f -t 0 >/dev/null
	podman_teardown
	find /sys/fs/cgroup -depth -type d -path "*/libpod_parent/*" -empty -delete 2>/dev/null || true
}

agent_policy() { # NAME NETWORK
	policy_install "$1" <<-END
		name: $1
		network: $2
		ai_policy:
		  budget: { max_tokens: 100000, scope: policy, on_exceeded: deny }
		  llm_apis:
		    providers:
		      - { name: openai, endpoints: ["http://127.0.0.1:$PROVIDER_PORT/v1"], api_key_file: $PWD/key }
	END
}

billed() {
	wc -l <bill.jsonl
}

@test "podman run: the agent's call passes and is in the ledger; --env and the image lead nowhere else" {
	run_podman -e OPENAI_BASE_URL=http://elsewhere/v1 -e OPENAI_API_KEY="$PROVIDER_KEY" "$IMAGE" \
		sh -c 'call; env; cat /proc/self/environ'
	assert_equal "$status" 0
	assert_contains '"total_tokens":30'
	assert_contains OPENAI_BASE_URL=http://127.0.0.1:4141/openai/v1
	assert_lacks elsewhere
	assert_lacks Marker
	assert_equal "$(billed)" 1
	run "$PURPLE" usage --by policy --policy agent --format json
	assert_equal "$(jq -c '[.[] | .calls, .tokens]' <<<"$output")" '[1,30]'
}

@test "podman exec has the gateway, and as little of the key as podman run" {
	# Podman gives what it was given to each further process, too.
	start_podman -e MINE="$PROVIDER_KEY" -e LONG="x $PROVIDER_KEY" -e OTHER=stays "$IMAGE" sleep 1000
	capture podman_ exec -e OPENAI_API_KEY=sk-other "$ID" sh -c 'call; env; cat /proc/*/environ'
	assert_contains OTHER=stays
	assert_equal "$status" 0
	assert_contains '"total_tokens":30'
	assert_lacks Marker
	assert_lacks sk-other
	in_container sh -c 'k=Mark; grep -r "${k}er" / --exclude-dir=proc --exclude-dir=sys'
	assert_lacks Marker
	run grep -rl Marker "/run/purple/$CID"
	assert_output ""
	local gateway
	gateway=$(jq -e .gatewayPid "/run/purple/$CID/state.json")
	podman_ rm -f -t 0 "$ID"
	[[ ! -e /proc/$gateway ]] || grep -q $'^State:\tZ' "/proc/$gateway/status"
}

@test "in a pod, and beside another one in its network, each container has a gateway of its own" {
	podman_ pod create --name "$ID" --share net >/dev/null
	local name
	for name in a b; do
		podman_ run -d --pod "$ID" --name "$ID-$name" --annotation io.purple.policy=networked \
			-v "$PWD/call:/bin/call:ro" "$IMAGE" sleep 1000 >/dev/null
		capture podman_ exec "$ID-$name" call
		assert_contains total_tokens
	done
	capture podman_ exec "$ID-a" sh -c 'echo $OPENAI_BASE_URL $OPENAI_API_KEY'
	local url=${output% *} key=${output#* }
	capture podman_ exec "$ID-b" sh -c 'call '"$url"' || call '"$url $key"
	assert_stderr_contains 401
	# The network is shared, and so the place; what one of them is for is not known to the other.
	assert_contains total_tokens
	assert_equal "$(billed)" 3
	# One that the policy isolates leaves the pod's network, and has its gateway all the same.
	podman_ run -d --pod "$ID" --name "$ID-c" "${WITH[@]}" "$IMAGE" sleep 1000 >/dev/null
	capture podman_ exec "$ID-c" call
	assert_contains total_tokens
}

@test "--network host and --network none" {
	WITH[1]=io.purple.policy=networked
	run_podman --network host "$IMAGE" sh -c 'call; echo; echo $OPENAI_BASE_URL'
	assert_contains total_tokens
	assert_lacks 127.0.0.1:4141
	run_podman --network none "$IMAGE" sh -c 'call; echo; echo $OPENAI_BASE_URL'
	assert_contains total_tokens
}

@test "with ids of its own (--uidmap), as root and as another user, a container has its gateway" {
	run_podman --uidmap 0:100000:65536 --gidmap 0:100000:65536 "$IMAGE" sh -c 'call; cat /proc/self/uid_map'
	assert_contains total_tokens
	assert_contains 100000
	run_podman --user 1000:1000 --read-only "$IMAGE" sh -c 'call; id -u'
	assert_contains total_tokens
	assert_contains 1000
}

@test "podman stop, start and restart: each life of a container has a gateway and a session of its own" {
	start_podman "$IMAGE" sleep 1000
	in_container call
	assert_contains total_tokens
	podman_ restart -t 0 "$ID" >/dev/null
	in_container call
	assert_contains total_tokens
	podman_ stop -t 0 "$ID" >/dev/null
	podman_ start "$ID" >/dev/null
	in_container call
	assert_contains total_tokens
	run "$PURPLE" usage --by container --format json
	assert_equal "$(jq -c --arg id "$CID" '[.[] | select(.key == $id or .container == $id) | .calls]' <<<"$output")" '[3]'
}
