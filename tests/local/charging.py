# SPDX-License-Identifier: Apache-2.0
"""The rule of charging, written a second time from the text of wire/usage.h, to check the first by.

Where the ledger folds snapshots in one by one, this looks at all snapshots of an attempt together; where it
compares counts, this compares sets of positions. Nothing here is shared with the programs. Standard library only.
"""
import collections

COUNTS = ("input_computed", "input_cached", "output", "reasoning", "recomputed")
TYPES = ("input_computed", "input_cached", "output", "recomputed")  # what an engine counts
NAMES = ("tenant", "key_id", "model", "pod")
NO_ID = "0" * 26


class Contradiction(Exception):
    """Two snapshots of one attempt can't both be true."""


Charge = collections.namedtuple("Charge", "attempt positions reasoning counts waste")


def merge(records):
    """All snapshots, in any order and any number of copies -> {(request, attempt): what is known of it}."""
    snapshots = collections.defaultdict(list)
    for record in records:
        snapshots[record["request_id"], record["attempt"]].append(record)
    return {attempt: merge_one(attempt, known) for attempt, known in snapshots.items()}


def merge_one(attempt, snapshots):
    merged = {"request_id": attempt[0], "attempt": attempt[1], "start_position": the_one(attempt, snapshots, "start_position")}
    merged["run_id"] = the_one(attempt, [s for s in snapshots if s["run_id"] != NO_ID], "run_id", NO_ID)
    for name in NAMES:
        merged[name] = the_one(attempt, [s for s in snapshots if s[name]], name, "")
    admissions = [s for s in snapshots if s["admitted_ms"]]
    for name in ("admitted_ms", "price_version"):
        merged[name] = the_one(attempt, admissions, name, 0)
    for name in (*COUNTS, "charge_end", "delivered"):
        merged[name] = max(s[name] for s in snapshots)
    for name in ("counts_final", "delivered_final", "request_final", "recovered"):
        merged[name] = any(s[name] for s in snapshots)
    check_final_counts(attempt, snapshots, merged)
    gateways_word = [s["ended_by"] for s in snapshots if s["delivered_final"] and s["ended_by"] != "none"]
    any_word = [s["ended_by"] for s in snapshots if s["ended_by"] != "none"]
    merged["ended_by"] = (gateways_word or any_word or ["none"])[0]
    if len(set(gateways_word)) > 1:
        raise Contradiction(f"{attempt}: the gateway ended it in more than one way: {gateways_word}")
    return merged


def the_one(attempt, snapshots, name, default=None):
    values = {s[name] for s in snapshots}
    if len(values) > 1:
        raise Contradiction(f"{attempt}: different values of {name}: {sorted(values)}")
    return values.pop() if values else default


def check_final_counts(attempt, snapshots, merged):
    """Nothing may exceed counts that were called final; a counter file knows no reasoning."""
    for s in snapshots:
        names = [n for n in COUNTS if not (s["recovered"] and n == "reasoning")]
        if s["counts_final"] and any(s[n] != merged[n] for n in names):
            raise Contradiction(f"{attempt}: final counts were exceeded: {s} by {merged}")


def charge(attempts):
    """What is charged: {(request, attempt): Charge}, from the merged attempts."""
    requests = collections.defaultdict(list)
    for attempt in attempts.values():
        requests[attempt["request_id"]].append(attempt)
    charges = {}
    for request, tries in requests.items():
        taken, input_taken = set(), False
        for a in sorted(tries, key=lambda a: a["attempt"]):
            computed = set(range(a["start_position"], a["start_position"] + a["output"]))
            positions = {p for p in computed if p < end_of(a)} - taken
            if taken:
                positions = {p for p in positions if p > max(taken)}
            counts = collections.Counter(output=len(positions))
            if positions and not input_taken:
                input_taken = True
                counts.update(input_computed=a["input_computed"], input_cached=a["input_cached"])
            taken |= positions
            waste = {t: a[t] - counts[t] for t in TYPES}
            reasoning = sum(p < a["start_position"] + a["reasoning"] for p in positions)
            charges[request, a["attempt"]] = Charge(a, positions, reasoning, counts, waste)
    return charges


def end_of(a):
    """The position before which an attempt may be charged: the agent's word if model or client ended it and the
    gateway says so, else what was delivered."""
    ended = a["delivered_final"] and a["counts_final"] and a["ended_by"] in ("model", "client")
    return a["charge_end"] if ended and a["charge_end"] else a["delivered"]


def totals_by_run(charges):
    """{run: {type: charged + waste}}."""
    runs = collections.defaultdict(collections.Counter)
    for c in charges.values():
        for t in TYPES:
            if c.waste[t] < 0:
                raise Contradiction(f"more is charged than was computed: {c}")
            runs[c.attempt["run_id"]][t] += c.counts[t] + c.waste[t]
    return runs
