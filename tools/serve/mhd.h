/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd, which is loaded when serve begins to listen. */
#ifndef TOOLS_SERVE_MHD_H
#define TOOLS_SERVE_MHD_H

#include <microhttpd.h>
#include <stdbool.h>

#define MHD_FUNCTIONS \
	FUNCTION(add_response_header) FUNCTION(basic_auth_get_username_password) \
	FUNCTION(create_response_from_buffer) FUNCTION(create_response_from_callback) \
	FUNCTION(destroy_response) FUNCTION(free) FUNCTION(get_connection_info) \
	FUNCTION(get_daemon_info) FUNCTION(get_timeout) FUNCTION(lookup_connection_value) \
	FUNCTION(queue_response) FUNCTION(resume_connection) FUNCTION(run) \
	FUNCTION(set_connection_option) FUNCTION(start_daemon) FUNCTION(stop_daemon) \
	FUNCTION(suspend_connection)

struct mhd_functions {
#define FUNCTION(name) __typeof__(MHD_##name) *name;
	MHD_FUNCTIONS
#undef FUNCTION
};
extern struct mhd_functions mhd;

/* Returns false if it cannot be loaded, after printing why. */
bool mhd_load(void);

#endif
