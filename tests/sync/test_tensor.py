"""Tensor codec: models trained on cost little; no payload makes the reader leave its bounds."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import varint
from sync.bundle import BundleReader, BundleWriter
from sync.codec.layout import Tensor, layout
from sync.codec.planes import add, fold, per_byte, subtract, unfold
from sync.codec.tensor import MAX_PIECE_BYTES, TensorCodec
from sync.codec.zpatch import ZpatchCodec
from sync.errors import ContentError
from tests.sync.world import World, noise, prose

CODEC = TensorCodec()


def safetensors(tensors: dict[str, bytes], kind: str = "I8", note: str = "1") -> bytes:
    header: dict[str, object] = {"__metadata__": {"note": note}}
    at = 0
    for name, data in tensors.items():
        places = [at, at + len(data)]
        header[name] = {"dtype": kind, "shape": [len(data)], "data_offsets": places}
        at += len(data)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(tensors.values())


def field(number: int, data: bytes) -> bytes:
    """One field of a protobuf message."""
    out = bytearray()
    varint.append(out, number << 3 | 2)
    varint.append(out, len(data))
    return bytes(out) + data


def onnx(tensors: dict[str, bytes], kind: int = 3, version: int = 7) -> bytes:
    made = b""
    for name, data in tensors.items():
        about = bytes([1 << 3, len(data) % 128, 2 << 3, kind]) + field(8, name.encode())
        made += field(5, about + field(9, data))
    return bytes([1 << 3, version]) + field(7, field(1, b"a node") + made + field(2, b"graph"))


def nudged(data: bytes, every: int, step: int = 1) -> bytes:
    """Every so many bytes, one goes up, the next down."""
    out = bytearray(data)
    for number, at in enumerate(range(every - 1, len(out), every)):
        out[at] = (out[at] + (step if number % 2 else -step)) % 256
    return bytes(out)


def there_and_back(olds: Sequence[bytes], news: Sequence[bytes]) -> int:
    payload = CODEC.encode(olds, news)
    assert CODEC.decode(payload, olds, [len(n) for n in news]) == list(news)
    return len(payload)


Form = Callable[[dict[str, bytes]], bytes]
WEIGHTS = {f"layer.{n}": noise(n, 5000) for n in range(8)}


@pytest.mark.parametrize("form", [safetensors, onnx], ids=lambda f: f.__name__)
@pytest.mark.parametrize("every", [3, 50])
def test_nudged_weights_cost_a_fraction_of_a_patch(form: Form, every: int) -> None:
    old = form(WEIGHTS)
    new = form({name: nudged(data, every) for name, data in WEIGHTS.items()})
    ours, patch = there_and_back([old], [new]), len(ZpatchCodec().encode([old], [new]))
    assert ours < patch / 2
    assert ours < len(new) / 4


@pytest.mark.parametrize("form", [safetensors, onnx], ids=lambda f: f.__name__)
def test_tensors_that_stayed_cost_nothing_even_when_others_grew(form: Form) -> None:
    old = form(WEIGHTS)
    new = form({"first": noise(91, 300), **WEIGHTS, "layer.3": noise(92, 5100)})
    assert there_and_back([old], [new]) < 300 + 5100 + 250


def test_sixteen_and_thirty_two_bit_numbers_are_told_apart_by_number() -> None:
    for kind, width in (("F16", 2), ("F32", 4)):
        old = {name: data[:4800] for name, data in WEIGHTS.items()}
        new = {}
        for name, data in old.items():
            step = (1).to_bytes(width, "little")
            new[name] = add(subtract(step * (len(data) // width), bytes(len(data)), width), data,
                            width)  # fmt: skip
        assert there_and_back([safetensors(old, kind)], [safetensors(new, kind)]) < 300


def test_a_file_of_no_known_format_is_lined_up_at_its_end() -> None:
    old = b"HEADER-1" + noise(1, 40_000)
    new = b"HEADER-TWO" + nudged(noise(1, 40_000), 60)
    assert there_and_back([old], [new]) < 2000


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=300)), min_size=1,
                max_size=4))  # fmt: skip
def test_any_group_comes_back(pairs: list[tuple[bytes, bytes]]) -> None:
    there_and_back([o for o, _ in pairs], [n for _, n in pairs])


def test_long_tensors_are_cut_into_pieces() -> None:
    old = noise(4, 2 * MAX_PIECE_BYTES + 17)
    assert there_and_back([safetensors({"w": old})], [safetensors({"w": nudged(old, 9)})]) < 250_000


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_damage_gives_a_content_error_or_objects_of_the_right_size(data: st.DataObject) -> None:
    old = safetensors({"a": noise(1, 700), "b": noise(2, 600)})
    new = safetensors({"a": nudged(noise(1, 700), 3), "b": nudged(noise(2, 600), 40)}, note="22")
    payload = bytearray(CODEC.encode([old, b""], [new, b"neu"]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload) - 1))
        payload[at] = data.draw(st.integers(0, 255))
    try:
        found = CODEC.decode(bytes(payload), [old, b""], [len(new), 3])
    except ContentError:
        return
    assert [len(f) for f in found] == [len(new), 3]


def streams(*parts: Sequence[int]) -> bytes:
    """A payload of six unpacked streams of numbers."""
    out = bytearray()
    for numbers in (*parts, *[()] * (6 - len(parts))):
        body = bytearray()
        for number in numbers:
            varint.append(body, number)
        varint.append(out, len(body) << 1)
        out += body
    return bytes(out)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (streams([1, 0, 0]), "empty piece"),
        (streams([1, 0, 6]), "at most 5"),
        (streams([1, 5, 5, 0]), "at most 4"),
        (streams([1, 1, 5, 2]), "outside its base"),
        (streams([1, 1, 5, 1]), "outside its base"),
        (streams([9]), "at most 5"),
        (streams([1, 1, 4, 0]), "4 bytes came out"),
        (streams([1, 3, 3, 0]), "a difference of 3 bytes"),
        (streams([1, 2, 4, 0], [257]), "at most 256"),
        (streams([1, 2, 4, 0], [256, 5]), "at most 4"),
        (streams([1, 2, 4, 0], [256, 1], [], [4], [1]), "out of its plane"),
        (streams([1, 2, 4, 0], [256, 1], [], [], [1]), "ends 1 bytes early"),
        (streams([1, 2, 4, 0], [2]), "ends 1 bytes early"),
        (streams([2, 1, 4, 0, 0, 1]), "literals: ends 1 bytes early"),
        (streams([1, 1, 5, 0], [0]), "bytes too many"),
    ],
)
def test_a_piece_that_breaks_a_bound_is_refused(payload: bytes, why: str) -> None:
    """The base has 5 bytes, so has the object."""
    with pytest.raises(ContentError, match=why):
        CODEC.decode(payload, [b"base."], [5])


def test_a_difference_longer_than_a_piece_is_refused() -> None:
    size = MAX_PIECE_BYTES + 1
    with pytest.raises(ContentError, match="a difference of"):
        CODEC.decode(streams([1, 2, size, 0], [0]), [bytes(size)], [size])


@settings(deadline=None, max_examples=100)
@given(st.sampled_from([1, 2, 4]), st.binary(max_size=80), st.binary(max_size=80))
def test_planes_lead_from_old_to_new(width: int, old: bytes, new: bytes) -> None:
    size = min(len(old), len(new)) // width * width
    old, new = old[:size], new[:size]
    assert add(subtract(new, old, width), old, width) == new


@given(st.integers(1, 255), st.binary(max_size=50))
def test_folded_values_unfold(highest: int, data: bytes) -> None:
    values = bytes(byte % (highest + 1) for byte in data)
    folded = fold(values, highest)
    assert len(folded) == -(-len(values) // per_byte(highest))
    assert unfold(folded, highest, len(values)) == values


def test_five_signs_fit_into_a_byte() -> None:
    assert [per_byte(m) for m in (1, 2, 3, 6, 15, 16, 255)] == [8, 5, 4, 2, 2, 1, 1]


def test_tensors_are_found_where_they_lie() -> None:
    data = onnx({"w": b"abcd", "v": b"xy"}, kind=10)
    assert [(t.name, data[t.start : t.stop], t.width) for t in layout(data)] == [
        ("w", b"abcd", 2),
        ("v", b"xy", 2),
    ]
    data = safetensors({"w": b"abcd"}, "F32")
    assert layout(data) == (Tensor("w", len(data) - 4, len(data), 4),)


def test_a_shipped_model_has_its_tensors(root: Path) -> None:
    data = (root / "models" / "onnx" / "tutor-es-small" / "model.onnx").read_bytes()
    found = layout(data)
    assert sum(t.stop - t.start for t in found) > 0.9 * len(data)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_no_file_makes_the_parser_fail_or_point_outside(data: st.DataObject) -> None:
    forms: list[Form] = [safetensors, onnx]
    form = data.draw(st.sampled_from(forms))
    file = bytearray(form({"a": b"1234", "b": b"56"}))
    for _ in range(data.draw(st.integers(0, 3))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    end = 0
    for tensor in layout(bytes(file) + data.draw(st.binary(max_size=4))):
        assert end <= tensor.start <= tensor.stop
        end = tensor.stop


def test_a_text_is_no_model() -> None:
    assert layout(prose(1)) == layout(b"") == layout(noise(1, 99)) == ()


def test_a_bundle_gives_a_model_a_group_and_the_codec_that_is_best() -> None:
    world = World()
    files = {"modelo.safetensors": safetensors(WEIGHTS), "a.json": prose(1), "z.json": prose(2)}
    base = world.manifest(files)
    changed = {name: nudged(data, 20) for name, data in WEIGHTS.items()}
    files |= {"modelo.safetensors": safetensors(changed), "a.json": prose(1) + b"x",
              "z.json": prose(2) + b"y"}  # fmt: skip
    target = world.manifest(files)
    data = BundleWriter(base, target, world.read).write()
    groups = BundleReader(data, base).header.groups
    assert [(g.codec, [o.label.path for o in g.objects]) for g in groups] == [
        ("edit", ["a.json", "z.json"]),
        ("tensor", ["modelo.safetensors"]),
    ]
