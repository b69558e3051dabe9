/* SPDX-License-Identifier: Apache-2.0 */
/* Event loops that call late, wait for the wrong event, spin, or do not move the bytes. */
#include <netinet/tcp.h>

#include "judge.h"

/* How long data or space was there, in the gap that is open or in the longest one. */
static uint64_t ready_ns(const struct facts *f)
{
	return f->time.gap_ready_ns;
}

/* The socket was ready for a long time, and for a fair part of the handshake. */
static bool was_late(const struct facts *f)
{
	uint64_t ready = ready_ns(f);

	if (f->stuck && open_gap_ready(f) >= STALL_NS)
		return true;
	return ready >= NOTABLE_NS && ready >= f->age_ns / 10;
}

static bool is_stopped(const struct facts *f)
{
	return f->stuck && f->wait == TLSTALL_WAIT_STOPPED;
}

/*
 * The loop is alive: it polls while this socket is ready, or it serves other sockets throughout. A
 * thread that served nobody for most of the time and then many at once was busy elsewhere; one that
 * has served each of many sockets once has not yet come back to this one.
 */
static bool loop_goes_on(const struct facts *f)
{
	bool polls = f->wait == TLSTALL_WAIT_POLL || f->wait == TLSTALL_WAIT_ON_SOCKET;

	if (!f->in_op && polls && open_gap_ready(f))
		return true;
	return f->others.polls > 1 && f->others.hole_ns < ready_ns(f) / 2;
}

static void say_hole(const struct facts *f, struct verdict *v)
{
	if (!f->others.thread_other_ops && !f->others.hole_waiters)
		return;
	say(v, "the thread made no call for %s", span(f->others.hole_ns).s);
	if (f->others.hole_waiters)
		say(v, "%s of this thread waited meanwhile",
		    counted(f->others.hole_waiters, "other handshake").s);
}

static void say_ready(const struct facts *f, struct verdict *v)
{
	const struct tlstall_socket *n = open_gap_ready(f) ? socket_now(f) : &f->at_gap;
	uint8_t want = n == &f->at_gap ? f->longest_gap_want : f->last_error;

	if (want == TLSTALL_ERROR_WANT_WRITE)
		say(v,
		    "after WANT_WRITE everything had been sent and acknowledged: the socket was "
		    "writable for %s",
		    span(ready_ns(f)).s);
	else if (n->ticks && n->inq == 1 && n->tcp_state == TCP_CLOSE_WAIT)
		say(v,
		    "after %s, the peer closed the connection; the end of its stream was unread "
		    "for %s in all",
		    word_error_short(want), span(ready_ns(f)).s);
	else if (n->ticks && n->inq && n->inq != UINT32_MAX)
		say(v, "after %s, %s were unread in the socket, for %s in all",
		    word_error_short(want), size(n->inq).s, span(ready_ns(f)).s);
	else
		say(v, "the socket was ready for %s in all", span(ready_ns(f)).s);
	if (n == &f->at_gap)
		say(v, "the longest gap between two calls took %s", span(f->longest_gap_ns).s);
	else
		say_calls(f, v);
}

bool judge_WRONG_INTEREST(const struct facts *f, struct verdict *v)
{
	if (!was_late(f) || !loop_goes_on(f))
		return false;
	v->cost_ns = ready_ns(f);
	say_ready(f, v);
	if (f->others.thread_other_ops)
		say(v, "meanwhile, the thread made %s on other SSL objects",
		    counted(f->others.thread_other_ops, "call").s);
	if (f->wait == TLSTALL_WAIT_POLL || f->wait == TLSTALL_WAIT_ON_SOCKET) {
		v->confidence = CONFIDENCE_HIGH;
		say(v, "the thread waits in %s, which does not wake up for this socket",
		    f->wait_syscall && *f->wait_syscall ? f->wait_syscall : "poll");
	}
	doubt(v, CAUSE_APP_NOT_RESUMING);
	return true;
}

/* The thread's CPU time while this handshake waited, by the measurement that covers most of it. */
struct use {
	uint64_t ns, over_ns;
	bool polls; /* spends much of it in system calls */
	bool asked; /* the kernel was asked whether the socket was ready meanwhile */
};

static struct use cpu_between_calls(const struct facts *f)
{
	struct use use = {f->burnt_ns, f->burnt_over_ns,
			  f->burnt_ran_ns && f->burnt_system_ns >= f->burnt_ran_ns / 5,
			  f->live.ticks};

	/* how the thread uses the CPU after the handshake does not matter */
	if (f->ok || f->failed)
		use = (struct use){0};
	if (f->gap_cpu_known && f->longest_gap_ns > use.over_ns)
		use = (struct use){f->gap_cpu_ns, f->longest_gap_ns, false, f->at_gap.ticks};
	if (f->idle_cpu_known && f->idle_ns > use.over_ns)
		use = (struct use){f->idle_cpu_ns, f->idle_ns, false, socket_now(f)};
	return use;
}

/* The thread used most of a core and served no other handshake. */
static bool runs_between_calls(const struct facts *f, const struct use *use)
{
	if (f->in_op || use->over_ns < STALL_NS || use->ns < use->over_ns / 10 * 7)
		return false;
	return !f->others.thread_other_ops || f->others.hole_ns >= use->over_ns / 2;
}

/* A memory BIO: the program reads its socket itself, and while it computes it does not. */
static bool computes(const struct facts *f, const struct use *use)
{
	return f->memory && use->over_ns >= NOTABLE_NS && !use->polls && runs_between_calls(f, use);
}

static void say_computing(const struct use *use, struct verdict *v)
{
	say(v, "between two calls the thread computed: it ran, or waited for a CPU, for %s of %s",
	    span(use->ns).s, span(use->over_ns).s);
}

static bool judge_computing(const struct facts *f, struct verdict *v)
{
	struct use use = cpu_between_calls(f);

	if (!computes(f, &use) || !f->slow)
		return false;
	v->cost_ns = f->stuck ? f->since_progress_ns : f->longest_gap_ns;
	say_computing(&use, v);
	say(v, "meanwhile it did not read what the peer may have sent");
	say_calls(f, v);
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}

/* A read returns as soon as one byte is there, unless something keeps the thread from it. */
static bool judge_unread(const struct facts *f, struct verdict *v)
{
	v->cost_ns = f->since_progress_ns;
	say(v, "%s have been unread for %s, though the call is in %s on that very socket",
	    size(f->live.inq).s, span(f->live.last_data_recv_ms * MS).s, f->wait_syscall);
	say_calls(f, v);
	say_socket(f, v);
	v->advice =
		"Find out what keeps the thread from running: a paused container (cgroup.freeze), "
		"a CPU quota (cpu.stat); or did the program set SO_RCVLOWAT?";
	return true;
}

static bool judge_all_unread(const struct facts *f, struct verdict *v)
{
	struct use use = cpu_between_calls(f);

	v->cost_ns = f->since_progress_ns;
	if (f->fitting > 1)
		say(v,
		    "its socket is not known: %u connections of the process fit, and all have "
		    "bytes unread",
		    f->fitting);
	else
		say(v,
		    "the connection of the process that carried exactly its bytes has %s unread, "
		    "for %s",
		    size(f->only.inq).s, span(f->only.last_data_recv_ms * MS).s);
	say_calls(f, v);
	if (computes(f, &use))
		say_computing(&use, v);
	else if (f->wait_syscall && *f->wait_syscall)
		say(v, "the thread that made the last call is in %s", f->wait_syscall);
	doubt(v, CAUSE_WRONG_INTEREST);
	return true;
}

static bool holds_bytes(const struct tlstall_socket *n)
{
	return n->ticks && n->inq && n->inq != UINT32_MAX;
}

bool judge_APP_NOT_RESUMING(const struct facts *f, struct verdict *v)
{
	if (is_stopped(f)) {
		v->cost_ns = f->since_progress_ns;
		v->advice = "Continue it: kill -CONT PID, detach the debugger, or thaw its cgroup "
			    "(docker unpause).";
		say(v, "the process is stopped (by a signal, a debugger, or a frozen cgroup)");
		say_calls(f, v);
		say_socket(f, v);
		if (!open_gap_ready(f) && !holds_bytes(&f->live))
			doubt(v, CAUSE_PEER_SILENT);
		return true;
	}
	if (is_left_unread(f))
		return judge_unread(f, v);
	if (are_all_unread(f))
		return judge_all_unread(f, v);
	if (!was_late(f))
		return judge_computing(f, v);
	if (loop_goes_on(f))
		return false;
	v->cost_ns = ready_ns(f);
	v->confidence = CONFIDENCE_HIGH;
	say_ready(f, v);
	say_hole(f, v);
	if (f->wait == TLSTALL_WAIT_POLL_OTHERS && f->wait_syscall) {
		v->confidence = CONFIDENCE_MEDIUM;
		say(v, "the thread is in %s, which waits for other descriptors only",
		    f->wait_syscall);
		v->advice = "tlstall stack PID shows what for: a child process or a lookup that is awaited "
			    "synchronously (execSync in Node.js), or a loop that has forgotten this socket.";
	} else if (f->live.ticks && f->wait_syscall && *f->wait_syscall) {
		say(v, "the thread is in %s", f->wait_syscall);
		return true;
	}
	doubt(v, CAUSE_WRONG_INTEREST);
	return true;
}

static bool judge_spin_between_calls(const struct facts *f, struct verdict *v)
{
	struct use use = cpu_between_calls(f);

	if (f->memory || ready_ns(f) >= STALL_NS || !runs_between_calls(f, &use))
		return false;
	v->cost_ns = use.ns;
	v->confidence = use.polls ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
	say(v, "between two calls the thread ran, or waited for a CPU, for %s of %s; %s",
	    span(use.ns).s, span(use.over_ns).s,
	    use.asked ? "its socket was not ready" : "whether its socket was ready is not known");
	if (!use.asked)
		doubt(v, CAUSE_APP_NOT_RESUMING);
	if (use.polls)
		say(v,
		    "%s of the %s that it ran went into system calls: a poll() that returns at "
		    "once",
		    span(f->burnt_system_ns).s, span(f->burnt_ran_ns).s);
	v->advice = "After WANT_READ, have poll() wait only for readable: a socket is nearly "
		    "always writable, so the loop never sleeps.";
	return true;
}

bool judge_BUSY_SPIN(const struct facts *f, struct verdict *v)
{
	if (!has_spun(f) || !is_io_want(f->longest_run_error))
		return judge_spin_between_calls(f, v);
	v->cost_ns = f->run_ns;
	v->confidence = CONFIDENCE_HIGH;
	say(v, "%u calls in a row ended with %s and moved nothing, for %s, one every %s",
	    f->longest_run, word_error_short(f->longest_run_error), span(f->run_ns).s,
	    span(f->run_ns / f->longest_run).s);
	say(v, "OpenSSL alone used %s of CPU time", span(f->time.cpu_ns).s);
	return true;
}

bool judge_BIO_NOT_PUMPED(const struct facts *f, struct verdict *v)
{
	if (!is_not_pumped(f))
		return false;
	v->cost_ns = f->since_progress_ns;
	v->confidence = is_seen_not_pumped(f) || is_blocked_before_pumping(f) ? CONFIDENCE_HIGH
									      : CONFIDENCE_LOW;
	if (is_blocked_before_pumping(f))
		say(v,
		    "OpenSSL wrote into a memory BIO, and waits for the answer on descriptor %d: "
		    "the connection has carried nothing since",
		    f->read.fd);
	else if (f->last_error == TLSTALL_ERROR_WANT_WRITE)
		say(v, "the BIO is full: %s wait to be taken out, and OpenSSL has more to write",
		    size(f->pending_out).s);
	else
		say(v, "%s of %s that OpenSSL wrote are still in the BIO after %s",
		    size(f->pending_out).s, size(f->bytes_out).s, counted(f->calls, "call").s);
	say_only(f, v);
	if (v->confidence == CONFIDENCE_LOW)
		doubt(v, CAUSE_BIO_STARVED);
	say_calls(f, v);
	return true;
}

/* A shorter delay is enough for blame if the client gave up because of it. */
#define LATE_FOR_PEER_NS (100 * MS)

/* The client had hung up before the first call. */
static bool had_left(const struct facts *f)
{
	uint8_t state = f->at_start.ticks ? f->at_start.tcp_state : 0;

	return state == TCP_CLOSE_WAIT || state == TCP_CLOSE || state == TCP_LAST_ACK;
}

/* The server has sent something since: what came last was plain text of before TLS (STARTTLS). */
static bool was_answered(const struct tlstall_socket *n)
{
	return (n->bytes_acked || n->unacked) && n->last_data_sent_ms < n->last_data_recv_ms;
}

/* How long the ClientHello had waited at the server's first call; 0: it had not arrived. */
static uint64_t hello_lay_ns(const struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start;
	uint64_t ns = start->last_data_recv_ms * MS;
	/* the kernel counts the end of the stream as one byte */
	bool came = start->ticks && start->bytes_received > had_left(f) && !was_answered(start);

	if (f->role != TLSTALL_ROLE_SERVER || !came || f->longest_call_ns >= ns)
		return 0;
	if (ns >= SLOW_HANDSHAKE_NS)
		return ns;
	return is_hang_up(f) && ns >= LATE_FOR_PEER_NS && ns >= f->age_ns ? ns : 0;
}

/* Both sides had talked before TLS, and the peer may have kept us waiting: until its last byte. */
static uint64_t since_talk_ns(const struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start;

	return start->ticks && start->tcp_state && start->bytes_received
		       ? start->last_data_recv_ms * MS
		       : UINT64_MAX;
}

/* From the connection, or SSL_new, to the first call. A server may wait for its client there. */
static uint64_t began_late_ns(const struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start;
	bool untouched = start->ticks && start->tcp_state == TCP_ESTABLISHED &&
			 !start->bytes_received && start->bytes_acked <= 1;
	uint64_t connected = untouched ? start->last_ack_recv_ms * MS : 0;

	if (f->connected_ms * MS > connected)
		connected = f->connected_ms * MS;

	if (f->role == TLSTALL_ROLE_SERVER &&
	    (!f->first_read_ns || f->first_read_ns > f->longest_call_ns + MS))
		return 0;
	/* Lost SYNs are not the program's fault */
	if (f->finished_before || (start->ticks && start->total_retrans))
		return 0;
	if (f->role == TLSTALL_ROLE_CLIENT && connected > f->before_start_ns)
		return connected;
	return f->before_start_ns;
}

static uint64_t slept_ns(const struct facts *f)
{
	uint64_t late = began_late_ns(f), talked = since_talk_ns(f);

	return late < talked ? late : talked;
}

bool judge_LATE_START(const struct facts *f, struct verdict *v)
{
	uint64_t lay = hello_lay_ns(f), slept = slept_ns(f);

	if (!lay && slept < 3 * SLOW_HANDSHAKE_NS / 2)
		return false;
	v->cost_ns = lay ? lay : slept;
	if (lay) {
		v->confidence = had_left(f) || lay >= SLOW_HANDSHAKE_NS ? CONFIDENCE_HIGH
									: CONFIDENCE_MEDIUM;
		say(v, "the ClientHello had arrived %s before it was read", span(lay).s);
		if (had_left(f))
			say(v, "the client had already left when the first call was made");
		return true;
	}
	v->confidence = CONFIDENCE_LOW;
	if (slept == since_talk_ns(f))
		say(v, "the peer's last bytes before TLS had come %s before the first call",
		    span(slept).s);
	else if (slept > f->before_start_ns)
		say(v, "the connection had been unused for %s at the first call", span(slept).s);
	if (f->before_start_ns >= STALL_NS)
		say(v, "%s passed between SSL_new and the first call", span(f->before_start_ns).s);
	if (slept != since_talk_ns(f))
		doubt(v, CAUSE_TCP_NOT_CONNECTED);
	return true;
}

bool judge_ASYNC_PENDING(const struct facts *f, struct verdict *v)
{
	bool open = f->stuck && !f->in_op && is_async_want(f->last_error);
	bool was = is_async_want(f->longest_gap_want) && f->longest_gap_ns >= NOTABLE_NS;
	bool spun = has_spun(f) && is_async_want(f->longest_run_error);

	if (!open && !was && !spun)
		return false;
	v->confidence = CONFIDENCE_HIGH;
	v->cost_ns = open ? f->since_progress_ns : was ? f->longest_gap_ns : f->run_ns;
	if (spun)
		say(v, "called again %u times in %s, each time with %s", f->longest_run,
		    span(f->run_ns).s, word_error_short(f->longest_run_error));
	else if (open)
		say(v, "%s for %s", word_error_short(f->last_error), span(f->idle_ns).s);
	else
		say(v, "%s, and the next call came %s later", word_error_short(f->longest_gap_want),
		    span(f->longest_gap_ns).s);
	say_calls(f, v);
	return true;
}

/*
 * Inside OpenSSL most of the time; or for a good part of it, while it served many others one after
 * the other: a thread also works, and waits for a CPU, between its calls.
 */
#define BUSY_PERCENT 60
#define BUSY_PERCENT_OF_MANY 30
#define MANY_HANDSHAKES 20

static bool never_rests(const struct neighborhood *n)
{
	return n->window_handshakes >= MANY_HANDSHAKES &&
	       (n->rest_ns < n->window_ns / 10 || n->rest_ns < LATE_FOR_PEER_NS);
}

/* The call came late because the thread had to serve others first. */
bool judge_OVERLOAD(const struct facts *f, struct verdict *v)
{
	const struct neighborhood *n = &f->others;
	uint64_t late = hello_lay_ns(f);
	unsigned share;

	if (was_late(f) && ready_ns(f) > late)
		late = ready_ns(f);
	if (f->role != TLSTALL_ROLE_SERVER || f->read.blocking == 1 || !late ||
	    n->window_ns < LATE_FOR_PEER_NS || n->window_handshakes < 4)
		return false;
	share = (unsigned)(n->busy_ns * 100 / n->window_ns);
	if (share < (never_rests(n) ? BUSY_PERCENT_OF_MANY : BUSY_PERCENT))
		return false;
	v->cost_ns = late;
	say(v, "in the preceding %s, the thread was inside OpenSSL for %u %% of the time",
	    span(n->window_ns).s, share > 100 ? 100 : share);
	say(v, "it made %.0f handshakes per second, %s each",
	    (double)n->window_handshakes * 1e9 / (double)n->window_ns,
	    span(n->busy_ns / n->window_handshakes).s);
	if (share < BUSY_PERCENT)
		say(v,
		    "it never paused between two calls for longer than %s: the rest was other "
		    "work, or a wait for a CPU",
		    span(n->rest_ns).s);
	say_signature(f, v);
	return true;
}
