/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See spare.h and pins.h. Runs in purple-network-load, which holds the lock. The changes to the
 * seven maps of maps each wait for the kernel: they are made by seven threads.
 */
#include "network/spare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/list.h"
#include "base/str.h"
#include "network/pins.h"

#define SPARES 4
#define BACKGROUND 10 /* as nice(1) has it */

typedef LIST_OF(uint64_t) keys;

/* One map of maps, and what is to be done to it. */
struct job {
	int outer;
	const uint64_t *keys;
	uint32_t fds[SPARES]; /* to be set; not used to delete */
	size_t n;
	bool is_delete;
	int result;
};

static void *run_job(void *arg)
{
	struct job *j = arg;
	uint32_t done;

	if (!j->is_delete) {
		j->result = kbpf_map_fill(j->outer, j->keys, sizeof(*j->keys), j->fds,
					  sizeof(j->fds[0]), (uint32_t)j->n, &done);
		return NULL;
	}
	for (size_t i = 0; i < j->n; i++) {
		int r = kbpf_map_delete(j->outer, &j->keys[i]);

		if (r < 0 && r != -ENOENT)
			j->result = r;
	}
	return NULL;
}

static int run_jobs(struct job jobs[NETWORK_MAPS])
{
	pthread_t threads[NETWORK_MAPS];
	bool started[NETWORK_MAPS];
	int r = 0;

	for (int i = 0; i < NETWORK_MAPS; i++) {
		started[i] = pthread_create(&threads[i], NULL, run_job, &jobs[i]) == 0;
		if (!started[i])
			run_job(&jobs[i]);
	}
	for (int i = 0; i < NETWORK_MAPS; i++) {
		if (started[i])
			pthread_join(threads[i], NULL);
		if (jobs[i].result < 0)
			r = jobs[i].result;
	}
	return r;
}

static int open_outer(const char *pins, struct job jobs[NETWORK_MAPS], struct err *e)
{
	for (int i = 0; i < NETWORK_MAPS; i++) {
		_free_ char *path = str_printf("%s/%s", pins, network_map_names[i]);

		if (!path)
			return err_oom(e);
		jobs[i].outer = kbpf_get(path);
		if (jobs[i].outer < 0)
			return err_errno(e, jobs[i].outer, "cannot open '%s'", path);
	}
	return 0;
}

static void close_outer(struct job jobs[NETWORK_MAPS])
{
	for (int i = 0; i < NETWORK_MAPS; i++)
		fd_close(&jobs[i].outer);
}

/* The folders of `dir`, whose names are keys. */
static int list_keys(const char *dir, keys *ret, struct err *e)
{
	_closedir_ DIR *d = opendir(dir);
	const struct dirent *entry;

	if (!d)
		return err_sys(e, "cannot read '%s'", dir);
	while ((entry = readdir(d))) {
		uint64_t *key, value;
		char *end;

		if (entry->d_name[0] == '.')
			continue;
		errno = 0;
		value = strtoull(entry->d_name, &end, 16);
		if (errno || *end)
			continue;
		key = list_add(ret);
		if (!key)
			return err_oom(e);
		*key = value;
	}
	return 0;
}

static int delete_keys(const char *pins, const keys *l, struct err *e)
{
	struct job jobs[NETWORK_MAPS] = {};
	_close_ int configs = -1;
	_free_ char *path = str_printf("%s/configs", pins);
	int r;

	for (int i = 0; i < NETWORK_MAPS; i++) {
		jobs[i].outer = -1;
		jobs[i].keys = l->v;
		jobs[i].n = l->n;
		jobs[i].is_delete = true;
	}
	if (!path)
		return err_oom(e);
	r = open_outer(pins, jobs, e);
	if (r == 0) {
		r = run_jobs(jobs);
		if (r < 0)
			r = err_errno(e, r, "cannot take the maps of a container away");
	}
	close_outer(jobs);
	/* Last: by now nobody reads them any more, the kernel has waited. */
	configs = kbpf_get(path);
	for (size_t i = 0; i < l->n && configs >= 0; i++)
		kbpf_map_delete(configs, &l->v[i]);
	return r;
}

static int empty_trash(const char *pins, struct err *e)
{
	_free_ char *trash = str_printf("%s/trash", pins);
	keys l = {};
	int r;

	if (!trash)
		return err_oom(e);
	r = list_keys(trash, &l, e);
	if (r == 0 && l.n)
		r = delete_keys(pins, &l, e);
	for (size_t i = 0; r == 0 && i < l.n; i++) {
		_free_ char *path = str_printf("%s/%" PRIx64, trash, l.v[i]);

		r = path ? fs_remove_tree(AT_FDCWD, path, e) : err_oom(e);
	}
	free(l.v);
	return r;
}

/* The folder of a spare in trash/, where it stays until it is whole: who is cut off in the middle of
 * it leaves it to empty_trash(), with what it has put into the maps of maps. */
static int pin_spare(const char *pins, uint64_t key, const int fds[NETWORK_MAPS],
		     struct err *e)
{
	_free_ char *dir = str_printf("%s/trash/%" PRIx64, pins, key);

	if (!dir)
		return err_oom(e);
	if (mkdir(dir, 0700) < 0)
		return err_sys(e, "cannot make '%s'", dir);
	for (int i = 0; i < NETWORK_MAPS; i++) {
		_free_ char *pin = str_printf("%s/%s", dir, network_map_names[i]);
		int r = pin ? kbpf_pin(fds[i], pin) : -ENOMEM;

		if (r < 0)
			return err_errno(e, r, "cannot pin a map in '%s'", dir);
	}
	return 0;
}

static int offer_spare(const char *pins, uint64_t key, struct err *e)
{
	_free_ char *from = str_printf("%s/trash/%" PRIx64, pins, key),
		    *to = str_printf("%s/spare/%" PRIx64, pins, key);

	if (!from || !to)
		return err_oom(e);
	if (rename(from, to) < 0)
		return err_sys(e, "cannot rename '%s' to '%s'", from, to);
	return 0;
}

static int make_spares(const char *pins, size_t n, struct err *e)
{
	struct job jobs[NETWORK_MAPS] = {};
	int maps[SPARES][NETWORK_MAPS], r = 0;
	uint64_t new_keys[SPARES];
	size_t made = 0;

	for (int i = 0; i < NETWORK_MAPS; i++)
		jobs[i].outer = -1;
	if (getrandom(new_keys, sizeof(new_keys), 0) != sizeof(new_keys))
		return err_sys(e, "getrandom");
	for (; r == 0 && made < n; made += r == 0)
		r = network_maps_make(maps[made], e);
	for (int i = 0; i < NETWORK_MAPS; i++) {
		jobs[i].keys = new_keys;
		jobs[i].n = made;
		for (size_t j = 0; j < made; j++)
			jobs[i].fds[j] = (uint32_t)maps[j][i];
	}
	for (size_t i = 0; r == 0 && i < made; i++)
		r = pin_spare(pins, new_keys[i], maps[i], e);
	if (r == 0)
		r = open_outer(pins, jobs, e);
	if (r == 0) {
		r = run_jobs(jobs);
		if (r < 0)
			r = err_errno(e, r, "cannot make maps for containers to come");
	}
	for (size_t i = 0; r == 0 && i < made; i++)
		r = offer_spare(pins, new_keys[i], e);
	for (size_t i = 0; i < made; i++)
		for (int j = 0; j < NETWORK_MAPS; j++)
			fd_close(&maps[i][j]);
	if (r < 0) {
		struct err ignored;

		empty_trash(pins, &ignored);
	}
	close_outer(jobs);
	return r;
}

int network_spare_tidy(const char *pins, struct err *e)
{
	_free_ char *spare = str_printf("%s/spare", pins);
	keys l = {};
	int r;

	if (!spare)
		return err_oom(e);
	r = list_keys(spare, &l, e);
	/* Nobody waits while there are spares: the next container's start goes first. */
	if (r == 0 && l.n)
		(void)!nice(BACKGROUND);
	if (r == 0)
		r = empty_trash(pins, e);
	if (r == 0 && l.n < SPARES)
		r = make_spares(pins, SPARES - l.n, e);
	free(l.v);
	return r;
}
