"""Settings: what may be set, by whom, and what is said when it cannot be."""

from __future__ import annotations

import ast
import itertools
import pathlib
import re

import pytest

from hook import config
from hook.commands import settings as setting_command
from hook.source import setting_layers
from tests.small_kernel import Kernel

ROOT = pathlib.Path(__file__).parent.parent
EXAMPLE = ROOT / "config.example.yaml"


def test_the_example_holds_every_setting_with_its_default() -> None:
    given = setting_layers.from_yaml(EXAMPLE.read_bytes(), "config.example.yaml")
    assert {one.name for one in given} == set(config.BY_NAME)
    assert config.resolve([given]).values == config.DEFAULTS.values


def test_the_example_says_of_every_setting_what_its_field_says() -> None:
    lines = EXAMPLE.read_text().splitlines()
    comments = [(line.split(":")[0].strip(), before.strip()) for before, line in itertools.pairwise(lines) if before.startswith("  #")]
    assert comments == [
        (name.partition(".")[2], f"# {'tree: ' if field.by_tree else ''}{field.doc}") for name, field in config.BY_NAME.items()
    ]


def test_every_setting_is_read_somewhere() -> None:
    read = set()
    for path in (ROOT / "hook").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Attribute, ast.Name)):
                group = node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id
                read.add(f"{group}.{node.attr}")
    assert set(config.BY_NAME) - read == set()


def test_a_setting_is_not_changed() -> None:
    with pytest.raises(AttributeError, match="max_files"):
        config.DEFAULTS.reach.max_files = 3


@pytest.mark.parametrize("name", sorted(config.RETIRED))
def test_a_retired_setting_is_listed_in_the_manual(name: str) -> None:
    assert name not in config.BY_NAME
    assert f"| `{name}` |" in (ROOT / "docs" / "settings.md").read_text()


def test_a_retired_setting_is_ignored_with_one_line(kernel: Kernel) -> None:
    kernel.write("../home/.config/patch-triage.yaml", "reach:\n  max_hops: many\nlimits:\n  mail_bytes: 1\n")
    kernel.git("config", "patchtriage.cache.maxEntries", "3")
    out, error = kernel.triage_both("config", PATCH_TRIAGE_AGENT_DIFF_BYTES="17")
    assert "max_hops" not in out
    assert error == (
        "patch-triage: ~/.config/patch-triage.yaml:2: ignored, no longer a setting: "
        "reach.max_hops, limits.mail_bytes, cache.max_entries, agent.diff_bytes (docs/settings.md)\n"
    )


def test_the_stronger_layer_wins() -> None:
    weak = [config.Given("push.max_commits", 5, "file:1")]
    strong = [config.Given("push.max_commits", "7", "environment variable X")]
    settings = config.resolve([weak, strong])
    assert settings.push.max_commits == 7
    assert settings.origins["push.max_commits"] == "environment variable X"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("push:\n  max_commits: ten\n", 'f:2: push.max_commits: "ten" is not a whole number from 1 to 100000'),
        ("push:\n  max_comits: 10\n", "f:2: unknown setting push.max_comits; did you mean push.max_commits?"),
        ("pusch:\n  max_commits: 10\n", 'f:1: unknown section "pusch"; there are'),
        ("policy:\n  block: always\n", 'f:2: policy.block: "always" is not one of never, unjudged, worth-fuzzing'),
        ("push: 3\n", "f:1: expected `key: value` lines here"),
        ("- a\n", "f:1: expected `key: value` lines here"),
        ("push:\n  max_commits: &x 3\n", "f:2: YAML anchors and aliases are not read here"),
        ("push: {max_commits: !!python/object:os.system 3}\n", "f:1: a value that is not plain YAML"),
        ("push: [\n", "f:2: not YAML"),
        ("record:\n  format: [note, tape]\n", "f:2: record.format:"),
        ("x" * 70000, "f: a settings file has at most 65536 bytes"),
        ("\xff", "f"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(config.WrongSetting, match=re.escape(sentence)):
        config.resolve([setting_layers.from_yaml(text.encode("latin-1"), "f")])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("policy:\n  block: never\n", "2: policy.block cannot be set by a tree, only "),
        ("focus:\n  max_symbols: many\n", '2: focus.max_symbols: "many" is not a whole number from 1 to 1000'),
        ("focus:\n  max_symbols: 0x" + "f" * 9000, '2: focus.max_symbols: "a number" is not a whole number from 1 to 1000'),
        ("focus:\n  max_symbols: 2026-13-13\n", "2: focus.max_symbols: a value that is not plain YAML"),
        ("focus:\n  [a]: 1\n", "2: expected `key: value` lines here"),
        ("no: such\n", '1: unknown section "no"'),
        ("push: [\n", "2: not YAML"),
        ("[" * 60_000, "1: not YAML"),
        ("- " * 30_000, "1: not YAML that is read here: nested more than 20 deep"),
        ("\xff", " not UTF-8 text"),
        ("x" * 70_000, " a settings file has at most 65536 bytes, this one 70000"),
        ("x" * (17 << 20), " a settings file has at most 65536 bytes, this one 17825792"),
    ],
)
def test_what_is_wrong_in_a_trees_file_is_ignored_and_named_in_one_line(kernel: Kernel, text: str, said: str) -> None:
    kernel.commit(".patch-triage.yaml", text.encode("latin-1"))
    kernel.git("config", "patchtriage.policy.block", "worth-fuzzing")
    out, error = kernel.triage_both("config")
    assert error.startswith(f"patch-triage: ignored in the tree: .patch-triage.yaml:{said}") and len(error.splitlines()) == 1
    assert "policy.block: worth-fuzzing    # git config" in out and "focus.max_symbols: 10    # default" in out


def test_what_is_right_beside_what_is_wrong_in_a_trees_file_counts(kernel: Kernel) -> None:
    kernel.commit(".patch-triage.yaml", "policy:\n  block: never\npush:\n  max_commits: 1\nfocus:\n  max_symbols: 3\n")
    out, error = kernel.triage_both("config")
    assert "focus.max_symbols: 3    # .patch-triage.yaml:6" in out and "(and 1 more)" in error


def test_config_tells_where_each_setting_came_from(kernel: Kernel) -> None:
    kernel.commit(".patch-triage.yaml", "focus:\n  max_symbols: 3\n")
    kernel.write("../home/.config/patch-triage.yaml", "push:\n  max_commits: 42\n")
    kernel.git("config", "patchtriage.policy.block", "unjudged")
    out = kernel.triage("config", PATCH_TRIAGE_BASE_MAX_COMMITS="17")
    assert "focus.max_symbols: 3    # .patch-triage.yaml:2" in out
    assert "push.max_commits: 42    # ~/.config/patch-triage.yaml:2" in out
    assert "policy.block: unjudged    # git config" in out
    assert "base.max_commits: 17    # environment variable PATCH_TRIAGE_BASE_MAX_COMMITS" in out
    assert "cache.enabled: true    # default" in out


def test_what_people_set_comes_first_and_the_rest_is_sorted(kernel: Kernel) -> None:
    kernel.git("config", "patchtriage.push.maxCommits", "7")
    first, _, advanced = kernel.triage("config").partition("# advanced\n")
    given = ["agent.background", "push.max_commits", "reach.background"]  # the environment of all tests sets two
    assert [line.split(":")[0] for line in first.splitlines()] == [*setting_command._FIRST, *given]
    names = [line.split(":")[0] for line in advanced.splitlines()]
    assert names == sorted(set(config.BY_NAME) - {*setting_command._FIRST, *given})


def test_a_first_file_has_ten_lines_and_changes_nothing(kernel: Kernel) -> None:
    before = kernel.triage("config")
    assert "written" in kernel.triage("config", "--init")
    text = kernel.read("../home/.config/patch-triage.yaml")
    assert len(text.splitlines()) == 10
    given = {one.name: one.value for one in setting_layers.from_yaml(text.encode(), "f")}
    assert tuple(given) == setting_command._FIRST
    assert re.sub("#.*", "", kernel.triage("config")) == re.sub("#.*", "", before)
    assert "exists already" in kernel.triage_both("config", "--init", ok=2)[1] and kernel.read("../home/.config/patch-triage.yaml") == text


def test_an_unknown_variable_or_git_key_is_wrong_use(kernel: Kernel) -> None:
    _, error = kernel.triage_both("config", ok=2, PATCH_TRIAGE_PUSH_MAXIMUM="17")
    assert error.startswith("patch-triage: environment variable PATCH_TRIAGE_PUSH_MAXIMUM: unknown setting")
    kernel.git("config", "patchtriage.push.maximum", "3")
    _, error = kernel.triage_both("config", ok=2)
    assert "unknown setting push.maximum" in error


def test_only_the_settings_of_the_base_revision_count(kernel: Kernel) -> None:
    kernel.stage(".patch-triage.yaml", "policy:\n  block: worth-fuzzing\n")
    assert "policy.block: never" in kernel.triage("config")


def test_what_has_no_bearing_on_a_verdict_leaves_those_in_the_cache_good() -> None:
    plain = config.resolve([])
    for name, value in (("agent.max_day_tokens", 1), ("agent.price", "1/2"), ("agent.background", False), ("push.wait_seconds", 5)):
        assert config.resolve([[config.Given(name, value, "x")]]).fingerprint() == plain.fingerprint()
    assert config.resolve([[config.Given("agent.model", "other", "x")]]).fingerprint() != plain.fingerprint()
