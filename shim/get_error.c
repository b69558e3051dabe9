/* SPDX-License-Identifier: Apache-2.0 */
/* What the program asks SSL_get_error, and whether it asks rightly. */
#include <errno.h>

#include "call.h"
#include "events.h"
#include "handshake.h"

static uint32_t misuse(const struct libssl *lib, const SSL *ssl, const struct track *track, int ret,
		       int answer)
{
	uint32_t bits = 0;

	if (!track->op_known)
		return 0;
	if (ret != track->op_ret)
		bits |= TLSTALL_MISUSE_RET;
	if (mapping_tid() != track->op_tid)
		bits |= TLSTALL_MISUSE_THREAD;
	else if (call_last_op != ssl)
		bits |= TLSTALL_MISUSE_OTHER;
	if ((answer == HS_SSL || answer == HS_SYSCALL) &&
	    (uint32_t)lib->ERR_peek_error() != track->op_error_head)
		bits |= TLSTALL_MISUSE_QUEUE;
	return bits;
}

static void record(const struct libssl *lib, const SSL *ssl, int ret, int answer)
{
	struct track *track = lib->foreign || !ssl ? NULL : track_get(lib, ssl);
	struct tlstall_handshake *slot = NULL;
	int saved = errno;
	uint32_t bits;

	if (!track || !mapping.header || track_is_inside(track))
		return;
	if (track->slot && track->slot->number == track->number)
		slot = track->slot;
	bits = misuse(lib, ssl, track, ret, answer);
	if (slot && slot->status == TLSTALL_SLOT_LIVE &&
	    track->process == mapping_identity()->process) {
		slot->get_errors++;
		slot->misuse |= bits;
		if (bits & TLSTALL_MISUSE_QUEUE)
			slot->flags |= TLSTALL_HS_SHORT_GET_ERROR;
	}
	event_get_error(ssl, slot, ret, answer, bits);
	errno = saved;
}

int call_get_error(const SSL *ssl, int ret)
{
	const struct libssl *lib = libssl_of(ssl);
	int answer = lib->SSL_get_error(ssl, ret);

	if (control->mode == TLSTALL_MODE_ALL)
		record(lib, ssl, ret, answer);
	return answer;
}
