/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources.blockIO. Runs in the runtime process with write rights on the group.
 *
 * Weights exist where an I/O scheduler serves them: BFQ's own files, CFQ's (kernels before 5.0),
 * or io.weight of the cost model. Throttles are the block layer's and always there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cgroup/internal.h"

#define FIELD "linux.resources.blockIO"

uint64_t cgroup_blkio_to_io_weight(uint32_t weight)
{
	if (weight <= 10)
		return 1;
	if (weight >= 1000)
		return 10000;
	return 1 + (uint64_t)(weight - 10) * 9999 / 990;
}

/* A weight file of this group. */
struct weight_file {
	const char *name, *device_name;
	bool scaled; /* 1..10000 instead of 10..1000 */
};

static struct weight_file find_weight_file(const struct cgroup_place *at)
{
	if (at->v2 && cgroup_has_file(at->dir, "io.bfq.weight"))
		return (struct weight_file){ "io.bfq.weight", "io.bfq.weight", false };
	if (at->v2)
		return (struct weight_file){ "io.weight", "io.weight", true };
	if (cgroup_has_file(at->dir, "blkio.bfq.weight"))
		return (struct weight_file){ "blkio.bfq.weight",
					     "blkio.bfq.weight_device", false };
	return (struct weight_file){ "blkio.weight", "blkio.weight_device", false };
}

static uint64_t scale(const struct weight_file *f, uint32_t weight)
{
	return f->scaled ? cgroup_blkio_to_io_weight(weight) : weight;
}

static bool is_given(struct opt_u32 v)
{
	return v.set && v.value != 0;
}

static int refuse_leaf_weight(const char *field, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "cannot set %s: cgroup v2 has no leaf weights", field);
}

static int apply_weights(const struct cgroup_place *at, const struct oci_block_io *b,
			 struct err *e)
{
	struct weight_file f = find_weight_file(at);
	char text[64];
	int r;

	if (is_given(b->weight)) {
		snprintf(text, sizeof(text), "%s%" PRIu64, f.scaled ? "default " : "",
			 scale(&f, b->weight.value));
		r = cgroup_set(FIELD ".weight", at->dir, f.name, text, e);
		if (r < 0)
			return r;
	}
	if (is_given(b->leaf_weight)) {
		if (at->v2)
			return refuse_leaf_weight(FIELD ".leafWeight", e);
		r = cgroup_set_i64(FIELD ".leafWeight", at->dir, "blkio.leaf_weight",
				   b->leaf_weight.value, e);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < b->weight_device.n; i++) {
		const struct oci_weight_device *d = &b->weight_device.v[i];

		r = 0;
		if (is_given(d->weight)) {
			snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %" PRIu64,
				 d->major, d->minor, scale(&f, d->weight.value));
			r = cgroup_set(FIELD ".weightDevice", at->dir, f.device_name,
				       text, e);
		}
		if (r == 0 && is_given(d->leaf_weight)) {
			if (at->v2)
				return refuse_leaf_weight(FIELD ".weightDevice.leafWeight",
							  e);
			snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %" PRIu32,
				 d->major, d->minor, d->leaf_weight.value);
			r = cgroup_set(FIELD ".weightDevice.leafWeight", at->dir,
				       "blkio.leaf_weight_device", text, e);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_throttles(const struct cgroup_place *at, const oci_throttles *l,
			   const char *field, const char *v1_file, const char *v2_key,
			   struct err *e)
{
	char text[96];
	int r;

	for (size_t i = 0; i < l->n; i++) {
		const struct oci_throttle *t = &l->v[i];
		int at_text = snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " ",
				       t->major, t->minor);

		/* A rate of zero is no throttle, which v2 calls max. */
		if (!at->v2)
			snprintf(text + at_text, sizeof(text) - (size_t)at_text,
				 "%" PRIu64, t->rate);
		else if (t->rate)
			snprintf(text + at_text, sizeof(text) - (size_t)at_text,
				 "%s=%" PRIu64, v2_key, t->rate);
		else
			snprintf(text + at_text, sizeof(text) - (size_t)at_text, "%s=max",
				 v2_key);
		r = cgroup_set(field, at->dir, at->v2 ? "io.max" : v1_file, text, e);
		if (r == -ENODEV)
			return err_wrap(e, "there is no block device %" PRId64 ":%" PRId64,
					t->major, t->minor);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The member that makes the controller necessary, or NULL. */
static const char *first_member(const struct oci_block_io *b)
{
	if (is_given(b->weight))
		return FIELD ".weight";
	if (is_given(b->leaf_weight))
		return FIELD ".leafWeight";
	if (b->weight_device.n)
		return FIELD ".weightDevice";
	if (b->throttle_read_bps.n)
		return FIELD ".throttleReadBpsDevice";
	if (b->throttle_write_bps.n)
		return FIELD ".throttleWriteBpsDevice";
	if (b->throttle_read_iops.n)
		return FIELD ".throttleReadIOPSDevice";
	return b->throttle_write_iops.n ? FIELD ".throttleWriteIOPSDevice" : NULL;
}

int cgroup_apply_block_io(const struct cgroup *cg, const struct oci_block_io *b,
			  struct err *e)
{
	const char *member = first_member(b);
	struct cgroup_place at;
	int r;

	if (!member)
		return 0;
	r = cgroup_place(cg, "io", member, &at, e);
	if (r == 0)
		r = apply_weights(&at, b, e);
	if (r == 0)
		r = apply_throttles(&at, &b->throttle_read_bps,
				    FIELD ".throttleReadBpsDevice",
				    "blkio.throttle.read_bps_device", "rbps", e);
	if (r == 0)
		r = apply_throttles(&at, &b->throttle_write_bps,
				    FIELD ".throttleWriteBpsDevice",
				    "blkio.throttle.write_bps_device", "wbps", e);
	if (r == 0)
		r = apply_throttles(&at, &b->throttle_read_iops,
				    FIELD ".throttleReadIOPSDevice",
				    "blkio.throttle.read_iops_device", "riops", e);
	if (r == 0)
		r = apply_throttles(&at, &b->throttle_write_iops,
				    FIELD ".throttleWriteIOPSDevice",
				    "blkio.throttle.write_iops_device", "wiops", e);
	return r;
}
