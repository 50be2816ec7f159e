#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# podman run, create, start, attach, logs and wait: exit codes, streams, terminals.

load podman

# --- exit codes -----------------------------------------------------------------------------------

@test "podman run passes on the exit code of the command" {
	exit_codes() {
		local code
		for code in 0 3 255; do
			run_podman "$IMAGE" sh -c "exit $code"
			assert_status "$code"
			assert_equal "$output$stderr" ""
		done
	}
	both_ways exit_codes
}

@test "podman run of a command ended by a signal gives 128 and the signal" {
	signals() {
		run_podman "$IMAGE" sh -c 'sh -c "kill -SEGV \$\$"; echo $?; kill -KILL $$'
		assert_output 139
		# The first process of a process namespace takes no signal from inside.
		assert_status 0
		start_podman "$IMAGE" sleep 1000
		podman_ kill -s SEGV "$ID"
		assert_equal "$(podman_ wait "$ID")" 139
	}
	both_ways signals
}

@test "podman run of a command that is not there gives 127, one that cannot be executed 126" {
	no_command() {
		run_podman "$IMAGE" no-such-command
		assert_status 127
		assert_equal "$output" ""
		assert_stderr_contains 'exec: "no-such-command": executable file not found in $PATH'
		[[ $stderr != *"no logs from conmon"* ]]

		run_podman "$IMAGE" /no/such/command
		assert_status 127
		assert_stderr_contains 'exec: "/no/such/command": no such file or directory'

		run_podman "$IMAGE" /etc
		assert_status 126
		assert_stderr_contains 'exec: "/etc": permission denied'

		run_podman "$IMAGE" /etc/passwd
		assert_status 126
		assert_stderr_contains 'exec: "/etc/passwd": permission denied'
	}
	both_ways no_command
}

@test "an error of the runtime reaches the user of Podman once, and whole" {
	run_podman --workdir /etc/passwd/no "$IMAGE" true
	((status != 0))
	assert_equal "$(grep -c purple: <<<"$stderr")" 1
	assert_stderr_contains "/etc/passwd/no"
	[[ $stderr != *"no logs from conmon"* && $stderr != *'"level"'* ]]
}

@test "a container whose command is missing can be removed, and its name used again" {
	new_id
	run podman_ run --name "$ID" "$IMAGE" no-such-command
	assert_status 127
	assert_equal "$(field '{{.State.Status}}')" created
	podman_ rm "$ID"
	run podman_ run --rm --name "$ID" "$IMAGE" echo again
	assert_status 0
	assert_output again
}

# --- streams --------------------------------------------------------------------------------------

@test "stdout and stderr stay apart, and the runtime adds nothing to them" {
	streams() {
		run_podman "$IMAGE" sh -c 'echo one; echo two >&2; echo three; printf no-newline'
		assert_status 0
		assert_output $'one\nthree\nno-newline'
		assert_equal "$stderr" two
	}
	both_ways streams
}

@test "podman run -i hands stdin over to its end, and large streams come back unchanged" {
	streams() {
		local sum
		assert_equal "$(printf 'a\nb' | podman_ run --rm -i "${WITH[@]}" "$IMAGE" cat)" $'a\nb'
		head -c 3000000 /dev/urandom >data
		sum=$(podman_ run --rm -i "${WITH[@]}" "$IMAGE" cat <data | sha256sum)
		assert_equal "$sum" "$(sha256sum <data)"
		run_podman "$IMAGE" cat
		assert_status 0
		assert_output ""
	}
	both_ways streams
}

@test "podman run returns when the command ends, not when its orphans would" {
	orphans() {
		local start=$SECONDS
		run_podman "$IMAGE" sh -c 'sleep 30 & echo done'
		assert_status 0
		assert_output done
		((SECONDS - start < 10))
	}
	both_ways orphans
}

@test "podman logs has what the command said, both streams, line by line, and nothing else" {
	logs() {
		start_podman "$IMAGE" sh -c 'echo out; echo err >&2; echo last'
		podman_ wait "$ID"
		run --separate-stderr podman_ logs "$ID"
		assert_status 0
		assert_output $'out\nlast'
		assert_equal "$stderr" err
		podman_ rm "$ID"
		start_podman "$IMAGE" sleep 1000
		run podman_ logs "$ID"
		assert_output ""
	}
	both_ways logs
}

@test "podman logs -f follows until the container ends" {
	start_podman "$IMAGE" sh -c 'for i in 1 2 3; do echo $i; sleep 0.2; done'
	run podman_ logs -f "$ID"
	assert_status 0
	assert_output $'1\n2\n3'
}

@test "a file descriptor passed with --preserve-fds keeps its number, others do not get in" {
	preserve() {
		echo from-the-file >passed
		echo secret >kept
		exec {fd}<kept
		run podman_ run --rm "${WITH[@]}" --preserve-fds 1 "$IMAGE" \
			sh -c 'cat <&3; for f in /proc/self/fd/*; do readlink $f; done' 3<passed
		exec {fd}<&-
		assert_status 0
		assert_contains from-the-file
		assert_lacks /kept
		assert_lacks /podman/
	}
	both_ways preserve
}

# --- terminals ------------------------------------------------------------------------------------

@test "podman run -it gives a terminal of the container's own, with the size of the caller's" {
	requires script
	terminal() {
		new_id
		run on_a_terminal "podman run --rm -it --name $ID ${WITH[*]} $IMAGE sh -c '
			sleep 0.5; tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all three
			ls -l /dev/console; echo x >/dev/tty; exit 9'"
		assert_status 9
		assert_contains /dev/pts/0
		assert_contains "33 111"
		assert_contains "all three"
		assert_contains $'\nx'
		[[ $output =~ crw.*/dev/console ]]
	}
	both_ways terminal
}

@test "what is typed at podman run -it reaches the command, and its exit code comes back" {
	requires script
	typed() {
		new_id
		run on_a_terminal "podman run --rm -it --name $ID ${WITH[*]} $IMAGE sh" < <(
			sleep 1
			printf 'echo $((6 * 7)) is it\nexit 5\n'
			sleep 1
		)
		assert_status 5
		assert_contains "42 is it"
	}
	both_ways typed
}

@test "control-C at podman run -it interrupts the command in the container" {
	requires script
	interrupt() {
		new_id
		run on_a_terminal "podman run --rm -it --name $ID ${WITH[*]} $IMAGE sh -c '
			trap \"echo interrupted; exit 6\" INT; while :; do sleep 0.1; done'" < <(
			sleep 1.5
			printf '\003'
			sleep 1
		)
		assert_status 6
		assert_contains interrupted
	}
	both_ways interrupt
}

@test "a terminal that changes its size changes that of the container" {
	requires script
	resize() {
		new_id
		run on_a_terminal "(sleep 1.5; stty -F /dev/tty rows 44 cols 122) &
			podman run --rm -it --name $ID ${WITH[*]} $IMAGE sh -c '
			sleep 0.5; stty size; sleep 2; stty size'"
		assert_status 0
		assert_contains "33 111"
		assert_contains "44 122"
	}
	both_ways resize
}

@test "podman run -t -d keeps a terminal that is there when somebody attaches" {
	requires script
	attach() {
		start_podman -t -i "$IMAGE" sh -c 'read -r line; echo "read $line from $(tty)"; exit 8'
		run on_a_terminal "podman attach $ID" < <(
			sleep 0.5
			printf 'hello\n'
			sleep 1
		)
		assert_status 8
		assert_contains "read hello from /dev/pts/0"
		assert_equal "$(podman_ wait "$ID")" 8
	}
	both_ways attach
}

# --- create, start, attach, wait ------------------------------------------------------------------

@test "podman create runs nothing; start -a runs it, more than once, with its exit code" {
	create_start() {
		new_id
		podman_ create --name "$ID" "${WITH[@]}" "$IMAGE" sh -c 'echo ran; exit 5' >/dev/null
		assert_equal "$(field '{{.State.Status}}')" created
		assert_equal "$(podman_ logs "$ID")" ""
		for _ in 1 2; do
			run podman_ start -a "$ID"
			assert_status 5
			assert_output ran
		done
	}
	both_ways create_start
}

@test "podman init makes a container that waits for its start" {
	initialise() {
		new_id
		CID=$(podman_ create --name "$ID" "${WITH[@]}" "$IMAGE" sh -c 'echo ran')
		podman_ init "$ID"
		assert_equal "$(field '{{.State.Status}}')" initialized
		assert_equal "$("$PURPLE_RUNTIME" state "$CID" | jq -r .status)" created
		assert_equal "$(podman_ logs "$ID")" ""
		podman_ start "$ID"
		podman_ wait "$ID"
		assert_equal "$(podman_ logs "$ID")" ran
	}
	both_ways initialise
}

@test "podman attach shows the output and passes on the exit code" {
	start_podman "$IMAGE" sh -c 'sleep 1; echo late; exit 4'
	run podman_ attach "$ID"
	assert_status 4
	assert_contains late
}

@test "podman wait returns the exit code to everybody who waits" {
	start_podman "$IMAGE" sh -c 'sleep 1; exit 6'
	podman_ wait "$ID" >first &
	assert_equal "$(podman_ wait "$ID")" 6
	wait $!
	assert_equal "$(<first)" 6
}

@test "--restart on-failure runs the command again" {
	restarts() {
		start_podman --restart on-failure:2 "$IMAGE" sh -c 'echo run; exit 1'
		wait_for 15 eval '(($(podman_ logs "$ID" | grep -c run) == 3))'
		wait_for 10 is_state exited
	}
	both_ways restarts
}

@test "podman inspect says what runs the container, its process, and its end" {
	inspected() {
		start_podman "$IMAGE" sh -c 'trap "exit 7" TERM; while :; do sleep 0.05; done'
		local pid
		pid=$(field '{{.State.Pid}}')
		assert_equal "$(field '{{.OCIRuntime}} {{.State.Status}} {{.State.Running}}')" "purple running true"
		assert_equal "$(awk '/^NSpid/ { print $3 }' "/proc/$pid/status")" 1
		# The runtime writes this file: engines read nothing but digits.
		assert_equal "$(od -An -c "$(field '{{.PidFile}}')" | tr -d ' ')" "$pid"
		"$PURPLE_RUNTIME" state "$CID" | jq -e --argjson pid "$pid" '.pid == $pid'
		podman_ stop -t 5 "$ID"
		assert_equal "$(field '{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}')" "exited 7 0"
	}
	both_ways inspected
}

@test "podman info names the version of the runtime" {
	run podman_ info --format '{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Version}}'
	assert_status 0
	assert_contains "purple purple-runtime version "
}
