# SPDX-License-Identifier: Apache-2.0
"""The answers to the ten questions, counted row by row."""
import array
import bisect
import collections
import datetime
import re

DEPLOY = 1790003600  # make_traces: the second build's first second
NETWORK = re.compile(r"[.][0-9]+:[0-9]+$")


def minute(ns):
    return ns // 60_000_000_000 * 60


def percent(part, whole):
    return round(100 * part / whole, 2)


def near(a, b, within=0.011):
    return abs(a - b) <= within


class Sketch:
    """Holds values for a quantile that is asked for, give or take some ranks, as t-digest is exact to."""

    def __init__(self):
        self.values = array.array("Q")

    def has(self, quantile, ms):
        ordered = sorted(self.values)
        rank = bisect.bisect_left(ordered, int(ms * 1e6))
        low = bisect.bisect_left(ordered, int((ms - 0.06) * 1e6))  # it was rounded
        high = bisect.bisect_right(ordered, int((ms + 0.06) * 1e6))
        slack = 0.01 * len(ordered) + 2
        return low - slack <= quantile * len(ordered) <= high + slack or abs(rank - quantile * len(ordered)) <= slack


class Count:
    def __init__(self):
        self.total = 0
        self.peers = collections.defaultdict(lambda: [0, 0, set(), collections.Counter()])
        self.causes = collections.defaultdict(lambda: [0, set(), 0, set()])
        self.minutes = collections.defaultdict(collections.Counter)  # cause: minute
        self.builds = collections.defaultdict(lambda: [set(), 0, 0, Sketch()])
        self.networks = collections.defaultdict(lambda: [0, 0])
        self.callers = collections.defaultdict(lambda: [0, set()])
        self.deploy = collections.defaultdict(lambda: [[0, 0, Sketch()], [0, 0, Sketch()]])
        self.hosts = collections.defaultdict(collections.Counter)  # cause: host
        self.times = collections.defaultdict(Sketch)
        self.agreed = collections.defaultdict(lambda: [0, 0, set(), 0])

    def columns(self, names):
        self.names = names

    def add(self, cells):
        row = dict(zip(self.names, cells))
        ns, bad, duration = int(row["ts_ns"]), row["outcome"] != "ok", int(row["duration_ns"])
        self.total += 1
        if row["role"] == "client":
            of = self.peers[row["peer"], row["sni"]]
            of[0], of[1] = of[0] + 1, of[1] + bad
            of[2].add(row["host"])
            of[3][row["cause"]] += bad
        if row["cause"] != "NONE":
            self.add_trouble(row, ns, duration)
        of = self.builds[row["program"], row["build"]]
        of[0].add(row["host"])
        of[1], of[2] = of[1] + 1, of[2] + bad
        of[3].values.append(duration)
        of = self.networks[NETWORK.sub(".*", row["local"]), NETWORK.sub(".*", row["peer"])]
        of[0], of[1] = of[0] + 1, of[1] + (row["fault"] in ("network", "peer"))
        if DEPLOY - 3600 <= ns // 10 ** 9 < DEPLOY + 3600:
            of = self.deploy[row["comm"]][ns // 10 ** 9 >= DEPLOY]
            of[0], of[1] = of[0] + 1, of[1] + bad
            of[2].values.append(duration)
        if not bad:
            self.times[minute(ns)].values.append(duration)
            of = self.agreed[row["version"], row["cipher"], row["role"]]
            of[0], of[1], of[3] = of[0] + 1, of[1] + (row["resumed"] == "1"), of[3] + int(row["cpu_ns"])
            of[2].add(row["host"])

    def add_trouble(self, row, ns, duration):
        of = self.causes[row["cause"], row["fault"]]
        of[0], of[2] = of[0] + 1, of[2] + duration
        of[1].add(row["host"])
        of[3].add(row["advice"])
        self.minutes[row["cause"]][minute(ns)] += 1
        self.hosts[row["cause"]][row["host"]] += 1
        if row["fault"] == "program":
            of = self.callers[row["caller"], row["comm"], row["cause"]]
            of[0] += 1
            of[1].add(row["build"])

    def check(self, number, rows):
        """What is wrong with an answer."""
        expected, key, look = getattr(self, f"answer_{number}")()
        found = {key(row): row for row in rows}
        errors = [f"{k} is missing" for k in expected if k not in found]
        errors += [f"{k} is not to be there" for k in found if k not in expected]
        errors += [f"{found[k]}, not {expected[k]}" for k in expected if k in found and not look(found[k], expected[k])]
        return errors if expected and len(found) == len(rows) else ["no answer, or a double one", *errors]

    def answer_1(self):
        worst = sorted((k for k, of in self.peers.items() if of[1]), key=lambda k: (-self.peers[k][1], *k))[:20]
        return ({k: self.peers[k] for k in worst}, lambda row: (row["peer"], row["sni"]),
                lambda row, of: (row["handshakes"], row["bad"], row["hosts"]) == (of[0], of[1], len(of[2])) and
                near(row["percent"], percent(of[1], of[0])) and set(row["causes"]) <= set(+of[3]))

    def answer_2(self):
        return (self.causes, lambda row: (row["cause"], row["fault"]),
                lambda row, of: (row["handshakes"], row["hosts"]) == (of[0], len(of[1])) and
                near(row["seconds"], of[2] / 1e9, 1) and row["next_step"] in of[3])

    def answer_3(self):
        return (self.minutes, lambda row: row["cause"],
                lambda row, of: (stamp(row["since_when"]), stamp(row["until"]), row["total"]) ==
                (min(of), max(of), sum(of.values())))

    def answer_4(self):
        return (self.builds, lambda row: (row["program"], row["build"]),
                lambda row, of: (row["hosts"], row["handshakes"], row["bad"]) == (len(of[0]), of[1], of[2]) and
                near(row["percent"], percent(of[2], of[1])) and of[3].has(0.99, row["p99_ms"]))

    def answer_5(self):
        def worse(k):
            return -percent(self.networks[k][1], self.networks[k][0]), *k
        worst = sorted((k for k, of in self.networks.items() if of[1]), key=worse)[:20]
        return ({k: self.networks[k] for k in worst}, lambda row: (row["from_network"], row["to_network"]),
                lambda row, of: (row["handshakes"], row["bad"]) == tuple(of) and near(row["percent"], percent(of[1], of[0])))

    def answer_6(self):
        worst = sorted(self.callers, key=lambda k: (-self.callers[k][0], *k))[:20]
        return ({k: self.callers[k] for k in worst}, lambda row: (row["caller"], row["comm"], row["cause"]),
                lambda row, of: (row["handshakes"], row["builds"]) == (of[0], len(of[1])))

    def answer_7(self):
        def same(row, of):
            (before, bad_before, _), (after, bad_after, _) = of
            return ((row["before"], row["after"]) == (before, after) and
                    near(row["percent_before"], percent(bad_before, before)) and
                    near(row["percent_after"], percent(bad_after, after)) and
                    of[0][2].has(0.5, row["p50_ms_before"]) and of[1][2].has(0.5, row["p50_ms_after"]))
        return self.deploy, lambda row: row["comm"], same

    def answer_8(self):
        def same(row, of):
            most = max(of.values())
            return ((row["hosts"], row["most_of_a_host"], row["handshakes"]) == (len(of), most, sum(of.values())) and
                    of[row["that_host"]] == most and near(row["times_the_average"], most / sum(of.values()) * len(of), 0.06))
        return self.hosts, lambda row: row["cause"], same

    def answer_9(self):
        return (self.times, lambda row: stamp(row["minute"]),
                lambda row, of: row["handshakes"] == len(of.values) and near(row["longest_ms"], max(of.values) / 1e6, 0.06) and
                all(of.has(q, row[name]) for q, name in ((0.5, "p50_ms"), (0.9, "p90_ms"), (0.99, "p99_ms"))))

    def answer_10(self):
        return (self.agreed, lambda row: (row["version"], row["cipher"], row["role"]),
                lambda row, of: (row["handshakes"], row["hosts"]) == (of[0], len(of[2])) and
                near(row["percent_resumed"], percent(of[1], of[0])) and near(row["average_cpu_ms"], of[3] / of[0] / 1e6))


def stamp(text):
    """Of the server, which runs in UTC."""
    return int(datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.timezone.utc).timestamp())
