#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# podman exec, top, cp and healthchecks: processes that come into a running container later.

load podman

start_sleeper() {
	start_podman "$@" "$IMAGE" sleep 1000
}

@test "podman exec passes on the exit code, stdout and stderr" {
	codes() {
		start_sleeper
		in_container sh -c 'echo out; echo err >&2; exit 9'
		assert_status 9
		assert_output out
		assert_equal "$stderr" err
		in_container true
		assert_status 0
		assert_equal "$output$stderr" ""
		in_container sh -c 'kill -KILL $$'
		assert_status 137
	}
	both_ways codes
}

@test "podman exec of a command that is not there gives 127, one that cannot be executed 126" {
	no_command() {
		start_sleeper
		in_container no-such-command
		assert_status 127
		assert_stderr_contains 'exec: "no-such-command": executable file not found in $PATH'
		in_container /etc
		assert_status 126
		assert_stderr_contains 'exec: "/etc": permission denied'
		in_container true
		assert_status 0
		assert_equal "$(podman_ logs "$ID" 2>&1)" ""
	}
	both_ways no_command
}

@test "podman exec -i hands over stdin to its end" {
	stdin() {
		start_sleeper
		assert_equal "$(printf 'a\nb' | podman_ exec -i "$ID" cat)" $'a\nb'
		in_container cat
		assert_output ""
		head -c 1000000 /dev/urandom >data
		assert_equal "$(podman_ exec -i "$ID" sha256sum <data)" "$(sha256sum <data)"
	}
	both_ways stdin
}

@test "podman exec -it gives a terminal with the caller's size, and the exit code" {
	requires script
	terminal() {
		start_sleeper
		run on_a_terminal "podman exec -it $ID sh" < <(
			wait_for 10 eval 'podman_ top "$ID" args | grep -q "^sh *$"'
			printf 'tty; %s echo $((6 * 7)) is it; echo x >/dev/tty; exit 5\n' "$SIZE_COMES"
			wait_for 10 eval '! podman_ top "$ID" args | grep -q "^sh *$"'
		)
		assert_status 5
		assert_contains /dev/pts/0
		assert_contains "33 111"
		assert_contains "42 is it"
		assert_contains $'\nx'
	}
	both_ways terminal
}

@test "podman exec -t in a container with a terminal gives another terminal" {
	requires script
	terminal() {
		start_sleeper -t
		run on_a_terminal "podman exec -t $ID tty"
		assert_status 0
		assert_contains /dev/pts/1
	}
	both_ways terminal
}

@test "podman exec -d returns at once, and the process runs on" {
	detached() {
		local start=$SECONDS
		start_sleeper
		podman_ exec -d "$ID" sh -c 'sleep 1; echo here >/tmp/file; exec sleep 999'
		((SECONDS - start < 60))
		wait_for 10 eval '[[ $(podman_ exec "$ID" cat /tmp/file 2>&1) == here ]]'
		in_container ps -o args
		assert_contains "sleep 999"
	}
	both_ways detached
}

@test "podman exec takes user, groups, working directory and variables" {
	options() {
		start_sleeper --env FROM=run --user 65534:65534
		in_container sh -c 'echo $(id -u) $(id -g) $FROM $(pwd)'
		assert_output "65534 65534 run /"
		run podman_ exec -u 0 -w /tmp -e A=b -e FROM=exec "$ID" sh -c 'echo $(id -u) $A $FROM $(pwd)'
		assert_status 0
		assert_output "0 b exec /tmp"
		run podman_ exec -u 12:34 "$ID" id
		assert_contains "uid=12 gid=34"
		run podman_ exec -u nobody "$ID" id -un
		assert_output nobody
		run podman_ exec -w /etc/passwd "$ID" true
		((status != 0))
		assert_contains "cannot enter working directory '/etc/passwd'"
	}
	both_ways options
}

@test "podman exec is in the container's namespaces, groups, root and limits" {
	place() {
		start_sleeper --ulimit nofile=77:88 --ulimit nproc=500:500
		local pid
		pid=$(field '{{.State.Pid}}')
		in_container sh -c 'for n in ipc mnt net pid uts cgroup; do readlink /proc/self/ns/$n; done; ulimit -n; ulimit -Hn'
		assert_output "$(for n in ipc mnt net pid uts cgroup; do readlink "/proc/$pid/ns/$n"; done
			printf '77\n88')"
		# No other test's sleep is this long.
		local other long=$((1000000 + $$))
		podman_ exec -d "$ID" sleep "$long"
		wait_for 5 pgrep -f "^sleep $long$" >/dev/null
		other=$(pgrep -f "^sleep $long$" -n)
		assert_equal "$(cat "/proc/$other/cgroup")" "$(cat "/proc/$pid/cgroup")"
		assert_equal "$(readlink "/proc/$other/root")" /
	}
	both_ways place
}

@test "podman exec has the container's capabilities, seccomp filter and no_new_privs" {
	privileges() {
		start_sleeper --cap-drop all --cap-add net_bind_service --security-opt no-new-privileges
		local init
		init=$(podman_ exec "$ID" sh -c 'grep -E "^(Cap|NoNewPrivs|Seccomp)" /proc/1/status')
		in_container grep -E '^(Cap|NoNewPrivs|Seccomp)' /proc/self/status
		assert_output "$init"
		assert_contains $'Seccomp:\t2'
		assert_contains $'NoNewPrivs:\t1'
		if [[ $WAY == plain ]]; then
			assert_contains $'CapBnd:\t0000000000000400'
		else
			assert_contains $'CapBnd:\t0000000000000000'
		fi
	}
	both_ways privileges
}

@test "podman exec --privileged gains nothing under a policy" {
	privileged() {
		start_sleeper
		run podman_ exec --privileged "$ID" sh -c 'grep CapEff /proc/self/status; mount -t tmpfs x /home'
		if [[ $WAY == plain ]]; then
			# Podman asks for all capabilities; the container's filter still holds.
			assert_lacks $'CapEff:\t0000000000000000'
		else
			((status != 0))
			assert_contains $'CapEff:\t0000000000000000'
		fi
	}
	both_ways privileged
}

@test "processes of podman exec end with the container" {
	end() {
		local long=$((2000000 + $$))
		start_sleeper
		podman_ exec "$ID" sleep "$long" &
		wait_for 5 pgrep -f "^sleep $long$" >/dev/null
		podman_ kill "$ID" >/dev/null
		local status=0
		wait $! || status=$?
		assert_equal "$status" 137
		wait_for 5 eval "! pgrep -f '^sleep $long\$' >/dev/null"
	}
	both_ways end
}

@test "podman exec into a container that is stopped or paused is refused" {
	refused() {
		start_sleeper
		podman_ pause "$ID"
		in_container true
		((status != 0))
		assert_stderr_contains "running"
		podman_ unpause "$ID"
		in_container true
		assert_status 0
		podman_ kill "$ID"
		podman_ wait "$ID"
		in_container true
		((status != 0))
	}
	both_ways refused
}

@test "many processes enter a container at the same time" {
	many() {
		local i status
		local -a jobs=()
		start_sleeper
		for i in 1 2 3 4 5 6; do
			podman_ exec "$ID" sh -c "echo $i; exit $i" >"out$i" &
			jobs+=($!)
		done
		for i in 1 2 3 4 5 6; do
			status=0
			wait "${jobs[i - 1]}" || status=$?
			assert_equal "$status $(<"out$i")" "$i $i"
		done
		# None is left as a zombie, or at all.
		assert_equal "$(podman_ exec "$ID" ls /proc | grep -c '^[0-9]')" 2
	}
	both_ways many
}

@test "podman exec --preserve-fds passes a descriptor on" {
	start_sleeper
	echo passed >file
	run podman_ exec --preserve-fds 1 "$ID" sh -c 'cat <&3' 3<file
	assert_status 0
	assert_output passed
}

@test "podman top lists the processes of the container" {
	top() {
		start_podman "$IMAGE" sh -c 'sleep 555 & exec sleep 444'
		wait_for 5 eval '(($(podman_ top "$ID" args | grep -c "^sleep") == 2))'
		run podman_ top "$ID" pid ppid user args
		assert_status 0
		[[ $output =~ $'\n'1\ +0\ +root\ +sleep\ 444 ]]
		[[ $output =~ $'\n'2\ +1\ +root\ +sleep\ 555 ]]
	}
	both_ways top
}

@test "podman cp copies into a running container and out of it" {
	copy() {
		start_sleeper
		echo data >f1
		podman_ cp f1 "$ID":/tmp/f2
		in_container cat /tmp/f2
		assert_output data
		podman_ exec "$ID" sh -c 'echo more >>/tmp/f2'
		podman_ cp "$ID":/tmp/f2 f3
		assert_equal "$(<f3)" $'data\nmore'
	}
	both_ways copy
}

@test "a healthcheck run by hand tells healthy from unhealthy" {
	health() {
		start_sleeper --health-cmd 'test -e /tmp/ok' --health-interval disable
		run podman_ healthcheck run "$ID"
		assert_status 1
		podman_ exec "$ID" touch /tmp/ok
		run podman_ healthcheck run "$ID"
		assert_status 0
		assert_equal "$(field '{{.State.Health.Status}}')" healthy
	}
	both_ways health
}
