/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network filter in the real kernel: names. What was learned allows for its time, TLS has to
 * name what is allowed, and DNS goes to the forwarder. See network_host.h.
 */
#include <bpf/libbpf.h>
#include <time.h>

#include "network/cut.h"
#include "network/fill.h"
#include "network/survivors.h"
#include "network/wire.h"
#include "network_host.h"

#define FORWARDER 15353

static uint64_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec;
}

/* As the DNS forwarder does it. */
static void learn(int names, const char *address, size_t at, struct network_name_slot slot)
{
	struct network_address key = {};
	struct network_name name;
	uint8_t bytes[16];
	bool v4;

	parse_address(address, bytes, &v4);
	if (v4) {
		key.bytes[10] = key.bytes[11] = 0xff;
		memcpy(key.bytes + 12, bytes, 4);
	} else {
		memcpy(key.bytes, bytes, 16);
	}
	if (kbpf_map_lookup(names, &key, &name) < 0)
		for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++)
			name.slots[i] = (struct network_name_slot){ .lo = 1 };
	name.slots[at] = slot;
	assert_int_equal(kbpf_map_update(names, &key, &name, BPF_ANY), 0);
}

static void add_name(struct network_tables *t, const char *domain, bool wildcard,
		     bool blocked, uint32_t lo, uint32_t hi, uint32_t rule)
{
	static const struct network_rule nothing;
	struct network_table_name *name = list_add(&t->names);
	struct network_range *range;

	assert_non_null(name);
	name->domain = (char *)domain;
	name->wildcard = wildcard;
	name->blocked = blocked;
	name->rule = rule;
	range = list_add(&name->ranges);
	assert_non_null(range);
	*range = (struct network_range){ lo, hi, rule, NETWORK_ALLOW };
	while (t->rules.n <= rule) {
		const struct network_rule **r = list_add(&t->rules);

		assert_non_null(r);
		*r = &nothing;
	}
}

static void use_names(void)
{
	env.tables.config.flags |= NETWORK_USES_NAMES;
	add_name(&env.tables, "api.example.org", false, false, TCP(440), TCP(445), 0);
}

static int names_map(void)
{
	return env.filter.maps[NETWORK_MAP_NAMES];
}

static void learned_addresses_are_allowed_for_their_time(void **state)
{
	_close_ int fd = -1, server = -1, server6 = -1;

	needs_root();
	use_names();
	attach(0);
	server = outside_socket(SOCK_STREAM, OUT4, 443);
	server6 = outside_socket(SOCK_STREAM, OUT6, 443);
	assert_int_equal(try_connect(AF_INET, OUT4, 443), -EPERM);
	learn(names_map(), OUT4, 3,
	      (struct network_name_slot){ TCP(440), TCP(445), 0, 0, seconds() + 100 });
	learn(names_map(), OUT6, 7,
	      (struct network_name_slot){ TCP(440), TCP(445), 0, 0, UINT64_MAX });
	assert_int_equal(try_connect(AF_INET, OUT4, 443), 0);
	assert_int_equal(try_connect(AF_INET6, "::ffff:" OUT4, 443), 0);
	assert_int_equal(try_connect(AF_INET6, OUT6, 443), 0);
	assert_int_equal(try_connect(AF_INET, OUT4, 446), -EPERM);
	assert_int_equal(try_send(AF_INET, OUT4, 443), -EPERM);
	assert_int_equal(try_connect(AF_INET, OTHER4, 443), -EPERM);
	/* Its time is over. */
	learn(names_map(), OUT4, 3,
	      (struct network_name_slot){ TCP(440), TCP(445), 0, 0, seconds() - 1 });
	assert_int_equal(try_connect(AF_INET, OUT4, 443), -EPERM);
}

static void a_block_of_an_address_beats_names(void **state)
{
	needs_root();
	use_names();
	add_rule(&env.tables, OUT4, 32, TCP(443), TCP(443), NETWORK_DENY, 1);
	attach(0);
	learn(names_map(), OUT4, 0,
	      (struct network_name_slot){ TCP(440), TCP(445), 0, 0, UINT64_MAX });
	assert_int_equal(try_connect(AF_INET, OUT4, 443), -EPERM);
	assert_int_equal(try_connect(AF_INET, OUT4, 444), -ECONNREFUSED);
}

static void addresses_of_blocked_names_are_denied(void **state)
{
	_close_ int server = -1, fd = -1, in = -1;

	needs_root();
	env.tables.config.flags |= NETWORK_BLOCKS_NAMES;
	env.tables.config.fallback = NETWORK_ALLOW;
	add_name(&env.tables, "bad.example.org", false, true, TCP(0), UDP(65535), 0);
	attach(0);
	server = outside_socket(SOCK_STREAM, OUT4, 443);
	fd = inside_socket(AF_INET, SOCK_STREAM);
	assert_int_equal(connect_to(fd, OUT4, 443), 0);
	in = accept(server, NULL, NULL);
	learn(names_map(), OUT4, 0,
	      (struct network_name_slot){ TCP(0), UDP(65535), 0, NETWORK_NAME_BLOCKED,
					  seconds() + 100 });
	assert_int_equal(try_connect(AF_INET, OUT4, 443), -EPERM);
	assert_int_equal(try_send(AF_INET, OUT4, 2000), -EPERM);
	assert_int_equal(try_connect(AF_INET, OTHER4, 443), -ECONNREFUSED);
	/* Also for a connection that was there before. */
	assert_int_equal(write(fd, "x", 1), 1);
	assert_false(is_readable(in, 500));
}

/* A connection by name, and what it says when its entry has expired. */
struct connection {
	int server, inside, outside;
};

static void close_connection(struct connection *c)
{
	fd_close(&c->server);
	fd_close(&c->inside);
	fd_close(&c->outside);
}
#define _connection_close_ __attribute__((cleanup(close_connection)))

static struct connection connect_by_name(const char *address, uint16_t port)
{
	struct connection c;

	c.server = outside_socket(SOCK_STREAM, address, port);
	c.inside = inside_socket(strchr(address, ':') ? AF_INET6 : AF_INET, SOCK_STREAM);
	assert_int_equal(connect_to(c.inside, address, port), 0);
	c.outside = accept(c.server, NULL, NULL);
	assert_true(c.outside >= 0);
	return c;
}

static bool talks(const struct connection *c)
{
	char byte;

	if (write(c->inside, "x", 1) != 1 || !is_readable(c->outside, 1000) ||
	    read(c->outside, &byte, 1) != 1)
		return false;
	return write(c->outside, "y", 1) == 1 && is_readable(c->inside, 1000) &&
	       read(c->inside, &byte, 1) == 1;
}

static int keep(const struct network_address *address, const struct network_name *name,
		void *arg, struct err *e)
{
	const struct network_filter *next = arg;
	struct network_name value = {};

	kbpf_map_lookup(next->maps[NETWORK_MAP_NAMES], address, &value);
	network_name_add(&value, name);
	return kbpf_map_update(next->maps[NETWORK_MAP_NAMES], address, &value, BPF_ANY);
}

/* A reload, as container/reload.c has it. How many connections it ended. */
static int renew(const struct network_tables *now, const struct network_tables *tables)
{
	struct network_filter old = NETWORK_FILTER_EMPTY, next = NETWORK_FILTER_EMPTY;
	struct network_survivors s = NETWORK_SURVIVORS_EMPTY;
	struct err e;
	int n;

	s.old = &old;
	s.next = &next;
	s.now = now;
	s.tables = tables;
	assert_ok(network_filter_open("test.1", &old, &e));
	assert_ok(network_filter_make_next(now, tables, "test.1", &next, &e));
	assert_ok(network_survivors_open(env.inside, &s, &e));
	assert_ok(network_survivors_look(&s, keep, &next, &e));
	assert_ok(network_filter_switch(&next, 0, &e));
	assert_ok(network_survivors_look(&s, keep, &next, &e));
	n = network_survivors_end(&s, &e);
	network_survivors_clear(&s);
	network_filter_clear(&old);
	network_filter_clear(&next);
	return n;
}

/* What the next call on a connection that was ended gives. */
static bool is_ended(const struct connection *c)
{
	char byte;

	return read(c->inside, &byte, 1) < 0 && errno == ECONNABORTED;
}

static void live_connections_outlast_their_entry_and_not_their_rule(void **state)
{
	const struct network_name_slot live = { TCP(440), TCP(445), 0, 0, seconds() + 100 };
	const struct network_name_slot over = { TCP(440), TCP(445), 0, 0, seconds() - 1 };
	struct network_tables same = {}, other = {};
	_connection_close_ struct connection c = { -1, -1, -1 }, idle = { -1, -1, -1 };

	needs_root();
	use_names();
	attach(0);
	learn(names_map(), OUT4, 0, live);
	c = connect_by_name(OUT4, 444);
	idle = connect_by_name(OUT4, 443);
	learn(names_map(), OUT4, 0, over);
	assert_int_equal(try_connect(AF_INET, OUT4, 444), -EPERM);
	assert_true(talks(&c));
	/* The same name, with another number, in the next rules. */
	same.config = env.tables.config;
	add_name(&same, "other.example.org", false, false, TCP(444), TCP(444), 0);
	add_name(&same, "api.example.org", false, false, TCP(443), TCP(444), 1);
	assert_int_equal(renew(&env.tables, &same), 0);
	assert_int_equal(try_connect(AF_INET, OUT4, 444), -EPERM);
	assert_true(talks(&c));
	/* And without it. */
	other.config = env.tables.config;
	add_name(&other, "other.example.org", false, false, TCP(444), TCP(444), 0);
	assert_int_equal(renew(&same, &same), 0);
	assert_true(talks(&idle));
	assert_int_equal(renew(&same, &other), 2);
	assert_true(is_ended(&c));
	assert_true(is_ended(&idle));
	clear_tables(&same);
	clear_tables(&other);
}

static void connections_by_name_pass_the_wire(void **state)
{
	_connection_close_ struct connection c = { -1, -1, -1 };
	struct network_wires wires;
	struct err e;

	needs_root();
	use_names();
	attach(0);
	assert_int_equal(setns(env.outside, CLONE_NEWNET), 0);
	assert_ok(network_wire_attach(&env.filter, env.inside, &wires, &e));
	assert_int_equal(setns(env.inside, CLONE_NEWNET), 0);
	learn(names_map(), OUT6, 0,
	      (struct network_name_slot){ TCP(440), TCP(445), 0, 0, seconds() + 100 });
	c = connect_by_name(OUT6, 444);
	learn(names_map(), OUT6, 0,
	      (struct network_name_slot){ TCP(440), TCP(445), 0, 0, seconds() - 1 });
	assert_true(talks(&c));
	shell("nsenter -t %d -n tc qdisc del dev host0 clsact", (int)env.holder);
}

static void multipath_tcp_by_name(void **state)
{
	_connection_close_ struct connection c = { -1, -1, -1 };

	needs_root();
	use_names();
	attach(0);
	learn(names_map(), OUT4, 0,
	      (struct network_name_slot){ TCP(440), TCP(445), 0, 0, seconds() + 100 });
	c.server = outside_socket(SOCK_STREAM, OUT4, 444);
	c.inside = socket_in(env.dir, AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	needs_mptcp(c.inside);
	assert_int_equal(connect_to(c.inside, OUT4, 444), 0);
	c.outside = accept(c.server, NULL, NULL);
	assert_true(talks(&c));
}

/* --- TLS --- */

struct hello {
	uint8_t v[4096];
	size_t len;
};

static void put(struct hello *h, const void *data, size_t len)
{
	memcpy(h->v + h->len, data, len);
	h->len += len;
}

static void put16(struct hello *h, size_t value)
{
	const uint8_t b[2] = { (uint8_t)(value >> 8), (uint8_t)value };

	put(h, b, 2);
}

static void set16(struct hello *h, size_t at, size_t value)
{
	h->v[at] = (uint8_t)(value >> 8);
	h->v[at + 1] = (uint8_t)value;
}

/* A ClientHello with `before` extensions of 20 bytes and then the name; NULL: without one. */
static struct hello make_hello(const char *name, size_t before, size_t ciphers)
{
	static const uint8_t zeros[1000];
	struct hello h = {};
	size_t n = name ? strlen(name) : 0, extensions;

	put(&h, "\x16\x03\x01", 3);
	put16(&h, 0);
	put(&h, "\x01\x00", 2);
	put16(&h, 0);
	put(&h, "\x03\x03", 2);
	put(&h, zeros, 32);
	put(&h, "\x20", 1);
	put(&h, zeros, 32);
	put16(&h, ciphers * 2);
	put(&h, zeros, ciphers * 2);
	put(&h, "\x01\x00", 2);
	extensions = h.len;
	put16(&h, 0);
	for (size_t i = 0; i < before; i++) {
		put16(&h, 0x0a0a + i);
		put16(&h, 16);
		put(&h, zeros, 16);
	}
	if (name) {
		put16(&h, 0);
		put16(&h, n + 5);
		put16(&h, n + 3);
		put(&h, "\x00", 1);
		put16(&h, n);
		put(&h, name, n);
	}
	put16(&h, 43);
	put16(&h, 3);
	put(&h, "\x02\x03\x04", 3);
	set16(&h, extensions, h.len - extensions - 2);
	set16(&h, 7, h.len - 9);
	set16(&h, 3, h.len - 5);
	return h;
}

/* Whether the first bytes arrive, of a connection to port 443 that is allowed by name. */
static bool arrives(const void *data, size_t len)
{
	_connection_close_ struct connection c = connect_by_name(OUT4, 443);
	char got[4096];
	bool there;

	assert_int_equal(write(c.inside, data, len), len);
	there = is_readable(c.outside, 500);
	if (there) {
		assert_true(read(c.outside, got, sizeof(got)) > 0);
		/* What follows is the connection's own business. */
		assert_true(talks(&c));
	} else {
		/* One that was refused once stays so. */
		struct hello good = make_hello("api.example.org", 0, 4);

		assert_int_equal(write(c.inside, good.v, good.len), good.len);
		assert_false(is_readable(c.outside, 100));
	}
	return there;
}

static bool says(const char *name)
{
	struct hello h = make_hello(name, 3, 16);

	return arrives(h.v, h.len);
}

static void set_up_tls(void)
{
	use_names();
	env.tables.config.flags |= NETWORK_CHECK_TLS;
	add_name(&env.tables, "example.net", true, false, TCP(443), TCP(443), 1);
	add_name(&env.tables, "plain.example.com", false, false, TCP(80), TCP(80), 2);
	add_name(&env.tables, "bad.example.net", false, true, TCP(0), UDP(65535), 3);
	attach(0);
	learn(names_map(), OUT4, 0,
	      (struct network_name_slot){ TCP(440), TCP(445), 0, 0, seconds() + 1000 });
}

static void tls_names_what_is_allowed(void **state)
{
	char longest[252];
	struct hello h;

	needs_root();
	set_up_tls();
	assert_true(says("api.example.org"));
	assert_true(says("API.Example.ORG"));
	assert_true(says("a.example.net"));
	assert_true(says("b.a.example.net"));
	assert_false(says("example.net"));
	assert_false(says("xexample.net"));
	assert_false(says("example.org"));
	assert_false(says("x.api.example.org"));
	assert_false(says("api.example.orgx"));
	assert_false(says("api.example.org."));
	assert_false(says("bad.example.net"));
	assert_false(says("very.bad.example.net"));
	assert_true(says("notbad.example.net"));
	/* Allowed, but not on this port. */
	assert_false(says("plain.example.com"));
	assert_false(says(NULL));
	assert_false(says(""));
	memset(longest, 'a', sizeof(longest));
	strcpy(longest + sizeof(longest) - 13, ".example.net");
	assert_true(says(longest));
	h = make_hello("api.example.org", 36, 100);
	assert_true(arrives(h.v, h.len));
	h = make_hello("api.example.org", 60, 4);
	assert_false(arrives(h.v, h.len));
}

static void what_is_no_whole_hello_is_refused(void **state)
{
	struct hello h = {}, good;

	needs_root();
	set_up_tls();
	good = make_hello("api.example.org", 3, 16);
	assert_false(arrives("GET / HTTP/1.1\r\nHost: api.example.org\r\n\r\n", 42));
	assert_false(arrives(good.v, 1));
	assert_false(arrives(good.v, 60));
	assert_true(arrives(good.v, good.len));
	/* Up to the last letter of its name: what comes later could be an encrypted one. */
	for (size_t i = 0; i + 15 <= good.len; i++)
		if (memcmp(good.v + i, "api.example.org", 15) == 0)
			h.len = i + 15;
	assert_true(h.len > 0);
	assert_false(arrives(good.v, h.len));
	/* A name with a 0 in it; a second name; another kind of name. */
	h = good;
	for (size_t i = 0; i + 15 <= good.len; i++) {
		if (memcmp(good.v + i, "api.example.org", 15) != 0)
			continue;
		h.v[i + 3] = 0;
		assert_false(arrives(h.v, h.len));
		h = good;
		h.v[i - 3] = 1;
		assert_false(arrives(h.v, h.len));
		h = good;
		h.v[i - 4]++;
		assert_false(arrives(h.v, h.len));
		break;
	}
	/* A server's hello. */
	h = good;
	h.v[5] = 2;
	assert_false(arrives(h.v, h.len));
}

/* Another name is in there, which only the server can read. */
static void an_encrypted_name_is_refused(void **state)
{
	struct hello h;

	needs_root();
	set_up_tls();
	h = make_hello("api.example.org", 3, 16);
	assert_true(arrives(h.v, h.len));
	for (size_t i = 0; i + 4 <= h.len; i++) {
		/* An extension before the name, and the one behind it. */
		if (memcmp(h.v + i, "\x0a\x0b\0\x10", 4) != 0 &&
		    memcmp(h.v + i, "\0\x2b\0\3", 4) != 0)
			continue;
		h = make_hello("api.example.org", 3, 16);
		set16(&h, i, 0xfe0d);
		assert_false(arrives(h.v, h.len));
		/* A second name */
		set16(&h, i, 0);
		assert_false(arrives(h.v, h.len));
	}
}

/* Where a record ends before the name, what follows is not what it seems to be. */
static void a_hello_in_pieces_is_refused(void **state)
{
	_connection_close_ struct connection c = { -1, -1, -1 };
	struct hello h, good;

	needs_root();
	set_up_tls();
	good = make_hello("api.example.org", 3, 16);
	h = good;
	set16(&h, 3, 120);
	assert_false(arrives(h.v, h.len));
	/* Nor behind the name. */
	h = good;
	set16(&h, 3, h.len - 5 - 3);
	assert_false(arrives(h.v, h.len));
	/* A message that ends before its extensions, or after them. */
	h = good;
	set16(&h, 7, 100);
	assert_false(arrives(h.v, h.len));
	h = good;
	set16(&h, 7, h.len - 9 + 1);
	assert_false(arrives(h.v, h.len));
	/* A byte that the server does not see where it stands. */
	c = connect_by_name(OUT4, 443);
	assert_int_equal(send(c.inside, good.v, good.len, MSG_OOB), good.len);
	assert_false(is_readable(c.outside, 500));
}

static void only_names_on_port_443_are_checked(void **state)
{
	_connection_close_ struct connection c = { -1, -1, -1 },
					     by_address = { -1, -1, -1 };

	needs_root();
	add_rule(&env.tables, OTHER4, 32, TCP(443), TCP(443), NETWORK_ALLOW, 0);
	set_up_tls();
	c = connect_by_name(OUT4, 444);
	assert_true(talks(&c));
	by_address = connect_by_name(OTHER4, 443);
	assert_true(talks(&by_address));
}

static int take_event(void *arg, void *data, size_t size)
{
	assert_true(size >= sizeof(struct network_event));
	memcpy(arg, data, sizeof(struct network_event));
	return 0;
}

/* What is denied in the midst of a connection does not hang: whoever reads the events ends it. */
static void a_connection_that_is_refused_is_ended(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };

	_close_ int sock = -1;
	struct err e;

	needs_root();
	set_up_tls();
	sock = network_cut_open(env.inside, &e);
	assert_true(sock >= 0);
	for (size_t i = 0; i < 2; i++) {
		const char *address = families[i] == AF_INET ? OUT4 : "::ffff:" OUT4;
		_close_ int server = outside_socket(SOCK_STREAM, OUT4, 443);
		_close_ int fd = inside_socket(families[i], SOCK_STREAM), other = -1;
		struct network_event event = {};
		struct ring_buffer *ring;

		assert_int_equal(connect_to(fd, address, 443), 0);
		other = inside_socket(AF_INET, SOCK_STREAM);
		assert_int_equal(connect_to(other, OUT4, 443), 0);
		assert_int_equal(write(fd, "GET /", 5), 5);
		ring = ring_buffer__new(env.filter.maps[NETWORK_MAP_RINGS], take_event,
					&event, NULL);
		assert_non_null(ring);
		for (int j = 0; j < 1000 && event.rule != NETWORK_RULE_NAME; j++) {
			assert_true(ring_buffer__consume(ring) >= 0);
			usleep(10000);
		}
		ring_buffer__free(ring);
		assert_int_equal(event.rule, NETWORK_RULE_NAME);
		assert_int_equal(event.hook, NETWORK_HOOK_OUT);
		assert_int_equal(event.pid, getpid());
		assert_int_equal(network_cut(sock, &event, &e), 1);
		assert_int_equal(write(fd, "x", 1), -1);
		assert_int_equal(errno, ECONNABORTED);
		/* The other one to the same place goes on. */
		assert_int_equal(network_cut(sock, &event, &e), 0);
		assert_int_equal(recv(other, &event, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, EAGAIN);
	}
}

/* --- DNS --- */

static int bind_forwarder(int family, int type)
{
	struct sockaddr_storage a;
	socklen_t len = sockaddr_of(family == AF_INET ? "127.0.0.1" : "::1", FORWARDER, &a);
	int fd = socket(family, type | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static void answer(int forwarder)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char byte;

	assert_true(is_readable(forwarder, WAIT_MS));
	assert_int_equal(recvfrom(forwarder, &byte, 1, 0, (struct sockaddr *)&from, &len),
			 1);
	assert_int_equal(sendto(forwarder, "a", 1, 0, (struct sockaddr *)&from, len), 1);
}

/* Asks, and finds that the answer is from whom it asked. */
static void ask(int forwarder, int family, const char *server, bool is_connected)
{
	_close_ int fd = inside_socket(family, SOCK_DGRAM);
	struct sockaddr_storage to, from = {};
	socklen_t len = sockaddr_of(server, 53, &to), from_len = sizeof(from);
	char byte;

	if (is_connected) {
		assert_int_equal(connect_to(fd, server, 53), 0);
		assert_int_equal(write(fd, "q", 1), 1);
		assert_int_equal(getpeername(fd, (struct sockaddr *)&from, &from_len), 0);
		assert_memory_equal(&from, &to, len);
		from_len = sizeof(from);
	} else {
		assert_int_equal(send_to(fd, server, 53), 0);
	}
	answer(forwarder);
	assert_true(is_readable(fd, WAIT_MS));
	assert_int_equal(recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &from_len), 1);
	assert_int_equal(from_len, len);
	assert_memory_equal(&from, &to, len);
}

static void set_up_dns(void)
{
	use_names();
	env.tables.config.flags |= NETWORK_REDIRECT_DNS;
	add_rule(&env.tables, OUT4, 32, TCP(0), UDP(65535), NETWORK_ALLOW, 0);
	attach(FORWARDER);
}

static void dns_goes_to_the_forwarder(void **state)
{
	_close_ int udp4 = -1, udp6 = -1, tcp4 = -1, fd = -1, in = -1;
	struct sockaddr_storage to, peer = {};
	socklen_t len = sockaddr_of("8.8.8.8", 53, &to), peer_len = sizeof(peer);

	needs_root();
	set_up_dns();
	udp4 = bind_forwarder(AF_INET, SOCK_DGRAM);
	udp6 = bind_forwarder(AF_INET6, SOCK_DGRAM);
	tcp4 = bind_forwarder(AF_INET, SOCK_STREAM);
	for (int connected = 0; connected < 2; connected++) {
		ask(udp4, AF_INET, "8.8.8.8", connected);
		ask(udp4, AF_INET, "127.0.0.11", connected);
		ask(udp4, AF_INET, OUT4, connected);
		ask(udp6, AF_INET6, "2001:4860:4860::8888", connected);
		ask(udp4, AF_INET6, "::ffff:8.8.4.4", connected);
	}
	fd = inside_socket(AF_INET, SOCK_STREAM);
	assert_int_equal(connect_to(fd, "8.8.8.8", 53), 0);
	in = accept(tcp4, NULL, NULL);
	assert_true(in >= 0);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &peer_len), 0);
	assert_memory_equal(&peer, &to, len);
}

static void other_ways_to_dns_are_closed(void **state)
{
	_close_ int raw = -1, fd = -1;
	struct sockaddr_storage a;
	socklen_t len;

	needs_root();
	set_up_dns();
	/* Though a rule allows all of this address. */
	assert_int_equal(try_connect(AF_INET, OUT4, 853), -EPERM);
	assert_int_equal(try_send(AF_INET, OUT4, 853), -EPERM);
	assert_int_equal(try_send(AF_INET, OUT4, 5353), -EPERM);
	assert_int_equal(try_send(AF_INET, OUT4, 54), 0);
	/* The forwarder's place is not to be taken. */
	fd = inside_socket(AF_INET, SOCK_DGRAM);
	len = sockaddr_of("127.0.0.1", FORWARDER, &a);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), -1);
	assert_int_equal(errno, EPERM);
}

static void without_an_own_loopback_the_forwarder_alone_is_reached(void **state)
{
	_close_ int udp4 = -1;

	needs_root();
	env.tables.config.flags = 0;
	set_up_dns();
	udp4 = bind_forwarder(AF_INET, SOCK_DGRAM);
	ask(udp4, AF_INET, "8.8.8.8", true);
	ask(udp4, AF_INET, "8.8.8.8", false);
	assert_int_equal(try_send(AF_INET, "127.0.0.1", FORWARDER + 1), -EPERM);
	assert_int_equal(try_send(AF_INET, "127.0.0.2", FORWARDER), -EPERM);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_container, remove_container)
	const struct CMUnitTest tests[] = {
		TEST(learned_addresses_are_allowed_for_their_time),
		TEST(a_block_of_an_address_beats_names),
		TEST(addresses_of_blocked_names_are_denied),
		TEST(live_connections_outlast_their_entry_and_not_their_rule),
		TEST(connections_by_name_pass_the_wire),
		TEST(multipath_tcp_by_name),
		TEST(tls_names_what_is_allowed),
		TEST(a_hello_in_pieces_is_refused),
		TEST(what_is_no_whole_hello_is_refused),
		TEST(an_encrypted_name_is_refused),
		TEST(only_names_on_port_443_are_checked),
		TEST(a_connection_that_is_refused_is_ended),
		TEST(dns_goes_to_the_forwarder),
		TEST(other_ways_to_dns_are_closed),
		TEST(without_an_own_loopback_the_forwarder_alone_is_reached),
	};

	return cmocka_run_group_tests(tests, set_up_host, tear_down_host);
}
