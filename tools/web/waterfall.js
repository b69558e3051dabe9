/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One handshake on a time axis: states, calls, and the gaps between calls, colored by who is to
 * blame.
 */
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const PART_WORDS = {
	cpu: ["this host", "CPU in OpenSSL"], wait: ["peer or network", "waiting inside the call"],
	peer: ["peer", "between calls, waiting for the peer"],
	ready: ["program", "between calls, although data was waiting"], other: ["unknown", "other"],
};

function svg(tag, attributes, text) {
	const element = document.createElementNS(SVG, tag);
	for (const name in attributes)
		element.setAttribute(name, attributes[name]);
	if (text !== undefined)
		element.textContent = text;
	return element;
}

const NOT_RETURNED = 255; /* a call's error */

function callWords(table, call) {
	if (call.err === NOT_RETURNED)
		return table.names[call.fn] + " has not returned";
	return table.names[call.fn] + " = " + call.ret + (call.err ? " " + table.error(call.err) : "");
}

/*
 * Stretches without a call: {from, to}. Includes the one after the last call if the handshake did
 * not end there.
 */
function emptyStretches(table, i, calls) {
	const stretches = [], end = table.column.dur[i];
	let at = calls.length ? calls[0].at : 0;
	for (const call of calls) {
		if (call.at > at)
			stretches.push({ from: at, to: call.at });
		at = Math.max(at, call.at + call.dur);
	}
	if (calls.length && table.outcome(i) !== "ok" && end > at)
		stretches.push({ from: at, to: end });
	return stretches;
}

/*
 * Whose time each gap was. The trace has sums, and for the longest gap how long data was ready in
 * it. Other gaps get the larger of the two sums.
 */
function gapsOf(table, i, calls) {
	const stretches = emptyStretches(table, i, calls), parts = table.split(i);
	const usual = parts.ready > parts.peer ? "ready" : parts.peer > 0 ? "peer" : "other";
	const longest = stretches.reduce((a, b) => b.to - b.from > a.to - a.from ? b : a, { from: 0, to: 0 });
	const known = longest.to - longest.from > 0.5 * table.column.gap[i];
	const gaps = [];
	for (const { from, to } of stretches) {
		const ready = known && from === longest.from ? Math.min(table.column.gap_ready_max[i], to - from) : 0;
		gaps.push({ from, to: to - ready, whose: ready && parts.peer > 0 ? "peer" : ready ? "other" : usual });
		if (ready)
			gaps.push({ from: to - ready, to, whose: "ready" });
	}
	return gaps.filter(gap => gap.to > gap.from);
}

/* About `wanted` ticks up to `end`, at round steps. */
function ticksOf(end, wanted) {
	const rough = end / wanted, power = 10 ** Math.floor(Math.log10(rough || 1));
	const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= rough) || power;
	const out = [];
	for (let at = 0; at <= end; at += step)
		out.push(at);
	return out;
}

function bar(x, y, width, height, className, title) {
	const rect = svg("rect", { x: x.toFixed(2), y, width: Math.max(width, 1.2).toFixed(2), height, class: className, rx: 1.5 });
	rect.append(svg("title", {}, title));
	return rect;
}

const TOP = 22, LANE = 26;

function drawAxis(chart, scale, end, height, width) {
	const ticks = ticksOf(end, width < 480 ? 3 : 6);
	for (const at of ticks) {
		const x = scale(at), late = x > width - 44;
		chart.append(svg("line", { x1: x, x2: x, y1: TOP - 4, y2: height, class: "tick" }));
		chart.append(svg("text", { x: late ? x - 3 : x + 3, y: 11, class: "tick-label", "text-anchor": late ? "end" : "start" },
			at ? formatDuration(at).replace(/\.0+(?= )/, "") : "0"));
	}
}

function drawStates(chart, states, scale, end, table, y) {
	states.forEach((state, n) => {
		const from = n ? states[n - 1].at : 0, name = table.names[state.id] || "";
		const x = scale(from), width = scale(state.at) - x;
		chart.append(bar(x, y, width - 0.6, 16, n % 2 ? "state odd" : "state", name + "\n" + formatDuration(from) + " to " + formatDuration(state.at)));
		if (width > name.length * 5.6 + 8)
			chart.append(svg("text", { x: x + 4, y: y + 12, class: "state-label" }, name));
	});
	const from = states.length ? states[states.length - 1].at : 0;
	if (end - from <= end * 0.002)
		return;
	const last = states.length ? "after " + table.names[states[states.length - 1].id] : "no state completed";
	chart.append(bar(scale(from), y, scale(end) - scale(from) - 1, 16, "state pending", last + ", " + formatDuration(end - from)));
	if (scale(end) - scale(from) > last.length * 5.6 + 8)
		chart.append(svg("text", { x: scale(from) + 6, y: y + 12, class: "state-label" }, last));
}

/* An SVG, `width` CSS pixels wide. */
function waterfall(table, i, width) {
	const calls = table.list("calls", i), states = table.list("states", i), parts = table.split(i);
	const end = Math.max(table.column.dur[i], 1), alerts = table.detail(i).alerts || [];
	const height = TOP + 2 * LANE + (alerts.length ? 22 : 4);
	const chart = svg("svg", { class: "waterfall", viewBox: "0 0 " + width + " " + height, width, height, role: "img",
		"aria-label": "Waterfall: " + calls.length + " calls in " + formatDuration(end) });
	const scale = at => Math.min(1, Math.max(0, at / end)) * (width - 1);
	const busy = parts.cpu >= parts.wait ? "cpu" : "wait";
	drawAxis(chart, scale, end, height - 4, width);
	drawStates(chart, states, scale, end, table, TOP);
	for (const gap of gapsOf(table, i, calls))
		chart.append(bar(scale(gap.from), TOP + LANE + 4, scale(gap.to) - scale(gap.from), 12, "part-" + gap.whose,
			PART_WORDS[gap.whose][0] + ": " + formatDuration(gap.to - gap.from) + " " + PART_WORDS[gap.whose][1]));
	for (const call of calls)
		chart.append(bar(scale(call.at), TOP + LANE, scale(call.at + call.dur) - scale(call.at), 20,
			"call part-" + busy + (call.err === 1 || call.err === 5 ? " bad" : ""),
			callWords(table, call) + "\nat " + formatDuration(call.at) + ", " + formatDuration(call.dur)));
	for (const alert of alerts) {
		const x = scale(alert.at);
		chart.append(svg("path", { d: "M" + x + " " + (height - 16) + "l5 9h-10z", class: "alert" }));
		chart.append(svg("text", { x: Math.min(x + 8, width - 150), y: height - 7, class: "tick-label" },
			"alert from " + (alert.by === "us" ? "us" : "the peer") + ": " + alert.description));
	}
	return chart;
}

function splitLegend(table, i) {
	const parts = table.split(i), total = table.column.dur[i] || 1, legend = make("dl", "legend");
	for (const name in parts) {
		if (!parts[name])
			continue;
		const term = make("dt", "");
		term.append(make("i", "part-" + name), document.createTextNode(PART_WORDS[name][0]));
		const value = make("dd", "", formatDuration(parts[name]));
		value.append(make("small", "", " " + (100 * parts[name] / total).toFixed(1) + " %  " + PART_WORDS[name][1]));
		legend.append(term, value);
	}
	return legend;
}
