/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network filter in the real kernel: calls of programs in the container, by address and port;
 * attaching, reloading and taking away. See network_host.h.
 */
#include "network_host.h"

static void allow_all(void)
{
	add_rule(&env.tables, "0.0.0.0", 0, TCP(0), UDP(65535), NETWORK_ALLOW, 0);
	add_rule(&env.tables, "::", 0, TCP(0), UDP(65535), NETWORK_ALLOW, 0);
}

static void set_storage(const struct network_config *config)
{
	_free_ char *path = str_printf("%s/storage", network_pins_own());
	_close_ int storage = kbpf_get(path);

	assert_true(storage >= 0);
	assert_int_equal(kbpf_map_update(storage, &env.filter.cgroup, config, BPF_EXIST), 0);
}

static void without_its_rules_written_all_is_denied(void **state)
{
	const struct network_config nothing = {};
	struct network_config stale;
	int fd;

	needs_root();
	allow_all();
	attach(0);
	fd = inside_socket(AF_INET, SOCK_DGRAM);
	assert_int_equal(send_to(fd, OUT4, 2000), 0);
	set_storage(&nothing);
	assert_int_equal(send_to(fd, OUT4, 2000), -EPERM);
	assert_int_equal(send_to(fd, "127.0.0.1", 2000), -EPERM);
	assert_int_equal(socket_in(env.dir, AF_INET, SOCK_DGRAM, 0), -EPERM);
	assert_int_equal(socket_in(env.dir, AF_INET6, SOCK_STREAM, 0), -EPERM);
	/* A group that somebody else had before: its maps are gone. */
	stale = env.filter.config;
	stale.key ^= 1;
	stale.fallback = NETWORK_ALLOW;
	set_storage(&stale);
	assert_int_equal(send_to(fd, OUT4, 2000), -EPERM);
	close(fd);
}

static void addresses_and_ports_decide(void **state)
{
	_close_ int tcp4 = -1, tcp6 = -1, other4 = -1;

	needs_root();
	add_rule(&env.tables, OUT4, 32, TCP(80), TCP(443), NETWORK_ALLOW, 0);
	add_rule(&env.tables, "10.9.1.0", 24, TCP(443), TCP(443), NETWORK_ALLOW, 1);
	add_rule(&env.tables, OTHER4, 32, TCP(0), UDP(65535), NETWORK_DENY, 2);
	add_rule(&env.tables, OUT6, 128, TCP(443), TCP(443), NETWORK_ALLOW, 3);
	attach(0);
	tcp4 = outside_socket(SOCK_STREAM, OUT4, 443);
	tcp6 = outside_socket(SOCK_STREAM, OUT6, 443);
	other4 = outside_socket(SOCK_STREAM, OTHER4, 443);
	assert_int_equal(try_connect(AF_INET, OUT4, 443), 0);
	assert_int_equal(try_connect(AF_INET6, OUT6, 443), 0);
	assert_int_equal(try_connect(AF_INET, OUT4, 444), -EPERM);
	assert_int_equal(try_connect(AF_INET, OUT4, 80), -ECONNREFUSED);
	assert_int_equal(try_connect(AF_INET, OUT4, 79), -EPERM);
	assert_int_equal(try_connect(AF_INET, OTHER4, 443), -EPERM);
	assert_int_equal(try_connect(AF_INET, "10.9.1.2", 444), -EPERM);
	assert_int_equal(try_connect(AF_INET6, OTHER6, 443), -EPERM);
	/* An address of IPv4, however it is written. */
	assert_int_equal(try_connect(AF_INET6, "::ffff:" OUT4, 443), 0);
	assert_int_equal(try_connect(AF_INET6, "::ffff:" OTHER4, 443), -EPERM);
	/* TCP is not UDP. */
	assert_int_equal(try_send(AF_INET, OUT4, 443), -EPERM);
	assert_int_equal(try_send(AF_INET6, OUT6, 443), -EPERM);
	assert_int_equal(try_send(AF_INET6, "::ffff:" OUT4, 443), -EPERM);
}

static void datagrams_arrive_where_they_may(void **state)
{
	_close_ int server = -1, fd = -1;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char byte;

	needs_root();
	add_rule(&env.tables, OUT4, 32, UDP(2000), UDP(2000), NETWORK_ALLOW, 0);
	attach(0);
	server = outside_socket(SOCK_DGRAM, OUT4, 2000);
	fd = inside_socket(AF_INET, SOCK_DGRAM);
	assert_int_equal(send_to(fd, OUT4, 2000), 0);
	assert_true(is_readable(server, WAIT_MS));
	assert_int_equal(recvfrom(server, &byte, 1, 0, (struct sockaddr *)&from, &len), 1);
	/* The answer comes back. */
	assert_int_equal(sendto(server, "y", 1, 0, (struct sockaddr *)&from, len), 1);
	assert_true(is_readable(fd, WAIT_MS));
	assert_int_equal(read(fd, &byte, 1), 1);
	/* Connected elsewhere, with an address at the call. */
	assert_int_equal(connect_to(fd, OUT4, 2000), 0);
	assert_int_equal(send_to(fd, OUT4, 2001), -EPERM);
	assert_int_equal(send_to(fd, OTHER4, 2000), -EPERM);
	assert_int_equal(connect_to(fd, OTHER4, 2000), -EPERM);
	assert_int_equal(send_to(fd, OUT4, 2000), 0);
	/* TCP of the same port. */
	assert_int_equal(try_connect(AF_INET, OUT4, 2000), -EPERM);
}

static void many_ranges_of_ports_are_searched(void **state)
{
	struct network_entry *entry;
	static const struct network_rule nothing;

	needs_root();
	entry = add_prefix(&env.tables, OUT4, 32);
	entry->first = (struct network_range){ TCP(10), TCP(10), 0, NETWORK_ALLOW };
	/* More than a spare has room for: every tenth port, and one that is blocked. */
	entry->more = 1;
	for (uint32_t i = 0; i < 3000; i++) {
		struct network_range *range = list_add(&env.tables.ranges);

		assert_non_null(range);
		*range = (struct network_range){ TCP(20 + i * 10), TCP(21 + i * 10), 0,
						 i == 77 ? NETWORK_DENY : NETWORK_ALLOW };
	}
	entry->more_count = 2999;
	for (size_t i = 0; i < 2000; i++) {
		const struct network_rule **rule = list_add(&env.tables.rules);

		assert_non_null(rule);
		*rule = &nothing;
	}
	env.tables.config.fallback = NETWORK_DENY;
	attach(0);
	assert_int_equal(try_connect(AF_INET, OUT4, 10), -ECONNREFUSED);
	assert_int_equal(try_connect(AF_INET, OUT4, 11), -EPERM);
	/* The first of the ranges is not this prefix's. */
	assert_int_equal(try_connect(AF_INET, OUT4, 20), -EPERM);
	assert_int_equal(try_connect(AF_INET, OUT4, 30), -ECONNREFUSED);
	assert_int_equal(try_connect(AF_INET, OUT4, 31), -ECONNREFUSED);
	assert_int_equal(try_connect(AF_INET, OUT4, 32), -EPERM);
	assert_int_equal(try_connect(AF_INET, OUT4, 790), -EPERM);
	assert_int_equal(try_connect(AF_INET, OUT4, 30010), -ECONNREFUSED);
	assert_int_equal(try_connect(AF_INET, OUT4, 30011), -ECONNREFUSED);
	assert_int_equal(try_connect(AF_INET, OUT4, 30020), -EPERM);
}

/* More targets than a processor remembers, those that are allowed and others by turns. */
static void what_is_remembered_is_of_one_target(void **state)
{
	_close_ int fd = -1;

	needs_root();
	add_rule(&env.tables, OUT4, 32, UDP(1), UDP(999), NETWORK_ALLOW, 0);
	add_rule(&env.tables, "10.77.0.0", 24, UDP(7), UDP(7), NETWORK_ALLOW, 1);
	attach(0);
	fd = inside_socket(AF_INET, SOCK_DGRAM);
	for (uint16_t i = 1; i < 1000; i++) {
		assert_int_equal(connect_to(fd, OUT4, i), 0);
		assert_int_equal(connect_to(fd, OUT4, i + 1000), -EPERM);
		assert_int_equal(connect_to(fd, OTHER4, i), -EPERM);
	}
	for (int i = 0; i < 256; i++) {
		char allowed[INET_ADDRSTRLEN], other[INET_ADDRSTRLEN];

		snprintf(allowed, sizeof(allowed), "10.77.0.%d", i);
		snprintf(other, sizeof(other), "10.77.1.%d", i);
		assert_int_not_equal(connect_to(fd, allowed, 7), -EPERM);
		assert_int_equal(connect_to(fd, other, 7), -EPERM);
	}
}

/* Also what no rule is asked about any more, and of more targets than a processor remembers. */
static void all_calls_are_counted(void **state)
{
	_free_ struct network_hits *hits = NULL;
	struct err e;

	needs_root();
	add_rule(&env.tables, OUT4, 32, TCP(1), TCP(600), NETWORK_ALLOW, 0);
	add_rule(&env.tables, OUT6, 128, TCP(1), TCP(999), NETWORK_ALLOW, 1);
	add_rule(&env.tables, OTHER4, 32, TCP(80), TCP(80), NETWORK_ALLOW, 2);
	env.tables.config.rules = 3;
	attach(0);
	for (int turn = 0; turn < 2; turn++)
		for (uint16_t i = 1; i <= 600; i++)
			assert_int_equal(try_connect(AF_INET, OUT4, i), -ECONNREFUSED);
	for (int i = 0; i < 7; i++) {
		assert_int_equal(try_connect(AF_INET6, OUT6, 80), -ECONNREFUSED);
		assert_int_equal(try_connect(AF_INET, OTHER4, 80), -ECONNREFUSED);
		assert_int_equal(try_connect(AF_INET, OTHER4, 81), -EPERM);
	}
	assert_ok(network_filter_hits_all(&env.filter, &hits, &e));
	assert_int_equal(hits[0].allowed, 1200);
	assert_int_equal(hits[1].allowed, 7);
	assert_int_equal(hits[2].allowed, 7);
	for (int i = 0; i < 3; i++)
		assert_int_equal(hits[i].denied, 0);
	assert_int_equal(hits[NETWORK_HITS_INDEX(NETWORK_RULE_NONE, env.filter.config.rules)]
				 .denied,
			 7);
}

static void what_no_rule_speaks_of_falls_back(void **state)
{
	needs_root();
	add_rule(&env.tables, OTHER4, 32, TCP(0), UDP(65535), NETWORK_DENY, 0);
	env.tables.config.fallback = NETWORK_ALLOW;
	attach(0);
	assert_int_equal(try_connect(AF_INET, OUT4, 80), -ECONNREFUSED);
	assert_int_equal(try_connect(AF_INET6, OUT6, 80), -ECONNREFUSED);
	assert_int_equal(try_send(AF_INET, OUT4, 2000), 0);
	assert_int_equal(try_connect(AF_INET, OTHER4, 80), -EPERM);
	assert_int_equal(try_send(AF_INET, OTHER4, 2000), -EPERM);
}

static void only_tcp_and_udp_sockets_are_made(void **state)
{
	int fd;

	needs_root();
	allow_all();
	write_file("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	attach(0);
	assert_int_equal(socket_in(env.dir, AF_INET, SOCK_DGRAM, IPPROTO_ICMP), -EPERM);
	assert_int_equal(socket_in(env.dir, AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6), -EPERM);
	assert_int_equal(socket_in(env.dir, AF_INET, SOCK_RAW, IPPROTO_RAW), -EPERM);
	assert_int_equal(socket_in(env.dir, AF_INET, SOCK_RAW, IPPROTO_ICMP), -EPERM);
	assert_int_equal(socket_in(env.dir, AF_INET, SOCK_RAW, IPPROTO_TCP), -EPERM);
	assert_int_equal(socket_in(env.dir, AF_INET6, SOCK_RAW, IPPROTO_UDP), -EPERM);
	/* Where the kernel has them: no socket in any case. */
	assert_true(socket_in(env.dir, AF_INET, SOCK_STREAM, IPPROTO_SCTP) < 0);
	assert_true(socket_in(env.dir, AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE) < 0);
	fd = socket_in(env.dir, AF_INET, SOCK_STREAM, IPPROTO_TCP);
	assert_true(fd >= 0);
	close(fd);
	/* Not inet: others' business. */
	fd = socket_in(env.dir, AF_UNIX, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	close(fd);
}

static void multipath_tcp_is_tcp(void **state)
{
	_close_ int server = -1, in = -1;
	int fd, denied;

	needs_root();
	add_rule(&env.tables, OUT4, 32, TCP(443), TCP(443), NETWORK_ALLOW, 0);
	attach(0);
	server = outside_socket(SOCK_STREAM, OUT4, 443);
	fd = socket_in(env.dir, AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	needs_mptcp(fd);
	assert_true(fd >= 0);
	assert_int_equal(connect_to(fd, OUT4, 443), 0);
	in = accept(server, NULL, NULL);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_true(is_readable(in, WAIT_MS));
	close(fd);
	denied = socket_in(env.dir, AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	assert_int_equal(connect_to(denied, OTHER4, 443), -EPERM);
	close(denied);
}

static void fast_open_is_a_connect(void **state)
{
	struct sockaddr_storage a;
	socklen_t len;
	int fd;

	needs_root();
	write_file("/proc/sys/net/ipv4/tcp_fastopen", "1");
	attach(0);
	len = sockaddr_of(OUT4, 443, &a);
	fd = inside_socket(AF_INET, SOCK_STREAM);
	assert_int_equal(sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&a, len), -1);
	assert_int_equal(errno, EPERM);
	close(fd);
}

static void options_that_add_headers_are_refused(void **state)
{
	const unsigned char nops[4] = { 1, 1, 1, 0 }, header[8] = {};
	int on = 1, fd, fd6;
	char large[8192] = {};

	needs_root();
	allow_all();
	attach(0);
	fd = inside_socket(AF_INET, SOCK_DGRAM);
	fd6 = inside_socket(AF_INET6, SOCK_DGRAM);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_OPTIONS, nops, sizeof(nops)), -1);
	assert_int_equal(errno, EPERM);
	for (size_t i = 0; i < 4; i++) {
		const int names[] = { IPV6_HOPOPTS, IPV6_RTHDR, IPV6_DSTOPTS,
				      IPV6_RTHDRDSTOPTS };

		assert_int_equal(setsockopt(fd6, IPPROTO_IPV6, names[i], header,
					    sizeof(header)),
				 -1);
		assert_int_equal(errno, EPERM);
	}
	/* Others are none of its business, however large they are. */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_TTL, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, large, sizeof(large)), 0);
	close(fd);
	close(fd6);
}

static void the_own_loopback_is_free(void **state)
{
	_close_ int server = -1;
	struct sockaddr_storage a;
	socklen_t len = sockaddr_of("127.0.0.1", 3000, &a);

	needs_root();
	attach(0);
	server = inside_socket(AF_INET, SOCK_STREAM);
	assert_int_equal(bind(server, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(server, 8), 0);
	assert_int_equal(try_connect(AF_INET, "127.0.0.1", 3000), 0);
	assert_int_equal(try_connect(AF_INET, "0.0.0.0", 3000), 0);
	assert_int_equal(try_connect(AF_INET6, "::ffff:127.0.0.1", 3000), 0);
	assert_int_equal(try_connect(AF_INET6, "::1", 3000), -ECONNREFUSED);
	assert_int_equal(try_send(AF_INET, "127.0.0.1", 3000), 0);
	/* An engine's resolver is there, which asks others. */
	assert_int_equal(try_connect(AF_INET, "127.0.0.11", 53), -EPERM);
	assert_int_equal(try_connect(AF_INET, "127.0.0.11", 3000), -EPERM);
	assert_int_equal(try_connect(AF_INET6, "::ffff:127.0.0.11", 3000), -EPERM);
	assert_int_equal(try_send(AF_INET, "127.0.0.11", 3000), -EPERM);
}

static void the_hosts_loopback_is_not(void **state)
{
	struct sockaddr_storage a;
	socklen_t len = sockaddr_of("127.0.0.1", 3000, &a);
	int fd;

	needs_root();
	env.tables.config.flags = 0;
	attach(0);
	assert_int_equal(try_connect(AF_INET, "127.0.0.1", 3000), -EPERM);
	assert_int_equal(try_connect(AF_INET, "0.0.0.0", 3000), -EPERM);
	assert_int_equal(try_connect(AF_INET6, "::1", 3000), -EPERM);
	assert_int_equal(try_send(AF_INET, "127.0.0.1", 3000), -EPERM);
	/* Ports that others could reach are not to be taken, any port for a client is. */
	fd = inside_socket(AF_INET, SOCK_STREAM);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), -1);
	assert_int_equal(errno, EPERM);
	sockaddr_of("0.0.0.0", 0, &a);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	close(fd);
}

static int listen_inside(int type, uint16_t port)
{
	int fd = inside_socket(AF_INET, type), on = 1;
	struct sockaddr_storage a;
	socklen_t len = sockaddr_of("0.0.0.0", port, &a);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int outside_client(int type)
{
	return outside_socket_unbound(AF_INET, type);
}

static void open_port(uint32_t port)
{
	struct network_range *range = list_add(&env.tables.ranges);

	assert_non_null(range);
	*range = (struct network_range){ port, port, NETWORK_RULE_NONE, NETWORK_ALLOW };
	env.tables.config.incoming_count++;
}

static void others_connect_to_open_ports_alone(void **state)
{
	_close_ int open = -1, closed = -1, good = -1, bad = -1, in = -1, again = -1;
	char byte;

	needs_root();
	open_port(TCP(8080));
	attach(0);
	open = listen_inside(SOCK_STREAM, 8080);
	closed = listen_inside(SOCK_STREAM, 8081);
	good = outside_client(SOCK_STREAM);
	assert_int_equal(connect_to(good, IN4, 8080), 0);
	in = accept(open, NULL, NULL);
	assert_true(in >= 0);
	/* Both ways, though no rule lets it talk to this address. */
	assert_int_equal(write(good, "q", 1), 1);
	assert_true(is_readable(in, WAIT_MS));
	assert_int_equal(read(in, &byte, 1), 1);
	assert_int_equal(write(in, "a", 1), 1);
	assert_true(is_readable(good, WAIT_MS));
	assert_int_equal(read(good, &byte, 1), 1);
	bad = outside_client(SOCK_STREAM);
	assert_int_equal(connect_for(bad, IN4, 8081, 1500), -EINPROGRESS);
	assert_false(is_readable(closed, 0));
	/* The open port is no way out: neither as a source port, nor from a socket that listened. */
	again = inside_socket(AF_INET, SOCK_STREAM);
	assert_int_equal(connect_to(again, OUT4, 443), -EPERM);
	assert_int_equal(shutdown(open, SHUT_RDWR), 0);
	assert_int_equal(connect_to(open, OUT4, 443), -EPERM);
}

static void an_open_udp_port_answers_whom_it_heard_from(void **state)
{
	_close_ int open = -1, closed = -1, client = -1;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char byte;

	needs_root();
	open_port(UDP(5000));
	attach(0);
	open = listen_inside(SOCK_DGRAM, 5000);
	closed = listen_inside(SOCK_DGRAM, 5001);
	client = outside_socket(SOCK_DGRAM, OUT4, 6000);
	/* Nobody spoke yet. */
	assert_int_equal(send_to(open, OUT4, 6000), -EPERM);
	assert_int_equal(send_to(client, IN4, 5001), 0);
	assert_int_equal(send_to(client, IN4, 5000), 0);
	assert_true(is_readable(open, WAIT_MS));
	assert_false(is_readable(closed, 100));
	assert_int_equal(recvfrom(open, &byte, 1, 0, (struct sockaddr *)&from, &len), 1);
	assert_int_equal(sendto(open, "a", 1, 0, (struct sockaddr *)&from, len), 1);
	assert_true(is_readable(client, WAIT_MS));
	/* Him, from this port, and nobody else. */
	assert_int_equal(send_to(closed, OUT4, 6000), -EPERM);
	assert_int_equal(send_to(open, OUT4, 6001), -EPERM);
	assert_int_equal(send_to(open, OTHER4, 6000), -EPERM);
}

static void blocked_addresses_do_not_come_in(void **state)
{
	_close_ int tcp = -1, udp = -1, client = -1, sender = -1, reserved = -1, in = -1;

	needs_root();
	open_port(TCP(8080));
	open_port(UDP(5000));
	add_rule(&env.tables, OTHER4, 32, TCP(0), UDP(65535), NETWORK_DENY, 0);
	/* What is denied for no rule of the policy may come. */
	add_rule(&env.tables, "10.9.0.0", 24, TCP(0), UDP(65535), NETWORK_DENY,
		 NETWORK_RULE_RESERVED);
	attach(0);
	tcp = listen_inside(SOCK_STREAM, 8080);
	udp = listen_inside(SOCK_DGRAM, 5000);
	client = outside_socket_unbound(AF_INET, SOCK_STREAM);
	bind_to(client, OTHER4, 0);
	assert_int_equal(connect_for(client, IN4, 8080, 1500), -EINPROGRESS);
	sender = outside_socket(SOCK_DGRAM, OTHER4, 6000);
	assert_int_equal(send_to(sender, IN4, 5000), 0);
	assert_false(is_readable(udp, 200));
	assert_int_equal(send_to(udp, OTHER4, 6000), -EPERM);
	reserved = outside_socket_unbound(AF_INET, SOCK_STREAM);
	assert_int_equal(connect_to(reserved, IN4, 8080), 0);
	in = accept(tcp, NULL, NULL);
	assert_true(in >= 0);
}

static void groups_below_it_are_filtered_too(void **state)
{
	_free_ char *below = NULL;
	int fd;

	needs_root();
	add_rule(&env.tables, OUT4, 32, UDP(2000), UDP(2000), NETWORK_ALLOW, 0);
	attach(0);
	below = str_printf("%s/below", env.dir);
	assert_int_equal(mkdir(below, 0755), 0);
	fd = socket_in(below, AF_INET, SOCK_DGRAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(send_to(fd, OUT4, 2000), 0);
	assert_int_equal(send_to(fd, OUT4, 2001), -EPERM);
	assert_int_equal(socket_in(below, AF_INET, SOCK_RAW, IPPROTO_RAW), -EPERM);
	close(fd);
	for (int i = 0; i < 500 && rmdir(below) < 0; i++)
		usleep(10000);
	assert_int_equal(access(below, F_OK), -1);
}

/* What a filter further down allows says nothing further up, and the other way round. */
static void of_two_filters_both_hold(void **state)
{
	struct network_filter inner = NETWORK_FILTER_EMPTY;
	struct network_tables tables = {};
	_free_ char *below = NULL;
	_close_ int dir = -1, server = -1, fd = -1, udp = -1;
	struct err e;

	needs_root();
	add_rule(&env.tables, OUT4, 32, TCP(440), TCP(443), NETWORK_ALLOW, 0);
	add_rule(&env.tables, OTHER4, 32, UDP(2000), UDP(2000), NETWORK_ALLOW, 0);
	attach(0);
	below = str_printf("%s/below", env.dir);
	assert_int_equal(mkdir(below, 0755), 0);
	dir = open(below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tables.config = env.tables.config;
	add_rule(&tables, OUT4, 32, TCP(443), UDP(2000), NETWORK_ALLOW, 0);
	add_rule(&tables, OTHER4, 32, UDP(2000), UDP(2001), NETWORK_ALLOW, 0);
	assert_ok(network_filter_make(&tables, "inner", &inner, &e));
	assert_ok(network_filter_attach(&inner, dir, 0, &e));
	server = outside_socket(SOCK_STREAM, OUT4, 443);
	fd = socket_in(below, AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect_to(fd, OUT4, 442), -EPERM);
	assert_int_equal(connect_to(fd, OUT4, 444), -EPERM);
	assert_int_equal(connect_to(fd, OUT4, 443), 0);
	udp = socket_in(below, AF_INET, SOCK_DGRAM, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(send_to(udp, OTHER4, 2000), 0);
		assert_int_equal(send_to(udp, OTHER4, 2001), -EPERM);
		assert_int_equal(send_to(udp, OUT4, 2000), -EPERM);
	}
	network_filter_clear(&inner);
	assert_ok(network_filter_detach("inner", &e));
	clear_tables(&tables);
	fd_close(&dir);
	for (int i = 0; i < 500 && rmdir(below) < 0; i++)
		usleep(10000);
	assert_int_equal(access(below, F_OK), -1);
}

static void the_self_test_finds_out_whether_it_denies(void **state)
{
	struct err e;

	needs_root();
	allow_all();
	assert_true(network_filter_self_test(env.cgroup, &e) < 0);
	attach(0);
	assert_ok(network_filter_self_test(env.cgroup, &e));
	assert_ok(network_filter_detach("test.1", &e));
	assert_true(network_filter_self_test(env.cgroup, &e) < 0);
}

static int count_it(const char *name, uint64_t cgroup, unsigned int missing, void *arg)
{
	struct stat st;

	assert_string_equal(name, "test.1");
	assert_int_equal(stat(env.dir, &st), 0);
	assert_int_equal(cgroup, st.st_ino);
	assert_int_equal(missing, 0);
	++*(int *)arg;
	return 0;
}

static void pins_hold_it_and_detach_leaves_nothing(void **state)
{
	struct network_filter second = NETWORK_FILTER_EMPTY;
	_free_ char *containers = NULL;
	struct err e;
	int n = 0;

	needs_root();
	attach(0);
	network_filter_clear(&env.filter);
	assert_int_equal(try_send(AF_INET, OUT4, 2000), -EPERM);
	assert_ok(network_filter_list(count_it, &n, &e));
	assert_int_equal(n, 1);
	assert_int_equal(network_filter_make(&env.tables, "test.1", &second, &e), -EEXIST);
	assert_ok(network_filter_open("test.1", &second, &e));
	assert_int_equal(second.config.generation, 1);
	network_filter_clear(&second);
	assert_ok(network_filter_detach("test.1", &e));
	/* The kernel lets go of a group a moment after the last link to it is closed. */
	for (int i = 0; i < 500; i++) {
		int fd = socket_in(env.dir, AF_INET, SOCK_DGRAM, 0);
		int sent = fd < 0 ? fd : send_to(fd, OUT4, 2000);

		if (fd >= 0)
			close(fd);
		if (sent == 0)
			break;
		usleep(10000);
	}
	assert_int_equal(try_send(AF_INET, OUT4, 2000), 0);
	containers = str_printf("%s/containers/test=1", network_pins_own());
	assert_int_equal(access(containers, F_OK), -1);
	/* A second time is fine. */
	assert_ok(network_filter_detach("test.1", &e));
	n = 0;
	assert_ok(network_filter_list(count_it, &n, &e));
	assert_int_equal(n, 0);
}

static void more_prefixes_than_the_kernel_holds_are_refused(void **state)
{
	_free_ char *containers = NULL;
	struct err e;

	needs_root();
	for (uint32_t i = 0; i <= NETWORK_PREFIXES_MAX; i++) {
		struct network_table_entry *entry = list_add(&env.tables.v4);
		uint32_t address = htonl(0x0b000000u + i);

		assert_non_null(entry);
		memcpy(entry->address, &address, 4);
		entry->prefix_len = 32;
		entry->entry.first = (struct network_range){ TCP(1), TCP(1), 0,
							     NETWORK_ALLOW };
	}
	assert_true(network_filter_make(&env.tables, "test.1", &env.filter, &e) < 0);
	assert_int_equal(e.kind, ERR_POLICY);
	assert_non_null(strstr(e.msg, "131073 prefixes of IPv4 are too many"));
	containers = str_printf("%s/containers/test=1", network_pins_own());
	assert_int_equal(access(containers, F_OK), -1);
	env.tables.v4.n--;
	attach(0);
	assert_int_equal(try_connect(AF_INET, "11.0.0.1", 2), -EPERM);
}

static void other_groups_are_refused(void **state)
{
	_close_ int root = -1, tmp = -1;
	struct err e;

	needs_root();
	assert_ok(network_filter_make(&env.tables, "test.1", &env.filter, &e));
	root = open(cgroup2_mount(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(network_filter_attach(&env.filter, root, 0, &e), -EINVAL);
	assert_int_equal(network_filter_attach(&env.filter, tmp, 0, &e), -EOPNOTSUPP);
}

/* What a reload takes away is cut, what it leaves goes on, what it adds is there. */
static void a_reload_holds_at_once(void **state)
{
	_close_ int keep_server = -1, cut_server = -1, keep = -1, cut = -1, kept = -1,
		    dropped = -1;
	struct network_tables new = {};
	struct network_filter next = NETWORK_FILTER_EMPTY;
	struct err e;

	needs_root();
	add_rule(&env.tables, OUT4, 32, TCP(443), TCP(443), NETWORK_ALLOW, 0);
	add_rule(&env.tables, OTHER4, 32, TCP(443), TCP(443), NETWORK_ALLOW, 1);
	attach(0);
	keep_server = outside_socket(SOCK_STREAM, OUT4, 443);
	cut_server = outside_socket(SOCK_STREAM, OTHER4, 443);
	keep = inside_socket(AF_INET, SOCK_STREAM);
	cut = inside_socket(AF_INET, SOCK_STREAM);
	assert_int_equal(connect_to(keep, OUT4, 443), 0);
	assert_int_equal(connect_to(cut, OTHER4, 443), 0);
	kept = accept(keep_server, NULL, NULL);
	dropped = accept(cut_server, NULL, NULL);
	new.config = env.tables.config;
	add_rule(&new, OUT4, 32, TCP(443), TCP(444), NETWORK_ALLOW, 0);
	assert_ok(network_filter_make_next(&env.tables, &new, "test.1", &next, &e));
	assert_int_equal(try_connect(AF_INET, OUT4, 444), -EPERM);
	assert_ok(network_filter_switch(&next, 0, &e));
	network_filter_clear(&next);
	assert_int_equal(try_connect(AF_INET, OUT4, 444), -ECONNREFUSED);
	assert_int_equal(try_connect(AF_INET, OTHER4, 443), -EPERM);
	assert_int_equal(write(keep, "x", 1), 1);
	assert_true(is_readable(kept, WAIT_MS));
	/* The kernel takes the bytes and tries for long; none of them gets out, or in. */
	assert_int_equal(write(cut, "x", 1), 1);
	assert_int_equal(write(dropped, "y", 1), 1);
	assert_false(is_readable(dropped, 700));
	assert_false(is_readable(cut, 700));
	assert_ok(network_filter_open("test.1", &next, &e));
	assert_int_equal(next.config.generation, 2);
	network_filter_clear(&next);
	clear_tables(&new);
}

/* That others reached it when it listened says nothing of whom it has connected to since. */
static void a_socket_that_listened_is_cut_like_others(void **state)
{
	_close_ int server = -1, socket = -1, client = -1, dropped = -1;
	struct network_tables new = {};
	struct network_filter next = NETWORK_FILTER_EMPTY;
	struct err e;

	needs_root();
	open_port(TCP(8080));
	add_rule(&env.tables, OUT4, 32, TCP(443), TCP(443), NETWORK_ALLOW, 0);
	attach(0);
	server = outside_socket(SOCK_STREAM, OUT4, 443);
	/* From here on no rule is asked. */
	assert_int_equal(try_connect(AF_INET, OUT4, 443), 0);
	close(accept(server, NULL, NULL));
	socket = listen_inside(SOCK_STREAM, 8080);
	client = outside_client(SOCK_STREAM);
	assert_int_equal(connect_to(client, IN4, 8080), 0);
	assert_int_equal(shutdown(socket, SHUT_RDWR), 0);
	assert_int_equal(connect_to(socket, OUT4, 443), 0);
	dropped = accept(server, NULL, NULL);
	new.config = env.tables.config;
	assert_non_null(list_add(&new.ranges));
	new.ranges.v[0] = env.tables.ranges.v[0];
	assert_ok(network_filter_make_next(&env.tables, &new, "test.1", &next, &e));
	assert_ok(network_filter_switch(&next, 0, &e));
	network_filter_clear(&next);
	assert_int_equal(write(socket, "x", 1), 1);
	assert_false(is_readable(dropped, 700));
	clear_tables(&new);
}

static void nobody_mounted_bpffs(void **state)
{
	struct err e;
	int status;
	pid_t pid;

	needs_root();
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount("tmpfs", NETWORK_BPFFS, "tmpfs", 0, NULL) < 0)
			_exit(2);
		if (network_filter_make(&env.tables, "test.1", &env.filter, &e) >= 0)
			_exit(3);
		_exit(strstr(e.msg, "mount -t bpf bpf /sys/fs/bpf") ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- purple-network-load, as the runtime starts it --- */

/* Its place is private: a file system over the folder of the installed one. */
static void install_loader(const char *script)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("tmpfs", "/usr/libexec", "tmpfs", 0, NULL) < 0 ||
	    mount("bpf", NETWORK_BPFFS, "bpf", 0, NULL) < 0)
		_exit(10);
	self[n] = '\0';
	for (int i = 0; i < 3; i++)
		*strrchr(self, '/') = '\0';
	shell("mkdir -p " PKGLIBEXECDIR);
	if (script) {
		shell("printf '%s' >" PKGLIBEXECDIR "/purple-network-load && "
		      "chmod 755 " PKGLIBEXECDIR "/purple-network-load",
		      script);
		return;
	}
	/* In the build tree; of a shared build it is a script beside the program. */
	shell("cp %s/purple-network-load " PKGLIBEXECDIR, self);
}

static int count_entries(const char *folder)
{
	_free_ char *command = str_printf("ls %s/%s | wc -l", network_pins_own(), folder);
	FILE *f = popen(command, "r");
	int n = -1;

	if (!f || fscanf(f, "%d", &n) != 1)
		n = -1;
	if (f)
		pclose(f);
	return n;
}

/* More containers than spares, and then none: everything is as it was. */
static int load_and_tidy(void *arg)
{
	struct network_filter f[6];
	struct err e;

	install_loader(NULL);
	for (int i = 0; i < 6; i++) {
		char name[16];

		snprintf(name, sizeof(name), "many.%d", i);
		if (network_filter_make(&env.tables, name, &f[i], &e) < 0) {
			fprintf(stderr, "%s\n", e.msg);
			return 1;
		}
		network_filter_clear(&f[i]);
	}
	if (count_entries("containers") != 6)
		return 2;
	for (int i = 0; i < 6; i++) {
		char name[16];

		snprintf(name, sizeof(name), "many.%d", i);
		if (network_filter_detach(name, &e) < 0)
			return 3;
	}
	if (count_entries("containers") != 0 || count_entries("trash") != 6)
		return 4;
	network_filter_tidy();
	for (int i = 0; i < 1000; i++) {
		if (count_entries("trash") == 0 && count_entries("spare") == 4)
			return 0;
		usleep(10000);
	}
	return 5;
}

/* How many containers' maps are in a map of maps. */
static int count_inner(void)
{
	_free_ char *path = str_printf("%s/%s", network_pins_own(),
				       network_map_names[NETWORK_MAP_RINGS]);
	_close_ int map = kbpf_get(path);
	uint64_t key, next;
	int n = 0;

	for (const uint64_t *at = NULL; kbpf_map_next(map, at, &next) == 0; at = &key) {
		key = next;
		n++;
	}
	return n;
}

/* One after another, each a little later. */
static int kill_loaders(void *arg)
{
	struct network_filter f;
	struct err e;

	install_loader(NULL);
	for (int i = 0; i < 60; i++) {
		pid_t pid;

		if (network_filter_make(&env.tables, "killed.1", &f, &e) < 0) {
			fprintf(stderr, "%s\n", e.msg);
			return 1;
		}
		network_filter_clear(&f);
		if (network_filter_detach("killed.1", &e) < 0)
			return 2;
		pid = fork();
		if (pid == 0)
			_exit(network_load(&e) < 0);
		usleep((useconds_t)i * 500);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	if (network_load(&e) < 0)
		return 3;
	if (count_entries("spare") != 4 || count_entries("trash") != 0)
		return 4;
	return count_inner() == 4 ? 0 : 5;
}

static int make_with(const char *script, const char *error)
{
	struct network_filter f;
	struct err e;

	install_loader(script);
	if (network_filter_make(&env.tables, "test.1", &f, &e) >= 0)
		return 1;
	if (strstr(e.msg, error))
		return 0;
	fprintf(stderr, "%s\n", e.msg);
	return 2;
}

static int loader_says_why(void *arg)
{
	return make_with("#!/bin/sh\\necho the verifier says no >&2; exit 1",
			 "the verifier says no");
}

static int loader_does_nothing(void *arg)
{
	return make_with("#!/bin/sh\\nexit 0", "cannot make");
}

static void the_runtime_loads_it_when_it_is_not_there(void **state)
{
	needs_root();
	assert_int_equal(run_in_group(env.dir, load_and_tidy, NULL), 0);
}

static void a_loader_that_is_killed_leaves_no_maps(void **state)
{
	needs_root();
	assert_int_equal(run_in_group(env.dir, kill_loaders, NULL), 0);
}

static void a_loader_that_fails_says_why(void **state)
{
	needs_root();
	assert_int_equal(run_in_group(env.dir, loader_says_why, NULL), 0);
	assert_int_equal(run_in_group(env.dir, loader_does_nothing, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_container, remove_container)
	const struct CMUnitTest tests[] = {
		TEST(without_its_rules_written_all_is_denied),
		TEST(addresses_and_ports_decide),
		TEST(datagrams_arrive_where_they_may),
		TEST(many_ranges_of_ports_are_searched),
		TEST(what_is_remembered_is_of_one_target),
		TEST(all_calls_are_counted),
		TEST(what_no_rule_speaks_of_falls_back),
		TEST(only_tcp_and_udp_sockets_are_made),
		TEST(multipath_tcp_is_tcp),
		TEST(fast_open_is_a_connect),
		TEST(options_that_add_headers_are_refused),
		TEST(the_own_loopback_is_free),
		TEST(the_hosts_loopback_is_not),
		TEST(others_connect_to_open_ports_alone),
		TEST(an_open_udp_port_answers_whom_it_heard_from),
		TEST(blocked_addresses_do_not_come_in),
		TEST(groups_below_it_are_filtered_too),
		TEST(of_two_filters_both_hold),
		TEST(the_self_test_finds_out_whether_it_denies),
		TEST(pins_hold_it_and_detach_leaves_nothing),
		TEST(more_prefixes_than_the_kernel_holds_are_refused),
		TEST(other_groups_are_refused),
		TEST(a_reload_holds_at_once),
		TEST(a_socket_that_listened_is_cut_like_others),
		TEST(nobody_mounted_bpffs),
		TEST(the_runtime_loads_it_when_it_is_not_there),
		TEST(a_loader_that_is_killed_leaves_no_maps),
		TEST(a_loader_that_fails_says_why),
	};

	return cmocka_run_group_tests(tests, set_up_host, tear_down_host);
}
