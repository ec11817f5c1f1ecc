"""The one error of policy files: where it is, what is wrong, what would be right."""

from __future__ import annotations


class PolicyError(Exception):
    """A policy file that cannot be used. ``line`` counts from 1; ``letter`` is the criterion's id, if any."""

    def __init__(self, problem: str, remedy: str = "", *, file: str = "", line: int = 0, letter: str = "") -> None:
        self.problem, self.remedy, self.file, self.line, self.letter = problem, remedy, file, line, letter
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        where = ": ".join(part for part in (place, self.letter) if part)
        message = f"{where}: {self.problem}" if where else self.problem
        return f"{message} {self.remedy}".rstrip()
