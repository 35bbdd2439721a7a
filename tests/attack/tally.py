"""Counts the results of all trials of a fuzzing run, and makes the report of the run.

In a trial, a reader (a function of the fuzzer) gives one random, often damaged input to aegen. A finding is a rule that
aegen broke in a trial, for example by a crash.
"""

import collections

import oracle

MAX_EXAMPLES = 5  # largest number of trials that are listed for one finding


class Tally:
    """Collects the outcomes, stages reached, times, memory use and findings of all trials."""

    def __init__(self):
        self.outcomes = collections.defaultdict(collections.Counter)
        self.stages = collections.defaultdict(collections.Counter)
        self.peaks = collections.defaultdict(float)
        self.seconds = collections.defaultdict(float)
        self.slowest = collections.defaultdict(float)
        self.findings = {}
        self.growth = 0.0

    def add(self, result):
        """Count a finished trial. result: the dictionary that its worker process returned."""
        reader = result["reader"]
        self.outcomes[reader][result["outcome"]] += 1
        self.stages[reader][result["stage"]] += 1
        kind = "accepted" if result["outcome"] == "accepted" else "refused"
        self.peaks[kind] = max(self.peaks[kind], result["peak"])
        self.growth = max(self.growth, result["growth"])
        self.seconds[reader] += result["seconds"]
        self.slowest[reader] = max(self.slowest[reader], result["seconds"])
        for kind, what, example in result["findings"]:
            self.add_finding(kind, reader, result["number"], what, example)

    def ended(self, kind, reader, number, text=""):
        """Count a trial that returned no result, because its worker process crashed or was stopped for a hang."""
        self.outcomes[reader][kind] += 1
        self.stages[reader]["given"] += 1
        self.add_finding(kind, reader, number, text)

    def add_finding(self, kind, reader, number, what, example=""):
        """Count a finding. Findings with the same kind, reader and description `what` are counted together."""
        entry = self.findings.setdefault((kind, reader, what), {"count": 0, "trials": [], "example": example})
        entry["count"] += 1
        if len(entry["trials"]) < MAX_EXAMPLES:
            entry["trials"].append(number)

    def depth(self, stages_of):
        """Return the number of trials that reached each stage of reading, as {reader: {stage: count}}.

        stages_of: a function that returns the stages that trials of a given reader can reach.
        """
        return {
            reader: {
                stage: sum(counts[later] for later in oracle.STAGES[oracle.STAGES.index(stage) :])
                for stage in stages_of(reader)
            }
            for reader, counts in self.stages.items()
        }


def report(options, tally, module, seconds):
    """Make the report of a fuzzing run, a dictionary for JSON. module: the module that defines the readers."""
    depth = tally.depth(module.stages_of)
    hashes = {
        reader: round(depth[reader]["hash passed"] / max(1, depth[reader]["given"]), 3)
        for reader in module.ARTIFACT_READERS
        if reader in depth
    }
    findings = sorted(tally.findings.items(), key=lambda item: -item[1]["count"])
    kinds = collections.Counter()
    for (kind, _, _), entry in findings:
        kinds[kind] += entry["count"]
    deep = all(fraction >= 0.5 for fraction in hashes.values())
    return {
        "seed": options.seed,
        "trials": sum(sum(counts.values()) for counts in tally.outcomes.values()),
        "seconds": round(seconds, 1),
        "trials of each reader": {reader: sum(counts.values()) for reader, counts in sorted(tally.outcomes.items())},
        "outcomes": {reader: dict(counts.most_common()) for reader, counts in sorted(tally.outcomes.items())},
        "depth": {reader: depth[reader] for reader in sorted(depth)},
        "fraction that passed the hash stage": hashes,
        "half passed the hash stage": deep,
        "milliseconds of a trial": {
            r: round(1e3 * s / sum(tally.outcomes[r].values()), 1) for r, s in sorted(tally.seconds.items())
        },
        "slowest trial in seconds": {reader: round(longest, 2) for reader, longest in sorted(tally.slowest.items())},
        "most memory that a trial added in MB": {kind: round(peak) for kind, peak in tally.peaks.items()},
        "largest growth of a worker in MB": round(tally.growth),
        "found": {kind: kinds[kind] for kind in ("crash", "hang", "foreign error", "output leak", "memory", *kinds)},
        "findings": [
            {"kind": kind, "reader": reader, "what": what, **entry} for (kind, reader, what), entry in findings
        ],
        "passed": deep and not findings,
    }
