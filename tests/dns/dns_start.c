/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts purple-dns as the runtime does, with tables made of the arguments and a map of its own,
 * for tests/bats/dns.bats:
 *   dns_start NETNS-FILE EVENTS-FILE [ARGUMENT...]
 *     allow=NAME[:PORTS][=RULE]   NAME may begin with "*."; PORTS: LO-HI as in network_range
 *     block=NAME[=RULE]  deny=PREFIX  open=PREFIX  upstream=ADDRESS  fallback=allow|audit
 *     entries=N          how many addresses the map holds
 *     init=PID           what it ends with (else: with this program)
 *     stays=yes          it does not end with this program
 *     own=NAME           leads to at=ADDRESS, whatever else is said of it
 * Prints "PID PORT" when it is ready, then for each line of stdin that says "dump" the map, and an
 * empty line; ends, and the forwarder with it, at the end of stdin.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "network/dns_client.h"

static void __attribute__((noreturn)) die(const char *what, const char *more)
{
	fprintf(stderr, "dns_start: %s: %s\n", what, more ? more : strerror(errno));
	exit(2);
}

/* Takes what is behind the last `c`; NULL when there is none. */
static char *cut(char *s, char c)
{
	char *at = strrchr(s, c);

	if (!at)
		return NULL;
	*at = '\0';
	return at + 1;
}

static void add_name(struct network_tables *t, char *text, bool blocked)
{
	struct network_table_name *n = list_add(&t->names);
	char *rule = cut(text, '='), *ports = cut(text, ':');
	struct network_range *r;

	if (!n)
		die("out of memory", "");
	n->blocked = blocked;
	n->wildcard = str_has_prefix(text, "*.");
	n->domain = strdup(text + (n->wildcard ? 2 : 0));
	n->rule = rule ? (uint32_t)atoi(rule) : 0;
	if (blocked) {
		t->config.flags |= NETWORK_BLOCKS_NAMES;
		return;
	}
	r = list_add(&n->ranges);
	*r = (struct network_range){ .lo = 0,
				     .hi = NETWORK_PORTS_END - 1,
				     .rule = n->rule,
				     .verdict = NETWORK_ALLOW };
	if (ports && sscanf(ports, "%u-%u", &r->lo, &r->hi) != 2)
		die("odd ports", ports);
}

static void add_prefix(struct network_tables *t, char *text, enum network_verdict verdict)
{
	struct network_table_entry x = {};
	char *len = cut(text, '/');
	bool v4 = inet_pton(AF_INET, text, x.address) == 1;
	struct network_table_entry *to;

	if (!len || (!v4 && inet_pton(AF_INET6, text, x.address) != 1))
		die("no prefix", text);
	x.prefix_len = (uint8_t)atoi(len);
	x.entry.first = (struct network_range){ .lo = 0,
						.hi = NETWORK_PORTS_END - 1,
						.verdict = verdict };
	if (v4)
		to = list_add(&t->v4);
	else
		to = list_add(&t->v6);
	*to = x;
}

static uint32_t entries = 4096;
static pid_t init;
static bool stays;
static struct strv own_names;
static const char *own_address;

static void read_argument(struct network_tables *t, char *argument)
{
	char *value = strchr(argument, '=');

	if (!value)
		die("odd argument", argument);
	*value++ = '\0';
	if (streq(argument, "allow"))
		add_name(t, value, false);
	else if (streq(argument, "block"))
		add_name(t, value, true);
	else if (streq(argument, "deny"))
		add_prefix(t, value, NETWORK_DENY);
	else if (streq(argument, "open"))
		add_prefix(t, value, NETWORK_ALLOW);
	else if (streq(argument, "upstream"))
		strv_add(&t->dns_servers, value);
	else if (streq(argument, "fallback"))
		t->config.fallback = streq(value, "allow") ? NETWORK_ALLOW : NETWORK_AUDIT;
	else if (streq(argument, "own"))
		strv_add(&own_names, value);
	else if (streq(argument, "at"))
		own_address = value;
	else if (streq(argument, "entries"))
		entries = (uint32_t)atoi(value);
	else if (streq(argument, "init"))
		init = atoi(value);
	else if (streq(argument, "stays"))
		stays = streq(value, "yes");
	else
		die("odd argument", argument);
}

/* ADDRESS, then for each slot LO-HI RULE FLAGS and how long it lives. */
static void dump(int map)
{
	struct network_address key, next;
	struct network_name value;
	struct timespec now;
	void *at = NULL;

	clock_gettime(CLOCK_BOOTTIME, &now);
	while (bpf_map_get_next_key(map, at, &next) == 0) {
		char text[INET6_ADDRSTRLEN];

		key = next;
		at = &key;
		if (bpf_map_lookup_elem(map, &key, &value) < 0)
			continue;
		printf("%s", dns_address_text(&key, text, sizeof(text)));
		for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++) {
			const struct network_name_slot *s = &value.slots[i];

			if (s->lo <= s->hi)
				printf(" [%u-%u rule=%u flags=%u life=%" PRId64 "]",
				       s->lo, s->hi, s->rule, s->flags,
				       (int64_t)s->expires - now.tv_sec);
		}
		printf("\n");
	}
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct network_tables t = { .config = { .fallback = NETWORK_DENY } };
	struct network_dns_start start = { .tables = &t };
	struct network_dns d;
	struct err e = {};
	char line[64];

	if (argc < 3)
		die("usage", "dns_start NETNS EVENTS [ARGUMENT...]");
	for (int i = 3; i < argc; i++)
		read_argument(&t, argv[i]);
	if (own_address) {
		start.own_names = &own_names;
		start.own_address = own_address;
	}
	start.netns_fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	start.events_fd = open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	start.init_fd = (int)syscall(SYS_pidfd_open, init ? init : getpid(), 0);
	start.names_fd = bpf_map_create(BPF_MAP_TYPE_HASH, "names",
					sizeof(struct network_address),
					sizeof(struct network_name), entries, NULL);
	if (start.netns_fd < 0 || start.events_fd < 0 || start.init_fd < 0 ||
	    start.names_fd < 0)
		die("cannot open", NULL);
	if (network_dns_start(&start, stays, &d, &e) < 0)
		die("cannot start", e.msg);
	printf("%d %u\n", d.pid, d.port);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		dump(start.names_fd);
	fd_close(&d.control_fd);
	waitpid(d.pid, NULL, 0);
	return 0;
}
