"""Subjects are described in TOML."""

from pathlib import Path

import pytest

from benchmarks import subjects

TOML = """
name = "mine"
[controller]
command = ["{bin}/mine", "--kubeconfig={kubeconfig}"]
elect = ["--leader-election"]
synced = "ready"
[sidecar]
command = ["mine-sidecar", "{socket}"]
[build]
module = "here"
packages = ["example.com/mine"]
"""


def test_a_subject_is_its_two_commands() -> None:
    found = subjects.parse(TOML, Path("/folder"))
    assert found.name == "mine"
    assert found.role("controller").elect == ("--leader-election",)
    assert found.role("sidecar").command == ("mine-sidecar", "{socket}")
    assert found.module == Path("/folder/here")
    assert found.packages == ("example.com/mine",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name = ", "no TOML"),
        ('name = "mine"', "controller"),
        (TOML.replace('command = ["mine-sidecar', 'other = ["x'), "command"),
    ],
)
def test_what_is_missing_is_said(text: str, why: str) -> None:
    with pytest.raises(subjects.Unusable, match=why):
        subjects.parse(text, Path())


def test_placeholders_are_filled() -> None:
    words = ("{bin}/x", "--a={b}{b}", "{}")
    assert subjects.filled(words, {"bin": "/p", "b": "1"}) == ["/p/x", "--a=11", "{}"]


def test_an_unknown_placeholder_is_refused() -> None:
    with pytest.raises(subjects.Unusable, match="kubeconfg"):
        subjects.filled(("{kubeconfg}",), {"kubeconfig": "x"})


@pytest.mark.parametrize("name", ["snapshotd", "reference", "reference-defaults"])
def test_the_subjects_that_come_with_it_can_be_read(name: str, tmp_path: Path) -> None:
    found = subjects.load(name)
    assert found.name == name
    stage = subjects.Stage(tmp_path, tmp_path, tmp_path)
    for role in subjects.ROLES:
        known = found.role(role)
        assert subjects.filled(known.command + known.elect, stage.values(tmp_path))


def test_an_unknown_subject_is_told_with_those_that_are_known() -> None:
    with pytest.raises(subjects.Unusable, match="reference, reference-defaults, snapshotd"):
        subjects.load("snapshotdd")
