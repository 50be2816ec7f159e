/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The full screen of `purple monitor`, with curses. The terminal is put back however this ends: at
 * the end, on signals, which are taken from a descriptor, and when the program crashes. What a
 * sandbox chose reaches the terminal through monitor_fit() alone, which leaves nothing that could
 * speak to it.
 */
#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <term.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cmd/purple/monitor.h"
#include "cmd/purple/network_view.h"

#define KEY_ESCAPE 27
#define ESCAPE_MS 25
#define EVENTS_SHARE 3 /* of the height, where there is any to share */
#define SMALL_HEIGHT 12

enum view { VIEW_TABLE, VIEW_DETAILS, VIEW_HELP };
enum color { COLOR_ALARM = 1, COLOR_WARNING, COLOR_GOOD };

struct screen {
	struct monitor *m;
	bool utf8, colors;
	enum view view;
	enum monitor_sort sort;
	char *selected; /* an id; NULL: there is none */
	size_t top;	/* the first row, or line of the details, that is shown */
	bool of_all;	/* events of all sandboxes, not of the selected one */
	size_t *order;
	bool quit;
};

/* --- the terminal --- */

/* For the handler: what the terminal was like, and what it takes to leave the screen. */
static struct termios saved;
static char leave[128];

static void restore_and_die(int signum)
{
	ssize_t n = write(STDOUT_FILENO, leave, strlen(leave));

	(void)n;
	tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	raise(signum);
}

static void add_string(const char *name)
{
	const char *s = tigetstr(name);

	if (s && s != (const char *)-1 && strlen(leave) + strlen(s) < sizeof(leave))
		strcat(leave, s);
}

static void prepare_for_crashes(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	struct sigaction a = { .sa_handler = restore_and_die,
			       .sa_flags = SA_RESETHAND | SA_NODEFER };

	leave[0] = '\0';
	add_string("sgr0");
	add_string("cnorm");
	add_string("rmcup");
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &a, NULL);
}

bool monitor_screen_works(void)
{
	const char *move;
	int code;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
	    setupterm(NULL, STDOUT_FILENO, &code) != OK)
		return false;
	move = tigetstr("cup");
	return move && move != (const char *)-1;
}

static int screen_begin(struct screen *s, SCREEN **ret, struct err *e)
{
	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return err_sys(e, "cannot read the terminal's settings");
	*ret = newterm(NULL, stdout, stdin);
	if (!*ret)
		return err_set(e, ERR_STATE, ENOTTY, "this terminal cannot show a screen");
	prepare_for_crashes();
	cbreak();
	noecho();
	nonl();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(ESCAPE_MS);
	if (!getenv("NO_COLOR") && has_colors() && start_color() == OK) {
		use_default_colors();
		s->colors = init_pair(COLOR_ALARM, COLOR_RED, -1) == OK &&
			    init_pair(COLOR_WARNING, COLOR_YELLOW, -1) == OK &&
			    init_pair(COLOR_GOOD, COLOR_GREEN, -1) == OK;
	}
	return 0;
}

/* --- drawing --- */

static attr_t color(const struct screen *s, enum color c)
{
	return s->colors ? (attr_t)COLOR_PAIR(c) : A_NORMAL;
}

/* A text in its cells; what is beside the screen is left out. */
static void put(const struct screen *s, int y, int x, int width, bool right, attr_t attr,
		const char *text)
{
	_buf_free_ struct buf out = {};

	if (width > COLS - x)
		width = COLS - x;
	if (y < 0 || y >= LINES || width <= 0)
		return;
	monitor_fit(text, (unsigned int)width, right, s->utf8, &out);
	if (!out.s || out.failed)
		return;
	attrset(attr);
	mvaddstr(y, x, out.s);
	attrset(A_NORMAL);
}

static void put_line(const struct screen *s, int y, attr_t attr, const char *text)
{
	put(s, y, 0, COLS, false, attr, text);
}

static void write_title(const struct screen *s, struct buf *out)
{
	const struct monitor *m = s->m;
	size_t running = 0;
	time_t now = time(NULL);
	char text[32] = "";
	struct tm tm;

	for (size_t i = 0; i < m->rows.n; i++)
		running += !m->rows.v[i].is_broken &&
			   m->rows.v[i].status == CONTAINER_RUNNING;
	if (gmtime_r(&now, &tm))
		strftime(text, sizeof(text), "%H:%M:%S UTC", &tm);
	buf_addf(out, " purple monitor   %s   %zu sandbox%s, %zu running   by %s", text,
		 m->rows.n, m->rows.n == 1 ? "" : "es", running,
		 monitor_sort_name(s->sort));
}

static attr_t cell_attr(const struct screen *s, const struct monitor_row *r,
			enum monitor_column c)
{
	const struct monitor_budget *b = monitor_tightest(r);

	if (c == MONITOR_STATE && r->status == CONTAINER_RUNNING && !r->is_broken)
		return color(s, COLOR_GOOD);
	if (c == MONITOR_STATE && (r->is_broken || r->status == CONTAINER_PAUSED))
		return color(s, COLOR_ALARM);
	if (c == MONITOR_DENIED && r->has_network && r->denied)
		return color(s, COLOR_ALARM);
	if (c == MONITOR_BUDGET && b && b->percent >= 80)
		return color(s, b->percent >= 100 ? COLOR_ALARM : COLOR_WARNING);
	return A_NORMAL;
}

static void draw_row(const struct screen *s, int y, const struct monitor_row *r,
		     const unsigned int *widths, bool selected)
{
	int x = 0;

	if (selected)
		put_line(s, y, A_REVERSE, "");
	for (int c = 0; c < MONITOR_COLUMNS; c++) {
		enum monitor_column column = (enum monitor_column)c;
		_buf_free_ struct buf cell = {};

		if (!widths[c])
			continue;
		monitor_cell(r, column, widths[c], s->utf8, &cell);
		put(s, y, x, (int)widths[c], monitor_is_right(column),
		    selected ? A_REVERSE : cell_attr(s, r, column), cell.s ? cell.s : "");
		x += (int)widths[c] + 1;
	}
}

static void draw_head(const struct screen *s, int y, const unsigned int *widths)
{
	int x = 0;

	for (int c = 0; c < MONITOR_COLUMNS; c++) {
		if (!widths[c])
			continue;
		put(s, y, x, (int)widths[c], monitor_is_right((enum monitor_column)c),
		    A_BOLD, monitor_head((enum monitor_column)c));
		x += (int)widths[c] + 1;
	}
}

static const struct monitor_row *selected_row(const struct screen *s)
{
	for (size_t i = 0; s->selected && i < s->m->rows.n; i++)
		if (streq(s->m->rows.v[i].id, s->selected))
			return &s->m->rows.v[i];
	return NULL;
}

static void draw_events(const struct screen *s, int y, int height)
{
	const struct monitor_row *row = s->of_all ? NULL : selected_row(s);
	_free_ struct monitor_line *list = calloc((size_t)height, sizeof(*list));
	_buf_free_ struct buf title = {};
	size_t n;

	if (!list)
		return;
	buf_addf(&title, " Events of %s (e: %s)", row ? row->id : "all sandboxes",
		 s->of_all ? "the selected one" : "all");
	put_line(s, y, A_REVERSE, title.s ? title.s : "");
	n = monitor_newest(s->m, row, 0, list, (size_t)height - 1);
	if (n == 0)
		put_line(s, y + 1, A_DIM, "none so far");
	for (size_t i = 0; i < n; i++) {
		const struct monitor_event *x = list[i].event;
		_buf_free_ struct buf line = {};

		/* Of the time, that of the day. */
		if (strlen(x->time) >= 19)
			buf_addf(&line, "%.8s ", x->time + 11);
		if (!row)
			buf_addf(&line, "%s: ", list[i].row->id);
		buf_adds(&line, x->text);
		put_line(s, y + 1 + (int)i, x->is_denied ? color(s, COLOR_ALARM) : A_NORMAL,
			 line.s ? line.s : "");
	}
}

/* The place of the selected one in the order; where it has gone, of the one that is there now. */
static size_t find_selected(struct screen *s)
{
	size_t n = s->m->rows.n, at = 0;

	while (at < n && !(s->selected && streq(s->m->rows.v[s->order[at]].id, s->selected)))
		at++;
	return at < n ? at : 0;
}

static void select_at(struct screen *s, size_t at)
{
	free(s->selected);
	s->selected = at < s->m->rows.n ? strdup(s->m->rows.v[s->order[at]].id) : NULL;
}

static void draw_table(struct screen *s)
{
	int height = LINES - 3, events = 0;
	bool has_why = LINES >= SMALL_HEIGHT;
	size_t at = find_selected(s), room;
	const struct monitor_row *selected;
	unsigned int widths[MONITOR_COLUMNS];

	if (LINES >= SMALL_HEIGHT)
		events = LINES / EVENTS_SHARE;
	height -= events + has_why;
	room = height > 0 ? (size_t)height : 0;
	select_at(s, at);
	if (at < s->top)
		s->top = at;
	if (room && at >= s->top + room)
		s->top = at - room + 1;
	monitor_layout((unsigned int)COLS, widths);
	draw_head(s, 1, widths);
	for (size_t i = 0; i < room && s->top + i < s->m->rows.n; i++)
		draw_row(s, 2 + (int)i, &s->m->rows.v[s->order[s->top + i]], widths,
			 s->top + i == at);
	if (s->m->rows.n == 0 && room)
		put_line(s, 2, A_NORMAL, "No sandbox is there. `purple run` starts one.");
	selected = selected_row(s);
	if (has_why && s->m->complaint)
		put_line(s, 2 + height, color(s, COLOR_WARNING), s->m->complaint);
	else if (has_why && selected && selected->why)
		put_line(s, 2 + height, color(s, COLOR_WARNING), selected->why);
	if (events)
		draw_events(s, 2 + height + has_why, events);
	put_line(s, LINES - 1, A_REVERSE,
		 " q quit  j/k select  Enter details  s sort  e events  ? help");
}

/* --- other views --- */

static void add_events(const struct screen *s, const struct monitor_row *r, struct buf *out)
{
	struct monitor_line *list = calloc(MONITOR_EVENTS_KEPT, sizeof(*list));
	size_t n = list ? monitor_newest(s->m, r, 0, list, MONITOR_EVENTS_KEPT) : 0;

	buf_addf(out, "\nevents, the newest first%s:\n", n ? "" : ": none so far");
	while (n--)
		buf_addf(out, "%s %s\n", list[n].event->time, list[n].event->text);
	free(list);
}

static void write_details(struct screen *s, struct buf *out)
{
	const struct monitor_row *r = selected_row(s);
	_buf_free_ struct buf rules = {};
	struct err e;

	if (!r) {
		buf_adds(out, "The sandbox is gone.\n");
		return;
	}
	monitor_details(r, out);
	if (r->has_network) {
		/* It may have gone this moment. */
		if (network_show_text(s->m->root, r->id, false, &rules, &e) == 0 && rules.s)
			buf_addf(out, "\nnetwork rules\n%s", rules.s);
		else
			buf_addf(out, "\nnetwork rules: %s\n", e.msg);
	}
	add_events(s, r, out);
}

static const char help[] =
	"q            quit\n"
	"j, Down      the next sandbox, or line\n"
	"k, Up        the one before\n"
	"Enter        all of a sandbox: limits, budgets, network rules, names, events\n"
	"Esc, h       back to the table\n"
	"s            sort by id, CPU, memory, denials, cost\n"
	"e            events of the selected sandbox, or of all\n"
	"Space, PgDn  a page on; b, PgUp: a page back\n"
	"?            this help\n"
	"\n"
	"CPU%    of one processor, since the last look\n"
	"MEMORY  without what the kernel could drop at once; of the limit\n"
	"PIDS    processes and threads; of the limit\n"
	"DENIED  calls and packets that network rules denied\n"
	"TOKENS, COST  of the sandbox's LLM calls\n"
	"BUDGET  how much is spent of that budget which is nearest to its end\n"
	"A frozen sandbox stands still; why, is said below the table.\n";

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void draw_text(struct screen *s, const char *text)
{
	size_t room = LINES > 2 ? (size_t)LINES - 2 : 0, all = count_lines(text);

	if (s->top + room > all)
		s->top = all > room ? all - room : 0;
	for (size_t i = 0; *text && i < s->top + room; i++) {
		size_t len = strcspn(text, "\n");
		_free_ char *line = strndup(text, len);

		if (line && i >= s->top)
			put_line(s, 1 + (int)(i - s->top), A_NORMAL, line);
		text += len + (text[len] ? 1 : 0);
	}
	put_line(s, LINES - 1, A_REVERSE, " q quit  Esc back  j/k, Space, b scroll");
}

static void draw(struct screen *s)
{
	_buf_free_ struct buf title = {}, text = {}, wrapped = {};

	erase();
	write_title(s, &title);
	put_line(s, 0, A_REVERSE | A_BOLD, title.s ? title.s : "");
	if (s->view == VIEW_DETAILS)
		write_details(s, &text);
	if (s->view == VIEW_HELP)
		buf_adds(&text, help);
	monitor_wrap(text.s ? text.s : "", (unsigned int)COLS, s->utf8, &wrapped);
	if (s->view == VIEW_TABLE)
		draw_table(s);
	else
		draw_text(s, wrapped.s ? wrapped.s : "");
	refresh();
}

/* --- keys --- */

static void go(struct screen *s, long by)
{
	long n = (long)s->m->rows.n, at;

	if (s->view != VIEW_TABLE) {
		s->top = by < 0 && s->top < (size_t)-by ? 0 : s->top + (size_t)by;
		return;
	}
	at = (long)find_selected(s) + by;
	if (n)
		select_at(s, (size_t)(at < 0 ? 0 : at >= n ? n - 1 : at));
}

static void set_view(struct screen *s, enum view v)
{
	s->view = v;
	s->top = 0;
}

static void take_key(struct screen *s, int key)
{
	long page = LINES > 4 ? LINES - 3 : 1;

	if (key == 'q')
		s->quit = true;
	else if (key == 'j' || key == KEY_DOWN)
		go(s, 1);
	else if (key == 'k' || key == KEY_UP)
		go(s, -1);
	else if (key == ' ' || key == KEY_NPAGE)
		go(s, page);
	else if (key == 'b' || key == KEY_PPAGE)
		go(s, -page);
	else if (key == 's')
		s->sort = (s->sort + 1) % MONITOR_SORTS;
	else if (key == 'e')
		s->of_all = !s->of_all;
	else if (key == '?')
		set_view(s, s->view == VIEW_HELP ? VIEW_TABLE : VIEW_HELP);
	else if ((key == '\r' || key == '\n' || key == KEY_ENTER) &&
		 s->view == VIEW_TABLE && s->selected)
		set_view(s, VIEW_DETAILS);
	else if (key == KEY_ESCAPE || key == 'h' || key == KEY_LEFT || key == KEY_BACKSPACE)
		set_view(s, VIEW_TABLE);
}

/* --- the loop --- */

static int look(struct screen *s, struct err *e)
{
	size_t *order;
	int r = monitor_look(s->m, e);

	if (r < 0)
		return r;
	order = reallocarray(s->order, s->m->rows.n + 1, sizeof(*order));
	if (!order)
		return err_oom(e);
	s->order = order;
	return 0;
}

/* *ret_signal: one that ends this. */
static void take_signal(int fd, int *ret_signal)
{
	struct signalfd_siginfo info;
	struct winsize size;

	if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo != SIGWINCH)
		*ret_signal = (int)info.ssi_signo;
	else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
}

static int run_screen(struct screen *s, int signals, unsigned int interval,
		      int *ret_signal, struct err *e)
{
	struct pollfd p[] = { { .fd = STDIN_FILENO, .events = POLLIN },
			      { .fd = signals, .events = POLLIN } };
	int64_t next = clock_ms(CLOCK_MONOTONIC) + (interval < 500 ? interval : 500);
	int r = look(s, e), key;

	while (r == 0 && !s->quit && !*ret_signal) {
		int64_t left = next - clock_ms(CLOCK_MONOTONIC);

		monitor_order(s->m, s->sort, s->order);
		draw(s);
		if (left > 0 && poll(p, ARRAY_SIZE(p), (int)left) > 0) {
			if (p[1].revents)
				take_signal(signals, ret_signal);
			while (p[0].revents && (key = getch()) != ERR)
				take_key(s, key);
			/* The terminal is gone. */
			s->quit |= (p[0].revents & (POLLHUP | POLLERR)) != 0;
			continue;
		}
		if (clock_ms(CLOCK_MONOTONIC) < next)
			continue;
		r = look(s, e);
		next = clock_ms(CLOCK_MONOTONIC) + interval;
	}
	return r;
}

int monitor_screen(struct monitor *m, unsigned int interval_ms, int *ret_signal,
		   struct err *e)
{
	struct screen s = { .m = m,
			    .utf8 = streq(nl_langinfo(CODESET), "UTF-8"),
			    .of_all = true };
	_close_ int signals = -1;
	SCREEN *terminal = NULL;
	sigset_t mask, before;
	int r;

	*ret_signal = 0;
	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGQUIT);
	sigaddset(&mask, SIGWINCH);
	sigprocmask(SIG_BLOCK, &mask, &before);
	signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		r = err_sys(e, "cannot wait for signals");
	else
		r = screen_begin(&s, &terminal, e);
	if (r == 0) {
		r = run_screen(&s, signals, interval_ms, ret_signal, e);
		endwin();
		delscreen(terminal);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	free(s.order);
	free(s.selected);
	return r;
}
