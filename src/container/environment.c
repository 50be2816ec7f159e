/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment of a container's process: see environment.h. Runs in the container's root, before
 * privileges are given up.
 */
#include "container/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/num.h"

#define PASSWD_LINES_MAX 20000

const char *environment_get(const struct strv *env, const char *name)
{
	size_t len = strlen(name);

	/* The last one wins, as it would for a program that reads its environment anew. */
	for (size_t i = env->n; i > 0; i--)
		if (strncmp(env->v[i - 1], name, len) == 0 && env->v[i - 1][len] == '=')
			return env->v[i - 1] + len + 1;
	return NULL;
}

/* A file of the image: what would block us, as a FIFO does, is none. */
static FILE *open_plain(const char *path)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	FILE *f;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	f = fdopen(fd, "r");
	if (f)
		take_fd(&fd);
	return f;
}

/* HOME for programs that need one and were given none: from the container's /etc/passwd. */
static char *find_home(uid_t uid)
{
	_fclose_ FILE *f = open_plain("/etc/passwd");
	char line[1024];

	/* The file's size is the image's choice, and nobody may end us while we read. */
	for (int left = PASSWD_LINES_MAX; f && left > 0 && fgets(line, sizeof(line), f);
	     left--) {
		char *field[6] = {}, *rest = line;
		uint32_t id;

		for (int i = 0; i < 6; i++)
			field[i] = strsep(&rest, ":\n");
		if (field[2] && field[5] && num_u32(field[2], &id) == 0 && id == uid &&
		    field[5][0] == '/')
			return str_printf("HOME=%s", field[5]);
	}
	return strdup("HOME=/");
}

/* Where an entry's name is in the table, or the free slot where it belongs. FNV-1a; the table is
 * never more than half full. */
static size_t *find_slot(size_t *slots, size_t mask, const struct strv *env,
			 const char *entry)
{
	size_t name = strcspn(entry, "=") + 1;
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < name; i++)
		h = (h ^ (unsigned char)entry[i]) * 1099511628211u;
	for (h &= mask; slots[h]; h = (h + 1) & mask)
		if (strncmp(env->v[slots[h] - 1], entry, name) == 0)
			break;
	return &slots[h];
}

/* Of entries with the same name the last counts, in the place of the first: getenv(3) would find
 * the first, and engines append what a user sets to what an image sets. What is no NAME=value is
 * left out. */
static int copy_env(const struct strv *from, struct strv *env)
{
	_free_ size_t *slots = NULL;
	size_t size = 16;

	while (size < 2 * from->n)
		size *= 2;
	slots = calloc(size, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < from->n; i++) {
		size_t *slot;
		char *last;

		if (from->v[i][0] == '=' || !strchr(from->v[i], '='))
			continue;
		slot = find_slot(slots, size - 1, env, from->v[i]);
		if (!*slot) {
			if (strv_add(env, from->v[i]) < 0)
				return -ENOMEM;
			*slot = env->n;
			continue;
		}
		last = strdup(from->v[i]);
		if (!last)
			return -ENOMEM;
		free(env->v[*slot - 1]);
		env->v[*slot - 1] = last;
	}
	return 0;
}

int environment_make(const struct oci_process *p, struct strv *ret, struct err *e)
{
	_strv_free_ struct strv env = {};
	_free_ char *home = NULL;

	if (copy_env(&p->env, &env) < 0)
		return err_oom(e);
	if (!environment_get(&env, "HOME")) {
		home = find_home(p->user ? p->user->uid : 0);
		if (!home || strv_add(&env, home) < 0)
			return err_oom(e);
	}
	*ret = env;
	env = (struct strv){};
	return 0;
}
