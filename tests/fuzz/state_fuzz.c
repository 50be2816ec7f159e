/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for a container's state folder: state.json and config.json as the input says.
 * The folder is the administrator's own; a damaged file must still end in an error, and whatever
 * is read must be fit for the commands: they kill, thaw and remove what it names.
 * runs: 10000
 */
#include "container/container.h"
#include "container/state.h"
#include "fuzz.h"
#include "policy/plan.h"

static char *root, *state_file, *config_file;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	_free_ char *dir = fuzz_path("state/id");
	struct err e;

	root = fuzz_path("state");
	state_file = fs_join(dir, "state.json");
	config_file = fs_join(dir, "config.json");
	if (fs_mkdir_p(dir, 0700, &e) < 0)
		fuzz_die("cannot make the state folder", e.msg);
	return 0;
}

static void check_directory(const char *dir)
{
	_free_ char *clean = fs_clean_path(dir);

	/* Nothing outside of the cgroup mounts is removed because of a wrong path. */
	fuzz_require(dir[0] == '/' && clean && streq(clean, dir) && !streq(dir, "/"));
}

static void check_state(const struct container_state *st)
{
	const struct cgroup *cg = st->cgroup;

	fuzz_require(streq(st->id, "id"));
	fuzz_require(st->pid >= 0 && st->supervisor >= 0);
	if (!cg)
		return;
	fuzz_require(cg->mode <= CGROUP_V2);
	fuzz_require(cg->mode == CGROUP_NONE || cg->path);
	for (size_t i = 0; i < cg->v1.n; i++)
		check_directory(cg->v1.v[i]);
	if (cg->unified)
		check_directory(cg->unified);
}

static void check_config(struct container *c)
{
	_oci_spec_free_ struct oci_spec *spec = NULL;
	struct oci_process process = {};
	struct err e = {};
	int r = container_config_load(c, &spec, &e);

	if (r < 0) {
		fuzz_check_error(r, &e);
		return;
	}
	fuzz_require(spec->linux_ && spec->oci_version);
	if (policy_limit_process(spec, &process, &e) < 0)
		fuzz_require(e.msg[0]);
	json_clear(&oci_process_type, &process);
	if (container_config_save(c, spec, &e) < 0)
		fuzz_die("cannot save a configuration that was read", e.msg);
}

/* What was saved is read again, to the same text. */
static void check_again(struct container *c)
{
	_free_ char *before = NULL, *after = NULL;
	_container_close_ struct container again = CONTAINER_EMPTY;
	struct err e = {};

	if (container_state_save(c, &e) < 0 ||
	    fs_read(AT_FDCWD, state_file, 1 << 24, &before, NULL, &e) < 0 ||
	    container_open(root, "id", false, &again, &e) < 0 ||
	    container_state_save(&again, &e) < 0 ||
	    fs_read(AT_FDCWD, state_file, 1 << 24, &after, NULL, &e) < 0)
		fuzz_die("a state that was read does not survive", e.msg);
	fuzz_require(streq(before, after));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	_free_ char *state = fuzz_next_part(&data, &size);
	_free_ char *config = fuzz_next_part(&data, &size);
	_buf_free_ struct buf out = {};
	enum container_status status;
	struct err e = {};
	int r;

	if (!state)
		return 0;
	fuzz_write_file(state_file, state, strlen(state));
	fuzz_write_file(config_file, config ? config : "", config ? strlen(config) : 0);
	r = container_open(root, "id", false, &c, &e);
	if (r < 0) {
		fuzz_check_error(r, &e);
		return 0;
	}
	check_state(&c.st);
	r = container_status(&c, &status, &e);
	if (r < 0)
		fuzz_check_error(r, &e);
	else if (container_state_document(&c, status, true, &out, &e) < 0)
		fuzz_die("no document of a state that was read", e.msg);
	if (container_hook_state(&c, "stopped", 0, &out, &e) < 0 ||
	    container_listener_message(&c, "running", 1, "m\"", &out, &e) < 0)
		fuzz_die("no document for hooks of a state that was read", e.msg);
	check_config(&c);
	check_again(&c);
	return 0;
}
