"""The table of the results, and the same as JSON."""

import json
import textwrap

from probe import FAIL, NOT_RUN, PASS, UNKNOWN

WIDTHS = {"probe": 12, "result": 8, "expected": 44, "seen": 52}


def table(results):
    """One block of lines for each result, in columns of fixed width."""
    rows = [dict.fromkeys(WIDTHS, "")]
    rows[0] = {column: column for column in WIDTHS}
    rows += [{column: getattr(result, column) for column in WIDTHS} for result in results]
    lines = []
    for row in rows:
        cells = {column: textwrap.wrap(text, WIDTHS[column]) or [""] for column, text in row.items()}
        for number in range(max(map(len, cells.values()))):
            parts = [(cell[number] if number < len(cell) else "").ljust(WIDTHS[column]) for column, cell in cells.items()]
            lines.append("  ".join(parts).rstrip())
        lines.append("")
    counts = ", ".join(
        f"{count} {kind}" for kind in (PASS, FAIL, UNKNOWN, NOT_RUN) if (count := sum(r.result == kind for r in results))
    )
    return "\n".join([*lines, f"{len(results)} probes: {counts}"])


def as_json(name, on_aws, results, left):
    """`left` is what could not be destroyed."""
    said = {"name": name, "on_aws": on_aws, "results": [result.as_json() for result in results], "left": left}
    return json.dumps(said, indent=2)
