/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects the page: passes the source's table to the views, and turns the reader's actions into
 * queries.
 */
"use strict";

const byId = id => document.getElementById(id);

const app = { table: null, rows: null, query: "", sort: "trouble", descending: true, allGroups: false };

/* ---- top of the page -------------------------------------------------------- */

function rankOf(sorted, perHundred) {
	return sorted.length ? sorted[Math.ceil(sorted.length * perHundred / 100) - 1] : 0;
}

function summaryOf(table) {
	const durations = new Float64Array(table.count), outcomes = [0, 0, 0, 0];
	let finished = 0, troubled = 0, retried = 0;
	for (let i = 0; i < table.count; i++) {
		outcomes[table.column.outcome[i]]++;
		troubled += table.troubled(i) ? 1 : 0;
		retried += table.column.retries[i] > 3 ? 1 : 0;
		if (table.outcome(i) === "ok")
			durations[finished++] = table.column.dur[i];
	}
	return { outcomes, troubled, retried, durations: durations.subarray(0, finished).sort() };
}

function tile(title, value, note, words) {
	const element = make(words ? "button" : "div", "tile");
	element.append(make("span", "tile-title", title), make("span", "tile-value", value), make("span", "tile-note", note));
	if (words) {
		element.type = "button";
		element.addEventListener("click", () => setQuery(words));
	}
	return element;
}

function drawTiles(table) {
	const { outcomes, troubled, durations, retried } = summaryOf(table);
	const share = n => table.count ? (100 * n / table.count).toFixed(n && n < table.count / 100 ? 2 : 1) + " %" : "";
	const longest = durations.length ? durations[durations.length - 1] : 0;
	byId("tiles").replaceChildren(
		tile("Handshakes", formatCount(table.count), outcomes[1] === table.count ? "all ok" : formatCount(outcomes[1]) + " ok"),
		tile("Failed or stalled", formatCount(troubled), share(troubled) + " of all", troubled ? "trouble:yes" : ""),
		tile("Failed", formatCount(outcomes[2]), formatCount(outcomes[3]) + " abandoned", outcomes[2] ? "outcome:failed" : ""),
		tile("In flight", formatCount(outcomes[0]), "unfinished", outcomes[0] ? "outcome:in_flight" : ""),
		tile("p50", formatDuration(rankOf(durations, 50)), "of successful handshakes"),
		tile("p90", formatDuration(rankOf(durations, 90)), ""),
		tile("p99", formatDuration(rankOf(durations, 99)), ""),
		tile("Longest", formatDuration(longest), formatCount(retried) + " with more than 3 retries"));
}

/* Nothing failed or stalled, but what is in flight has not succeeded yet. */
function goodNews(table) {
	const { outcomes } = summaryOf(table), ok = outcomes[1];
	if (!table.count)
		return table.meta.live ? "No handshakes yet." : "No handshakes in these traces.";
	if (ok < table.count)
		return "Nothing failed or stalled: " + outcomes.map((n, i) => [n, OUTCOME_WORDS[OUTCOMES[i]]])
			.filter(([n]) => n).map(([n, word]) => formatCount(n) + " " + word).join(", ") + ".";
	return ok === 1 ? "The handshake succeeded." : "All " + formatCount(ok) + " handshakes succeeded.";
}

/* Screen readers read it aloud whenever it is replaced. */
function sayHeadline(line) {
	if (byId("headline").textContent !== line.textContent)
		byId("headline").replaceChildren(line);
}

function drawHeadline(table) {
	const worst = table.meta.groups[0];
	if (!worst) {
		sayHeadline(make("p", "good", goodNews(table)));
		return;
	}
	const cause = table.meta.causes[worst.cause], line = make("p", "");
	line.append(make("b", "chip fault-" + table.meta.faults[worst.fault], table.meta.faults[worst.fault]),
		make("strong", "", " " + cause.title), document.createTextNode(
			" " + many(worst.count, "handshake") +
			(table.strings[worst.peer] ? " with " + table.strings[worst.peer] : "") +
			", the longest took " + formatDuration(worst.worst_ns) + "."));
	sayHeadline(line);
}

function drawMeta(table) {
	const { meta } = table;
	const of = meta.live ? many(meta.processes, "process", "processes") : many(meta.sources.length, "trace");
	byId("meta").textContent = [meta.host, of, table.count ? formatSpan(table) : ""].filter(Boolean).join(" · ");
	byId("notes").replaceChildren(...meta.notes.map(note => make("p", "note", note)));
}

const SHOWN_GROUPS = 6;

function drawGroups(table) {
	const groups = table.meta.groups, all = app.allGroups;
	byId("groups").hidden = !groups.length;
	const rows = groups.slice(0, all ? groups.length : SHOWN_GROUPS).map(group => groupRow(table, group));
	if (rows.length < groups.length) {
		const more = make("tr", "more"), cell = make("td", ""), button = make("button", "", (groups.length - rows.length) + " more");
		cell.colSpan = 9;
		button.type = "button";
		button.addEventListener("click", () => { app.allGroups = true; drawGroups(app.table); });
		cell.append(button);
		more.append(cell);
		rows.push(more);
	}
	byId("groups-body").replaceChildren(...rows);
}

function groupRow(table, group) {
	const row = make("tr", ""), cause = table.meta.causes[group.cause], fault = table.meta.faults[group.fault];
	const cell = (className, text) => { const e = make("td", className, text); row.append(e); return e; };
	cell("num", formatCount(group.count));
	const name = cell("");
	const button = make("button", "link", cause.name);
	button.type = "button";
	name.append(button, make("small", "", cause.title));
	cell("").append(make("b", "chip fault-" + fault, fault));
	cell("peer", table.strings[group.peer] || "unknown");
	cell("code", table.strings[group.path] || "");
	cell("num", formatDuration(group.p50_ns));
	cell("num", formatDuration(group.p99_ns));
	cell("num", formatDuration(group.worst_ns));
	cell("num", formatDuration(group.total_ns));
	row.addEventListener("click", () => setQuery(["trouble:yes", queryWord("cause", cause.name), queryWord("fault", fault),
		queryWord("peer", table.strings[group.peer]), queryWord("path", table.strings[group.path])].join(" ")));
	return row;
}

/* ---- filters ----------------------------------------------------------------- */

function setQuery(query) {
	byId("search").value = query;
	applyQuery(query);
	byId("handshakes").scrollIntoView({ block: "start", behavior: "instant" });
}

function drawShown() {
	byId("shown").textContent = app.rows.length === app.table.count ? formatCount(app.rows.length) :
		formatCount(app.rows.length) + " of " + formatCount(app.table.count);
}

function applyQuery(query) {
	app.query = query;
	app.rows = selectRows(app.table, query, app.sort, app.descending);
	app.list.show(app.table, app.rows);
	app.list.drawHead(app.sort, app.descending);
	drawShown();
	for (const key of ["outcome", "fault", "cause"]) {
		const match = new RegExp("(?:^|\\s)" + key + ":(\\S+)").exec(query), select = byId("filter-" + key);
		const option = match && [...select.options].find(item => item.value.toLowerCase() === match[1].toLowerCase());
		select.value = option ? option.value : "";
	}
	history.replaceState(null, "", location.pathname + location.search + (query ? "#q=" + encodeURIComponent(query) : "#"));
}

function sortBy(key) {
	app.descending = app.sort === key ? !app.descending : ["duration", "retries", "start"].includes(key);
	app.sort = key;
	applyQuery(app.query);
}

function fillSelect(key, title, values) {
	const select = byId("filter-" + key), any = make("option", "", title), chosen = select.value;
	if ([...select.options].slice(1).map(option => option.value).join() === values.map(([value]) => value).join() && select.options.length)
		return; /* it may be open */
	any.value = "";
	select.replaceChildren(any, ...values.map(([value, text]) => {
		const option = make("option", "", text);
		option.value = value;
		return option;
	}));
	select.value = chosen;
	if (select.selectedIndex < 0)
		select.value = "";
}

function fillSelects(table) {
	const used = (column, name) => [...new Set(column)].map(name).filter(Boolean).sort();
	fillSelect("outcome", "Any outcome", OUTCOMES.map(name => [name, OUTCOME_WORDS[name]]));
	fillSelect("fault", "Any fault", used(table.column.fault, id => table.meta.faults[id]).map(name => [name, name]));
	fillSelect("cause", "Any cause", used(table.column.cause, id => table.meta.causes[id].name).map(name => [name, name]));
}

function onSelect(key, value) {
	const rest = app.query.replace(new RegExp("(^|\\s)" + key + ":\\S+", "g"), " ").trim();
	const query = (rest + (value ? " " + key + ":" + value : "")).trim();
	byId("search").value = query;
	applyQuery(query);
}

/* ---- detail, theme, keys -------------------------------------------------------- */

function openRow(i) {
	app.detail.show(app.table, i);
	app.list.mark(i);
}

function closeDetail() {
	app.detail.close();
	app.list.mark(-1);
	byId("list").focus({ preventScroll: true });
}

/* "print" is always light. */
function setTheme(theme, keep) {
	document.documentElement.dataset.theme = theme;
	if (keep)
		try { localStorage.setItem("tlstall-theme", theme); } catch (error) { /* pages from file: may have no storage */ }
	app.overview.redraw();
	app.list.refresh();
}

function currentTheme() {
	return document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function moveBy(step) {
	app.list.move(app.list.cursor + step);
	if (app.detail.shown >= 0)
		openRow(app.rows[app.list.cursor]);
}

function onEscape() {
	if (app.detail.shown >= 0)
		closeDetail();
	else if (app.query)
		setQuery("");
}

const KEYS = {
	"j": () => moveBy(1), "k": () => moveBy(-1), "ArrowDown": () => moveBy(1), "ArrowUp": () => moveBy(-1),
	"PageDown": () => moveBy(10), "PageUp": () => moveBy(-10),
	"g": () => moveBy(-Infinity), "G": () => moveBy(Infinity),
	"Enter": () => app.rows.length && openRow(app.rows[app.list.cursor]),
	"Escape": onEscape, "t": () => setTheme(currentTheme() === "dark" ? "light" : "dark", true),
	"/": () => { byId("handshakes").scrollIntoView({ block: "start" }); byId("search").focus(); byId("search").select(); },
	"?": () => byId("keys").showModal(),
};

function onKey(event) {
	const target = event.target, typing = /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
	if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open)
		return;
	if (typing) {
		if (event.key === "Escape" || (event.key === "Enter" && target.id === "search")) {
			target.blur();
			byId("list").focus({ preventScroll: true });
			event.preventDefault();
		}
		return;
	}
	const outside = !byId("list").contains(target) && target !== document.body;
	if (event.key === "Enter" && /^(BUTTON|A)$/.test(target.tagName))
		return;
	if (outside && /^(Arrow|Page)/.test(event.key))
		return;
	if (KEYS[event.key] && app.table) {
		KEYS[event.key]();
		event.preventDefault();
	}
}

/* ---- start ---------------------------------------------------------------------- */

function drawTable(table) {
	app.table = table;
	drawMeta(table);
	drawHeadline(table);
	drawTiles(table);
	drawGroups(table);
	fillSelects(table);
}

/* The first one. */
function showTable(table) {
	if (table.meta.live)
		app.sort = "now";
	drawTable(table);
	const match = /^#q=(.*)$/.exec(location.hash);
	let query = "";
	try { query = match ? decodeURIComponent(match[1]) : ""; } catch (error) { /* a mangled link: no filter */ }
	byId("search").value = query;
	applyQuery(query);
	requestAnimationFrame(() => { app.overview.draw(table); document.documentElement.dataset.ready = "yes"; });
}

/* One that takes another's place: what the reader looks at stays where it is. */
function renewTable(table) {
	const before = app.table, rowOf = i => i < 0 ? -1 : table.records.findIndex(record => isSame(record, before.records[i]));
	const opened = rowOf(app.detail.shown), cursor = app.rows.length ? rowOf(app.rows[app.list.cursor]) : -1;
	drawTable(table);
	app.rows = selectRows(table, app.query, app.sort, app.descending);
	app.list.renew(table, app.rows, app.rows.indexOf(cursor), opened);
	drawShown();
	if (opened >= 0)
		app.detail.renew(table, opened);
	else if (app.detail.shown >= 0)
		app.detail.close();
	app.overview.draw(table);
}

function listen() {
	let timer = 0;
	byId("search").addEventListener("input", event => {
		clearTimeout(timer);
		timer = setTimeout(() => applyQuery(event.target.value), 80);
	});
	for (const key of ["outcome", "fault", "cause"])
		byId("filter-" + key).addEventListener("change", event => onSelect(key, event.target.value));
	byId("clear").addEventListener("click", () => setQuery(""));
	byId("clear2").addEventListener("click", () => setQuery(""));
	byId("theme").addEventListener("click", KEYS.t);
	byId("help").addEventListener("click", KEYS["?"]);
	document.addEventListener("keydown", onKey);
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.overview.redraw());
	let before;
	addEventListener("beforeprint", () => { before = currentTheme(); setTheme("light", false); app.list.print(true); });
	addEventListener("afterprint", () => { app.list.print(false); setTheme(before, false); });
}

function say(sentence) {
	byId("headline").replaceChildren(make("p", "", sentence));
}

function main(source) {
	app.overview = new Overview(setQuery);
	app.list = new HandshakeList(openRow, sortBy);
	app.detail = new DetailPanel(closeDetail);
	try {
		const theme = localStorage.getItem("tlstall-theme");
		if (theme)
			document.documentElement.dataset.theme = theme;
	} catch (error) { /* not allowed for files: use the system's choice */ }
	listen();
	source.start(table => app.table ? renewTable(table) : showTable(table)).then(found => found || say("This page holds no data."),
		error => say("The data of this page cannot be read: " + error.message));
}

const live = byId("live");
main(live ? new LiveSource(live.textContent) : embeddedSource());
