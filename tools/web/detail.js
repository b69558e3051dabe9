/* SPDX-License-Identifier: Apache-2.0 */
/* The panel of one handshake: verdicts and evidence, where the time went, waterfall, calls, stack, facts. */
"use strict";

const SHOWN_CALLS = 100;

function section(title, ...content) {
	const element = make("section", "");
	element.append(make("h3", "", title), ...content);
	return element;
}

function verdictCard(table, verdict, first) {
	const card = make("div", "verdict" + (first ? "" : " second"));
	const cause = table.meta.causes[verdict.cause] || { name: "UNKNOWN", title: "" };
	const fault = table.meta.faults[verdict.fault] || "unknown";
	const head = make("p", "verdict-head");
	head.append(make("b", "chip fault-" + fault, fault), make("strong", "", cause.name),
		make("small", "", CONFIDENCES[verdict.confidence] + " confidence" + (verdict.cost > 0 ? ", took " + formatDuration(verdict.cost) : "")));
	card.append(head, make("p", "title", cause.title));
	if (verdict.evidence.length) {
		const list = make("ul", "evidence");
		list.append(...verdict.evidence.map(line => make("li", "", line)));
		card.append(list);
	}
	if (verdict.not_told_from.length)
		card.append(make("p", "doubt", "Looks the same as: " +
			verdict.not_told_from.map(id => (table.meta.causes[id] || {}).name).join(", ")));
	if (verdict.advice)
		card.append(make("p", "advice", verdict.advice));
	return card;
}

function factRows(table, i) {
	const c = table.column, facts = [];
	const add = (name, value) => { if (value) facts.push([name, value]); };
	add("Peer", table.peer(i));
	add("Server name", table.text("sni", i));
	add("Process", table.text("comm", i) + ", pid " + c.pid[i] + (c.tid[i] ? ", thread " + c.tid[i] : ""));
	add("Role", table.role(i));
	add("Started", formatDate(table, c.start[i]));
	add("Protocol", [table.version(i), table.text("cipher", i), table.text("group", i)].filter(Boolean).join(", "));
	add("ALPN", table.text("alpn", i));
	add("Session", table.outcome(i) === "ok" ? (table.resumed(i) ? "resumed" : "full handshake") : "");
	add(table.outcome(i) === "ok" ? "Last state" : "Stopped in state", table.text("state", i));
	add("Reason", table.text("reason", i));
	add("Last error", c.err[i] ? "SSL_ERROR_" + table.error(c.err[i]) + (c.oserr[i] ? ", errno " + c.oserr[i] : "") : "");
	add("Bytes", formatBytes(c.bytes_in[i]) + " in, " + formatBytes(c.bytes_out[i]) + " out");
	add("Calls", formatCount(c.calls[i]) + ", retries " + formatCount(c.retries[i]) +
		" (want read " + formatCount(c.want_read[i]) + ", want write " + formatCount(c.want_write[i]) + ")");
	add("SSL object", "0x" + c.ssl[i].toString(16));
	add("Trace", [table.meta.sources[c.source[i]], "handshake " + c.id[i]].filter(Boolean).join(", "));
	return facts;
}

function factList(table, i) {
	const list = make("dl", "facts");
	for (const [name, value] of factRows(table, i))
		list.append(make("dt", "", name), make("dd", "", value));
	return list;
}

function tableOf(heads, rows) {
	const element = make("table", "plain"), head = make("tr", ""), body = make("tbody", ""), thead = make("thead", "");
	head.append(...heads.map(([text, className]) => make("th", className, text)));
	for (const cells of rows) {
		const row = make("tr", "");
		row.append(...cells.map((text, n) => make("td", heads[n][1], text)));
		body.append(row);
	}
	thead.append(head);
	element.append(thead, body);
	const scroll = make("div", "scroll-x");
	scroll.append(element);
	return scroll;
}

/* The first ones; the one that has not returned, which is the last, is never left out. */
function shownOf(calls) {
	const last = calls.length > SHOWN_CALLS && calls.at(-1).err === NOT_RETURNED ? 1 : 0;
	return [...calls.slice(0, SHOWN_CALLS - last), ...calls.slice(calls.length - last)];
}

function callTable(table, i) {
	const calls = table.list("calls", i);
	if (!calls.length)
		return make("p", "quiet", table.meta.live ? "The calls are in the trace: tlstall report --html shows them." :
			"The trace keeps no calls of this handshake.");
	const shown = shownOf(calls), more = table.column.calls[i] - shown.filter(call => call.err !== NOT_RETURNED).length;
	const element = tableOf([["At", "num"], ["Took", "num"], ["Call", "code"], ["State after the call", ""]],
		shown.map(call => [formatDuration(call.at), formatDuration(call.dur),
			callWords(table, call), table.names[call.state] || ""]));
	if (more > 0)
		element.append(make("p", "quiet", many(more, "more call is", "more calls are") + " not shown."));
	return element;
}

function stateTable(table, i) {
	const states = table.list("states", i);
	return tableOf([["At", "num"], ["After", "num"], ["State completed", ""]],
		states.map((state, n) => [formatDuration(state.at), "+" + formatDuration(state.at - (n ? states[n - 1].at : 0)),
			table.names[state.id] || ""]));
}

function stackList(table, i) {
	const frames = table.meta.stacks[table.column.stack[i]] || [], list = make("ol", "stack");
	list.append(...frames.map(frame => make("li", "", frame)));
	return list;
}

class DetailPanel {
	constructor(onClose) {
		this.element = document.getElementById("detail");
		this.onClose = onClose;
		this.shown = -1;
		new ResizeObserver(() => this.drawWaterfall()).observe(this.element);
	}

	show(table, i) {
		this.table = table;
		this.shown = i;
		this.element.hidden = false;
		document.body.classList.add("with-detail");
		this.element.replaceChildren(this.head(), ...this.body());
		this.element.scrollTop = 0;
		this.drawWaterfall();
	}

	/* The same handshake in another table; one that has not changed is not drawn again. */
	renew(table, i) {
		const same = table.records[i] === this.table.records[this.shown], top = this.element.scrollTop;
		if (!same)
			this.show(table, i);
		this.table = table;
		this.shown = i;
		this.element.scrollTop = top;
	}

	close() {
		this.shown = -1;
		this.element.hidden = true;
		document.body.classList.remove("with-detail");
	}

	head() {
		const { table, shown: i } = this, head = make("header", ""), close = make("button", "close", "×");
		close.type = "button";
		close.setAttribute("aria-label", "Close");
		close.addEventListener("click", () => this.onClose());
		const title = make("h2", "", table.text("sni", i) || table.peer(i) || "Handshake " + table.column.id[i]);
		const line = make("p", "");
		line.append(make("b", "mark mark-" + table.outcome(i), OUTCOME_WORDS[table.outcome(i)]),
			document.createTextNode(" " + [formatDuration(table.column.dur[i]), table.version(i), table.role(i),
				table.text("comm", i) + "[" + table.column.pid[i] + "]"].filter(Boolean).join(" · ")));
		head.append(close, title, line);
		return head;
	}

	body() {
		const { table, shown: i } = this;
		const verdicts = table.detail(i).verdicts || [];
		this.plot = make("div", "plot-waterfall");
		const parts = [];
		if (verdicts.length)
			parts.push(section("Diagnosis", ...verdicts.map((verdict, n) => verdictCard(table, verdict, n === 0))));
		parts.push(section("Where the time went", splitBar(table, i, make("div", "split wide")), splitLegend(table, i)));
		parts.push(section("Waterfall", this.plot));
		if (table.list("states", i).length)
			parts.push(section("States", stateTable(table, i)));
		parts.push(section("Calls", callTable(table, i)));
		if (table.column.stack[i])
			parts.push(section("Stack", stackList(table, i)));
		parts.push(section("Facts", factList(table, i)));
		return parts;
	}

	drawWaterfall() {
		if (this.shown < 0 || !this.plot)
			return;
		const width = Math.floor(this.plot.clientWidth);
		if (width > 0 && this.plot.dataset.drawn !== this.shown + "/" + width) {
			this.plot.dataset.drawn = this.shown + "/" + width;
			this.plot.replaceChildren(waterfall(this.table, this.shown, width));
		}
	}
}
