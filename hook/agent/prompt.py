"""The prompts: Markdown files with front matter, one an agent and profile. A person can put in others (`agent.prompts`).

The front matter gives the version and the variables; the text has a part under `# Instruction` and one under `# Prompt`. A variable stands
as `{{name}}`, and what is put in is never looked into for more of them.
"""

from __future__ import annotations

import hashlib
import pathlib
import re
import typing
from collections.abc import Mapping

import msgspec

from hook import lazy_re
from hook.config import WrongSetting

_OURS = pathlib.Path(__file__).parent / "prompts"
_VARIABLE = lazy_re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
_PARTS = lazy_re.compile(r"\A(.*?)^# Instruction[ \t]*\n(.*?)^# Prompt[ \t]*\n(.*)\Z", re.DOTALL | re.MULTILINE)
_MOST_BYTES = 256 * 1024


class WrongPrompt(WrongSetting):
    """A prompt file that cannot be used; the sentence names the file and what is wrong."""


class Prompt(msgspec.Struct, frozen=True):
    """What an agent is told."""

    version: str
    instruction: str
    prompt: str


def load(name: str, profile: str, variables: Mapping[str, str], directory: str = "") -> Prompt:
    """The prompt `name` of a profile with its variables filled in; from `directory`/PROFILE/NAME.md if there is such a file.

    Raises WrongPrompt.
    """
    path = _OURS / profile / f"{name}.md"
    if directory:
        own = pathlib.Path(directory).expanduser() / profile / f"{name}.md"
        path = own if own.exists() else path
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise WrongPrompt(f"{path}: {getattr(wrong, 'strerror', None) or 'not UTF-8 text'}") from None
    if len(text) > _MOST_BYTES:
        raise WrongPrompt(f"{path}: a prompt has at most {_MOST_BYTES} bytes")
    front, parts = _front_matter(text, path)
    parts_match = _PARTS.match(parts)
    if not parts_match:
        raise WrongPrompt(f"{path}: there must be a part under `# Instruction` and then one under `# Prompt`")
    _, instruction, prompt = parts_match.groups()
    allowed = set(front["variables"])
    for unknown in sorted(allowed - set(variables)):
        raise WrongPrompt(f"{path}: there is no variable {unknown!r}; there are {', '.join(sorted(variables))}")

    def fill(match: re.Match[str]) -> str:
        if match.group(1) not in allowed:
            raise WrongPrompt(f"{path}: {match.group()} is not among the `variables` of the front matter")
        return variables[match.group(1)]

    return Prompt(str(front["version"]), _VARIABLE.sub(fill, instruction).strip(), _VARIABLE.sub(fill, prompt).strip() + "\n")


def fingerprint(profile: str, directory: str) -> str:
    """What tells the prompts of a profile in `directory` from others; empty where there are none of the person's own."""
    if not directory:
        return ""
    digest, has_prompt = hashlib.sha256(), False
    for path in sorted((pathlib.Path(directory).expanduser() / profile).glob("*.md")):
        try:
            digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
            has_prompt = True
        except OSError:
            continue
    return digest.hexdigest()[:16] if has_prompt else ""


def _front_matter(text: str, path: pathlib.Path) -> tuple[dict[str, typing.Any], str]:
    import yaml

    if not text.startswith("---\n") or "\n---\n" not in text[4:]:
        raise WrongPrompt(f"{path}: no front matter: the file begins with `---`, `version:`, `variables:` and `---`")
    head, _, rest = text[4:].partition("\n---\n")
    try:
        front = yaml.safe_load(head)
    except yaml.YAMLError as wrong:
        raise WrongPrompt(f"{path}: the front matter is not YAML: {getattr(wrong, 'problem', wrong)}") from None
    is_known = isinstance(front, dict) and set(front) == {"version", "variables"}
    if not is_known or not isinstance(front["variables"], list) or not all(isinstance(variable, str) for variable in front["variables"]):
        raise WrongPrompt(f"{path}: the front matter holds `version` and `variables`, a list of names, and nothing else")
    return front, rest
