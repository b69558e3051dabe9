/* SPDX-License-Identifier: Apache-2.0 */
/* Trace directories: where they are, and what they contain. Never prints, never exits. */
#ifndef TOOLS_TRACE_DIRECTORY_H
#define TOOLS_TRACE_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct trace_entry {
	char *path;
	pid_t pid;
	uint64_t start_time; /* field 22 of /proc/PID/stat */
	uint64_t tag;	     /* tells namespaces and boots apart; 0: none, before 1.3 */
	uint32_t image;	     /* number of earlier programs of the process, each with a trace */
	char *failed;	     /* NULL for a trace; else the errno name of a .failed-REASON note */
	bool making;	     /* left by a process that died while it made its trace */
};

struct trace_list {
	struct trace_entry *entries; /* by pid, then start time, tag and image */
	unsigned count;
};

/* $TLSTALL_DIR, else $XDG_RUNTIME_DIR/tlstall, else /tmp/tlstall-UID. */
void trace_default_directory(char *buffer, size_t size);
/*
 * Every directory that may contain this user's traces, or, for root, any user's; NULL-terminated.
 */
char **trace_search_path(void);
void trace_search_path_free(char **directories);

/* Adds the contents of a directory; an error is -1 with errno, ENOENT included. */
int trace_list_add(struct trace_list *list, const char *directory);
/* The same, with what is not a whole trace. */
int trace_list_add_all(struct trace_list *list, const char *directory);
void trace_list_free(struct trace_list *list);

/* By its name alone; of those in other namespaces a note does not tell. */
bool trace_entry_alive(const struct trace_entry *entry);

/* What the traces in a directory take on the disk, in bytes; `count`: how many they are. */
uint64_t trace_directory_bytes(const char *directory, unsigned *count);

/* A note's reason in words: "the disk is full" of ENOSPC. */
const char *trace_note_words(const char *reason);
/*
 * Whether that process left a note there; its reason. `start`: host_start() of the process. A note stays
 * when its process has ended, and the id is given to another one later. -1: memory ran out.
 */
int trace_note_of(const char *directory, pid_t pid, uint64_t start, char *reason, size_t size);

#endif
