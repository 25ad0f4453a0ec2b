# Activation shards in, SAEs out.
#   in:  results/activations/{model}/{split}-{shard}.safetensors, or an SAE folder of the user
#   out: results/saes/{model}/{sae}/cfg.json, sae_weights.safetensors   the layout that SAELens reads
#        results/saes/{model}/{sae}/history.parquet                     losses over training
#        results/saes/{model}/{sae}/emergence.parquet, settled.parquet, emergence.json   when features emerge
#        results/saes/{model}/{sae}/evaluation.json, density.parquet, l0.parquet   held-out figures


rule train_sae:
    input:
        activations=get_train_activations,
        code=get_code("train_sae"),
    output:
        sae=multiext("results/saes/{model}/{sae}/", "cfg.json", "sae_weights.safetensors"),
        history="results/saes/{model}/{sae}/history.parquet",
        snapshots="results/saes/{model}/{sae}/snapshots.safetensors",
    log:
        "logs/train_sae/{model}/{sae}.log",
    benchmark:
        "logs/train_sae/{model}/{sae}.tsv"
    wildcard_constraints:
        sae=get_pattern(STUDY.saes_of("trained")),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("train_sae", 1000, unknown=8000),
        runtime=get_runtime("train_sae", unknown=1440),
        gpu=get_gpus,
    params:
        settings=get_sae_settings,
        include_bos=CONFIG["graph"]["include_bos"],
        hook=get_hook,
        context_length=CONFIG["corpus"]["context_length"],
        prepend_bos=CONFIG["corpus"]["prepend_bos"],
    message:
        "Train SAE {wildcards.sae} on {wildcards.model}"
    script:
        "../workflow_scripts/train_sae.py"


rule make_neuron_dictionary:
    input:
        activations=get_train_activations,
        code=get_code("make_neuron_dictionary"),
    output:
        sae=multiext("results/saes/{model}/{sae}/", "cfg.json", "sae_weights.safetensors"),
        history="results/saes/{model}/{sae}/history.parquet",
    log:
        "logs/make_neuron_dictionary/{model}/{sae}.log",
    benchmark:
        "logs/make_neuron_dictionary/{model}/{sae}.tsv"
    wildcard_constraints:
        sae=get_pattern(STUDY.saes_of("neurons")),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("make_neuron_dictionary", 2000),
        runtime=get_runtime("make_neuron_dictionary"),
    params:
        hook=get_hook,
        context_length=CONFIG["corpus"]["context_length"],
        prepend_bos=CONFIG["corpus"]["prepend_bos"],
    message:
        "Make the neurons of {wildcards.model} a dictionary"
    script:
        "../workflow_scripts/make_neuron_dictionary.py"


rule evaluate_sae:
    input:
        sae=get_sae,
        model=get_model,
        model_evaluation="results/activations/{model}/evaluation.json",
        activations=get_heldout_activations,
        heldout=get_heldout_tokens,
        code=get_code("evaluate_sae"),
    output:
        evaluation="results/saes/{model}/{sae}/evaluation.json",
        density="results/saes/{model}/{sae}/density.parquet",
        l0="results/saes/{model}/{sae}/l0.parquet",
    log:
        "logs/evaluate_sae/{model}/{sae}.log",
    benchmark:
        "logs/evaluate_sae/{model}/{sae}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("evaluate_sae", 3000),
        runtime=get_runtime("evaluate_sae", unknown=240),
        gpu=get_gpus,
    params:
        architecture=get_architecture,
        hook=get_hook,
        heldout_tokens=STUDY.evaluated_tokens(),
        forward_contexts=CONFIG["activations"]["forward_contexts"],
        include_bos=CONFIG["graph"]["include_bos"],
    message:
        "Evaluate {wildcards.sae} of {wildcards.model} on held-out tokens"
    script:
        "../workflow_scripts/evaluate_sae.py"


rule measure_emergence:
    input:
        snapshots="results/saes/{model}/{sae}/snapshots.safetensors",
        code=get_code("measure_emergence"),
    output:
        emergence="results/saes/{model}/{sae}/emergence.parquet",
        features="results/saes/{model}/{sae}/settled.parquet",
        summary="results/saes/{model}/{sae}/emergence.json",
    log:
        "logs/measure_emergence/{model}/{sae}.log",
    benchmark:
        "logs/measure_emergence/{model}/{sae}.tsv"
    wildcard_constraints:
        sae=get_pattern(STUDY.saes_of("trained")),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("measure_emergence", 3000),
        runtime=get_runtime("measure_emergence"),
    params:
        seed=CONFIG["statistics"]["seed"],
        confidence=CONFIG["statistics"]["confidence"],
    message:
        "Measure when features of {wildcards.sae} on {wildcards.model} emerge in training"
    script:
        "../workflow_scripts/measure_emergence.py"


rule import_sae:
    input:
        source=get_sae_source,
        activations=get_train_activations,
        code=get_code("import_sae"),
    output:
        sae=multiext("results/saes/{model}/{sae}/", "cfg.json", "sae_weights.safetensors"),
        history="results/saes/{model}/{sae}/history.parquet",
    log:
        "logs/import_sae/{model}/{sae}.log",
    benchmark:
        "logs/import_sae/{model}/{sae}.tsv"
    wildcard_constraints:
        sae=get_pattern(STUDY.saes_of("import")),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("import_sae", 2000),
        runtime=get_runtime("import_sae"),
    params:
        settings=get_sae_settings,
        hook=get_hook,
        context_length=CONFIG["corpus"]["context_length"],
        prepend_bos=CONFIG["corpus"]["prepend_bos"],
    message:
        "Take over SAE {wildcards.sae} for {wildcards.model}"
    script:
        "../workflow_scripts/import_sae.py"


rule all_saes:
    input:
        get_columns("results/saes/{model}/{sae}/evaluation.json"),
        get_emergence,
    message:
        "The SAEs are complete"
