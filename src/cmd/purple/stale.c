/* SPDX-License-Identifier: Apache-2.0 */
/* What `purple run` left behind although it cleans up: supervisor and cleaner were both killed.
 * Runs in purple doctor; reads the state root only. */
#include "cmd/purple/purple.h"
#include "container/container.h"

/* A folder without state is left by a create that died at once; one at work holds the lock. */
static bool is_abandoned(const char *root, const char *id)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	struct err unused;

	return container_open(root, id, true, &c, &unused) == 0 && !c.st.oci_version;
}

static bool is_stale(const char *root, const char *id)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	enum container_status status;
	struct err unused;

	if (container_open(root, id, false, &c, &unused) < 0 ||
	    container_status(&c, &status, &unused) < 0)
		return false;
	if (!c.st.oci_version)
		return is_abandoned(root, id);
	if (c.st.supervisor == 0 || process_is_alive(c.st.supervisor, c.st.supervisor_start))
		return false;
	return status == CONTAINER_STOPPED || status == CONTAINER_CREATING;
}

int stale_list(const char *root, struct strv *ret_ids, struct err *e)
{
	_strv_free_ struct strv ids = {};
	int r = container_list_ids(root, &ids, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ids.n; i++)
		if (is_stale(root, ids.v[i]) && strv_add(ret_ids, ids.v[i]) < 0)
			return err_oom(e);
	return 0;
}
