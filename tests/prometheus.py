"""Reads /metrics as Prometheus does."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

PREFIX = "coverage_cds_"


def samples(text: str) -> dict[str, float]:
    """Return every sample as ``name{label="value"}``, without the prefix and the ending that all of a kind have."""
    return {
        _named(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def changes(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return by how much each sample has grown, as far as it has."""
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    return {name: by for name, by in grown.items() if by}


def _named(name: str, labels: Mapping[str, str]) -> str:
    assert name.startswith(PREFIX), name
    told = ", ".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    short = name.removeprefix(PREFIX).removesuffix("_total")
    return f"{short}{{{told}}}" if told else short
