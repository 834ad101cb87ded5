"""How good the scanner is on sets it was not fitted on, by kind.

    python bench/scan_accuracy.py                    # the world "final", twice the documents
    python bench/scan_accuracy.py --missed           # and the lines of which something was missed or wrong, by kind
    python bench/scan_accuracy.py --world held_out   # the sets of tests/scan/test_accuracy.py

The documents are made (tests/scan/accuracy): in "final" 28 kinds of files with people in them, 14 without, and 224 lines
written by hand, 130 of them innocent. Rules were corrected after looking at failures in "held_out", so that its figures
flatter; "final" was written when the rules stood.
A finding counts when its confidence is 0.5 or more. Names and addresses are right when they overlap by three quarters,
everything else byte for byte. ``calibration`` is the expected calibration error: how far confidence is from the share
that is right.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "scan"))

from accuracy.judge import calibration_error
from accuracy.measure import LEAST, SEEDS, TOLD, Measured, share
from accuracy.world import BY_HAND, alone, difficult, documents, kinds

from parcelveil.scan.engine import Scanner

#: Added to the first seed of a world.
SEED = 11
#: Lines shown of each kind and document.
EACH = 4


def missed(measured: Measured, world: str, seed: int) -> None:
    """Lines in which something was missed, or something is told that is not there. They are made lines."""
    made = {one.name: one for one in [*documents(world, seed, 2.0), *difficult(seed, world)]}
    for kind in kinds(world):
        for wrapped in (False, True):
            one = alone(world, kind, 400, wrapped=wrapped, seed=seed)
            made[one.name] = one
    for judged in [*measured.documents, *measured.lone.values(), *measured.wrapped.values()]:
        if judged.name not in made:
            continue
        data = made[judged.name].data
        wrong = [f for f, right in zip(judged.counted, judged.right, strict=True) if not right and f.confidence >= TOLD]
        shown: dict[str, int] = {}
        for what, spans in (("missed", judged.missed), ("wrong", wrong)):
            for span in spans:
                said = f"{judged.name:22} {what} {span.kind}"
                shown[said] = shown.get(said, 0) + 1
                if shown[said] <= EACH:
                    high = data.find(b"\n", span.end)
                    low = max(data.rfind(b"\n", 0, span.start) + 1, span.start - 90)
                    parts = (
                        data[low : span.start],
                        data[span.start : span.end],
                        data[span.end : min(high, span.end + 60)],
                    )
                    print(said + ": {}⟦{}⟧{}".format(*(part.decode("utf-8", "replace") for part in parts)))
        for said, count in shown.items():
            if count > EACH:
                print(f"{said}: {count} in all")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How good the scanner is on sets it was not fitted on.")
    parser.add_argument("--world", choices=sorted(BY_HAND), default="final", help="the sets (default: final)")
    parser.add_argument("--missed", action="store_true", help="show lines that were missed or wrong")
    asked = parser.parse_args()
    seed = SEEDS[asked.world] + SEED
    measured = Measured(Scanner.default(least=LEAST), scale=2.0, seed=seed, world=asked.world)
    if asked.missed:
        missed(measured, asked.world, seed)
    lone, scores, inside = measured.lone, measured.scores, measured.in_documents
    print(
        "| kind | values | recall | in files: precision | F | glued into Chinese, of the recall alone | calibration |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind, score in scores.items():
        here = inside.get(kind)
        kept = f"{measured.kept[kind]:.3f}" if kind in lone else "—"
        told = f"{here.precision:.4f} | {here.f:.4f}" if here and here.told else "— | —"
        print(f"| `{kind}` | {score.truths:,} | {score.recall:.4f} | {told} | {kept} | {score.error:.3f} |")
    print("\n| confidence told | share that is right | findings |\n|---|---|---|")
    for mean, right, count in measured.reliability:
        print(f"| {mean:.3f} | {right:.3f} | {count:,} |")
    contexts = list(measured.placed)
    print(
        "\n| recall under a header or key of its own | " + " | ".join(contexts) + " |\n|---|" + "---|" * len(contexts)
    )
    for slot in measured.placed[contexts[0]]:
        print(
            f"| `{slot}` | " + " | ".join(f"{share(measured.placed[context][slot]):.3f}" for context in contexts) + " |"
        )
    print("\n| as people write it | recall |\n|---|---|")
    for style, one in measured.styled.items():
        print(f"| {style} | {share(one):.4f} |")
    keys = {
        "mobile_recall": inside["phone.mobile"].recall,
        "mobile_precision": inside["phone.mobile"].precision,
        "id_recall": inside["id.resident"].recall,
        "id_precision": inside["id.resident"].precision,
        "card_precision": inside["card.bank"].precision,
        "name_f": inside["person.name"].f,
        "address_recall": inside["address.cn"].recall,
        "kept_in_chinese_least": min(measured.kept.values()),
        "calibration_error": calibration_error(measured.pairs()),
        "calibration_error_told": calibration_error(measured.pairs(TOLD)),
    }
    print(json.dumps({name: round(value, 4) for name, value in keys.items()}))


if __name__ == "__main__":
    main()
