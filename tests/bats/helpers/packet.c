/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends a UDP datagram to everyone's port 67 by a packet socket: "packet DEVICE TEXT
 * [bypass]". With `bypass` it does not pass what is at the sending device's egress. Prints "sent", or
 * the error.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct __attribute__((packed)) frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	char text[8];
};

static uint16_t checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

int main(int argc, char **argv)
{
	struct frame f = {};
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = ETH_ALEN };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP)), one = 1;

	if (argc < 3 || fd < 0)
		return printf("%s\n", strerrorname_np(errno)) < 0;
	if (argc > 3 &&
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0)
		return printf("%s\n", strerrorname_np(errno)) < 0;
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	snprintf(f.text, sizeof(f.text), "%s", argv[2]);
	memset(f.eth.h_dest, 0xff, ETH_ALEN);
	f.eth.h_source[0] = 2;
	f.eth.h_proto = htons(ETH_P_IP);
	f.ip.version = 4;
	f.ip.ihl = 5;
	f.ip.ttl = 64;
	f.ip.protocol = IPPROTO_UDP;
	f.ip.tot_len = htons(sizeof(f) - sizeof(f.eth));
	f.ip.saddr = inet_addr("203.0.113.130");
	f.ip.daddr = inet_addr("255.255.255.255");
	f.ip.check = checksum(&f.ip, sizeof(f.ip));
	f.udp.source = htons(68);
	f.udp.dest = htons(67);
	f.udp.len = htons(sizeof(f.udp) + sizeof(f.text));
	if (sendto(fd, &f, sizeof(f), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return printf("%s\n", strerrorname_np(errno)) < 0;
	return puts("sent") < 0;
}
