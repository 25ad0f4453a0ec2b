"""What a study takes, by arithmetic alone.

In: a `Study`. Out: its jobs, each with tokens, floating-point operations, bytes on disk and bytes of memory. Formulas
and their sources are in `models` (parameters, operations), `disk`, `edges` and `memory`; `stages` and `columns` put
them together.
Light on imports: the rules ask for the memory of a job.
"""

from collections.abc import Callable

from coact.costs.columns import comparison_jobs, graph_jobs, interpretation_jobs, page_jobs
from coact.costs.dictionaries import dictionaries_of
from coact.costs.jobs import Job, Measure
from coact.costs.stages import activation_jobs, corpus_jobs, feature_jobs, model_jobs, sae_jobs
from coact.costs.truth import truth_jobs
from coact.study import Study

STAGES = ("corpus", "models", "activations", "SAEs", "features", "graphs", "interpretation", "comparison", "pages")

__all__ = ["STAGES", "Job", "Measure", "jobs_of", "memory_of"]


def jobs_of(study: Study) -> list[Job]:
    """All jobs of a study whose sizes are known, in the order of the data.

    Models whose shape is not known before they are fetched have none, nor have dictionaries whose width is not known.
    """
    dictionaries = dictionaries_of(study)
    found = [*corpus_jobs(study), *model_jobs(study), *activation_jobs(study), *truth_jobs(study)]
    for make in (sae_jobs, feature_jobs, graph_jobs, interpretation_jobs, comparison_jobs, page_jobs):
        found += make(study, dictionaries)
    return found


def memory_of(study: Study) -> Callable[..., int | None]:
    """Bytes of memory of a rule's largest job, from its name and its wildcards; None where its sizes are not known."""
    peaks: dict[tuple[str, str, str], int] = {}
    for job in jobs_of(study):
        place = job.rule, job.model, job.sae
        peaks[place] = max(job.memory, peaks.get(place, 0))
    return lambda rule, model="", sae="": peaks.get((rule, model, sae))
