/* SPDX-License-Identifier: Apache-2.0 */
/* The viewer: one page, shared by `report --html` and `serve`, embedded in the tool. */
#ifndef TOOLS_WEB_ASSETS_H
#define TOOLS_WEB_ASSETS_H

#include <stdio.h>

#define WEB_POLICY_SIZE 512

/*
 * Writes the page; `data` writes the data blocks in its midst (NULL: none).
 * A fresh nonce lets the page's own scripts run and nothing that came with
 * data. -1 with errno if no random bytes can be had; the caller checks `out`
 * for write errors.
 */
int web_page_write(FILE *out, void (*data)(void *context, FILE *out), void *context);
/* The page that asks "events" for its data; `policy`: the Content-Security-Policy to send with it. */
int web_live_write(FILE *out, char policy[WEB_POLICY_SIZE]);

#endif
