"""What the command line says of arguments that it does not know: one message, with the nearest name there is."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """argparse's parser; its messages come alone, without a usage of ten lines before them."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2 and the message."""
        if found := re.fullmatch(r"argument (--\S+): expected one argument", message):
            message += f"; a value that begins with - follows =, as in {found[1]}=-1,2"
        self.exit(2, f"{self.prog}: {message}\nHelp: {self.prog} --help\n")

    def refuse_words(self, words: Sequence[str]) -> None:
        """Refuse what was left over, by its first word."""
        if not words:
            return
        word = words[0].partition("=")[0]
        if word.startswith("-"):
            self.error(f"unknown option {word}{nearest(word, self.options())}")
        self.error(f"unexpected word {word!r}; everything is given by options")

    def options(self) -> list[str]:
        """The long options, as its help names them."""
        return re.findall(r"(?<![\w-])--[a-z][a-z-]*", self.format_help())


def nearest(word: str, names: Iterable[str]) -> str:
    """A question after the name that was meant, or nothing.

    >>> nearest("verfy", ["verify", "flow"]), nearest("x", ["verify", "flow"])
    ('; did you mean verify?', '')
    """
    found = get_close_matches(word, list(names), n=1)
    return f"; did you mean {found[0]}?" if found else ""


def refuse_command(top: Parser, argv: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a first word that names no command; no option before it takes a value."""
    word = next((part for part in argv if not part.startswith("-")), None)
    if word is not None and word not in names:
        near = nearest(word, names) or f"; the commands are {', '.join(names)}"
        top.error(f"there is no command {word!r}{near}")
