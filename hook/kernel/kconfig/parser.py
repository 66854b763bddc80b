"""Kconfig: the options of a tree, read from its Kconfig files without executing anything.

Follows Documentation/kbuild/kconfig-language.rst and scripts/kconfig/{lexer.l,parser.y,menu.c}: what a condition is attached to, and how
the options in menus and `if` blocks inherit the conditions of these. Also reads `rsource`, `osource` and globs, and `transitional` of
later kernels. A line that cannot be read is kept with its place, for the options that it concerns if these are known; the rest is read
all the same.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Callable, Iterator, Mapping

import msgspec

from hook import lazy_re
from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.attributes import PLAIN_NAME, AttributeReader, KconfigEntry
from hook.kernel.kconfig.cycles import cycles
from hook.kernel.kconfig.expressions import YES, BadExpression, Condition, SharedCondition, all_of, any_of, both
from hook.kernel.kconfig.option import Option, Options
from hook.kernel.kconfig.toolchain import Toolchain
from hook.kernel.kconfig.variables import KconfigMacros, MacroTooLarge
from hook.source.tree import Source, TreeEntryKind
from hook.source.treepath import NotATreePath, tree_path

_DEEPEST_SOURCE = 40  # files that source each other
_DEEPEST_BLOCK = 40  # `if` blocks and menus inside each other; what is deeper is read, with its condition left open
_MOST_FILES = 20_000
_MOST_OPTIONS = 200_000
_MOST_UNREAD = 4  # lines that are kept of one option
_MOST_LINE = 20_000  # characters of one statement
_CHOICE_RULES = "scripts/kconfig/symbol.c"
_OLD_TYPES = {"boolean": "bool", "def_boolean": "def_bool"}
_WORD = lazy_re.compile(r"[\w-]+")
_ASSIGNMENT = lazy_re.compile(r"([\w-]+)\s*(:=|\+=|=)\s*(.*)")
_BLOCKS = {"endif": "if", "endmenu": "menu", "endchoice": "choice"}


def read(source: Source, environment: Mapping[str, str], toolchain: Toolchain, top: str = "Kconfig") -> Options:
    """The options that `top` and what it sources define; `environment` holds ARCH, SRCARCH and the like."""
    reader = _Reader(source, KconfigMacros({**environment, "srctree": "", "objtree": ""}, toolchain))
    reader.file(top, None)
    options = reader.finished()
    rules = source.file(_CHOICE_RULES)
    options.files[_CHOICE_RULES] = rules.oid if rules else ""
    options.old_choices = b"sym_calc_choice(struct symbol " in ((rules and rules.data) or b"")
    return options


class _Block(msgspec.Struct):
    """An `if`, menu or choice that is open."""

    kind: str
    line: int
    condition: Condition  # that all its entries share
    visible: Condition
    choice: Option | None


class _Reader(AttributeReader):
    def __init__(self, source: Source, macros: KconfigMacros) -> None:
        super().__init__(macros)
        self._source = source
        self._open_files: list[str] = []
        self._blocks: list[_Block] = []
        self._dependencies: dict[str, list[Condition]] = {}
        self._implies: list[tuple[str, str, Condition]] = []
        self._choices = 0
        self._statements: dict[str, Callable[[str, int], None]] = {
            "config": self._config, "menuconfig": self._config, "choice": self._choice, "menu": self._menu, "comment": self._comment,
            "if": self._if, "endif": self._end, "endmenu": self._end, "endchoice": self._end, "source": self._source_statement,
            "rsource": self._source_statement, "osource": self._source_statement, "orsource": self._source_statement,
            "mainmenu": self._nothing,
        }  # fmt: skip

    def finished(self) -> Options:
        options = self._options
        for name, parts in self._dependencies.items():
            options.by_name[name].depends = any_of(parts)
        for option in list(options.by_name.values()):
            for target, condition in option.selects:
                target_option = options.by_name.get(target)
                if target_option is not None:
                    target_option.selected_by.append((option.name, condition))
        for name, target, condition in self._implies:
            target_option = options.by_name.get(target)
            if target_option is not None:
                target_option.implied_by.append((name, condition))
        for names in cycles(options.by_name, options.shared):
            self._path, line = options.by_name[names[0]].places[0]
            through = f", through {', '.join(names[1:6])}" if names[1:] else ""
            self._concerns(names, line, f"{names[0]} depends on itself{through}")
        for name, lines in self._unread.items():
            unread = options.by_name.get(name)
            if unread is not None:
                for concerned in (name, *unread.members):
                    options.by_name[concerned].unread += lines[:_MOST_UNREAD]
        return options

    # files

    def file(self, path: str, line: int | None) -> bool:
        """Read one file; whether it exists."""
        options = self._options
        if path in self._open_files:
            self._warn(line or 0, f"{path} sources itself")
            return True
        if len(self._open_files) >= _DEEPEST_SOURCE or len(options.files) >= _MOST_FILES:
            self._warn(line or 0, f"{path} is not read: too many files that source each other")
            return True
        blob = self._source.file(path)
        options.files[path] = blob.oid if blob else ""
        if blob is None:
            return False
        if blob.data is None:
            self._warn(line or 0, f"{path} is not read: it is too large (limits.blob_bytes), or a partial clone lacks it")
            return True
        outer = self._path
        self._path = path
        self._open_files.append(path)
        blocks = len(self._blocks)
        self._lines(blob.data.decode("utf-8", "replace"))
        self._close_entry()
        while len(self._blocks) > blocks:
            block = self._blocks.pop()
            self._warn(block.line, f"this {block.kind} has no end in its file")
        self._open_files.pop()
        self._path = outer
        return True

    def _lines(self, text: str) -> None:
        lines = text.split("\n")
        number, total = 0, len(lines)
        statements, attributes = self._statements, self._attributes
        while number < total:
            line = lines[number]
            number += 1
            bare = line.strip()
            if not bare or bare[0] == "#":
                continue
            first = number
            while bare.endswith("\\") and number < total and len(bare) < _MOST_LINE:
                bare = bare[:-1] + " " + lines[number].strip()
                number += 1
            if len(bare) > _MOST_LINE:
                self._warn(first, "a statement that is too long")
                continue
            if bare == "help" or bare == "---help---":
                number = _after_help(lines, number)
                continue
            word, rest = self._first_word(bare)
            statement = statements.get(word)
            if statement is not None:
                self._close_entry()
                try:
                    statement(word + rest, first)
                except MacroTooLarge as wrong:
                    self._warn(first, str(wrong))
                continue
            attribute = attributes.get(word)
            if attribute is not None:
                if self._entry is None:
                    self._warn(first, f"`{word}` that belongs to nothing")
                    continue
                try:
                    attribute(word + rest, first)
                except (BadExpression, MacroTooLarge) as wrong:
                    self._unreadable(word + rest, first, str(wrong))
                continue
            self._other(bare, first, indented=line[:1] in " \t")

    def _first_word(self, bare: str) -> tuple[str, str]:
        """The keyword of a line, and the rest; `prompt"text"` and `boolean` are read as `prompt "text"` and `bool`."""
        word = bare.split(None, 1)[0]
        rest = bare[len(word) :]
        if word in self._attributes or word in self._statements:
            return word, rest
        if word in _OLD_TYPES:
            return _OLD_TYPES[word], rest
        begin = _WORD.match(bare)
        if begin and (begin[0] in self._attributes or begin[0] in self._statements) and not _ASSIGNMENT.match(bare):
            return begin[0], " " + bare[begin.end() :]
        return word, rest

    def _other(self, bare: str, line: int, indented: bool) -> None:
        assignment = _ASSIGNMENT.match(bare)
        if assignment is not None:
            self._close_entry()
            try:
                self._macros.define(assignment[1], assignment[2], assignment[3])
            except MacroTooLarge as wrong:
                self._warn(line, str(wrong))
        elif bare.startswith("$("):
            try:
                if self._macros.expand(bare).strip():
                    self._warn(line, "a statement that only a macro makes")
            except MacroTooLarge as wrong:
                self._warn(line, str(wrong))
            self._macros.probes.clear()
        elif indented and self._entry is not None:
            self._unreadable(bare, line, f"{bare[:60]!a} is no attribute of Kconfig")
        else:
            self._warn(line, f"{bare[:60]!a} is no statement of Kconfig")

    # entries

    def _common(self) -> Condition:
        """The condition that all entries at this place share."""
        return self._blocks[-1].condition if self._blocks else YES

    def _share(self, condition: Condition) -> Condition:
        """The condition together with that of the blocks around it, as a shared condition: many entries may have it."""
        common = self._common()
        if len(self._blocks) > _DEEPEST_BLOCK:
            if len(self._blocks) > _DEEPEST_BLOCK + 1:
                return common  # left open already
            self._warn(self._blocks[-1].line, "blocks that are nested too deep: their conditions are left open")
            condition = expressions.left_open(f"{self._path}: blocks that are nested too deep")
        combined = both(common, condition)
        if combined == YES or isinstance(combined, SharedCondition):
            return combined
        name = f"#{len(self._options.shared)}"
        self._options.shared[name] = combined
        return SharedCondition(name)

    def _close_entry(self) -> None:
        entry, self._entry = self._entry, None
        if entry is None:
            return
        base = self._share(all_of(entry.depends))
        if entry.kind == "menu":
            visible = all_of([self._blocks[-1].visible if self._blocks else YES, *entry.visible])
            self._blocks.append(_Block("menu", entry.line, base, visible, self._blocks[-1].choice if self._blocks else None))
            return
        option = entry.option
        if option is None:
            return
        if entry.kind == "choice":
            self._blocks.append(_Block("choice", entry.line, base, self._blocks[-1].visible if self._blocks else YES, option))
        else:
            self._dependencies.setdefault(option.name, []).append(base)
        visible = self._blocks[-1].visible if self._blocks else YES
        option.prompts += [both(both(base, condition), visible) for condition in entry.prompts]
        option.defaults += [(value, both(base, condition)) for value, condition in entry.defaults]
        option.selects += [(target, both(base, condition)) for target, condition in entry.selects]
        option.ranges += [(low, high, both(base, condition)) for low, high, condition in entry.ranges]
        self._implies += [(option.name, target, both(base, condition)) for target, condition in entry.implies]

    def _config(self, text: str, line: int) -> None:
        name = self._expanded(text.split(None, 1)[1] if " " in text or "\t" in text else "", line).partition("#")[0].strip()
        if not PLAIN_NAME.match(name):
            self._warn(line, f"{name[:60]!a} is no name of an option")
            return
        if len(self._options.by_name) >= _MOST_OPTIONS:
            self._warn(line, "too many options")
            return
        option = self._options.by_name.get(name)
        if option is None:
            option = self._options.by_name[name] = Option(name)
        option.places.append((self._path, line))
        choice = self._blocks[-1].choice if self._blocks else None
        if choice is not None and not option.choice:
            option.choice = choice.name
            choice.members.append(name)
        self._entry = KconfigEntry("config", line, option)

    def _choice(self, text: str, line: int) -> None:
        self._choices += 1
        option = Option(f"<choice {self._choices}>", "bool", places=[(self._path, line)])
        self._options.by_name[option.name] = option
        self._entry = KconfigEntry("choice", line, option)

    def _menu(self, text: str, line: int) -> None:
        self._entry = KconfigEntry("menu", line, None)

    def _comment(self, text: str, line: int) -> None:
        self._entry = KconfigEntry("comment", line, None)

    def _if(self, text: str, line: int) -> None:
        try:
            condition = self._expression(text[2:])
        except (BadExpression, MacroTooLarge) as wrong:
            condition = expressions.left_open(f"{self._path}:{line}: `{text[:80]}`: {wrong}")
        self._macros.probes.clear()
        outer = self._blocks[-1] if self._blocks else None
        self._blocks.append(_Block("if", line, self._share(condition), outer.visible if outer else YES, outer.choice if outer else None))

    def _end(self, text: str, line: int) -> None:
        word = text.split(None, 1)[0]
        block_kind = _BLOCKS[word]
        if self._blocks and self._blocks[-1].kind == block_kind:
            self._blocks.pop()
        elif any(block.kind == block_kind for block in self._blocks):
            while self._blocks[-1].kind != block_kind:
                block = self._blocks.pop()
                self._warn(block.line, f"this {block.kind} has no end before line {line}")
            self._blocks.pop()
        else:
            self._warn(line, f"`{word}` without its beginning")

    # other files

    def _source_statement(self, text: str, line: int) -> None:
        word = text.split(None, 1)[0]
        pattern = self._expanded(text[len(word) :], line).strip().strip("\"'")
        if "r" in word[: -len("source")]:
            pattern = posixpath.join(posixpath.dirname(self._path), pattern)
        try:
            path = tree_path(posixpath.normpath(pattern.lstrip("/")) if pattern.startswith("/") else pattern)
        except NotATreePath as wrong:
            self._warn(line, f"not sourced: {wrong}")
            return
        if any(char in path for char in "*?["):
            paths = list(_globbed(self._source, path))
            self._options.files |= {posixpath.dirname(sourced): self._source.oid(posixpath.dirname(sourced)) for sourced in paths[:1]}
            for sourced in paths:
                if not self.file(sourced, line):
                    self._warn(line, f"{sourced} is not here (a partial clone)")
            return
        if not self.file(path, line) and not word.startswith("o"):
            self._warn(line, f"{path} is not there")


def _after_help(lines: list[str], number: int) -> int:
    """The number of the line after a help text, which ends before the first line that is indented less than its first line."""
    total, first = len(lines), 0
    while number < total:
        line = lines[number]
        bare = line.lstrip(" \t")
        if bare:
            head = line[: len(line) - len(bare)]
            column = len(head.expandtabs(8)) if "\t" in head else len(head)
            if not first:
                if not column:
                    return number
                first = column
            elif column < first:
                return number
        number += 1
    return number


def _globbed(source: Source, pattern: str) -> Iterator[str]:
    """The files that match a pattern, in order; `*` matches no `/`."""
    directories = [""]
    parts = pattern.split("/")
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        following = []
        for directory in directories:
            for entry in source.names(directory) or ():
                if entry.kind is (TreeEntryKind.FILE if last else TreeEntryKind.DIRECTORY) and fnmatch.fnmatchcase(entry.name, part):
                    following.append(f"{directory}/{entry.name}" if directory else entry.name)
        directories = following[:_MOST_FILES]
    yield from directories
