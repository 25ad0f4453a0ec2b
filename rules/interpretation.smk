# Features, dictionaries and models in, what features mean out.
#   in:  results/features/{model}/{sae}/, results/saes/{model}/{sae}/, results/activations/{model}/, results/tokens/
#   out: results/interpretation/{model}/{sae}/features.parquet, examples.parquet, tokens.parquet   what features look like
#        results/interpretation/{model}/{sae}/contexts.parquet        the best features of every context, held out
#        results/interpretation/{model}/{sae}/context_features.parquet, assigned.parquet   features by contexts
#        results/interpretation/{model}/{sae}/purity.json, context_neighbours.parquet      contexts in the graph
#        results/interpretation/{model}/{sae}/lens.parquet, effects.parquet, steering.parquet, effects.json
#                                                                     what features do in the model
#        results/interpretation/{model}/{sae}/explanations.parquet, directions.parquet, rules.parquet, simulations.parquet,
#                                             explanations.json       rules that predict activations, and their scores
#        results/interpretation/{model}/{sae}/directed_edges.parquet, chains.parquet, chain_steps.parquet,
#                                             self_loops.parquet, chains.json   features that hand over to one another
#        results/interpretation/{model}/{sae}/map.parquet, map.json   where features lie in a plane, and what that shows
#        results/interpretation/{model}/{sae}/absorption.parquet, absorption.json   contexts that other features take over
#        results/interpretation/{model}/probes.parquet, probes.safetensors   logistic probes, one per context
#        results/contexts/{tokenizer}/marks.safetensors, proxies.parquet   tokens of contexts; how proxies agree with labels


rule describe_features:
    input:
        features=get_heldout_features,
        activations=get_described_activations,
        tokens=get_heldout_tokens,
        weights="results/saes/{model}/{sae}/sae_weights.safetensors",
        code=get_code("describe_features"),
    output:
        features="results/interpretation/{model}/{sae}/features.parquet",
        examples="results/interpretation/{model}/{sae}/examples.parquet",
        tokens="results/interpretation/{model}/{sae}/tokens.parquet",
    log:
        "logs/describe_features/{model}/{sae}.log",
    benchmark:
        "logs/describe_features/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("describe_features", 3000),
        runtime=get_runtime("describe_features"),
    params:
        shown=get_shown_settings(),
        similar=CONFIG["interpretation"]["similar"],
    message:
        "Describe the features of {wildcards.sae} on {wildcards.model}"
    script:
        "../workflow_scripts/describe_features.py"


rule mark_contexts:
    input:
        train="results/tokens/{tokenizer}/train.safetensors",
        heldout="results/tokens/{tokenizer}/heldout.safetensors",
        tokenizer="results/tokenizers/{tokenizer}/tokenizer.json",
        code=get_code("mark_contexts"),
    output:
        marks="results/contexts/{tokenizer}/marks.safetensors",
        proxies="results/contexts/{tokenizer}/proxies.parquet",
    log:
        "logs/mark_contexts/{tokenizer}.log",
    benchmark:
        "logs/mark_contexts/{tokenizer}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("mark_contexts", 3000),
        runtime=get_runtime("mark_contexts"),
    params:
        train_tokens=get_described_tokens("train"),
        heldout_tokens=get_described_tokens("heldout"),
        kinds=CONFIG["interpretation"]["contexts"]["kinds"],
    message:
        "Mark the contexts of the tokens of {wildcards.tokenizer}"
    script:
        "../workflow_scripts/mark_contexts.py"


rule measure_contexts:
    input:
        train=get_train_features,
        heldout=get_heldout_features,
        train_tokens=get_train_tokens,
        heldout_tokens=get_heldout_tokens,
        marks=get_marks,
        nodes="results/graphs/{model}/{sae}/nodes.parquet",
        edges="results/graphs/{model}/{sae}/edges.parquet",
        communities="results/graphs/{model}/{sae}/communities.parquet",
        code=get_code("measure_contexts"),
    output:
        best="results/interpretation/{model}/{sae}/contexts.parquet",
        features="results/interpretation/{model}/{sae}/context_features.parquet",
        assigned="results/interpretation/{model}/{sae}/assigned.parquet",
        neighbours="results/interpretation/{model}/{sae}/context_neighbours.parquet",
        purity="results/interpretation/{model}/{sae}/purity.json",
    log:
        "logs/measure_contexts/{model}/{sae}.log",
    benchmark:
        "logs/measure_contexts/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("measure_contexts", 4000),
        runtime=get_runtime("measure_contexts"),
    params:
        contexts=get_interpretation("contexts", "keep", "pseudocount", "samples"),
        purity=get_interpretation("contexts", "least_share", "least_tokens", "permutations", "bins"),
        ordinary=STUDY.ordinary_labels(),
    message:
        "Find the contexts that features of {wildcards.sae} on {wildcards.model} stand for"
    script:
        "../workflow_scripts/measure_contexts.py"


rule probe_contexts:
    input:
        train=get_probed_activations,
        heldout=get_described_activations,
        marks=get_marks,
        code=get_code("probe_contexts"),
    output:
        probes="results/interpretation/{model}/probes.parquet",
        directions="results/interpretation/{model}/probes.safetensors",
    log:
        "logs/probe_contexts/{model}.log",
    benchmark:
        "logs/probe_contexts/{model}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("probe_contexts", 4000),
        runtime=get_runtime("probe_contexts"),
    params:
        probes=get_interpretation("probes") | {"samples": CONFIG["interpretation"]["contexts"]["samples"]},
    message:
        "Fit a probe to every context on {wildcards.model}"
    script:
        "../workflow_scripts/probe_contexts.py"


rule measure_absorption:
    input:
        activations=get_described_activations,
        train=get_train_features,
        heldout=get_heldout_features,
        marks=get_marks,
        probes="results/interpretation/{model}/probes.parquet",
        directions="results/interpretation/{model}/probes.safetensors",
        contexts="results/interpretation/{model}/{sae}/contexts.parquet",
        features="results/interpretation/{model}/{sae}/context_features.parquet",
        weights="results/saes/{model}/{sae}/sae_weights.safetensors",
        code=get_code("measure_absorption"),
    output:
        table="results/interpretation/{model}/{sae}/absorption.parquet",
        summary="results/interpretation/{model}/{sae}/absorption.json",
    log:
        "logs/measure_absorption/{model}/{sae}.log",
    benchmark:
        "logs/measure_absorption/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("measure_absorption", 3000),
        runtime=get_runtime("measure_absorption"),
    params:
        main=get_main_settings(),
        absorption=get_interpretation("absorption", "least_f1", "most_tokens", "permutations"),
        ordinary=STUDY.ordinary_labels(),
    message:
        "Measure what other features absorb of contexts in {wildcards.sae} on {wildcards.model}"
    script:
        "../workflow_scripts/measure_absorption.py"


rule measure_effects:
    input:
        train=get_train_tokens,
        heldout=get_heldout_tokens,
        model=get_model,
        sae=get_sae,
        train_features=get_train_features,
        heldout_features=get_heldout_features,
        code=get_code("measure_effects"),
    output:
        lens="results/interpretation/{model}/{sae}/lens.parquet",
        effects="results/interpretation/{model}/{sae}/effects.parquet",
        steering="results/interpretation/{model}/{sae}/steering.parquet",
        summary="results/interpretation/{model}/{sae}/effects.json",
    log:
        "logs/measure_effects/{model}/{sae}.log",
    benchmark:
        "logs/measure_effects/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("measure_effects", 4000),
        runtime=get_runtime("measure_effects", unknown=480),
        gpu=get_gpus,
    params:
        hook=get_hook,
        lens=CONFIG["interpretation"]["lens"],
        effects=CONFIG["interpretation"]["effects"],
        steering=CONFIG["interpretation"]["steering"],
        batch_contexts=CONFIG["activations"]["forward_contexts"],
        seed=CONFIG["interpretation"]["seed"],
    message:
        "Measure what features of {wildcards.sae} do in {wildcards.model}"
    script:
        "../workflow_scripts/measure_effects.py"


rule explain_features:
    input:
        train_features=get_train_features,
        heldout_features=get_heldout_features,
        train_activations=get_probed_activations,
        heldout_activations=get_described_activations,
        train_tokens=get_train_tokens,
        heldout_tokens=get_heldout_tokens,
        tokenizer=get_tokenizer,
        code=get_code("explain_features"),
    output:
        explanations="results/interpretation/{model}/{sae}/explanations.parquet",
        directions="results/interpretation/{model}/{sae}/directions.parquet",
        rules="results/interpretation/{model}/{sae}/rules.parquet",
        simulations="results/interpretation/{model}/{sae}/simulations.parquet",
        summary="results/interpretation/{model}/{sae}/explanations.json",
    log:
        "logs/explain_features/{model}/{sae}.log",
    benchmark:
        "logs/explain_features/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("explain_features", 4000),
        runtime=get_runtime("explain_features", unknown=120),
    params:
        sample={key: CONFIG["interpretation"][key] for key in ("examples", "seed")}
        | {"reach": CONFIG["interpretation"]["explanations"]["reach"]},
        pseudo_count=CONFIG["interpretation"]["explanations"]["pseudo_count"],
        directions=CONFIG["interpretation"]["explanations"]["directions"],
        shown=CONFIG["interpretation"]["explanations"]["shown"],
        endpoint=CONFIG["interpretation"]["explanations"]["endpoint"],
        endpoint_features=CONFIG["interpretation"]["explanations"]["endpoint_features"],
    message:
        "Explain the features of {wildcards.sae} on {wildcards.model} by rules, and score these"
    script:
        "../workflow_scripts/explain_features.py"


rule find_chains:
    input:
        train_features=get_train_features,
        heldout_features=get_heldout_features,
        train_tokens=get_train_tokens,
        heldout_tokens=get_heldout_tokens,
        code=get_code("find_chains"),
    output:
        edges="results/interpretation/{model}/{sae}/directed_edges.parquet",
        chains="results/interpretation/{model}/{sae}/chains.parquet",
        steps="results/interpretation/{model}/{sae}/chain_steps.parquet",
        loops="results/interpretation/{model}/{sae}/self_loops.parquet",
        summary="results/interpretation/{model}/{sae}/chains.json",
    log:
        "logs/find_chains/{model}/{sae}.log",
    benchmark:
        "logs/find_chains/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("find_chains", 3000),
        runtime=get_runtime("find_chains"),
    params:
        k=CONFIG["graph"]["k"],
        chains=get_interpretation("chains") | {"fdr": CONFIG["nulls"]["fdr"]},
    message:
        "Find features of {wildcards.sae} on {wildcards.model} that hand over to one another"
    script:
        "../workflow_scripts/find_chains.py"


rule map_features:
    input:
        weights="results/saes/{model}/{sae}/sae_weights.safetensors",
        nodes="results/graphs/{model}/{sae}/nodes.parquet",
        edges="results/graphs/{model}/{sae}/edges.parquet",
        communities="results/graphs/{model}/{sae}/communities.parquet",
        assigned="results/interpretation/{model}/{sae}/assigned.parquet",
        code=get_code("map_features"),
    output:
        map="results/interpretation/{model}/{sae}/map.parquet",
        summary="results/interpretation/{model}/{sae}/map.json",
    log:
        "logs/map_features/{model}/{sae}.log",
    benchmark:
        "logs/map_features/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("map_features", 3000),
        runtime=get_runtime("map_features"),
    params:
        map=get_interpretation("map"),
        ordinary=STUDY.ordinary_labels(),
    message:
        "Map the features of {wildcards.sae} on {wildcards.model}"
    script:
        "../workflow_scripts/map_features.py"


rule all_interpretation:
    input:
        get_columns("results/interpretation/{model}/{sae}/absorption.json"),
        get_columns("results/interpretation/{model}/{sae}/map.json"),
        get_columns("results/interpretation/{model}/{sae}/explanations.json"),
        get_columns("results/interpretation/{model}/{sae}/chains.json"),
        get_columns("results/interpretation/{model}/{sae}/features.parquet"),
        get_columns("results/interpretation/{model}/{sae}/contexts.parquet"),
        get_columns("results/interpretation/{model}/{sae}/effects.json"),
        get_models("results/interpretation/{model}/probes.parquet"),
    message:
        "The interpretation is complete"
