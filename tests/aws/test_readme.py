"""The module's README lists every input and output, and nothing that does not exist."""

import re

from applied import ROOT

MODULE = ROOT / "terraform"


def declared(kind):
    return {name for file in MODULE.glob("*.tf") for name in re.findall(rf'^{kind} "(\w+)"', file.read_text(), re.MULTILINE)}


def listed(heading):
    section = (MODULE / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and "`" in line]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.rsplit("|", 2)[1])}


def test_every_input_and_output_is_listed():
    assert listed("Inputs") == declared("variable")
    assert listed("Outputs") == declared("output")


def test_no_arn_names_a_partition():
    wrong = [file.name for file in MODULE.glob("*.tf") if re.search(r"arn:aws[:\-]", file.read_text())]
    assert wrong == [], "GovCloud and China have other partitions: use data.aws_partition"
