/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-gateway opens and reads as root, before its jail. Runs there, once. */
#ifndef PURPLE_GATEWAY_SETUP_H
#define PURPLE_GATEWAY_SETUP_H

#include "gateway/gateway.h"

/* A JSON object of API keys by provider's name. -ERR_CONFIG for what cannot be in a header. */
int gateway_read_keys(int fd, const char *name, struct strmap *ret, struct err *e);

struct gateway_setup {
	struct gateway_config *config; /* borrowed */
	const char *ca_file;	       /* of providers; NULL: the host's */
	const char *prices;	       /* NULL: the installed ones */
	int64_t idle_ms;	       /* 0: the preset */
	/* Borrowed; -1: there is none. */
	int events_fd, copy_fd, limit_fd, init_fd, kill_fd, freezer_fd, content_fd;
};

/*
 * In this order: gateway_start_helpers(), which forks, before any key is read; gateway_open(), which
 * opens the ledger; the listening sockets; gateway_enter().
 */
int gateway_start_helpers(struct gateway *g, const struct gateway_setup *s, struct err *e);
/* Takes the keys. */
int gateway_open(struct gateway *g, const struct gateway_setup *s, struct strmap *keys,
		 struct err *e);
/* The jail; from here on without privileges. */
int gateway_enter(struct gateway *g, const struct gateway_setup *s, struct err *e);

/*
 * Interception: certificates for the names of providers. The authority's goes into `ca_fd`. Called
 * after gateway_enter(): it needs no privileges.
 */
int gateway_make_authority(struct gateway *g, int ca_fd, struct err *e);

/* The orderly end: what is under way is charged, and all on the disk. */
int gateway_close(struct gateway *g, struct err *e);
/* Frees all; of what was not closed, the next one to open the ledger charges. */
void gateway_clear(struct gateway *g);

#endif
