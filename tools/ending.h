/* SPDX-License-Identifier: Apache-2.0 */
/* For commands that run until they are told to end, and then finish what they have begun. */
#ifndef TOOLS_ENDING_H
#define TOOLS_ENDING_H

/*
 * Blocks SIGINT, SIGTERM and SIGHUP. Returns a signalfd that reports them and does not block; -1
 * with errno.
 */
int ending_signals(void);

#endif
