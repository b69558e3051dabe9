/* SPDX-License-Identifier: Apache-2.0 */
/* What a mistyped word was probably meant to be. */
#ifndef TOOLS_NEAREST_H
#define TOOLS_NEAREST_H

/* The one of the NULL-terminated `words` that is nearest to `word`; NULL: none is near. */
const char *nearest(const char *word, const char *const *words);

#endif
