/* SPDX-License-Identifier: Apache-2.0 */
/* The table of prices in memory, between its reader and the arithmetic: see prices.h. */
#ifndef PURPLE_BUDGET_PRICES_TABLE_H
#define PURPLE_BUDGET_PRICES_TABLE_H

#include <stdint.h>

#include "base/list.h"
#include "budget/prices.h"

enum rate {
	RATE_INPUT,
	RATE_OUTPUT,
	RATE_CACHE_READ,
	RATE_CACHE_WRITE,
	RATE_CACHE_WRITE_1H,
	RATE_INPUT_AUDIO,
	RATE_INPUT_IMAGE,
	RATE_INPUT_VIDEO,
	RATE_CACHE_AUDIO_READ,
	RATE_CACHE_IMAGE_READ,
	RATE_OUTPUT_AUDIO,
	RATE_OUTPUT_IMAGE,
	RATE_OUTPUT_VIDEO,
	RATE_OUTPUT_REASONING,
	RATE_WEB_SEARCH, /* from here on per call */
	RATE_REQUEST,
	RATES,
};

/* Picodollars; those that are not set cost what price_of() says. */
struct rates {
	uint32_t set; /* bits, by enum rate */
	int64_t v[RATES];
};

/* Reprices the whole call when its input is larger. */
struct price_tier {
	int64_t above;
	struct rates rates;
};

/* A part of each day, UTC: [from, to) in seconds; over midnight when `to` is smaller. */
struct price_window {
	int32_t from, to;
	struct rates rates;
};

/* Prices that hold together. It has tiers or windows, not both. */
struct price_list {
	int64_t from; /* seconds since 1970; INT64_MIN: since ever */
	struct rates rates;
	LIST_OF(struct price_tier) tiers; /* by `above`, ascending */
	LIST_OF(struct price_window) windows;
};

/* The prices of a service tier, one after the other in time. */
struct price_service {
	char *name;			  /* "" is the usual one */
	LIST_OF(struct price_list) steps; /* by `from`, ascending; the first is since ever */
};

struct price_name {
	bool is_prefix;
	char *text;
};

struct price_model {
	char *id, *provider;
	LIST_OF(struct price_name) names;	/* the id is the first */
	LIST_OF(struct price_service) services; /* the first is the usual one */
	int64_t context, max_output;
	unsigned int layer; /* the file that it is from, from 0 */
	bool replaced;	    /* a later file has a model of this provider and id */
};

struct prices {
	LIST_OF(struct price_model *) models;
	unsigned int layers;
};

#endif
