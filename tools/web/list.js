/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of handshakes: only visible rows exist. Beyond MAX_HEIGHT, a pixel of the scroll bar
 * stands for more than a pixel of the list, as browsers limit heights.
 */
"use strict";

const MAX_HEIGHT = 8e6; /* CSS pixels */
const PRINTED_ROWS = 200;

const COLUMNS = [["start", "Start"], ["process", "Process"], ["peer", "Peer"], ["version", "Version"],
	["outcome", "Outcome"], ["cause", "Cause"], ["retries", "Retries"], ["duration", "Time"]];

function splitBar(table, i, element) {
	const parts = table.split(i), total = table.column.dur[i] || 1;
	for (const name in parts) {
		if (parts[name] / total < 0.004)
			continue;
		const piece = make("i", "part-" + name);
		piece.style.flexGrow = String(parts[name] / total);
		element.append(piece);
	}
	return element;
}

class HandshakeList {
	constructor(onOpen, onSort) {
		this.scroller = document.getElementById("list");
		this.spacer = document.getElementById("spacer");
		this.body = document.getElementById("rows");
		this.onOpen = onOpen;
		this.onSort = onSort;
		this.rows = new Uint32Array(0);
		this.cursor = 0;
		this.opened = -1;
		this.printing = false;
		this.scroller.addEventListener("scroll", () => this.draw(), { passive: true });
		new ResizeObserver(() => this.measure()).observe(this.scroller);
		this.body.addEventListener("click", event => {
			const row = event.target.closest(".row");
			if (row)
				this.open(Number(row.dataset.at));
		});
	}

	take(table, rows) {
		this.table = table;
		this.rows = rows;
		document.getElementById("handshakes").classList.toggle("of-days", table.ofDays);
		document.getElementById("empty").hidden = rows.length > 0;
		this.scroller.hidden = rows.length === 0;
	}

	show(table, rows) {
		this.take(table, rows);
		this.cursor = 0;
		this.scroller.scrollTop = 0;
		this.measure();
	}

	/* Another table of the same things: the scroll bar stays. `cursor`: -1 where its row is gone. */
	renew(table, rows, cursor, opened) {
		const top = this.scroller.scrollTop;
		this.take(table, rows);
		this.cursor = cursor >= 0 ? cursor : Math.max(0, Math.min(this.cursor, rows.length - 1));
		this.opened = opened;
		this.measure();
		this.scroller.scrollTop = top;
	}

	measure() {
		const probe = getComputedStyle(this.scroller).getPropertyValue("--row-height");
		this.rowHeight = parseFloat(probe) || 34;
		this.full = this.rows.length * this.rowHeight;
		this.spacer.style.height = Math.min(this.full, MAX_HEIGHT) + "px";
		this.scroller.style.maxHeight = this.full + 2 + "px";
		this.first = -1;
		this.draw();
	}

	/* Pixels of the whole list above the window. */
	offset() {
		const view = this.scroller.clientHeight;
		const room = Math.min(this.full, MAX_HEIGHT) - view;
		return room > 0 ? this.scroller.scrollTop * (this.full - view) / room : 0;
	}

	scrollToOffset(offset) {
		const view = this.scroller.clientHeight;
		const room = Math.min(this.full, MAX_HEIGHT) - view;
		this.scroller.scrollTop = this.full > view ? offset * room / (this.full - view) : 0;
	}

	draw() {
		if (!this.table)
			return;
		const offset = this.offset();
		const first = this.printing ? 0 : Math.max(0, Math.floor(offset / this.rowHeight) - 4);
		const count = this.printing ? PRINTED_ROWS : Math.ceil(this.scroller.clientHeight / this.rowHeight) + 8;
		const last = Math.min(this.rows.length, first + count);
		const shift = this.printing ? 0 : this.scroller.scrollTop - (offset - first * this.rowHeight);
		this.body.style.transform = this.printing ? "none" : "translateY(" + shift + "px)";
		if (first === this.first && last === this.last)
			return;
		this.first = first;
		this.last = last;
		const rows = [];
		for (let at = first; at < last; at++)
			rows.push(this.makeRow(at));
		this.body.replaceChildren(...rows);
		this.tellReaders();
	}

	/* Screen readers do not see the cursor, nor rows that do not exist. */
	tellReaders() {
		this.scroller.setAttribute("aria-rowcount", String(this.rows.length));
		if (this.cursor >= this.first && this.cursor < this.last)
			this.scroller.setAttribute("aria-activedescendant", "row-" + this.cursor);
		else
			this.scroller.removeAttribute("aria-activedescendant");
	}

	makeRow(at) {
		const table = this.table, i = this.rows[at], c = table.column;
		const row = make("div", "row");
		const cell = (name, text) => {
			const e = make("span", "c-" + name, text);
			e.setAttribute("role", "gridcell");
			row.append(e);
			return e;
		};
		row.id = "row-" + at;
		row.dataset.at = String(at);
		row.setAttribute("role", "row");
		row.setAttribute("aria-rowindex", String(at + 1));
		row.setAttribute("aria-selected", String(at === this.cursor));
		row.classList.toggle("open", i === this.opened);
		cell("start", formatTime(table, c.start[i], true));
		cell("process", table.text("comm", i)).append(make("small", "", " " + c.pid[i]));
		const sni = table.text("sni", i);
		const peer = cell("peer", sni || table.peer(i) || "unknown peer");
		if (sni && sni !== table.peer(i))
			peer.append(make("small", "", " " + table.peer(i)));
		cell("version", table.version(i)).title = table.text("cipher", i);
		cell("outcome").append(make("b", "mark mark-" + table.outcome(i), OUTCOME_WORDS[table.outcome(i)]));
		const cause = cell("cause");
		if (table.cause(i).name !== "NONE")
			cause.append(make("b", "chip fault-" + table.fault(i), table.fault(i)),
				document.createTextNode(table.cause(i).name));
		cell("retries", c.retries[i] ? formatCount(c.retries[i]) : "");
		const time = cell("duration");
		time.append(splitBar(table, i, make("span", "split")), make("em", "", formatDuration(c.dur[i])));
		return row;
	}

	move(to) {
		if (!this.rows.length)
			return;
		this.cursor = Math.max(0, Math.min(this.rows.length - 1, to));
		const top = this.cursor * this.rowHeight, view = this.scroller.clientHeight, offset = this.offset();
		if (top < offset)
			this.scrollToOffset(top);
		else if (top + this.rowHeight > offset + view)
			this.scrollToOffset(top + this.rowHeight - view);
		this.refresh();
	}

	open(at) {
		this.cursor = at;
		this.onOpen(this.rows[at]);
	}

	/* Row i is the one whose detail is shown; -1: none. */
	mark(i) {
		this.opened = i;
		this.refresh();
	}

	refresh() {
		this.first = -1;
		this.draw();
	}

	print(on) {
		this.printing = on;
		this.refresh();
	}

	drawHead(key, descending) {
		document.getElementById("list-head").replaceChildren(...COLUMNS.map(([name, title]) => {
			const cell = make("span", "c-" + name), button = make("button", "", title);
			button.type = "button";
			if (name === key)
				button.append(make("i", "", descending ? " ↓" : " ↑"));
			button.addEventListener("click", () => this.onSort(name));
			cell.append(button);
			return cell;
		}));
	}
}
