/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See end.h. Runs in the runtime and in `purple`, with the caller's privileges. Lines may come from
 * processes that were given the file and little else, so one that is odd is passed over.
 */
#include "container/end.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "gateway/limit.h"

#define END_MAX ((size_t)64 * 1024)

static const struct json_field end_fields[] = {
	JSON_FR(container_end, reason, "reason", JSON_STR),
	JSON_F(container_end, detail, "detail", JSON_STR),
	JSON_F(container_end, by, "by", JSON_STR),
	JSON_F(container_end, setting, "setting", JSON_STR),
	JSON_F(container_end, policy, "policy", JSON_STR),
	JSON_F(container_end, time, "time", JSON_STR),
	JSON_F(container_end, ended, "ended", JSON_STR),
	JSON_F(container_end, status, "status", JSON_OPT_I32),
	{},
};
const struct json_type container_end_type = { sizeof(struct container_end), end_fields };

void container_end_clear(struct container_end *x)
{
	json_clear(&container_end_type, x);
}

char *container_end_time(void)
{
	struct timespec ts;
	struct tm tm;
	char text[64];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return str_printf("%s.%09ldZ", text, ts.tv_nsec);
}

/* --- writing --- */

int container_end_open(const struct container *c, int *ret_fd, struct err *e)
{
	int fd = openat(c->dirfd, CONTAINER_END,
			O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "cannot open '%s/" CONTAINER_END "'", c->dir);
	*ret_fd = fd;
	return 0;
}

/* Adds a line. The time is now, where the caller gives none. */
static int container_end_write(int fd, const struct container_end *x, struct err *e)
{
	_free_ char *now = x->time ? NULL : container_end_time();
	_buf_free_ struct buf line = {};
	struct container_end copy = *x;
	int r;

	if (!copy.time)
		copy.time = now;
	if (!copy.time)
		return err_oom(e);
	r = json_write(&container_end_type, &copy, false, &line, e);
	if (r < 0)
		return r;
	buf_adds(&line, "\n");
	if (line.failed)
		return err_oom(e);
	if (write(fd, line.s, line.len) != (ssize_t)line.len)
		return err_sys(e, "cannot write '" CONTAINER_END "'");
	return 0;
}

void container_end_note(const struct container *c, const struct container_end *x)
{
	_close_ int fd = -1;
	struct err e;
	int r = container_end_open(c, &fd, &e);

	if (r == 0)
		r = container_end_write(fd, x, &e);
	if (r < 0)
		log_warn("why container %s ended is not recorded: %s", c->st.id, e.msg);
}

/* --- reading --- */

/* Which of two reasons holds: the higher, and of two that are alike the first. 0: no reason. */
static int rank(const char *reason)
{
	static const struct {
		const char *reason;
		int rank;
	} ranks[] = { { END_TIMEOUT, 3 }, { END_OOM, 3 },     { END_BUDGET, 3 },
		      { END_AUDIT, 3 },	  { END_STOPPED, 2 }, { END_EXITED, 1 },
		      { END_SIGNALED, 1 } };

	for (size_t i = 0; i < ARRAY_SIZE(ranks); i++)
		if (streq(reason, ranks[i].reason))
			return ranks[i].rank;
	return 0;
}

static void take_line(const char *line, struct container_end *best)
{
	struct container_end x = {};
	_json_free_ struct json *doc = NULL;
	struct err ignored;

	if (json_parse(line, strlen(line), CONTAINER_END, &doc, &ignored) < 0 ||
	    json_read(doc, &container_end_type, CONTAINER_END, &x, &ignored) < 0)
		return;
	if (rank(x.reason) > (best->reason ? rank(best->reason) : 0)) {
		struct container_end worse = *best;

		*best = x;
		x = worse;
	}
	/* Whoever saw the end knows these, whoever's doing it was. */
	if (!best->status.set)
		best->status = x.status;
	if (!best->ended)
		best->ended = take_ptr(&x.ended);
	container_end_clear(&x);
}

int container_end_parse(char *text, struct container_end *ret, bool *ret_known,
			struct err *e)
{
	struct container_end best = {};
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		take_line(line, &best);
	*ret_known = best.reason != NULL;
	*ret = best;
	return 0;
}

static int read_lines(const struct container *c, struct container_end *ret,
		      bool *ret_known, struct err *e)
{
	_close_ int fd = openat(c->dirfd, CONTAINER_END, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_free_ char *text = NULL;
	int r;

	*ret_known = false;
	if (fd < 0)
		return errno == ENOENT ?
			       0 :
			       err_sys(e, "cannot open '%s/" CONTAINER_END "'", c->dir);
	r = fd_read_all(fd, END_MAX, &text, NULL, e);
	return r < 0 ? r : container_end_parse(text, ret, ret_known, e);
}

/* A budget whose on_exceeded is stop. */
static int take_limit(const struct container *c, struct container_end *x, bool *known,
		      struct err *e)
{
	_gateway_limit_clear_ struct gateway_limit l = {};
	_buf_free_ struct buf text = {};
	bool is_met;
	int r = gateway_limit_load(c->dirfd, &l, &is_met, e);

	if (r < 0 || !is_met || !streq(l.action, "stop") || l.failed)
		return r;
	gateway_limit_text(&l, &text);
	free(x->reason);
	x->reason = strdup(END_BUDGET);
	free(x->detail);
	x->detail = text.failed ? NULL : take_ptr(&text.s);
	free(x->by);
	x->by = strdup("purple-gateway");
	free(x->setting);
	x->setting = strdup("ai_policy.budget");
	free(x->policy);
	x->policy = l.line ? str_printf("%s:%u", l.file, l.line) : strdup(l.file);
	if (!x->time)
		x->time = strdup(l.since);
	*known = true;
	return x->reason && x->detail && x->by && x->setting && x->policy && x->time ?
		       0 :
		       err_oom(e);
}

/* A v2 group dies as a whole when its memory is spent: nobody need have seen it. */
static bool died_of_memory(const struct container *c, const struct container_end *x)
{
	_cgroup_stats_clear_ struct cgroup_stats stats = {};
	struct err e;

	if (!c->st.cgroup || strmap_get(&c->st.cgroup->v1, "memory") ||
	    process_is_alive(c->st.pid, c->st.pid_start) ||
	    (x->reason && !streq(x->reason, END_SIGNALED) &&
	     !(streq(x->reason, END_EXITED) && x->status.set && x->status.value != 0)))
		return false;
	return cgroup_stats(c->st.cgroup, &stats, &e) == 0 && stats.oom_kills > 0;
}

static int take_memory(const struct container *c, struct container_end *x, bool *known,
		       struct err *e)
{
	if (!died_of_memory(c, x))
		return 0;
	free(x->reason);
	x->reason = strdup(END_OOM);
	free(x->setting);
	x->setting = strdup("resources.memory_limit_bytes");
	free(x->policy);
	x->policy = c->st.memory_place ? strdup(c->st.memory_place) : NULL;
	*known = true;
	return x->reason && x->setting && !c->st.memory_place == !x->policy ? 0 :
									      err_oom(e);
}

int container_end_load(const struct container *c, struct container_end *ret,
		       bool *ret_known, struct err *e)
{
	_container_end_clear_ struct container_end x = {};
	bool known;
	int r = read_lines(c, &x, &known, e);

	/* What acted for a policy before it holds. */
	if (r == 0 && !(known && rank(x.reason) == 3))
		r = take_limit(c, &x, &known, e);
	if (r == 0)
		r = take_memory(c, &x, &known, e);
	if (r < 0)
		return r;
	*ret = x;
	x = (struct container_end){};
	*ret_known = known;
	return 0;
}
