/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library that has nothing to do with OpenSSL, but functions with such names: other parameters, and
 * objects that are small numbers.
 */
int SSL_connect(int handle, const char *host, int port, long a, long b, long c, long d, long e);
long SSL_read(int handle, double scale);
const char *SSL_write(int handle);
int own_names(int handle);

int SSL_connect(int handle, const char *host, int port, long a, long b, long c, long d, long e)
{
	return handle + host[0] + port + (int)(a + 2 * b + 3 * c + 5 * d + 7 * e);
}

long SSL_read(int handle, double scale)
{
	return (long)(1e15 * scale) + handle;
}

const char *SSL_write(int handle)
{
	return handle == 3 ? "written" : "lost";
}

/* The library calls its own by their names, too, and from a table. */
static long (*const table[])(int handle, double scale) = {SSL_read};

int own_names(int handle)
{
	return SSL_connect(handle, "h", 443, 1, 2, 3, 4, 5) + (int)(table[0](handle, 0.5) % 1000);
}
