"""All probes, in the order of the table."""

from probes import cold_starts, direct, headers, hold, large_letter, order, receives, redrive, release, stage

ALL = [
    direct.QUOTE,
    direct.MISSING,
    stage.PROBE,
    headers.PROBE,
    receives.PROBE,
    large_letter.PROBE,
    redrive.PROBE,
    cold_starts.PROBE,
    hold.PROBE,
    release.PROBE,
    order.PROBE,
]
