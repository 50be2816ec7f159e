# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# An ordinary user with subordinate ids, as useradd makes one, for Podman without root: an account
# in files that stand over /etc's in the mount namespace of the bats file, and are gone with it.

load podman

RL_USER=purple-rootless RL_UID=42424 RL_SUBID=3000000

# Podman as that user, with its storage, settings and image in RL_DIR.
rootless_setup() {
	requires root private_etc podman conmon busybox jq subids ordinary_user slirp4netns
	[[ -c /dev/net/tun ]] || skip "needs a device /dev/net/tun"
	# Short: conmon's sockets are in it.
	RL_DIR=$PURPLE_TEST_DIR/r$(cksum <<<"$BATS_TEST_FILENAME" | cut -c 1-5)
	export RL_DIR
	mkdir "$RL_DIR" "$RL_DIR/etc" "$RL_DIR/dev"
	make_account
	# The device is root's own on some machines; slirp4netns opens it as the user.
	mount -t tmpfs -o mode=0755 rootless-test "$RL_DIR/dev"
	mknod -m 0666 "$RL_DIR/dev/tun" c 10 200
	mount --bind "$RL_DIR/dev/tun" /dev/net/tun
	install -d -m 0700 -o "$RL_UID" -g "$RL_UID" "$RL_DIR"/{home,run,tmp}
	podman_conf "$RL_DIR" "$RL_DIR/home/storage" "$RL_DIR/run/containers" </dev/null
	podman_image "$RL_DIR"
}

make_account() {
	local file
	touch /etc/subuid /etc/subgid
	for file in passwd group subuid subgid; do
		cp "/etc/$file" "$RL_DIR/etc/$file"
	done
	echo "$RL_USER:x:$RL_UID:$RL_UID::$RL_DIR/home:/bin/sh" >>"$RL_DIR/etc/passwd"
	printf '%s:x:%d:\n%s-too:x:%d:%s\n' "$RL_USER" "$RL_UID" "$RL_USER" $((RL_UID + 1)) "$RL_USER" \
		>>"$RL_DIR/etc/group"
	echo "$RL_USER:$RL_SUBID:65536" | tee -a "$RL_DIR/etc/subuid" >>"$RL_DIR/etc/subgid"
	for file in passwd group subuid subgid; do
		mount --bind "$RL_DIR/etc/$file" "/etc/$file"
	done
}

rootless_teardown_file() {
	local pid left=0
	[[ -n ${RL_DIR:-} && -d $RL_DIR/run ]] || return 0
	# The process that keeps Podman's namespaces between its commands.
	pid=$(cat "$RL_DIR/run/libpod/tmp/pause.pid" 2>/dev/null) && kill "$pid"
	wait_for 5 user_is_idle || left=1
	pgrep -u "$RL_UID" -a || true
	umount /dev/net/tun "$RL_DIR/dev"
	return "$left"
}

user_is_idle() {
	! pgrep -u "$RL_UID" >/dev/null
}

# rootless COMMAND...: as that user.
rootless() {
	env -i --chdir="$RL_DIR/home" PATH="$PATH" HOME="$RL_DIR/home" TMPDIR="$RL_DIR/tmp" \
		XDG_RUNTIME_DIR="$RL_DIR/run" CONTAINERS_CONF="$RL_DIR/containers.conf" \
		CONTAINERS_STORAGE_CONF="$RL_DIR/storage.conf" \
		setpriv --reuid="$RL_UID" --regid="$RL_UID" --init-groups -- "$@"
}

# In place of the one of podman.bash: all that is built on it is that user's too. Podman warns where
# the host's root is not a shared mount, which is not the runtime's to say.
podman_() {
	rootless timeout --foreground -k 5 150 podman --log-level error "$@"
}

rootless_teardown() {
	local left=0
	podman_ pod rm -a -f -t 0 >/dev/null || left=1
	podman_ rm -a -f -t 0 >/dev/null || left=1
	wait_for 5 no_state || left=1
	purple_teardown || left=1
	return "$left"
}

no_state() {
	[[ -z $(ls -A "$RL_DIR/run/purple" 2>/dev/null) ]]
}
