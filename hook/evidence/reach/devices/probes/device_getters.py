"""Device getters: what the calls give by which a driver asks for a resource, for a device that nothing describes.

Such a device has no node, no platform data and no interrupt, and no table of a board names it. Each is given with and without the subsystem
that has it. Left out are: clocks, which a kernel without COMMON_CLK gives to all; regulators, which may be dummies; and what searches the
whole device tree.
"""

from __future__ import annotations

import enum

import msgspec


class RunningPart(msgspec.Struct, frozen=True):
    """The part of a function that runs before it fails."""

    function: str
    path: str
    begin: int
    end: int


class Value(enum.Enum):
    """What an expression is certain to be."""

    NOTHING = "0 or NULL"
    ERROR = "an error pointer"
    NEGATIVE = "a negative number"
    FAILED = "a number that is not 0"
    UNKNOWN = "not known"


class DeviceGetter(msgspec.Struct, frozen=True):
    """What a getter gives for a device without a description."""

    argument: int  # the index of the device, or of the node
    of_node: bool
    value: Value
    what: str  # as a person reads it


def _given(names: str, argument: int, of_node: bool, value: Value, what: str) -> dict[str, DeviceGetter]:
    return dict.fromkeys(names.split(), DeviceGetter(argument, of_node, value, what))


_PROPERTY = "a property of its node"
_SIZES = ("u8", "u16", "u32", "u64", "string", "u8_array", "u16_array", "u32_array", "u64_array", "string_array")
_GRAPH = (
    "fwnode_graph_get_next_endpoint fwnode_graph_get_endpoint_by_id of_graph_get_next_endpoint of_graph_get_endpoint_by_regs"
    " of_graph_get_remote_node"
)
# checked on 6.1, 6.12 and 7.3; each with and without the subsystem that has it
GETTERS: dict[str, DeviceGetter] = {
    **_given("gpiod_get gpiod_get_index gpiod_get_array", 0, False, Value.ERROR, "a GPIO line"),
    **_given("reset_control_get reset_control_get_exclusive reset_control_get_shared", 0, False, Value.ERROR, "a reset line"),
    **_given("phy_get pwm_get nvmem_cell_get", 0, False, Value.ERROR, "a resource that firmware describes"),
    **_given("device_get_match_data of_device_get_match_data", 0, False, Value.NOTHING, "a match by firmware"),
    **_given("of_match_device", 1, False, Value.NOTHING, "a match by firmware"),
    **_given("device_get_named_child_node", 0, False, Value.NOTHING, "a node below its own"),
    **_given("of_get_child_by_name of_get_next_child of_get_next_available_child", 0, True, Value.NOTHING, "a node below its own"),
    **_given("of_parse_phandle", 0, True, Value.NOTHING, _PROPERTY),
    **_given(_GRAPH, 0, True, Value.NOTHING, "an endpoint of a graph"),
    **_given("drm_of_find_panel_or_bridge", 0, True, Value.NEGATIVE, "a panel or bridge"),
    **_given(" ".join(f"device_property_read_{size}" for size in _SIZES), 0, False, Value.NEGATIVE, _PROPERTY),
    **_given("device_property_count_u8 device_property_count_u32 device_property_match_string", 0, False, Value.NEGATIVE, _PROPERTY),
    **_given(" ".join(f"{kind}_property_read_{size}" for kind in ("of", "fwnode") for size in _SIZES), 0, True, Value.NEGATIVE, _PROPERTY),
}  # fmt: skip


class Known(msgspec.Struct, frozen=True):
    """A certain value."""

    value: Value
    requirement: str  # what the device lacks, as a person reads it
    parts: tuple[RunningPart, ...] = ()  # of the functions that have failed to give it, the innermost first
