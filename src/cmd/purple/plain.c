/* SPDX-License-Identifier: Apache-2.0 */
/* print_plain() and print_csv() of purple.h. Pure. */
#include "base/str.h"
#include "cmd/purple/purple.h"

void print_plain(struct buf *out, const char *text, size_t max)
{
	size_t n = 0;

	for (; *text && (!max || n < max); text++, n++) {
		unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];

		/* U+0080 to U+009F, too: terminals take U+009B for the begin of a sequence. */
		if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
			text++;
		} else if (c >= 0x20 && c != 0x7f) {
			buf_add(out, text, 1);
			continue;
		}
		buf_adds(out, "?");
	}
	if (*text)
		buf_adds(out, "...");
}

/* RFC 4180. */
void print_csv(struct buf *out, const char *text)
{
	buf_adds(out, strchr("=+-@\t\r", text[0]) && text[0] ? "\"'" : "\"");
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"') {
			buf_adds(out, "\"\"");
		} else if (c == 0xc2 && (unsigned char)text[1] >= 0x80 &&
			   (unsigned char)text[1] < 0xa0) {
			/* C1 controls in UTF-8: a terminal obeys them. */
			buf_adds(out, "?");
			text++;
		} else {
			buf_add(out, c < 0x20 || c == 0x7f ? "?" : text, 1);
		}
	}
	buf_adds(out, "\"");
}
