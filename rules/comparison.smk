rule all_comparison:
    input:
        [],
