/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source of the live page: server-sent events of `tlstall serve` (tools/serve/events.h), whose
 * records are those of /api/handshakes. Each redraw makes a new Table of them.
 */
"use strict";

const KEPT = 5000; /* ended ones; older ones are dropped */
const REDRAW_MS = 500;
const AGAIN_MS = 2000;
const SLOW_NS = 1e9;

/* Texts by number, as columns have them. */
class Dictionary {
	constructor() {
		this.texts = [""];
		this.numbers = new Map([["", 0]]);
	}
	number(text) {
		if (!text)
			return 0;
		if (!this.numbers.has(text))
			this.numbers.set(text, this.texts.push(String(text)) - 1);
		return this.numbers.get(text);
	}
}

/* One in flight is in trouble if it takes long. */
function isTroubled(record) {
	return Boolean(record.cause) && record.cause !== "NONE" &&
		(record.outcome !== "in_flight" || record.duration_ns >= SLOW_NS);
}

/* A server's clients have effectively random ports. */
function peerOf(record) {
	const [, host, port] = /^(.*):(\d+)$/.exec(record.peer || "") || [null, record.peer || record.sni || "", "0"];
	return record.role === "server" ? { text: host, port: Number(port) } : { text: record.peer || record.sni || "", port: 0 };
}

function lastState(record) {
	return record.states.length ? record.states[record.states.length - 1].state : "";
}

/* One whose process ended first. */
function hasEnded(record) {
	return record.outcome === "in_flight" ? { ...record, outcome: "abandoned" } : record;
}

/* How to make each column from a record. */
function columnMakers({ strings, versions, errors, causes, faults, base }) {
	const time = key => r => (r.time || {})[key] || 0, zero = () => 0, text = key => r => strings.number(r[key]);
	return {
		start: r => r.ts_ns - base, dur: r => r.duration_ns, id: r => r.handshake, source: zero,
		outcome: r => OUTCOMES.indexOf(r.outcome), cause: r => Math.max(0, causes.indexOf(r.cause)),
		fault: r => Math.max(0, faults.indexOf(r.fault)),
		flags: r => (r.resumed ? 1 : 0) | (isTroubled(r) ? 2 : 0), role: r => Math.max(0, ROLES.indexOf(r.role)),
		version: r => versions.number(r.version), peer: r => strings.number(peerOf(r).text), port: r => peerOf(r).port,
		sni: text("sni"), alpn: text("alpn"), comm: text("comm"), cipher: text("cipher"), group: text("group"),
		reason: text("reason"), state: r => strings.number(lastState(r)), path: zero, stack: zero,
		pid: r => r.host_pid || r.pid, tid: r => r.tid || 0, ssl: r => Number(r.ssl),
		err: r => errors.number((r.error || "").replace("SSL_ERROR_", "")), oserr: zero,
		calls: r => r.calls || 0, retries: r => r.retries || 0, want_read: r => r.want_read || 0,
		want_write: r => r.want_write || 0, bytes_in: r => r.bytes_in, bytes_out: r => r.bytes_out,
		cpu: time("cpu_ns"), wait: time("wait_in_call_ns"), gap_waiting: time("gap_waiting_ns"),
		gap_ready: time("gap_ready_ns"), gap: zero, gap_ready_max: zero,
	};
}

function stateLists(records, names) {
	const offset = [0], id = [], at = [];
	for (const record of records) {
		for (const { state, at_ns } of record.states) {
			id.push(names.number(state));
			at.push(at_ns);
		}
		offset.push(id.length);
	}
	return { calls: { offset: new Uint32Array(records.length + 1), values: {} }, states: { offset, values: { id, at } } };
}

function verdictsOf(record, causes, faults) {
	if (!record.cause || record.cause === "NONE")
		return [];
	return [record, ...record.also || []].map(verdict => ({
		cause: causes.indexOf(verdict.cause), fault: faults.indexOf(verdict.fault),
		confidence: CONFIDENCES.indexOf(verdict.confidence), cost: verdict.cost_ns || 0, evidence: verdict.evidence,
		not_told_from: (verdict.not_told_from || []).map(name => causes.indexOf(name)), advice: verdict.advice }));
}

/* Troubled ones by cause, fault and peer, the costliest first. */
function groupsOf(table) {
	const groups = new Map();
	for (let i = 0; i < table.count; i++) {
		const { cause, fault, peer, dur } = table.column, key = [cause[i], fault[i], peer[i]].join("/");
		if (!table.troubled(i))
			continue;
		if (!groups.has(key))
			groups.set(key, { cause: cause[i], fault: fault[i], peer: peer[i], path: 0, times: [] });
		groups.get(key).times.push(dur[i]);
	}
	return [...groups.values()].map(({ times, ...group }) => {
		times.sort((a, b) => a - b);
		return { ...group, count: times.length, p50_ns: rankOf(times, 50), p99_ns: rankOf(times, 99),
			worst_ns: times[times.length - 1], total_ns: times.reduce((a, b) => a + b, 0) };
	}).sort((a, b) => b.total_ns - a.total_ns);
}

/*
 * Whether two records are of one handshake: its start is known more exactly the later it is told.
 */
function isSame(a, b) {
	return a === b || (a.handshake === b.handshake && a.pid === b.pid && a.ssl === b.ssl &&
		a.pid_namespace === b.pid_namespace && Math.abs(a.ts_ns - b.ts_ns) < 1e7);
}

function tableOfRecords(records, { hello, processes, notes }) {
	const causes = hello.causes.map(cause => cause.name), strings = new Dictionary();
	const versions = new Dictionary(), errors = new Dictionary();
	const base = records.reduce((least, record) => Math.min(least, record.ts_ns), records.length ? Infinity : 0);
	const makers = columnMakers({ strings, versions, errors, causes, faults: hello.faults, base });
	const columns = {}, names = new Dictionary();
	for (const name in makers)
		columns[name] = Float64Array.from(records, makers[name]);
	const meta = { host: hello.host, base_ms: base / 1e6, sources: [], processes, notes, causes: hello.causes,
		faults: hello.faults, versions: versions.texts, errors: errors.texts, stacks: [], groups: [], live: true };
	const table = new Table({ meta, strings: strings.texts, names: names.texts }, columns, stateLists(records, names),
		i => ({ verdicts: verdictsOf(records[i], causes, hello.faults),
			alerts: records[i].alerts.map(alert => ({ ...alert, at: alert.at_ns || 0 })) }));
	table.records = records;
	meta.groups = groupsOf(table);
	return table;
}

class LiveSource {
	constructor(path) {
		this.path = path;
		this.ended = [];
		this.now = { processes: 0, in_flight: 0, handshakes: [] };
		this.hello = null;
		this.last = "";
		this.missed = 0;
		this.timer = 0;
		this.connected = false;
	}

	/* Calls onTable repeatedly, as long as the page lives. */
	start(onTable) {
		this.onTable = onTable;
		this.connect();
		return Promise.resolve(true);
	}

	/* The browser reconnects by itself unless it was refused. */
	connect() {
		const stream = new EventSource(this.path + (this.last ? "?after=" + encodeURIComponent(this.last) : ""));
		const on = (name, take) => stream.addEventListener(name, event => {
			if (event.lastEventId)
				this.last = event.lastEventId;
			take(JSON.parse(event.data));
			this.redraw();
		});
		on("hello", hello => this.begin(hello));
		on("handshake", record => this.ended.push(hasEnded(record)));
		on("lost", ({ count }) => { this.missed += count; });
		on("now", now => { this.now = now; });
		stream.addEventListener("error", () => {
			this.connected = false;
			this.redraw();
			if (stream.readyState === EventSource.CLOSED)
				setTimeout(() => this.connect(), AGAIN_MS);
		});
	}

	/* A new epoch is a new run of the agent, which sends everything that it knows again. */
	begin(hello) {
		if (this.hello && this.hello.epoch !== hello.epoch) {
			this.ended = [];
			this.last = "";
			this.missed = 0;
		}
		this.hello = hello;
		this.connected = true;
	}

	notes() {
		const notes = [], more = this.now.in_flight - this.now.handshakes.filter(r => r.outcome === "in_flight").length;
		if (!this.connected)
			notes.push("The connection to tlstall serve is lost; this page tries again.");
		if (more > 0)
			notes.push(many(more, "more handshake is", "more handshakes are") + " in flight: only the oldest are listed.");
		if (this.missed)
			notes.push(many(this.missed, "handshake") + " ended too fast, or too long ago, to be on this page.");
		return notes;
	}

	redraw() {
		if (this.timer || !this.hello)
			return;
		this.timer = setTimeout(() => {
			this.timer = 0;
			this.ended.splice(0, this.ended.length - KEPT);
			this.onTable(tableOfRecords([...this.ended, ...this.now.handshakes],
				{ hello: this.hello, processes: this.now.processes, notes: this.notes() }));
		}, REDRAW_MS);
	}
}
