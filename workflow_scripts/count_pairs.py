"""Adapter of rule count_pairs."""

from coact.features.batches import read_batches
from coact.graph.counting import count_batches
from coact.graph.parts import write_part
from coact.graph.sets import SetRule, join_sets
from coact.jobs import job

with job(snakemake) as stamp:
    params, rule = snakemake.params, SetRule(snakemake.params.k)
    batches = read_batches([snakemake.input.features], params.batch_tokens)
    found = count_batches(batches, [rule], params.first_batch, keep=[rule.name])
    sets = join_sets(found.sets[rule.name])
    write_part(found.counts[rule.name], sets, found.documents, snakemake.output.counts, stamp)
