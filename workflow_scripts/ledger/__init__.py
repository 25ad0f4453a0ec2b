"""What made each result, in files that travel with the results, and whether a result may be trusted.

Snakemake knows what made a file from its own folder, which neither Git nor DVC keeps: in a clone it takes any file
that is there for a good one, whatever settings made it. So the jobs of every stage are noted in
`results/ledger/{stage}.json`: their parameters, and the hashes of what they read and wrote. Before Snakemake looks at
the results (`vouch`), a file is either the one that Snakemake saw made, or the one that the ledger describes, made
from inputs that are as they were; Snakemake is then told what made it. Any other file counts as unfinished, and is
made again if the study needs it.

`watch` is called by `rules/ledger.smk`; `python -m ledger <stage>` is what a stage of dvc.yaml runs. The science does
not know of this package, and it is the only one that reads and writes Snakemake's own records.
"""

from ledger.watch import note_results, watch

__all__ = ["note_results", "watch"]
