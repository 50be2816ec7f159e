#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The source tree and the programs as such.

load helpers

# A tree in which one file includes one header.
tree_with() { # FILE HEADER
	mkdir -p "tree/src/$(dirname "$1")"
	printf '/* a comment */\n#include <stdio.h>\n#include "%s"\n' "$2" >"tree/src/$1"
}

@test "the include check accepts what the design allows" {
	tree_with main/purple.c cmd/purple/table.h
	tree_with cmd/runtime/create.c container/create.h
	tree_with container/create.c policy/plan.h
	tree_with container/init.c linux/mount.h
	tree_with policy/merge.c oci/spec.h
	tree_with linux/mount.c oci/spec.h
	tree_with cgroup/v2.c base/fs.h
	tree_with oci/state.c base/json.h
	tree_with budget/prices.c base/json.h
	tree_with policy/values.c budget/money.h
	run "$PURPLE_SRCDIR/scripts/check-includes" tree
	assert_status 0
	assert_contains "10 includes in 10 files"
}

@test "the include check names file, line and edge of every forbidden include" {
	local edge
	while read -r edge; do
		rm -rf tree
		# shellcheck disable=SC2086 # two words
		tree_with $edge
		run "$PURPLE_SRCDIR/scripts/check-includes" tree
		assert_status 1
		assert_contains "src/${edge% *}:3: "
		assert_contains "\"${edge#* }\""
	done <<-END
		linux/mount.c cgroup/cgroup.h
		cgroup/v1.c linux/mount.h
		linux/mount.c policy/plan.h
		linux/mount.c oci/state.h
		cgroup/v1.c oci/hooks.h
		container/init.c policy/policy.h
		container/init.c cmd/runtime/table.h
		policy/merge.c linux/caps.h
		oci/spec.c policy/policy.h
		base/str.c oci/spec.h
		policy/find.c container/state.h
		policy/merge.c budget/ledger.h
		budget/prices.c policy/policy.h
		budget/ledger.c container/state.h
		base/str.c str.h
		linux/mount.c ../oci/spec.h
	END
}

@test "the include check refuses a folder that it has no rule for" {
	tree_with frobnicate/http.c base/str.h
	run "$PURPLE_SRCDIR/scripts/check-includes" tree
	assert_status 1
	assert_contains "src/frobnicate"
}

@test "the include check fails where there is nothing to check" {
	mkdir -p tree/src
	run "$PURPLE_SRCDIR/scripts/check-includes" tree
	assert_status 1
	run "$PURPLE_SRCDIR/scripts/check-includes" "$BATS_TEST_TMPDIR/nothing"
	assert_status 1
}

@test "every C file and script begins with its licence" {
	local file bad=0
	cd "$PURPLE_SRCDIR"
	while read -r file; do
		if ! head -n 2 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0'; then
			echo "no SPDX line: $file"
			bad=1
		fi
	done < <(find src bpf scripts tests contrib -type f \
		\( -name '*.[ch]' -o -name '*.bats' -o -name '*.bash' -o -perm -100 \) \
		! -path '*/corpus/*' ! -path '*/data/*' ! -name '*_test' ! -name '*.sw?')
	assert_equal "$bad" 0
}

@test "every source file is listed in a Makefile.inc, so that it is built and distributed" {
	local file bad=0
	cd "$PURPLE_SRCDIR"
	grep -hoE '[A-Za-z0-9_/.-]+\.[ch]\b' Makefile.am src/*/Makefile.inc src/cmd/*/Makefile.inc \
		tests/*/Makefile.inc docs/Makefile.inc >"$BATS_TEST_TMPDIR/listed"
	for file in $(find src tests/unit -name '*.[ch]' | sort); do
		if ! grep -qxF "$file" "$BATS_TEST_TMPDIR/listed"; then
			echo "not listed: $file"
			bad=1
		fi
	done
	assert_equal "$bad" 0
}

@test "no C file is above 1000 lines" {
	cd "$PURPLE_SRCDIR"
	run bash -c 'find src tests -name "*.[ch]" -exec wc -l {} + | awk "\$1 > 1000 && \$2 != \"total\""'
	assert_output ""
}

@test "purple-runtime --version says version, commit and spec, and 'version' in one line only" {
	run "$PURPLE_RUNTIME" --version
	assert_status 0
	[[ ${lines[0]} =~ ^purple-runtime\ version\ [0-9]+\.[0-9]+\.[0-9]+ ]]
	assert_contains "spec: 1.3"
	assert_equal "$(grep -c version <<<"$output")" 1
}

@test "--help of both programs lists their commands and exits with 0" {
	local command
	run "$PURPLE_RUNTIME" --help
	assert_status 0
	for command in create start state kill delete run exec ps list pause resume update spec features; do
		assert_contains " $command "
	done
	run "$PURPLE" --help
	assert_status 0
	for command in run profile policy explain ps stop doctor usage budget; do
		assert_contains " $command "
	done
}

@test "--help of each command exits with 0 and writes nothing to stderr" {
	local command
	for command in create start state kill delete run exec ps list pause resume update spec features; do
		run --separate-stderr "$PURPLE_RUNTIME" "$command" --help
		assert_status 0
		assert_contains "$command"
		assert_equal "$stderr" ""
	done
}

@test "an unknown command or option fails, names it, and lists nothing on stdout" {
	run --separate-stderr "$PURPLE_RUNTIME" frobnicate
	((status != 0))
	assert_output ""
	[[ $stderr == *frobnicate* ]]
	run --separate-stderr "$PURPLE_RUNTIME" --frobnicate list
	((status != 0))
	assert_output ""
	[[ $stderr == *frobnicate* ]]
}

@test "the drop-in for containers.conf makes Purple known to Podman" {
	requires private_etc podman
	sed "s|@bindir@|${PURPLE_RUNTIME%/*}|" "$PURPLE_SRCDIR/contrib/50-purple.conf.in" \
		>/etc/containers/containers.conf.d/50-purple.conf
	# Podman wants a short path for its run folder.
	local dir=$PURPLE_TEST_DIR/dropin
	run podman --root "$dir/storage" --runroot "$dir/run" --storage-driver vfs --runtime purple \
		--tmpdir "$dir/tmp" --network-config-dir "$dir/networks" info --format '{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}'
	rm /etc/containers/containers.conf.d/50-purple.conf
	assert_status 0
	assert_output "purple $PURPLE_RUNTIME"
}

@test "what configure fills in is filled in, in the files that are installed" {
	local file
	[[ -e $PURPLE_BUILDDIR/Makefile ]] || skip "needs a build folder"
	for file in contrib/50-purple.conf oci-hooks/purple-policy.json oci-hooks/purple-network.json oci-hooks/purple-budget.json docs/purple.1 docs/purple-runtime.8 \
		docs/purple-policy-hook.8 docs/purple-network-hook.8 docs/purple-budget-hook.8 docs/purple-policy.5; do
		echo "$file"
		[[ -s $PURPLE_BUILDDIR/$file ]]
		run grep -nE '@[A-Za-z_]+@' "$PURPLE_BUILDDIR/$file"
		assert_output ""
	done
	grep -qE '"/.*bin/purple-runtime"' "$PURPLE_BUILDDIR/contrib/50-purple.conf"
	grep -qE '"/.*bin/purple-policy-hook"' "$PURPLE_BUILDDIR/oci-hooks/purple-policy.json"
}

@test "the programs are position independent, with full RELRO and no executable stack" {
	local program
	command -v readelf >/dev/null || skip "needs the program readelf"
	requires no_sanitizer
	for program in "$PURPLE_RUNTIME" "$PURPLE"; do
		run readelf -hldW "$program"
		assert_contains "DYN (Position-Independent Executable file)"
		assert_contains "GNU_RELRO"
		assert_contains "NOW"
		[[ $output =~ GNU_STACK[^$'\n']*\ RW\  ]]
	done
}
