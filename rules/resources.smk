# Memory of jobs, by the arithmetic that `make plan` prints (coact.costs). No rules here.

from coact.costs import memory_of

MEMORY = memory_of(STUDY)


def get_memory(rule, least, unknown=None):
    """Megabytes for a rule's job, of its wildcards: what it takes at its peak, and `least` at least.

    `unknown` is for jobs whose sizes are not known before a model is fetched; None means `least`.
    """

    def get_job_memory(wildcards):
        model = wildcards.get("model", wildcards.get("tokenizer", ""))
        found = MEMORY(rule, model, wildcards.get("sae", ""))
        return (unknown or least) if found is None else max(least, -(-found // 10**6))

    return get_job_memory
