"""Probe requirements: what the probe of a driver cannot do without, and an emulated chip lacks.

A chip that user space emulates has an address and answers. It has no interrupt, no platform data, no device tree node and nothing that a
node describes (clocks, GPIO lines, graph endpoints). A probe that fails without one of these ends there. The functions that the probe calls
are followed, in the object and into the core driver that it is the glue of (cs35l56_hda_common_probe). A requirement is an `if` that tests
for the resource and returns an error.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.c.keywords import NOT_CALLED_IN_PROBE
from hook.kernel.held_addresses import defined
from hook.kernel.texts import Texts

_MOST_FUNCTIONS = 60  # of one probe
# the branch returns an error, other than -ENOMEM
_LEAVING = (
    r"\)\s*(?:\{(?:(?!\bif\b)[^{}]){0,600}?)?\b(?:return\s+(?!0\s*;|-\s*ENOMEM\b)[^;\s]"
    r"|goto\s+(?!\w*(?:skip|no_?irq|poll|done|without|continue)))"
)
_CALL = lazy_re.compile(r"(?<![\w.>\"])([A-Za-z_]\w*)\s*\(")
_PROBING = lazy_re.compile(r"probe|init|setup|bind|create")
_ALIKE = 4  # first characters that the files and functions of one chip share
# every distance is bounded: a hostile text may lack the end
_NO_IRQ = lazy_re.compile(
    rf"\bif\s*\(\s*(?:!\s*[\w>.-]*\birq|!\s*[\w>.-]*->irq\w*|[\w>.-]*irq\s*(?:<=?|==)\s*(?:[01]|NO_IRQ))\s*{_LEAVING}"
)
_IRQ = lazy_re.compile(r"\b(?:devm_)?(?:request_(?:threaded_|any_context_)?irq|regmap_add_irq_chip\w*)\s*\([^;]{0,300}?\birq\b")
_HAS_IRQ = lazy_re.compile(  # the interrupt is only requested where there is one
    r"\bif\s*\((?:[^;{}]{0,200}&&\s*)?\s*[\w>.-]*\birq\s*(?:\)|>|&&|!=\s*0)"
    r"|\bif\s*\((?:[^;{}]{0,200}\|\|)?\s*(?:!\s*[\w>.-]*\birq|[\w>.-]*\birq\s*(?:<=?|==)\s*0)\s*(?:\|\|[^;{}]{0,200})?\)"
    r"\s*(?:\{[^{}]{0,600}?)?\breturn\s*0?\s*;"
)
_NODE = r"(?:[\w>.&-]*(?:of_node|fwnode)|np|node|dev_fwnode\s*\([^()]*\))"
_NO_NODE = lazy_re.compile(rf"\bif\s*\(\s*(?:!\s*{_NODE}|{_NODE}\s*==\s*NULL)\s*{_LEAVING}")
_DATA = lazy_re.compile(r"\b(\w+)\s*=\s*(?:\([^()]{0,100}\)\s*)?(?:dev_get_platdata\s*\([^;]{0,200}\)|[\w>.-]*\bplatform_data)\s*[;,]")
_PUT = r"(?:(?:of_node|fwnode_handle)_put\s*\([^;]{0,100}\)\s*;\s*)?"
_POINTERS = lazy_re.compile(  # getters that return a pointer
    r"([\w>.\[\]-]+)\s*=\s*(?:devm_)?("
    r"clk_get(?:_enabled|_prepared)?|of_clk_get\w*|gpiod_get(?:_index|_array)?|gpiod_get_from_of_node|fwnode_graph_get_\w+|of_graph_get_\w+"
    r"|v4l2_async_\w*fwnode\w*|drm_of_get_bridge|phy_get|of_phy_get\w*|reset_control_get(?:_exclusive|_shared)?|of_find_(?!backlight)\w+"
    r"|of_parse_phandle|nvmem_cell_get|pwm_get|fwnode_pwm_get|iio_channel_get\w*|device_get_named_child_node|of_get_child_by_name"
    r"|of_get_next_child|extcon_get_\w+|of_match_device|of_match_node|(?:of_)?device_get_match_data|syscon_regmap_lookup_\w+"
    rf")\s*\([^;]{{0,400}}\)\s*;\s*{_PUT}if\s*\(\s*(?:IS_ERR(?:_OR_NULL)?\s*\(\s*\1\s*\)|!\s*\1|\1\s*==\s*NULL)\s*{_LEAVING}"
)
_NUMBERS = lazy_re.compile(  # getters that return a number, negative on failure
    r"([\w>.\[\]-]+)\s*=\s*(?:devm_)?("
    r"clk_bulk_get(?:_all)?|gpio_request\w*|of_get_named_gpio\w*|v4l2_fwnode_\w+|drm_of_find_\w+|of_parse_phandle_with\w+"
    r"|(?:device|fwnode|of)_property_(?!read_bool)(?:read|match|count)\w*|platform_get_irq(?:_byname)?|regmap_irq_get_virq|irq_create_mapping"
    rf")\s*\([^;]{{0,400}}\)\s*;\s*{_PUT}if\s*\(\s*\1(?:\s*<=?\s*0)?\s*{_LEAVING}"
)
_BY_NODE = lazy_re.compile(  # the text before code that runs only where there is a node
    r"(?:\bif\s*\(\s*(?!!)[^;{}!]*(?:of_node|\bnp\b|\bnode\b|fwnode|property_present|CONFIG_OF\b|CONFIG_ACPI\b|ACPI_\w+|\w*acpi\w*)[^;{}]*\)"
    r"|\w*for_each_\w*(?:child|node|endpoint)\w*\s*\([^;{}]*\))\s*(?:\{[^{}]*)?\Z"
)
_MOST_DATA = 8  # variables that hold platform data
_NEAR = 400  # characters before a place that are searched
_NAMES = {
    "irq": "an interrupt", "clk": "a clock", "gpio": "a GPIO line", "graph": "an endpoint of a graph", "propert": "a property of its node",
}  # fmt: skip


class ProbeRequirement(msgspec.Struct, frozen=True):
    """A resource without which a probe fails."""

    name: str  # "an interrupt"
    path: str
    line: int


def of_probe(texts: Texts, function: str, members: Sequence[str]) -> ProbeRequirement | None:
    """The first requirement of a probe that an emulated chip does not meet; None where none is seen.

    Functions outside of the object are not followed.
    """
    return texts.once(
        ("probe requirement", f"{members[0] if members else ''}:{function}"), functools.partial(_of_probe, texts, function, members)
    )


def _of_probe(texts: Texts, function: str, members: Sequence[str]) -> ProbeRequirement | None:
    irq: ProbeRequirement | None = None
    guarded = False
    for path, begin, end in _followed(texts, function, members):
        text = texts.get(path) or ""
        refused = _refused(text, begin, end)
        if refused is not None:
            return ProbeRequirement(refused[0], path, texts.line(path, refused[1]))
        guarded = guarded or bool(_HAS_IRQ.search(text, begin, end))
        requested = _IRQ.search(text, begin, end)
        if requested is not None and irq is None:
            irq = ProbeRequirement("an interrupt", path, texts.line(path, requested.start()))
    return None if guarded else irq


def _followed(texts: Texts, function: str, members: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """The bodies of a function and of those that it calls, without calls made only where there is a node."""
    waiting, followed = [(function, tuple(members))], {function}
    for _ in range(_MOST_FUNCTIONS):
        if not waiting:
            return
        name, near = waiting.pop(0)
        place = defined(texts, name, near)
        if place is None:
            continue
        path, begin, end = place
        yield place
        text = texts.get(path) or ""
        for call in _CALL.finditer(text, begin, end):
            if call[1] in followed or call[1] in NOT_CALLED_IN_PROBE:
                continue
            beside = (path, *near)
            if defined(texts, call[1], beside) is None:
                beside = _core(texts, call[1], path)
            if not beside:
                continue
            if not _is_by_node(text, begin, call.start()):
                followed.add(call[1])
                waiting.append((call[1], beside))


def _core(texts: Texts, function: str, path: str) -> tuple[str, ...]:
    """The file that defines a function of the chip's core driver, by the name that the chip's files share."""
    base = path.rpartition("/")[2]
    if not _PROBING.search(function) or function[:_ALIKE] != base[:_ALIKE].replace("-", "_"):
        return ()
    files = [file for file in texts.defining(function) if file.endswith(".c") and texts.exists(file)]
    return (files[0],) if len(files) == 1 else ()


def _refused(text: str, begin: int, end: int) -> tuple[str, int] | None:
    """The requirement of a function, and its offset."""
    forms = (("an interrupt", _NO_IRQ), ("a node", _NO_NODE))
    refusals = [(requirement, match.start()) for requirement, form in forms for match in form.finditer(text, begin, end)]
    for form in (_POINTERS, _NUMBERS):
        for match in form.finditer(text, begin, end):
            requirement = next((described for part, described in _NAMES.items() if part in match[2]), "a resource that firmware describes")
            refusals.append((f"{requirement} ({match[2]}())", match.start()))
    for data in itertools.islice(_DATA.finditer(text, begin, end), _MOST_DATA):
        nothing = rf"(?:!\s*{data[1]}|{data[1]}\s*==\s*NULL)\s*(?:\|\|[^;{{}}]{{0,200}})?"
        refusal = re.compile(rf"\bif\s*\(\s*{nothing}{_LEAVING}").search(text, data.end(), end)
        if refusal and re.compile(rf"\b{data[1]}\s*=[^=]").search(text, data.end(), refusal.end()) is None:
            refusals.append(("platform data", refusal.start()))
            break
    with_irq = _HAS_IRQ.search(text, begin, end)
    for requirement, at in sorted(refusals, key=lambda match: match[1]):
        if requirement == "an interrupt" and with_irq and with_irq.end() <= at:
            continue  # without an interrupt the function has returned before
        if not _is_by_node(text, begin, at):
            return requirement, at
    return None


def _is_by_node(text: str, begin: int, at: int) -> bool:
    return _BY_NODE.search(text, max(begin, at - _NEAR), at) is not None
