/* SPDX-License-Identifier: Apache-2.0 */
/* The directory for traces: whether it can be used, and notes left in it. */
#ifndef SHIM_DIRECTORY_H
#define SHIM_DIRECTORY_H

#include <stdbool.h>

#include "self.h"

/* Why no trace can be made: an errno number, or one of these. */
enum {
	REASON_NONE = 0,
	REASON_SHARED = 10000,
	REASON_FULL,
	REASON_REMOTE,
	REASON_LIMIT,
	/* the reasons from here on are about OpenSSL inside the program */
	REASON_ARCHITECTURE,
	REASON_CODE,
	REASON_PROTECTED,
	REASON_THREADS,
};

/* Whether it is still the same directory as when it was prepared. */
bool directory_is_at_its_place(void);
/* The same of an open one, for a signal handler. */
bool directory_is_it(int fd);
/* settings.directory has changed. */
void directory_forget(void);
/* Creates it if only its last part is missing. Returns why it cannot be used, or REASON_NONE. */
int directory_prepare(bool *shared);
/* Leaves an empty file whose name says why there is no trace. Needs no descriptor. */
void directory_note(const struct self *self, int reason);
/* Removes the note, because there is a trace after all. */
void directory_take_note_back(void);

#endif
