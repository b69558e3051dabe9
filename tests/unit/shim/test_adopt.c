/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes in flight when the tool attached: what the shim takes over, and that it does so once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "adopt.h"

static struct tlstall_handshake first_call(uint64_t ssl, uint64_t bytes_in, uint64_t bytes_out)
{
	struct tlstall_handshake slot;

	memset(&slot, 0, sizeof(slot));
	slot.ssl = ssl;
	slot.flags = TLSTALL_HS_MIDDLE;
	slot.bytes_in = bytes_in;
	slot.bytes_out = bytes_out;
	adopt_tell(&slot);
	return slot;
}

static void take(void)
{
	static struct tlstall_attach wanted;

	wanted.adopted_count = 3;
	wanted.adopted[0] = (struct tlstall_adopted){0x1000, 5000000000, 0, 517};
	wanted.adopted[1] = (struct tlstall_adopted){0x2000, 70000000, 100, 200};
	wanted.adopted[2] = (struct tlstall_adopted){0x1000, 9000000000, 0, 517};
	adopt_take(&wanted);
}

static void tells_once(void **state)
{
	struct tlstall_handshake h;

	(void)state;
	take();
	h = first_call(0x1000, 0, 517);
	assert_in_range(h.begun_ms, 5000, 5500);
	assert_true(h.flags & TLSTALL_HS_STOOD);
	/* bytes moved meanwhile */
	h = first_call(0x2000, 100, 300);
	assert_in_range(h.begun_ms, 70, 570);
	assert_false(h.flags & TLSTALL_HS_STOOD);
	h = first_call(0x2000, 100, 200);
	assert_int_equal(h.begun_ms, 0);
	assert_false(h.flags & TLSTALL_HS_STOOD);
}

static void knows_no_other(void **state)
{
	(void)state;
	take();
	assert_int_equal(first_call(0x3000, 0, 517).begun_ms, 0);
	adopt_forget();
	assert_int_equal(first_call(0x1000, 0, 517).begun_ms, 0);
}

/* The tool is another program: its counts are not trusted. */
static void believes_no_count(void **state)
{
	static struct tlstall_attach wanted;

	(void)state;
	wanted.adopted_count = UINT32_MAX;
	wanted.adopted[TLSTALL_ATTACH_ADOPTED - 1] = (struct tlstall_adopted){0x1000, UINT64_MAX, 0, 0};
	adopt_take(&wanted);
	assert_true(first_call(0x1000, 0, 0).flags & TLSTALL_HS_STOOD);
	assert_int_equal(first_call(0x2000, 0, 0).begun_ms, 0);
	adopt_forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_once),
		cmocka_unit_test(knows_no_other),
		cmocka_unit_test(believes_no_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
