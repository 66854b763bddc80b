"""Wants: what the probe of a driver asks for that a device made by hand has not.

A chip that user space plays on a bus of its own has an address and answers, no more: no interrupt, no platform data, no node of a device
tree and nothing that one describes (clocks, lines, endpoints of a graph). A probe that refuses without one of these ends there. The
functions that the probe calls are followed, in the object and into the core of a chip whose glue it is (cs35l56_hda_common_probe). A
refusal is an `if` about what was asked for, with an error returned in it.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.c.keywords import NOT_CALLED_IN_PROBE
from hook.evidence.reach.devices import initcalls
from hook.kernel.texts import Texts

_MOST_FUNCTIONS = 60  # of one probe
# an error is returned in it, and not only for one kind of error
_LEAVING = (
    r"\)\s*(?:\{(?:(?!\bif\b)[^{}]){0,600}?)?\b(?:return\s+(?!0\s*;|-\s*ENOMEM\b)[^;\s]"
    r"|goto\s+(?!\w*(?:skip|no_?irq|poll|done|without|continue)))"
)
_CALL = lazy_re.compile(r"(?<![\w.>\"])([A-Za-z_]\w*)\s*\(")
_PROBING = lazy_re.compile(r"probe|init|setup|bind|create")
_ALIKE = 4  # characters with which the names of a chip's files and functions begin
# what stands between two ends is bounded: a text without any may be written on purpose
_NO_IRQ = lazy_re.compile(
    rf"\bif\s*\(\s*(?:!\s*[\w>.-]*\birq|!\s*[\w>.-]*->irq\w*|[\w>.-]*irq\s*(?:<=?|==)\s*(?:[01]|NO_IRQ))\s*{_LEAVING}"
)
_IRQ = lazy_re.compile(r"\b(?:devm_)?(?:request_(?:threaded_|any_context_)?irq|regmap_add_irq_chip\w*)\s*\([^;]{0,300}?\birq\b")
_HAS_IRQ = lazy_re.compile(  # that it is asked for only where there is one
    r"\bif\s*\((?:[^;{}]{0,200}&&\s*)?\s*[\w>.-]*\birq\s*(?:\)|>|&&|!=\s*0)"
    r"|\bif\s*\((?:[^;{}]{0,200}\|\|)?\s*(?:!\s*[\w>.-]*\birq|[\w>.-]*\birq\s*(?:<=?|==)\s*0)\s*(?:\|\|[^;{}]{0,200})?\)"
    r"\s*(?:\{[^{}]{0,600}?)?\breturn\s*0?\s*;"
)
_NODE = r"(?:[\w>.&-]*(?:of_node|fwnode)|np|node|dev_fwnode\s*\([^()]*\))"
_NO_NODE = lazy_re.compile(rf"\bif\s*\(\s*(?:!\s*{_NODE}|{_NODE}\s*==\s*NULL)\s*{_LEAVING}")
_DATA = lazy_re.compile(r"\b(\w+)\s*=\s*(?:\([^()]{0,100}\)\s*)?(?:dev_get_platdata\s*\([^;]{0,200}\)|[\w>.-]*\bplatform_data)\s*[;,]")
_PUT = r"(?:(?:of_node|fwnode_handle)_put\s*\([^;]{0,100}\)\s*;\s*)?"
_POINTERS = lazy_re.compile(  # what is a pointer, or none
    r"([\w>.\[\]-]+)\s*=\s*(?:devm_)?("
    r"clk_get(?:_enabled|_prepared)?|of_clk_get\w*|gpiod_get(?:_index|_array)?|gpiod_get_from_of_node|fwnode_graph_get_\w+|of_graph_get_\w+"
    r"|v4l2_async_\w*fwnode\w*|drm_of_get_bridge|phy_get|of_phy_get\w*|reset_control_get(?:_exclusive|_shared)?|of_find_\w+"
    r"|of_parse_phandle|nvmem_cell_get|pwm_get|fwnode_pwm_get|iio_channel_get\w*|device_get_named_child_node|of_get_child_by_name"
    r"|of_get_next_child|extcon_get_\w+|of_match_device|of_match_node|(?:of_)?device_get_match_data|syscon_regmap_lookup_\w+"
    rf")\s*\([^;]{{0,400}}\)\s*;\s*{_PUT}if\s*\(\s*(?:IS_ERR(?:_OR_NULL)?\s*\(\s*\1\s*\)|!\s*\1|\1\s*==\s*NULL)\s*{_LEAVING}"
)
_NUMBERS = lazy_re.compile(  # what is a number, negative where there is none
    r"([\w>.\[\]-]+)\s*=\s*(?:devm_)?("
    r"clk_bulk_get(?:_all)?|gpio_request\w*|of_get_named_gpio\w*|v4l2_fwnode_\w+|drm_of_find_\w+|of_parse_phandle_with\w+"
    r"|(?:device|fwnode|of)_property_(?!read_bool)(?:read|match|count)\w*|platform_get_irq(?:_byname)?|regmap_irq_get_virq|irq_create_mapping"
    rf")\s*\([^;]{{0,400}}\)\s*;\s*{_PUT}if\s*\(\s*\1(?:\s*<=?\s*0)?\s*{_LEAVING}"
)
_BY_NODE = lazy_re.compile(  # what stands before that which is done only where there is a node, or something of one
    r"(?:\bif\s*\(\s*(?!!)[^;{}!]*(?:of_node|\bnp\b|\bnode\b|fwnode|property_present|CONFIG_OF\b|CONFIG_ACPI\b|ACPI_\w+|\w*acpi\w*)[^;{}]*\)"
    r"|\w*for_each_\w*(?:child|node|endpoint)\w*\s*\([^;{}]*\))\s*(?:\{[^{}]*)?\Z"
)
_MOST_DATA = 8  # variables that are given platform data
_NEAR = 400  # characters before a place in which that is looked for
_NAMES = {
    "irq": "an interrupt", "clk": "a clock", "gpio": "a GPIO line", "graph": "an endpoint of a graph", "propert": "a property of its node",
}  # fmt: skip


class Want(msgspec.Struct, frozen=True):
    """What a probe refuses to go without."""

    what: str
    path: str
    line: int


def of_probe(texts: Texts, function: str, members: Sequence[str]) -> Want | None:
    """The first thing that a probe asks for and a device made by hand lacks; None where nothing of the kind is seen.

    Of a function that is not in the object nothing is known, and so nothing is said.
    """
    return texts.once(("want", f"{members[0] if members else ''}:{function}"), functools.partial(_of_probe, texts, function, members))


def _of_probe(texts: Texts, function: str, members: Sequence[str]) -> Want | None:
    irq: Want | None = None
    guarded = False
    for path, begin, end in _followed(texts, function, members):
        text = texts.get(path) or ""
        found = _refused(text, begin, end)
        if found is not None:
            return Want(found[0], path, texts.line(path, found[1]))
        guarded = guarded or bool(_HAS_IRQ.search(text, begin, end))
        asked = _IRQ.search(text, begin, end)
        if asked is not None and irq is None:
            irq = Want("an interrupt", path, texts.line(path, asked.start()))
    return None if guarded else irq


def _followed(texts: Texts, function: str, members: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """The bodies of a function and of those that it calls, but for what it calls only where there is a node."""
    waiting, seen = [(function, tuple(members))], {function}
    for _ in range(_MOST_FUNCTIONS):
        if not waiting:
            return
        name, near = waiting.pop(0)
        where = initcalls.defined(texts, name, near)
        if where is None:
            continue
        path, begin, end = where
        yield where
        text = texts.get(path) or ""
        for call in _CALL.finditer(text, begin, end):
            if call[1] in seen or call[1] in NOT_CALLED_IN_PROBE:
                continue
            beside = (path, *near)
            if initcalls.defined(texts, call[1], beside) is None:
                beside = _core(texts, call[1], path)
            if not beside:
                continue
            if not _is_by_node(text, begin, call.start()):
                seen.add(call[1])
                waiting.append((call[1], beside))


def _core(texts: Texts, function: str, path: str) -> tuple[str, ...]:
    """The file that defines what the glue of a chip calls of its core: a probe by the name of the chip."""
    base = path.rpartition("/")[2]
    if not _PROBING.search(function) or function[:_ALIKE] != base[:_ALIKE].replace("-", "_"):
        return ()
    found = [one for one in texts.defining(function) if one.endswith(".c") and texts.exists(one)]
    return (found[0],) if len(found) == 1 else ()


def _refused(text: str, begin: int, end: int) -> tuple[str, int] | None:
    """What a function refuses to go without, and where."""
    forms = (("an interrupt", _NO_IRQ), ("a node", _NO_NODE))
    found = [(what, one.start()) for what, form in forms for one in form.finditer(text, begin, end)]
    for form in (_POINTERS, _NUMBERS):
        for one in form.finditer(text, begin, end):
            what = next((shown for part, shown in _NAMES.items() if part in one[2]), "what firmware describes")
            found.append((f"{what} ({one[2]}())", one.start()))
    for data in itertools.islice(_DATA.finditer(text, begin, end), _MOST_DATA):
        nothing = rf"(?:!\s*{data[1]}|{data[1]}\s*==\s*NULL)\s*(?:\|\|[^;{{}}]{{0,200}})?"
        refusal = re.compile(rf"\bif\s*\(\s*{nothing}{_LEAVING}").search(text, data.end(), end)
        if refusal and re.compile(rf"\b{data[1]}\s*=[^=]").search(text, data.end(), refusal.end()) is None:
            found.append(("platform data", refusal.start()))
            break
    with_irq = _HAS_IRQ.search(text, begin, end)
    for what, at in sorted(found, key=lambda one: one[1]):
        if what == "an interrupt" and with_irq and with_irq.end() <= at:
            continue  # it is left already where there is none
        if not _is_by_node(text, begin, at):
            return what, at
    return None


def _is_by_node(text: str, begin: int, at: int) -> bool:
    return _BY_NODE.search(text, max(begin, at - _NEAR), at) is not None
