/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What purple-gateway is to do for one container: gateway.json. The runtime makes it of the
 * container's policies and keeps it in the state folder; purple-gateway reads it as its first
 * descriptor, or from a file when it is called by hand. No API key is ever in it.
 */
#ifndef PURPLE_GATEWAY_CONFIG_H
#define PURPLE_GATEWAY_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/list.h"
#include "base/str.h"
#include "budget/ledger.h"
#include "gateway/format.h"

#define GATEWAY_CONFIG_FILE "gateway.json"
#define GATEWAY_CONFIG_MAX (16U << 20)

/* "purple-" and 32 digits of hex. */
#define GATEWAY_PLACEHOLDER_LEN (7 + 32)

struct gateway_provider {
	char *name; /* lower case; the first segment of the path of its base URL */
	enum llm_family family;
	/* URLs as endpoint.h has them; never empty. The first is where calls go that came by the
	 * base URL; under interception, calls go to the one whose host they were for. */
	struct strv endpoints;
	struct strv models; /* with '*' for any characters; empty: all that have a price */
	char *prices;	    /* a file of prices that wins over the others, or NULL */
	bool has_key;  /* one comes over the pipe; without, no credential goes upstream */
	uint32_t line; /* of the policy's file, for messages; 0: none */
	char *family_word; /* of config.c */
};

typedef LIST_OF(struct gateway_provider) gateway_providers;

enum gateway_exceeded { GATEWAY_STOP, GATEWAY_DENY, GATEWAY_FREEZE };

/* What one policy says of LLM calls. Its limits of 0 or that are not set do not limit. */
struct gateway_policy {
	char *name, *file; /* its name; the file as messages name it */
	gateway_providers providers;
	/* false: providers that are known by name (gateway_known_find()) may be called, too, with
	 * the agent's own keys. */
	bool block_unknown;
	/* It has no llm_apis: its limits hold for the providers that others name. `providers` is
	 * empty then. */
	bool any_provider;

	struct opt_i64 max_tokens, max_cost; /* max_cost in picodollars */
	enum gateway_exceeded on_exceeded;
	enum ledger_scope scope;
	enum ledger_period period;
	char *team;		    /* of scope team; NULL else */
	LIST_OF(uint32_t) alert_at; /* percent, ascending, no two equal */

	uint64_t requests_per_minute, tokens_per_minute;

	bool log_prompts, log_responses, log_tokens, log_costs;
	bool scan, detect_injection;
	bool is_audit; /* enforcement: audit */

	/* Lines of the file, for messages; 0: the section is not there. */
	uint32_t budget_line, rates_line, apis_line;
	char *exceeded_word, *scope_word, *period_word; /* of config.c */
};

struct gateway_config {
	char *container; /* its id */
	char *session;	 /* "ID@CREATED": the name of its session in the ledger */
	LIST_OF(struct gateway_policy) policies; /* all of them must allow; never empty */
	/*
	 * Not in the file: those that all policies name, in the order of the first that names them,
	 * with the endpoints that all of them have; for models, see the policies. gateway_config_read()
	 * and gateway_config_merge() fill it.
	 */
	gateway_providers providers;
	bool block_unknown; /* of any policy; not in the file either */
	char *ledger;	    /* path; NULL: LEDGER_FILE */
	char *patterns;	    /* of what requests must not hold; NULL: the installed file */
	char *placeholder; /* what the agent has in place of keys; NULL: none is asked for */
	uint32_t port;	   /* of the listening sockets in the container; 0: see them */
	bool intercept;
	char *intercept_address; /* 127.x.y.z that providers' names resolve to; NULL: none */
	struct strv hidden_env; /* variables of keys: processes of the container get the placeholder */
	struct strv dropped_env; /* variables that held a key under another name: nobody gets them */
	/* What of the administrator's is done at a threshold; the administrator's settings. */
	struct strv alert_command; /* argv; empty: none */
	char *alert_webhook;	   /* URL, or NULL */
};

void gateway_config_clear(struct gateway_config *c);
#define _gateway_config_clear_ __attribute__((cleanup(gateway_config_clear)))

/* A container has a gateway when its policies name a provider. */
static inline bool gateway_config_is_set(const struct gateway_config *c)
{
	return c->policies.n > 0;
}

/* `name` is what errors call the document. ERR_CONFIG for what the writer would not write: unknown
 * keys and words, no policy, a provider without endpoint, two of one name. */
int gateway_config_read(const char *text, size_t len, const char *name,
			struct gateway_config *ret, struct err *e);
int gateway_config_read_fd(int fd, const char *name, struct gateway_config *ret,
			   struct err *e);
/* Fills the members that are config.c's own. */
int gateway_config_write(struct gateway_config *c, bool pretty, struct buf *out,
			 struct err *e);

/* Fills `providers` and `block_unknown` from the policies. -ENOMEM. */
int gateway_config_merge(struct gateway_config *c);
/* The provider of that name, or NULL. */
const struct gateway_provider *gateway_provider_find(const gateway_providers *l,
						     const char *name);

/* GATEWAY_CONFIG_FILE in a folder: what was there is replaced as a whole, 0600. -ENOENT. */
int gateway_config_save(int dirfd, struct gateway_config *c, struct err *e);
int gateway_config_load(int dirfd, struct gateway_config *ret, struct err *e);

const char *gateway_exceeded_name(enum gateway_exceeded x);

#endif
