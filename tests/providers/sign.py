#!/usr/bin/env python3
"""Write requests.jsonl: signed webhooks of every provider that Towpath knows, and changed ones that it must refuse.

This is a second opinion. It signs as the providers' documents say, with made-up keys and a fixed clock, and neither reads Towpath's
configuration nor shares code with it. If Towpath and this script disagree, one of them misread the document.

    pip install -r tests/providers/requirements.txt
    tests/providers/sign.py                      # write requests.jsonl
    tests/providers/sign.py --check              # compare, without writing
    tests/providers/sign.py --only github --print

Before it does anything, the script signs the examples that GitHub, Svix, Slack, Twilio and Adyen print in their documents, and stops
if one comes out differently. Every value follows from the tables in facts/ and the test keys in keys/, so the output is the same on
every machine. To add a provider, add a row to one of the tables, run the script, and commit both.

One case a line:

    provider, case   its name: `event*` must be accepted, `refused*` must not, `handshake*` is what the provider sends to
                     prove that the endpoint is there, unless `refused` follows
    arrives_at       the clock of the check, in seconds since 1970
    params           what an operator enters: `secret`, `public_key`, `url`, `verify_token`, `user`, …
    config           for the constructions `x-*`: the keys of the route's `verify` table, as TOML; the secret named `secret` has
                     the value of the parameter of that name
    request          `method`, `path`, `query`, `headers`, `body_base64`
    keys             answers of the network that the test fakes: JWKS, certificates, key APIs, confirmations
    expect           what Towpath must do:
                       outcome    `stored`, `answered` (a handshake), `accepted` (either), `refused`, or `unsupported` where no
                                  configuration can verify this provider
                       status     where the provider insists on one, or `statuses`, any of them
                       headers    that the answer must have, with these values
                       body       of the answer as text; `json` is compared as JSON
                       items      how many messages a batch becomes
                       dedup      the delivery id, and `order` the key by which events must stay in order;
                                  `item_dedup` and `item_order` list them where each item of a batch has its own
                       keep       the signing secret that arrived and must be kept
                       calls      requests that Towpath must make, [] for none
    note             why, where it is not obvious
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import facts  # noqa: E402
import published  # noqa: E402

OUTPUT = Path(__file__).parent / "requests.jsonl"


def cases(only: set):
    for provider in facts.PROVIDERS:
        if not only or provider.name in only:
            yield from provider.cases()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail if requests.jsonl is not what the tables say")
    parser.add_argument("--print", action="store_true", help="print the cases instead of writing them")
    parser.add_argument("--only", action="append", default=[], metavar="PROVIDER", help="cases of this provider (with --print); repeatable")
    parser.add_argument("--list", action="store_true", help="list providers with their number of cases")
    options = parser.parse_args()
    if options.only and not (options.print or options.list):
        parser.error("--only needs --print or --list: the file holds every provider")

    if wrong := list(published.differences()):
        print(*wrong, sep="\n", file=sys.stderr)
        return 1
    found = list(cases(set(options.only)))
    if missing := set(options.only) - {case["provider"] for case in found}:
        print(f"no such provider: {', '.join(sorted(missing))}", file=sys.stderr)
        return 1
    names = [(case["provider"], case["case"]) for case in found]
    if twice := {name for name in names if names.count(name) > 1}:
        print(f"two cases have one name: {sorted(twice)}", file=sys.stderr)
        return 1
    if options.list:
        for provider in dict.fromkeys(name for name, _ in names):
            print(f"{provider}\t{sum(name == provider for name, _ in names)}")
        return 0
    text = "".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) + "\n" for case in found)
    if options.print:
        sys.stdout.write(text)
    elif options.check:
        if not OUTPUT.exists() or OUTPUT.read_text() != text:
            print("requests.jsonl is out of date: run tests/providers/sign.py and commit the result", file=sys.stderr)
            return 1
        print(f"requests.jsonl is up to date: {len(found)} cases")
    else:
        OUTPUT.write_text(text)
        print(f"{OUTPUT}: {len(found)} cases of {len(set(name for name, _ in names))} providers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
