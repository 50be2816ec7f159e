#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the packages are made of; building and trying them is `make check-package`.

load helpers

setup() {
	cd "$PURPLE_SRCDIR" || return
}

@test "the packages' version is the program's" {
	local version
	version=$(sed -nE 's/^AC_INIT\(\[purple\], \[([^]]+)\].*/\1/p' configure.ac)
	[[ -n $version ]]
	assert_equal "$(sed -nE '1s/^purple \(([^)]+)\).*/\1/p' debian/changelog)" "$version"
}

@test "every program that is installed is in exactly one package" {
	local program list pattern folder found n=0
	while read -r folder program; do
		found=''
		for list in debian/*.install; do
			while read -r pattern; do
				# shellcheck disable=SC2053 # as dh_install takes it
				[[ $folder/$program != $pattern ]] || found+=" $list"
			done <"$list"
		done
		n=$((n + 1))
		assert_equal "$program:$(wc -w <<<"$found")" "$program:1"
	done < <(sed -nE -e ':a' -e '/\\$/{N;s/\\\n//;ba}' \
		-e 's/^(pkglibexec|bin)_PROGRAMS \+?= *(.*)/\1 \2/p' Makefile.am src/*/Makefile.inc src/cmd/*/Makefile.inc |
		awk '{ for (i = 2; i <= NF; i++) print ($1 == "bin" ? "usr/bin" : "usr/libexec/purple"), $i }')
	((n >= 10))
}

@test "every program that is installed has a manual page, in the same package" {
	local list program n=0
	for list in debian/*.install; do
		while read -r program; do
			[[ $program != purple ]] || continue # man1/*
			n=$((n + 1))
			grep -qx "usr/share/man/man8/$program.8" "$list" || {
				echo "$list: no page of $program"
				false
			}
		done < <(sed -nE 's,^usr/(bin|libexec/purple)/(purple[a-z-]*)$,\2,p' "$list")
	done
	((n >= 5))
	for program in purple-dns purple-monitor purple-network-load purple-systemd; do
		grep -qx "usr/share/man/man8/$program.8" debian/purple.install
		grep -q "^\.SS ${program//-/\\\\-}\$" docs/purple-helpers.8.in
	done
}

@test "every file that git knows is distributed" {
	git -c safe.directory="$PWD" rev-parse --git-dir >/dev/null 2>&1 || skip "not a git checkout"
	[[ -e $PURPLE_BUILDDIR/Makefile ]] || skip "no build folder"
	make -s -C "$PURPLE_BUILDDIR" print-distributed | tr ' ' '\n' | sed "s|^$PURPLE_SRCDIR/||" |
		grep . >"$BATS_TEST_TMPDIR/distributed"
	git -c safe.directory="$PWD" ls-files | grep -vx .gitignore >"$BATS_TEST_TMPDIR/tracked"
	# Itself, or a folder that it is in.
	run awk 'NR == FNR { distributed[$0]; next }
		{
			for (path = $0; !(path in distributed); sub("/[^/]*$", "", path))
				if (path !~ "/") {
					print "not distributed: " $0
					break
				}
		}' "$BATS_TEST_TMPDIR/distributed" "$BATS_TEST_TMPDIR/tracked"
	assert_status 0
	assert_output ""
	(($(wc -l <"$BATS_TEST_TMPDIR/tracked") > 500))
}
