# SAEs and activation shards in, sparse features out.
#   in:  results/saes/{model}/{sae}/, results/activations/{model}/{split}-{shard}.safetensors
#   out: results/features/{model}/{sae}/{split}-{shard}.safetensors   CSR: indptr, indices, values, kept


rule encode_features:
    input:
        sae=get_sae,
        activations="results/activations/{model}/{split}-{shard}.safetensors",
        code=get_code("encode_features"),
    output:
        features="results/features/{model}/{sae}/{split}-{shard}.safetensors",
    log:
        "logs/encode_features/{model}/{sae}/{split}-{shard}.log",
    benchmark:
        "logs/encode_features/{model}/{sae}/{split}-{shard}.tsv"
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=get_memory("encode_features", 3000),
        runtime=get_runtime("encode_features", unknown=240),
        gpu=get_gpus,
    params:
        tokens=get_encoded_size,
        include_bos=CONFIG["graph"]["include_bos"],
    message:
        "Encode {wildcards.split} shard {wildcards.shard} of {wildcards.model} with {wildcards.sae}"
    script:
        "../workflow_scripts/encode_features.py"


rule all_features:
    input:
        [
            path
            for model, sae in STUDY.columns()
            for split in ("train", "heldout")
            for path in get_shards("features", f"{model}/{sae}", split, STUDY.encoded_tokens(split))
        ],
    message:
        "The features are complete"
