"""The catalogue holds no sentence that no code asks for."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import klarsyn
from klarsyn.bias.questionnaire import tool
from klarsyn.report.words import read_words

SOURCE = Path(klarsyn.__file__).parent
NAMES = re.compile(r"\w+")


@cache
def written() -> tuple[frozenset[str], tuple[re.Pattern[str], ...]]:
    """Every text of the code and the templates, and every name that is put together from parts."""
    texts: set[str] = set()
    made: set[str] = set()
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                fixed = [
                    re.escape(str(p.value)) if isinstance(p, ast.Constant) else "(.+)"
                    for p in node.values
                ]
                made.add(re.sub(r"(\(\.\+\))+", "(.+)", "".join(fixed)))
    for file in SOURCE.rglob("*.j2"):
        texts |= set(re.findall(r"""["']([\w.]+)["']""", file.read_text(encoding="utf-8")))
    keys = [m for m in made if re.match(r"[a-z]+\\\.|\(\.\+\)\\\.[a-z]", m)]
    return frozenset(texts), tuple(re.compile(k) for k in keys)


@cache
def names() -> frozenset[str]:
    """What may fill a part: texts of the code, and names in the bases and tools that ship."""
    data = "".join(
        f.read_text(encoding="utf-8")
        for ending in ("toml", "csv", "json")
        for f in SOURCE.rglob(f"*.{ending}")
        if "catalogue" not in f.parts
    )
    code = {text.replace(" ", "_").lower() for text in written()[0]}
    code |= {text.split(" ")[0] for text in written()[0]}  # as a class of blinding is told
    questions = {
        f"{d}_{q}".replace(".", "_")
        for d, domain in tool("rob2").domains.items()
        for q in domain.questions
    }
    return (
        frozenset(NAMES.findall(data))
        | questions
        | code
        | written()[0]
        | {str(i) for i in range(10)}
    )


def known(part: str) -> bool:
    """Whether a part is a name, or two of them one after the other."""
    cuts = ((part[:i], part[i:]) for i in range(1, len(part)))
    return part in names() or any(a in names() and b in written()[0] for a, b in cuts)


def asked(key: str) -> bool:
    texts, patterns = written()
    if key in texts or re.sub(r"\.(one|many)$", "", key) in texts:  # `Words.count` adds these
        return True
    found = (p.fullmatch(key) for p in patterns)
    return any(m and all(known(x) for g in m.groups() for x in g.split(".")) for m in found)


def test_every_sentence_of_the_catalogue_is_asked_for() -> None:
    """Names of the vocabulary (`term`) are asked for by what a base holds."""
    keys = [k for k in read_words("en").entries if not k.startswith("term.")]
    assert [k for k in keys if not asked(k)] == []


def test_a_sentence_that_nobody_asks_for_is_found() -> None:
    assert not asked("works.old_answer")
    assert not asked("xyzzy.answer")
