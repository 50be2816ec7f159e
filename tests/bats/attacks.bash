# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the attacks-*.bats files share. Each of their tests plays one published attack, or one of
# its class, as the hostile image or process does, and looks from the host that nothing outside the
# container was touched. tests/defences/run shows for each that it fails without the defence.

load helpers
load spec

setup_file() {
	attack_build
}

setup() {
	attack_setup
}

teardown() {
	spec_teardown
}

# Builds the attacker's programs, once a run.
attack_build() {
	requires root jq busybox
	command -v gcc >/dev/null || skip "needs the program gcc"
	local helpers=$PURPLE_SRCDIR/tests/bats/helpers
	(
		flock 9
		[[ -e $PURPLE_TEST_DIR/attack ]] && exit
		gcc -std=gnu17 -O1 -fPIC -shared -o "$PURPLE_TEST_DIR/preload.so" "$helpers/preload.c" || exit
		gcc -std=gnu17 -O1 -static -o "$PURPLE_TEST_DIR/attack.new" "$helpers/attack.c" || exit
		mv "$PURPLE_TEST_DIR/attack.new" "$PURPLE_TEST_DIR/attack"
	) 9>"$PURPLE_TEST_DIR/attack.lock"
	[[ -e $PURPLE_TEST_DIR/attack ]]
}

# BUNDLE, whose root is writable and has the attacker's program; OUTSIDE, a folder of the host that
# no container is given, with a file in it.
attack_setup() {
	spec_setup
	edit_config '.root.readonly = false'
	cp "$PURPLE_TEST_DIR/attack" "$BUNDLE/rootfs/bin/attack"
	ROOTFS=$BUNDLE/rootfs
	OUTSIDE=$BATS_TEST_TMPDIR/outside
	mkdir "$OUTSIDE"
	echo secret >"$OUTSIDE/secret"
	chmod 0600 "$OUTSIDE/secret"
	BEFORE=$(listing "$OUTSIDE")
}

# What is in a folder: names, types, owners, modes, link targets, and the contents of files.
listing() {
	find "$1" -printf '%P %y %u:%g %m %l\n' | sort
	find "$1" -type f -exec cksum {} + | sort
}

# OUTSIDE is as it was.
assert_outside_unharmed() {
	assert_equal "$(listing "$OUTSIDE")" "$BEFORE"
}

# run_or_refuse TEXT: runs BUNDLE; it works (status 0), or is refused with an error that has TEXT.
run_or_refuse() {
	new_id
	run timeout -s KILL 30 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	((status == 0)) || {
		assert_status 1
		assert_contains "$1"
	}
}

# No /dev of its own, so that the image's is used: as engines never do, and people who write their
# config.json do.
without_dev() {
	edit_config '.mounts |= map(select(.destination | startswith("/dev") | not))'
}

# race A B: swaps two names until race_end, as fast as the kernel can.
race() {
	"$PURPLE_TEST_DIR/attack" exchange "$1" "$2" </dev/null >"$BATS_TEST_TMPDIR/races" 2>&1 3>&- &
	RACER=$!
	_background="${_background:-} $RACER"
}

# Ends the race; fails when there was none.
race_end() {
	kill "$RACER"
	wait "$RACER"
	local n
	n=$(cat "$BATS_TEST_TMPDIR/races")
	echo "swapped $n times"
	((n > 1000))
}

# Up to so many tries, and for so many seconds, in a test that races.
RACE_TRIES=30
RACE_SECONDS=6

# while_racing COMMAND...: tries it again and again. The command fails when the attack succeeds: it
# is called as it is, since bash goes on after an error within what stands before an ||.
while_racing() {
	local end=$((SECONDS + RACE_SECONDS)) try
	for ((try = 1; try <= RACE_TRIES && (try <= 5 || SECONDS < end); try++)); do
		echo "try $try"
		"$@"
	done
}

# all_fds COMMAND: a command for each descriptor that the runtime may have left open; FD is its number.
all_fds() {
	for FD in {3..15}; do
		"$@"
	done
}

harmless_container() {
	start_sleeper
	run purple_rt exec "$ID" echo works
	assert_output works
}
