# GPUs, memory and runtime of jobs, the last two by the arithmetic that `make plan` prints (coact.costs). No rules here.

from coact.costs import memory_of
from coact.device import has_gpu
from coact.plan.runtimes import runtime_of

MEMORY = memory_of(STUDY)
RUNTIME = runtime_of(STUDY)
# On a cluster a job is run by Snakemake, which counts as its memory: megabytes of two processes.
SNAKEMAKE_MEMORY = 500


def get_gpus(wildcards):
    """GPUs that a job asks for: one, unless jobs run on this machine and it has none; they then share its cores."""
    return 0 if workflow.local_exec and not has_gpu() else 1


def get_place(rule, wildcards):
    """What a job's costs are looked up by."""
    return rule, wildcards.get("model", wildcards.get("tokenizer", "")), wildcards.get("sae", "")


def get_memory(rule, least, unknown=None):
    """Megabytes for a rule's job, of its wildcards: what it takes at its peak, and `least` at least.

    As much again with every further attempt at it.
    `unknown` is for jobs whose sizes are not known before a model is fetched; None means `least`.
    """

    def get_job_memory(wildcards, attempt):
        found = MEMORY(*get_place(rule, wildcards))
        known = (unknown or least) if found is None else max(least, -(-found // 10**6))
        return attempt * (known if workflow.local_exec else known + SNAKEMAKE_MEMORY)

    return get_job_memory


def get_runtime(rule, least=10, unknown=60):
    """Minutes for a rule's job, of its wildcards: generously what it takes, and `least` at least.

    As much again with every further attempt. `unknown` is for jobs whose sizes are not known.
    """

    def get_job_runtime(wildcards, attempt):
        found = RUNTIME(*get_place(rule, wildcards))
        return attempt * max(least, unknown if found is None else found)

    return get_job_runtime
