/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the state document (runtime-spec, runtime.md, "State"): see state.h. Pure. */
#include "oci/state.h"

#include "base/json.h"

/* The document, its optional pid told apart from 0. Strings are borrowed. */
struct document {
	const char *oci_version, *id, *status, *bundle, *rootfs, *created, *owner;
	struct opt_i32 pid;
	struct strmap annotations;
};

static const struct json_field document_rows[] = {
	JSON_FR(document, oci_version, "ociVersion", JSON_STR),
	JSON_FR(document, id, "id", JSON_STR),
	JSON_F(document, pid, "pid", JSON_OPT_I32),
	JSON_FR(document, status, "status", JSON_STR),
	JSON_FR(document, bundle, "bundle", JSON_STR),
	JSON_F(document, rootfs, "rootfs", JSON_STR),
	JSON_F(document, created, "created", JSON_STR),
	JSON_F(document, owner, "owner", JSON_STR),
	JSON_F(document, annotations, "annotations", JSON_STRMAP),
	{},
};
static const struct json_type document_type = {
	.size = sizeof(struct document),
	.fields = document_rows,
};

int oci_state_write(const struct oci_state *s, bool pretty, struct buf *out, struct err *e)
{
	const struct document d = {
		.oci_version = s->oci_version ? s->oci_version : OCI_STATE_VERSION,
		.id = s->id,
		.pid = { true, s->pid },
		.status = s->status,
		.bundle = s->bundle,
		.rootfs = s->rootfs,
		.created = s->created,
		.owner = s->owner,
		.annotations = s->annotations,
	};

	return json_write(&document_type, &d, pretty, out, e);
}

int oci_state_write_hook(const struct oci_state *s, struct buf *out, struct err *e)
{
	const struct document d = {
		.oci_version = s->oci_version ? s->oci_version : OCI_STATE_VERSION,
		.id = s->id,
		.pid = { s->pid > 0, s->pid },
		.status = s->status,
		.bundle = s->bundle,
		.annotations = s->annotations,
	};

	return json_write(&document_type, &d, false, out, e);
}
