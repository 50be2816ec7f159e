/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network filter in the real kernel: packets that no honest call makes, at the cgroup and at
 * the devices, and the events. Raw sockets are made before the filter is attached, as one that was
 * inherited would be. See network_host.h.
 */
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <sys/utsname.h>

#include "network/tcx.h"
#include "network/wire.h"
#include "network_host.h"

static void allow_port(const char *address, unsigned int prefix_len, uint32_t port)
{
	add_rule(&env.tables, address, prefix_len, port, port, NETWORK_ALLOW, 0);
}

static uint16_t checksum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* IPv4 with UDP of one byte in it; `ihl` in words, `fragment` as in the header. */
static size_t make_v4(uint8_t *p, const char *to, uint16_t port, unsigned int ihl,
		      uint16_t fragment, uint8_t protocol)
{
	struct iphdr *ip = (struct iphdr *)p;
	struct udphdr *udp = (struct udphdr *)(p + ihl * 4);
	size_t len = ihl * 4 + sizeof(*udp) + 1;

	memset(p, 0, len);
	ip->version = 4;
	ip->ihl = ihl & 15;
	ip->tot_len = htons((uint16_t)len);
	ip->id = htons(77);
	ip->frag_off = htons(fragment);
	ip->ttl = 64;
	ip->protocol = protocol;
	inet_pton(AF_INET, IN4, &ip->saddr);
	inet_pton(AF_INET, to, &ip->daddr);
	memset(p + 20, 1, ihl * 4 - 20); /* options: nothing, so many times */
	udp->source = htons(4444);
	udp->dest = htons(port);
	udp->len = htons(sizeof(*udp) + 1);
	ip->check = checksum(p, ihl * 4, 0);
	return len;
}

static int send_raw(int fd, const void *packet, size_t len, const char *to)
{
	struct sockaddr_storage a;
	socklen_t size = sockaddr_of(to, 0, &a);

	return sendto(fd, packet, len, 0, (struct sockaddr *)&a, size) < 0 ? -errno : 0;
}

static int send_v4(int fd, const char *to, uint16_t port, unsigned int ihl,
		   uint16_t fragment, uint8_t protocol)
{
	uint8_t packet[128];
	size_t len = make_v4(packet, to, port, ihl, fragment, protocol);

	return send_raw(fd, packet, len, to);
}

static void packets_of_ipv4_are_taken_apart(void **state)
{
	_close_ int raw = -1, server = -1;

	needs_root();
	allow_port(OUT4, 32, UDP(2000));
	raw = socket_in(env.dir, AF_INET, SOCK_RAW, IPPROTO_RAW);
	assert_true(raw >= 0);
	server = outside_socket(SOCK_DGRAM, OUT4, 2000);
	/* It would get by. */
	assert_int_equal(send_v4(raw, OUT4, 2001, 5, 0, IPPROTO_UDP), 0);
	assert_int_equal(send_v4(raw, OTHER4, 2000, 6, 0, IPPROTO_UDP), 0);
	attach(0);
	assert_int_equal(send_v4(raw, OUT4, 2000, 5, 0, IPPROTO_UDP), 0);
	assert_true(is_readable(server, WAIT_MS));
	assert_int_equal(send_v4(raw, OUT4, 2001, 5, 0, IPPROTO_UDP), -EPERM);
	assert_int_equal(send_v4(raw, OTHER4, 2000, 5, 0, IPPROTO_UDP), -EPERM);
	assert_int_equal(send_v4(raw, OUT4, 2000, 5, 0, IPPROTO_TCP), -EPERM);
	/* Options; a piece without ports; other protocols: ICMP, IP in IP, SCTP. */
	assert_int_equal(send_v4(raw, OUT4, 2000, 6, 0, IPPROTO_UDP), -EPERM);
	assert_int_equal(send_v4(raw, OUT4, 2000, 15, 0, IPPROTO_UDP), -EPERM);
	assert_int_equal(send_v4(raw, OUT4, 2000, 5, 1, IPPROTO_UDP), -EPERM);
	assert_int_equal(send_v4(raw, OUT4, 2000, 5, IP_MF | 100, IPPROTO_UDP), -EPERM);
	assert_int_equal(send_v4(raw, OUT4, 2000, 5, 0, IPPROTO_ICMP), -EPERM);
	assert_int_equal(send_v4(raw, OUT4, 2000, 5, 0, IPPROTO_IPIP), -EPERM);
	assert_int_equal(send_v4(raw, OUT4, 2000, 5, 0, IPPROTO_SCTP), -EPERM);
}

/* IPv6 with `n` extension headers of one kind before UDP. */
static size_t make_v6(uint8_t *p, const char *to, uint16_t port, uint8_t extension,
		      size_t n, uint16_t fragment)
{
	struct ip6_hdr *ip = (struct ip6_hdr *)p;
	struct udphdr *udp = (struct udphdr *)(p + sizeof(*ip) + n * 8);
	size_t payload = n * 8 + sizeof(*udp) + 1;

	memset(p, 0, sizeof(*ip) + payload);
	ip->ip6_vfc = 0x60;
	ip->ip6_plen = htons((uint16_t)payload);
	ip->ip6_hops = 64;
	ip->ip6_nxt = n ? extension : IPPROTO_UDP;
	inet_pton(AF_INET6, IN6, &ip->ip6_src);
	inet_pton(AF_INET6, to, &ip->ip6_dst);
	for (size_t i = 0; i < n; i++) {
		uint8_t *h = p + sizeof(*ip) + i * 8;

		h[0] = i + 1 < n ? extension : IPPROTO_UDP;
		if (extension == IPPROTO_FRAGMENT) {
			h[2] = (uint8_t)(fragment >> 8);
			h[3] = (uint8_t)fragment;
		} else if (extension == IPPROTO_ROUTING) {
			h[2] = 4;
		} else {
			h[2] = 1; /* PadN of four bytes */
			h[3] = 4;
		}
	}
	udp->source = htons(4444);
	udp->dest = htons(port);
	udp->len = htons(sizeof(*udp) + 1);
	udp->check = checksum(udp, sizeof(*udp) + 1,
			      (uint16_t)~ntohs(checksum(&ip->ip6_src, 32,
							IPPROTO_UDP + sizeof(*udp) + 1)));
	return sizeof(*ip) + payload;
}

static int send_v6(int fd, const char *to, uint16_t port, uint8_t extension, size_t n,
		   uint16_t fragment)
{
	uint8_t packet[256];
	size_t len = make_v6(packet, to, port, extension, n, fragment);

	return send_raw(fd, packet, len, to);
}

static void extension_headers_of_ipv6_are_walked(void **state)
{
	_close_ int raw = -1, server = -1;
	char byte;

	needs_root();
	allow_port(OUT6, 128, UDP(2000));
	raw = socket_in(env.dir, AF_INET6, SOCK_RAW, IPPROTO_RAW);
	assert_true(raw >= 0);
	server = outside_socket(SOCK_DGRAM, OUT6, 2000);
	assert_int_equal(send_v6(raw, OTHER6, 2000, IPPROTO_DSTOPTS, 1, 0), 0);
	attach(0);
	for (size_t n = 0; n <= 6; n++) {
		assert_int_equal(send_v6(raw, OUT6, 2000, IPPROTO_DSTOPTS, n, 0), 0);
		assert_int_equal(send_v6(raw, OUT6, 2001, IPPROTO_DSTOPTS, n, 0), -EPERM);
	}
	assert_true(is_readable(server, WAIT_MS));
	assert_int_equal(read(server, &byte, 1), 1);
	assert_int_equal(send_v6(raw, OUT6, 2000, IPPROTO_DSTOPTS, 7, 0), -EPERM);
	assert_int_equal(send_v6(raw, OTHER6, 2000, IPPROTO_DSTOPTS, 1, 0), -EPERM);
	assert_int_equal(send_v6(raw, OUT6, 2001, IPPROTO_HOPOPTS, 1, 0), -EPERM);
	assert_int_equal(send_v6(raw, OUT6, 2000, IPPROTO_ROUTING, 1, 0), -EPERM);
	/* The first piece of a datagram has its ports, the others have none. */
	assert_int_equal(send_v6(raw, OUT6, 2000, IPPROTO_FRAGMENT, 1, 1), 0);
	assert_int_equal(send_v6(raw, OUT6, 2001, IPPROTO_FRAGMENT, 1, 1), -EPERM);
	assert_int_equal(send_v6(raw, OUT6, 2000, IPPROTO_FRAGMENT, 1, 8), -EPERM);
	assert_int_equal(send_v6(raw, OUT6, 2000, 59, 1, 0), -EPERM);
	assert_int_equal(send_v6(raw, OUT6, 2001, IPPROTO_AH, 1, 0), -EPERM);
}

static void pings_are_denied_and_neighbours_found(void **state)
{
	struct icmp6_hdr echo = { .icmp6_type = ICMP6_ECHO_REQUEST };
	struct icmp6_hdr solicit = { .icmp6_type = ND_NEIGHBOR_SOLICIT };
	_close_ int raw6 = -1;
	int hops = 255;

	needs_root();
	allow_port("::", 0, UDP(2000));
	raw6 = socket_in(env.dir, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	assert_true(raw6 >= 0);
	attach(0);
	assert_int_equal(send_raw(raw6, &echo, sizeof(echo), OUT6), -EPERM);
	assert_int_equal(send_raw(raw6, &solicit, sizeof(solicit), OUT6), -EPERM);
	assert_int_equal(setsockopt(raw6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops,
				    sizeof(hops)),
			 0);
	assert_int_equal(send_raw(raw6, &solicit, sizeof(solicit), OUT6), 0);
	assert_int_equal(send_raw(raw6, &echo, sizeof(echo), OUT6), -EPERM);
}

/* --- at the devices --- */

static void attach_wire(unsigned int at_host, unsigned int in_ns)
{
	struct network_wires wires = {};
	struct err e;
	int r;

	assert_int_equal(setns(env.outside, CLONE_NEWNET), 0);
	r = network_wire_attach(&env.filter, env.inside, &wires, &e);
	assert_int_equal(setns(env.inside, CLONE_NEWNET), 0);
	if (r < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(wires.at_host, at_host);
	assert_int_equal(wires.in_ns, in_ns);
}

/* The container's packets to the outside's device, as it is. */
static int send_frame(int fd, const char *device, const char *dst_mac_of, uint16_t type,
		      const void *packet, size_t len)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_IP),
				  .sll_ifindex = (int)if_nametoindex(device) };
	uint8_t frame[512] = {};
	unsigned int mac[6] = {};
	char text[64] = "", path[128];
	FILE *f;

	snprintf(path, sizeof(path), "nsenter -t %d -n ip -br link show %s",
		 (int)env.holder, dst_mac_of);
	f = popen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*s %*s %63s", text), 1);
	pclose(f);
	assert_int_equal(sscanf(text, "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2],
				&mac[3], &mac[4], &mac[5]),
			 6);
	for (int i = 0; i < 6; i++)
		frame[i] = (uint8_t)mac[i];
	frame[6] = 2;
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
	memcpy(frame + 14, packet, len);
	return sendto(fd, frame, len + 14, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ?
		       -errno :
		       0;
}

static void packet_sockets_stop_at_the_hosts_end(void **state)
{
	_close_ int frames = -1, denied = -1, allowed = -1;
	uint8_t packet[128];
	size_t len;
	char byte;

	needs_root();
	allow_port(OUT4, 32, UDP(2000));
	frames = socket_in(env.dir, AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	assert_true(frames >= 0);
	denied = outside_socket(SOCK_DGRAM, OUT4, 2001);
	allowed = outside_socket(SOCK_DGRAM, OUT4, 2000);
	attach(0);
	/* The cgroup does not see it. */
	len = make_v4(packet, OUT4, 2001, 5, 0, IPPROTO_UDP);
	assert_int_equal(send_frame(frames, "eth0", "host0", ETH_P_IP, packet, len), 0);
	assert_true(is_readable(denied, WAIT_MS));
	assert_int_equal(read(denied, &byte, 1), 1);
	attach_wire(1, 0);
	assert_int_equal(send_frame(frames, "eth0", "host0", ETH_P_IP, packet, len), 0);
	len = make_v4(packet, OUT4, 2001, 6, 0, IPPROTO_UDP);
	assert_int_equal(send_frame(frames, "eth0", "host0", ETH_P_IP, packet, len), 0);
	/* In order, so that this one's arrival says that the others were dropped. */
	len = make_v4(packet, OUT4, 2000, 5, 0, IPPROTO_UDP);
	assert_int_equal(send_frame(frames, "eth0", "host0", ETH_P_IP, packet, len), 0);
	assert_true(is_readable(allowed, WAIT_MS));
	assert_false(is_readable(denied, 0));
	/* Again: in the place of the one that is there. */
	attach_wire(1, 0);
	assert_int_equal(try_send(AF_INET, OUT4, 2000), 0);
}

static void other_ethertypes_stop_at_the_hosts_end(void **state)
{
	_close_ int frames = -1, sniffer = -1;
	char payload[64] = "purple", got[256];
	ssize_t n;

	needs_root();
	frames = socket_in(env.dir, AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	attach(0);
	assert_int_equal(setns(env.outside, CLONE_NEWNET), 0);
	sniffer = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(0x88b5));
	assert_int_equal(setns(env.inside, CLONE_NEWNET), 0);
	assert_int_equal(send_frame(frames, "eth0", "host0", 0x88b5, payload,
				    sizeof(payload)),
			 0);
	assert_true(is_readable(sniffer, WAIT_MS));
	n = read(sniffer, got, sizeof(got));
	assert_true(n >= 6 && memcmp(got, "purple", 6) == 0);
	attach_wire(1, 0);
	assert_int_equal(send_frame(frames, "eth0", "host0", 0x88b5, payload,
				    sizeof(payload)),
			 0);
	assert_false(is_readable(sniffer, 300));
}

/* What the rules allow gets over the wire, in pieces too; so do neighbours and answers. */
static void what_is_allowed_gets_over_the_wire(void **state)
{
	_close_ int server = -1, fd = -1, tcp = -1;
	static char large[9000], got[9000];
	struct sockaddr_storage a;
	socklen_t len;

	needs_root();
	allow_port(OUT4, 32, UDP(2000));
	add_rule(&env.tables, OUT6, 128, TCP(443), UDP(2000), NETWORK_ALLOW, 0);
	attach(0);
	attach_wire(1, 0);
	shell("ip neigh flush all");
	server = outside_socket(SOCK_DGRAM, OUT4, 2000);
	fd = inside_socket(AF_INET, SOCK_DGRAM);
	len = sockaddr_of(OUT4, 2000, &a);
	assert_int_equal(sendto(fd, large, sizeof(large), 0, (struct sockaddr *)&a, len),
			 sizeof(large));
	assert_true(is_readable(server, WAIT_MS));
	assert_int_equal(recv(server, got, sizeof(got), 0), sizeof(got));
	tcp = outside_socket(SOCK_STREAM, OUT6, 443);
	assert_int_equal(try_connect(AF_INET6, OUT6, 443), 0);
}

/* A connection that came in is answered at the device as well. */
static void incoming_connections_pass_the_wire(void **state)
{
	_close_ int server = -1, client = -1, in = -1;
	struct network_range *range;
	struct sockaddr_storage a;
	socklen_t len = sockaddr_of("0.0.0.0", 8080, &a);
	int on = 1;
	char byte;

	needs_root();
	range = list_add(&env.tables.ranges);
	*range = (struct network_range){ TCP(8080), TCP(8080), NETWORK_RULE_NONE,
					 NETWORK_ALLOW };
	env.tables.config.incoming_count = 1;
	attach(0);
	attach_wire(1, 0);
	server = inside_socket(AF_INET, SOCK_STREAM);
	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(server, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(server, 8), 0);
	client = outside_socket_unbound(AF_INET, SOCK_STREAM);
	assert_int_equal(connect_to(client, IN4, 8080), 0);
	in = accept(server, NULL, NULL);
	assert_int_equal(write(in, "a", 1), 1);
	assert_true(is_readable(client, WAIT_MS));
	assert_int_equal(read(client, &byte, 1), 1);
}

/* A device whose other end is not the host's: where packets leave it. */
static void a_lone_device_is_filtered_itself(void **state)
{
	_close_ int frames = -1, sniffer = -1;
	uint8_t packet[128];
	size_t len;

	needs_root();
	allow_port(OUT4, 32, UDP(2000));
	shell("ip link add lone0 type veth peer name lone1 && ip link set lone0 up && "
	      "ip link set lone1 up");
	frames = socket_in(env.dir, AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	sniffer = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_int_equal(bind(sniffer,
			      (struct sockaddr *)&(struct sockaddr_ll){
				      .sll_family = AF_PACKET,
				      .sll_protocol = htons(ETH_P_ALL),
				      .sll_ifindex = (int)if_nametoindex("lone1") },
			      sizeof(struct sockaddr_ll)),
			 0);
	attach(0);
	attach_wire(1, 2);
	len = make_v4(packet, OUT4, 2001, 5, 0, IPPROTO_UDP);
	/* Egress tells the sender; a sniffer sees what left the filter behind it. */
	send_frame(frames, "lone0", "host0", ETH_P_IP, packet, len);
	len = make_v4(packet, OUT4, 2000, 5, 0, IPPROTO_UDP);
	send_frame(frames, "lone0", "host0", ETH_P_IP, packet, len);
	for (bool seen = false; !seen;) {
		uint8_t got[256];
		ssize_t n;

		assert_true(is_readable(sniffer, WAIT_MS));
		n = read(sniffer, got, sizeof(got));
		if (n < 38 || got[12] != 8 || got[13] != 0)
			continue;
		assert_int_equal(got[36] << 8 | got[37], 2000);
		seen = true;
	}
	shell("ip link del lone0");
}

static void when_the_container_is_gone_nothing_passes(void **state)
{
	_close_ int frames = -1, server = -1;
	uint8_t packet[128];
	struct err e;
	size_t len;

	needs_root();
	allow_port(OUT4, 32, UDP(2000));
	frames = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	server = outside_socket(SOCK_DGRAM, OUT4, 2000);
	attach(0);
	attach_wire(1, 0);
	assert_ok(network_filter_detach("test.1", &e));
	len = make_v4(packet, OUT4, 2000, 5, 0, IPPROTO_UDP);
	assert_int_equal(send_frame(frames, "eth0", "host0", ETH_P_IP, packet, len), 0);
	assert_false(is_readable(server, 300));
}

static void the_own_namespace_is_refused(void **state)
{
	struct network_wires wires = {};
	struct err e;

	needs_root();
	attach(0);
	assert_int_equal(network_wire_attach(&env.filter, env.inside, &wires, &e), -EINVAL);
}

/* --- events --- */

#define EVENTS_MAX 64
struct events {
	struct network_event v[EVENTS_MAX];
	size_t n;
};

static int take_event(void *arg, void *data, size_t size)
{
	struct events *l = arg;

	assert_true(size >= sizeof(l->v[0]));
	if (l->n < EVENTS_MAX)
		memcpy(&l->v[l->n++], data, sizeof(l->v[0]));
	return 0;
}

static void read_events(struct events *ret)
{
	struct ring_buffer *ring = ring_buffer__new(env.filter.maps[NETWORK_MAP_RINGS],
						    take_event, ret, NULL);

	assert_non_null(ring);
	assert_true(ring_buffer__consume(ring) >= 0);
	ring_buffer__free(ring);
}

static void a_denial_is_an_event(void **state)
{
	struct network_hits hits = {};
	struct events l = {};
	uint8_t address[16] = { [10] = 0xff, [11] = 0xff, 10, 9, 1, 1 };
	struct stat st;
	int fd;

	needs_root();
	add_rule(&env.tables, OTHER4, 32, TCP(0), UDP(65535), NETWORK_DENY, 3);
	attach(0);
	fd = inside_socket(AF_INET, SOCK_STREAM);
	assert_int_equal(connect_to(fd, OTHER4, 443), -EPERM);
	close(fd);
	read_events(&l);
	assert_int_equal(l.n, 1);
	assert_memory_equal(l.v[0].address, address, 16);
	assert_int_equal(l.v[0].port, 443);
	assert_int_equal(l.v[0].family, AF_INET);
	assert_int_equal(l.v[0].protocol, IPPROTO_TCP);
	assert_int_equal(l.v[0].hook, NETWORK_HOOK_CONNECT);
	assert_int_equal(l.v[0].verdict, NETWORK_DENY);
	assert_int_equal(l.v[0].rule, 3);
	assert_int_equal(l.v[0].count, 1);
	assert_int_equal(l.v[0].pid, getpid());
	assert_int_equal(l.v[0].uid, 0);
	assert_int_equal(strncmp(l.v[0].comm, "network_packet_", 15), 0);
	assert_true(l.v[0].time != 0);
	assert_int_equal(stat(env.dir, &st), 0);
	assert_int_equal(network_filter_hits(&env.filter, 3, &hits), 0);
	assert_int_equal(hits.denied, 1);
	assert_int_equal(hits.events, 1);
	assert_int_equal(hits.lost, 0);
}

static void alike_denials_are_counted(void **state)
{
	struct network_hits hits = {};
	struct events l = {};
	uint64_t sum = 0;
	int fd;

	needs_root();
	attach(0);
	fd = inside_socket(AF_INET, SOCK_DGRAM);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(send_to(fd, OUT4, 2000), -EPERM);
	assert_int_equal(send_to(fd, OUT4, 2001), -EPERM);
	/* Until more than a second has gone by since the first: the rest is said with it. */
	for (int i = 0; i < 500 && sum < 1002; i++) {
		usleep(10000);
		assert_int_equal(send_to(fd, OUT4, 2000), -EPERM);
		read_events(&l);
		sum = 0;
		for (size_t j = 0; j < l.n; j++)
			sum += l.v[j].count;
	}
	close(fd);
	assert_true(sum >= 1002);
	/* On a slow machine there are some more, but not one for each. */
	assert_true(l.n >= 3 && l.n < 30);
	assert_int_equal(l.v[0].count, 1);
	assert_int_equal(l.v[0].rule, NETWORK_RULE_NONE);
	assert_int_equal(network_filter_hits(&env.filter, NETWORK_RULE_NONE, &hits), 0);
	assert_true(hits.denied >= sum);
	assert_int_equal(hits.events, l.n);
}

static void events_that_find_no_room_are_counted(void **state)
{
	struct network_hits hits = {}, one = {};
	struct events l = {};
	uint64_t events = 0;
	char address[16];
	int fd;

	needs_root();
	for (unsigned int rule = 0; rule < 20; rule++) {
		snprintf(address, sizeof(address), "10.9.7.%u", rule);
		add_rule(&env.tables, address, 32, TCP(0), UDP(65535), NETWORK_DENY, rule);
	}
	attach(0);
	fd = inside_socket(AF_INET, SOCK_DGRAM);
	for (unsigned int rule = 0; rule < 20; rule++) {
		snprintf(address, sizeof(address), "10.9.7.%u", rule);
		for (unsigned int port = 1; port <= 150; port++)
			assert_int_equal(send_to(fd, address, (uint16_t)port), -EPERM);
		assert_int_equal(network_filter_hits(&env.filter, rule, &one), 0);
		assert_int_equal(one.denied, 150);
		assert_int_equal(one.events + one.lost, 150);
		events += one.events;
	}
	close(fd);
	assert_int_equal(network_filter_hits(&env.filter, NETWORK_RULE_ALL, &hits), 0);
	assert_int_equal(hits.denied, 3000);
	assert_true(hits.lost > 0);
	assert_int_equal(hits.limited, 0);
	assert_int_equal(hits.events, events);
	assert_int_equal(hits.events + hits.lost, 3000);
	read_events(&l);
	assert_int_equal(l.n, EVENTS_MAX);
}

/* Who tries all addresses leaves room for what other rules have to tell. */
static void a_rule_has_so_many_events_and_no_more(void **state)
{
	struct network_hits hits = {}, all = {};
	int fd;

	needs_root();
	add_rule(&env.tables, OTHER4, 32, TCP(0), UDP(65535), NETWORK_DENY, 3);
	attach(0);
	fd = inside_socket(AF_INET, SOCK_DGRAM);
	for (unsigned int port = 1; port <= 5000; port++)
		assert_int_equal(send_to(fd, OUT4, (uint16_t)port), -EPERM);
	assert_int_equal(network_filter_hits(&env.filter, NETWORK_RULE_NONE, &hits), 0);
	assert_int_equal(hits.denied, 5000);
	assert_int_equal(hits.events + hits.limited, 5000);
	assert_true(hits.events >= NETWORK_EVENTS_BURST && hits.limited > 0);
	assert_int_equal(send_to(fd, OTHER4, 1), -EPERM);
	assert_int_equal(network_filter_hits(&env.filter, 3, &hits), 0);
	assert_int_equal(hits.events, 1);
	assert_int_equal(network_filter_hits(&env.filter, NETWORK_RULE_ALL, &all), 0);
	assert_int_equal(all.denied, 5001);
	assert_int_equal(all.events + all.limited, 5001);
	/* One more when time has gone by. */
	assert_int_equal(network_filter_hits(&env.filter, NETWORK_RULE_NONE, &hits), 0);
	all = hits;
	for (unsigned int i = 0; i < 1000 && hits.events == all.events; i++) {
		usleep(10000);
		assert_int_equal(send_to(fd, OUT4, (uint16_t)(6000 + i)), -EPERM);
		assert_int_equal(network_filter_hits(&env.filter, NETWORK_RULE_NONE, &hits),
				 0);
	}
	assert_true(hits.events > all.events);
	close(fd);
}

static void audit_records_and_lets_pass(void **state)
{
	_close_ int server = -1, tcp = -1;
	struct events l = {};

	needs_root();
	add_rule(&env.tables, OUT4, 32, TCP(0), UDP(65535), NETWORK_AUDIT, 1);
	attach(0);
	attach_wire(1, 0);
	server = outside_socket(SOCK_DGRAM, OUT4, 2000);
	tcp = outside_socket(SOCK_STREAM, OUT4, 443);
	assert_int_equal(try_send(AF_INET, OUT4, 2000), 0);
	assert_true(is_readable(server, WAIT_MS));
	assert_int_equal(try_connect(AF_INET, OUT4, 443), 0);
	read_events(&l);
	assert_true(l.n >= 2);
	for (size_t i = 0; i < l.n; i++) {
		assert_int_equal(l.v[i].verdict, NETWORK_AUDIT);
		assert_int_equal(l.v[i].rule, 1);
	}
	assert_int_equal(try_send(AF_INET, OTHER4, 2000), -EPERM);
}

static void a_raw_packet_is_an_event_of_its_socket(void **state)
{
	_close_ int raw = -1;
	struct events l = {};

	needs_root();
	raw = socket_in(env.dir, AF_INET, SOCK_RAW, IPPROTO_RAW);
	attach(0);
	assert_int_equal(send_v4(raw, OUT4, 2000, 6, 0, IPPROTO_UDP), -EPERM);
	read_events(&l);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].hook, NETWORK_HOOK_OUT);
	assert_int_equal(l.v[0].rule, NETWORK_RULE_PROTOCOL);
}

/* --- the two ways at the host's end --- */

static int open_pin(const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", network_pins_own(), name);
	return kbpf_get(path);
}

/* Whether devices of the outside are known by their index; else their filters have numbers. */
static int set_home(bool is_home)
{
	_close_ int sock = -1, home = open_pin("home");
	uint64_t cookie = 0;
	uint32_t zero = 0;

	if (home < 0 || setns(env.outside, CLONE_NEWNET) < 0)
		return -1;
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (is_home)
		cookie = network_tcx_namespace(sock);
	if (setns(env.inside, CLONE_NEWNET) < 0 || (is_home && !cookie))
		return -1;
	return kbpf_map_update(home, &zero, &cookie, BPF_ANY);
}

static int make_by_number(void **state)
{
	int r = make_container(state);

	return r == 0 && env.is_root ? set_home(false) : r;
}

static int make_by_index(void **state)
{
	int r = make_container(state);

	return r == 0 && env.is_root ? set_home(true) : r;
}

static bool kernel_has_tcx(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;

	assert_int_equal(uname(&u), 0);
	assert_int_equal(sscanf(u.release, "%u.%u", &major, &minor), 2);
	return major > 6 || (major == 6 && minor >= 6);
}

/* Which of the two is at the host's end, as the kernel says. */
static void assert_end(bool by_index)
{
	_close_ int program = open_pin(NETWORK_TCX_PROGRAM);
	int has;

	assert_true(program >= 0);
	assert_int_equal(setns(env.outside, CLONE_NEWNET), 0);
	has = network_tcx_has((int)if_nametoindex("host0"), program);
	assert_int_equal(setns(env.inside, CLONE_NEWNET), 0);
	assert_int_equal(has, by_index);
	shell("%snsenter -t %d -n tc filter show dev host0 ingress | grep -q purple",
	      by_index ? "! " : "", (int)env.holder);
}

static int count_filtered(const char *name, bool at_host, bool filtered, void *arg)
{
	*(int *)arg += at_host && filtered && strcmp(name, "host0") == 0;
	return 0;
}

/* One takes the other's place, and with neither the rules of before are left at the device. */
static void the_hosts_end_has_one_of_the_two(void **state)
{
	_close_ int server = -1;
	int filtered = 0;
	struct err e;

	needs_root();
	allow_port(OUT4, 32, UDP(2000));
	server = outside_socket(SOCK_DGRAM, OUT4, 2000);
	attach(0);
	for (int i = 0; i < 4; i++) {
		bool by_index = i % 2 == 1;
		char byte;

		assert_int_equal(set_home(by_index), 0);
		attach_wire(1, 0);
		assert_end(by_index && kernel_has_tcx());
		assert_int_equal(try_send(AF_INET, OUT4, 2000), 0);
		assert_true(is_readable(server, WAIT_MS));
		assert_int_equal(read(server, &byte, 1), 1);
	}
	assert_int_equal(setns(env.outside, CLONE_NEWNET), 0);
	assert_ok(network_wire_list(&env.filter, env.inside, count_filtered, &filtered, &e));
	assert_int_equal(setns(env.inside, CLONE_NEWNET), 0);
	assert_int_equal(filtered, 1);
}

/* The filter at the host's end stays, and lets nothing pass, when its container is gone. */
static int remove_both(void **state)
{
	if (env.is_root && (setns(env.outside, CLONE_NEWNET) < 0 ||
			    network_tcx_remove((int)if_nametoindex("host0"), -1) < 0 ||
			    setns(env.inside, CLONE_NEWNET) < 0))
		return -1;
	if (env.is_root)
		shell("nsenter -t %d -n tc qdisc del dev host0 clsact 2>/dev/null || :",
		      (int)env.holder);
	return remove_container(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_by_number, remove_both)
#define TEST_BY_INDEX(name)                                                 \
	{                                                                   \
#name " (by index)", name, make_by_index, remove_both, NULL \
	}
	const struct CMUnitTest tests[] = {
		TEST(packets_of_ipv4_are_taken_apart),
		TEST(extension_headers_of_ipv6_are_walked),
		TEST(pings_are_denied_and_neighbours_found),
		TEST(packet_sockets_stop_at_the_hosts_end),
		TEST_BY_INDEX(packet_sockets_stop_at_the_hosts_end),
		TEST(other_ethertypes_stop_at_the_hosts_end),
		TEST_BY_INDEX(other_ethertypes_stop_at_the_hosts_end),
		TEST(what_is_allowed_gets_over_the_wire),
		TEST_BY_INDEX(what_is_allowed_gets_over_the_wire),
		TEST(incoming_connections_pass_the_wire),
		TEST_BY_INDEX(incoming_connections_pass_the_wire),
		TEST(a_lone_device_is_filtered_itself),
		TEST_BY_INDEX(a_lone_device_is_filtered_itself),
		TEST(when_the_container_is_gone_nothing_passes),
		TEST_BY_INDEX(when_the_container_is_gone_nothing_passes),
		TEST(the_hosts_end_has_one_of_the_two),
		TEST(the_own_namespace_is_refused),
		TEST(a_denial_is_an_event),
		TEST(alike_denials_are_counted),
		TEST(events_that_find_no_room_are_counted),
		TEST(a_rule_has_so_many_events_and_no_more),
		TEST(audit_records_and_lets_pass),
		TEST_BY_INDEX(audit_records_and_lets_pass),
		TEST(a_raw_packet_is_an_event_of_its_socket),
	};

	return cmocka_run_group_tests(tests, set_up_host, tear_down_host);
}
