"""What the report says of the meaning of features: tables, and sentences that hold for any outcome."""

import re
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from coact.comparison.wording import number
from coact.figures import contexts as figure
from coact.report import contexts, report_tables, report_variables
from coact.report.contexts import better, context_rows, shown_column
from coact.report.explanations import controls_chain_sentence, controls_predicted_sentence
from coact.report.interpretation import meaning_tables, meaning_texts
from coact.report.meaning import beside_controls
from synthetic_artefacts import PLAN, make_results
from synthetic_meaning import (
    CONTEXTS,
    REASON,
    make_chain_summary,
    make_chains,
    make_explanations,
    make_gallery,
    make_proxies,
    make_purity,
    unabsorbed,
    undefined_summary,
    unexplained,
    unmapped,
)

NEVER_READ = re.compile(
    r"\bnan\b|None|inf\b|\[\]|\{|\bof 0 [a-z]+s\b|  |\b1 (?:contexts|dictionaries|features|pairs|labels)\b"
)
BROKEN = re.compile(r" [.,;:]|\.\.|,,| is for| are\.| is\.|\bof \.|\( | \)")


@cache
def made(columns):
    """Of five: two seeds of a TopK, a ReLU, neurons and a dictionary on an untrained model. Nobody changes it."""
    return make_results(columns)


@pytest.fixture
def results():
    return made(5)


def change(results, **changes):
    return replace(results, meaning=replace(results.meaning, **changes))


def cells(table, start):
    line = next(line for line in table.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip().replace("\\", "") for cell in re.split(r"(?<!\\)\|", line.strip("|"))]


def blank(table):
    """`table` with its measures lost."""
    return table.assign(**dict.fromkeys(table.select_dtypes("float"), np.nan))


def assert_readable(results):
    for key, text in meaning_texts(results).items():
        assert text, key
        assert not NEVER_READ.search(text), (key, text)
        assert not BROKEN.search(text), (key, text)
        if key.endswith("_sentence"):
            assert text[0].isupper() or text[0].isdigit(), (key, text)
            assert text.endswith("."), (key, text)
    for name, table in meaning_tables(results).items():
        assert not re.search(r"\bnan\b", table, re.IGNORECASE), name
        lines = [line for line in table.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) <= 1, name


# --- hooked in


def test_tables_and_sentences_reach_the_report(results):
    assert meaning_tables(results).items() <= report_tables(results).items()
    assert meaning_texts(results).items() <= report_variables(results).items()
    assert_readable(results)


def test_equal_scores_are_those_of_the_figure():
    assert contexts.NEAR == figure.NEAR


def test_values_stand_beside_those_of_controls():
    assert beside_controls(PLAN[:5], [0.5, 0.4, None, 0.1, 0.2]) == (
        "0.400\N{EN DASH}0.500 for 2 SAEs on trained models, 0.100 for main/neurons and 0.200 for untrained/topk-x4-s0"
    )
    assert beside_controls(PLAN[:1], [0.5]) == "0.500 for main/topk-x4-s0"
    assert beside_controls([PLAN[3]] * 4, [0.1] * 4) == "0.100 for 4 controls"
    assert beside_controls(PLAN[:2], [None, float("nan")]) == ""


# --- contexts


def test_contexts_are_tabled_best_first_with_their_controls(results):
    table = meaning_tables(results)["_contexts.md"]
    assert shown_column(results) == PLAN[0]
    assert [line.split(" | ")[0].strip("| ") for line in table.splitlines()[3:8]] == [
        "dna", "arabic", "docstrings", "numbers", "hebrew",
    ]  # fmt: skip
    assert cells(table, "arabic")[1:9] == [
        "3,500 / 8", "[1](explorer.html#feature=1&sae=main/topk-x4-s0)",
        "0.880 [0.870, 0.890]", "0.600", "0.990", "0.100", "yes", "0.500",
    ]  # fmt: skip
    assert cells(table, "numbers")[7] == "no"
    assert cells(table, "arabic")[-2:] == ["0.800", "0.780"]


def test_contexts_without_tokens_or_with_few_documents_are_marked(results):
    table, texts = meaning_tables(results)["_contexts.md"], meaning_texts(results)
    assert cells(table, "hebrew")[1:5] == [
        "0 / 0", "[4](explorer.html#feature=4&sae=main/topk-x4-s0)", "not measured (0 tokens)", "",
    ]  # fmt: skip
    assert cells(table, "dna")[3] == "0.950 (few documents)"
    assert texts["contexts_sentence"].endswith("the best feature is measured in 4 of 5 contexts.")
    assert texts["weak_sentence"] == (
        "The context hebrew has no held-out tokens and is not measured and the context dna rests on fewer than 5"
        " documents, so that what is said of it may be true of one text only."
    )


def test_a_context_in_which_no_feature_is_active_is_told_apart_from_one_without_tokens(results):
    table = results.meaning.contexts
    silent = table["context"] == "numbers"
    table = table.assign(feature=table["feature"].where(~silent, -1), f1=table["f1"].where(~silent))
    changed = change(results, contexts=table)
    row = cells(meaning_tables(changed)["_contexts.md"], "numbers")
    assert row[2:4] == ["none", "no feature is active here in training text"]
    assert "In training text of numbers no feature is active." in meaning_texts(changed)["contexts_sentence"]


def test_matches_in_another_seed_are_left_out_where_the_dictionary_has_no_twin(results):
    table = results.meaning.contexts.assign(seed_correlation=np.nan)
    assert "another seed" not in meaning_tables(change(results, contexts=table))["_contexts.md"]
    none = change(results, seeds=results.meaning.seeds.iloc[:0])
    assert "not known" in meaning_texts(none)["context_seeds_sentence"]
    one = change(results, seeds=results.meaning.seeds.iloc[1:2])
    assert "The one feature" in meaning_texts(one)["context_seeds_sentence"]


def test_scores_that_are_about_equal_are_no_win():
    one, other = pd.Series({"a": 0.5, "b": 0.5, "c": 0.5}), pd.Series({"a": 0.499, "b": 0.3, "c": np.nan})
    assert better(one, other) == (["b"], ["a", "b"])


def test_wins_are_counted_by_hand(results):
    texts = meaning_texts(results)
    # docstrings (0.75 > 0.40) and numbers (0.20 > 0.10) of four measured contexts, alike in all three dictionaries.
    assert "in 50.0% of the contexts" in texts["neurons_win_sentence"]
    assert "it is so for docstrings and numbers." in texts["neurons_win_sentence"]
    assert "worse than the best feature in 2 of 4 contexts" in texts["neuron_sentence"]
    assert "in 3 of 4 contexts" in texts["probes_win_sentence"]  # not in dna, 0.94 < 0.95
    assert "Of 12 best features, 3 fall by more than 0.1 in F1" in texts["fall_sentence"]
    assert texts["fall_sentence"].endswith("most the one for numbers in main/topk-x4-s0, from 0.500 to 0.100.")


def test_labels_that_their_characters_are_elsewhere_too_are_named(results):
    assert "8.00%\N{EN DASH}100%, less than half for numbers:" in meaning_texts(results)["proxies_sentence"]
    alike = change(results, proxies={"main": make_proxies().query("label == 'arabic'")})
    assert meaning_texts(alike)["proxies_sentence"].startswith("1 label can be told")
    assert "less than half" not in meaning_texts(alike)["proxies_sentence"]


def test_a_wider_dictionary_that_is_worse_is_told():
    wide = made(6)  # topk-x4 and topk-x8
    table = wide.meaning.contexts
    worse = table.assign(f1=table["f1"].where(table["sae"] != "topk-x8-s0", table["f1"] / 2))
    text = meaning_texts(change(wide, contexts=worse))["wider_sentence"]
    assert text.endswith("0.582 in main/topk-x4-s0 and 0.291 in main/topk-x8-s0: the wider dictionary is worse.")
    assert meaning_texts(wide)["wider_sentence"].endswith("the wider dictionary is not worse.")


# --- communities, effects, splitting


def test_purity_stands_beside_its_nulls_and_controls_are_counted(results):
    table, texts = meaning_tables(results)["_purity.md"], meaning_texts(results)
    assert table.count("| without ordinary text |") == 5
    assert cells(table, "main/neurons | all")[5:9] == ["0.600", "0.500", "0.600", "0.70"]
    assert "in 3 of 5 dictionaries, no control among them" in texts["purity_sentence"]
    assert "25.0% for 3 SAEs on trained models" in texts["ordinary_sentence"]


def test_permutations_that_are_all_as_pure_leave_nothing(results):
    purity = deepcopy(results.meaning.purity)
    for entry in purity:
        for scope in ("all_contexts", "without_ordinary"):
            found = entry["heldout"][scope]["purity"]
            found["frequency"]["mean"] = found["value"] + 2**-53
    sentence = meaning_texts(change(results, purity=purity))["purity_sentence"]
    assert "purity less their mean is 0 for" in sentence
    assert "10⁻" not in sentence


def test_heaviest_neighbours_come_first_and_features_without_significant_ones_do_not_count(results):
    table = meaning_tables(results)["_context_neighbours.md"]
    assert cells(table, "arabic")[-1] == "8 (none), 7 (arabic)"
    assert cells(table, "numbers")[3:5] == ["0", ""]
    assert "1 of 2 contexts" in meaning_texts(results)["neighbours_sentence"]


def test_effects_stand_beside_random_directions_and_the_gain_of_the_readout(results):
    table, texts = meaning_tables(results)["_effects.md"], meaning_texts(results)
    # Features 1 and 2 are ablated: median deviation of their logits 0.075, of random ones 0.03.
    assert cells(table, "main/topk-x4-s0")[3:7] == ["0.0300", "0.0100", "100%", "6.25"]
    assert cells(table, "main/topk-x4-s0")[9] == "1 of 2"
    assert texts["gain_sentence"].startswith("The median KL divergence over that of random directions is 3.00 for 3")
    assert "the square of the gain, which a stronger readout alone would give, is 6.25 for 3" in texts["gain_sentence"]
    assert "66.7% for 3 SAEs on trained models, 100% for main/neurons" in texts["never_steer_sentence"]
    assert "90.0% of a label's windows (1 label)" in texts["judge_sentence"]
    assert cells(meaning_tables(results)["_steering.md"], "main/neurons")[-2:] == ["1 of 3", "3 of 3"]


def test_where_there_is_no_linear_path_the_reason_is_given(results):
    some = [undefined_summary(), *results.meaning.effect_summaries[1:]]
    partly = change(results, effect_summaries=some)
    assert meaning_texts(partly)["undefined_lens_sentence"] == (
        "There is no linear path from the hook point to the logits for 1 of 5 dictionaries (main/topk-x4-s0)"
        f" ({REASON}): no lens is defined there."
    )
    for name in ("_lens.md", "_effects.md", "_steering.md"):
        assert cells(meaning_tables(partly)[name], "main/topk-x4-s0")[1:3] == ["not defined", ""]
    assert_readable(partly)


def test_splitting_stands_beside_seeds_and_chance(results):
    texts = meaning_texts(results)
    assert texts["splitting_sentence"].startswith("In the one pair of widths, 60.0% of the wider dictionary's features")
    assert "30.0% of features have two descendants or more" in texts["seeds_split_sentence"]
    assert "30.0% of descendants have the number of their parent" in texts["seeds_split_sentence"]
    assert texts["siblings_sentence"] == (
        "Of 210 pairs of siblings 90.0% are linked in the graph, of descendants exchanged among those of about equal"
        " top-k count 14.0% (p = 0.0050)."
    )
    widths = change(results, splitting=results.meaning.splitting.assign(differ="width"))
    assert "in 2 of 2 pairs of widths" in meaning_texts(widths)["siblings_sentence"]
    single = results.meaning.splitting.iloc[:1].assign(siblings=1, linked=0.0)
    assert "is not linked" in meaning_texts(change(results, splitting=single))["siblings_sentence"]


# --- explanations and chains


def test_scores_stand_beside_random_directions_and_shuffled_rules(results):
    table, texts = meaning_tables(results)["_explanations.md"], meaning_texts(results)
    assert cells(table, "main/topk-x4-s0")[1:8] == [
        "108 of 128", "0.600", "0.500", "0.0500", "0.900", "0.700", "0.100",
    ]  # fmt: skip
    assert cells(table, "main/neurons")[8:] == ["10", "60", "20", "10"]
    assert "is 0.600 for 3 SAEs on trained models, 0.800 for main/neurons" in texts["explanations_sentence"]
    assert (
        "own random directions it is 0.100 for 3 SAEs on trained models, 0 for main/" in texts["explanations_sentence"]
    )
    assert texts["carried_sentence"].startswith(
        "Of the features with a correlation above zero the token alone carries 60.0% for 3 SAEs on trained models"
    )
    assert "the label of the text alone carries 10.0% for 3 SAEs" in texts["carried_sentence"]


def test_features_that_are_no_easier_to_predict_than_controls_are_told(results):
    texts = meaning_texts(results)
    assert texts["random_as_good_sentence"].endswith("or better in none of the 3 dictionaries.")
    assert texts["controls_predicted_sentence"] == (
        "The median of main/neurons is above that of all 3 SAEs on trained models and that of untrained/topk-x4-s0"
        " above that of all 3 SAEs on trained models."
    )
    easy, hard = make_explanations(True), make_explanations(False)
    swapped = meaning_texts(change(results, explanations=[easy, hard, hard, hard, unexplained()]))
    assert swapped["random_as_good_sentence"].endswith("in 1 of 3 dictionaries (main/topk-x4-s0).")
    assert swapped["controls_predicted_sentence"] == (
        "The median of main/neurons is above that of none of the 3 SAEs on trained models."
    )


def test_edges_and_chains_stand_beside_shifted_text(results):
    table, texts = meaning_tables(results)["_chains.md"], meaning_texts(results)
    row = cells(table, "main/topk-x4-s0")
    assert row[1:10] == [
        "20,000 / 21,000", "900 / 0", "700 / 6", "300 / 0", "90 / 0", "12 / 0", "5 / 0", "1 / 0", "3 / 0",
    ]  # fmt: skip
    assert row[10:] == ["3", "1 of 2", "0.800", "0.250"]  # medians of 0.8, 0.4, 0.9, and of 0.5 and 0
    assert "in shifted text, where all are by chance, 6 for 3 SAEs on trained models" in texts["chains_sentence"]
    assert texts["positional_sentence"].startswith("Positional chains number 3 for 3 SAEs on trained models")
    assert texts["controls_chain_sentence"] == (
        "Controls have chains as well: main/neurons has 4 chains and untrained/topk-x4-s0 has 4 chains."
    )


def test_many_controls_are_counted_and_not_listed(results):
    columns = [results.columns[0], *[results.columns[3]] * 4]
    kept = {
        "explanations": [make_explanations(False), *[make_explanations(True)] * 3, make_explanations(False)],
        "chain_summaries": [make_chain_summary(True)] * 5,
        "chains": [make_chains()] * 5,
    }
    many = replace(change(results, **kept), columns=columns)
    assert controls_predicted_sentence(many) == (
        "Of 4 controls, 3 have a higher median than at least one SAE on a trained model."
    )
    assert controls_chain_sentence(many) == "Of 4 controls, 4 have chains as well."


def test_chains_that_other_documents_do_not_have_are_told(results):
    # Three dictionaries of one chain each that carries over, one that does not, and one that is not measured.
    assert meaning_texts(results)["carry_over_sentence"] == (
        "Of 6 chains of trained dictionaries, the strongest of each (3 more cannot be measured), 3 are walked in"
        " held-out text no more often than under shifts; the median probability of walking a whole chain is 0.600 on"
        " training tokens, by which chains are chosen, and 0.250 on held-out ones."
    )
    none = make_chains().iloc[:0]
    one = change(results, chains=[make_chains().iloc[1:2], none, none, none, none])
    assert (
        "trained dictionaries is not walked in held-out text more often than under shifts; its"
        in (meaning_texts(one)["carry_over_sentence"])
    )
    silent = change(results, chains=[make_chains().iloc[2:3], none, none, none, none])
    assert meaning_texts(silent)["carry_over_sentence"].startswith("On held-out tokens no chain")
    assert cells(meaning_tables(silent)["_chains.md"], "main/topk-x4-s0")[-4:] == [
        "1", "none measured", "0.900", "not defined",
    ]  # fmt: skip


# --- the gallery


def test_the_gallery_says_why_each_feature_is_shown(results):
    page = meaning_tables(results)["_gallery.md"]
    assert page.startswith("2 features of main/topk-x4-s0, which has 500 that are active on held-out tokens: 1 chosen")
    assert page.count('<section class="card"') == 2
    assert "<dt>chosen</dt><dd>for arabic</dd>" in page
    assert "by frequency: of the features to choose from 38% are active less often" in page


def test_corpus_text_in_the_gallery_is_shown_and_not_obeyed(results):
    hostile = "<script>alert(1)</script>\n```\n{{< include x >}}"
    page = meaning_tables(change(results, gallery=make_gallery("main/topk-x4-s0", hostile)))["_gallery.md"]
    assert "<script" not in page
    assert "{{<" not in page
    assert page.count("```") == 4


# --- maps and features that hardly ever fire


def test_maps_stand_beside_random_directions_and_exchanged_features(results):
    table, texts = meaning_tables(results)["_map.md"], meaning_texts(results)
    assert cells(table, "main/topk-x4-s0")[1:10] == [
        "500", "500", "40.0%", "15.0%", "3.00%", "30.0%", "10.0%", "0.0050", "50.0%",
    ]  # fmt: skip
    assert cells(table, "main/neurons")[1:4] == ["512", "0", ""]
    assert cells(table, "main/neurons")[-1] == "all pairs of decoder rows have the same cosine"
    assert texts["map_sentence"] == (
        "Of a feature's 15 nearest decoder rows, the share that is nearest in the map too is 40.0% for 3 SAEs on"
        " trained models and 40.0% for untrained/topk-x4-s0; of random directions, mapped likewise, it is 15.0% for 3"
        " SAEs on trained models and 15.0% for untrained/topk-x4-s0. There is no map of main/neurons: all pairs of"
        " decoder rows have the same cosine."
    )
    assert "in 3 of 4 dictionaries: 30.0% for 3 SAEs on trained models" in texts["map_graph_sentence"]


def test_rare_features_stand_beside_random_ones_and_the_cutoff_is_stated(results):
    table, texts = meaning_tables(results)["_ultralow.md"], meaning_texts(results)
    rows = [line for line in table.splitlines() if line.startswith("| main/topk-x4-s0")]
    assert [cells(row, "")[1:4] for row in rows] == [
        ["are silent", "25", "25"],
        [f"fire on less than {number(10 / 130_000)}", "80", "72"],
        ["are of the lower mode (there are not two)", "0", ""],
    ]
    assert cells(rows[1], "")[4:7] == ["0.200", "0.100 [0.0800, 0.120]", "0.0010"]
    assert "130,000 held-out tokens are too few to see a density of 1.00" in texts["ultralow_sentence"]
    assert "which takes 10,000,000: " in texts["ultralow_sentence"]
    assert texts["ultralow_sentence"].endswith(
        "(10 tokens). Their number is 80 for 3 SAEs on trained models, 1 for main/neurons and 1 for"
        " untrained/topk-x4-s0."
    )
    assert "in all 3 dictionaries with two or more of them." in texts["ultralow_direction_sentence"]
    assert texts["ultralow_direction_sentence"].endswith(
        "are found in none of the 3 dictionaries. For silent features it is 0.200 for 3 SAEs on trained models, beside"
        " 0.100 for 3 SAEs on trained models."
    )
    assert cells(rows[0], "")[-3:] == ["not defined", "", ""]
    assert "more than by chance in none of the 3 dictionaries." in texts["ultralow_graph_sentence"]


def test_with_tokens_enough_the_density_asked_for_is_the_cutoff(results):
    table = results.meaning.ultralow
    many = table.assign(tokens=20_000_000, cutoff=table["cutoff"].where(table["group"] != "rare", 1e-6))
    text = meaning_texts(change(results, ultralow=many))["ultralow_sentence"]
    assert text.startswith("20,000,000 held-out tokens are enough to see a density of 1.00")


# --- whatever comes


def lose_everything(results):
    """Nothing is defined: no activity, no path, no community, no descendant."""
    found = results.meaning
    none = {"value": None, **{null: {"mean": None, "p": None} for null in ("features", "frequency")}}
    scope = {"features": 0, "communities": 0, "contexts": 0, "purity": none, "nmi": none}
    scopes = dict.fromkeys(("all_contexts", "without_ordinary"), scope)
    return change(
        results,
        lens=[blank(table) for table in found.lens],
        effects=[blank(table).assign(tokens=0) for table in found.effects],
        steering=[blank(table) for table in found.steering],
        effect_summaries=[undefined_summary("") for _ in found.lens],
        purity=[{"heldout": scopes, "train": scopes, "neighbours": []} for _ in found.purity],
        explanations=[unexplained() for _ in found.explanations],
        chain_summaries=[no_edges(entry) for entry in found.chain_summaries],
        chains=[table.iloc[:0] for table in found.chains],
        contexts=blank(found.contexts).assign(tokens=0, documents=0, feature=-1),
        seeds=blank(found.seeds),
        proxies={model: blank(table) for model, table in found.proxies.items()},
        gallery={"column": results.columns[0].name, "features": []},
        splitting=blank(found.splitting).assign(siblings=0, children=[[0] * 4] * len(found.splitting)),
        maps=[unmapped("fewer than 4 live features with a direction") for _ in found.maps],
        absorption=[blank(table).assign(tokens=0, main=[[]] * len(table), absorber=-1) for table in found.absorption],
        absorption_summaries=[unabsorbed() for _ in found.maps],
        ultralow=blank(found.ultralow).assign(tokens=0, features=0, in_sets=0),
    )


def no_edges(summary):
    return {name: dict.fromkeys(entry, 0) if isinstance(entry, dict) else 0 for name, entry in summary.items()}


def no_directions(results):
    found = [{**entry, "directions": unexplained()["directions"]} for entry in results.meaning.explanations]
    return change(results, explanations=found)


def no_contexts(results):
    found = results.meaning
    return change(results, contexts=found.contexts.iloc[:0], seeds=found.seeds.iloc[:0], proxies={}, ordinary=[])


def one_context(results):
    found = results.meaning
    purity = [{**entry, "neighbours": entry["neighbours"][:1]} for entry in found.purity]
    return change(results, contexts=found.contexts.query("context == 'arabic'"), purity=purity)


def only_ordinary(results):
    return change(results, ordinary=list(CONTEXTS))


def nothing_but_few(results):
    return change(results, contexts=results.meaning.contexts.assign(documents=1))


def no_splitting(results):
    return change(results, splitting=results.meaning.splitting.iloc[:0])


@pytest.mark.parametrize("columns", [1, 2, 4, 5])
@pytest.mark.parametrize(
    "lose",
    [lose_everything, no_contexts, no_directions, one_context, only_ordinary, nothing_but_few, no_splitting],
)
def test_sentences_read_well_whatever_comes(lose, columns):
    assert_readable(lose(made(columns)))


@pytest.mark.parametrize("place", [3, 4])
def test_a_study_of_a_control_alone_reads_well(place):
    found = made(place + 1)
    kept = {
        name: [getattr(found.meaning, name)[place]]
        for name in (
            *("lens", "effects", "steering", "effect_summaries", "purity", "neighbours", "features"),
            *("explanations", "chain_summaries", "chains", "maps", "absorption", "absorption_summaries"),
        )
    }
    column = found.columns[place]
    table = found.meaning.contexts.query("model == @column.model and sae == @column.sae")
    alone = change(
        found, **kept, contexts=table, seeds=found.meaning.seeds.iloc[:0], splitting=found.meaning.splitting[:0]
    )
    alone = replace(alone, columns=[column])
    assert_readable(alone)
    texts = meaning_texts(alone)
    assert texts["neurons_win_sentence"] == "No dictionary can be held against neurons here."
    assert texts["fall_sentence"].endswith("not defined.")


def test_nothing_defined_says_so():
    texts = meaning_texts(lose_everything(made(4)))
    assert texts["detection_sentence"] == "No best feature is measured on held-out tokens."
    assert texts["lens_sentence"] == "The logit lens is not defined in this study."
    assert "for all 4 dictionaries (no reason is given)" in texts["undefined_lens_sentence"]
    assert texts["purity_sentence"].startswith("Whether communities gather contexts is not defined")
    assert texts["explanations_sentence"] == (
        "How well rules predict features is not defined: no feature has a correlation."
    )
    assert texts["carry_over_sentence"].startswith("No trained dictionary has a chain that is not positional")
    assert texts["controls_chain_sentence"] == "No control has chains (1 control)."
    assert texts["positional_sentence"] == "There are no positional chains."
    assert meaning_texts(no_contexts(made(2)))["contexts_sentence"].startswith("No contexts were looked for")


def test_rows_of_no_column_are_none(results):
    assert context_rows(results, None).empty
    assert make_purity(True)["heldout"]["all_contexts"]["purity"]["frequency"]["p"] > 0.05


# --- absorption


def test_absorption_stands_beside_exchanges_and_controls(results):
    texts = meaning_texts(results)
    assert (
        "the others' part is 50.0% for 3 SAEs on trained models, 20.0% for main/neurons and"
        in texts["absorption_sentence"]
    )
    assert texts["absorption_null_sentence"] == (
        "Tokens absorbed whole: more than exchanged features give (p < 0.05) in all 5 dictionaries. The fraction: more"
        " than exchanged features give (p < 0.05) in all 5 dictionaries."
    )
    first = cells(meaning_tables(results)["_absorption.md"], "main/topk")
    assert first[1:5] == ["2 of 3", "1.5", "5.00%", "2.50%"]
    table = meaning_tables(results)["_absorption_contexts.md"]
    assert "base64" not in table  # not measured
    assert "report/explorer.html" in table or "explorer.html#" in table


def test_the_fraction_is_followed_over_widths_of_one_recipe():
    found = replace(made(2), columns=PLAN[:2])
    columns = [
        replace(column, expansion=width, recipe="a") for column, width in zip(found.columns, (1.0, 2.0), strict=True)
    ]
    for values, words in (((0.2, 0.6), "grows"), ((0.6, 0.2), "does not grow steadily")):
        summaries = [
            {**summary, "fraction": {**summary["fraction"], "value": value}}
            for summary, value in zip(found.meaning.absorption_summaries, values, strict=True)
        ]
        text = meaning_texts(replace(change(found, absorption_summaries=summaries), columns=columns))
        assert text["absorption_width_sentence"].startswith(f"On main the fraction {words} with width: 1x")


def test_where_no_probe_finds_a_context_the_report_says_so(results):
    found = change(results, absorption_summaries=[unabsorbed() for _ in results.columns])
    assert meaning_texts(found)["absorption_sentence"].endswith("so absorption is not measured (0 contexts).")
    assert cells(meaning_tables(found)["_absorption.md"], "main/topk")[1:3] == ["0 of 3", "not defined"]
