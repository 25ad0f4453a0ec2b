# SAEs and activation shards in, sparse features out.
#   in:  results/saes/{model}/{sae}/, results/activations/{model}/{split}-{shard}.safetensors
#   out: results/features/{model}/{sae}/{split}-{shard}.safetensors   CSR: indptr, indices, values, kept


rule encode_features:
    message:
        "Encode {wildcards.split} shard {wildcards.shard} of {wildcards.model} with {wildcards.sae}"
    input:
        sae=get_sae,
        activations="results/activations/{model}/{split}-{shard}.safetensors",
        code=get_code("encode_features"),
    output:
        features="results/features/{model}/{sae}/{split}-{shard}.safetensors",
    params:
        tokens=get_encoded_size,
        include_bos=CONFIG["graph"]["include_bos"],
    log:
        "logs/encode_features/{model}/{sae}/{split}-{shard}.log",
    benchmark:
        "logs/encode_features/{model}/{sae}/{split}-{shard}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
        gpu=1,
    script:
        "../workflow_scripts/encode_features.py"


rule all_features:
    message:
        "The features are complete"
    input:
        [
            path
            for model, sae in STUDY.columns()
            for split in ("train", "heldout")
            for path in get_shards("features", f"{model}/{sae}", split, STUDY.encoded_tokens(split))
        ],
