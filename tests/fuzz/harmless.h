/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold for text that is shown on a terminal, in JSON or in a page. Follows the standard,
 * independently of the tested code. */
#ifndef TESTS_FUZZ_HARMLESS_H
#define TESTS_FUZZ_HARMLESS_H

#include <stdbool.h>

/* Aborts unless the text is valid UTF-8 without control characters or characters that change the
 * direction of text. `lines`: newlines are allowed. */
void need_harmless(const char *text, bool lines);

#endif
