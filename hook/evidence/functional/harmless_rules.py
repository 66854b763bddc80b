"""Harmless rules: when an edited segment of a .c file still does the same, but for what it logs or traces.

Token comparison has failed by then. Each rule brings both versions into a form in which only what cannot matter is gone, and compares
these; a rule that does not apply proves nothing. The docstring of a rule names what it excludes. RULES says which rules are tried for
which kind of segment, in their order; docs/evidence.md has what each leans on.
"""

from __future__ import annotations

import functools
import itertools
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from hook import lazy_re
from hook.c import blanking, translation_unit
from hook.c.definitions import DefinitionKind
from hook.c.keywords import IN_STATEMENTS
from hook.c.segments import Edit
from hook.c.tokens import macro_uses
from hook.c.tokens.comparison import Unreadable
from hook.c.translation_unit import TranslationUnit
from hook.evidence.change_classes import ChangeClass
from hook.evidence.functional import file_scope, names, normal_forms
from hook.evidence.functional.logs import local_variables, log_arguments, logging_calls
from hook.evidence.functional.logs.log_arguments import Scope
from hook.evidence.functional.normal_forms import renamed_member, spelled, unannotated, without_braces, without_zero
from hook.evidence.functional.token_places import Tokens, differing, differing_statements

# a rule that trusts what the kernel means by another name must add it here, or nobody asks whether the tree defines it anew
TRUSTED_NAMES = normal_forms.ANNOTATIONS | file_scope.METADATA | log_arguments.PURE
_SPLICED_NAME = lazy_re.compile(rb"\\(?<=\w\\)[ \t]*+\r?\n\w")
_MOST_TOKENS = 20_000  # of a segment: some rules look at pairs of them
_ADDRESS_SPACES = frozenset((b"__user", b"__rcu", b"__percpu"))  # macros before a name
_ERROR = lazy_re.compile(rb"E[A-Z]{2,}[0-9]{0,2}[A-Z]*\Z")  # include/uapi/asm-generic/errno.h


class Proof(msgspec.Struct, frozen=True):
    """Why an edit is harmless."""

    change_class: ChangeClass
    why: str
    line: int


class RestOfTree(typing.Protocol):
    """How the rules ask about other files; see hook.evidence.functional.surroundings."""

    @property
    def own_names(self) -> frozenset[bytes]: ...
    def is_redefined(self, names: Iterable[bytes]) -> bool: ...
    def keeps_spelling(self, name: bytes) -> bool: ...
    def is_statement(self, name: bytes) -> bool: ...
    def is_included(self) -> bool: ...
    def may_be_captured(self, name: bytes, used: frozenset[bytes]) -> bool: ...
    def is_macro(self, name: bytes) -> bool: ...
    def values(self, names: Iterable[bytes]) -> frozenset[bytes] | None: ...
    def is_opaque(self, name: bytes) -> bool: ...
    def has_uneven_macro(self, used: frozenset[bytes]) -> bool: ...
    def is_volatile(self, name: bytes) -> bool: ...
    def is_one_place(self, struct: bytes, first: bytes, second: bytes) -> bool: ...
    def knows(self, name: str) -> bool: ...
    def is_tracepoint(self, name: str) -> bool: ...
    def depend_on_order(self, before: Sequence[str], old: Sequence[str], new: Sequence[str]) -> bool: ...
    def formats(self) -> Sequence[bytes] | None: ...
    def is_number(self, name: str) -> bool: ...
    def is_text(self, name: str) -> bool: ...
    def includes(self, headers: Iterable[str], header: str) -> bool: ...


Pair = tuple[Tokens, Tokens]  # of the old version and of the new one


class EditedSegment(msgspec.Struct, frozen=True, dict=True):
    """Both versions of a segment, in the forms that the rules compare. Each form leans on the one before it."""

    edit: Edit
    before: TranslationUnit
    after: TranslationUnit
    tree: RestOfTree

    @functools.cached_property
    def tokens(self) -> Pair:
        """The tokens of each version, empty where there is none. Raises Unreadable."""
        return (self.edit.old.tokens if self.edit.old else (), self.edit.new.tokens if self.edit.new else ())

    @functools.cached_property
    def spelled(self) -> Pair:
        return spelled(self.tokens[0]), spelled(self.tokens[1])

    @functools.cached_property
    def unannotated(self) -> Pair:
        return self.without_annotations(self.spelled)

    @functools.cached_property
    def without_text(self) -> Pair:
        old, new = self.unannotated
        asks = self.loggers, self.is_text, lambda name: self.tree.is_macro(name)
        return logging_calls.without_text(old, *asks), logging_calls.without_text(new, *asks)

    @functools.cached_property
    def own_names(self) -> frozenset[bytes]:
        """What either version of the file defines or undefines itself, or a header that it brings in."""
        from hook.kernel import own_headers

        defined = {definition.name.encode("ascii") for side in (self.before, self.after) for definition in side.scan.definitions}
        return self.tree.own_names.union(defined, *(own_headers.defined(blanking.plain(side.data)) for side in (self.before, self.after)))

    @functools.cached_property
    def loggers(self) -> logging_calls.Loggers:
        """The names in the segment that only log or trace."""
        old, new = self.unannotated
        if not any(name in self.loggers_of_file or logging_calls.may_log(name) for name in {*old, *new}):
            return {}  # the tree need not be asked
        formats = self.tree.formats()
        if formats is None or any(map(logging_calls.has_odd_format, (self.before, self.after, *map(translation_unit.of_text, formats)))):
            return {}
        known = logging_calls.known_loggers((*old, *new), self.own_names, self.tree.is_tracepoint)
        return {**self.loggers_of_file, **known}

    @functools.cached_property
    def loggers_of_file(self) -> logging_calls.Loggers:
        """The macros of the file that only log."""
        before, after = logging_calls.own_loggers(self.before), logging_calls.own_loggers(self.after)
        return {name: logger for name, logger in before.items() if after.get(name) == logger}

    @functools.cached_property
    def scopes(self) -> tuple[Scope, Scope]:
        """What names mean in each version."""
        old, new = (local_variables.of_function(tokens) for tokens in self.without_text)
        asks = self.own_names, self.is_number, self.is_text, self.is_array, self.tree.is_macro, self.tree.is_volatile, self.tree.is_opaque
        return Scope(old, *asks), Scope(new, *asks)

    def without_annotations(self, pair: Pair) -> Pair:
        """Both versions without annotations. Where there are none, nobody reads the headers for `own_names`."""
        have_none = all(map(normal_forms.ANNOTATIONS.isdisjoint, pair))
        return pair if have_none else (unannotated(pair[0], self.own_names), unannotated(pair[1], self.own_names))

    def is_number(self, name: bytes) -> bool:
        """Whether a name stands for a constant number wherever it is defined."""
        is_error = _ERROR.match(name) and name not in self.own_names and not self.tree.is_redefined([name])
        return bool(is_error) or self.tree.is_number(name.decode("ascii"))

    def is_text(self, name: bytes) -> bool:
        """Whether a name stands for a string constant without conversions wherever it is defined."""
        return (logging_calls.is_prefix(name) and name not in self.own_names) or self.tree.is_text(name.decode("ascii"))

    def is_array(self, name: bytes) -> bool:
        """Whether both versions have a name as a constant array that holds a string."""
        return file_scope.is_text_of(name, self.before.data, self.after.data) and not self.tree.is_macro(name)

    def are_equal(self, pair: Pair) -> bool:
        """Whether two forms are the same but for braces around one statement."""
        asks = self._is_no_macro, lambda name: self.tree.is_macro(name)
        return pair[0] == pair[1] or without_braces(pair[0], *asks) == without_braces(pair[1], *asks)

    def _is_no_macro(self, name: bytes) -> bool:
        if name in self.own_names:
            return self.is_number(name)
        local = all(name in scope.locals.declared for scope in self.scopes) and not self.tree.is_macro(name)
        return (local or name in (b"true", b"false", b"NULL") or self.is_number(name)) and not self.tree.is_statement(name)

    def proof(self, change_class: ChangeClass, why: str) -> Proof:
        return Proof(change_class, why, self.edit.either.line)


Rule = Callable[[EditedSegment], Proof | None]


def prove(edits: Sequence[Edit], before: TranslationUnit, after: TranslationUnit, tree: RestOfTree) -> list[Proof] | None:
    """A proof for each edit of a file, or None where one has none.

    None too where a macro is given other text that may make a string or a name of it: white space, a number, a local's name. That is
    asked of all of the file, since white space alone makes no edit. And where a name is written on two lines, or another file includes
    this one.
    """
    proofs = []
    if any(map(_SPLICED_NAME.search, (before.data, after.data))):
        return None
    try:
        for edit in edits:
            proof = _prove(EditedSegment(edit, before, after, tree))
            if proof is None:
                return None
            proofs.append(proof)
        # nothing expands an unused macro, so that it calls nothing
        unused = [edit.either.text for edit, proof in zip(edits, proofs, strict=True) if proof.change_class is ChangeClass.UNUSED_MACRO]
        called = _called_otherwise(before, after, unused)
    except Unreadable:
        return None
    return proofs if all(tree.keeps_spelling(name) for name in sorted(called)) and not (proofs and tree.is_included()) else None


def _called_otherwise(before: TranslationUnit, after: TranslationUnit, without: Sequence[bytes]) -> set[bytes]:
    """The names that are called with other text in the two versions, but for macros of both that only log; `without` some segments."""
    old, new = ([segment.text for segment in side.segments if segment.text not in without] for side in (before, after))
    loggers = logging_calls.own_loggers(before).keys() & logging_calls.own_loggers(after).keys()
    only_old, only_new = ([text for text in side if text not in set(other)] for side, other in ((old, new), (new, old)))
    return macro_uses.differing_calls(only_old, only_new) - loggers


def _prove(segment: EditedSegment) -> Proof | None:
    """The first proof that a rule gives.

    A segment that moved has none: what it means can depend on what stands before it. Nor has one that is longer than any people write.
    """
    edit = segment.edit
    if edit.moved or max(map(len, segment.tokens)) > _MOST_TOKENS:
        return None
    kind = edit.either.kind
    rules = RULES.get(kind, (spelling,)) if kind is None or None not in (edit.old, edit.new) else ADDED_OR_REMOVED.get(kind, ())
    proof = next((proof for rule in rules if (proof := rule(segment))), None)
    # the headers are read last; they may make something else of a word of the language
    means_the_same = proof and segment.own_names.isdisjoint(IN_STATEMENTS) and not segment.tree.is_redefined(_listed_names(segment))
    # what looks like a statement or an argument may be part of another one
    return proof if means_the_same and not segment.tree.has_uneven_macro(frozenset((*segment.tokens[0], *segment.tokens[1]))) else None


def _listed_names(segment: EditedSegment) -> list[bytes]:
    """The names about the change that stand on a list of this tool: what the tree says of them is asked."""
    names = dict.fromkeys(itertools.chain(*differing_statements(*segment.tokens)))
    return [name for name in names if name in TRUSTED_NAMES or (logging_calls.logger(name) and name not in segment.loggers_of_file)]


# functions, variables, types


def spelling(segment: EditedSegment) -> Proof | None:
    """`0x8` for `8`, `"a" "b"` for `"ab"`, `return (x)`, braces around one simple statement.

    Not in the arguments of what may be a macro, which could make a string of them; not a statement in braces that a macro could be.
    """
    if not segment.are_equal(segment.spelled):
        return None
    return segment.proof(ChangeClass.SPELLING, "only the spelling changed: constants, adjacent strings, parentheses or braces")


def zero_initialiser(segment: EditedSegment) -> Proof | None:
    """`= 0` of a static variable (C11 6.7.9, paragraph 10). Not of several in one declaration, nor another value."""
    if len({without_zero(tokens, segment.own_names) for tokens in segment.spelled}) > 1:
        return None
    return segment.proof(ChangeClass.SPELLING, "a static variable starts as zero")


def member_name(segment: EditedSegment) -> Proof | None:
    """Another name of a member in an initialiser: both are all that an anonymous union of the structure has, and of the same type."""
    renamed = renamed_member(*segment.spelled)
    is_same = renamed is not None and segment.own_names.isdisjoint(renamed) and segment.tree.is_one_place(*renamed)
    return segment.proof(ChangeClass.SPELLING, "only by which of its two names a member is set changed") if is_same else None


def annotation(segment: EditedSegment) -> Proof | None:
    """Annotations that only the compiler's warnings and sparse read.

    Not `__user`, `__rcu`, `__percpu`, which BTF has; not `const`; not a name that the file defines itself, nor in a macro's arguments.
    """
    if not segment.are_equal(segment.unannotated):
        return None
    return segment.proof(ChangeClass.ANNOTATION, "only annotations for the compiler's warnings and for sparse changed")


def log_text(segment: EditedSegment) -> Proof | None:
    """Text in the formats of logging calls.

    Not their conversions, escapes resolved; not a call whose value is used, nor one in the arguments of another; not a format with
    anything in it but strings and known prefixes; not where the file has a `pr_fmt` that does more than to print a prefix.
    """
    is_same = segment.are_equal(segment.without_text)
    return segment.proof(ChangeClass.LOG_TEXT, "only text in logging calls changed") if is_same else None


def log_call(segment: EditedSegment) -> Proof | None:
    """Calls of loggers and tracepoints that came, went or were changed.

    Not where an argument is anything but a constant, or a computation from parameters and set locals of a plain type without division,
    whose names are no macros; not where a device or a string is read that no other call in the same place reads as often, a constant
    array of the file left out; not where the call is part of an expression; not a logger that the file defines itself, but for a macro
    that hands its arguments on to one.
    """
    if not segment.loggers:
        return None
    old, new = segment.without_text
    if not logging_calls.same_but_for_logging(old, new, segment.loggers, segment.scopes, segment.are_equal):
        return None
    if any(map(logging_calls.is_trace_call, differing(old, new))):
        return segment.proof(ChangeClass.TRACEPOINT_CALL, "only calls of tracepoints changed, and their arguments are plain values")
    return segment.proof(ChangeClass.LOG_CALL, "only logging calls changed; their arguments are plain values, or read as before")


def local_rename(segment: EditedSegment) -> Proof | None:
    """One local variable or parameter with another name.

    Not a member, a label or another function; not where a macro may stand in its declaration; not to a name that the file or a header
    has; not in a macro's arguments; not where a macro that the function uses may have one of the names in its body, or put it together;
    no parameter whose name the BPF verifier may read.
    """
    renamed = names.renamed_local(*segment.without_text, segment.before)
    if renamed is None:
        return None
    words = names.words_of_type(segment.without_text[0], renamed[0])
    marks = words & _ADDRESS_SPACES - segment.own_names
    if segment.tree.knows(renamed[1]) or (marks and segment.tree.is_redefined(marks)):
        return None
    if any(map(segment.tree.is_macro, [*map(str.encode, renamed), *sorted(words - marks)])):
        return None
    if any(segment.tree.may_be_captured(name.encode(), frozenset(side)) for name, side in zip(renamed, segment.tokens, strict=True)):
        return None
    return segment.proof(ChangeClass.LOCAL_RENAME, f"only the local {renamed[0]} is called {renamed[1]} now")


# macros


def macro_spelling(segment: EditedSegment) -> Proof | None:
    """A macro whose body is spelled otherwise. Not `f (x)` for `f(x)`, and not where its name stands in another macro or is given to
    one that may make a string or a name of it, nor in a header that the file brings in.
    """
    if any(len(tokens) != 1 for tokens in segment.tokens):
        return None
    old, new = (tuple(tokens[0].split(b"\0")) for tokens in segment.tokens)
    if old[:2] != new[:2] or spelled(old) != spelled(new):
        return None
    name = segment.edit.either.name
    if segment.tree.knows(name) or any(names.is_in_another_macro(name, side) for side in (segment.before, segment.after)):
        return None
    given = {called for called, arguments in macro_uses.uses([segment.before.data, segment.after.data]) if name.encode() in arguments}
    if not all(map(segment.tree.keeps_spelling, sorted(given))):
        return None
    return segment.proof(ChangeClass.SPELLING, "only the spelling of a constant changed")


def unused_macro(segment: EditedSegment) -> Proof | None:
    """A macro that nothing uses. Not before an include, which may ask for it; not where `##` or a header's macro could make its name."""
    macro, sides = segment.edit.either, (segment.before, segment.after)
    if not all(names.is_unused(macro, side) for side in sides) or segment.tree.knows(macro.name):
        return None
    is_made = segment.tree.may_be_captured(macro.name.encode("ascii"), names.may_be_pasted_to(macro.name, segment.tree.values, *sides))
    return None if is_made else segment.proof(ChangeClass.UNUSED_MACRO, f"nothing uses {macro.name}")


# between definitions


def module_metadata(segment: EditedSegment) -> Proof | None:
    """The text of MODULE_DESCRIPTION and its kin. Not MODULE_LICENSE, which decides what may be called."""
    old, new = segment.tokens
    if file_scope.without_metadata(old, segment.own_names) != file_scope.without_metadata(new, segment.own_names):
        return None
    return segment.proof(ChangeClass.MODULE_METADATA, "only the text of a module's description changed")


def include_order(segment: EditedSegment) -> Proof | None:
    """The same common headers in another order. Not across anything but includes of common headers, nor where two that change places
    have to do with each other by a macro.
    """
    orders = file_scope.reordered_includes(*segment.tokens)
    if not orders or segment.tree.depend_on_order(*orders):
        return None
    return segment.proof(ChangeClass.INCLUDE_ORDER, "only the order of the #include lines changed")


def prototype_annotation(segment: EditedSegment) -> Proof | None:
    """An annotation of a prototype or another declaration; excludes what `annotation` does."""
    old, new = segment.without_annotations(segment.tokens)
    if old != new:
        return None
    return segment.proof(ChangeClass.ANNOTATION, "only annotations for the compiler's warnings and for sparse changed")


def prototype(segment: EditedSegment) -> Proof | None:
    """Prototypes of static functions. Not where either version has no one definition with the very same head."""
    declared = segment.without_annotations(segment.tokens)
    old, new = (file_scope.without_prototypes(tokens, segment.before, segment.after) for tokens in declared)
    if old != new:
        return None
    return segment.proof(ChangeClass.DECLARATION, "only prototypes of static functions of this file were added, removed or moved")


def redundant_include(segment: EditedSegment) -> Proof | None:
    """A header that is included by others beside it whatever the options are.

    Not behind another condition, nor an unguarded header, nor one whose guard is defined elsewhere too; not where a later header includes
    it and it may count that it comes later; nor where the file undefines something before its last include.
    """
    header = file_scope.redundant_include(*segment.without_annotations(segment.tokens), segment.tree.includes, segment.tree.depend_on_order)
    if not header or any(file_scope.undefines_before_an_include(side.data) for side in (segment.before, segment.after)):
        return None
    return segment.proof(ChangeClass.INCLUDE, f"another header of this file includes {header} too")


_BETWEEN: tuple[Rule, ...] = (module_metadata, include_order, prototype_annotation, prototype, redundant_include)
RULES: Mapping[DefinitionKind | None, tuple[Rule, ...]] = {
    None: _BETWEEN,  # what stands between definitions
    DefinitionKind.MACRO: (macro_spelling,),
    DefinitionKind.VARIABLE: (spelling, annotation, zero_initialiser, member_name),
    DefinitionKind.FUNCTION: (spelling, annotation, log_text, log_call, local_rename),
}
ADDED_OR_REMOVED: Mapping[DefinitionKind, tuple[Rule, ...]] = {DefinitionKind.MACRO: (unused_macro,)}
