/* SPDX-License-Identifier: Apache-2.0 */
/* Trace directories: where they are, what lies in them. Never prints, never exits. */
#ifndef TOOLS_TRACE_DIRECTORY_H
#define TOOLS_TRACE_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct trace_entry {
	char *path;
	pid_t pid;
	uint64_t start_time; /* field 22 of /proc/PID/stat */
	uint32_t image;	     /* programs that the process was before, with a trace each */
	char *failed;	     /* NULL for a trace; else the errno name of a .failed-REASON note */
};

struct trace_list {
	struct trace_entry *entries; /* by pid, then start time, then image */
	unsigned count;
};

/* $TLSTALL_DIR, else $XDG_RUNTIME_DIR/tlstall, else /tmp/tlstall-UID. */
void trace_default_directory(char *buffer, size_t size);
/* Every directory a user's or, for root, anybody's traces may lie in; NULL-terminated. */
char **trace_search_path(void);
void trace_search_path_free(char **directories);

/* Adds what lies in a directory; an error is -1 with errno, ENOENT included. */
int trace_list_add(struct trace_list *list, const char *directory);
void trace_list_free(struct trace_list *list);

/* Whether that very process (not a later one with its id) is alive. */
bool trace_process_alive(pid_t pid, uint64_t start_time);

#endif
