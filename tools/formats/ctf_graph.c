/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A babeltrace2 graph of two components: our events are the source, and the plugin's sink.ctf.fs
 * writes them.
 */
#include "formats/ctf_graph.h"

#include <babeltrace2/babeltrace.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CLASSES_MAX 8
#define NEARLY_FULL (1u << 20) /* bytes: more than a packet of the sink */

struct source {
	const struct ctf_trace *trace;
	bt_stream *stream;
	bt_event_class *classes[CLASSES_MAX];
	size_t next; /* 0: the beginning of the stream; then the events; then its end */
};

/* ---- what the trace is made of ------------------------------------------------------ */

static void append(bt_trace_class *trace_class, bt_field_class *payload, const char *name,
		   bt_field_class *member)
{
	(void)trace_class;
	bt_field_class_structure_append_member(payload, name, member);
	bt_field_class_put_ref(member);
}

static bt_event_class *make_class(bt_trace_class *trace_class, bt_stream_class *stream_class,
				  const struct ctf_class *class)
{
	bt_event_class *made = bt_event_class_create(stream_class);
	bt_field_class *payload = bt_field_class_structure_create(trace_class);

	for (size_t i = 0; class->texts[i]; i++)
		append(trace_class, payload, class->texts[i], bt_field_class_string_create(trace_class));
	for (size_t i = 0; class->numbers[i]; i++)
		append(trace_class, payload, class->numbers[i],
		       bt_field_class_integer_signed_create(trace_class));
	bt_event_class_set_name(made, class->name);
	bt_event_class_set_payload_field_class(made, payload);
	bt_field_class_put_ref(payload);
	return made;
}

static void make_stream(struct source *source, bt_self_component *self)
{
	bt_trace_class *trace_class = bt_trace_class_create(self);
	bt_stream_class *stream_class = bt_stream_class_create(trace_class);
	bt_clock_class *clock = bt_clock_class_create(self);
	bt_trace *trace = bt_trace_create(trace_class);

	bt_clock_class_set_name(clock, "realtime"); /* by default 1 GHz, since the epoch */
	bt_stream_class_set_default_clock_class(stream_class, clock);
	for (size_t i = 0; i < source->trace->class_count && i < CLASSES_MAX; i++)
		source->classes[i] =
			make_class(trace_class, stream_class, &source->trace->classes[i]);
	bt_trace_set_name(trace, "tlstall");
	source->stream = bt_stream_create(stream_class, trace);
	bt_trace_put_ref(trace);
	bt_clock_class_put_ref(clock);
	bt_stream_class_put_ref(stream_class);
	bt_trace_class_put_ref(trace_class);
}

/* ---- the source --------------------------------------------------------------------------- */

static bt_component_class_initialize_method_status initialize(
	bt_self_component_source *self, bt_self_component_source_configuration *configuration,
	const bt_value *params, void *data)
{
	bt_self_component *component = bt_self_component_source_as_self_component(self);
	struct source *source = data;

	(void)configuration;
	(void)params;
	bt_self_component_set_data(component, source);
	make_stream(source, component);
	return (bt_component_class_initialize_method_status)
		bt_self_component_source_add_output_port(self, "out", NULL, NULL);
}

static void finalize(bt_self_component_source *self)
{
	struct source *source =
		bt_self_component_get_data(bt_self_component_source_as_self_component(self));

	for (size_t i = 0; i < CLASSES_MAX; i++)
		bt_event_class_put_ref(source->classes[i]);
	bt_stream_put_ref(source->stream);
}

/* babeltrace2 2.0 may show an earlier event's text for an empty one, so it gets another. */
static void set_text(bt_field *field, const char *text)
{
	bt_field_string_set_value(field, *text ? text : CTF_UNKNOWN);
}

static void fill(const struct ctf_trace *trace, const struct ctf_event *event, bt_field *payload)
{
	uint64_t member = 0;

	for (size_t i = 0; event->class->texts[i]; i++)
		set_text(bt_field_structure_borrow_member_field_by_index(payload, member++),
			 strings_text(trace->strings, event->texts[i]));
	for (size_t i = 0; event->class->numbers[i]; i++)
		bt_field_integer_signed_set_value(
			bt_field_structure_borrow_member_field_by_index(payload, member++),
			event->numbers[i]);
}

static bt_message *make_event(struct source *source, bt_self_message_iterator *self,
			      const struct ctf_event *event)
{
	bt_event_class *class = source->classes[event->class - source->trace->classes];
	bt_message *message = bt_message_event_create_with_default_clock_snapshot(
		self, class, source->stream, event->ns);

	if (message)
		fill(source->trace, event,
		     bt_event_borrow_payload_field(bt_message_event_borrow_event(message)));
	return message;
}

static bt_message *make_message(struct source *source, bt_self_message_iterator *self)
{
	size_t next = source->next++;

	if (!next)
		return bt_message_stream_beginning_create(self, source->stream);
	if (next <= source->trace->event_count)
		return make_event(source, self, &source->trace->events[next - 1]);
	return bt_message_stream_end_create(self, source->stream);
}

static bt_message_iterator_class_next_method_status next_messages(bt_self_message_iterator *self,
								  bt_message_array_const messages,
								  uint64_t capacity, uint64_t *count)
{
	struct source *source = bt_self_component_get_data(
		bt_self_message_iterator_borrow_component(self));

	for (*count = 0; *count < capacity && source->next < source->trace->event_count + 2;) {
		const bt_message *message = make_message(source, self);

		if (!message)
			return BT_MESSAGE_ITERATOR_CLASS_NEXT_METHOD_STATUS_MEMORY_ERROR;
		messages[(*count)++] = message;
	}
	return *count ? BT_MESSAGE_ITERATOR_CLASS_NEXT_METHOD_STATUS_OK
		      : BT_MESSAGE_ITERATOR_CLASS_NEXT_METHOD_STATUS_END;
}

/* ---- the graph ------------------------------------------------------------------------------ */

static const bt_component_source *add_source(bt_graph *graph, struct source *source)
{
	bt_message_iterator_class *iterator = bt_message_iterator_class_create(next_messages);
	bt_component_class_source *class = bt_component_class_source_create("tlstall", iterator);
	const bt_component_source *component = NULL;

	bt_component_class_source_set_initialize_method(class, initialize);
	bt_component_class_source_set_finalize_method(class, finalize);
	bt_graph_add_source_component_with_initialize_method_data(
		graph, class, "tlstall", NULL, source, BT_LOGGING_LEVEL_NONE, &component);
	bt_component_class_source_put_ref(class);
	bt_message_iterator_class_put_ref(iterator);
	return component;
}

static const bt_component_sink *add_sink(bt_graph *graph, const char *path)
{
	const bt_component_class_sink *class;
	const bt_component_sink *component = NULL;
	const bt_plugin *plugin = NULL;
	bt_value *params = bt_value_map_create();

	bt_value_map_insert_string_entry(params, "path", path);
	bt_value_map_insert_bool_entry(params, "assume-single-trace", BT_TRUE);
	bt_value_map_insert_bool_entry(params, "quiet", BT_TRUE);
	bt_plugin_find("ctf", BT_TRUE, BT_FALSE, BT_TRUE, BT_TRUE, BT_FALSE, &plugin);
	class = plugin ? bt_plugin_borrow_sink_component_class_by_name_const(plugin, "fs") : NULL;
	if (class)
		bt_graph_add_sink_component(graph, class, "out", params, BT_LOGGING_LEVEL_NONE,
					    &component);
	bt_value_put_ref(params);
	bt_plugin_put_ref(plugin);
	return component;
}

static int connect_and_run(bt_graph *graph, const bt_component_source *source,
			   const bt_component_sink *sink)
{
	const bt_port_output *out =
		bt_component_source_borrow_output_port_by_index_const(source, 0);
	const bt_port_input *in = bt_component_sink_borrow_input_port_by_index_const(sink, 0);

	return bt_graph_connect_ports(graph, out, in, NULL) || bt_graph_run(graph) ? -1 : 0;
}

/* The incomplete trace. Nothing was there before. */
static void discard(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	rmdir(path);
}

/* babeltrace2 does not say why it failed. */
static int why_not(const char *path)
{
	struct statvfs disk;

	return !statvfs(path, &disk) && disk.f_bavail * disk.f_frsize < NEARLY_FULL ? ENOSPC : EIO;
}

int ctf_write(const struct ctf_trace *trace, const char *path)
{
	struct source source = {.trace = trace};
	const bt_component_source *from;
	const bt_component_sink *to;
	bt_graph *graph;
	int result = -1, error;

	if (!access(path, F_OK)) {
		errno = EEXIST;
		return -1;
	}
	graph = bt_graph_create(0);
	from = graph ? add_source(graph, &source) : NULL;
	to = from ? add_sink(graph, path) : NULL;
	error = from && !to ? ENOPKG : EIO; /* ENOPKG: the plugin is not installed */
	if (to)
		result = connect_and_run(graph, from, to);
	bt_current_thread_clear_error();
	if (to && result) { /* the sink of babeltrace2 2.0 would free its stream twice: the graph stays */
		error = why_not(path);
		discard(path);
	} else {
		bt_graph_put_ref(graph);
	}
	errno = error;
	return result;
}
