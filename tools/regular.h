/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens files by names that another user may have chosen: in a trace, a process, a directory of
 * his. Opening a device or a pipe can have an effect, such as starting a watchdog.
 */
#ifndef TOOLS_REGULAR_H
#define TOOLS_REGULAR_H

/* For reading; links are followed. -1 with errno: EISDIR, or EINVAL if it is another kind of file. */
int regular_open(const char *path);
/* The same for what was opened with O_PATH, which is closed. */
int regular_reopen(int place);

#endif
