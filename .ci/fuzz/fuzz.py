#!/usr/bin/env python3
"""Hold a running server to its contract with schemathesis: `make fuzz-api`.

Starts the server on a free port of the loopback interface and an empty directory, with demonstration data; takes the credentials
that it prints, adds another firm, another device and a draft whose texts nobody else may see; and sends generated requests as
each kind of client. It fails for an answer 5xx, an answer outside the contract, a word of another's, too few requests, credentials
that died on the way, and a run that saw little but refusals.
"""

import argparse
import base64
import collections
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "mobile-contract" / "examples"

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance"

# Operations that end the credentials which they are called with. They come last, each kind of client in a run of its own.
LAST = {
    "officer": ["endOwnSession", "deleteSession"], "administrator": ["endOwnSession", "endOperatorSessions", "deleteSession"],
    "device": ["eraseDevice"], "anyone": ["eraseComplaint"], "seller": ["endKey"],
}

# Words that must not reach anybody else.
FIRM, HOLDING, DRAFT, COMPLAINT = "金丝雀商号", "CANARYLOT7", "金丝雀草稿", "金丝雀投诉"


# Revisions that a warning here may have, as If-Match names them.
TAGS = [f'"draft-{n}"' for n in range(1, 6)] + [f'"rev-{n}"' for n in range(1, 4)]


class Failed(Exception):
    """What was found, for people."""


def totp(secret):
    """The code of RFC 6238 of this half minute."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.new(key, int(time.time() // 30).to_bytes(8, "big"), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at:at + 4], 'big') & 0x7FFFFFFF) % 1000000:06d}"


class Server:
    """The server, and what it printed about itself."""

    def __init__(self, program, directory):
        self.program, self.directory, self.networks = program, directory, 0
        self.env = {
            "PATH": os.environ["PATH"], "ADDR": "127.0.0.1:0", "DATA_DIR": str(directory / "data"), "DEMO": "on",
            "TRUSTED_PROXIES": "127.0.0.0/8", "LOG_LEVEL": "warn",
        }
        self.log = open(directory / "log", "w+", encoding="utf-8")
        self.process = subprocess.Popen([program, "serve"], env=self.env, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.printed = self.read_start()
        self.url = self.find(r"is at (http://\S+)")

    def read_start(self):
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "these logins are good" in line:
                return "".join(lines)
        raise Failed("the server did not start:\n" + "".join(lines) + self.tail())

    def find(self, pattern):
        m = re.search(pattern, self.printed)
        if not m:
            raise Failed(f"the server did not print {pattern}:\n{self.printed}")
        return m.group(1)

    def command(self, *args, given=""):
        return subprocess.run([self.program, *args], env=self.env, check=True, capture_output=True, text=True, input=given).stdout

    def operator(self, login, roles):
        """Add an operator, and give a session: limits count by operator."""
        password = "a long enough password"
        printed = self.command("operator", "add", login, "-authority", "hn-amr", "-roles", roles, given=password + "\n")
        secret = re.search(r"one-time code secret: (\S+)", printed).group(1)
        self.networks += 1  # log-ins are limited by address
        headers = {"X-Forwarded-For": f"198.18.{self.networks}.1"}
        return self.made("createSession", headers=headers, login=login, password=password, code=totp(secret))["token"]

    def call(self, example, *, bearer=None, headers=None, path=None, **changes):
        """Send the request of a golden example with some members of its body changed; gives status and body."""
        request = json.loads((EXAMPLES / f"{example}.json").read_text(encoding="utf-8"))["request"]
        body = request.get("body")
        sent = {k: v for k, v in request.get("headers", {}).items() if k not in ("Authorization", "Haisu-Receipt-Secret", "Host")}
        if bearer:
            sent["Authorization"] = "Bearer " + bearer
        sent.update(headers or {})
        data = json.dumps({**body, **changes}).encode() if body is not None else None
        r = urllib.request.Request(self.url + (path or request["path"]), data=data, headers=sent, method=request["method"])
        try:
            with urllib.request.urlopen(r, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as e:
            return e.code, json.loads(e.read() or b"null")

    def made(self, example, **kwargs):
        """call for what must be made."""
        status, body = self.call(example, **kwargs)
        if status != 201:
            raise Failed(f"{example}: {status} {body}")
        return body

    def tail(self):
        self.log.flush()
        self.log.seek(0)
        return "".join(self.log.readlines()[-20:])

    def stop(self):
        """End the server as an operator would; it must end in order."""
        self.process.terminate()
        code = self.process.wait(timeout=30)
        text = self.log_text()
        self.log.close()
        if code != 0:
            raise Failed(f"the server ended with {code}:\n{text[-4000:]}")
        if "panic:" in text or "DATA RACE" in text:
            raise Failed("the server's log holds a panic:\n" + text[-4000:])

    def log_text(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()


def prepare(server):
    """Make the clients, and what belongs to others. Gives the runs: name, credentials, known values, words of others."""
    seller = [server.find(r"key of seller \S+\s+(hk_\S+)")]
    seller += [re.search(r"hk_\S+", server.command("key", "add", server.find(r"key of seller (\S+)"))).group(0) for _ in range(4)]
    rival = re.search(r"hk_\S+", server.command("key", "add", "canary", "-name", FIRM, "-prefixes", "690888888")).group(0)
    officers = [server.operator(f"officer{n}", "officer,publisher") for n in range(6)]
    administrators = [server.operator(f"administrator{n}", "registrar,administrator,auditor") for n in range(6)]
    officer = officers[0]
    devices = [server.made("registerDevice")["token"] for _ in range(5)]
    other = server.made("registerDevice")["token"]
    unit = re.search(r"/01/(\d+)/10/([^/\s]+)/21/([^/\s]+)", server.printed)
    holding = server.made("addHolding", bearer=other, gtin=unit.group(1), lot=HOLDING)["id"]
    own = [server.made("addHolding", bearer=d, gtin=unit.group(1), lot=unit.group(2))["id"] for d in devices[:2]]
    draft = server.made("createWarning", bearer=officer, title={"zh-Hans": DRAFT, "en": DRAFT})["no"]
    case = server.made("fileComplaint", gtin=unit.group(1), what=COMPLAINT)
    second = server.made("fileComplaint", headers={"Idempotency-Key": "fuzz-second-0001"}, gtin=unit.group(1))
    known = {
        "gtin": [unit.group(1), unit.group(1).lstrip("0")], "lot": [unit.group(2)], "serial": [unit.group(3)],
        "no": [draft, *re.findall(r"HN-\d{4}-\d{6}", json.dumps(server.call("listWarnings", path="/v1/warnings")[1]))],
        "id": own, "receipt": [second["no"]],
    }
    tenants(server, rival=rival, device=devices[0], other=other, holding=holding, draft=draft, case=case, second=second, unit=unit)
    return [
        ("anyone", [{"Haisu-Receipt-Secret": second["secret"]}], known, [FIRM, HOLDING, DRAFT, COMPLAINT, case["secret"]]),
        ("seller", [{"Authorization": "Bearer " + k} for k in seller], known, [FIRM, HOLDING, DRAFT, COMPLAINT]),
        ("device", [{"Authorization": "Bearer " + t} for t in devices], {**known, "id": [*own, holding]}, [FIRM, HOLDING, DRAFT, COMPLAINT]),
        ("officer", [{"Authorization": "Bearer " + t} for t in officers], known, [HOLDING]),
        ("administrator", [{"Authorization": "Bearer " + t} for t in administrators], known, [HOLDING, DRAFT, COMPLAINT]),
    ]


def tenants(server, *, rival, device, other, holding, draft, case, second, unit):
    """What one client must not get of another's, asked for by name."""
    held = json.dumps(server.call("listHoldings", bearer=device))
    wrong = []
    if HOLDING in held or holding in held:
        wrong.append("a device lists another's holding")
    if HOLDING not in json.dumps(server.call("listHoldings", bearer=other)):
        wrong.append("a device does not list its own holding")
    if (got := server.call("deleteHolding", bearer=device, path=f"/v1/device/holdings/{holding}"))[0] == 204 and HOLDING not in json.dumps(
            server.call("listHoldings", bearer=other)):
        wrong.append(f"a device deletes another's holding: {got}")
    for who, token in (("anyone", None), ("a seller", rival)):
        if (got := server.call("getWarning", bearer=token, path=f"/v1/warnings/{draft}"))[0] != 404:
            wrong.append(f"{who} reads a draft: {got}")
    if (got := server.call("getComplaint", path=f"/v1/complaints/{case['no']}", headers={"Haisu-Receipt-Secret": second["secret"]}))[0] == 200:
        wrong.append(f"a receipt's secret opens another's case: {got}")
    path = f"/v1/products/{unit.group(1)}/lots/{unit.group(2)}/codes"
    if (got := server.call("issueCodes", bearer=rival, path=path))[0] not in (403, 404):
        wrong.append(f"a seller issues codes of another's product: {got}")
    if wrong:
        raise Failed("\n".join(wrong))


def schemathesis(server, args, run, scope, directory):
    """Run schemathesis as one kind of client. Gives its counts by operation and status, and what it found."""
    name, credentials, known, foreign = run
    result = directory / f"{name}.json"
    settings = {"seed": args.seed, "credentials": credentials, "known": known, "foreign": foreign, "tags": TAGS, "examples": str(EXAMPLES), "result": str(result)}
    env = {**os.environ, "FUZZ_RUN": json.dumps(settings), "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "NO_PROXY": "*"}
    command = [
        str(pathlib.Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/openapi.yaml", "--checks", CHECKS, "--mode", "all",
        "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", str(args.examples), "--seed", str(args.seed), "--workers", "1",
        "--generation-database", "none", "--continue-on-failure", "--warnings", "off", "--no-color", "--request-timeout", "30", *scope,
    ]
    done = subprocess.run(command, env=env, cwd=directory, capture_output=True, text=True)
    if not result.exists():
        raise Failed(f"as {name}: schemathesis did not run:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    counts = json.loads(result.read_text(encoding="utf-8"))
    found = [f"{op} answers with another's {word}" for op, word in counts["leaks"]]
    if done.returncode != 0:
        found.append("\n".join(line[:400] for line in done.stdout.splitlines()[-300:]))
    return collections.Counter({(op, status): n for op, status, n in counts["statuses"]}), found


def judge(name, counts):
    """Say what is wrong with a run as a whole."""
    total = sum(counts.values())
    of = lambda *statuses: sum(n for (_, s), n in counts.items() if s in statuses)  # noqa: E731
    wrong = []
    if of(429) > total / 20:
        wrong.append(f"{of(429)} of {total} requests were over a limit")
    # What is for others is refused to this kind of client, and most of the contract is.
    if sum(n for (_, s), n in counts.items() if 200 <= s < 300) < (total - of(401, 403)) / 20:
        wrong.append("hardly anything succeeded")
    bad = [f"{op}: {s}" for (op, s) in counts if s >= 500 and s != 501]
    if bad:
        wrong.append(f"answers 5xx: {bad}")
    return [f"as {name}: {w}" for w in wrong]


def table(counts):
    """Print the answers of each operation."""
    for op in sorted({op for op, _ in counts}):
        print(f"  {op:18}", ", ".join(f"{s}: {n}" for (o, s), n in sorted(counts.items()) if o == op))


def alive(server, name, credentials):
    """Whether the credentials still open what they opened before."""
    paths = {"seller": None, "device": "/v1/device/holdings", "officer": "/v1/warnings?status=draft"}
    if not paths.get(name):
        return []
    for c in credentials:
        r = urllib.request.Request(server.url + paths[name], headers=c)
        try:
            urllib.request.urlopen(r, timeout=30).close()
        except urllib.error.HTTPError as e:
            return [f"as {name}: the credentials were refused at the end ({e.code}): name the operation that ends them in LAST"]
    return []


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default="bin/api")
    p.add_argument("--examples", type=int, default=20, help="generated requests per operation, kind of client and phase")
    p.add_argument("--seed", type=int, default=1, help="the same seed sends the same requests")
    p.add_argument("--verbose", action="store_true", help="count the answers of each operation")
    p.add_argument("--kinds", default="", help="kinds of clients, such as seller,officer; all by default")
    p.add_argument("--least", type=int, default=10000, help="requests, below which the run says too little")
    args = p.parse_args()
    found, total, sums = [], 0, collections.Counter()
    with tempfile.TemporaryDirectory() as d:
        directory = pathlib.Path(d)
        server = Server(str(pathlib.Path(args.program).resolve()), directory)
        with contextlib.ExitStack() as stack:
            stack.callback(server.stop)
            runs = [r for r in prepare(server) if not args.kinds or r[0] in args.kinds.split(",")]
            for run in runs:
                name, start = run[0], time.monotonic()
                last = LAST.get(name, [])
                counts, problems = schemathesis(server, args, run, [f"--exclude-operation-id={op}" for op in last], directory)
                found += problems + judge(name, counts) + alive(server, name, run[1])
                total += sum(counts.values())
                sums += counts
                if args.verbose:
                    table(counts)
                by_status = collections.Counter()
                for (_, status), n in counts.items():
                    by_status[status] += n
                print(f"as {name:8} {sum(counts.values()):6} requests, {time.monotonic() - start:5.1f} s, " + ", ".join(f"{s}: {n}" for s, n in sorted(by_status.items())), flush=True)
                if last:
                    counts, problems = schemathesis(server, args, run, [f"--include-operation-id={op}" for op in last], directory)
                    found += problems
                    total += sum(counts.values())
                    sums += counts
            if server.process.poll() is not None:
                found.append("the server died")
    if total < args.least:
        found.append(f"{total} requests, of at least {args.least}")
    if found:
        raise Failed("\n".join(found))
    never = sorted({op for op, _ in sums} - {op for op, status in sums if 200 <= status < 300})
    print(f"operations that no generated request got through: {', '.join(never) or 'none'}")
    print(f"{total} requests: nothing outside the contract, no 5xx, nothing of another's")


if __name__ == "__main__":
    try:
        main()
    except Failed as e:
        sys.exit(f"fuzz: {e}")
