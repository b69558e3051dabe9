/* SPDX-License-Identifier: Apache-2.0 */
/* Which socket carries which SSL object. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "look/sockets.h"

#define ESTABLISHED 1
#define ROOM 8

struct scene {
	struct process_socket sockets[ROOM];
	struct ssl_object objects[ROOM];
	unsigned sockets_count, objects_count;
	struct joined_socket joined[ROOM];
};

static void socket_with(struct scene *scene, uint64_t received, uint64_t acked)
{
	unsigned i = scene->sockets_count++;

	scene->sockets[i] = (struct process_socket){
		.inode = 100 + i,
		.fd = 10 + (int)i,
		.now = {.ticks = 1,
			.tcp_state = ESTABLISHED,
			.bytes_received = received,
			.bytes_acked = acked},
	};
}

static struct ssl_object *object_with(struct scene *scene, int fd, uint64_t in, uint64_t out)
{
	struct ssl_object *object = &scene->objects[scene->objects_count++];

	*object = (struct ssl_object){
		.has_bio = true,
		.fd = fd,
		.bytes_in = in,
		.bytes_out = out,
		.pending_in = UINT64_MAX,
		.pending_out = UINT64_MAX,
	};
	return object;
}

static void join(struct scene *scene)
{
	const struct process_sockets sockets = {.list = scene->sockets,
						.count = scene->sockets_count};

	sockets_join(&sockets, scene->objects, scene->objects_count, scene->joined);
}

static void by_descriptor(void **state)
{
	struct scene scene = {.sockets_count = 0};

	(void)state;
	socket_with(&scene, 0, 518);
	socket_with(&scene, 0, 518);
	object_with(&scene, 11, 0, 517);
	object_with(&scene, 99, 0, 517); /* closed meanwhile */
	join(&scene);
	assert_int_equal(scene.joined[0].index, 1);
	assert_int_equal(scene.joined[1].index, -1);
}

static void by_bytes_the_syn_may_count(void **state)
{
	struct scene scene = {.sockets_count = 0};

	(void)state;
	socket_with(&scene, 0, 518);
	socket_with(&scene, 99, 300);
	object_with(&scene, -1, 99, 300);
	object_with(&scene, -1, 0, 517);
	join(&scene);
	assert_int_equal(scene.joined[0].index, 1);
	assert_int_equal(scene.joined[1].index, 0);
	assert_false(scene.joined[0].guessed);
}

/* Bytes read from the socket may still be in the BIO, and bytes written to the BIO not yet sent. */
static void by_bytes_of_memory_bios(void **state)
{
	struct scene scene = {.sockets_count = 0};
	struct ssl_object *object;

	(void)state;
	socket_with(&scene, 1000, 401);
	socket_with(&scene, 900, 501);
	object = object_with(&scene, -1, 900, 500);
	object->pending_in = 100;
	object->pending_out = 100;
	join(&scene);
	assert_int_equal(scene.joined[0].index, 0);
}

/* A socket's unread bytes have not passed through OpenSSL. */
static void by_bytes_without_the_unread(void **state)
{
	struct scene scene = {.sockets_count = 0};

	(void)state;
	socket_with(&scene, 1000, 518);
	socket_with(&scene, 1000, 518);
	scene.sockets[1].now.inq = 1000;
	object_with(&scene, -1, 0, 517);
	join(&scene);
	assert_int_equal(scene.joined[0].index, 1);
}

static void alike_is_not_told(void **state)
{
	struct scene scene = {.sockets_count = 0};

	(void)state;
	socket_with(&scene, 0, 518);
	socket_with(&scene, 0, 518);
	object_with(&scene, -1, 0, 517);
	object_with(&scene, -1, 0, 517);
	join(&scene);
	assert_int_equal(scene.joined[0].index, -1);
	assert_int_equal(scene.joined[1].index, -1);
	assert_int_equal(scene.joined[0].fitting, 2);
	assert_int_equal(scene.joined[1].idle, 2);
	/* another connection, which cannot be theirs, does not count */
	socket_with(&scene, 12, 6);
	join(&scene);
	assert_int_equal(scene.joined[0].fitting, 2);
	/* one of the two has an answer that nobody has read */
	scene.sockets[1].now.bytes_received = 90;
	scene.sockets[1].now.inq = 90;
	join(&scene);
	assert_int_equal(scene.joined[0].fitting, 2);
	assert_int_equal(scene.joined[0].idle, 0);
	assert_int_equal(scene.joined[0].unread, 0);
	scene.sockets[1].now.last_data_recv_ms = TLSTALL_UNREAD_MS;
	join(&scene);
	assert_int_equal(scene.joined[0].unread, 1);
	/* one of them has not been given all */
	scene.sockets[1].now.bytes_received = scene.sockets[1].now.inq = 0;
	scene.sockets[1].now.bytes_acked = 200;
	scene.objects[0].pending_out = scene.objects[1].pending_out = 317;
	scene.sockets[0].now.bytes_acked = 201;
	join(&scene);
	assert_int_equal(scene.joined[0].fitting, 2);
	assert_int_equal(scene.joined[0].idle, 0);
}

/* The socket carried data before TLS: accepted only if it is the only socket. */
static void a_preamble(void **state)
{
	struct scene scene = {.sockets_count = 0};

	(void)state;
	socket_with(&scene, 30, 540);
	object_with(&scene, -1, 0, 517);
	join(&scene);
	assert_int_equal(scene.joined[0].index, 0);
	assert_true(scene.joined[0].guessed);
	scene.sockets[0].objects = 0;
	socket_with(&scene, 31, 541);
	join(&scene);
	assert_int_equal(scene.joined[0].index, -1);
	assert_int_equal(scene.joined[0].idle, 0);
	/* nothing has come since the ClientHello was sent */
	scene.sockets[0].now.last_data_recv_ms = scene.sockets[1].now.last_data_recv_ms = 2000;
	scene.sockets[0].now.last_data_sent_ms = scene.sockets[1].now.last_data_sent_ms = 1990;
	join(&scene);
	assert_int_equal(scene.joined[0].fitting, 2);
	assert_int_equal(scene.joined[0].idle, 2);
}

static void others_carry_none(void **state)
{
	struct scene scene = {.sockets_count = 0};

	(void)state;
	socket_with(&scene, 0, 518);
	socket_with(&scene, 0, 518);
	scene.sockets[0].listens = true;
	scene.sockets[1].now.tcp_state = 0; /* not TCP */
	object_with(&scene, -1, 0, 517);
	object_with(&scene, -1, 0, 517)->has_bio = false;
	join(&scene);
	assert_int_equal(scene.joined[0].index, -1);
	assert_int_equal(scene.joined[1].index, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_descriptor),
		cmocka_unit_test(by_bytes_the_syn_may_count),
		cmocka_unit_test(by_bytes_of_memory_bios),
		cmocka_unit_test(by_bytes_without_the_unread),
		cmocka_unit_test(alike_is_not_told),
		cmocka_unit_test(a_preamble),
		cmocka_unit_test(others_carry_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
