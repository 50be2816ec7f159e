// SPDX-License-Identifier: Apache-2.0
/*
 * See intercept.h. Runs in the runtime, in the host's namespaces, with the caller's privileges.
 *
 * The order is given by what is known when. Init mounts the folder and copies the image's bundle and
 * hosts into it (linux/rootfs_files.c), as these can be read only when all mounts are there. The
 * gateway's certificate comes when the gateway has started, which takes the container's network
 * namespace. So the files are mounted first, and filled in later, through descriptors of the host's
 * side, before the container's program runs.
 */
#include "container/intercept.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/netns.h"
#include "container/environment.h"
#include "container/network.h"
#include "gateway/environment.h"
#include "gateway/names.h"
#include "linux/lsm.h"

#define CA_FILE "ca.pem"
#define BUNDLE_FILE "ca-bundle.pem"
#define HOSTS_FILE "hosts"
#define CODEX_FILE "codex.toml"
#define GEMINI_FILE "gemini.json"
#define CA_MAX 65536
#define QUEUE 128

/* 127.64.0.0/10: out of the way of what programs listen to. */
#define NET_FIRST 0x7f400000U
#define NET_MASK 0x003fffffU

/* Where distributions have their bundles of certificates. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",		     /* Debian, Alpine, Arch */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/pki/tls/cert.pem",
	"/etc/ssl/ca-bundle.pem", /* openSUSE */
	"/var/lib/ca-certificates/ca-bundle.pem",
	"/etc/ssl/cert.pem", /* Alpine */
	"/etc/ssl/certs/ca-bundle.crt",
	"/usr/lib/ssl/cert.pem",
	"/etc/ca-certificates/extracted/tls-ca-bundle.pem", /* Arch */
};

static const struct {
	const char *name, *value;
} variables[] = {
	{ "SSL_CERT_FILE", INTERCEPT_PLACE "/" BUNDLE_FILE },
	{ "REQUESTS_CA_BUNDLE", INTERCEPT_PLACE "/" BUNDLE_FILE },
	{ "CURL_CA_BUNDLE", INTERCEPT_PLACE "/" BUNDLE_FILE },
	{ "GIT_SSL_CAINFO", INTERCEPT_PLACE "/" BUNDLE_FILE },
	{ "AWS_CA_BUNDLE", INTERCEPT_PLACE "/" BUNDLE_FILE },
	{ "PIP_CERT", INTERCEPT_PLACE "/" BUNDLE_FILE },
	{ "CARGO_HTTP_CAINFO", INTERCEPT_PLACE "/" BUNDLE_FILE },
	{ "CODEX_CA_CERTIFICATE", INTERCEPT_PLACE "/" BUNDLE_FILE },
	/* These add to what a program trusts anyway. */
	{ "NODE_EXTRA_CA_CERTS", INTERCEPT_PLACE "/" CA_FILE },
	{ "DENO_CERT", INTERCEPT_PLACE "/" CA_FILE },
	{ "NODE_USE_SYSTEM_CA", "1" },
};

/* --- whether --- */

static int explain(struct strv *explanations, const char *why, struct err *e)
{
	if (strv_addf(explanations, "ai_policy: providers' names are not intercepted: %s",
		      why) < 0)
		return err_oom(e);
	return 0;
}

/* Why there is none; NULL: there is. */
static int find_obstacle(const struct oci_spec *s, const char **ret, struct err *e)
{
	const struct oci_namespace *mnt = oci_spec_namespace(s, "mount");
	bool own = false;
	int r = container_network_is_own(s, &own, e);

	*ret = NULL;
	if (!own && !s->linux_->isolate_network)
		*ret = "the container is in the host's network namespace";
	else if (!mnt || mnt->path)
		*ret = "the container has no mounts of its own";
	return r;
}

/* --- the folder --- */

static int make_file(const struct intercept *x, const char *name, int *ret, struct err *e)
{
	int fd = openat(x->dir_fd, name,
			O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0644);

	/* Whatever the umask: it is for programs of all users. */
	if (fd < 0 || fchmod(fd, 0644) < 0) {
		fd_close(&fd);
		return err_sys(e,
			       "cannot make '" INTERCEPT_FOLDER "/%s' in the state folder",
			       name);
	}
	if (ret)
		*ret = fd;
	else
		close(fd);
	return 0;
}

/* Some agents take only what belongs to root: the container's own. It can only be read there. */
static int give_to_container(const struct intercept *x, const struct oci_spec *s,
			     const char *name, struct err *e)
{
	const struct oci_linux *l = s->linux_;
	uint32_t uid = 0, gid = 0;

	if (!oci_map_id(&l->uid_mappings, &uid) || !oci_map_id(&l->gid_mappings, &gid))
		return 0;
	if (fchownat(x->dir_fd, name, uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot give '" INTERCEPT_FOLDER "/%s' to the container",
			       name);
	return 0;
}

static int write_all(int fd, const char *text, size_t len, const char *what, struct err *e)
{
	return fd_write_all(fd, text, len) < 0 ? err_sys(e, "cannot write the %s", what) :
						 0;
}

static int begin_hosts(const struct intercept *x, struct err *e)
{
	_buf_free_ struct buf b = {};
	char address[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &x->address, address, sizeof(address));
	buf_adds(&b, "# Purple: these are answered by the container's LLM gateway.\n");
	for (size_t i = 0; i < x->hosts.n; i++)
		buf_addf(&b, "%s\t%s\n", address, x->hosts.v[i]);
	buf_adds(&b, "\n");
	return b.failed ? err_oom(e) : write_all(x->hosts_fd, b.s, b.len, "hosts", e);
}

static int make_gemini(const struct intercept *x, struct err *e)
{
	static const char text[] =
		"{ \"security\": { \"auth\": { \"selectedType\": \"gemini-api-key\" } } }\n";
	_close_ int fd = -1;
	int r = make_file(x, GEMINI_FILE, &fd, e);

	return r < 0 ? r : write_all(fd, text, sizeof(text) - 1, GEMINI_FILE, e);
}

static int make_folder(struct intercept *x, const struct container *c,
		       const struct oci_spec *s, struct err *e)
{
	static const char *const names[] = { "",	 CA_FILE,    BUNDLE_FILE,
					     HOSTS_FILE, CODEX_FILE, GEMINI_FILE };
	int r;

	if (mkdirat(c->dirfd, INTERCEPT_FOLDER, 0755) < 0)
		return err_sys(e, "cannot make '" INTERCEPT_FOLDER "' in the state folder");
	x->dir_fd = openat(c->dirfd, INTERCEPT_FOLDER,
			   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (x->dir_fd < 0 || fchmod(x->dir_fd, 0755) < 0)
		return err_sys(e, "cannot open '" INTERCEPT_FOLDER "' of the state folder");
	/* What is made in it has its type then. */
	r = lsm_label_dir(x->dir_fd, s->linux_->mount_label, e);
	if (r < 0)
		return err_wrap(e, INTERCEPT_FOLDER " of the state folder");
	r = make_file(x, CA_FILE, NULL, e);
	if (r == 0)
		r = make_file(x, BUNDLE_FILE, &x->bundle_fd, e);
	if (r == 0)
		r = make_file(x, HOSTS_FILE, &x->hosts_fd, e);
	if (r == 0)
		r = begin_hosts(x, e);
	if (r == 0)
		r = make_file(x, CODEX_FILE, NULL, e);
	if (r == 0)
		r = make_gemini(x, e);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++)
		r = give_to_container(x, s, names[i], e);
	return r;
}

/* --- what init mounts --- */

static void add_cover(struct rootfs_files *f, const char *file, const char *place,
		      enum rootfs_cover_when when, int copy_fd)
{
	f->covers[f->n++] = (struct rootfs_cover){ file, place, when, copy_fd };
}

static int plan_mounts(struct intercept *x, struct err *e)
{
	struct rootfs_files *f = &x->files;

	f->place = INTERCEPT_PLACE;
	f->covers = calloc(ARRAY_SIZE(bundles) + 4, sizeof(*f->covers));
	if (!f->covers)
		return err_oom(e);
	if (x->has_tls) {
		/* What the image's programs are told to trust comes first. */
		if (x->image_bundle)
			add_cover(f, BUNDLE_FILE, x->image_bundle, ROOTFS_COVER_EXISTING,
				  x->bundle_fd);
		for (size_t i = 0; i < ARRAY_SIZE(bundles); i++)
			add_cover(f, BUNDLE_FILE, bundles[i], ROOTFS_COVER_EXISTING,
				  x->bundle_fd);
	}
	add_cover(f, HOSTS_FILE, "/etc/hosts", ROOTFS_COVER_ALWAYS, x->hosts_fd);
	if (x->openai)
		add_cover(f, CODEX_FILE, "/etc/codex/config.toml", ROOTFS_COVER_ABSENT, -1);
	if (x->has_gemini)
		add_cover(f, GEMINI_FILE, "/etc/gemini-cli/settings.json",
			  ROOTFS_COVER_ABSENT, -1);
	f->tree_fd = rootfs_files_open(x->dir_fd, e);
	return f->tree_fd < 0 ? f->tree_fd : 0;
}

/* --- before init --- */

static int choose_address(struct intercept *x, struct gateway_config *config, struct err *e)
{
	char text[INET_ADDRSTRLEN];
	uint32_t n = 0;

	/* In a pod several containers share one loopback. */
	do {
		if (getrandom(&n, sizeof(n), 0) != sizeof(n))
			return err_sys(e, "cannot get random numbers");
		n = NET_FIRST | (n & NET_MASK);
	} while ((n & 0xff) == 0 || (n & 0xff) == 0xff);
	x->address = htonl(n);
	inet_ntop(AF_INET, &x->address, text, sizeof(text));
	free(config->intercept_address);
	config->intercept_address = strdup(text);
	return config->intercept_address ? 0 : err_oom(e);
}

static int read_names(struct intercept *x, const struct gateway_config *config,
		      struct err *e)
{
	_gateway_names_clear_ struct gateway_names names = {};
	const char *openai;

	if (gateway_names_make(config, &names) < 0 ||
	    gateway_names_hosts(&names, false, &x->hosts) < 0)
		return err_oom(e);
	for (size_t i = 0; i < names.l.n; i++) {
		if (names.l.v[i].is_tls)
			x->has_tls = true;
		else
			x->has_http = true;
	}
	x->has_gemini = gateway_environment_provider(config, LLM_GEMINI) != NULL;
	openai = gateway_environment_provider(config, LLM_OPENAI);
	x->openai = openai ? strdup(openai) : NULL;
	return openai && !x->openai ? err_oom(e) : 0;
}

static int note_image_bundle(struct intercept *x, const struct strv *env, struct err *e)
{
	const char *path = environment_get(env, "SSL_CERT_FILE");

	if (!path || path[0] != '/' || str_has_prefix(path, INTERCEPT_PLACE "/"))
		return 0;
	x->image_bundle = strdup(path);
	return x->image_bundle ? 0 : err_oom(e);
}

static int tell(const struct intercept *x, const char *address, struct strv *explanations,
		struct err *e)
{
	for (size_t i = 0; i < x->hosts.n; i++)
		if (strv_addf(explanations,
			      "ai_policy: in the container '%s' is the gateway (%s)",
			      x->hosts.v[i], address) < 0)
			return err_oom(e);
	return 0;
}

int intercept_plan(struct intercept *x, struct gateway_config *config,
		   const struct oci_spec *spec, struct strv *env,
		   struct strv *explanations, struct err *e)
{
	const char *obstacle;
	int r = find_obstacle(spec, &obstacle, e);

	config->intercept = false;
	if (r == 0 && obstacle)
		return explain(explanations, obstacle, e);
	if (r == 0)
		r = read_names(x, config, e);
	if (r < 0)
		return r;
	if (x->hosts.n == 0)
		return explain(explanations, "no provider is at a name", e);
	r = choose_address(x, config, e);
	if (r == 0 && env)
		r = note_image_bundle(x, env, e);
	if (r == 0)
		r = tell(x, config->intercept_address, explanations, e);
	if (r < 0)
		return r;
	x->is_on = config->intercept = true;
	return env ? intercept_environment(config, env, e) : 0;
}

int intercept_make(struct intercept *x, const struct oci_spec *spec,
		   const struct container *c, struct err *e)
{
	int r;

	if (!x->is_on)
		return 0;
	r = make_folder(x, c, spec, e);
	return r < 0 ? r : plan_mounts(x, e);
}

void intercept_clear(struct intercept *x)
{
	strv_free(&x->hosts);
	free(x->files.covers);
	free(x->image_bundle);
	free(x->openai);
	fd_close(&x->files.tree_fd);
	fd_close(&x->dir_fd);
	fd_close(&x->bundle_fd);
	fd_close(&x->hosts_fd);
	*x = (struct intercept)INTERCEPT_EMPTY;
}

/* --- sockets --- */

static int listen_at(uint32_t address, uint16_t port, struct err *e)
{
	const struct sockaddr_in to = { .sin_family = AF_INET,
					.sin_port = htons(port),
					.sin_addr.s_addr = address };
	_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ||
	    listen(fd, QUEUE) < 0)
		return err_sys(e,
			       "interception: cannot listen on port %u of the container's loopback",
			       port);
	return take_fd(&fd);
}

static int listen_here(const struct intercept *x, int *tls, int *http, struct err *e)
{
	if (x->has_tls)
		*tls = listen_at(x->address, GATEWAY_TLS_PORT, e);
	if (x->has_tls && *tls < 0)
		return *tls;
	if (x->has_http)
		*http = listen_at(x->address, GATEWAY_HTTP_PORT, e);
	return x->has_http && *http < 0 ? *http : 0;
}

int intercept_listen(const struct intercept *x, int netns_fd, int *ret_tls, int *ret_http,
		     struct err *e)
{
	_close_ int own = -1, tls = -1, http = -1;
	int r;

	*ret_tls = *ret_http = -1;
	if (!x->is_on)
		return 0;
	r = netns_enter(netns_fd, &own, e);
	if (r < 0)
		return r;
	r = netns_leave(own, listen_here(x, &tls, &http, e), e);
	if (r < 0)
		return r;
	*ret_tls = take_fd(&tls);
	*ret_http = take_fd(&http);
	return 0;
}

int intercept_open_ca(const struct intercept *x, int *ret, struct err *e)
{
	*ret = -1;
	if (!x->is_on || !x->has_tls)
		return 0;
	*ret = openat(x->dir_fd, CA_FILE, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	return *ret < 0 ? err_sys(e, "cannot open '%s' of the state folder", CA_FILE) : 0;
}

/* --- when the gateway is ready --- */

/* Who has no bundle of his own gets the host's: what is to be trusted besides the gateway. */
static int copy_host_bundle(const struct intercept *x, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(bundles); i++) {
		_free_ char *text = NULL;
		size_t len = 0;
		struct err unused;

		if (fs_read_document(AT_FDCWD, bundles[i], ROOTFS_COPY_MAX, &text, &len,
				     &unused) == 0)
			return write_all(x->bundle_fd, text, len,
					 "bundle of certificates", e);
	}
	return 0;
}

static int finish_bundle(const struct intercept *x, struct err *e)
{
	_free_ char *ca = NULL;
	struct stat st;
	size_t len = 0;
	int r = fs_read_document(x->dir_fd, CA_FILE, CA_MAX, &ca, &len, e);

	if (r < 0)
		return r;
	if (!str_has_prefix(ca, "-----BEGIN CERTIFICATE-----\n"))
		return err_set(e, ERR_INTERNAL, EPROTO,
			       "interception: the gateway has given no certificate");
	if (fstat(x->bundle_fd, &st) < 0)
		return err_sys(e, "cannot look at the bundle of certificates");
	if (st.st_size == 0)
		r = copy_host_bundle(x, e);
	return r < 0 ? r : write_all(x->bundle_fd, ca, len, "bundle of certificates", e);
}

static int finish_codex(const struct intercept *x, uint16_t port, struct err *e)
{
	_close_ int fd = openat(x->dir_fd, CODEX_FILE, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	_buf_free_ struct buf b = {};

	if (fd < 0)
		return err_sys(e, "cannot open '%s' of the state folder", CODEX_FILE);
	buf_addf(&b, "openai_base_url = \"http://127.0.0.1:%u/%s/v1\"\n", port, x->openai);
	return b.failed ? err_oom(e) : write_all(fd, b.s, b.len, CODEX_FILE, e);
}

int intercept_finish(struct intercept *x, uint16_t port, struct err *e)
{
	int r = 0;

	if (!x->is_on)
		return 0;
	if (x->has_tls)
		r = finish_bundle(x, e);
	if (r == 0 && x->openai)
		r = finish_codex(x, port, e);
	return r;
}

/* --- later --- */

int intercept_load(const struct container *c, struct strv *ret_hosts, char **ret_address,
		   struct err *e)
{
	_gateway_config_clear_ struct gateway_config config = {};
	_gateway_names_clear_ struct gateway_names names = {};
	int r = gateway_config_load(c->dirfd, &config, e);

	*ret_address = NULL;
	if (r == -ENOENT)
		return 0;
	if (r < 0 || !config.intercept)
		return r;
	if (gateway_names_make(&config, &names) < 0 ||
	    gateway_names_hosts(&names, false, ret_hosts) < 0)
		return err_oom(e);
	*ret_address = take_ptr(&config.intercept_address);
	return 0;
}

/* --- the environment --- */

static void env_remove(struct strv *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = env->n; i-- > 0;)
		if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=')
			strv_remove(env, i);
}

int intercept_environment(const struct gateway_config *config, struct strv *env,
			  struct err *e)
{
	_gateway_names_clear_ struct gateway_names names = {};
	_strv_free_ struct strv hosts = {};

	if (!config->intercept)
		return 0;
	if (gateway_names_make(config, &names) < 0 ||
	    gateway_names_hosts(&names, true, &hosts) < 0)
		return err_oom(e);
	if (hosts.n == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		env_remove(env, variables[i].name);
		if (strv_addf(env, "%s=%s", variables[i].name, variables[i].value) < 0)
			return err_oom(e);
	}
	return 0;
}
