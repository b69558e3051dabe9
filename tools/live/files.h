/* SPDX-License-Identifier: Apache-2.0 */
/* Which traces there are, and which of them are current. For collect.c. */
#ifndef TOOLS_LIVE_FILES_H
#define TOOLS_LIVE_FILES_H

#include "live/collect.h"

/* Reads an open trace, and closes it if it is no longer needed. -1: out of memory. */
typedef int files_read(struct live *live, struct live_file *file);

/*
 * Opens current ones. Those of processes that have just ended are read at once, as there may be
 * many. -1: out of memory.
 */
int files_list(struct live *live, files_read *read);
void files_forget_unlisted(struct live *live);
/*
 * Of the traces of one process, only that of its latest image is being written. -1: out of memory.
 */
int files_mark_replaced(struct live *live);
void files_close(struct live_file *file);

#endif
