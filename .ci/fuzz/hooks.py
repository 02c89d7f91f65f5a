"""What schemathesis is told about this server: whom requests come from, what is there to be found, what must not be.

Loaded by `schemathesis run` through SCHEMATHESIS_HOOKS. fuzz.py gives the settings of the run in FUZZ_RUN, a JSON object.
"""

import atexit
import collections
import copy
import itertools
import json
import os
import pathlib
import random
import threading

import schemathesis

RUN = json.loads(os.environ["FUZZ_RUN"])
RANDOM = random.Random(RUN["seed"])
CREDENTIALS = itertools.cycle(RUN["credentials"])
LOCK = threading.Lock()
STATUSES = collections.Counter()
LEAKS = set()

# Bodies that mean something, by operation: those of the golden examples. Generated ones hardly ever pass the rules behind the schema.
BODIES, KEYED = {}, set()
for path in pathlib.Path(RUN["examples"]).glob("*.json"):
    request = json.loads(path.read_text(encoding="utf-8"))["request"]
    if isinstance(request.get("body"), dict):
        BODIES[path.stem] = request["body"]
    if "Idempotency-Key" in request.get("headers", {}):
        KEYED.add(path.stem)

ODD = [None, True, 0, -1, 1e308, 2**53 + 1, "", " ", "\x00", "\u202e", "２０２６", "💥" * 30, "x" * 3000, "2026-02-30", "9999-12-31T23:59:59Z", [], {}, [[]]]

# Operations whose bodies have no schema in the contract: a decoder of the server's checks them.
FREE = {"captureEvent", "captureDocument"}

METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"}


def mutated(value):
    """A copy of a JSON value with one place in it removed, replaced by something odd or repeated; now and then unchanged."""
    value = copy.deepcopy(value)
    places = []

    def walk(node):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)) and node[key]:
                walk(node[key])

    walk(value)
    what = RANDOM.randint(0, 5)
    if what == 0 or not places:
        return value
    node, key = RANDOM.choice(places)
    if what == 1:
        del node[key]
    elif what == 2 and isinstance(node[key], list):
        node[key] = node[key] * RANDOM.choice([2, 300])
    elif what <= 3 and isinstance(node[key], str):
        at = RANDOM.randint(0, len(node[key]))
        node[key] = node[key][:at] + RANDOM.choice(["０", "\n", "/", "'", "%", "é", "../"]) + node[key][at:]
    else:
        node[key] = copy.deepcopy(RANDOM.choice(ODD))
    return value


@schemathesis.hook
def before_call(context, case, kwargs):
    """Send the case with credentials, from an address of its own, and half of the time about something that is there.

    A third of the bodies, and most where the contract has no schema, are mutants of the operation's golden example.
    """
    operation = case.operation.definition.raw.get("operationId")
    with LOCK:
        headers = dict(case.headers or {})
        headers.update(next(CREDENTIALS))
        # Limits count by client address. The server is told to believe the loopback network, so each request comes from another
        # one, of the network that is set aside for benchmarks (RFC 2544).
        headers["X-Forwarded-For"] = f"198.{RANDOM.randint(18, 19)}.{RANDOM.randint(0, 255)}.{RANDOM.randint(0, 255)}"
        if "If-Match" in headers and RANDOM.random() < 0.5:
            headers["If-Match"] = RANDOM.choice(RUN["tags"])
        case.headers = headers
        if operation in KEYED and RANDOM.random() < 0.5:
            headers["Idempotency-Key"] = f"fuzz-{RANDOM.randint(0, 1 << 62)}"
        if operation in BODIES and "json" in (case.media_type or "") and RANDOM.random() < (0.35 if operation not in FREE else 0.9):
            case.body = mutated(BODIES[operation])
        if case.path_parameters and RANDOM.random() < 0.5:
            for name, values in RUN["known"].items():
                if name in case.path_parameters:
                    case.path_parameters[name] = RANDOM.choice(values)


@schemathesis.hook
def after_call(context, case, response):
    """Count the answer, and look for what is another's."""
    operation = case.operation.definition.raw.get("operationId", case.operation.label)
    with LOCK:
        STATUSES[operation, response.status_code] += 1
        for word in RUN["foreign"]:
            if word.encode() in response.content or word in str(response.headers):
                LEAKS.add((operation, word))


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Accept what may be answered to any request before it is known which operation it means, and only where it is true."""
    try:
        code = response.json().get("code")
    except (ValueError, AttributeError):
        return True
    if response.status_code == 501 and code == "method_unknown":
        return response.request.method in METHODS  # RFC 9110, 15.6.2
    if response.status_code == 431 and code == "header_too_large":
        head = len(response.request.url) + sum(len(k) + len(v) + 4 for k, v in response.request.headers.items())
        return head < 15000
    return True


@atexit.register
def leave():
    """Leave the counts where fuzz.py finds them."""
    with open(RUN["result"], "w", encoding="utf-8") as f:
        json.dump({"statuses": [[op, status, n] for (op, status), n in STATUSES.items()], "leaks": sorted(LEAKS)}, f)
