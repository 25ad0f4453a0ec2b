# Names of repositories in, their files in the Hub's cache, each pinned to a commit.
# Only these rules need a network; they run where Snakemake does, not on a cluster's nodes.
#   in:  the configuration; tokenizers of local models, for data sets of token ids
#   out: results/hub/models/{model}.json   the commit and the files of a model
#        results/hub/saes/{sae}.json       the commit and the files of an SAE
#        results/hub/datasets/{source}.parquet, {source}.json   text of a data set (of token ids: what they are decoded to),
#                                          and the commit that it is of
#        results/hub/manifest.json         all repositories of the study


localrules:
    fetch_model,
    fetch_sae,
    fetch_dataset,
    list_repositories,
    all_hub,


rule fetch_model:
    input:
        code=get_code("fetch_model"),
    output:
        pin="results/hub/models/{model}.json",
    log:
        "logs/fetch_model/{model}.log",
    benchmark:
        "logs/fetch_model/{model}.tsv"
    wildcard_constraints:
        model=get_pattern(STUDY.models_of("hub")),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("fetch_model", 1000),
        runtime=get_runtime("fetch_model", 240),
    params:
        settings=get_model_settings,
    message:
        "Fetch model {wildcards.model} from the Hub"
    script:
        "../workflow_scripts/fetch_model.py"


rule fetch_sae:
    input:
        code=get_code("fetch_sae"),
    output:
        pin="results/hub/saes/{sae}.json",
    log:
        "logs/fetch_sae/{sae}.log",
    benchmark:
        "logs/fetch_sae/{sae}.tsv"
    wildcard_constraints:
        sae=get_pattern(STUDY.hub_saes()),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("fetch_sae", 1000),
        runtime=get_runtime("fetch_sae", 240),
    params:
        settings=get_fetched_settings,
    message:
        "Fetch SAE {wildcards.sae} from the Hub"
    script:
        "../workflow_scripts/fetch_sae.py"


rule fetch_dataset:
    input:
        tokenizer=get_hub_tokenizer,
        code=get_code("fetch_dataset"),
    output:
        documents="results/hub/datasets/{source}.parquet",
        pin="results/hub/datasets/{source}.json",
    log:
        "logs/fetch_dataset/{source}.log",
    benchmark:
        "logs/fetch_dataset/{source}.tsv"
    wildcard_constraints:
        source=get_pattern(HUB_SOURCES),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("fetch_dataset", 4000),
        runtime=get_runtime("fetch_dataset", 240),
    params:
        source=get_hub_source,
        model=get_hub_model,
        most_bytes=get_hub_bytes,
    message:
        "Fetch the text of source {wildcards.source} from the Hub"
    script:
        "../workflow_scripts/fetch_dataset.py"


rule list_repositories:
    input:
        pins=expand("results/hub/models/{model}.json", model=STUDY.models_of("hub"))
        + expand("results/hub/saes/{sae}.json", sae=STUDY.hub_saes())
        + expand("results/hub/datasets/{source}.json", source=HUB_SOURCES),
        code=get_code("list_repositories"),
    output:
        manifest="results/hub/manifest.json",
    log:
        "logs/list_repositories.log",
    benchmark:
        "logs/list_repositories.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("list_repositories", 500),
        runtime=get_runtime("list_repositories"),
    message:
        "List the repositories of the Hub that the study uses"
    script:
        "../workflow_scripts/list_repositories.py"


rule all_hub:
    input:
        "results/hub/manifest.json",
    message:
        "Everything from the Hub is there"
