"""How names and addresses are judged, in plain Python over text: the compiled passes must agree with it.

::

    >>> judge = Reference(vocabulary())
    >>> judge.name("张伟") > 1 > judge.name("金额"), judge.name("徐泾镇") < 0
    (True, True)
    >>> [(text, hidden) for text, hidden, _ in judge.addresses("送到徐泾镇盈港东路8300弄36号302室谢谢老板")]
    [('徐泾镇盈港东路8300弄36号302室谢谢老板', 0)]

Only what decides on a piece of text is here; where pieces begin and what stands around them is in people_pass.py and
beside_pass.py. Slow, and meant for reading and for tests.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from parcelveil.scan import address_pass as a
from parcelveil.scan import name_pass as n
from parcelveil.scan import vocabulary as v
from parcelveil.scan.vocabulary import Vocabulary, vocabulary

__all__ = ["Reference", "vocabulary"]

#: Letters and digits joined by - / ~ — #, at most 20 characters; a joiner counts only before a letter or digit.
_NUMBER = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z]|[-/~—#](?=[0-9A-Za-z]))*")
_HAN = "\u3400-\u9fff"
_DOTTED = re.compile(rf"[{_HAN}]{{2,8}}(?:[·・•][{_HAN}]{{2,8}}){{1,3}}")
_HAN_ONLY = re.compile(rf"[{_HAN}]*")
_BLOCK_WORDS = ("号楼", "号院", "号门", "号库", "号馆", "号栋", "号座", "号幢")
_DOOR_KINDS = (v.C_LANE, v.C_DOOR, v.C_BLOCK, v.C_UNIT, v.C_FLOOR, v.C_ROOM, v.C_BARE, a.HIDDEN)


@dataclass
class Chain:
    """Components that follow each other: where it begins and ends, how far down it went, how many there are of each."""

    start: int
    end: int = 0
    rank: int = 0
    counts: Counter[int] = field(default_factory=Counter)

    @property
    def score(self) -> float:
        """Its log-odds without circumstances."""
        if not any(self.counts[kind] for kind in range(v.C_TOWN + 1, a.KNOWN)):
            return a.AREAS_ONLY
        score = a.BASE
        for kind in range(a.COUNTS):
            score += float(a.WEIGHTS[kind]) * min(self.counts[kind], int(a.MOST[kind]))
        return score + (0.0 if any(self.counts[kind] for kind in _DOOR_KINDS) else a.NO_DOOR)


@dataclass
class Piece:
    """What stands at a place: kind of component (0: none) and what follows from it."""

    kind: int = 0
    size: int = 1
    begins: bool = False
    known: int = 0
    closes: bool = False
    barrier: bool = False
    stem: int = 0  # characters before it that are surely part of it


class Reference:
    """Judges by the words of a vocabulary."""

    def __init__(self, words: Vocabulary) -> None:
        self.words, self.towns = words.words, words.towns
        self.chars = [int(char) for char in words.tables.chars]

    def flag(self, char: str, bits: int) -> bool:
        return bool(self.chars[ord(char)] & bits)

    def _stem(self, char: str) -> int:
        return self.chars[ord(char)] >> 8 & 15

    def _number(self, char: str) -> int:
        return self.chars[ord(char)] >> 12 & 15

    def _family(self, char: str) -> float:
        return (self.chars[ord(char)] >> 16 & 255) / 16.0 - 8.0

    def _given(self, char: str) -> float:
        return (self.chars[ord(char)] >> 24 & 255) / 16.0 - 8.0

    def word(self, text: str, wanted: int) -> tuple[int, int]:
        """Meanings and length of the longest word at the beginning of ``text`` with a wanted meaning; 0, 0 for none."""
        for size in range(min(v.LONGEST_WORD, len(text)), 1, -1):
            meaning = self.words.get(text[:size], 0)
            if meaning & wanted:
                return meaning, size
        return 0, 0

    def name(self, text: str) -> float:
        """Log-odds, from its characters, that ``text`` is a whole name. See :func:`name_pass.content`."""
        if len(text) < 2:
            return n.IMPOSSIBLE
        if len(text) > 4 or not _HAN_ONLY.fullmatch(text):
            return n.BASE + n.DOTTED_NAME if len(text) <= 30 and _DOTTED.fullmatch(text) else n.IMPOSSIBLE
        if self.word(text, v.COMPOUND)[1] == 2 and len(text) >= 3:
            score, given = n.BASE + n.COMPOUND_NAME, text[2:]
        else:
            if self._family(text[0]) <= -8.0:
                return n.IMPOSSIBLE
            score, given = n.BASE + self._family(text[0]) + (n.FOUR if len(text) == 4 else 0.0), text[1:]
        for char in given:
            score += self._given(char) * (n.LONE if len(given) == 1 else 1.0)
        speaking = v.NOT_NAME | v.AREA | v.PLACE | v.ROAD | v.CUE_NAME | v.BETWEEN
        meaning, length = self.word(text, speaking)
        if length == len(text):
            score += n.IS_AREA if meaning & v.AREA and not meaning & v.NOT_NAME else n.IS_WORD
        elif length == 2 and not meaning & (v.PLACE | v.ROAD):
            score += n.BEGINS_WITH_WORD
        meaning, length = self.word(text[-2:], speaking)
        if len(text) > 2 and length and not (meaning & v.AREA and meaning & v.SHORT):
            score += n.BEGINS_WITH_WORD if meaning & v.NOT_NAME else n.ENDS_WITH_WORD
        return score

    def masked(self, text: str) -> bool:
        """Whether ``text`` is a name with hidden characters."""
        hidden = [self.flag(char, v.MASK) for char in text]
        clear = [char for char, is_hidden in zip(text, hidden, strict=True) if not is_hidden]
        if (
            not 2 <= len(text) <= 5
            or not any(hidden)
            or not 1 <= len(clear) <= 2
            or not _HAN_ONLY.fullmatch("".join(clear))
        ):
            return False
        if hidden[0]:
            return text[0] != "某" and len(clear) == 1 and self._given(text[-1]) > -2.0
        return self._family(text[0]) > -1.0

    def _unit(self, text: str) -> tuple[int, int]:
        """The unit at the beginning of ``text``: kind and length."""
        if text.startswith("单元"):
            return v.C_UNIT, 2
        if text.startswith("#"):
            return v.C_BLOCK, 2 if text[1:2] in ("楼", "栋") else 1
        if text.startswith(_BLOCK_WORDS):
            return v.C_BLOCK, 2
        kind = self._number(text[0]) if text and not text.startswith("号线") else 0
        return (kind, 1) if kind and kind != v.C_MEASURE else (0, 0)

    def _is_road(self, text: str) -> bool:
        """Whether ``text`` makes the short form before it the name of a road or a place."""
        if self.word(text, v.AREA)[1]:
            return False
        for place, char in enumerate(text[:3]):
            if not self.flag(char, v.HAN):
                return False
            kind = self._stem(char)
            if kind in (v.C_ROAD, v.C_ROAD_WEAK) or (kind in (v.C_PLACE_WEAK, v.C_VILLAGE) and place < 2):
                return True
        return self.word(text, v.PLACE | v.ROAD)[1] > 0

    def _number_piece(self, text: str, at: int, chain: Chain | None, loose: int) -> Piece:
        match = _NUMBER.match(text, at, min(len(text), at + 20))
        # A joiner counts by what stands behind it in the whole text.
        stop = match.end() if match else at + 1
        while (
            stop < len(text)
            and stop - at < 20
            and ((text[stop] in "-/~—#" and _NUMBER.match(text, stop + 1)) or _NUMBER.match(text, stop))
        ):
            stop += 1
        run = text[at:stop]
        digits = max((len(part) for part in re.findall(r"[0-9]+", run)), default=0)
        letters = len(re.findall("[A-Za-z]", run))
        piece = Piece(size=len(run))
        if digits > 5:
            piece.closes = piece.barrier = True
        if digits > 5 or letters > 3 or (not digits and letters > 2):
            return piece
        unit, more = self._unit(text[stop:])
        dated = text[max(0, at - 1) : at] in ("月", "年")
        if unit and not dated and (digits or unit in (v.C_BLOCK, v.C_FLOOR, v.C_PLACE_WEAK)):
            return Piece(unit, len(run) + more, unit not in (v.C_ROAD, v.C_PLACE_WEAK))
        if chain and digits and not unit:
            ended = stop == len(text) or self.flag(text[stop], v.SOFT)
            tail = re.search(r"[0-9A-Za-z-]*$", text[1:stop])
            door = (digits >= 3 or text[stop - 2] == "-") if ended else tail is not None and tail[0].count("-") >= 2
            if loose == 0 or (loose <= a.LONGEST_STEM and door):
                if stop < len(text) and self._number(text[stop]) == v.C_MEASURE:
                    piece.closes = True
                else:
                    piece.kind = v.C_BARE
        return piece

    def _han_piece(self, text: str, at: int, chain: Chain | None, stem: int, loose: int) -> Piece:
        rank = chain.rank if chain else 0
        wanted = v.AREA | v.PLACE | v.ROAD | v.ASIDE | v.CUE_NAME | v.CUE_ADDRESS | v.BETWEEN
        meaning, length = self.word(text[at:], wanted)
        if self.flag(text[at], v.NUMERAL) and not meaning & v.AREA:
            stop = at
            while stop < len(text) and stop - at < 4 and self.flag(text[stop], v.NUMERAL):
                stop += 1
            unit, more = self._unit(text[stop:])
            if unit and unit not in (v.C_ROAD, v.C_ROAD_WEAK) and text[max(0, at - 1) : at] != "月":
                return Piece(unit, stop + more - at)
        if length and meaning & v.AREA and not (meaning & v.PLACE and chain):
            brief = meaning & v.SHORT
            if brief and (rank >= v.C_TOWN or (chain and loose) or self._is_road(text[at + length :])):
                return Piece()
            up = bool(chain) and (rank >= v.C_ROAD or loose > 4)
            return Piece(v.C_AREA, length, True, a.BRIEF if brief else a.KNOWN, closes=up)
        if length and meaning & v.PLACE:
            return Piece(v.C_ROOM, length) if meaning & v.ASIDE else Piece(v.C_PLACE, length, True)
        if length and meaning & v.ROAD:
            good = at > stem or length > 2
            return Piece(v.C_ROAD if good else 0, length, good)
        if length and meaning & v.ASIDE:
            return Piece(v.C_ASIDE if chain and loose <= a.LONGEST_TAIL else 0, length)
        if length:
            return Piece(size=length, closes=True, barrier=True)
        return self._ending(text, at, chain, at - stem, loose, rank)

    def _ending(self, text: str, at: int, chain: Chain | None, stem: int, loose: int, rank: int) -> Piece:
        """A single character that ends a component whose stem has ``stem`` characters."""
        kind, size = self._stem(text[at]), 1
        if text.startswith("街道", at):
            kind, size = v.C_TOWN, 2
        if not 1 <= stem <= a.LONGEST_STEM:
            return Piece(size=size)
        if kind == v.C_TOWN:
            for start in range(max(at - stem, at + size - v.LONGEST_TOWN), at + size - 2):
                if text[start : at + size] in self.towns:
                    up = chain is not None and loose - (at - start) > 4
                    return Piece(kind, size, True, a.KNOWN_TOWN, closes=up, stem=at - start)
        if kind == v.C_AREA:
            return Piece(kind if chain and stem <= 6 and rank <= v.C_AREA else 0, size)
        numbered = text[at + 1 : at + 2] in tuple("0123456789")
        if kind == v.C_ROAD_WEAK:
            return Piece(v.C_ROAD if numbered and stem >= 2 else 0, size, numbered)
        if kind == v.C_PLACE_WEAK:
            return Piece(kind if numbered or (chain and stem >= 2) else 0, size, numbered)
        return Piece(kind, size, kind > 0)

    def _hidden_piece(self, text: str, at: int, chain: Chain | None, loose: int) -> Piece:
        stop = at
        while stop < len(text) and self.flag(text[stop], v.MASK):
            stop += 1
        unit, more = self._unit(text[stop:])
        if chain and loose <= 4 and (unit or stop - at > 1):
            chain.counts[a.HIDDEN] += 1
            return Piece(unit or v.C_BARE, stop + more - at)
        return Piece(size=stop - at, closes=True, barrier=True)

    def _piece(self, text: str, at: int, chain: Chain | None, stem: int, loose: int) -> Piece:
        if text[at].isascii() and text[at].isalnum():
            return self._number_piece(text, at, chain, loose)
        if self.flag(text[at], v.MASK) and text[at] != "某":
            return self._hidden_piece(text, at, chain, loose)
        if self.flag(text[at], v.HAN):
            return self._han_piece(text, at, chain, stem, loose)
        return Piece()

    def _tail(self, text: str, at: int, limit: int, before_phone: bool) -> int:
        place = at
        while place < limit and place - at <= a.LONGEST_TAIL and not self.flag(text[place], v.SOFT | v.MASK):
            place += 1
        if place - at > a.LONGEST_TAIL or (place < limit and self.flag(text[place], v.MASK)):
            return at
        if place < limit or before_phone:
            for first in range(at, place):
                least = a.UNUSUAL if first == at and before_phone and place == limit else -0.5
                if place - first <= 4 and self.name(text[first:place]) > least:
                    return first if first == at or text[first - 1].isascii() else at
        return place

    def chains(self, text: str, before_phone: bool = False) -> Iterator[tuple[int, int, int, float]]:
        """The chains in a segment: beginning, end, hidden parts and log-odds, as ``addresses_in`` gives them."""
        chain: Chain | None = None
        at = stem = loose = 0
        while at <= len(text):
            piece = self._piece(text, at, chain, stem, loose) if at < len(text) else Piece(closes=True)
            if chain and piece.kind:
                far = loose > a.LONGEST_STEM + a.LONGEST_GAP or (at > stem and loose - (at - stem) > a.LONGEST_GAP)
                piece.closes = piece.closes or far
            if chain and piece.closes:
                if chain.score > -6.0:
                    stop = self._tail(text, chain.end, at, before_phone and at == len(text))
                    stop += stop == chain.end and text[stop : stop + 1] in (")", "）")
                    yield chain.start, stop, chain.counts[a.HIDDEN], chain.score
                chain = None
                if not piece.barrier and not piece.kind:
                    stem = at
            if at == len(text):
                return
            if piece.kind and (chain or piece.begins):
                if chain is None:
                    chain = Chain(at - piece.stem if piece.known else max(stem, at - a.LONGEST_STEM))
                end = at + piece.size
                chain.counts[piece.kind] += 1
                chain.counts[piece.known] += bool(piece.known)
                if piece.kind in (v.C_ROAD, v.C_PLACE, v.C_VILLAGE) and text[end : end + 1] in tuple("0123456789"):
                    chain.counts[a.NUMBERED] += 1
                chain.rank = max(chain.rank, piece.kind if piece.kind != v.C_ASIDE else 0)
                chain.end = stem = end
                loose = 0
            elif piece.barrier:
                stem, loose = at + piece.size, 0
            elif self.flag(text[at], v.SOFT):
                stem = at + piece.size
            else:
                loose += piece.size
            at += piece.size

    def addresses(self, text: str, before_phone: bool = False) -> list[tuple[str, int, float]]:
        """The chains of a segment as text, with hidden parts and log-odds."""
        return [(text[start:end], hidden, score) for start, end, hidden, score in self.chains(text, before_phone)]
