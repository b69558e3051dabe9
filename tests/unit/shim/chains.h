/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to call a function, compiled several times over. */
#ifndef CHAINS_H
#define CHAINS_H

typedef void leaf_function(void);

struct chain {
	const char *name;
	void (*call)(leaf_function *leaf);
};

struct chains {
	const char *flags;
	const struct chain *list; /* ends with one without a name */
};

#endif
