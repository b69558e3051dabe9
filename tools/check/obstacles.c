/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps any preloaded library out: loader, machine, privileges, environment. */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "check/findings.h"
#include "check/inquiry.h"

static void block(struct inquiry *inquiry, enum check_reason reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void block(struct inquiry *inquiry, enum check_reason reason, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	inquiry->blocked = true;
	add_reason(inquiry->result, reason, inquiry->result->program, "%s", text);
}

static const char *machine_name(const struct object *object, char text[static 32])
{
	static const struct {
		int machine;
		const char *name;
	} names[] = {
		{EM_X86_64, "x86-64"}, {EM_386, "i386"},    {EM_AARCH64, "arm64"},
		{EM_ARM, "arm"},       {EM_RISCV, "riscv"}, {EM_PPC64, "ppc64"},
		{EM_S390, "s390"},     {EM_MIPS, "mips"},
	};
	const char *name = NULL;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].machine == object->machine)
			name = names[i].name;
	if (name)
		snprintf(text, 32, "%s-bit %s", object->class == ELFCLASS32 ? "32" : "64", name);
	else
		snprintf(text, 32, "%s-bit machine %d", object->class == ELFCLASS32 ? "32" : "64",
			 object->machine);
	return text;
}

static void look_at_machine(struct inquiry *inquiry, const struct object *program)
{
	const struct object *shim = &inquiry->shim_object;
	char one[32], other[32];

	if (!shim->class || (program->class == shim->class && program->machine == shim->machine &&
			     program->data == shim->data))
		return;
	block(inquiry, CHECK_REASON_ARCHITECTURE, "is built for %s, the shim for %s",
	      machine_name(program, one), machine_name(shim, other));
}

static void look_at_loader(struct inquiry *inquiry, const struct object *program)
{
	const char *loader = program->interpreter, *name;

	if (!loader) {
		block(inquiry, CHECK_REASON_STATIC,
		      "is a static executable: no loader, so LD_PRELOAD has no effect");
		return;
	}
	name = strrchr(loader, '/') ? strrchr(loader, '/') + 1 : loader;
	if (!strncmp(name, OBJECT_MUSL_LOADER, strlen(OBJECT_MUSL_LOADER)))
		add_note(inquiry->result, inquiry->result->program,
			 "runs on musl (%s): a stack may end where musl's own code begins", loader);
	else if (strncmp(name, "ld-linux", 8) && strncmp(name, "ld64.so", 7) &&
		 strncmp(name, "ld.so", 5) && strncmp(name, "ld-2.", 5))
		block(inquiry, CHECK_REASON_OTHER_LIBC, "is loaded by %s; the shim is for glibc and musl",
		      loader);
}

/* Set-id bits count only if the id really changes and the mount honors them. */
static void look_at_privileges(struct inquiry *inquiry)
{
	struct check_result *result = inquiry->result;
	struct stat status;
	struct statvfs mount;
	bool user, group;

	if (fstat(inquiry->fd, &status) != 0 ||
	    (fstatvfs(inquiry->fd, &mount) == 0 && mount.f_flag & ST_NOSUID))
		return;
	user = status.st_mode & S_ISUID;
	group = (status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
	if ((user && status.st_uid != inquiry->uid) || (group && status.st_gid != inquiry->gid))
		block(inquiry, CHECK_REASON_SECURE,
		      "is %s: the loader ignores LD_PRELOAD for such programs",
		      user && group ? "setuid and setgid"
		      : user	    ? "setuid"
				    : "setgid");
	else if (user || group)
		add_note(result, result->program,
			 "is setuid or setgid: cannot be traced when other users run it");
	if (fgetxattr(inquiry->fd, "security.capability", NULL, 0) <= 0)
		return;
	if (inquiry->uid)
		block(inquiry, CHECK_REASON_SECURE,
		      "has file capabilities: the loader ignores LD_PRELOAD for such programs");
	else
		add_note(result, result->program,
			 "has file capabilities: cannot be traced when a user other than root runs "
			 "it");
}

static void look_at_shim(struct inquiry *inquiry)
{
	struct statvfs mount;

	if (inquiry->shim_is_missing)
		block(inquiry, CHECK_REASON_SHIM_UNREADABLE, "%s", CHECK_NO_SHIM);
	if (!*inquiry->shim)
		return;
	if (!check_can_preload(inquiry->shim))
		block(inquiry, CHECK_REASON_SHIM_UNREADABLE, "the shim is %s: %s (move it)",
		      inquiry->shim, CHECK_NO_PRELOAD);
	else if (access(inquiry->shim, R_OK) != 0)
		block(inquiry, CHECK_REASON_SHIM_UNREADABLE, "the shim %s is not readable: %s",
		      inquiry->shim, strerror(errno));
	else if (statvfs(inquiry->shim, &mount) == 0 && mount.f_flag & ST_NOEXEC)
		block(inquiry, CHECK_REASON_SHIM_UNREADABLE,
		      "the shim %s lies on a file system mounted noexec", inquiry->shim);
}

/* Programs that start their helpers with an environment of their own. */
static void look_at_strippers(struct inquiry *inquiry)
{
	static const struct {
		const char *end, *advice;
	} strippers[] = {
		{"/sbin/dovecot", "import_environment in dovecot.conf"},
		{"/postfix/sbin/master", "import_environment in main.cf"},
	};
	const char *program = inquiry->result->program;
	size_t length = strlen(program);

	for (size_t i = 0; i < sizeof(strippers) / sizeof(*strippers); i++) {
		size_t end = strlen(strippers[i].end);

		if (length >= end && !strcmp(program + length - end, strippers[i].end))
			block(inquiry, CHECK_REASON_STRIPPED,
			      "starts the helpers that do its TLS without LD_PRELOAD: "
			      "add LD_PRELOAD and TLSTALL_DIR to %s",
			      strippers[i].advice);
	}
}

void find_obstacles(struct inquiry *inquiry)
{
	const struct object *program = &inquiry->closure.list[0].object;

	look_at_machine(inquiry, program);
	look_at_loader(inquiry, program);
	/* for a process, process.c checks these */
	if (inquiry->running)
		return;
	look_at_privileges(inquiry);
	look_at_shim(inquiry);
	look_at_strippers(inquiry);
}
