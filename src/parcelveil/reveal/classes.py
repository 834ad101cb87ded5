"""What a decision depends on, and requests that are alike packed into one number.

::

    >>> from parcelveil.reveal.scenes import default_text, parse_scenes
    >>> classes = Classes(parse_scenes(default_text()))
    >>> facts = Facts("look", "courier", "contact", "full", ("to_phone",), *[True] * 12)
    >>> classes.unpack(classes.pack(facts)) == facts
    True
    >>> classes.unknown(classes.pack(facts._replace(fields=("to_fone",))))
    ('unknown-field',)

Who asks, for which waybill and when does not matter to a policy: only :class:`Facts` do. Requests with the same facts
are one *equivalence class*, an int64 of at most 43 bits: flags, fields as a bit mask, form, action, role, scene. A
word that ``scenes.toml`` does not know takes the code 0 of its place, so that hostile text makes no new classes.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from parcelveil.reveal.scenes import ACTIONS, FIELDS, FORMS, Scenes

#: The facts that are true or false, in the order of their bits.
FLAGS = (
    "active",
    "role_held",
    "outlet_held",
    "enrolled",
    "on_route",
    "at_outlet",
    "handled",
    "ticket",
    "document",
    "approved",
    "within_batch",
    "within_quota",
    "known",
)


class Facts(NamedTuple):
    """All that a decision depends on. Hashable when ``fields`` is; their order does not matter.

    ``active``: the person works here. ``role_held``, ``outlet_held``: the role and the outlet named are among the
    person's (no outlet named: the role works at none). ``enrolled``: the device is. ``on_route`` to ``ticket``: custody,
    as :mod:`parcelveil.reveal.custody` answers. ``document``: an id was given. ``approved``: a second person approved
    this request and the approval holds. ``within_batch``, ``within_quota``: counted by the desk against the scene's
    limits. ``known``: the waybill is one of ours.
    """

    action: str
    role: str
    scene: str
    form: str
    fields: Collection[str]
    active: bool
    role_held: bool
    outlet_held: bool
    enrolled: bool
    on_route: bool
    at_outlet: bool
    handled: bool
    ticket: bool
    document: bool
    approved: bool
    within_batch: bool
    within_quota: bool
    known: bool = True


_FLAGS_AT = Facts._fields.index("active")
#: Bits from the right: flags, fields, one for any field that is unknown, then the words. Code 0 is an unknown word.
_FIELDS_AT = len(FLAGS)
_STRAY_FIELD = len(FIELDS)
_FORM_AT = _FIELDS_AT + _STRAY_FIELD + 1
_ACTION_AT = _FORM_AT + 2
_ROLE_AT = _ACTION_AT + 2
_SCENE_AT = _ROLE_AT + 6
_FIELD_BITS = np.array([1 << code for code in range(_STRAY_FIELD + 1)], np.int64)


class Classes:
    """Packs facts into class numbers, one by one or by the column, and unpacks them."""

    def __init__(self, scenes: Scenes) -> None:
        self._places: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
            ("form", _FORM_AT, 2, FORMS),
            ("action", _ACTION_AT, 2, ACTIONS),
            ("role", _ROLE_AT, 6, tuple(scenes.roles)),
            ("scene", _SCENE_AT, 6, tuple(scenes.by_name)),
        )
        self._codes = [{word: (code + 1) << at for code, word in enumerate(words)} for _, at, _, words in self._places]
        self._field_bits = {name: 1 << _FIELDS_AT + code for code, name in enumerate(FIELDS)}
        self._value_sets = {name: pa.array(words, pa.string()) for name, _, _, words in self._places}
        self._fields = pa.array(FIELDS, pa.string())

    def pack(self, facts: Facts) -> int:
        """The class of ``facts``."""
        forms, actions, roles, scenes = self._codes
        key = forms.get(facts.form, 0) | actions.get(facts.action, 0)
        key |= roles.get(facts.role, 0) | scenes.get(facts.scene, 0)
        bits, stray = self._field_bits, 1 << _FIELDS_AT + _STRAY_FIELD
        for name in facts.fields:
            key |= bits.get(name, stray)
        for place, flag in enumerate(facts[_FLAGS_AT:]):
            if flag:
                key |= 1 << place
        return key

    def unpack(self, key: int) -> Facts:
        """Facts of class ``key``, fields in the waybill's order; ``"?"`` stands for a word that is unknown."""
        form, action, role, scene = (
            known[code - 1] if (code := key >> at & (1 << bits) - 1) else "?" for _, at, bits, known in self._places
        )
        fields = tuple(name for name, bit in self._field_bits.items() if key & bit)
        stray = ("?",) if key >> _FIELDS_AT + _STRAY_FIELD & 1 else ()
        flags = (bool(key >> place & 1) for place in range(len(FLAGS)))
        return Facts(action, role, scene, form, fields + stray, *flags)

    def unknown(self, key: int) -> tuple[str, ...]:
        """Names of the rules that refuse ``key`` for words nobody knows, sorted; empty when all are known."""
        rules = [f"unknown-{name}" for name, at, bits, _ in self._places if not key >> at & (1 << bits) - 1]
        if key >> _FIELDS_AT + _STRAY_FIELD & 1:
            rules.append("unknown-field")
        return tuple(sorted(rules))

    def pack_batch(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """The class of each row. Columns are named as the facts are; ``known`` may be left out.

        Words are strings, ``fields`` a list of strings or one string joined by commas, flags are booleans. A null
        word or field is unknown, a null flag false, null fields are none. Raises TypeError for any other column type
        and KeyError for a missing column.
        """
        keys = np.zeros(batch.num_rows, np.int64)
        for name, at, _, _ in self._places:
            keys |= _codes(_plain(batch.column(name), name), self._value_sets[name], 0).astype(np.int64) << at
        keys |= self._field_masks(batch.column("fields")) << _FIELDS_AT
        for place, name in enumerate(FLAGS):
            if name == "known" and name not in batch.schema.names:
                keys |= 1 << place
                continue
            column = batch.column(name)
            if not pa.types.is_boolean(column.type):
                raise TypeError(f"column {name} has to be boolean")
            keys |= _whole(column, False).to_numpy(zero_copy_only=False).astype(np.int64) << place
        return keys

    def _field_masks(self, column: pa.Array) -> npt.NDArray[np.int64]:
        if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
            # Few distinct texts fill most batches: split each once.
            encoded = _plain(column, "fields").dictionary_encode()
            texts = encoded.dictionary
            lists = pc.if_else(
                pc.equal(texts, ""), pa.scalar(None, pa.list_(pa.string())), pc.split_pattern(texts, ",")
            )
            masks = np.append(self._list_masks(lists), np.int64(0))  # a null text takes the last
            chosen: npt.NDArray[np.int64] = masks[_whole(encoded.indices, -1).to_numpy()]
            return chosen
        return self._list_masks(column)

    def _list_masks(self, lists: pa.Array) -> npt.NDArray[np.int64]:
        masks = np.zeros(len(lists), np.int64)
        codes = _codes(_plain(pc.list_flatten(lists), "fields"), self._fields, _STRAY_FIELD + 1) - 1
        np.bitwise_or.at(masks, pc.list_parent_indices(lists).to_numpy(), _FIELD_BITS[codes])
        return masks


def _whole(column: pa.Array, value: bool | int) -> pa.Array:
    """``column`` with ``value`` for its nulls; most have none, and asking first is far cheaper for small batches."""
    return pc.fill_null(column, value) if column.null_count else column


def _plain(column: pa.Array, name: str) -> pa.Array:
    """``column`` as strings, whether they came encoded by a dictionary or not."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise TypeError(f"column {name} has to hold strings")
    return column if column.type == pa.string() else column.cast(pa.string())


def _codes(column: pa.Array, words: pa.Array, stray: int) -> npt.NDArray[np.int32]:
    """1 for the first of ``words``, and so on; ``stray`` for anything else."""
    codes: npt.NDArray[np.int32] = _whole(pc.index_in(column, value_set=words), -1).to_numpy()
    codes = codes + np.int32(1)
    if stray:
        codes[codes == 0] = stray
    return codes
