/* SPDX-License-Identifier: Apache-2.0 */
/* Tells systemd how it stands, by the protocol of sd_notify(3). */
#ifndef TOOLS_SERVE_NOTIFY_H
#define TOOLS_SERVE_NOTIFY_H

/* Nothing where $NOTIFY_SOCKET is not set. `state`: "READY=1", "STATUS=...", lines of them. */
void notify(const char *state);

#endif
