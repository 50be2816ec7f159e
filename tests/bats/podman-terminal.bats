#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Terminals and streams of containers under Podman, with and without a policy.

load podman

setup() {
	requires script
	purple_setup
}

@test "podman run -it gives a terminal of the container's own, with the size of the caller's" {
	terminal() {
		new_id
		run on_a_terminal "podman run --rm -it --name $ID ${WITH[*]} $IMAGE sh -c '
			$SIZE_COMES tty; test -t 0 && test -t 1 && test -t 2 && echo all three
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
	typed() {
		new_id
		run on_a_terminal "podman run --rm -it --name $ID ${WITH[*]} $IMAGE sh" < <(
			wait_for 10 runs
			printf 'echo $((6 * 7)) is it\nexit 5\n'
			wait_for 10 gone
		)
		assert_status 5
		assert_contains "42 is it"
	}
	both_ways typed
}

# Whether Podman knows the container ID as running; whether it has gone.
runs() {
	[[ $(podman_ ps -q --filter "name=^$ID\$") ]]
}
gone() {
	! podman_ container exists "$ID"
}

@test "control-C at podman run -it interrupts the command in the container" {
	interrupt() {
		new_id
		run on_a_terminal "podman run --rm -it --name $ID ${WITH[*]} $IMAGE sh -c '
			trap \"echo interrupted; exit 6\" INT; echo ready; while :; do sleep 0.1; done'" < <(
			wait_for 10 runs
			wait_for 10 eval 'podman_ logs "$ID" 2>/dev/null | grep -q ready'
			printf '\003'
			wait_for 10 gone
		)
		assert_status 6
		assert_contains interrupted
	}
	both_ways interrupt
}

@test "a terminal that changes its size changes that of the container" {
	resize() {
		new_id
		# Changed when the program has seen what was before: it sleeps for another time then. And
		# by one ioctl: stty makes two of rows and columns, and when conmon reads both in one
		# go from its pipe `ctl`, it takes the first twice and drops the second (2.1.6).
		run on_a_terminal "(until pgrep -f '^sleep 0.2$$\$'; do sleep 0.1; done >/dev/null; stty -F /dev/tty rows 44) &
			podman run --rm -it --name $ID ${WITH[*]} $IMAGE sh -c '
			wait_for() { i=0; while [ \$i -lt 300 ] && [ \"\$(stty size)\" != \"\$1\" ]; do sleep \$2; i=\$((i + 1)); done; stty size; }
			wait_for \"33 111\" 0.1; wait_for \"44 111\" 0.2$$'"
		assert_status 0
		assert_contains "33 111"
		assert_contains "44 111"
	}
	both_ways resize
}

@test "podman run -t -d keeps a terminal that is there when somebody attaches" {
	attach() {
		start_podman -t -i "$IMAGE" sh -c 'read -r line; echo "read $line from $(tty)"; exit 8'
		run on_a_terminal "podman attach $ID" < <(
			# What comes before attach reads is lost.
			for _ in {1..40}; do
				printf 'hello\n'
				sleep 0.5
				runs || break
			done
		)
		assert_contains "read hello from /dev/pts/0"
		assert_equal "$(podman_ wait "$ID")" 8
	}
	both_ways attach
}

@test "a terminal belongs to the container's user" {
	run on_a_terminal "podman run --rm -t --user 65534:65534 $IMAGE sh -c '
		stat -c %u \$(tty); echo writes >\$(tty)'"
	assert_status 0
	assert_contains 65534
	assert_contains writes
}

@test "stdout and stderr stay apart, and the runtime adds nothing to them" {
	streams() {
		run_podman "$IMAGE" sh -c 'echo one; echo two >&2; echo three; printf no-newline'
		assert_status 0
		assert_output $'one\nthree\nno-newline'
		assert_equal "$stderr" two
		start_podman "$IMAGE" sleep 1000
		assert_equal "$(podman_ logs "$ID" 2>&1)" ""
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

@test "podman logs -f follows until the container ends" {
	start_podman "$IMAGE" sh -c 'for i in 1 2 3; do echo $i; sleep 0.2; done'
	run podman_ logs -f "$ID"
	assert_status 0
	assert_output $'1\n2\n3'
}

@test "podman attach shows the output, podman wait gives everybody the exit code" {
	attach() {
		local waiting attached
		# What comes before attach reads is lost.
		start_podman "$IMAGE" sh -c 'until [ -e /tmp/end ]; do echo output; sleep 0.1; done; exit 4'
		podman_ wait "$ID" >first 3>&- &
		waiting=$!
		podman_ attach "$ID" </dev/null >shown 3>&- &
		attached=$!
		wait_for 10 grep -q output shown
		podman_ exec "$ID" touch /tmp/end
		assert_equal "$(podman_ wait "$ID")" 4
		wait "$waiting"
		assert_equal "$(<first)" 4
		wait "$attached" || true
	}
	both_ways attach
}
