"""What a reader of a sweep should know about how its runs came about."""

from collections.abc import Iterable

from crosspoint3d.evaluation.result import Result
from crosspoint3d.training.sweep.job import Job
from crosspoint3d.training.sweep.records import summary_of


def notes_on_runs(jobs: Iterable[Job]) -> list[str]:
    """Versions and machines, where the finished runs do not share them."""
    notes = []
    environments = [found["environment"] for job in jobs if (found := summary_of(job))]
    for words, values in (
        ("versions of crosspoint3d", {found["packages"]["crosspoint3d"] for found in environments}),
        ("versions of torch", {str(found["packages"]["torch"]) for found in environments}),
        ("machines", {f"{found['platform']}, {found['gpu'] or 'CPU'}" for found in environments}),
    ):
        if len(values) > 1:
            notes.append(f"the runs were trained by different {words}: {'; '.join(sorted(values))}")
    return notes


def notes_on_code(results: Iterable[Result]) -> list[str]:
    """States of the package's source, where the evaluations do not share one."""
    states = {str(result.protocol.get("code_sha256"))[:12] for result in results}
    if len(states) < 2:
        return []
    found = ", ".join(sorted(states))
    return [f"the package was edited between the evaluations (hashes of its code: {found}); the records say which"]
