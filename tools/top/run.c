/* SPDX-License-Identifier: Apache-2.0 */
#include <curses.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "message.h"
#include "now.h"
#include "text/print.h"
#include "top/top.h"

/* Milliseconds: enough for an arrow key over a slow line, short for a plain Escape. */
#define ESCAPE_MS 100

static void choose_colors(void)
{
	if (!print_in_color(stdout) || !has_colors())
		return;
	start_color();
	use_default_colors();
	init_pair(1, COLOR_RED, -1);
}

static long now_ms(void)
{
	return (long)(now_ns(CLOCK_MONOTONIC) / 1000000);
}

/* Then waiting for a key returns at once, always. */
static bool terminal_is_gone(void)
{
	struct pollfd input = {STDIN_FILENO, POLLIN, 0};

	return poll(&input, 1, 0) == 1 && input.revents & (POLLHUP | POLLERR);
}

/* Draws, and waits for a key until the next refresh. */
static int loop(struct top *top)
{
	long due = now_ms() + (long)top->interval_ms;

	while (!top->quit) {
		long left = due - now_ms();
		int key;

		if (left <= 0) {
			if (!top->paused && top_refresh(top))
				return -1;
			due = now_ms() + (long)top->interval_ms;
			left = (long)top->interval_ms;
		}
		top_draw(top);
		timeout((int)left);
		key = getch();
		if (key == KEY_RESIZE)
			top_go(top, 0);
		else if (key != ERR)
			top_key(top, key);
		else if (terminal_is_gone())
			top->quit = true;
	}
	return 0;
}

int top_run(struct top *top)
{
	const char *terminal = getenv("TERM");
	SCREEN *screen;
	int result;

	if (top_refresh(top))
		return fail("out of memory");
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return fail("unknown terminal '%s' (set TERM)", terminal ? terminal : "");
	set_escdelay(ESCAPE_MS);
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	choose_colors();
	result = loop(top);
	endwin();
	delscreen(screen);
	top_free(top);
	return result ? fail("out of memory") : EXIT_SUCCESS;
}
