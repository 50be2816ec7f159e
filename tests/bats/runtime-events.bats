#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple-runtime events: one object of figures, a stream of them, and the memory controller's word.

load helpers

setup() {
	requires root jq busybox
	purple_setup
	make_bundle
}

# start_container SCRIPT: ID runs it in the background; its init's pid is in the file pid.
start_container() {
	set_script "$1"
	create_container
	purple_rt start "$ID"
}

# stream OPTION...: events in the background, with output in the file stream; EVENTS is its pid.
stream() {
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" events "$@" "$ID" >stream 2>stream.err &
	EVENTS=$!
}

has_lines() { # N
	(($(wc -l <stream) >= $1))
}

# Ends by itself, with status 0.
stream_ends() {
	local status=0
	wait_for 20 eval '! kill -0 $EVENTS 2>/dev/null' || { kill "$EVENTS"; return 1; }
	wait "$EVENTS" || status=$?
	assert_equal "$status $(<stream.err)" "0 "
}

@test "events --stats prints one object with the group's own figures" {
	edit_config '.linux.resources.memory.limit = 67108864 | .linux.resources.pids.limit = 20
		| .linux.resources.cpu = { quota: 50000, period: 100000 }'
	start_container 'sleep 1000 & sleep 1000; true'
	wait_for 10 eval '[[ $(purple_rt ps --format json "$ID" | jq length) == 3 ]]'
	run --separate-stderr purple_rt events --stats "$ID"
	assert_status 0
	assert_equal "$stderr $(wc -l <<<"$output")" " 1"
	jq -e --arg id "$ID" '.type == "stats" and .id == $id and .data.pids == { current: 3, limit: 20 }
		and .data.memory.usage.limit == 67108864 and .data.memory.usage.usage > 0
		and .data.memory.usage.max >= .data.memory.usage.usage and .data.memory.usage.failcnt == 0
		and .data.cpu.usage.total > 0 and (.data.cpu.throttling | type) == "object"
		and (.data.memory.raw | length) > 5 and (.data.blkio | type) == "object"
		and .data.network_interfaces == null' <<<"$output"
	# The kernel's file says the same of a figure that stands still.
	assert_equal "$(jq .data.memory.usage.limit <<<"$output")" \
		"$(cat "$(cgroup_dir "$(<pid)" memory)"/memory.limit_in_bytes 2>/dev/null ||
			cat "$(cgroup_dir "$(<pid)")/memory.max")"
}

@test "the object of a container has every member of runc's" {
	requires runc
	start_container 'sleep 1000'
	purple_rt events --stats "$ID" >ours
	# runc has no figures of swap and pressure where it speaks v1, or the kernel has none; what is
	# left out when it is 0 (the cache) may be in one of them alone.
	edit_config '.ociVersion = "1.0.2" | .process.args = ["sleep", "1000"]
		| .linux.cgroupsPath = "/purple/\($id)-runc"' --arg id "$ID"
	runc --root "$PWD/runc" run --detach --bundle "$BUNDLE" "$ID-runc" </dev/null >/dev/null 2>&1
	runc --root "$PWD/runc" events --stats "$ID-runc" >theirs
	runc --root "$PWD/runc" delete --force "$ID-runc"
	jq -e '.data.memory' theirs
	members='[paths | map(if type == "number" then 0 else . end) | join(".")] | unique
		| map(select(test("\\.raw\\.|^data\\.(blkio|hugetlb\\.[^.]*)\\.|max$|memory\\.cache$|usage\\.(percpu_|usage)|limit$|Periods|periods|kernelTCP") | not))'
	assert_equal "$(jq -c --slurpfile o ours "($members) - (\$o[0] | $members)" theirs)" '[]'
}

@test "pressure is told where the kernel counts it, as its file says" {
	start_container 'sleep 1000'
	local file
	file=$(cgroup_dir "$(<pid)")/memory.pressure
	cat "$file" >/dev/null 2>&1 || skip "needs a kernel that counts pressure"
	run purple_rt events --stats "$ID"
	assert_equal "$(jq -r '.data.memory.psi | "some avg10=\(.some.avg10) full total=\(.full.total)"' <<<"$output")" \
		"some avg10=0 full total=$(sed -n 's/^full.*total=//p' "$file")"
	jq -e '.data.cpu.psi.some.total >= 0 and .data.blkio.psi.full.avg300 >= 0' <<<"$output"
}

@test "events prints an object each interval, and ends with the container" {
	start_container 'sleep 1000'
	stream --interval 20ms
	wait_for 20 has_lines 3
	purple_rt kill "$ID" KILL
	stream_ends
	# One that was made when it had just ended has no process.
	jq -se 'all(.type == "stats") and (.[:3] | all(.data.pids.current == 1)) and length >= 3' stream
}

@test "the interval is kept: none of an hour passes here" {
	start_container 'sleep 1000'
	stream --interval=1h30m
	purple_rt events --stats "$ID" >/dev/null
	purple_rt kill "$ID" KILL
	stream_ends
	assert_equal "$(<stream)" ""
}

@test "running out of memory is an event" {
	edit_config '.linux.resources.memory = { limit: 16777216 }
		| .mounts += [{ destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["size=100m"] }]'
	start_container 'while [ ! -e /tmp/go ]; do usleep 10000; done
		for i in 1 2 3; do dd if=/dev/zero of=/tmp/file bs=1M count=64; rm -f /tmp/file; done; sleep 1000'
	stream --interval 1h
	# It is there when it has opened the group's file.
	wait_for 10 eval 'ls -l /proc/$EVENTS/fd 2>/dev/null | grep -q "eventfd\|inotify"'
	purple_rt exec "$ID" touch /tmp/go
	wait_for 20 has_lines 1
	assert_equal "$(head -n 1 stream)" "{\"type\":\"oom\",\"id\":\"$ID\"}"
	purple_rt kill "$ID" KILL
	stream_ends
	jq -se 'all(.type == "oom")' stream
}

@test "a reader that goes away ends it quietly" {
	start_container 'sleep 1000'
	run bash -c '"$1" --root "$2" events --interval 20ms "$3" | head -n 1; echo "${PIPESTATUS[0]}"' - \
		"$PURPLE_RUNTIME" "$PURPLE_ROOT" "$ID"
	assert_status 0
	assert_equal "${#lines[@]} ${lines[1]}" "2 0"
	# Also one that waits for an hour.
	run timeout 20 bash -c '"$1" --root "$2" events --interval 1h "$3" | true; echo "${PIPESTATUS[0]}"' - \
		"$PURPLE_RUNTIME" "$PURPLE_ROOT" "$ID"
	assert_output 0
}

@test "an interval is a duration above nothing" {
	start_container 'sleep 1000'
	local text
	for text in 0s 0 -1s 5 1x s 1e3s .s 1..5s 5sm infs nans ' 1s' 1s,2s 0x1s 999999h ''; do
		run purple_rt events --stats "--interval=$text" "$ID"
		assert_status 1
		assert_contains "--interval"
	done
	for text in 5s 0.5s 1m30s 100ms 2h 500us 1µs; do
		run purple_rt events --stats "--interval=$text" "$ID"
		assert_status 0
	done
}

@test "no events of a container that is not there, has stopped, or has no group" {
	run purple_rt events --stats "$ID"
	assert_status 1
	assert_contains "container does not exist"
	start_container true
	wait_status stopped
	run purple_rt events --stats "$ID"
	assert_status 1
	assert_contains "container not running"
	run purple_rt events "$ID"
	assert_status 1
	assert_contains "container not running"
	new_id
	set_script 'sleep 1000'
	purple_rt --cgroup-manager disabled create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	run purple_rt events --stats "$ID"
	assert_status 1
	assert_contains "the container has no cgroup"
}

@test "a paused container, and one that was only created, have figures" {
	set_script 'sleep 1000'
	create_container
	run purple_rt events --stats "$ID"
	assert_equal "$(jq .data.pids.current <<<"$output")" 1
	purple_rt start "$ID"
	purple_rt pause "$ID"
	run purple_rt events --stats "$ID"
	assert_equal "$(jq .data.pids.current <<<"$output")" 1
	purple_rt resume "$ID"
}
