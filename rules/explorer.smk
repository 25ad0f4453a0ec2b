# What is known of every feature in, a page to look features up in out; it stands beside the report.
#   in:  results/interpretation/{model}/{sae}/, results/graphs/{model}/{sae}/, report/explorer/
#   out: results/report/explorer/{model}/{sae}/   cards and graphs as scripts, loaded as they are wanted
#        results/report/explorer.html             the page


rule export_features:
    input:
        features="results/interpretation/{model}/{sae}/features.parquet",
        examples="results/interpretation/{model}/{sae}/examples.parquet",
        tokens="results/interpretation/{model}/{sae}/tokens.parquet",
        contexts="results/interpretation/{model}/{sae}/contexts.parquet",
        lens="results/interpretation/{model}/{sae}/lens.parquet",
        effects="results/interpretation/{model}/{sae}/effects.parquet",
        steering="results/interpretation/{model}/{sae}/steering.parquet",
        explanations="results/interpretation/{model}/{sae}/explanations.parquet",
        rules="results/interpretation/{model}/{sae}/rules.parquet",
        nodes="results/graphs/{model}/{sae}/nodes.parquet",
        edges="results/graphs/{model}/{sae}/edges.parquet",
        communities="results/graphs/{model}/{sae}/communities.parquet",
        tokenizer=get_tokenizer,
        code=get_code("export_features"),
    output:
        folder=directory("results/report/explorer/{model}/{sae}"),
    log:
        "logs/export_features/{model}/{sae}.log",
    benchmark:
        "logs/export_features/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("export_features", 3000),
        runtime=get_runtime("export_features"),
    params:
        **CONFIG["explorer"],
    message:
        "Write the cards of {wildcards.sae} on {wildcards.model}"
    script:
        "../workflow_scripts/export_features.py"


rule make_explorer:
    input:
        folders=get_columns("results/report/explorer/{model}/{sae}"),
        compared="results/comparison/contexts.parquet",
        page=get_page,
        code=get_code("make_explorer"),
    output:
        page="results/report/explorer.html",
    log:
        "logs/make_explorer.log",
    benchmark:
        "logs/make_explorer.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("make_explorer", 1000),
        runtime=get_runtime("make_explorer"),
    params:
        title=CONFIG["title"],
        columns=get_column_records(),
        ordinary=STUDY.ordinary_labels(),
    message:
        "Make the explorer"
    script:
        "../workflow_scripts/make_explorer.py"


rule all_explorer:
    input:
        "results/report/explorer.html",
    message:
        "The explorer is complete"
