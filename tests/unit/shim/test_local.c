/* SPDX-License-Identifier: Apache-2.0 */
/* Which mounts a path leads through, with made-up lists of mounts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "local.h"

static char list[] = "/tmp/tlstall-mounts-XXXXXX";

static void write_list(const char *text)
{
	FILE *file = fopen(list, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static const char usual[] =
	"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"23 22 0:21 / /proc rw shared:5 - proc proc rw\n"
	"24 22 0:30 / /srv rw - nfs4 server:/srv rw,vers=4.2\n"
	"25 22 0:31 / /media/a/mnt rw master:1 propagate_from:2 - fuse.sshfs a@b: rw,user_id=0\n"
	"26 22 0:32 / /with\\040blank rw - cifs //server/share rw\n"
	"27 22 0:33 / /run rw - tmpfs tmpfs rw\n"
	"28 27 0:34 / /run/user/7/gvfs rw - fuse.gvfsd-fuse gvfsd-fuse rw\n"
	"29 22 0:35 / /auto rw - autofs systemd-1 rw\n";

static void knows_kinds(void **state)
{
	(void)state;
	write_list(usual);
	assert_true(local_is_by(list, "/tmp/traces"));
	assert_true(local_is_by(list, "/run/user/7/tlstall"));
	assert_false(local_is_by(list, "/srv/traces"));
	assert_false(local_is_by(list, "/srv"));
	assert_false(local_is_by(list, "/media/a/mnt/b"));
	assert_false(local_is_by(list, "/run/user/7/gvfs/b"));
	assert_false(local_is_by(list, "/auto/b"));
	assert_false(local_is_by(list, "//media//a/mnt/b"));
	assert_false(local_is_by(list, "/with blank/b"));
}

static void goes_by_whole_names(void **state)
{
	(void)state;
	write_list(usual);
	assert_true(local_is_by(list, "/srv2"));
	assert_true(local_is_by(list, "/media/a/mn"));
	assert_true(local_is_by(list, "/media/a/mnt2"));
	assert_true(local_is_by(list, "/with"));
}

static void takes_the_root_as_it_is(void **state)
{
	(void)state;
	write_list("22 1 0:21 / / rw - fuse.fuse-overlayfs fuse-overlayfs rw\n"
		   "23 22 0:22 / /data rw - fuse.fuse-overlayfs fuse-overlayfs rw\n");
	assert_true(local_is_by(list, "/tmp/traces"));
	assert_false(local_is_by(list, "/data/traces"));
}

/* Options of overlays are long: such a line does not fit into one read. */
static void reads_long_lines(void **state)
{
	static char text[40000];
	size_t used = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		used += (size_t)sprintf(text + used, "1 1 0:1 / /o%d rw - overlay overlay rw,lowerdir=%0*d\n",
					i, 300 * i + 1, 7);
	sprintf(text + used, "2 1 0:2 / /far rw - ceph mon:/ rw\n");
	write_list(text);
	assert_true(local_is_by(list, "/o3/traces"));
	assert_false(local_is_by(list, "/far/traces"));
}

static void survives_what_is_no_list(void **state)
{
	static const char *const texts[] = {"", "\n\n\n", "1 1", " - - - ", "a b c d /srv e - nfs", "1 1 0:1 / /x rw -"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_list(texts[i]);
		assert_true(local_is_by(list, "/tmp"));
	}
	assert_true(local_is_by("/nowhere/at/all", "/srv"));
	assert_true(local_is_by(list, "relative"));
}

static void follows_links(void **state)
{
	char base[] = "/tmp/tlstall-links-XXXXXX", path[100], to[100];

	(void)state;
	assert_non_null(mkdtemp(base));
	sprintf(path, "%s/circle", base);
	assert_int_equal(symlink("circle", path), 0);
	assert_false(local_is(path));
	sprintf(to, "%s/link", base);
	assert_int_equal(symlink("../../tmp/./nothing//there", to), 0);
	assert_true(local_is(to));
	assert_true(local_is("/../../tmp/a/.."));
	assert_true(local_is("/./././tmp/./a"));
	assert_true(local_is("/"));
	unlink(path);
	unlink(to);
	rmdir(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_kinds),
		cmocka_unit_test(goes_by_whole_names),
		cmocka_unit_test(takes_the_root_as_it_is),
		cmocka_unit_test(reads_long_lines),
		cmocka_unit_test(survives_what_is_no_list),
		cmocka_unit_test(follows_links),
	};
	int fd = mkstemp(list), failed;

	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(list);
	return failed;
}
