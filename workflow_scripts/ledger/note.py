"""After a run: what made the results, into the ledger.

In: the graph of jobs that Snakemake had, its own records and the results. Out: results/ledger/{stage}.json.
"""

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from coact.inventory import LEDGER
from ledger.digests import Digests, modified
from ledger.records import Record, read_ledger, read_stage, write_stage

# Of Snakemake's records, what makes a job what it is.
FIELDS = ("rule", "code", "params", "log", "shellcmd", "software_stack_hash", "container_img_url")
FORMAT = "record_format_version"


def stages_of(workflow: Any) -> dict[str, str]:
    """File of rules -> name of its stage, which is that of its rule all_<stage>."""
    return {rule.snakefile: rule.name.removeprefix("all_") for rule in workflow.rules if rule.name.startswith("all_")}


def note(workflow: Any, results: Path, digests: Digests) -> set[str]:
    """Note all jobs of the run that are done, be it now or before.

    A stage whose target was asked for is then noted anew; of others, jobs that this run did not look at stay noted.

    Args:
        workflow: Snakemake's, after it ran.
        results: folder of results.
        digests: of files.
    Returns:
        The stages that are noted as a whole.
    """
    stages, known = stages_of(workflow), read_ledger(results)
    done: dict[str, list[Record]] = defaultdict(list)
    partly = set()
    for job in workflow.dag.jobs:
        stage = stages.get(job.rule.snakefile)
        if stage is None or not job.output:
            continue
        record = None if _is_open(workflow.dag, job) else _record(workflow.persistence, job, known, digests)
        if record is None:
            partly.add(stage)
        else:
            done[stage].append(record)
    asked = {rule.name.removeprefix("all_") for rule in workflow.dag.targetrules}
    whole = {stage for stage in stages.values() if stage not in partly and asked & {stage, "all"}}
    for stage in sorted(set(done) | whole):
        file, noted = results / LEDGER / f"{stage}.json", done[stage]
        new = {path for record in noted for path in record.outputs}
        kept = [] if stage in whole else [old for old in read_stage(file) if new.isdisjoint(old.outputs)]
        write_stage(file, [*noted, *kept])
    digests.save()
    return whole


def _is_open(dag: Any, job: Any) -> bool:
    return dag.needrun(job) and not dag.finished(job)


def _record(persistence: Any, job: Any, known: dict[str, Record], digests: Digests) -> Record | None:
    """What made a job's outputs, as they are now; what was noted where they are gone; None if neither is known."""
    paths = sorted(str(path) for path in job.output)
    if not all(os.path.exists(path) for path in paths):
        return known.get(paths[0])
    metadata = [persistence._read_record(path) for path in paths]
    if any(found is None or found.endtime != modified(path) for found, path in zip(metadata, paths, strict=True)):
        return None
    fields = {key: getattr(metadata[0], key) for key in (*FIELDS, FORMAT)}
    inputs = {str(path): _input(str(path), paths[0], known, digests) for path in job.input}
    benchmark = str(job.benchmark) if job.benchmark else None
    return Record(fields, dict(sorted(inputs.items())), {path: digests.of(path) for path in paths}, benchmark)


def _input(path: str, output: str, known: dict[str, Record], digests: Digests) -> str | None:
    if os.path.exists(path):
        return digests.of(path)
    if path in known:
        return known[path].outputs[path]
    return known[output].inputs.get(path) if output in known else None
