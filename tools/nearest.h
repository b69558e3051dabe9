/* SPDX-License-Identifier: Apache-2.0 */
/* What a mistyped word was probably meant to be. */
#ifndef TOOLS_NEAREST_H
#define TOOLS_NEAREST_H

/* The most similar of the NULL-terminated `words`; NULL: none is similar. */
const char *nearest(const char *word, const char *const *words);

#endif
