#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple-budget-hook: the LLM gateway of a policy under Podman with stock runc and crun, by the hooks.d
# files that Purple ships: calls are metered and held to the budget, what is over is refused or ends
# the container, and what the hook cannot hold does not start.

load podman
load gateway
load policy

PROVIDER_KEY=sk-Marker-0123456789-of-the-real-key

setup_file() {
	requires runc crun
	agent_build
	podman_setup
}

setup() {
	requires root private_etc python3 jq busybox podman gateway
	purple_setup
	: "${PURPLE_BUDGET_HOOK:?run the tests with tests/run}"
	provider_start --key-sent "$PROVIDER_KEY"
	printf '%s\n' "$PROVIDER_KEY" >key
	chmod 0600 key
	cat >call <<-'END'
		#!/bin/sh
		answer=$(timeout 100 wget -q -O - --header "Authorization: Bearer $OPENAI_API_KEY" \
			--header 'Content-Type: application/json' --post-data \
			'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"scenario: plain in=20 out=400"}]}' \
			"$OPENAI_BASE_URL/chat/completions" 2>&1) && echo answered || echo "refused: $answer"
	END
	chmod 0755 call
	make_runtimes
	hooks budget policy
	agent_policy agent 'max_tokens: 1000, on_exceeded: deny'
	WITH=(--annotation io.purple.policy=agent -v "$PWD/call:/bin/call:ro")
}

teardown() {
	[[ ! -s log ]] || { echo "the hooks said:"; cat log; }
	gateway_teardown
	podman_teardown
}

# As network-hook.bats has them.
make_runtimes() {
	cat >crun-v1 <<-'END'
		#!/bin/sh
		exec unshare --mount sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"' - "$@"
	END
	mkdir hook
	local name
	for name in network budget; do
		local -n program=PURPLE_${name^^}_HOOK
		cat >"hook/purple-$name-hook" <<-END
			#!/bin/sh
			exec nsenter --mount=/proc/$$/ns/mnt -- $program "\$@"
		END
	done
	chmod +x crun-v1 hook/*
}

# hooks NAME...: those of the files in oci-hooks.
hooks() {
	local -A programs=([network]=$PWD/hook/purple-network-hook [budget]=$PWD/hook/purple-budget-hook
		[policy]=$PURPLE_POLICY_HOOK)
	local name
	rm -rf hooks.d
	mkdir hooks.d
	for name; do
		jq --arg path "${programs[$name]}" --arg log "$PWD/log" '.hook.path = $path | .hook.args += ["--log", $log]' \
			"$PURPLE_SRCDIR/oci-hooks/purple-$name.json.in" >"hooks.d/$name.json"
	done
}

agent_policy() { # NAME BUDGET [NETWORK [KEY]]
	policy_install "$1" <<-END
		name: $1
		network: ${3:-"{ isolated: true }"}
		ai_policy:
		  budget: { $2 }
		  llm_apis:
		    providers:
		      - name: openai
		        endpoints: ["http://127.0.0.1:$PROVIDER_PORT/v1"]
		        ${4:-"api_key_file: $PWD/key"}
	END
}

foreign() { # RUNTIME COMMAND-OF-PODMAN...
	local runtime=$1
	shift
	[[ $runtime != crun ]] || runtime=$PWD/crun-v1
	timeout --foreground -k 5 90 podman --hooks-dir "$BATS_TEST_TMPDIR/hooks.d" --runtime "$runtime" "$@"
}

run_foreign() { # RUNTIME OPTION... IMAGE WORD...: see capture
	local runtime=$1
	shift
	new_id
	capture foreign "$runtime" run --rm --name "$ID" "${WITH[@]}" "$@"
}

leftovers() {
	find /run/purple -mindepth 1 -maxdepth 1
}
nothing_left() {
	[[ -z $(leftovers) ]]
}
gone() {
	wait_for 20 nothing_left || { leftovers; return 1; }
}

refused() { # TEXT RUNTIME OPTION... IMAGE WORD...
	local text=$1
	shift
	: >log
	run_foreign "$@"
	((status != 0)) || { echo "not refused"; return 1; }
	assert_equal "$output" ""
	grep -qF -- "$text" log || { echo "no '$text' in:"; cat log; return 1; }
	gone
}

@test "under runc and crun an agent's calls pass, are metered, and end with the budget" {
	local runtime
	for runtime in runc crun; do
		run_foreign "$runtime" -e OPENAI_BASE_URL=http://elsewhere/v1 -e OPENAI_API_KEY="$PROVIDER_KEY" "$IMAGE" \
			sh -c 'call; call; call; env; cat /proc/self/environ; ip -o addr | grep -c inet'
		assert_equal "$status" 0
		assert_equal "$(grep -c answered <<<"$output")" 2
		assert_contains refused
		assert_contains OPENAI_BASE_URL=http://127.0.0.1:4141/openai/v1
		assert_lacks elsewhere
		assert_lacks Marker
		gone
	done
	run "$PURPLE" usage --by policy --policy agent --format json
	assert_equal "$(jq -c '[.[] | .calls, .tokens]' <<<"$output")" '[4,1680]'
}

@test "while it runs the gateway is known, and the key is in no file" {
	new_id
	foreign runc run -d --name "$ID" "${WITH[@]}" "$IMAGE" sh -c 'call; while :; do sleep 1; done' >cid
	local cid
	cid=$(<cid)
	wait_for 20 test -e "/run/purple/$cid/events.jsonl"
	wait_for 60 grep -q llm_call "/run/purple/$cid/events.jsonl"
	run grep -rl Marker "/run/purple/$cid" log "$(foreign runc inspect --format '{{.OCIConfigPath}}' "$ID")" /var/lib/purple
	assert_output ""
	run "$PURPLE" ps
	assert_contains "${cid:0:12}"
	run "$PURPLE" events --type llm_call "$cid"
	assert_contains "call of openai gpt-4o-mini"
	foreign runc rm -f -t 0 "$ID" >/dev/null
	gone
}

@test "on_exceeded: stop and freeze hold under another runtime" {
	local runtime cid
	agent_policy stop 'max_tokens: 1000, on_exceeded: stop'
	agent_policy freeze 'max_tokens: 1000, on_exceeded: freeze'
	for runtime in runc crun; do
		WITH=(--annotation io.purple.policy=stop -v "$PWD/call:/bin/call:ro")
		run_foreign "$runtime" "$IMAGE" sh -c 'trap "echo told; exit 9" TERM; while :; do call; sleep 0.1; done'
		assert_equal "$status" 9
		assert_equal "$(grep -c answered <<<"$output")" 2
		assert_contains told
		gone
		WITH=(--annotation io.purple.policy=freeze -v "$PWD/call:/bin/call:ro")
		new_id
		foreign "$runtime" run -d --name "$ID" "${WITH[@]}" "$IMAGE" sh -c 'call; call; call; echo end; exec sleep 1000' >cid
		cid=$(<cid)
		wait_for 60 test -s "/run/purple/$cid/limit.json"
		assert_equal "$(jq -r .action "/run/purple/$cid/limit.json")" freeze
		run "$PURPLE" ps --all
		assert_contains "[budget spent: freeze]"
		"$PURPLE" budget add "$cid" --tokens 5000
		wait_for 60 log_has end
		assert_equal "$(foreign "$runtime" logs "$ID" | grep -c answered)" 3
		foreign "$runtime" rm -f -t 0 "$ID" >/dev/null
		gone
	done
}

@test "beside the network hook, in either order, both hold" {
	mountpoint -q /sys/fs/bpf || mount -t bpf -o mode=0700 purple-test /sys/fs/bpf
	agent_policy both 'max_tokens: 1000, on_exceeded: deny' '{ allow_outgoing: ["192.0.2.1:80"] }'
	WITH=(--annotation io.purple.policy=both -v "$PWD/call:/bin/call:ro" --network none)
	local order
	for order in "budget network policy" "network budget policy"; do
		# shellcheck disable=SC2086 # words
		hooks $order
		# Podman takes them in the order of their names.
		[[ $order == network* ]] && mv hooks.d/network.json hooks.d/a.json
		run_foreign runc -v "$PURPLE_TEST_DIR/agent:/bin/agent:ro" "$IMAGE" \
			sh -c 'call; agent connect 192.0.2.9 80; agent connect 192.0.2.1 80'
		# Without the filter both: no route.
		assert_output $'answered\nEPERM\nENETUNREACH'
		gone
	done
}

@test "what the hook cannot hold is refused, with the reason and nothing left behind" {
	# No policy, no gateway.
	WITH=(-v "$PWD/call:/bin/call:ro")
	run_foreign runc "$IMAGE" sh -c 'env'
	assert_equal "$status" 0
	assert_lacks PURPLE_GATEWAY_URL
	WITH=(--annotation io.purple.policy=agent -v "$PWD/call:/bin/call:ro")
	# Nobody else to say where the gateway is.
	hooks budget
	refused "purple-policy-hook has to come first" runc --network none "$IMAGE" true
	WITH=(--annotation io.purple.policy=agent --network none --env PURPLE_GATEWAY_URL=http://127.0.0.1:4141)
	refused "purple-policy-hook has to come first" runc "$IMAGE" true
	WITH=(--annotation io.purple.policy=agent -v "$PWD/call:/bin/call:ro")
	# Without this hook there is no gateway.
	hooks policy
	refused "ai_policy" runc "$IMAGE" true
	hooks budget policy
	agent_policy env 'max_tokens: 1000, on_exceeded: deny' '{ isolated: true }' 'api_key_env: TEST_KEY'
	WITH=(--annotation io.purple.policy=env)
	refused "use api_key_file" runc "$IMAGE" true
	agent_policy agent 'max_tokens: 1000, on_exceeded: deny'
	WITH=(--annotation io.purple.policy=agent)
	# By another name it is no less the key.
	refused "holds an API key" runc -e SOMETHING="x$PROVIDER_KEY" "$IMAGE" true
	run grep -c Marker log
	assert_output 0
}
