/* SPDX-License-Identifier: Apache-2.0 */
/* What create did to the host, so that a failure can take it back: a stack, undone in reverse. */
#ifndef PURPLE_CONTAINER_UNDO_H
#define PURPLE_CONTAINER_UNDO_H

#define UNDO_MAX 16

struct undo {
	struct {
		void (*fn)(void *arg);
		void *arg;
	} steps[UNDO_MAX];
	int n;
};

/* Every push has a fixed place in the code, so there are never more than UNDO_MAX. */
static inline void undo_push(struct undo *u, void (*fn)(void *arg), void *arg)
{
	u->steps[u->n].fn = fn;
	u->steps[u->n++].arg = arg;
}

/* Success: nothing is taken back. */
static inline void undo_forget(struct undo *u)
{
	u->n = 0;
}

static inline void undo_run(struct undo *u)
{
	while (u->n > 0) {
		u->n--;
		u->steps[u->n].fn(u->steps[u->n].arg);
	}
}

#define _undo_ __attribute__((cleanup(undo_run)))

#endif
