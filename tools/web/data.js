/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where handshakes come from. A source gives a `Table`; the views know nothing
 * else. embeddedSource() reads what `tlstall report --html` put in the page:
 * element "data", base64 of gzip of
 *   8 bytes        length of the head, little-endian
 *   head           JSON: strings and names (dictionaries: names are those of
 *                  functions and states), meta, and where the body's parts lie
 *   body           little-endian arrays, each at a multiple of 8 bytes
 * A column is [type, offset in the body, count]. A list (a row has many values)
 * is a column "offset" with one entry more than rows, and columns of values.
 * A call's error is SSL_ERROR_*, 255: it has not returned.
 * Evidence: rows that have any, in order; where its JSON begins after `text`.
 */
"use strict";

const OUTCOMES = ["in_flight", "ok", "failed", "abandoned"];
const ROLES = ["", "client", "server"];
const CONFIDENCES = ["low", "medium", "high"];

const ARRAYS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, i32: Int32Array,
	f32: Float32Array, f64: Float64Array };

function bytesOf(base64) {
	if (Uint8Array.fromBase64)
		return Uint8Array.fromBase64(base64);
	const text = atob(base64);
	const bytes = new Uint8Array(text.length);
	for (let i = 0; i < text.length; i++)
		bytes[i] = text.charCodeAt(i);
	return bytes;
}

/* The body as columns: a function from [type, offset, count] to a typed array on the same bytes. */
function columnReader(buffer, body) {
	return ([type, offset, count]) => new ARRAYS[type](buffer, body + offset, count);
}

/* Columns of equal length and their dictionaries. Immutable: a live source makes new ones. */
class Table {
	constructor({ meta, strings, names }, columns, lists, detailOf) {
		this.meta = meta;
		this.strings = strings;
		this.names = names;
		this.column = columns;
		this.lists = lists;
		this.detailOf = detailOf;
		this.count = columns.dur.length;
		this.last = columns.start.reduce((last, start) => Math.max(last, start), 0);
		this.ofDays = dayOf(this, 0) !== dayOf(this, this.last);
	}
	text(name, i) {
		return this.strings[this.column[name][i]] || "";
	}
	/* Row i's part of a list, as an array of objects. */
	list(name, i) {
		const { offset, values } = this.lists[name];
		const out = [];
		for (let at = offset[i]; at < offset[i + 1]; at++) {
			const item = {};
			for (const key in values)
				item[key] = values[key][at];
			out.push(item);
		}
		return out;
	}
	detail(i) {
		return this.detailOf(i) || {};
	}
	cause(i) { return this.meta.causes[this.column.cause[i]] || { name: "UNKNOWN", title: "" }; }
	fault(i) { return this.meta.faults[this.column.fault[i]] || "unknown"; }
	outcome(i) { return OUTCOMES[this.column.outcome[i]]; }
	role(i) { return ROLES[this.column.role[i]] || ""; }
	error(number) { return this.meta.errors[number] || number; }
	version(i) { return this.meta.versions[this.column.version[i]] || ""; }
	resumed(i) { return (this.column.flags[i] & 1) !== 0; }
	troubled(i) { return (this.column.flags[i] & 2) !== 0; }
	peer(i) {
		const peer = this.text("peer", i), port = this.column.port[i];
		return this.role(i) === "server" && port ? peer + ":" + port : peer;
	}
	/* Five parts, in nanoseconds, that add up to the handshake's time. */
	split(i) {
		const c = this.column;
		const parts = { cpu: c.cpu[i], wait: c.wait[i], peer: c.gap_waiting[i], ready: c.gap_ready[i] };
		const rest = c.dur[i] - parts.cpu - parts.wait - parts.peer - parts.ready;
		parts.other = rest > c.dur[i] * 5e-7 ? rest : 0; /* anything smaller is rounding */
		return parts;
	}
}

/* The place of `row` in a sorted array; -1: not in it. */
function placeOf(rows, row) {
	let low = 0, high = rows.length - 1;
	while (low <= high) {
		const middle = (low + high) >> 1;
		if (rows[middle] === row)
			return middle;
		if (rows[middle] < row)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return -1;
}

function evidenceReader({ row, at, text }, column, buffer, body) {
	const rows = column(row), begins = column(at), decoder = new TextDecoder();
	return i => {
		const place = placeOf(rows, i);
		return place < 0 ? null : JSON.parse(decoder.decode(
			new Uint8Array(buffer, body + text + begins[place], begins[place + 1] - begins[place])));
	};
}

async function unpack(base64) {
	const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("gzip"));
	return new Response(stream).arrayBuffer();
}

function tableOfBytes(buffer) {
	const length = Number(new DataView(buffer).getBigUint64(0, true)), body = 8 + length;
	const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
	const column = columnReader(buffer, body), columns = {}, lists = {};
	for (const name in head.columns)
		columns[name] = column(head.columns[name]);
	for (const name in head.lists) {
		const { offset, ...parts } = head.lists[name], values = {};
		for (const key in parts)
			values[key] = column(parts[key]);
		lists[name] = { offset: column(offset), values };
	}
	return new Table(head, columns, lists, evidenceReader(head.evidence, column, buffer, body));
}

/*
 * start(onTable): calls onTable with each new Table (here once; live.js: again and again). Returns
 * false if there is nothing to show.
 */
function embeddedSource() {
	return { async start(onTable) {
		const element = document.getElementById("data");
		if (!element)
			return false;
		const buffer = await unpack(element.textContent);
		element.remove();
		onTable(tableOfBytes(buffer));
		return true;
	} };
}

/* ---- words ---------------------------------------------------------------- */

function formatDuration(ns) {
	if (!(ns > 0))
		return "0";
	/* what would be rounded to 1000 has the next unit */
	if (ns < 999.5)
		return ns.toFixed(0) + " ns";
	const [value, unit] = ns < 999.5e3 ? [ns / 1e3, "µs"] : ns < 999.5e6 ? [ns / 1e6, "ms"] : [ns / 1e9, "s"];
	if (value >= 7200)
		return Math.floor(value / 3600) + " h " + Math.floor(value % 3600 / 60) + " min";
	if (unit === "s" && value >= 120)
		return Math.floor(value / 60) + " min " + Math.floor(value % 60) + " s";
	return (value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)) + " " + unit;
}

function parseDuration(text) {
	const match = /^([\d.]+)(ns|us|µs|ms|s|m|min)?$/.exec(text);
	if (!match)
		return NaN;
	const units = { ns: 1, us: 1e3, "µs": 1e3, ms: 1e6, s: 1e9, m: 6e10, min: 6e10 };
	return parseFloat(match[1]) * units[match[2] || "s"];
}

/* Not toLocaleString(), whose first use takes 100 ms. */
const formatCount = n => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
const many = (n, one, more = one + "s") => formatCount(n) + " " + (n === 1 ? one : more);
const formatBytes = n => n < 1e4 ? formatCount(n) + " B" : n < 1e7 ? (n / 1e3).toFixed(0) + " kB" : (n / 1e6).toFixed(0) + " MB";

/* `offset`: ns since the report's first handshake. */
const dateOf = (table, offset) => new Date(table.meta.base_ms + offset / 1e6);
const two = n => String(n).padStart(2, "0");

function dayOf(table, offset) {
	const date = dateOf(table, offset);
	return date.getFullYear() + "-" + two(date.getMonth() + 1) + "-" + two(date.getDate());
}

function timeOf(table, offset, fraction) {
	const date = dateOf(table, offset);
	const text = two(date.getHours()) + ":" + two(date.getMinutes()) + ":" + two(date.getSeconds());
	return fraction ? text + "." + String(date.getMilliseconds()).padStart(3, "0") : text;
}

const formatDate = (table, offset) => dayOf(table, offset) + " " + timeOf(table, offset, false);

/* After month and day if the table has handshakes of several days. */
function formatTime(table, offset, fraction) {
	return (table.ofDays ? dayOf(table, offset).slice(5) + " " : "") + timeOf(table, offset, fraction);
}

/* From the first handshake to the last: the date again if it is another day. */
function formatSpan(table) {
	return formatDate(table, 0) + " to " + (table.ofDays ? formatDate(table, table.last) : timeOf(table, table.last, false));
}

const OUTCOME_WORDS = { ok: "ok", failed: "failed", abandoned: "abandoned", in_flight: "in flight" };

/* All text from a trace goes through here: textContent, never markup. */
function make(tag, className, text) {
	const element = document.createElement(tag);
	if (className)
		element.className = className;
	if (text !== undefined && text !== null)
		element.textContent = text;
	return element;
}
