# Features in, graphs out.
#   in:  results/features/{model}/{sae}/{split}-{shard}.safetensors
#   out: results/graphs/{model}/{sae}/edges.parquet, nodes.parquet             the co-activation graph
#        results/graphs/{model}/{sae}/topk_sets.safetensors                    the top-k set of every token
#        results/graphs/{model}/{sae}/null_edges.parquet, null_nodes.parquet   one sample of the null model
#        results/graphs/{model}/{sae}/statistics.json                          every statistic beside its null
#        results/graphs/{model}/{sae}/graph.graphml                            for networkx, Gephi and others


rule build_graph:
    input:
        features=get_graph_features,
        heldout=get_frequency_features,
        code=get_code("build_graph"),
    output:
        edges="results/graphs/{model}/{sae}/edges.parquet",
        nodes="results/graphs/{model}/{sae}/nodes.parquet",
        sets="results/graphs/{model}/{sae}/topk_sets.safetensors",
    log:
        "logs/build_graph/{model}/{sae}.log",
    benchmark:
        "logs/build_graph/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        k=CONFIG["graph"]["k"],
        batch_tokens=STUDY.batch_tokens,
        live_frequency=CONFIG["graph"]["live_frequency"],
    message:
        "Build the co-activation graph of {wildcards.sae} on {wildcards.model}"
    script:
        "../workflow_scripts/build_graph.py"


rule sample_null:
    input:
        nodes="results/graphs/{model}/{sae}/nodes.parquet",
        sets="results/graphs/{model}/{sae}/topk_sets.safetensors",
        code=get_code("sample_null"),
    output:
        edges="results/graphs/{model}/{sae}/null_edges.parquet",
        nodes="results/graphs/{model}/{sae}/null_nodes.parquet",
        mixing="results/graphs/{model}/{sae}/null_mixing.json",
    log:
        "logs/sample_null/{model}/{sae}.log",
    benchmark:
        "logs/sample_null/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        nulls=CONFIG["nulls"],
    message:
        "Sample the degree-preserving null of {wildcards.sae} on {wildcards.model}"
    script:
        "../workflow_scripts/sample_null.py"


rule describe_graph:
    input:
        edges="results/graphs/{model}/{sae}/edges.parquet",
        nodes="results/graphs/{model}/{sae}/nodes.parquet",
        null_edges="results/graphs/{model}/{sae}/null_edges.parquet",
        sets="results/graphs/{model}/{sae}/topk_sets.safetensors",
        code=get_code("describe_graph"),
    output:
        statistics="results/graphs/{model}/{sae}/statistics.json",
    log:
        "logs/describe_graph/{model}/{sae}.log",
    benchmark:
        "logs/describe_graph/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        statistics=CONFIG["statistics"],
        k=CONFIG["graph"]["k"],
        batches=CONFIG["graph"]["batches"],
    message:
        "Describe the graph of {wildcards.sae} on {wildcards.model}, beside its null"
    script:
        "../workflow_scripts/describe_graph.py"


rule export_graph:
    input:
        edges="results/graphs/{model}/{sae}/edges.parquet",
        nodes="results/graphs/{model}/{sae}/nodes.parquet",
        code=get_code("export_graph"),
    output:
        graphml="results/graphs/{model}/{sae}/graph.graphml",
    log:
        "logs/export_graph/{model}/{sae}.log",
    benchmark:
        "logs/export_graph/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    message:
        "Export the graph of {wildcards.sae} on {wildcards.model} as GraphML"
    script:
        "../workflow_scripts/export_graph.py"


rule all_graphs:
    input:
        get_columns("results/graphs/{model}/{sae}/statistics.json"),
        get_columns("results/graphs/{model}/{sae}/graph.graphml"),
    message:
        "The graphs are complete"
