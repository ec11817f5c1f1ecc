"""What a client may switch off or limit (Da Vinci CRD, ``davinci-crd.configuration``), told in discovery. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cds_service.crd.versions import VERSIONS

CONFIGURATION = "davinci-crd.configuration"
COVERAGE_INFORMATION = "coverage-info"
MAX_CARDS = "max-cards"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the service, as discovery tells it."""

    code: str
    type: Literal["boolean", "integer"]
    name: str
    description: str
    default: bool | int


OPTIONS = (
    Option(
        COVERAGE_INFORMATION,
        "boolean",
        "Coverage information",
        "Whether the orders come back with coverage information: covered, prior authorization, what to document.",
        True,
    ),
    Option(
        "guideline",
        "boolean",
        "Coverage criteria",
        "Cards that say which criteria of the payer's policy are met, not met or not documented.",
        True,
    ),
    Option(
        "claim",
        "boolean",
        "Billing code",
        "Cards that offer the order with the product's own billing code, where the payer asks for it.",
        True,
    ),
    Option(
        MAX_CARDS, "integer", "Most cards", "How many cards an answer may have; those that warn are kept first.", 1000
    ),
)

_URGENT = ("critical", "warning", "info")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one request wants: the card types that are switched off, and the most cards (None: the default)."""

    off: frozenset[str] = frozenset()
    max_cards: int | None = None

    @property
    def coverage_information(self) -> bool:
        """Whether coverage information is wanted."""
        return COVERAGE_INFORMATION not in self.off

    def kept(self, cards: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the cards that are wanted, in their order; of too many, those that warn."""
        wanted = [card for card in cards if card["source"]["topic"]["code"] not in self.off]
        most = _DEFAULT_MOST if self.max_cards is None else self.max_cards
        if len(wanted) <= most:
            return wanted
        urgent = sorted(range(len(wanted)), key=lambda place: _URGENT.index(wanted[place]["indicator"]))
        return [wanted[place] for place in sorted(urgent[:most])]


_DEFAULT_MOST = next(int(option.default) for option in OPTIONS if option.code == MAX_CARDS)


def read(extension: Mapping[str, Any]) -> Configuration:
    """Return what a request's extension wants; options that are unknown or of another type are as if not sent."""
    sent = extension.get(CONFIGURATION)
    if not isinstance(sent, Mapping):
        return Configuration()
    switches = (option.code for option in OPTIONS if option.type == "boolean")
    most = sent.get(MAX_CARDS)
    limited = isinstance(most, int) and not isinstance(most, bool) and most >= 0
    return Configuration(frozenset(c for c in switches if sent.get(c) is False), most if limited else None)


def discovery() -> dict[str, Any]:
    """Return the extension of a service in discovery: the versions that are spoken, and the options."""
    return {
        "davinci-crd.version": list(VERSIONS),
        "davinci-crd.configuration-options": [asdict(option) for option in OPTIONS],
    }
