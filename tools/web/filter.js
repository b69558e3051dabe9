/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search and sort: words in, an array of row numbers out. Texts are dictionary entries, so a word
 * is compared with each distinct text, not with each row.
 */
"use strict";

const TEXT_COLUMNS = { peer: "peer", sni: "sni", comm: "comm", cipher: "cipher", group: "group",
	reason: "reason", state: "state", path: "path", alpn: "alpn" };

/* Columns of numbers that are shown as words: [column, words]. */
function wordColumns(table) {
	return {
		cause: ["cause", table.meta.causes.map(cause => cause.name)],
		fault: ["fault", table.meta.faults],
		outcome: ["outcome", OUTCOMES.map(outcome => outcome + " " + OUTCOME_WORDS[outcome])],
		role: ["role", ROLES],
		version: ["version", table.meta.versions],
	};
}

const NUMBER_COLUMNS = { slow: "dur", duration: "dur", time: "dur", retries: "retries", calls: "calls",
	id: "id", pid: "pid", tid: "tid" };

/* Its own: every object has a "constructor". */
const entry = (object, key) => Object.hasOwn(object, key) ? object[key] : undefined;

/* The whole word, or all before what follows it: of a code path, the innermost function or module. */
const isExactly = (word, needle) => word === needle || word.startsWith(needle + " ") || word.startsWith(needle + "+");

function matchingSet(words, needle, exact) {
	const found = new Uint8Array(words.length);
	for (let id = 0; id < words.length; id++) {
		const word = String(words[id]).toLowerCase().replaceAll('"', "");
		found[id] = (exact ? isExactly(word, needle) : word.includes(needle)) ? 1 : 0;
	}
	return found;
}

function compileNumber(table, column, operator, value) {
	if (operator === "<")
		return i => column[i] < value;
	if (operator === ">")
		return i => column[i] > value;
	if (operator === ">=")
		return i => column[i] >= value;
	if (operator === "<=")
		return i => column[i] <= value;
	return i => column[i] === value;
}

/* `key:word`, `key:=word`: exactly that. The word "-" matches rows without such a text. */
function compileField(table, key, said) {
	const words = entry(wordColumns(table), key), whole = said.startsWith("="), needle = whole ? said.slice(1) : said;
	if (words) {
		const known = words[1].some(word => String(word).toLowerCase() === needle);
		const set = matchingSet(words[1], needle, whole || known || key === "outcome");
		return i => set[table.column[words[0]][i]] === 1;
	}
	if (entry(TEXT_COLUMNS, key)) {
		const column = table.column[TEXT_COLUMNS[key]];
		if (said === "-")
			return i => column[i] === 0;
		const set = matchingSet(table.strings, needle, whole);
		if (key === "peer" && !whole && /:\d+$/.test(needle))
			return i => set[column[i]] === 1 || table.peer(i).toLowerCase().includes(needle);
		return i => set[column[i]] === 1;
	}
	if (key === "resumed")
		return i => table.resumed(i) === (needle !== "no");
	if (key === "trouble")
		return i => table.troubled(i) === (needle !== "no");
	if (entry(NUMBER_COLUMNS, key))
		return compileNumber(table, table.column[NUMBER_COLUMNS[key]], "=", parseFloat(needle));
	return null;
}

function compileFree(table, needle) {
	const texts = Object.values(TEXT_COLUMNS).map(name => table.column[name]);
	const set = matchingSet(table.strings, needle, false);
	const words = Object.values(wordColumns(table)).map(([name, list]) =>
		[table.column[name], matchingSet(list, needle, false)]);
	const { pid, id } = table.column, number = /^\d+$/.test(needle) ? parseInt(needle, 10) : NaN;
	return i => {
		for (const column of texts)
			if (set[column[i]])
				return true;
		for (const [column, found] of words)
			if (found[column[i]])
				return true;
		return pid[i] === number || id[i] === number;
	};
}

function compileWord(table, word) {
	const compare = /^([a-z]+)([<>]=?)(.+)$/.exec(word);
	if (compare && entry(NUMBER_COLUMNS, compare[1])) {
		const name = NUMBER_COLUMNS[compare[1]];
		const value = name === "dur" ? parseDuration(compare[3]) : parseFloat(compare[3]);
		if (!Number.isNaN(value))
			return compileNumber(table, table.column[name], compare[2], value);
	}
	const field = /^([a-z]+):(.+)$/.exec(word);
	return (field && compileField(table, field[1], field[2])) || compileFree(table, word);
}

/* Splits at blanks, except within quotes: path:"do it". */
function splitWords(query) {
	return (query.toLowerCase().match(/(?:[^\s"]|"[^"]*")+/g) || []).map(word => word.replace(/"/g, ""));
}

function compileQuery(table, query) {
	const tests = splitWords(query).map(word => {
		if (word.length > 1 && word[0] === "-") {
			const test = compileWord(table, word.slice(1));
			return i => !test(i);
		}
		return compileWord(table, word);
	});
	return i => tests.every(test => test(i));
}

/* "key:word", quoted if necessary so that compileQuery finds exactly that. */
function queryWord(key, value) {
	if (!value)
		return key + ":-";
	return key + (entry(TEXT_COLUMNS, key) ? ":=" : ":") + (/[\s"]/.test(value) ? '"' + value.replaceAll('"', "") + '"' : value);
}

/* Ranks of the dictionary's texts, so that sorting compares numbers. */
function ranksOf(words) {
	const order = words.map((_, id) => id).sort((a, b) => words[a] < words[b] ? -1 : words[a] > words[b] ? 1 : 0);
	const ranks = new Uint32Array(words.length);
	order.forEach((id, rank) => { ranks[id] = rank; });
	return ranks;
}

const SORT_KEYS = {
	start: { column: "start" }, process: { column: "comm", words: table => table.strings },
	peer: { column: "peer", words: table => table.strings },
	version: { column: "version", words: table => table.meta.versions }, outcome: { column: "outcome" },
	cause: { column: "cause", words: table => table.meta.causes.map(cause => cause.name) },
	retries: { column: "retries" }, duration: { column: "dur" },
};

/*
 * "trouble": failures and stalls first, then the slowest. "now": those in flight first, the
 * oldest of them on top, then the newest of the others.
 */
function sortRows(table, rows, key, descending) {
	const { dur } = table.column;
	if (key === "trouble") {
		const { flags } = table.column;
		return rows.sort((a, b) => (flags[b] & 2) - (flags[a] & 2) || dur[b] - dur[a] || a - b);
	}
	if (key === "now") {
		const { outcome, start } = table.column, ended = i => outcome[i] > 0;
		return rows.sort((a, b) => ended(a) - ended(b) || (ended(a) ? start[b] - start[a] : start[a] - start[b]) || a - b);
	}
	const { column, words } = SORT_KEYS[key];
	const values = table.column[column], ranks = words && ranksOf(words(table));
	const sign = descending ? -1 : 1;
	const of = ranks ? i => ranks[values[i]] : i => values[i];
	return rows.sort((a, b) => sign * (of(a) - of(b)) || a - b);
}

function selectRows(table, query, key, descending) {
	const matches = compileQuery(table, query);
	const rows = new Uint32Array(table.count);
	let count = 0;
	for (let i = 0; i < table.count; i++)
		if (matches(i))
			rows[count++] = i;
	return sortRows(table, rows.subarray(0, count), key, descending);
}
