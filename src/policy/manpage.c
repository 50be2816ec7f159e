/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The man page purple-policy(5): fixed prose around the table of language.c. Pure. Texts from
 * the table are plain; the prose below is written in man(7) as it stands.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "policy/language.h"

/* Plain text: nothing in it is a request, and minus signs stay what they are. */
static void add_text(struct buf *out, const char *s)
{
	if (*s == '.' || *s == '\'')
		buf_adds(out, "\\&");
	for (; *s; s++) {
		if (*s == '\\')
			buf_adds(out, "\\e");
		else if (*s == '-')
			buf_adds(out, "\\-");
		else if (*s == '^')
			buf_adds(out, "\\(ha");
		else if (*s == '~')
			buf_adds(out, "\\(ti");
		else
			buf_add(out, s, 1);
	}
}

static const char head[] =
	".\\\" SPDX-License-Identifier: Apache-2.0\n"
	".\\\" Generated from the language's table (src/policy/language.c).\n"
	".TH PURPLE\\-POLICY 5 \"\" \"Purple\" \"File Formats\"\n"
	".SH NAME\n"
	"purple\\-policy \\- what an AI agent may do in its sandbox\n"
	".SH SYNOPSIS\n"
	".I /etc/purple/policies/NAME.yaml\n"
	".br\n"
	".I /usr/share/purple/policies/NAME.yaml\n"
	".SH DESCRIPTION\n"
	"A policy says in one YAML file what an agent may read and write, which system calls it may\n"
	"make, what it may use and whom it may talk to.\n"
	"Purple turns it into the configuration of a container and has the kernel enforce it.\n"
	"A policy only ever tightens what a container engine asked for: it grants nothing.\n"
	"A policy that cannot be enforced in full does not start.\n"
	".SS Syntax\n"
	"A policy is one YAML document, a map, of at most 8 MiB.\n"
	"It is read strictly.\n"
	"Refused are: an unknown key, a key given twice, a second document, anchors, aliases, tags,\n"
	"directives and merge keys, nesting of more than 16 levels, and values of a wrong type.\n"
	"Truth values are\n"
	".B true\n"
	"and\n"
	".BR false ,\n"
	"not\n"
	".BR yes ,\n"
	".B no\n"
	"or\n"
	".BR on .\n"
	"Text that YAML takes for a number or a truth value needs quotes.\n"
	"A section without content is written\n"
	".B {}\n"
	"and a list without content\n"
	".BR [] .\n"
	"JSON is YAML, so a policy may be written in JSON.\n"
	".PP\n"
	"A message about a fault has the form\n"
	".PP\n"
	".in +4n\n"
	".nf\n"
	"policy FILE:LINE:COLUMN: what is wrong\n"
	".fi\n"
	".in\n"
	".PP\n"
	".B purple policy check FILE\n"
	"reads a policy, and warns of what is valid and probably not meant.\n"
	".SH EXAMPLE\n"
	".nf\n"
	"name: code\\-reader\n"
	"description: Reads the project, writes a report, talks to nobody.\n"
	"\n"
	"filesystem:\n"
	"  immutable_paths:\n"
	"    \\- host_path: /usr\n"
	"    \\- host_path: /bin\n"
	"    \\- host_path: /lib\n"
	"    \\- host_path: /lib64\n"
	"    \\- host_path: /home/alice/project\n"
	"      sandbox_path: /project\n"
	"  scratch_paths: [/tmp]\n"
	"  output_paths:\n"
	"    \\- host_path: /home/alice/reports\n"
	"      sandbox_path: /out\n"
	"  working_dir: /project\n"
	"\n"
	"syscalls:\n"
	"  deny: [ptrace, mount]\n"
	"  advanced_rules:\n"
	"    # No sockets but those of the Unix domain (AF_UNIX is 1).\n"
	"    \\- syscall: socket\n"
	"      action: deny\n"
	"      conditions:\n"
	"        \\- { arg: 0, op: neq, value: 1 }\n"
	"\n"
	"resources:\n"
	"  cpu_shares: 0.5\n"
	"  memory_limit_bytes: \"512M\"\n"
	"  pids_limit: 100\n"
	"\n"
	"capabilities:\n"
	"  default_drop: true\n"
	"\n"
	"network:\n"
	"  isolated: true\n"
	".fi\n"
	".SH VALUES\n"
	".TP\n"
	".B Paths\n"
	"are absolute and have no\n"
	".B ..\n"
	"component.\n"
	"Neither\n"
	".B \\(ti\n"
	"nor variables are expanded.\n"
	"No two entries of a policy may have the same path in the sandbox.\n"
	".TP\n"
	".B Sizes\n"
	"are bytes, or a number with at most 6 decimals and a unit: K, M, G or T, with or without i\n"
	"and B after it.\n"
	"All of them are powers of 1024: 1K, 1KB and 1KiB are 1024 bytes.\n"
	".TP\n"
	".B Rates\n"
	"are bytes per second, or a size with\n"
	".B ps\n"
	"or\n"
	".B /s\n"
	"after the B: 50MBps.\n"
	"The units are those of sizes.\n"
	".TP\n"
	".B Sums of money\n"
	"are US dollars, with or without a $ before them, with at most 12 decimals.\n"
	"They are kept exactly.\n"
	".TP\n"
	".B Network rules\n"
	"are a destination, ports, or both with a colon between them:\n"
	".BR 443 ,\n"
	".BR 8000\\-8010 ,\n"
	".BR 192.0.2.7 ,\n"
	".BR 10.0.0.0/8:443 ,\n"
	".BR 2001:db8::1 ,\n"
	".BR [2001:db8::/32]:443 ,\n"
	".BR api.example.com ,\n"
	".BR *.example.com:443 .\n"
	"At the end\n"
	".B /tcp\n"
	"or\n"
	".B /udp\n"
	"may be added; without it both are meant.\n"
	"Without ports, all ports are meant; without a destination, all destinations.\n"
	"A rule with\n"
	".B *.\n"
	"is for the names below the domain, not for the domain itself.\n"
	"An IPv4 address has four decimal numbers; an IPv6 address with ports stands in brackets; a\n"
	"prefix has no bits set beyond its length; a name that is not in ASCII is written in its\n"
	"xn\\-\\- form.\n"
	".TP\n"
	".B System calls\n"
	"go by the names that libseccomp knows, for all architectures.\n"
	".SH KEYS\n";

static const char network[] =
	".SH NETWORK\n"
	"Where several rules speak of a connection, the first of these decides:\n"
	".IP 1. 4\n"
	"an address in\n"
	".B blocked_ips\n"
	"is denied, and so is each address that a name in\n"
	".B blocked_domains\n"
	"resolves to: a block beats every allow;\n"
	".IP 2.\n"
	"a reserved address is denied, unless\n"
	".B allow_outgoing\n"
	"has a rule for the port whose prefix is equal to the reserved range or inside of it;\n"
	".IP 3.\n"
	"what a rule in\n"
	".B allow_outgoing\n"
	"names by its address, or without one, is allowed;\n"
	".IP 4.\n"
	"the addresses that an allowed name resolved to are allowed on that rule's ports, for as\n"
	"long as the answer is valid;\n"
	".IP 5.\n"
	"all else is denied where there is an\n"
	".B allow_outgoing\n"
	"list, and allowed where there is none.\n"
	".PP\n"
	"With two policies, both hold.\n"
	".B purple policy why FILE HOST:PORT\n"
	"says which rule decides.\n"
	"Protocols other than TCP and UDP, raw and packet sockets, source routes and IP options never\n"
	"pass.\n"
	"What is denied fails at once (EPERM); a name that is not allowed is not resolved.\n"
	".SS Reserved addresses\n"
	"Always: the metadata services of clouds (169.254.169.254, fd00:ec2::254, fd20:ce::254,\n"
	"100.100.100.200, 192.0.0.192), link\\-local (169.254.0.0/16, fe80::/10) and multicast\n"
	"addresses (224.0.0.0/4, ff00::/8), 0.0.0.0/8, ::, 255.255.255.255.\n"
	".PP\n"
	"With\n"
	".B allow_outgoing\n"
	"also: private and carrier networks (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16,\n"
	"100.64.0.0/10, fc00::/7, fec0::/10), 192.0.0.0/24, 240.0.0.0/4, 168.63.129.16, 127.0.0.11\n"
	"(where Docker's own resolver is); IPv4 addresses\n"
	"by another name (64:ff9b::/96, 64:ff9b:1::/48, 2002::/16, 2001::/32, ::/96,\n"
	"::ffff:0:0:0/96); the host's own addresses; and 127.0.0.0/8 and ::1 where the loopback is the\n"
	"host's.\n"
	"So 0.0.0.0/0 is all of the internet, and no private network.\n"
	"Of ranges inside each other the narrowest counts: 169.254.0.0/16 does not open\n"
	"169.254.169.254.\n"
	"A blocked or reserved IPv4 address is that also by its NAT64 name in 64:ff9b::/96.\n"
	"The rest of the agent's own loopback is free; 0.0.0.0 and :: are other names of it.\n"
	".SS Names\n"
	"A rule with a name has the agent's questions answered by a resolver of Purple's, wherever they\n"
	"are sent.\n"
	"It answers for names that are allowed, follows only their own aliases, and never gives a\n"
	"reserved or blocked address.\n"
	"Where everyone may be talked to on some ports, it answers for every name that is not blocked;\n"
	"unless there are no rules with names, and one that names an address with port 53: then the\n"
	"agent asks there itself.\n"
	"On TCP port 443, a connection that is allowed by name has to begin with TLS for an allowed name,\n"
	"all of it in the first packet.\n"
	"One that says that its name is encrypted (ECH) is cut, since the name in the clear is not the\n"
	"one that counts. Chromium says so of every connection, unless its enterprise policy\n"
	"EncryptedClientHelloEnabled is false; so does Firefox, unless\n"
	"security.tls.ech.grease_probability is 0.\n"
	"UDP port 443 (QUIC), where the name cannot be seen, is allowed by name only where the rule says\n"
	".BR /udp .\n"
	".PP\n"
	"What names cannot stop: servers that many share (content delivery networks, clouds) have one\n"
	"address for many names, so that on ports other than TCP 443 an allowed name opens its\n"
	"neighbours too.\n"
	"On 443 the first name of a connection is checked, not what is asked for inside of it: a server\n"
	"that takes requests for another name over the same connection (domain fronting), or that\n"
	"resolves names or forwards (DNS over HTTPS, proxies) for whoever may talk to it, leads on to\n"
	"others.\n"
	"The name is looked at where a packet leaves the agent; memory that goes on being changed while it\n"
	"is being sent (sendfile, MSG_ZEROCOPY) can say another one later.\n"
	"A blocked name is reached by whoever knows its address from elsewhere, until Purple has\n"
	"resolved the name.\n"
	"Allow what is meant by name and port, and only servers that are trusted not to forward.\n"
	".SS Incoming\n"
	"Only the ports in\n"
	".B allow_incoming\n"
	"can be reached from outside; without that list, none.\n"
	"Answers to what the agent began always come back.\n"
	".SS What was denied\n"
	"Each denial is an event with the process, the address and the rule's place in its file:\n"
	".B purple events ID\n"
	"(\n"
	".BR purple (1)).\n"
	"With\n"
	".BR \"enforcement: audit\" ,\n"
	"what rules of\n"
	".B network\n"
	"would deny passes, and is recorded: addresses and names that no rule allows, blocked ones,\n"
	"private networks, incoming connections, TLS for other names.\n"
	"Denied all the same are the addresses above that are always reserved, also where\n"
	".B blocked_ips\n"
	"names them; protocols other than TCP and UDP, raw sockets, IP options; and DNS that is not\n"
	"Purple's.\n"
	"LLM calls that\n"
	".B ai_policy\n"
	"would refuse pass, and are recorded: for want of budget, for their rate, model or contents. All\n"
	"other sections of such a policy are enforced.\n"
	"A policy that enforces, beside it, holds.\n"
	".SS Other keys\n"
	"Under a network that is not isolated the agent has none of CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF\n"
	"and CAP_SYS_MODULE, and can neither mount nor call\n"
	".B bpf\n"
	"or\n"
	".BR setns .\n"
	"Under every policy, io_uring is denied, and sockets are of the families AF_UNIX, AF_INET,\n"
	"AF_INET6 and AF_NETLINK (NETLINK_ROUTE), also where\n"
	".B syscalls\n"
	"says otherwise: others lead past the network.\n";

static const char tail[] =
	".SH ALERTS\n"
	"What violates a policy that has\n"
	".B audit.alert\n"
	"is told at once, beside the log: what is denied to the container (network, names, files, system\n"
	"calls, privileges, LLM calls; also what\n"
	".B \"enforcement: audit\"\n"
	"lets pass), sensitive data and injections in LLM calls, limits of memory and processes that are\n"
	"hit, the end that its time, its memory or its audit makes, a budget that is spent, and the death\n"
	"of the gateway or of who records.\n"
	"For that, denials are traced whatever\n"
	".B detail_level\n"
	"says; the log has what that says.\n"
	"Each policy of a container has its own alert.\n"
	".PP\n"
	"The command is the administrator's, as a hook is: it runs as root, without a shell, with the event\n"
	"as one line of JSON on its standard input and with\n"
	".BR PURPLE_EVENT \" (the event's type),\"\n"
	".BR PURPLE_CONTAINER ,\n"
	".B PURPLE_POLICY\n"
	"and\n"
	".B PURPLE_COUNT\n"
	"in an environment that has PATH besides. The line is what events and logs have: paths and names in\n"
	"it are the agent's choice. After 30 s the command is killed.\n"
	"The webhook gets the line as a POST; redirects are not followed.\n"
	"Of each type of event ten come at once, and then one each second: those that come meanwhile are\n"
	"one alert, the last one's line with\n"
	".B alert.count\n"
	"and\n"
	".BR PURPLE_COUNT .\n"
	"A command runs once at a time, as a webhook is called; the container waits for neither.\n"
	"What fails is an event of type action_failed.\n"
	"The programs for it come with the gateway's; without them such a policy does not start.\n"
	".SH WHAT THIS VERSION ENFORCES\n"
	"All of the language is read and checked.\n"
	"Enforced are\n"
	".BR filesystem ,\n"
	".BR syscalls ,\n"
	".BR resources ,\n"
	".BR capabilities ,\n"
	".BR network ,\n"
	".BR ai_policy ,\n"
	".B audit\n"
	"and\n"
	".BR ebpf_monitoring .\n"
	".PP\n"
	"A policy that asks for one of the following does not start, and the message names the\n"
	"line:\n"
	".B \"enforcement: audit\"\n"
	"with a network that is isolated;\n"
	".B audit\n"
	"and\n"
	".B ebpf_monitoring\n"
	"for a user other than root, and where a container runs under another runtime than Purple's\n"
	"(unless they say\n"
	".BR \"enabled: false\" );\n"
	"and there, rules in\n"
	".B network\n"
	"without\n"
	".B \"isolated: true\"\n"
	"and\n"
	".BR ai_policy ,\n"
	"unless Purple's hooks for them are installed.\n"
	".SH FILES\n"
	".TP\n"
	".I /etc/purple/policies\n"
	"The administrator's policies; they win over those of the same name below.\n"
	".TP\n"
	".I /usr/share/purple/policies\n"
	"The policies that come with Purple.\n"
	".TP\n"
	".I /etc/purple/purple.yaml\n"
	"Which policy holds by default, and which ones an annotation may choose.\n"
	".SH SEE ALSO\n"
	".BR capabilities (7),\n"
	".BR cgroups (7),\n"
	".BR namespaces (7),\n"
	".BR seccomp (2),\n"
	".BR syscalls (2)\n";

static void add_choices(struct buf *out, const struct policy_key *k)
{
	size_t i;

	for (i = 0; k->choices[i]; i++) {
		buf_adds(out, i ? ", " : "");
		add_text(out, k->choices[i]);
	}
}

/* What may be written for the key. */
static void add_type(struct buf *out, const struct policy_key *k)
{
	switch (k->kind) {
	case POLICY_KIND_MAP:
		buf_adds(out, "a map");
		break;
	case POLICY_KIND_MAPS:
		buf_adds(out, "a list of maps");
		break;
	case POLICY_KIND_BOOL:
		buf_adds(out, "true or false");
		break;
	case POLICY_KIND_ENUM:
	case POLICY_KIND_FLAG:
	case POLICY_KIND_WORD:
		buf_adds(out, "one of ");
		add_choices(out, k);
		break;
	case POLICY_KIND_WORDS:
		buf_adds(out, "a list of ");
		add_choices(out, k);
		break;
	case POLICY_KIND_TEXT:
		add_text(out, k->scalar->what);
		break;
	case POLICY_KIND_NAMES:
	case POLICY_KIND_STRINGS:
		buf_adds(out, "a list; each: ");
		add_text(out, k->scalar->what);
		break;
	case POLICY_KIND_INTEGERS32:
		buf_adds(out, "a list; each: ");
		/* fall through */
	case POLICY_KIND_INTEGER:
	case POLICY_KIND_INTEGER32:
		buf_addf(out, "a whole number from %" PRIu64 " to %" PRIu64, k->min, k->max);
		if (k->endless) {
			buf_adds(out, ", or ");
			add_text(out, k->endless);
		}
		break;
	case POLICY_KIND_REGISTER:
		buf_adds(out, "a number of 64 bits, decimal or with 0x or 0o before it");
		break;
	case POLICY_KIND_SIZE:
		buf_adds(out, "a size, at least 1M");
		break;
	case POLICY_KIND_RATE:
		buf_adds(out, "a rate, at least 1KBps");
		break;
	case POLICY_KIND_CPUS:
		buf_adds(out, "a number from 0.01 to 1024 with at most 3 decimals");
		break;
	case POLICY_KIND_MONEY:
		buf_adds(out, "a sum of money");
		break;
	case POLICY_KIND_NET_RULES:
		buf_adds(out, "a list of network rules");
		break;
	case POLICY_KIND_NET_BLOCKS:
		buf_adds(out, "a list of addresses and prefixes");
		break;
	case POLICY_KIND_PORTS:
		buf_adds(out,
			 "a list of ports and ranges, each with or without /tcp or /udp");
		break;
	}
}

static void add_properties(struct buf *out, const struct policy_key *k)
{
	buf_adds(out, "Type: ");
	add_type(out, k);
	buf_adds(out, ".\n");
	if (k->required)
		buf_adds(out, "Required.\n");
	if (k->preset) {
		buf_adds(out, "Default: ");
		add_text(out, k->preset);
		buf_adds(out, ".\n");
	}
}

static void add_choice_docs(struct buf *out, const struct policy_key *k)
{
	size_t i;

	for (i = 0; k->choice_docs && k->choices[i]; i++) {
		buf_adds(out, ".RS\n.TP\n.B ");
		add_text(out, k->choices[i]);
		buf_adds(out, "\n");
		add_text(out, k->choice_docs[i]);
		buf_adds(out, "\n.RE\n");
	}
}

/* A key and what is below it; `prefix` is the dotted name of its map. */
static void add_key(struct buf *out, const struct policy_key *k, const char *prefix)
{
	const struct policy_key *key;
	char path[128];

	snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "", k->name);
	buf_adds(out, ".TP\n.B ");
	add_text(out, path);
	buf_adds(out, k->kind == POLICY_KIND_MAPS ? "[]\n" : "\n");
	add_text(out, k->doc);
	buf_adds(out, "\n");
	if (k->kind != POLICY_KIND_MAP) {
		buf_adds(out, ".br\n");
		add_properties(out, k);
	}
	add_choice_docs(out, k);
	for (key = k->keys; key && key->name; key++)
		add_key(out, key, path);
}

int policy_write_man_page(struct buf *out)
{
	const struct policy_key *k, *key;

	buf_adds(out, head);
	for (k = policy_language.keys; k->name; k++) {
		if (k->kind != POLICY_KIND_MAP)
			add_key(out, k, "");
	}
	for (k = policy_language.keys; k->name; k++) {
		if (k->kind != POLICY_KIND_MAP)
			continue;
		buf_adds(out, ".SS ");
		add_text(out, k->name);
		buf_adds(out, "\n");
		add_text(out, k->doc);
		buf_adds(out, "\n");
		for (key = k->keys; key->name; key++)
			add_key(out, key, k->name);
	}
	buf_adds(out, network);
	buf_adds(out, policy_manpage_llm);
	buf_adds(out, tail);
	return out->failed ? -ENOMEM : 0;
}
