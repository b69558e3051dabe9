/* SPDX-License-Identifier: Apache-2.0 */
/* What the program passes to SSL_get_error, and whether that is correct. */
#include "get_error.h"

#include <errno.h>

#include "call.h"
#include "events.h"
#include "guard.h"
#include "handshake.h"
#include "watch.h"

static uint32_t misuse(const struct libssl *lib, const SSL *ssl, const struct track *track,
		       uint32_t tid, int ret, int answer)
{
	uint32_t bits = 0;

	if (!track->op_known)
		return 0;
	if (ret != track->op_ret)
		bits |= TLSTALL_MISUSE_RET;
	if (tid != track->op_tid)
		bits |= TLSTALL_MISUSE_THREAD;
	else if (call_last_op != ssl)
		bits |= TLSTALL_MISUSE_OTHER;
	if ((answer == TLSTALL_ERROR_SSL || answer == TLSTALL_ERROR_SYSCALL) &&
	    (uint32_t)lib->ERR_peek_error() != track->op_error_head)
		bits |= TLSTALL_MISUSE_QUEUE;
	return bits;
}

/* Mode `watch` counts it while the handshake runs, and records it only where details are needed. */
static bool is_wanted(const struct tlstall_handshake *slot)
{
	return control->mode != TLSTALL_MODE_WATCH ||
	       (slot && (slot->status == TLSTALL_SLOT_LIVE || !watch_is_compact(slot)));
}

static void record(const struct libssl *lib, const SSL *ssl, int ret, int answer)
{
	struct track *track = lib->foreign || !ssl ? NULL : track_get(lib, ssl);
	struct tlstall_handshake *slot;
	int saved = errno;
	uint32_t bits;

	if (!track || !mapping.header || track_is_inside(track))
		return;
	slot = track_slot(track);
	if (slot && slot->number != track->number)
		slot = NULL;
	if (!is_wanted(slot))
		return;
	bits = misuse(lib, ssl, track, mapping_tid(), ret, answer);
	if (slot && slot->status == TLSTALL_SLOT_LIVE && track->process == mapping_thread.process) {
		slot->get_errors++;
		slot->misuse |= bits;
		if (bits & TLSTALL_MISUSE_QUEUE)
			slot->flags |= TLSTALL_HS_SHORT_GET_ERROR;
	}
	if (control->mode == TLSTALL_MODE_ALL || (slot && !watch_is_compact(slot)))
		event_get_error(ssl, slot, ret, answer, bits);
	errno = saved;
}

static void guarded_record(const struct libssl *lib, const SSL *ssl, int ret, int answer)
{
	guard_enter();
	record(lib, ssl, ret, answer);
	guard_leave();
}

int get_error_ask(const SSL *ssl, int ret)
{
	const struct libssl *lib = libssl_of(ssl);
	int answer = lib->SSL_get_error(ssl, ret);

	if (control->mode >= TLSTALL_MODE_ALL)
		guarded_record(lib, ssl, ret, answer);
	return answer;
}
