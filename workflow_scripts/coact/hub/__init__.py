"""Repositories of the Hugging Face Hub.

In: names and revisions. Out: commits, and files in the Hub's own cache. Everything that asks the Hub is here, but for
text, which `coact.corpus.sources.huggingface` streams.

    repositories    a revision pinned to a commit, its files fetched; every failure in one line
    models          models, and the tokenizers that they name
    saes            SAEs, by repository or by release of SAELens; what one says of itself before it is fetched

Import what is needed from these modules.
"""
