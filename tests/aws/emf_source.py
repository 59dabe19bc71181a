"""The metrics that a function writes to CloudWatch, read from the sources of the rooms `metrics` and `telemetry`.

What cannot be read is an error: a metric that is missing here would pass every check.
"""

import re

from applied import ROOT

METRICS = ROOT / "host/metrics/src/lib.rs"
EMF = ROOT / "host/telemetry/src/emf.rs"


def code(path):
    """A source without its comments and tests."""
    text = path.read_text().split("#[cfg(test)]")[0]
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))


def constant(name):
    found = re.search(rf'^const {name}: [^=]+ = (.+);$', code(EMF), re.MULTILINE)
    assert found, f"{EMF} has no constant {name}"
    return re.findall(r'"([^"]+)"', found[1])


def enclosed(text, start):
    """The text from the bracket at `start` to the one that closes it, without both."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth == 0:
            return text[start + 1 : at]
    raise AssertionError(f"no closing bracket after {text[start:start + 60]!r}")


def labels(text, known):
    """The labels of an array of key values; some of them have names."""
    parts = re.findall(r'KeyValue::new\(\s*"(\w+)"|\b(\w+)(?:\.clone\(\))?\s*(?:,|$)', text.strip())
    return {label for new, name in parts for label in ([new] if new else known.get(name, set()))}


def of_function(body):
    """The fields that a function counts in, with their labels."""
    known, fields = {}, {}
    for name, start in [(m[1], m.end() - 1) for m in re.finditer(r"let (\w+) = \[", body)]:
        known[name] = labels(enclosed(body, start), {})
    for name, label in re.findall(r'let (\w+) = KeyValue::new\("(\w+)"', body):
        known[name] = {label}
    aliases = dict(re.findall(r"let (\w+) = (if [^;]+&METRICS[^;]+);", body))
    for call in re.finditer(r"\b(?:(?:METRICS|metrics)\.(\w+)|(\w+))\.(?:add|record)\(", body):
        argument = enclosed(body, call.end() - 1).rsplit("&", 1)[1].strip()
        is_array = argument.startswith("[")
        found = labels(enclosed(argument, 0), known) if is_array else known[argument]
        names = [call[1]] if call[1] else re.findall(r"&METRICS\.(\w+)", aliases[call[2]])
        for name in names:
            assert fields.setdefault(name, found) == found, f"{name} is counted with different labels"
    return fields


def written():
    """Each metric with its labels."""
    source = code(METRICS)
    names = dict(re.findall(r'(\w+): (?:counter|seconds|amount)\(\s*"(towpath[\w.]+)"', source))
    fields = {}
    for body in re.split(r"\n(?=(?:pub )?fn )", source)[1:]:
        fields |= of_function(body)
    assert set(fields) == set(names), f"counted and declared differ: {set(fields) ^ set(names)}"
    metrics = {names[field]: found for field, found in fields.items()}
    # Gauges are observed: by a closure that labels each value, or with an array.
    closures = {name: enclosed(source, m.end() - 1) for m in re.finditer(r"let (\w+) = \|groups[^|]+\| \{", source) for name in [m[1]]}
    for gauge in re.finditer(r'(?:gauge\(|observable_gauge\()\s*"(towpath[\w.]+)"', source):
        block = source[gauge.start() : source.index(".build()", gauge.start())]
        for name, body in closures.items():
            block = block.replace(f"{name}(", f"{body} (")
        observed = re.search(r"observe\([^&]*&\[", block)
        assert observed, f"{gauge[1]} is never observed"
        metrics[gauge[1]] = labels(enclosed(block, observed.end() - 1), {})
    declared = set(re.findall(r'"(towpath\.[\w.]+)"', source)) - {"towpath.story"}
    assert set(metrics) == declared, f"not understood: {declared ^ set(metrics)}"
    return metrics


def dimensions():
    """Each metric with its dimensions, other than that of the function."""
    (everywhere,), (of, property_of) = constant("PROPERTY"), constant("PROPERTY_OF_MESSAGES")
    return {
        metric: {label for label in found if label != everywhere and (metric, label) != (of, property_of)}
        for metric, found in written().items()
    }


def optional():
    """Labels that may be empty, and then are no dimensions: their fields say so."""
    return set(re.findall(r"///[^\n]*; empty if[^\n]*\n\s+pub (\w+):", METRICS.read_text()))
