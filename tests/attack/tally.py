"""What has happened in the trials of a run, and the report of it."""

import collections

import oracle

EXAMPLES = 5  # trials that are named with a finding


class Tally:
    """What has happened in all trials."""

    def __init__(self):
        self.outcomes = collections.defaultdict(collections.Counter)
        self.stages = collections.defaultdict(collections.Counter)
        self.peaks = collections.defaultdict(float)
        self.seconds = collections.defaultdict(float)
        self.slowest = collections.defaultdict(float)
        self.findings = {}
        self.growth = 0.0

    def add(self, result):
        """One trial that came to its end."""
        reader = result["reader"]
        self.outcomes[reader][result["outcome"]] += 1
        self.stages[reader][result["stage"]] += 1
        kind = "accepted" if result["outcome"] == "accepted" else "refused"
        self.peaks[kind] = max(self.peaks[kind], result["peak"])
        self.growth = max(self.growth, result["growth"])
        self.seconds[reader] += result["seconds"]
        self.slowest[reader] = max(self.slowest[reader], result["seconds"])
        for kind, what, example in result["findings"]:
            self.found(kind, reader, result["number"], what, example)

    def ended(self, kind, reader, number, text=""):
        """A trial that took its worker with it."""
        self.outcomes[reader][kind] += 1
        self.stages[reader]["given"] += 1
        self.found(kind, reader, number, text)

    def found(self, kind, reader, number, what, example=""):
        """Count a finding with those that are like it."""
        entry = self.findings.setdefault((kind, reader, what), {"count": 0, "trials": [], "example": example})
        entry["count"] += 1
        if len(entry["trials"]) < EXAMPLES:
            entry["trials"].append(number)

    def depth(self, stages_of):
        """Of each reader, how many trials came to each of its stages or beyond it."""
        return {
            reader: {
                stage: sum(counts[later] for later in oracle.STAGES[oracle.STAGES.index(stage) :])
                for stage in stages_of(reader)
            }
            for reader, counts in self.stages.items()
        }


def report(options, tally, module, seconds):
    """What is printed, and whether it is free of findings."""
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
    deep = all(share >= 0.5 for share in hashes.values())
    return {
        "seed": options.seed,
        "trials": sum(sum(counts.values()) for counts in tally.outcomes.values()),
        "seconds": round(seconds, 1),
        "trials of each reader": {reader: sum(counts.values()) for reader, counts in sorted(tally.outcomes.items())},
        "outcomes": {reader: dict(counts.most_common()) for reader, counts in sorted(tally.outcomes.items())},
        "depth": {reader: depth[reader] for reader in sorted(depth)},
        "share that passed the hash stage": hashes,
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
