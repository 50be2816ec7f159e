/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device rules as a BPF program of type CGROUP_DEVICE on a group of the cgroup2 mount. Runs in
 * the runtime process; needs CAP_BPF (or CAP_SYS_ADMIN) and CAP_NET_ADMIN in the host's user
 * namespace.
 *
 * The program is made of the rules, last first, as the last that matches decides:
 *
 *	r6 type, r7 access still to be decided, r8 major, r9 minor
 *	for each rule:	if type, major or minor differ, go on
 *			deny:	if any bit of r7 is the rule's, return 0
 *			allow:	clear the rule's bits in r7; if none is left, return 1
 *	return 0
 *
 * It is attached with BPF_F_ALLOW_MULTI, so that a program of an ancestor holds beside it, and
 * without a link, so that it stays as long as the group.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "cgroup/internal.h"

#define PROGRAM_NAME "purple_devices"
#define PROGRAMS_MAX 64
/* Head and tail, and the most instructions that one rule takes. */
#define INSNS_FIXED 16
#define INSNS_PER_RULE 8

struct program {
	struct bpf_insn *v;
	size_t n;
};

static long sys_bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static void emit(struct program *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off,
		 int32_t imm)
{
	p->v[p->n++] = (struct bpf_insn){
		.code = code,
		.dst_reg = dst,
		.src_reg = src,
		.off = off,
		.imm = imm,
	};
}

static void emit_return(struct program *p, int value)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void emit_head(struct program *p)
{
	const uint8_t load = BPF_LDX | BPF_MEM | BPF_W;

	emit(p, load, BPF_REG_6, BPF_REG_1,
	     offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_7, BPF_REG_6, 0, 0);
	emit(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_6, 0, 0, 0xffff);
	emit(p, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_7, 0, 0, 16);
	emit(p, load, BPF_REG_8, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	emit(p, load, BPF_REG_9, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
}

_Static_assert(CGROUP_DEV_MKNOD == (int)BPF_DEVCG_ACC_MKNOD &&
		       CGROUP_DEV_READ == (int)BPF_DEVCG_ACC_READ &&
		       CGROUP_DEV_WRITE == (int)BPF_DEVCG_ACC_WRITE,
	       "the kernel's bits are ours");

static void emit_rule(struct program *p, const struct cgroup_device_rule *r)
{
	/* 32-bit comparisons: device numbers reach to the top bit. */
	const uint8_t differs = BPF_JMP32 | BPF_JNE | BPF_K;
	size_t start = p->n;

	if (r->type != 'a')
		emit(p, differs, BPF_REG_6, 0, 0,
		     r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (r->major >= 0)
		emit(p, differs, BPF_REG_8, 0, 0, (int32_t)(uint32_t)r->major);
	if (r->minor >= 0)
		emit(p, differs, BPF_REG_9, 0, 0, (int32_t)(uint32_t)r->minor);
	if (r->allow) {
		emit(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_7, 0, 0,
		     CGROUP_DEV_ALL & ~r->access);
		emit(p, differs, BPF_REG_7, 0, 0, 0);
		emit_return(p, 1);
	} else {
		emit(p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_7, 0, 0);
		emit(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, (int32_t)r->access);
		emit(p, BPF_JMP32 | BPF_JEQ | BPF_K, BPF_REG_1, 0, 0, 0);
		emit_return(p, 0);
	}
	/* All jumps of a rule go to what follows it. */
	for (size_t i = start; i < p->n; i++)
		if (BPF_CLASS(p->v[i].code) == BPF_JMP32)
			p->v[i].off = (int16_t)(p->n - i - 1);
}

static void build(struct program *p, const cgroup_device_rules *rules)
{
	emit_head(p);
	for (size_t i = rules->n; i > 0; i--) {
		const struct cgroup_device_rule *r = &rules->v[i - 1];

		/* Decides everything before it; the verifier wants no instruction behind. */
		if (r->type == 'a' && r->major < 0 && r->minor < 0 &&
		    r->access == CGROUP_DEV_ALL) {
			emit_return(p, r->allow);
			return;
		}
		emit_rule(p, r);
	}
	emit_return(p, 0);
}

static int load(const struct program *p, int *ret_fd, struct err *e)
{
	char log[1024] = "";
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uintptr_t)p->v;
	attr.insn_cnt = (uint32_t)p->n;
	attr.license = (uintptr_t) "Apache-2.0";
	memcpy(attr.prog_name, PROGRAM_NAME, sizeof(PROGRAM_NAME));
	fd = (int)sys_bpf(BPF_PROG_LOAD, &attr);
	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (errno == EPERM)
		return err_sys(e, "cannot load the BPF program for linux.resources.devices (it needs "
				  "root of the host)");
	if (errno != EINVAL && errno != EACCES)
		return err_sys(e, "cannot load the BPF program for linux.resources.devices");
	/* Only a bug brings one here: say where. */
	attr.log_level = 1;
	attr.log_buf = (uintptr_t)log;
	attr.log_size = sizeof(log);
	fd = (int)sys_bpf(BPF_PROG_LOAD, &attr);
	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	return err_sys(e, "cannot load the BPF program for linux.resources.devices (%.300s)",
		       log);
}

/* A descriptor of this runtime's program on the group: -1 when it has none yet. */
static int find_attached(int group, int *ret_fd)
{
	uint32_t ids[PROGRAMS_MAX] = {};
	struct bpf_prog_info info;
	union bpf_attr attr;
	uint32_t n;

	*ret_fd = -1;
	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)group;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uintptr_t)ids;
	attr.query.prog_cnt = PROGRAMS_MAX;
	if (sys_bpf(BPF_PROG_QUERY, &attr) < 0)
		return -errno;
	n = attr.query.prog_cnt;
	for (uint32_t i = 0; i < n; i++) {
		_close_ int fd = -1;

		memset(&attr, 0, sizeof(attr));
		attr.prog_id = ids[i];
		fd = (int)sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return -errno;
		memset(&info, 0, sizeof(info));
		memset(&attr, 0, sizeof(attr));
		attr.info.bpf_fd = (uint32_t)fd;
		attr.info.info_len = sizeof(info);
		attr.info.info = (uintptr_t)&info;
		if (sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) < 0)
			return -errno;
		if (strncmp(info.name, PROGRAM_NAME, sizeof(info.name)) == 0) {
			*ret_fd = take_fd(&fd);
			return 0;
		}
	}
	return 0;
}

int cgroup_device_bpf_attach(const char *dir, const cgroup_device_rules *rules,
			     struct err *e)
{
	_close_ int group = -1, fd = -1, old = -1;
	_free_ struct bpf_insn *insns = NULL;
	struct program p = {};
	union bpf_attr attr;
	int r;

	insns = calloc(rules->n * INSNS_PER_RULE + INSNS_FIXED, sizeof(*insns));
	if (!insns)
		return err_oom(e);
	p.v = insns;
	build(&p, rules);
	group = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (group < 0)
		return err_sys(e, "cannot open cgroup '%s'", dir);
	r = load(&p, &fd, e);
	if (r < 0)
		return r;
	/* Programs add up: a second list must replace the first, not narrow it. */
	r = find_attached(group, &old);
	if (r < 0)
		return err_errno(e, r, "cannot list the device programs of cgroup '%s'",
				 dir);
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)group;
	attr.attach_bpf_fd = (uint32_t)fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI | (old >= 0 ? BPF_F_REPLACE : 0);
	if (old >= 0)
		attr.replace_bpf_fd = (uint32_t)old;
	if (sys_bpf(BPF_PROG_ATTACH, &attr) < 0)
		return err_sys(e,
			       "cannot set linux.resources.devices: attach the BPF program to '%s'",
			       dir);
	return 0;
}
