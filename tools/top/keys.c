/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <curses.h>
#include <string.h>

#include "live/fields.h"
#include "top/top.h"

#define ESCAPE 27
#define ENTER '\n'
#define DELETE 127

/* Returns whether the key moves the cursor. */
static bool moves(struct top *top, int key)
{
	int page = (int)top_page();

	switch (key) {
	case KEY_UP:
	case 'k':
		top_go(top, -1);
		return true;
	case KEY_DOWN:
	case 'j':
		top_go(top, 1);
		return true;
	case KEY_PPAGE:
		top_go(top, -page);
		return true;
	case KEY_NPAGE:
		top_go(top, page);
		return true;
	case KEY_HOME:
	case 'g':
		top_go(top, -1000000);
		return true;
	case KEY_END:
	case 'G':
		top_go(top, 1000000);
		return true;
	default:
		return false;
	}
}

/* Each letter narrows the list at once. Escape removes the filter. */
static void type(struct top *top, int key)
{
	size_t length = strlen(top->filter);

	if (key == ESCAPE)
		top->filter[0] = '\0';
	if (key == ESCAPE || key == ENTER || key == KEY_ENTER)
		top->typing = false;
	else if ((key == KEY_BACKSPACE || key == DELETE || key == '\b') && length)
		top->filter[length - 1] = '\0';
	else if (key < DELETE && isprint(key) && length + 1 < sizeof(top->filter))
		memcpy(top->filter + length, (char[]){(char)key, '\0'}, 2);
	top_arrange(top);
}

static void go_back(struct top *top)
{
	if (top->view != TOP_HANDSHAKES)
		top->view = TOP_HANDSHAKES;
	else
		top->filter[0] = '\0';
	top_arrange(top);
}

static void change(struct top *top, int key)
{
	switch (key) {
	case 's':
		top->sort = (top->sort + 1) % live_field_count;
		break;
	case 'r':
		top->reverse = !top->reverse;
		break;
	case 'd':
		top->live.dead = !top->live.dead;
		top_refresh(top);
		return;
	case 'p':
		top->view = top->view == TOP_PROCESSES ? TOP_HANDSHAKES : TOP_PROCESSES;
		break;
	case '/':
		top->view = TOP_HANDSHAKES;
		top->typing = true;
		break;
	default:
		return;
	}
	top_arrange(top);
}

void top_key(struct top *top, int key)
{
	if (top->typing) {
		type(top, key);
		return;
	}
	if (moves(top, key))
		return;
	switch (key) {
	case 'q':
		top->quit = true;
		break;
	case ' ':
		top->paused = !top->paused;
		break;
	case ENTER:
	case KEY_ENTER:
	case KEY_RIGHT:
		if (top->view == TOP_HANDSHAKES)
			top_open(top);
		break;
	case ESCAPE:
	case KEY_LEFT:
	case KEY_BACKSPACE:
	case DELETE:
		go_back(top);
		break;
	case 12:
		clearok(curscr, TRUE);
		break; /* Ctrl-L redraws */
	default:
		change(top, key);
	}
}
