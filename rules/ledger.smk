# What made each result: looked at before a run, noted after it (workflow_scripts/ledger). No rules here.
#   out: results/ledger/{stage}.json   jobs of a stage: parameters, inputs and outputs with their hashes

from ledger import note_results, watch

watch(workflow)
