"""Which results are trusted, with the real Snakemake on a workflow of three quick rules."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from conftest import ROOT, run_command

RULES = {
    "first": """
rule first:
    input: "source.txt"
    output: "results/first/x.txt", "results/first/more.txt"
    params: config["first"]
    benchmark: "logs/first.tsv"
    shell: "(cat {input}; echo {params}) > {output[0]}; echo more > {output[1]}"
""",
    "second": """
rule second:
    input: "results/first/x.txt"
    output: "results/second/{name}.txt"
    params: config["second"]
    shell: "wc -l < {input} > {output}; echo {params} >> {output}"
""",
    "third": """
rule third:
    input: expand("results/second/{name}.txt", name=config["names"])
    output: directory("results/third/pages")
    params: config["third"]
    shell: "mkdir -p {output}; cat {input} > {output}/page.txt; echo {params} >> {output}/page.txt"
""",
}
TARGETS = {
    "first": '"results/first/x.txt"',
    "second": 'expand("results/second/{name}.txt", name=config["names"])',
    "third": '"results/third/pages"',
}
CONFIG = {"first": 1, "second": 1, "third": 1, "names": ["a"]}
NOTHING = "Nothing to be done"


@pytest.fixture
def study(finished, tmp_path):
    """A study of three stages that is complete."""
    return Path(shutil.copytree(finished, tmp_path / "study"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The study that every test gets a copy of."""
    folder = tmp_path_factory.mktemp("ledger")
    (folder / "source.txt").write_text("text\n")
    (folder / "config.yaml").write_text(json.dumps(CONFIG))
    lines = [f"import sys; sys.path.insert(0, {str(ROOT / 'workflow_scripts')!r})", 'configfile: "config.yaml"']
    lines += [f'include: "{ROOT}/rules/ledger.smk"', *(f'include: "{stage}.smk"' for stage in RULES)]
    lines += ["rule all:", "    default_target: True", f"    input: {TARGETS['third']}"]
    lines += ["onsuccess:", "    note_results(workflow)"]
    (folder / "Snakefile").write_text("\n".join(lines))
    stages = {stage: {"outs": [{f"results/{stage}": {"persist": True}}]} for stage in RULES}
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    for stage, text in RULES.items():
        (folder / f"{stage}.smk").write_text(f"{text}\nrule all_{stage}:\n    input: {TARGETS[stage]}\n")
    run(folder)
    return folder


def run(folder, *options):
    done = run_command(folder, "snakemake", "--cores", "1", "--rerun-incomplete", *options)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def planned(folder):
    """The rules that Snakemake would run, sorted, without targets."""
    printed = run(folder, "-n", "--quiet", "progress")
    found = re.findall(r"^(?:local)?rule (\w+):", printed, re.MULTILINE)
    return sorted({name for name in found if not name.startswith("all")})


def change(folder, **settings):
    config = json.loads((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(json.dumps(config | settings))


def cloned(folder, *gone):
    """The study elsewhere, as Git and DVC would bring it: without Snakemake's records, logs and some results."""
    left = shutil.ignore_patterns(".snakemake", "logs")
    clone = Path(shutil.copytree(folder, folder.with_name("clone"), ignore=left, copy_function=shutil.copyfile))
    for path in gone:
        (clone / path).unlink()
    return clone


def results(folder):
    names = sorted((folder / "results").rglob("*.txt"))
    return {path.relative_to(folder).as_posix(): path.read_text() for path in names}


def test_a_complete_study_has_nothing_to_do(study):
    assert NOTHING in run(study)


def test_results_that_were_brought_elsewhere_are_known_there(study):
    clone = cloned(study)
    printed = run(clone, "-n")
    assert NOTHING in printed
    assert "Results known from results/ledger: 4" in printed
    assert "known from" not in run(clone, "-n")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"first": 2}, ["first", "second", "third"]),
        ({"second": 2}, ["second", "third"]),
        ({"third": 2}, ["third"]),
        ({"names": ["a", "b"]}, ["second", "third"]),
    ],
)
def test_elsewhere_a_changed_setting_runs_what_it_runs_at_home(study, settings, expected):
    clone = cloned(study)
    for folder in (study, clone):
        change(folder, **settings)
        assert planned(folder) == expected
        run(folder)
    assert results(clone) == results(study)


def test_results_of_which_nothing_is_known_are_made_again(study):
    clone = cloned(study)
    shutil.rmtree(clone / "results/ledger")
    (clone / "results/second/a.txt").write_text("stale")
    printed = run(clone)
    assert "Files of results that no record describes" in printed
    assert results(clone) == results(study)


def test_a_result_that_was_exchanged_is_made_again(study):
    (study / "results/second/a.txt").write_text("another\n")
    assert planned(study) == ["second", "third"]
    before = results(study)
    run(study)
    assert results(study) != before
    assert NOTHING in run(study)


def test_a_result_that_was_only_touched_is_kept(study):
    os.utime(study / "results/second/a.txt")
    assert NOTHING in run(study)


def test_elsewhere_an_input_that_differs_makes_its_results_again(study):
    clone = cloned(study)
    (clone / "source.txt").write_text("other text\n")
    os.utime(clone / "source.txt", (0, 0))  # older than all results, as a checkout may leave it
    assert planned(clone) == ["first", "second", "third"]


def test_elsewhere_an_input_that_differs_counts_though_what_was_made_of_it_is_gone(study):
    clone = cloned(study, "results/first/x.txt", "results/first/more.txt")
    assert NOTHING in run(clone, "-n")
    change(clone, first=2)
    assert planned(clone) == ["first", "second", "third"]
    change(clone, first=1)
    shutil.rmtree(clone / ".snakemake")
    (clone / "source.txt").write_text("other text\n")
    os.utime(clone / "source.txt", (0, 0))
    assert planned(clone) == ["first", "second", "third"]


def test_going_back_to_earlier_results_leaves_nothing_to_do(study):
    earlier = shutil.copytree(study / "results", study.with_name("earlier"))
    change(study, first=2)
    run(study)
    later = shutil.copytree(study / "results", study.with_name("later"))
    for setting, kept in ((1, earlier), (2, later)):
        change(study, first=setting)
        shutil.copytree(kept, study / "results", dirs_exist_ok=True, copy_function=shutil.copyfile)
        assert NOTHING in run(study, "-n"), setting


def test_going_back_counts_what_was_read_for_files_that_stayed_the_same(study):
    # second writes the number of lines of what first wrote: the same for another setting of first.
    earlier = shutil.copytree(study / "results", study.with_name("earlier"))
    change(study, first=2)
    run(study)
    assert results(study)["results/second/a.txt"] == "2\n1\n"
    change(study, first=1)
    shutil.copytree(earlier / "ledger", study / "results/ledger", dirs_exist_ok=True)
    shutil.copyfile(earlier / "first/x.txt", study / "results/first/x.txt")
    assert NOTHING in run(study, "-n")


def test_going_back_without_the_results_makes_them(study):
    earlier = shutil.copytree(study / "results", study.with_name("earlier"))
    change(study, first=2)
    run(study)
    expected = results(study)
    # The settings are the later ones, the results the earlier ones.
    shutil.copytree(earlier, study / "results", dirs_exist_ok=True, copy_function=shutil.copyfile)
    assert planned(study) == ["first", "second", "third"]
    run(study)
    assert results(study) == expected


def run_stage(folder, stage):
    return run_command(folder, "env", f"PYTHONPATH={ROOT / 'workflow_scripts'}", sys.executable, "-m", "ledger", stage)


def test_a_stage_leaves_what_its_settings_make_and_nothing_else(study):
    change(study, names=["a", "b"])
    run(study)
    change(study, names=["b"])
    (study / "results/second/.c.txt.123.part").write_text("half")
    done = run_stage(study, "second")
    assert done.returncode == 0, done.stdout
    assert "Removed from results/second, made by other settings: 1 files" in done.stdout
    assert sorted(path.name for path in (study / "results/second").iterdir()) == ["b.txt"]
    assert run_stage(study, "third").returncode == 0
    assert (study / "results/third/pages/page.txt").is_file()
    assert NOTHING in run(study)


def test_a_stage_that_fails_ends_with_its_status_and_removes_nothing(study):
    change(study, second=2, names=["b"])
    (study / "second.smk").write_text((study / "second.smk").read_text().replace("wc -l", "no_such_command"))
    done = run_stage(study, "second")
    assert done.returncode != 0
    assert (study / "results/second/a.txt").is_file()


def test_a_study_that_another_run_holds_is_not_touched(study):
    locks = study / ".snakemake/locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text("results/second/a.txt\n")
    (study / "results/second/a.txt").write_text("being written")
    run(study, "-n")
    assert not list((study / ".snakemake/incomplete").iterdir())


def test_a_ledger_that_is_no_json_is_refused_by_name(study):
    (study / "results/ledger/second.json").write_text("{")
    done = run_command(study, "snakemake", "--cores", "1")
    assert done.returncode != 0
    assert "results/ledger/second.json: not a whole JSON file" in done.stdout
    assert "delete it" in done.stdout


def test_the_ledger_of_the_same_results_is_the_same(study):
    before = {path.name: path.read_bytes() for path in (study / "results/ledger").iterdir()}
    clone = cloned(study)
    shutil.rmtree(clone / "results")
    run(clone)
    assert {path.name: path.read_bytes() for path in (clone / "results/ledger").iterdir()} == before
