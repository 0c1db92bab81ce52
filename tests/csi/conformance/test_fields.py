"""What each call demands of its fields: what must be there, and how large it may be."""

from typing import Any

import pytest
from csi_plugin import Plugin, content, mount

CREATE = {"name": "new", "volume_capabilities": [mount()]}
CUT = {"name": "snap", "source_volume_id": "VOLUME"}
VALIDATE = {"volume_id": "VOLUME", "volume_capabilities": [mount()]}
WITHOUT_MODE = mount()
WITHOUT_MODE.ClearField("access_mode")
WITHOUT_ACCESS = mount()
WITHOUT_ACCESS.ClearField("mount")

MISSING = [
    ("CreateVolume", CREATE | {"name": ""}, "name"),
    ("CreateVolume", CREATE | {"volume_capabilities": []}, "volume_capabilities"),
    ("CreateVolume", CREATE | {"volume_capabilities": [WITHOUT_MODE]}, "access_mode"),
    ("CreateVolume", CREATE | {"volume_capabilities": [mount(0)]}, "access_mode-UNKNOWN"),
    ("CreateVolume", CREATE | {"volume_capabilities": [WITHOUT_ACCESS]}, "access_type"),
    ("CreateVolume", CREATE | {"volume_capabilities": [mount(), mount(0)]}, "each-of-several"),
    ("CreateVolume", CREATE | {"volume_content_source": content()}, "source-type"),
    ("DeleteVolume", {}, "volume_id"),
    ("ValidateVolumeCapabilities", VALIDATE | {"volume_id": ""}, "volume_id"),
    ("ValidateVolumeCapabilities", VALIDATE | {"volume_capabilities": []}, "capabilities"),
    ("ValidateVolumeCapabilities", VALIDATE | {"volume_capabilities": [mount(0)]}, "mode"),
    ("GetCapacity", {"volume_capabilities": [mount(0)]}, "mode"),
    ("CreateSnapshot", CUT | {"name": ""}, "name"),
    ("CreateSnapshot", CUT | {"source_volume_id": ""}, "source_volume_id"),
    ("DeleteSnapshot", {}, "snapshot_id"),
    ("GetSnapshot", {}, "snapshot_id"),
]

TEXTS = [
    ("CreateVolume", CREATE, "name"),
    ("CreateSnapshot", CUT, "name"),
]
MAPS = [
    ("CreateVolume", CREATE, "parameters"),
    ("CreateVolume", CREATE, "secrets"),
    ("DeleteVolume", {"volume_id": "VOLUME"}, "secrets"),
    ("ValidateVolumeCapabilities", VALIDATE, "volume_context"),
    ("ValidateVolumeCapabilities", VALIDATE, "secrets"),
    ("GetCapacity", {}, "parameters"),
    ("CreateSnapshot", CUT, "parameters"),
    ("CreateSnapshot", CUT, "secrets"),
    ("DeleteSnapshot", {"snapshot_id": "no"}, "secrets"),
    ("ListSnapshots", {}, "secrets"),
    ("GetSnapshot", {"snapshot_id": "SNAPSHOT"}, "secrets"),
]
# Banned in a name: control characters, but tab, line feed and carriage return.
BANNED = [*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0)]


def case(method: str, fields: object, field: str) -> Any:
    return pytest.param(method, fields, field, id=f"{method}-{field}")


async def filled(plugin: Plugin, fields: dict[str, Any]) -> dict[str, Any]:
    """Put the ids of a volume and a snapshot of it where the table has their names."""
    volume = (await plugin.volume("source")).volume_id
    snapshot = (await plugin.cut(volume, "of-source")).snapshot_id
    ids = {"VOLUME": volume, "SNAPSHOT": snapshot}
    return {
        name: ids.get(value, value) if isinstance(value, str) else value
        for name, value in fields.items()
    }


@pytest.mark.parametrize(
    ("method", "fields"), [pytest.param(a, b, id=f"{a}-{c}") for a, b, c in MISSING]
)
async def test_a_request_without_a_required_field_is_invalid(
    plugin: Plugin, method: str, fields: dict[str, Any]
) -> None:
    # Error Scheme: Missing required field
    fields = await filled(plugin, fields)
    assert await plugin.refusal(method, **fields) == "INVALID_ARGUMENT"
    assert len(plugin.trees("volumes")) == len(plugin.trees("snapshots")) == 1


@pytest.mark.parametrize(("method", "fields", "field"), [case(*each) for each in TEXTS])
@pytest.mark.parametrize("letter", ["x", "é", "語", "🎉", "/", "."])
async def test_a_text_of_128_bytes_is_taken_and_a_longer_one_is_not(
    plugin: Plugin, method: str, fields: dict[str, Any], field: str, letter: str
) -> None:
    # Size Limits: string; bytes, not characters
    fields = await filled(plugin, fields)
    longest = letter * (128 // len(letter.encode()))
    longest += "x" * (128 - len(longest.encode()))
    await plugin.call(method, **fields | {field: longest})
    before = (plugin.trees("volumes"), plugin.trees("snapshots"))
    assert await plugin.refusal(method, **fields | {field: longest + "x"}) == "INVALID_ARGUMENT"
    assert (plugin.trees("volumes"), plugin.trees("snapshots")) == before


async def test_names_that_differ_in_their_last_byte_are_two_names(plugin: Plugin) -> None:
    # Size Limits: string; nothing is cut off
    volume = (await plugin.volume()).volume_id
    one, two = [await plugin.cut(volume, "x" * 127 + last) for last in "ab"]
    assert one.snapshot_id != two.snapshot_id
    assert await plugin.cut(volume, "x" * 127 + "a") == one


@pytest.mark.parametrize(("method", "fields", "field"), [case(*each) for each in MAPS])
async def test_a_map_of_4_kib_is_taken_and_a_larger_one_is_not(
    plugin: Plugin, method: str, fields: dict[str, Any], field: str
) -> None:
    # Size Limits: map<string, string>
    fields = await filled(plugin, fields)
    largest = {"k" * 96: "v" * 2000, "é": "w" * 1998}  # the last key has two bytes
    before = (plugin.trees("volumes"), plugin.trees("snapshots"))
    code = await plugin.refusal(method, **fields | {field: largest | {"a": ""}})
    assert code == "INVALID_ARGUMENT"
    assert (plugin.trees("volumes"), plugin.trees("snapshots")) == before
    await plugin.call(method, **fields | {field: largest})


@pytest.mark.parametrize(
    "field", ["fs_type", "volume_mount_group", "mount_flags"], ids="VolumeCapability-{}".format
)
async def test_a_volume_capabilitys_fields_are_measured_too(plugin: Plugin, field: str) -> None:
    # Size Limits; MountVolume: `mount_flags` has a limit of its own, for all of them together
    longest: Any = ["x" * 1024] * 4 if field == "mount_flags" else "x" * 128
    longer: Any = [*longest, "x"] if field == "mount_flags" else longest + "x"
    too_long = mount(**{field: longer})
    for method, fields in (("CreateVolume", CREATE), ("ValidateVolumeCapabilities", VALIDATE)):
        asked = await filled(plugin, fields) | {"volume_capabilities": [mount(), too_long]}
        assert await plugin.refusal(method, **asked) == "INVALID_ARGUMENT"
    await plugin.volume("new", volume_capabilities=[mount(**{field: longest})])


async def test_a_field_that_is_refused_is_named_and_not_repeated(plugin: Plugin) -> None:
    # Secrets Requirements: sensitive, whatever becomes of the call
    secret = {"password": "open sesame" * 400}
    with pytest.raises(Exception, match="secrets has 4408 bytes") as told:
        await plugin.call("DeleteSnapshot", snapshot_id="no", secrets=secret)
    assert "sesame" not in str(told.value)


@pytest.mark.parametrize("method", ["CreateVolume", "CreateSnapshot"])
async def test_a_name_with_a_control_character_is_invalid(plugin: Plugin, method: str) -> None:
    # CreateVolume and CreateSnapshot: `name`, banned characters
    fields = await filled(plugin, CREATE if method == "CreateVolume" else CUT)
    for code in BANNED:
        asked = fields | {"name": f"a{chr(code)}b"}
        assert await plugin.refusal(method, **asked) == "INVALID_ARGUMENT", code
    assert len(plugin.trees("volumes")) == len(plugin.trees("snapshots")) == 1


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\rb", " ", "\xa0", "a\u2028b", "\ufeff"])
async def test_a_name_with_any_other_character_is_taken(plugin: Plugin, name: str) -> None:
    # CreateVolume and CreateSnapshot: `name`, any other Unicode string
    volume = await plugin.volume(name)
    snapshot = await plugin.cut(volume.volume_id, name)
    assert await plugin.volume(name) == volume
    assert await plugin.cut(volume.volume_id, name) == snapshot


async def test_an_id_longer_than_any_is_unknown(plugin: Plugin) -> None:
    # DeleteVolume, DeleteSnapshot, ListSnapshots, GetSnapshot: what does not exist
    longer = "x" * 129
    await plugin.call("DeleteVolume", volume_id=longer)
    await plugin.call("DeleteSnapshot", snapshot_id=longer)
    assert await plugin.listed(snapshot_id=longer) == []
    assert await plugin.listed(source_volume_id=longer) == []
    assert await plugin.refusal("GetSnapshot", snapshot_id=longer) == "NOT_FOUND"
    asked = CUT | {"source_volume_id": longer}
    assert await plugin.refusal("CreateSnapshot", **asked) == "NOT_FOUND"
