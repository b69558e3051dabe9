/* SPDX-License-Identifier: Apache-2.0 */
/* The overview's charts, drawn with Chart.js from a table and the rows to count. */
"use strict";

const OUTCOME_ORDER = ["ok", "slow", "in_flight", "abandoned", "failed"];
const OUTCOME_LABELS = { ok: "ok", slow: "ok, but stalled", in_flight: "in flight", abandoned: "abandoned", failed: "failed" };
const TIME_BINS = 48;

/* A style sheet variable's value in the current theme, as a canvas cannot use variables. */
function color(name) {
	const probe = document.getElementById("keys");
	probe.style.outlineColor = "var(--" + name + ")";
	return getComputedStyle(probe).outlineColor;
}

function outcomeClass(table, i) {
	const outcome = table.outcome(i);
	return outcome === "ok" && table.troubled(i) ? "slow" : outcome;
}

/* ---- counting ------------------------------------------------------------- */

function countOverTime(table) {
	const { column: { start }, last } = table;
	const width = Math.max(last / TIME_BINS, 1e6);
	const bins = Math.min(TIME_BINS, Math.floor(last / width) + 1);
	const counts = {};
	for (const name of OUTCOME_ORDER)
		counts[name] = new Array(bins).fill(0);
	for (let i = 0; i < table.count; i++)
		counts[outcomeClass(table, i)][Math.min(bins - 1, Math.floor(start[i] / width))]++;
	return { width, bins, counts };
}

/* Two bins per factor of ten, from 1 us up. The first and last bins count everything beyond. */
const DURATION_EDGES = [];
for (let decade = 3; decade < 12; decade++)
	DURATION_EDGES.push(10 ** decade, 3 * 10 ** decade);

function durationBin(ns) {
	let bin = 0;
	while (bin < DURATION_EDGES.length - 1 && ns >= DURATION_EDGES[bin + 1])
		bin++;
	return bin;
}

/* The search for what a bin counts. */
function durationWords(bin) {
	const from = bin ? "slow>=" + DURATION_EDGES[bin] / 1e6 + "ms" : "", to = DURATION_EDGES[bin + 1];
	return [from, to ? "slow<" + to / 1e6 + "ms" : ""].filter(Boolean).join(" ");
}

function countDurations(table) {
	const good = new Array(DURATION_EDGES.length).fill(0), bad = good.slice();
	for (let i = 0; i < table.count; i++)
		(table.troubled(i) ? bad : good)[durationBin(table.column.dur[i])]++;
	let first = good.findIndex((n, bin) => n + bad[bin] > 0), last = DURATION_EDGES.length - 1;
	while (last > 0 && good[last] + bad[last] === 0)
		last--;
	first = Math.max(0, Math.min(first, last - 5));
	return { good, bad, first, last };
}

function timeLost(table) {
	const lost = new Map();
	for (let i = 0; i < table.count; i++)
		if (table.troubled(i)) {
			const fault = table.fault(i);
			const [time, count] = lost.get(fault) || [0, 0];
			lost.set(fault, [time + table.column.dur[i], count + 1]);
		}
	return [...lost].map(([fault, [time, count]]) => ({ fault, time, count })).sort((a, b) => b.time - a.time);
}

/* 0, 1, 2, 3, then a bin for each power of two: {first, last, good, bad}. */
function countRetries(table) {
	const bins = [];
	for (let i = 0; i < table.count; i++) {
		const retries = table.column.retries[i], bin = retries < 4 ? retries : 33 - Math.clz32(retries);
		while (bins.length <= bin) {
			const n = bins.length, first = n < 4 ? n : 2 ** (n - 2);
			bins.push({ first, last: n < 4 ? n : 2 * first - 1, good: 0, bad: 0 });
		}
		bins[bin][table.troubled(i) ? "bad" : "good"]++;
	}
	return bins;
}

function countVersions(table) {
	const groups = new Map();
	for (let i = 0; i < table.count; i++) {
		const version = table.version(i) || "none negotiated";
		const name = version + (table.resumed(i) ? ", resumed" : "");
		if (!groups.has(name))
			groups.set(name, { name, version: table.version(i), resumed: table.resumed(i), total: 0, ok: 0, slow: 0,
				in_flight: 0, abandoned: 0, failed: 0 });
		const group = groups.get(name);
		group[outcomeClass(table, i)]++;
		group.total++;
	}
	return [...groups.values()].sort((a, b) => b.total - a.total).slice(0, 8);
}

/* ---- drawing --------------------------------------------------------------- */

function axis({ ticks, grid, ...extra }) {
	return { ...extra, grid: { color: color("grid"), borderColor: color("grid"), tickLength: 4, ...grid },
		ticks: { color: color("muted"), font: { size: 11 }, maxRotation: 0, autoSkipPadding: 12, ...ticks } };
}

function options({ horizontal, legend, tooltip, onClick, x, y }) {
	return {
		animation: false, responsive: true, maintainAspectRatio: false,
		indexAxis: horizontal ? "y" : "x",
		interaction: { mode: "index", intersect: false, axis: horizontal ? "y" : "x" },
		onClick: (event, elements) => { if (onClick && elements.length) onClick(elements[0].index); },
		onHover: (event, elements) => { event.native.target.style.cursor = onClick && elements.length ? "pointer" : ""; },
		plugins: {
			legend: { display: Boolean(legend), position: "bottom", align: "start",
				labels: { color: color("muted"), boxWidth: 9, boxHeight: 9, padding: 10, font: { size: 11 } } },
			tooltip: { backgroundColor: color("tip"), titleColor: color("tip-text"), bodyColor: color("tip-text"),
				cornerRadius: 4, boxPadding: 4, filter: item => item.raw !== 0, ...(tooltip ? { callbacks: tooltip } : {}) },
		},
		scales: { x: axis(x || {}), y: axis(y || {}) },
	};
}

const whole = { beginAtZero: true, ticks: { precision: 0, maxTicksLimit: 5 } };
const bars = (label, data, name) => ({ label, data, backgroundColor: color(name), barPercentage: 0.94, categoryPercentage: 0.94, borderRadius: 1 });

/* Logarithmic if there are `many`, so that a few bad ones stay visible next to many good ones. */
function countAxis(many) {
	return { stacked: true, ...whole, min: many ? 0.8 : 0, type: many ? "logarithmic" : "linear",
		ticks: { maxTicksLimit: 5, precision: 0,
			callback: value => Number.isInteger(Math.log10(value)) || value === 0 || !many ? formatCount(value) : "" } };
}

/* The unit that shows `ns` nanoseconds in few digits. */
function unitOf(ns) {
	return [["h", 7200e9, 3600e9], ["min", 300e9, 60e9], ["s", 1e9, 1e9], ["ms", 1e6, 1e6]]
		.filter(([, from]) => ns >= from).map(([name, , size]) => ({ name, ns: size }))[0] || { name: "µs", ns: 1e3 };
}

class Overview {
	/* filter(words): replaces the search with `words` */
	constructor(filter) {
		this.filter = filter;
		this.charts = {};
	}

	draw(table) {
		this.table = table;
		if (typeof Chart === "undefined" || (!table.count && !this.charts.time))
			return;
		Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
		this.drawTime();
		this.drawDuration();
		this.drawFault();
		this.drawRetries();
		this.drawVersion();
	}

	/* To be called when the colors have changed. */
	redraw() {
		if (this.table)
			this.draw(this.table);
	}

	chart(name, data, settings) {
		const chart = this.charts[name];
		if (chart) {
			chart.data = data;
			chart.options = settings;
			chart.update("none");
			return;
		}
		this.charts[name] = new Chart(document.getElementById("chart-" + name), { type: "bar", data, options: settings });
	}

	drawTime() {
		const { width, bins, counts } = countOverTime(this.table);
		const fine = width < 1e9;
		const labels = Array.from({ length: bins }, (_, bin) => formatTime(this.table, bin * width, fine));
		const datasets = OUTCOME_ORDER.filter(name => counts[name].some(n => n > 0))
			.map(name => bars(OUTCOME_LABELS[name], counts[name], "outcome-" + name));
		this.chart("time", { labels, datasets },
			options({ legend: true, x: { stacked: true, ticks: { maxTicksLimit: fine || this.table.ofDays ? 3 : 5 }, grid: { display: false } }, y: { stacked: true, ...whole } }));
	}

	drawDuration() {
		const { good, bad, first, last } = countDurations(this.table);
		const edges = DURATION_EDGES.slice(first, last + 1);
		const name = ns => formatDuration(ns).replace(/\.0+(?= )/, "");
		this.chart("duration", { labels: edges.map(name), datasets: [
			bars("successful", good.slice(first, last + 1), "outcome-ok"),
			bars("failed or stalled", bad.slice(first, last + 1), "outcome-failed")] },
		options({ legend: true,
			tooltip: { title: items => name(edges[items[0].dataIndex]) + " to " + name(DURATION_EDGES[first + items[0].dataIndex + 1] || 1e12) },
			onClick: bin => this.filter(durationWords(first + bin)),
			x: { stacked: true, grid: { display: false } },
			y: countAxis(this.table.count > 200) }));
	}

	drawRetries() {
		const bins = countRetries(this.table);
		const name = ({ first, last }) => first === last ? formatCount(first) : formatCount(first) + " to " + formatCount(last);
		this.chart("retries", { labels: bins.map(bin => formatCount(bin.first) + (bin.last > bin.first ? "+" : "")), datasets: [
			bars("successful", bins.map(bin => bin.good), "outcome-ok"),
			bars("failed or stalled", bins.map(bin => bin.bad), "outcome-failed")] },
		options({ legend: true, tooltip: { title: items => name(bins[items[0].dataIndex]) + (bins[items[0].dataIndex].last === 1 ? " retry" : " retries") },
			onClick: bin => this.filter("retries>" + (bins[bin].first - 1) + " retries<" + (bins[bin].last + 1)),
			x: { stacked: true, grid: { display: false } },
			y: countAxis(this.table.count > 200) }));
	}

	drawFault() {
		const lost = timeLost(this.table), unit = unitOf(lost.length ? lost[0].time : 0);
		const figure = document.getElementById("chart-fault").closest("figure");
		figure.classList.toggle("none", !lost.length);
		this.chart("fault", { labels: lost.map(item => item.fault), datasets: [{
			data: lost.map(item => item.time / unit.ns), backgroundColor: lost.map(item => color("fault-" + item.fault)),
			barThickness: 16, borderRadius: 2 }] },
		options({ horizontal: true, onClick: index => this.filter("trouble:yes " + queryWord("fault", lost[index].fault)),
			tooltip: { label: item => formatDuration(lost[item.dataIndex].time) + " in " + many(lost[item.dataIndex].count, "handshake") },
			x: { beginAtZero: true, ticks: { maxTicksLimit: 4, callback: value => +value.toPrecision(3) + " " + unit.name } },
			y: { grid: { display: false }, ticks: { autoSkip: false } } }));
	}

	drawVersion() {
		const groups = countVersions(this.table);
		const datasets = OUTCOME_ORDER.filter(name => groups.some(group => group[name] > 0))
			.map(name => ({ ...bars(OUTCOME_LABELS[name], groups.map(group => 100 * group[name] / group.total), "outcome-" + name), barThickness: 16 }));
		this.chart("version", { labels: groups.map(group => group.name), datasets },
			options({ horizontal: true, legend: true,
				tooltip: { title: items => groups[items[0].dataIndex].name + ": " + formatCount(groups[items[0].dataIndex].total),
					label: item => item.dataset.label + ": " + item.raw.toFixed(1) + " %" },
				onClick: index => groups[index].version && this.filter(queryWord("version", groups[index].version) + " resumed:" + (groups[index].resumed ? "yes" : "no")),
				x: { stacked: true, max: 100, ticks: { maxTicksLimit: 5, callback: value => value + " %" } },
				y: { stacked: true, grid: { display: false }, ticks: { autoSkip: false } } }));
	}
}
