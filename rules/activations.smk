# Models and token streams in, activation shards out.
#   in:  results/models/{model}/, results/tokens/{tokenizer}/{split}.safetensors
#   out: results/activations/{model}/{split}-{shard}.safetensors   (tokens, width), with token, document, label ids
#        results/activations/{model}/evaluation.json    held-out cross-entropy, clean and ablated, and of baselines


rule capture_activations:
    input:
        model=get_model,
        tokens=get_split_tokens,
        code=get_code("capture_activations"),
    output:
        shard="results/activations/{model}/{split}-{shard}.safetensors",
    log:
        "logs/capture_activations/{model}/{split}-{shard}.log",
    benchmark:
        "logs/capture_activations/{model}/{split}-{shard}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("capture_activations", 3000),
        runtime=get_runtime("capture_activations", unknown=480),
        gpu=get_gpus,
    params:
        hook=get_hook,
        dtype=CONFIG["activations"]["dtype"],
        forward_contexts=CONFIG["activations"]["forward_contexts"],
        start=get_shard_start,
        tokens=get_shard_size,
    message:
        "Capture activations of {wildcards.model}, {wildcards.split} shard {wildcards.shard}"
    script:
        "../workflow_scripts/capture_activations.py"


rule evaluate_model:
    input:
        model=get_model,
        train=get_train_tokens,
        heldout=get_heldout_tokens,
        code=get_code("evaluate_model"),
    output:
        evaluation="results/activations/{model}/evaluation.json",
    log:
        "logs/evaluate_model/{model}.log",
    benchmark:
        "logs/evaluate_model/{model}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("evaluate_model", 3000),
        runtime=get_runtime("evaluate_model", unknown=240),
        gpu=get_gpus,
    params:
        kind=get_model_kind,
        hook=get_hook,
        heldout_tokens=STUDY.evaluated_tokens(),
        forward_contexts=CONFIG["activations"]["forward_contexts"],
        include_bos=CONFIG["graph"]["include_bos"],
    message:
        "Measure the held-out cross-entropy of {wildcards.model}, clean and ablated at the hook point"
    script:
        "../workflow_scripts/evaluate_model.py"


rule all_activations:
    input:
        get_models("results/activations/{model}/evaluation.json"),
        [
            path
            for model in CONFIG["models"]
            for split in ("train", "heldout")
            for path in get_shards("activations", model, split, STUDY.shard_tokens(split))
        ],
    message:
        "The activations are complete"
