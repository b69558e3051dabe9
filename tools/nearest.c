/* SPDX-License-Identifier: Apache-2.0 */
#include "nearest.h"

#include <stddef.h>
#include <string.h>

#define LONGEST 32

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * The number of insertions, deletions, replacements and swaps of neighbors between the two (optimal
 * string alignment).
 */
static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned row[LONGEST + 1][LONGEST + 1];

	for (size_t i = 0; i <= n; i++)
		row[i][0] = (unsigned)i;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		for (size_t j = 1; j <= m; j++) {
			unsigned same = row[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			row[i][j] = least(same, least(row[i - 1][j], row[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[i][j] = least(row[i][j], row[i - 2][j - 2] + 1);
		}
	}
	return row[n][m];
}

const char *nearest(const char *word, const char *const *words)
{
	const char *best = NULL;
	size_t length = strlen(word);
	/* if more than a third of it is wrong, or half of a short one, it is another word */
	unsigned bound = (unsigned)(length < 4 ? 1 : length / 3 + 1);

	for (; length <= LONGEST && *words; words++) {
		size_t other = strlen(*words);
		unsigned d = other <= LONGEST ? distance(word, length, *words, other) : bound + 1;

		if (d <= bound) {
			bound = d - 1;
			best = *words;
			if (!d)
				break;
		}
	}
	return best;
}
