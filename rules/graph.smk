# Features in, graphs out.
#   in:  results/features/{model}/{sae}/{split}-{shard}.safetensors
#   out: results/graphs/{model}/{sae}/counts/{shard}.safetensors        pairs counted in one shard; shards add up exactly
#        results/graphs/{model}/{sae}/edges.parquet, nodes.parquet      the co-activation graph, its edges tested
#        results/graphs/{model}/{sae}/repelled.parquet                  pairs that share fewer tokens than by chance
#        results/graphs/{model}/{sae}/topk_sets.safetensors             the top-k set of every token
#        results/graphs/{model}/{sae}/nulls/{null}-{part}/              replicates of a null model, and the first graph
#        results/graphs/{model}/{sae}/statistics.json                   every statistic beside its nulls
#        results/graphs/{model}/{sae}/degree_null.parquet               every feature's degree beside its nulls
#        results/graphs/{model}/{sae}/sensitivity.parquet               graphs by other rules, of fewer batches
#        results/graphs/{model}/{sae}/rarefaction.parquet               degrees at an equal number of tokens
#        results/graphs/{model}/{sae}/communities.parquet, .json        communities and centralities, and their support
#        results/graphs/{model}/{sae}/graph.graphml, graph.gexf         for networkx, Gephi and others


rule count_pairs:
    input:
        features=get_counted_features,
        code=get_code("count_pairs"),
    output:
        counts="results/graphs/{model}/{sae}/counts/{shard}.safetensors",
    log:
        "logs/count_pairs/{model}/{sae}/{shard}.log",
    benchmark:
        "logs/count_pairs/{model}/{sae}/{shard}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("count_pairs", 3000),
        runtime=get_runtime("count_pairs"),
    params:
        k=CONFIG["graph"]["k"],
        batch_tokens=STUDY.batch_tokens,
        first_batch=get_first_batch,
    message:
        "Count the pairs of features of {wildcards.sae} on {wildcards.model} in shard {wildcards.shard}"
    script:
        "../workflow_scripts/count_pairs.py"


rule build_graph:
    input:
        counts=get_counts,
        heldout=get_frequency_features,
        weights="results/saes/{model}/{sae}/sae_weights.safetensors",
        code=get_code("build_graph"),
    output:
        edges="results/graphs/{model}/{sae}/edges.parquet",
        nodes="results/graphs/{model}/{sae}/nodes.parquet",
        repelled="results/graphs/{model}/{sae}/repelled.parquet",
        sets="results/graphs/{model}/{sae}/topk_sets.safetensors",
    log:
        "logs/build_graph/{model}/{sae}.log",
    benchmark:
        "logs/build_graph/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("build_graph", 3000),
        runtime=get_runtime("build_graph"),
    params:
        live_frequency=CONFIG["graph"]["live_frequency"],
        fdr=CONFIG["nulls"]["fdr"],
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
        statistics="results/graphs/{model}/{sae}/nulls/{null}-{part}/statistics.parquet",
        edges="results/graphs/{model}/{sae}/nulls/{null}-{part}/edges.parquet",
        nodes="results/graphs/{model}/{sae}/nulls/{null}-{part}/nodes.parquet",
        mixing="results/graphs/{model}/{sae}/nulls/{null}-{part}/mixing.json",
    log:
        "logs/sample_null/{model}/{sae}/{null}-{part}.log",
    benchmark:
        "logs/sample_null/{model}/{sae}/{null}-{part}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("sample_null", 3000),
        runtime=get_runtime("sample_null"),
    params:
        replicates=get_replicates,
        chain={key: CONFIG["nulls"][key] for key in ("seed", "sweeps", "sweeps_between")},
        communities={key: CONFIG["communities"][key] for key in ("seed", "resolution")},
    message:
        "Sample the null '{wildcards.null}' of {wildcards.sae} on {wildcards.model}, part {wildcards.part}"
    script:
        "../workflow_scripts/sample_null.py"


rule describe_graph:
    input:
        edges="results/graphs/{model}/{sae}/edges.parquet",
        nodes="results/graphs/{model}/{sae}/nodes.parquet",
        null_edges="results/graphs/{model}/{sae}/nulls/tokens-0/edges.parquet",
        replicates=get_null_statistics,
        null_nodes=get_null_nodes,
        repelled="results/graphs/{model}/{sae}/repelled.parquet",
        sets="results/graphs/{model}/{sae}/topk_sets.safetensors",
        features=get_graph_features,
        tokens=get_graph_tokens,
        tokenizer=get_tokenizer,
        code=get_code("describe_graph"),
    output:
        statistics="results/graphs/{model}/{sae}/statistics.json",
        degrees="results/graphs/{model}/{sae}/degree_null.parquet",
    log:
        "logs/describe_graph/{model}/{sae}.log",
    benchmark:
        "logs/describe_graph/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("describe_graph", 3000),
        runtime=get_runtime("describe_graph"),
    params:
        statistics={key: CONFIG["statistics"][key] for key in ("seed", "bootstrap", "confidence", "listed")},
        resampling={
            "samples": CONFIG["statistics"]["document_samples"],
            "confidence": CONFIG["statistics"]["confidence"],
            "seed": CONFIG["statistics"]["seed"],
        },
        communities={key: CONFIG["communities"][key] for key in ("seed", "resolution")},
        fdr=CONFIG["nulls"]["fdr"],
        k=CONFIG["graph"]["k"],
        batches=CONFIG["graph"]["batches"],
    message:
        "Describe the graph of {wildcards.sae} on {wildcards.model}, beside its nulls"
    script:
        "../workflow_scripts/describe_graph.py"


rule measure_sensitivity:
    input:
        features=get_graph_features,
        nodes="results/graphs/{model}/{sae}/nodes.parquet",
        code=get_code("measure_sensitivity"),
    output:
        sensitivity="results/graphs/{model}/{sae}/sensitivity.parquet",
        rarefaction="results/graphs/{model}/{sae}/rarefaction.parquet",
    log:
        "logs/measure_sensitivity/{model}/{sae}.log",
    benchmark:
        "logs/measure_sensitivity/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("measure_sensitivity", 3000),
        runtime=get_runtime("measure_sensitivity", unknown=120),
    params:
        k=CONFIG["graph"]["k"],
        include_bos=CONFIG["graph"]["include_bos"],
        batch_tokens=STUDY.batch_tokens,
        sensitivity=CONFIG["sensitivity"],
        chain={key: CONFIG["nulls"][key] for key in ("seed", "sweeps")},
    message:
        "Vary the graph of {wildcards.sae} on {wildcards.model}: sets, special positions, batches"
    script:
        "../workflow_scripts/measure_sensitivity.py"


rule find_communities:
    input:
        edges="results/graphs/{model}/{sae}/edges.parquet",
        nodes="results/graphs/{model}/{sae}/nodes.parquet",
        sets="results/graphs/{model}/{sae}/topk_sets.safetensors",
        heldout=get_frequency_features,
        weights="results/saes/{model}/{sae}/sae_weights.safetensors",
        code=get_code("find_communities"),
    output:
        communities="results/graphs/{model}/{sae}/communities.parquet",
        summary="results/graphs/{model}/{sae}/communities.json",
    log:
        "logs/find_communities/{model}/{sae}.log",
    benchmark:
        "logs/find_communities/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("find_communities", 3000),
        runtime=get_runtime("find_communities"),
    params:
        k=CONFIG["graph"]["k"],
        communities=CONFIG["communities"],
    message:
        "Find communities in the graph of {wildcards.sae} on {wildcards.model}"
    script:
        "../workflow_scripts/find_communities.py"


rule export_graph:
    input:
        edges="results/graphs/{model}/{sae}/edges.parquet",
        nodes="results/graphs/{model}/{sae}/nodes.parquet",
        communities="results/graphs/{model}/{sae}/communities.parquet",
        code=get_code("export_graph"),
    output:
        graphml="results/graphs/{model}/{sae}/graph.graphml",
        gexf="results/graphs/{model}/{sae}/graph.gexf",
    log:
        "logs/export_graph/{model}/{sae}.log",
    benchmark:
        "logs/export_graph/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("export_graph", 3000),
        runtime=get_runtime("export_graph"),
    message:
        "Export the graph of {wildcards.sae} on {wildcards.model} as GraphML and GEXF"
    script:
        "../workflow_scripts/export_graph.py"


rule all_graphs:
    input:
        get_columns("results/graphs/{model}/{sae}/statistics.json"),
        get_columns("results/graphs/{model}/{sae}/communities.json"),
        get_columns("results/graphs/{model}/{sae}/sensitivity.parquet"),
        get_columns("results/graphs/{model}/{sae}/graph.graphml"),
    message:
        "The graphs are complete"
